/** What is asked of a model that listens: a label, and a fader a measure; or what comes as in the recordings. */
import { percent, share } from "./words.js";

const MIX = "mix";
const AS_RECORDED = "";
const MIDDLE = 0.5;
const MOST_NAMED = 3;

/** Shows what is asked of one model, and tells what is done to it by "change". */
export class Asked extends EventTarget {
  /**
   * @param {object} model - See `readModels`; it listens.
   * @param {object} setting - {label, faders}, see `settings.load`, which is changed here.
   * @param {HTMLElement} element - Into which it goes.
   */
  constructor({ name, header }, setting, element) {
    super();
    this._setting = setting;
    const { labels, measures, begin } = header;
    if (labels.length) element.append(this._makeSelect(name, labels, begin?.label));
    this._faders = measures.map((word, index) => {
      const fader = new Fader(name, word, setting.faders[index]);
      fader.addEventListener("change", () => {
        setting.faders[index] = fader.place;
        this._tell();
      });
      element.append(fader.element);
      return fader;
    });
    element.hidden = false;
  }

  _makeSelect(name, labels, mix) {
    const element = cloneOf("label");
    const select = element.querySelector("select");
    select.setAttribute("aria-label", `Label of ${name}`);
    select.append(new Option("as in the recordings", AS_RECORDED));
    if (isMix(mix)) select.append(new Option(nameOf(mix, labels), MIX));
    select.append(...labels.map((each, place) => new Option(each, place)));
    select.value = this._setting.label;
    select.addEventListener("change", () => {
      this._setting.label = select.value;
      this._tell();
    });
    return element;
  }

  _tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** A fader of a measure. Its `place` is a number in [0, 1], or null for what comes by itself. */
class Fader extends EventTarget {
  constructor(name, word, place) {
    super();
    this.place = place;
    this.element = cloneOf("fader");
    this._range = this.element.querySelector("input");
    this._text = this.element.querySelector(".value");
    this._free = this.element.querySelector("button");
    const title = word[0].toUpperCase() + word.slice(1);
    this.element.querySelector(".name").textContent = title;
    this._range.setAttribute("aria-label", `${title} of ${name}`);
    this._free.setAttribute("aria-label", `${title} as it comes: ${name}`);
    this._range.valueAsNumber = 100 * (place ?? MIDDLE);
    this._range.addEventListener("input", () => this._set(this._range.valueAsNumber / 100));
    this._free.addEventListener("click", () => this._set(this.place === null ? this._range.valueAsNumber / 100 : null));
    this._show();
  }

  _set(place) {
    this.place = place;
    this._show();
    this.dispatchEvent(new Event("change"));
  }

  _show() {
    const isFree = this.place === null;
    const text = isFree ? "" : percent(this.place);
    this.element.classList.toggle("free", isFree);
    this._range.style.setProperty("--share", isFree ? "0%" : share(this._range));
    this._range.setAttribute("aria-valuetext", text || "as it comes");
    this._text.textContent = text;
    this._free.setAttribute("aria-pressed", isFree);
  }
}

/**
 * What is kept of a model that listens, as it may be: what it begins with, unless that has been changed.
 *
 * @param {object} stored - Of this model, or anything.
 * @param {object} header
 * @returns {{begin: object|undefined, label: string, faders: (number|null)[]}} `label` is "", the number of a label or
 *     "mix", that which the model begins with.
 */
export function within(stored, { labels, measures, begin }) {
  const isNew = JSON.stringify(stored.begin) !== JSON.stringify(begin);
  const { label, faders } = isNew ? beginning(begin) : stored;
  const isLabel = isMix(begin?.label) && label === MIX;
  const isNumber = /^(0|[1-9]\d{0,8})$/.test(label) && Number(label) < labels.length;
  const isPlace = (each) => typeof each === "number" && each >= 0 && each <= 1;
  return {
    begin,
    label: isLabel || isNumber ? String(label) : AS_RECORDED,
    faders: measures.map((_, index) => (isPlace(faders?.[index]) ? faders[index] : null)),
  };
}

/** What is to be held, as `synthesis/steering.js` takes it. */
export function heldOf({ label, faders }, { labels, begin }) {
  const weights = labels.map((_, place) => Number(String(place) === label));
  return {
    label: label === AS_RECORDED ? null : label === MIX ? begin.label : weights,
    measures: [...faders],
  };
}

function beginning(begin) {
  const label = begin?.label;
  return {
    label: isMix(label) ? MIX : label ? String(label.indexOf(1)) : AS_RECORDED,
    faders: begin?.measures,
  };
}

/** Whether weights are of more labels than one. */
const isMix = (weights) => Boolean(weights) && !weights.includes(1);

function nameOf(mix, labels) {
  const parts = mix.map((weight, place) => ({ weight, name: labels[place] })).filter(({ weight }) => weight > 0);
  const named = parts.slice(0, MOST_NAMED).map(({ weight, name }) => `${name} ${percent(weight)}`);
  return [...named, ...(parts.length > MOST_NAMED ? [`${parts.length - MOST_NAMED} more`] : [])].join(", ");
}

const cloneOf = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);
