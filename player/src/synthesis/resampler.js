/** Resampling by any ratio of integers: a sinc under a Kaiser window, of which each output takes a phase. */

/** Zero crossings of the sinc to each side, at the lower rate. */
const CROSSINGS = 64;

/** Attenuates by 90 dB beyond the lower rate's Nyquist frequency, from 91 % of which on it falls (Kaiser 1974). */
const BETA = 8.96;
const CUTOFF = 0.955;

/** Resamples sounds from one rate to another. */
export class Resampler {
  /**
   * @param {number} fromHz
   * @param {number} toHz - Integers.
   */
  constructor(fromHz, toHz) {
    const divisor = gcd(fromHz, toHz);
    // Output i lies at i down / up samples of the input.
    this._up = toHz / divisor;
    this._down = fromHz / divisor;
    const bandwidth = CUTOFF * Math.min(1, toHz / fromHz);
    this._reach = Math.ceil(CROSSINGS * Math.max(1, fromHz / toHz));
    this._taps = 2 * this._reach;
    this._phases = new Float32Array(this._up * this._taps);
    for (let phase = 0; phase < this._up; phase++) {
      for (let tap = 0; tap < this._taps; tap++) {
        const distance = tap - this._reach + 1 - phase / this._up;
        const share = distance / this._reach;
        const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - share ** 2))) / bessel(BETA);
        this._phases[phase * this._taps + tap] = bandwidth * sinc(bandwidth * distance) * window;
      }
    }
  }

  /** Samples that it makes of so many. */
  lengthOf(samples) {
    return Math.round((samples * this._up) / this._down);
  }

  /**
   * Resamples a sound with silence around it.
   *
   * @param {Float32Array} x
   * @returns {Float32Array}
   */
  resample(x) {
    const padded = new Float32Array(x.length + 2 * this._taps);
    padded.set(x, this._taps);
    const y = new Float32Array(this.lengthOf(x.length));
    const phases = this._phases;
    const taps = this._taps;
    let first = taps - this._reach + 1;
    let phase = 0;
    for (let i = 0; i < y.length; i++) {
      const row = phase * taps;
      let even = 0;
      let odd = 0;
      for (let tap = 0; tap < taps; tap += 2) {
        even += padded[first + tap] * phases[row + tap];
        odd += padded[first + tap + 1] * phases[row + tap + 1];
      }
      y[i] = even + odd;
      phase += this._down;
      first += Math.floor(phase / this._up);
      phase %= this._up;
    }
    return y;
  }
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

function sinc(x) {
  return x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1;
}

/** The modified Bessel function of the first kind and order 0. */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
