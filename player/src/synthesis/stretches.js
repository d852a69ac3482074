/** Stretches of equal length of a piece, as in `rendering.composition`: each has a gain, and gains glide in between. */

/**
 *     1 ---.     .-----.     .---
 *           \   /       \   /
 *            \ /         \ /            three stretches, x is the middle of each
 *     0    x  '     x     '  x
 */
export class Stretches {
  /**
   * @param {number} frames - Of the piece.
   * @param {number} count - Of the stretches.
   */
  constructor(frames, count) {
    this._frames = frames;
    this.count = count;
  }

  /** Where a frame lies, in stretches from the middle of the first one to that of the last. */
  _place(frame) {
    return Math.min(this.count - 1, Math.max(0, (frame * this.count) / this._frames - 0.5));
  }

  /** A stretch of sounds, an array a channel, under weights that fall to its neighbors; and where it begins. */
  cut(x, number) {
    const weightOf = (frame) => Math.max(0, 1 - Math.abs(this._place(frame) - number));
    let first = Math.max(0, Math.floor(((number - 0.5) * this._frames) / this.count));
    while (!weightOf(first)) first++;
    let last = Math.min(this._frames, Math.ceil(((number + 1.5) * this._frames) / this.count));
    while (!weightOf(last - 1)) last--;
    const cut = x.map((channel) => channel.slice(first, last).map((sample, i) => sample * weightOf(first + i)));
    return [cut, first];
  }

  /** Multiplies sounds in place by their gains, which are amplitudes. */
  multiply(x, gains) {
    for (let frame = 0; frame < this._frames; frame++) {
      const place = this._place(frame);
      const number = Math.min(this.count - 2, Math.floor(place));
      const gain = this.count === 1 ? gains[0] : gains[number] + (place - number) * (gains[number + 1] - gains[number]);
      for (const channel of x) channel[frame] *= gain;
    }
  }
}
