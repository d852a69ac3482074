/** Recording what is heard into a file. */
import { clock } from "./words.js";
import { wav } from "./wav.js";

const BATCH = 30;

/** The panel that records: a button, how far it is, and the file at its end. */
export class Recording {
  /**
   * @param {object} page - start, a function of seconds that begins a recording, and ends one with 0; rateHz and
   *     name, functions.
   */
  constructor({ start, rateHz, name }) {
    this._start = start;
    this._rateHz = rateHz;
    this._name = name;
    this._button = document.getElementById("record");
    this._minutes = document.getElementById("minutes");
    this._said = document.getElementById("recorded");
    this._link = document.getElementById("download");
    this._frames = 0;
    this._isOn = false;
    this._button.addEventListener("click", () => (this._isOn ? this._start(0) : this._begin()));
  }

  /** Takes a part of the sound. */
  add({ samples, isLast }) {
    this._frames += samples.length / 2;
    this._parts.push(samples);
    // Browsers keep a blob on disk; arrays would be in memory for hours.
    if (this._parts.length === BATCH || isLast) {
      this._batches.push(new Blob(this._parts));
      this._parts = [];
    }
    this._said.textContent = `${this._clock(this._frames)} of ${clock(this._seconds)}`;
    if (isLast) this._finish();
  }

  /** Ends without a file what has recorded nothing, as the sound never began. */
  cancel() {
    if (!this._frames) this._show(false, "");
  }

  _begin() {
    this._seconds = 60 * this._minutes.valueAsNumber;
    this._frames = 0;
    this._parts = [];
    this._batches = [];
    this._link.hidden = true;
    this._show(true, `0:00 of ${clock(this._seconds)}`);
    this._start(this._seconds);
  }

  _finish() {
    this._show(false, "");
    if (!this._frames) return;
    if (this._link.href) URL.revokeObjectURL(this._link.href);
    const file = wav(new Blob(this._batches), this._rateHz());
    this._batches = [];
    this._link.href = URL.createObjectURL(file);
    this._link.download = `${this._name()}.wav`;
    this._link.textContent = `Save ${this._clock(this._frames)} (${(file.size / 1e6).toFixed(1)} MB)`;
    this._link.hidden = false;
    this._link.click();
  }

  _show(isOn, text) {
    this._isOn = isOn;
    this._button.textContent = isOn ? "Stop" : "Record";
    this._said.textContent = text;
  }

  _clock(frames) {
    return clock(frames / this._rateHz());
  }
}
