/** The page: what the listener sets goes to the engine, and what the engine does is shown. */
import { heldOf } from "./asked.js";
import { Channel, showFader } from "./channel.js";
import { Engine } from "./engine.js";
import { readModels } from "./models.js";
import { Recording } from "./recording.js";
import { TIMER_MINUTES, load, newSeed, save, seedOfAddress, toSeed } from "./settings.js";
import { clock, duration, gainOf, list } from "./words.js";

/** Rates that every browser plays. */
const LEAST_HZ = 8000;
const MOST_HZ = 96000;

/** Until a fader has come to rest: what it passes on its way is not wanted. */
const REST_MS = 400;

const STATUS = {
  idle: globalThis.WebAssembly ? "" : "This browser has no WebAssembly: the sound may have gaps. A newer one has it.",
  preparing: "Making the first seconds of sound\u2026",
  playing: "Playing",
  paused: "Paused",
  ended: "The sleep timer has ended.",
  interrupted: "The system has interrupted the sound. Press play to go on.",
};

const element = (id) => document.getElementById(id);

/** Says why nothing can be played in this browser, or null. */
function whatIsMissing() {
  const newer = "Use a newer Chrome, Edge, Firefox or Safari.";
  if (!globalThis.isSecureContext) {
    return (
      "Browsers let a page make sound only from localhost, from https or from a file. Open it in one of these ways: " +
      "wavegan export with --format web writes the page into a file."
    );
  }
  if (!globalThis.AudioContext || !globalThis.AudioWorkletNode) return `This browser has no AudioWorklet. ${newer}`;
  if (!globalThis.Worker) return `This browser has no Worker. ${newer}`;
  return null;
}

/** Binds what is seen to the engine, which is made when it is first to play. */
class Page {
  constructor(models) {
    this.models = models;
    this.engine = null;
    this._names = models.map(({ name }) => name);
    this._key = ["wavegan", ...models.map(({ header }) => String(header?.digest).slice(0, 12))].join(" ");
    this._settings = load(this._key, models);
    this._resting = models.map(() => null);
    this._channels = models.map((model, index) => this._addChannel(model, index));
    this._recording = new Recording({
      start: (seconds) => this._record(seconds),
      rateHz: () => this.engine.rateHz,
      name: () => `${this._names.join("-").replace(/[^\p{L}\p{N}]+/gu, "-")}-seed-${this._settings.seed}`,
    });
    document.title = element("title").textContent = list(this._names);
    this._listen();
    this._save();
    element("panels").hidden = false;
    element("play").disabled = models.every(({ reason }) => reason);
    this._show("idle");
  }

  _addChannel(model, index) {
    const channel = new Channel(model, index, this._settings.channels[index]);
    channel.addEventListener("change", () => {
      this._save();
      this._showSilent();
      this.engine?.setGains(this._gains());
    });
    channel.addEventListener("hold", () => {
      this._save();
      clearTimeout(this._resting[index]);
      this._resting[index] = setTimeout(() => this._hold(index), REST_MS);
    });
    channel.addEventListener("steer", ({ detail }) => this._steer(index, detail));
    element("channels").append(channel.element);
    return channel;
  }

  _steer(index, mode) {
    if (this.engine?.state !== "playing") {
      this._channels[index].say("Press play first.");
      return;
    }
    this.engine.steer(index, mode);
    this._channels[index].say(mode === "near" ? "More like this, in a moment." : "Something else, in a moment.");
  }

  _hold(index) {
    this.engine?.hold(index, this._held(index));
    if (this.engine?.state === "playing") this._channels[index].say("Changes in a moment.");
  }

  /** What is held of a model; null of one that does not listen. */
  _held(index) {
    const { asked } = this._settings.channels[index];
    return asked ? heldOf(asked, this.models[index].header) : null;
  }

  _gains() {
    const { channels } = this._settings;
    const hasSolo = channels.some(({ isSoloed }) => isSoloed);
    return channels.map(({ gainDb, isMuted, isSoloed }) => ((hasSolo ? isSoloed : !isMuted) ? gainOf(gainDb) : 0));
  }

  _showSilent() {
    this._gains().forEach((gain, index) => (this._channels[index].isSilent = gain === 0));
  }

  _listen() {
    const settings = this._settings;
    element("play").addEventListener("click", () => this.toggle());
    document.addEventListener("keydown", (event) => {
      const hasOwnUse = event.target.closest("button, a, select, input:not([type=range])");
      if (event.key !== " " || event.repeat || hasOwnUse) return;
      event.preventDefault();
      this.toggle();
    });
    this._listenTo("volume", settings, "volumeDb", () => {
      showFader(element("volume"), element("volume-text"), settings.volumeDb);
      this.engine?.setVolume(gainOf(settings.volumeDb));
    });
    element("timer").append(...TIMER_MINUTES.map((each) => new Option(each ? duration(each) : "off", each)));
    element("timer").value = settings.timerMinutes;
    element("timer").addEventListener("change", () => {
      settings.timerMinutes = Number(element("timer").value);
      this._save();
      this.engine?.setTimer(this._timerS);
    });
    this._listenTo("fade-in", settings, "fadeInS");
    this._listenTo("fade-out", settings, "fadeOutS", () => this.engine?.setFadeOut(settings.fadeOutS));
    this._listenTo("minutes", settings, "recordMinutes");
    element("seed").addEventListener("change", () => this._setSeed(toSeed(element("seed").value)));
    element("new-seed").addEventListener("click", () => this._setSeed(newSeed()));
    element("copy-link").addEventListener("click", () => this._copyLink());
    addEventListener("hashchange", () => this._setSeed(seedOfAddress()));
    this._showSeed();
    this._showSilent();
  }

  /** Binds a number of the settings to its input; what is out of range is put back. */
  _listenTo(id, settings, name, then = () => {}) {
    const input = element(id);
    input.valueAsNumber = settings[name];
    input.addEventListener(input.type === "range" ? "input" : "change", () => {
      if (input.value !== "" && input.checkValidity()) settings[name] = input.valueAsNumber;
      input.valueAsNumber = settings[name];
      this._save();
      then();
    });
    then();
  }

  get isOn() {
    return ["preparing", "playing"].includes(this.engine?.state);
  }

  /** Plays or pauses. */
  toggle() {
    if (this.isOn) this.pause();
    else this.play();
  }

  play() {
    if (element("play").disabled || this.isOn) return;
    try {
      this.engine ??= this._makeEngine();
    } catch (error) {
      showWrong(`This browser cannot make sound: ${error.message}`);
      return;
    }
    this.engine.play(this._settings.fadeInS);
  }

  pause() {
    if (this.isOn) this.engine.pause();
  }

  _makeEngine() {
    // It begins with what they would tell it.
    this._resting.forEach(clearTimeout);
    const rates = this.models.filter(({ reason }) => !reason).map(({ header }) => header.sample_rate_hz);
    const sampleRate = Math.min(MOST_HZ, Math.max(LEAST_HZ, ...rates));
    const engine = new Engine(this.models, new AudioContext({ sampleRate, latencyHint: "playback" }), {
      seed: this._settings.seed,
      gains: this._gains(),
      volume: gainOf(this._settings.volumeDb),
      held: this.models.map((_, index) => this._held(index)),
    });
    engine.setTimer(this._timerS);
    engine.setFadeOut(this._settings.fadeOutS);
    engine.addEventListener("change", () => this._show(engine.state));
    engine.addEventListener("status", () => this._showStatus());
    engine.addEventListener("lost", ({ detail }) => this._channels[detail.index].lose(detail.reason));
    engine.addEventListener("recorded", ({ detail }) => this._recording.add(detail));
    if (this._recordS) engine.record(this._recordS);
    this._tellSystem();
    return engine;
  }

  /** Names the sound where the system shows what plays, and listens to its keys. */
  _tellSystem() {
    if (!navigator.mediaSession) return;
    navigator.mediaSession.metadata = new MediaMetadata({ title: document.title, artist: "WaveGAN" });
    navigator.mediaSession.setActionHandler("play", () => this.play());
    navigator.mediaSession.setActionHandler("pause", () => this.pause());
  }

  /** Seconds of the sleep timer, or null. */
  get _timerS() {
    return 60 * this._settings.timerMinutes || null;
  }

  _record(seconds) {
    this._recordS = seconds;
    if (this.engine) this.engine.record(seconds);
    if (!seconds) this._recording.cancel();
  }

  _setSeed(seed) {
    if (seed !== null && seed !== this._settings.seed) {
      this._settings.seed = seed;
      this.engine?.setSeed(seed);
      element("seed-said").textContent = "";
    }
    this._showSeed();
    this._save();
  }

  _showSeed() {
    element("seed").value = this._settings.seed;
  }

  async _copyLink() {
    try {
      await navigator.clipboard.writeText(location.href);
      element("seed-said").textContent = "The link is copied.";
    } catch {
      element("seed-said").textContent = "This browser copies nothing for pages; the link is this page's address.";
    }
  }

  _save() {
    save(this._key, this._settings);
  }

  _show(state) {
    const { isOn } = this;
    element("play").classList.toggle("playing", isOn);
    element("play").setAttribute("aria-label", isOn ? "Pause" : "Play");
    if (state === "failed") showWrong(`Nothing can be played: ${this.engine.reason}.`);
    else element("status").textContent = STATUS[state];
    if (navigator.mediaSession) navigator.mediaSession.playbackState = isOn ? "playing" : "paused";
    if (state === "playing") this._draw();
    this._showStatus();
  }

  _showStatus() {
    const { engine } = this;
    engine?.underruns.forEach((count, index) => (this._channels[index].underruns = count));
    const seconds = engine ? engine.remaining / engine.rateHz : Infinity;
    const isShown = Number.isFinite(seconds) && ["playing", "paused", "interrupted"].includes(engine.state);
    element("remaining").textContent = isShown ? `Silence in ${clock(seconds)}` : "";
  }

  /** Draws as long as it plays. */
  _draw() {
    requestAnimationFrame((nowMs) => {
      if (this.engine.state !== "playing") return;
      this._channels.forEach((channel, index) => channel.draw(this.engine.analysers[index], nowMs));
      this._draw();
    });
  }
}

function showWrong(text) {
  element("status").textContent = text;
  element("status").classList.add("wrong");
  element("play").disabled = true;
}

async function begin() {
  const missing = whatIsMissing();
  if (missing) {
    showWrong(missing);
    return;
  }
  const models = await readModels();
  const page = new Page(models);
  if (models.every(({ reason }) => reason)) showWrong("None of the models in this page can be played.");
  // For the console, and for tests.
  globalThis.player = { page, Engine };
}

begin().catch((error) => showWrong(error.message));
