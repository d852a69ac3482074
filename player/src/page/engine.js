/** The audio graph: a worker a model, the worklet that plays them, and what can be said to both. */

const ENOUGH_S = 4;
const PAUSE_S = 0.4;

/** The code of the worklet, or of the workers. */
const source = (id) => document.getElementById(id).textContent;

/**
 * Plays models together.
 *
 * Its `state` is "idle", then "preparing" until enough sound is there, "playing", "paused", "ended" by the timer,
 * "interrupted" by the system (a telephone call, say), or "failed" if no model can be played.
 *
 * Events: "change" (of the state), "status" (twice a second), "lost" (a model cannot be played; detail {index,
 * reason}), "recorded" (detail {samples, isLast}).
 */
export class Engine extends EventTarget {
  /**
   * @param {object[]} models - See `readModels`; those with a `reason` are not played.
   * @param {BaseAudioContext} context
   * @param {object} options - seed, a whole number; gains, factors of each model; volume, a factor of all; held, of
   *     each model what is asked of it, see `hold`, or null.
   */
  constructor(models, context, { seed, gains, volume, held }) {
    super();
    this._models = models;
    this._context = context;
    this._seed = seed;
    this._gains = gains;
    this._volume = volume;
    this._held = held;
    this._timerS = null;
    this._fadeOutS = 0;
    this._recordS = 0;
    this._opening = null;
    this._workers = models.map(() => null);
    this._isLost = models.map((model) => Boolean(model.reason));
    this.state = "idle";
    this.node = null;
    this.analysers = models.map(() => null);
    this.frames = models.map(() => 0);
    this.underruns = models.map(() => 0);
    this.remaining = Infinity;
    context.addEventListener("statechange", () => this._onContext());
  }

  /** Frames a second. */
  get rateHz() {
    return this._context.sampleRate;
  }

  /** The share of the sound that is needed to begin, in [0, 1]. */
  get prepared() {
    const frames = this.frames.filter((_, index) => !this._isLost[index]);
    return Math.min(1, ...frames.map((each) => each / (ENOUGH_S * this.rateHz)));
  }

  /**
   * Begins, or goes on; from a click, or browsers refuse it.
   *
   * @param {number} fadeInS - Seconds.
   */
  async play(fadeInS) {
    this._fadeInS = fadeInS;
    if (this.state !== "interrupted") this._become("preparing");
    try {
      // After an interruption it goes on by itself, see `_onContext`.
      await this._context.resume();
      await (this._opening ??= this._open());
    } catch (error) {
      this._fail(error);
      return;
    }
    // Who presses play within the last fade asks for more.
    if (this.remaining <= this._fadeOutS * this.rateHz) this._sendTimer();
    this._beginIfReady();
  }

  /** Fades out quickly and stands still. */
  pause() {
    if (this.state === "preparing") this._stand("paused");
    else if (this.state === "playing") {
      this._become("paused");
      this._post({ type: "pause", fade: PAUSE_S * this.rateHz });
    }
  }

  /** Sets the gain of each model, factors. */
  setGains(gains) {
    this._gains = gains;
    this._post({ type: "gains", gains });
  }

  /** Sets the gain of all, a factor. */
  setVolume(volume) {
    this._volume = volume;
    this._post({ type: "volume", gain: volume });
  }

  /**
   * Sets when it is to be silent, counted from now, or from when it begins, as long as it plays.
   *
   * @param {number|null} seconds - Null for never.
   */
  setTimer(seconds) {
    this._timerS = seconds;
    this._sendTimer();
  }

  /** Sets how long the sound fades before that, seconds. */
  setFadeOut(seconds) {
    this._fadeOutS = seconds;
    this._post({ type: "fadeOut", frames: seconds * this.rateHz });
  }

  /** Takes another seed, for all models. */
  setSeed(seed) {
    this._seed = seed;
    this._workers.forEach((worker) => worker?.postMessage({ type: "seed", seed }));
  }

  /** Has a model go on with sound like what it plays now ("near") or with other sound ("far"). */
  steer(index, mode) {
    this._workers[index]?.postMessage({ type: "steer", mode });
  }

  /** Has a model go on with labels and measures that are held, see `synthesis/steering.js`. */
  hold(index, held) {
    this._held[index] = held;
    this._workers[index]?.postMessage({ type: "hold", held });
  }

  /** Records so many seconds, from now or from when it begins; 0 ends a recording. */
  record(seconds) {
    this._recordS = seconds;
    this._post({ type: "record", frames: Math.round(seconds * this.rateHz) });
  }

  async _open() {
    // Files may not load it from a blob: address.
    const worklet = `data:text/javascript;charset=utf-8,${encodeURIComponent(source("worklet"))}`;
    await this._context.audioWorklet.addModule(worklet);
    this.node = new AudioWorkletNode(this._context, "player", {
      numberOfInputs: 0,
      numberOfOutputs: 1 + this._models.length,
      outputChannelCount: [2, ...this._models.map(() => 2)],
      processorOptions: { gains: this._gains, volume: this._volume },
    });
    this.node.port.onmessage = ({ data }) => this[`_on_${data.type}`](data);
    this.node.onprocessorerror = () => this._fail(new Error("the audio thread has stopped"));
    this.node.connect(this._context.destination);
    this.setFadeOut(this._fadeOutS);
    this._sendTimer();
    if (this._recordS) this.record(this._recordS);
    const address = URL.createObjectURL(new Blob([source("worker")], { type: "text/javascript" }));
    this._models.forEach((model, index) => {
      this.analysers[index] = new AnalyserNode(this._context, {
        fftSize: 2048,
        smoothingTimeConstant: 0.6,
        minDecibels: -110,
        maxDecibels: -45,
      });
      this.node.connect(this.analysers[index], index + 1);
      if (!model.reason) this._startWorker(model, index, address);
    });
  }

  _startWorker(model, index, address) {
    const worker = (this._workers[index] = new Worker(address));
    const { port1, port2 } = new MessageChannel();
    worker.onmessage = ({ data }) => this._lose(index, data.reason);
    worker.onerror = (event) => this._lose(index, event.message || "its worker has stopped");
    this._post({ type: "line", index, port: port2 }, [port2]);
    const { header, weights, kernel } = model;
    const { rateHz, _seed: seed } = this;
    const sound = { header, weights, kernel, rateHz, seed, line: index, held: this._held[index] };
    worker.postMessage({ type: "start", ...sound, port: port1 }, [port1]);
  }

  _post(message, transfer = []) {
    this.node?.port.postMessage(message, transfer);
  }

  _sendTimer() {
    const frames = this._timerS === null ? null : Math.round(this._timerS * this.rateHz);
    this.remaining = frames ?? Infinity;
    this._post({ type: "timer", frames });
  }

  _beginIfReady() {
    if (this.state !== "preparing" || !this.node || this.prepared < 1) return;
    this._post({ type: "play", fade: this._fadeInS * this.rateHz });
    this._become("playing");
  }

  _on_status({ frames, underruns, remaining }) {
    Object.assign(this, { frames, underruns, remaining });
    this._beginIfReady();
    this._tell("status");
  }

  _on_silent({ hasEnded }) {
    if (hasEnded) {
      // The next play has the whole time again.
      this._sendTimer();
      this._stand("ended");
    } else if (this.state === "paused") {
      this._stand("paused");
    }
  }

  _on_recorded({ samples, isLast }) {
    if (isLast) this._recordS = 0;
    this._tell("recorded", { samples, isLast });
  }

  /** Stands still: nothing is played, and so nothing is made. */
  _stand(state) {
    this._become(state);
    this._context.suspend().catch(() => {});
  }

  _onContext() {
    const isRunning = this._context.state === "running";
    if (!isRunning && (this.state === "playing" || this.state === "preparing")) {
      this._wasPlaying = this.state === "playing";
      this._become("interrupted");
    } else if (isRunning && this.state === "interrupted") {
      this._become(this._wasPlaying ? "playing" : "preparing");
    }
  }

  /** Gives a model up; what it has made already is played to its end. */
  _lose(index, reason) {
    if (this._isLost[index]) return;
    this._isLost[index] = true;
    this._workers[index].terminate();
    this._workers[index] = null;
    this._tell("lost", { index, reason });
    if (this._isLost.every(Boolean)) this._fail(new Error("no model is left"));
    else this._beginIfReady();
  }

  _fail(error) {
    this.reason = error.message;
    this._stand("failed");
  }

  _become(state) {
    if (state === this.state) return;
    this.state = state;
    this._tell("change");
  }

  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
