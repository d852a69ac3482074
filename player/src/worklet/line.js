/** The sound of one model as it waits to be played. */

const ENTER_S = 2.5;
const CROSS_FADE_S = 1.5;
const RESUME_S = 1;
const EDGE_S = 0.02;

/** Chunks of stereo sound, one after the other. */
class Queue {
  constructor() {
    this._chunks = [];
    this._offset = 0;
    this.frames = 0;
  }

  push(left, right) {
    this._chunks.push([left, right]);
    this.frames += left.length;
  }

  /** Adds the next frames, each under its gain, to a block; fewer where there are fewer. Returns how many. */
  take(left, right, gains) {
    const wanted = Math.min(left.length, this.frames);
    let done = 0;
    while (done < wanted) {
      const [from, fromRight] = this._chunks[0];
      const frames = Math.min(wanted - done, from.length - this._offset);
      for (let i = 0; i < frames; i++) {
        left[done + i] += gains[done + i] * from[this._offset + i];
        right[done + i] += gains[done + i] * fromRight[this._offset + i];
      }
      done += frames;
      this._offset += frames;
      if (this._offset === from.length) {
        this._chunks.shift();
        this._offset = 0;
      }
    }
    this.frames -= done;
    return done;
  }
}

/**
 * The sound that a worker has sent and that is not played yet.
 *
 * It comes in stretches: a new one, of another seed say, takes the place of what waits of the last one, under a
 * cross-fade. Where the worker is late the sound fades out before the queue is empty, and in again when there is
 * enough.
 */
export class Line {
  /**
   * @param {number} rateHz
   * @param {MessagePort} port - Of the worker, which sends {type: "chunk", stretch, left, right} and is told by
   *     {type: "taken", stretch, frames} how much of its newest stretch has been played.
   * @param {function(): void} whenFilled - Called after each chunk.
   */
  constructor(rateHz, port, whenFilled) {
    this._enter = ENTER_S * rateHz;
    this._resume = RESUME_S * rateHz;
    this._edge = Math.round(EDGE_S * rateHz);
    this._step = 1 / this._edge;
    this._crossStep = 1 / (CROSS_FADE_S * rateHz);
    this._queue = new Queue();
    this._entering = null;
    this._leaving = null;
    this._crossed = 1;
    this._stretch = 0;
    this._taken = 0;
    this._told = 0;
    this._level = 0;
    this._gains = this._gainsLeaving = new Float32Array(0);
    this._isFlowing = false;
    this._hasBegun = false;
    this.underruns = 0;
    this._port = port;
    port.onmessage = ({ data }) => {
      this._receive(data);
      whenFilled();
    };
  }

  /** Frames that wait, of what sounds or of what is to take its place. */
  get frames() {
    return Math.max(this._queue.frames, this._entering?.frames ?? 0);
  }

  _receive({ stretch, left, right }) {
    if (stretch !== this._stretch) {
      this._stretch = stretch;
      this._taken = this._told = 0;
      if (this._hasBegun) this._entering = new Queue();
      else this._queue = new Queue();
    }
    (this._entering ?? this._queue).push(left, right);
  }

  /**
   * Adds the next frames to a block of zeros.
   *
   * @param {Float32Array} left
   * @param {Float32Array} right
   */
  read(left, right) {
    this._hasBegun = true;
    if (this._entering?.frames >= this._enter && !this._leaving) {
      this._leaving = this._queue;
      this._queue = this._entering;
      this._entering = null;
      this._crossed = 0;
    }
    const isLate = this._queue.frames < this._edge + left.length;
    if (this._isFlowing && isLate) {
      this._isFlowing = false;
      this.underruns++;
    } else if (!this._isFlowing && this._queue.frames >= this._resume) {
      this._isFlowing = true;
    }
    if (!this._isFlowing && this._level === 0) return;
    this._weigh(left.length);
    this._leaving?.take(left, right, this._gainsLeaving);
    const taken = this._queue.take(left, right, this._gains);
    if (!this._entering) this._taken += taken;
    if (this._crossed === 1) this._leaving = null;
  }

  /** Computes the gains of a block's frames, of what sounds and of what goes. */
  _weigh(frames) {
    if (this._gains.length !== frames) [this._gains, this._gainsLeaving] = [0, 1].map(() => new Float32Array(frames));
    const step = this._isFlowing ? this._step : -this._step;
    for (let i = 0; i < frames; i++) {
      this._level = Math.min(1, Math.max(0, this._level + step));
      this._crossed = Math.min(1, this._crossed + this._crossStep);
      // What goes and what comes are unrelated: their powers add up.
      this._gains[i] = this._level * Math.sin((Math.PI / 2) * this._crossed);
      this._gainsLeaving[i] = this._level * Math.cos((Math.PI / 2) * this._crossed);
    }
  }

  /** Tells the worker how far the sound is, so that it makes more. */
  tell() {
    if (this._taken === this._told) return;
    this._told = this._taken;
    this._port.postMessage({ type: "taken", stretch: this._stretch, frames: this._taken });
  }
}
