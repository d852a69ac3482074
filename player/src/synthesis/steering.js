/** What is asked of the pieces of a line: to be near one, labels and faders. */

/** How far from the piece that sounds "near" is, on the way to a random one. */
const NEAR_SHARE = 0.35;

/** Sets in the inputs of pieces what is asked of them. */
export class Steering {
  /**
   * @param {object} header - Of the model.
   * @param {object|null} held - See `hold`; null for nothing.
   */
  constructor({ labels = [], measures = [] }, held = null) {
    this._labels = labels.length;
    this._held = held ?? { label: null, measures: measures.map(() => null) };
    this._near = null;
  }

  /** Whether labels or measures are other ones than recordings have them. */
  get isHeld() {
    return [this._held.label, ...this._held.measures].some((each) => each !== null);
  }

  /**
   * Holds labels and measures from now on; those that change are no longer near a piece.
   *
   * @param {{label: number[]|null, measures: (number|null)[]}} held - A weight a label, which sum to 1, and a place in
   *     [0, 1] a measure; null for what comes as it is drawn.
   */
  hold(held) {
    const { label, measures } = this._held;
    if (this._near) {
      if (String(held.label) !== String(label)) this._near.label = null;
      this._near.measures = this._near.measures.map((each, i) => (held.measures[i] === measures[i] ? each : null));
    }
    this._held = held;
  }

  /** Has what comes be near a piece from now on, {z, given}: a third of the way from it to any other. */
  stayNear({ z, given }) {
    const of = given ?? [];
    this._near = { z, label: of.slice(0, this._labels), measures: [...of.slice(this._labels)] };
  }

  /** Has what comes be near no piece. */
  leave() {
    this._near = null;
  }

  /** An input, see `drawInput`, as it is asked for. */
  set({ z, given }) {
    const { _near: near, _held: held, _labels: labels } = this;
    const turned = near ? towards(near.z, z, NEAR_SHARE) : z;
    if (!given) return { z: turned, given };
    const asked = given.slice();
    // Recordings have one label each, and so what is near one has the same.
    asked.set(held.label ?? near?.label ?? given.subarray(0, labels));
    held.measures.forEach((place, i) => {
      const start = near?.measures[i] ?? null;
      const drawn = given[labels + i];
      asked[labels + i] = place ?? (start === null ? drawn : (1 - NEAR_SHARE) * start + NEAR_SHARE * drawn);
    });
    return { z: turned, given: asked };
  }
}

/**
 * A latent vector on the way from one to another, as `rendering.inputs.slerp`: it turns, and keeps its length. A mean
 * of both would be shorter, and its piece softer and plainer than those of either.
 */
function towards(a, b, share) {
  const dot = (x, y) => x.reduce((sum, each, i) => sum + each * y[i], 0);
  const lengthA = Math.sqrt(dot(a, a));
  const lengthB = Math.sqrt(dot(b, b));
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / (lengthA * lengthB))));
  if (angle < 1e-4) return a;
  const length = (1 - share) * lengthA + share * lengthB;
  const weightA = (length * Math.sin((1 - share) * angle)) / (lengthA * Math.sin(angle));
  const weightB = (length * Math.sin(share * angle)) / (lengthB * Math.sin(angle));
  // Between two corners of the cube an arc leaves it.
  return a.map((each, i) => Math.min(1, Math.max(-1, weightA * each + weightB * b[i])));
}
