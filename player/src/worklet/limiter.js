/** Keeps peaks below a ceiling: the level goes down smoothly before a peak, and comes back slowly. */

const CEILING = 10 ** (-3 / 20);
const LOOK_AHEAD_S = 0.012;
const RELEASE_S = 0.25;

/**
 * A look-ahead limiter of both channels together.
 *
 * The least gain that any sample of a window needs is averaged twice over half a window each, so every sample gets an
 * average of gains of which none is too large for it, and the gain has no corners.
 */
export class Limiter {
  /** @param {number} rateHz */
  constructor(rateHz) {
    const half = Math.ceil((LOOK_AHEAD_S / 2) * rateHz);
    this._minimum = new SlidingMinimum(2 * half - 1);
    this._averages = [new SlidingAverage(half), new SlidingAverage(half)];
    this._release = 1 - Math.exp(-1 / (RELEASE_S * rateHz));
    this._gain = 1;
    this._delayed = [0, 1].map(() => new Float32Array(2 * half - 1));
    this._place = 0;
  }

  /**
   * Limits a block in place; it comes out later by the look-ahead.
   *
   * @param {Float32Array} left
   * @param {Float32Array} right
   */
  process(left, right) {
    const [delayedLeft, delayedRight] = this._delayed;
    for (let i = 0; i < left.length; i++) {
      const peak = Math.max(Math.abs(left[i]), Math.abs(right[i]));
      const allowed = this._minimum.add(peak > CEILING ? CEILING / peak : 1);
      this._gain = Math.min(allowed, this._gain + (1 - this._gain) * this._release);
      const gain = this._averages[1].add(this._averages[0].add(this._gain));
      delayedLeft[this._place] = left[i];
      delayedRight[this._place] = right[i];
      this._place = (this._place + 1) % delayedLeft.length;
      left[i] = gain * delayedLeft[this._place];
      right[i] = gain * delayedRight[this._place];
    }
  }
}

/** The least of the last `length` values, 1 before there were any. */
class SlidingMinimum {
  constructor(length) {
    this._length = length;
    // Values that are less than all after them, oldest first, and when they leave the window.
    this._values = new Float64Array(length);
    this._leaves = new Float64Array(length);
    this._first = 0;
    this._count = 0;
    this._time = 0;
  }

  add(value) {
    const { _values: values, _leaves: leaves, _length: length } = this;
    if (this._count && leaves[this._first] === this._time) {
      this._first = (this._first + 1) % length;
      this._count--;
    }
    while (this._count && values[(this._first + this._count - 1) % length] >= value) this._count--;
    const place = (this._first + this._count++) % length;
    values[place] = value;
    leaves[place] = this._time++ + length;
    return values[this._first];
  }
}

/** The mean of the last `length` values, which were 1 before there were any. */
class SlidingAverage {
  constructor(length) {
    this._values = new Float64Array(length).fill(1);
    this._sum = length;
    this._place = 0;
  }

  add(value) {
    const values = this._values;
    this._sum += value - values[this._place];
    values[this._place++] = value;
    if (this._place === values.length) {
      this._place = 0;
      // What rounding leaves would grow over hours.
      this._sum = values.reduce((sum, each) => sum + each, 0);
    }
    return this._sum / values.length;
  }
}
