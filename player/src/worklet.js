/**
 * Plays the lines of all models in the audio thread: faders, mix, fade, limiter, timer and recorder.
 *
 * Output 0 is the mix, outputs 1 and on are the models, each after its fader. Time is counted here, in frames that were
 * played, so timer and recording stand still while the sound does.
 */
import { Fade, Fader } from "./worklet/gains.js";
import { Limiter } from "./worklet/limiter.js";
import { Line } from "./worklet/line.js";
import { Recorder } from "./worklet/recorder.js";

const STATUS_S = 0.5;
const SHORTEST_FADE_S = 0.02;

class Player extends AudioWorkletProcessor {
  constructor({ processorOptions: { gains, volume } }) {
    super();
    this._lines = gains.map(() => null);
    this._faders = gains.map((gain) => new Fader(gain, sampleRate));
    this._volume = new Fader(volume, sampleRate);
    this._fade = new Fade();
    this._limiter = new Limiter(sampleRate);
    this._recorder = null;
    this._isRunning = this._isPausing = this._isEnding = false;
    this._remaining = Infinity;
    this._timerFade = 0;
    this._sinceStatus = 0;
    this.port.onmessage = ({ data }) => this[`_on_${data.type}`](data);
  }

  /** A model: the other end of its worker's port. */
  _on_line({ index, port }) {
    this._lines[index] = new Line(sampleRate, port, () => this._report());
  }

  _on_gains({ gains }) {
    gains.forEach((gain, index) => (this._faders[index].target = gain));
  }

  _on_volume({ gain }) {
    this._volume.target = gain;
  }

  _on_play({ fade }) {
    this._isRunning = true;
    this._isPausing = this._isEnding = false;
    this._fade.in(fade);
  }

  _on_pause({ fade }) {
    this._isPausing = true;
    this._fade.out(fade);
  }

  /** Silence after so many frames, or never (null). */
  _on_timer({ frames }) {
    this._remaining = frames ?? Infinity;
    if (this._isEnding && !this._isPausing) this._fade.in(sampleRate);
    this._isEnding = false;
  }

  /** The last frames before the timer's silence, which fade out. */
  _on_fadeOut({ frames }) {
    this._timerFade = Math.max(frames, SHORTEST_FADE_S * sampleRate);
  }

  /** Records the next frames; 0 ends a recording. */
  _on_record({ frames }) {
    this._recorder?.finish();
    const send = (samples, isLast) => {
      this.port.postMessage({ type: "recorded", samples, isLast }, [samples.buffer]);
    };
    this._recorder = frames ? new Recorder(frames, sampleRate, send) : null;
  }

  process(_, outputs) {
    const [left, right] = outputs[0];
    if (this._isRunning) this._mix(outputs);
    // What it holds back comes out although nothing goes in.
    this._limiter.process(left, right);
    if (this._isRunning) {
      this._recorder?.add(left, right);
      this._count(left.length);
    }
    this._sinceStatus += left.length;
    if (this._sinceStatus >= STATUS_S * sampleRate) this._report();
    return true;
  }

  _mix(outputs) {
    const [left, right] = outputs[0];
    this._lines.forEach((line, index) => {
      const [lineLeft, lineRight] = outputs[index + 1];
      line?.read(lineLeft, lineRight);
      this._faders[index].process(lineLeft, lineRight);
      for (let i = 0; i < left.length; i++) {
        left[i] += lineLeft[i];
        right[i] += lineRight[i];
      }
    });
    this._volume.process(left, right);
    this._fade.process(left, right);
  }

  /** Lets time pass; begins to end what is to end, and ends it. */
  _count(frames) {
    this._remaining -= frames;
    if (this._remaining <= this._timerFade && !this._isEnding && !this._isPausing) {
      this._isEnding = true;
      this._fade.out(this._remaining);
    }
    const hasEnded = this._remaining <= 0;
    if (!hasEnded && !(this._isPausing && this._fade.isSilent)) return;
    this._isRunning = false;
    if (hasEnded) {
      this._remaining = Infinity;
      this._recorder?.finish();
    }
    this.port.postMessage({ type: "silent", hasEnded });
  }

  _report() {
    this._sinceStatus = 0;
    this._lines.forEach((line) => line?.tell());
    this.port.postMessage({
      type: "status",
      frames: this._lines.map((line) => line?.frames ?? 0),
      underruns: this._lines.map((line) => line?.underruns ?? 0),
      remaining: this._remaining,
    });
  }
}

registerProcessor("player", Player);
