/** The strip of one model: fader, mute, solo, where its sound is to go, and its picture. */
import { Asked } from "./asked.js";
import { Spectrogram } from "./spectrogram.js";
import { decibels, share } from "./words.js";

const SAID_MS = 12000;
const HUES = [200, 28, 140, 265, 330, 60, 175, 300];

/** Shows one model, and tells what is done to it by "change", "hold" and "steer" (detail: "near" or "far"). */
export class Channel extends EventTarget {
  /**
   * @param {object} model - See `readModels`.
   * @param {number} index - Its number.
   * @param {object} setting - {gainDb, isMuted, isSoloed}, and `asked` of a model that listens; it is changed here.
   */
  constructor(model, index, setting) {
    super();
    this._name = model.name;
    this._setting = setting;
    this._underruns = 0;
    this.element = document.getElementById("channel").content.firstElementChild.cloneNode(true);
    this.element.style.setProperty("--hue", HUES[index % HUES.length]);
    const find = (selector) => this.element.querySelector(selector);
    find("h3").textContent = model.name;
    find("canvas").setAttribute("aria-label", `Spectrogram of ${model.name}`);
    this._fader = find("input");
    this._fader.setAttribute("aria-label", `Volume of ${model.name}`);
    this._fader.addEventListener("input", () => this._set({ gainDb: this._fader.valueAsNumber }));
    this._text = find(".value");
    this._said = find(".said");
    this._mute = find(".mute");
    this._solo = find(".solo");
    this._mute.addEventListener("click", () => this._set({ isMuted: !setting.isMuted }));
    this._solo.addEventListener("click", () => this._set({ isSoloed: !setting.isSoloed }));
    for (const mode of ["near", "far"]) {
      find(`.${mode}`).addEventListener("click", () => this.dispatchEvent(new CustomEvent("steer", { detail: mode })));
    }
    for (const button of this.element.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent}: ${model.name}`);
    }
    if (setting.asked) {
      this._asked = new Asked(model, setting.asked, find(".asked"));
      this._asked.addEventListener("change", () => this.dispatchEvent(new Event("hold")));
    }
    this._picture = new Spectrogram(find("canvas"));
    this._show();
    if (model.reason) this.lose(model.reason);
  }

  /** Draws what sounds now. */
  draw(analyser, nowMs) {
    this._picture.draw(analyser, nowMs);
  }

  /** Whether something else silences it. */
  set isSilent(isSilent) {
    this.element.classList.toggle("silent", isSilent);
  }

  /** Shows that the model cannot be played, and why. */
  lose(reason) {
    this.element.classList.add("lost");
    this._said.textContent = `${this._name} cannot be played: ${reason}.`;
  }

  /** Shows how often the sound was too late, if it was. */
  set underruns(count) {
    if (count === this._underruns) return;
    this._underruns = count;
    this._showGaps();
  }

  /** Says something for a while. */
  say(text) {
    this._said.textContent = text;
    setTimeout(() => this._said.textContent === text && this._showGaps(), SAID_MS);
  }

  _showGaps() {
    if (this.element.classList.contains("lost")) return;
    const count = this._underruns;
    const gaps = count === 1 ? "One gap" : `${count} gaps`;
    this._said.textContent = count ? `${gaps}: this device makes the sound too slowly.` : "";
  }

  _set(values) {
    Object.assign(this._setting, values);
    this._show();
    this.dispatchEvent(new Event("change"));
  }

  _show() {
    const { gainDb, isMuted, isSoloed } = this._setting;
    showFader(this._fader, this._text, gainDb);
    this._mute.setAttribute("aria-pressed", isMuted);
    this._solo.setAttribute("aria-pressed", isSoloed);
  }
}

/** Shows decibels on a fader, beside it, and to a screen reader. */
export function showFader(fader, text, db) {
  fader.valueAsNumber = db;
  fader.style.setProperty("--share", share(fader));
  fader.setAttribute("aria-valuetext", decibels(db));
  text.textContent = decibels(db);
}
