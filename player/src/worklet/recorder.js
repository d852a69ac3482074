/** What is heard, as 16-bit samples, in parts. */

const PART_S = 1;

/** Takes so many frames; hands over parts of about a second. */
export class Recorder {
  /**
   * @param {number} frames - How many to record.
   * @param {number} rateHz
   * @param {function(Int16Array, boolean): void} send - Takes a part, interleaved, and whether it is the last one.
   */
  constructor(frames, rateHz, send) {
    this._left = frames;
    this._part = new Int16Array(2 * Math.round(PART_S * rateHz));
    this._length = 0;
    this._random = 1;
    this._send = send;
    this.isDone = false;
  }

  /**
   * Records a block, or what of it is wanted.
   *
   * @param {Float32Array} left
   * @param {Float32Array} right
   */
  add(left, right) {
    for (let i = 0; i < left.length && this._left > 0; i++) {
      this._part[this._length++] = this._round(left[i]);
      this._part[this._length++] = this._round(right[i]);
      this._left--;
      if (this._length === this._part.length && this._left) this._hand(false);
    }
    if (!this._left) this.finish();
  }

  /** Hands over what there is; no more will come. */
  finish() {
    if (this.isDone) return;
    this.isDone = true;
    this._hand(true);
  }

  _hand(isLast) {
    this._send(this._part.slice(0, this._length), isLast);
    this._length = 0;
  }

  /** A sample as 16 bits, with triangular dither. */
  _round(sample) {
    const dithered = Math.round(32767 * sample + this._uniform() - this._uniform());
    return Math.min(32767, Math.max(-32768, dithered));
  }

  /** Xorshift: the same recording has the same bits. */
  _uniform() {
    this._random ^= this._random << 13;
    this._random ^= this._random >>> 17;
    this._random ^= this._random << 5;
    return (this._random >>> 0) / 2 ** 32;
  }
}
