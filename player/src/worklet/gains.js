/** Gains that move smoothly. */

const FADER_S = 0.03;

/** The gain of a fader, which follows what it is set to within some hundredths of a second. */
export class Fader {
  /**
   * @param {number} gain
   * @param {number} rateHz
   */
  constructor(gain, rateHz) {
    this._gain = this.target = gain;
    this._share = 1 - Math.exp(-1 / (FADER_S * rateHz));
  }

  /**
   * Multiplies a block in place.
   *
   * @param {Float32Array} left
   * @param {Float32Array} right
   */
  process(left, right) {
    for (let i = 0; i < left.length; i++) {
      this._gain += (this.target - this._gain) * this._share;
      left[i] *= this._gain;
      right[i] *= this._gain;
    }
    // It would never quite arrive, and what is muted is to be silent.
    if (Math.abs(this.target - this._gain) < 1e-5) this._gain = this.target;
  }
}

/** The fade of everything: in when it begins, out when it pauses or the timer ends. */
export class Fade {
  constructor() {
    this._share = 0;
    this._step = 0;
  }

  /** Whether it has faded out. */
  get isSilent() {
    return this._share === 0 && this._step <= 0;
  }

  /**
   * Goes on from where it is.
   *
   * @param {number} frames - Of a whole fade.
   */
  in(frames) {
    this._step = 1 / Math.max(1, frames);
  }

  /** The same, down; a fade that has begun to rise takes as long. */
  out(frames) {
    this._step = -Math.max(this._share, 1e-9) / Math.max(1, frames);
  }

  /** Multiplies a block in place. */
  process(left, right) {
    for (let i = 0; i < left.length; i++) {
      this._share = Math.min(1, Math.max(0, this._share + this._step));
      // Flat at both ends.
      const gain = this._share === 1 ? 1 : 0.5 - 0.5 * Math.cos(Math.PI * this._share);
      left[i] *= gain;
      right[i] *= gain;
    }
  }
}
