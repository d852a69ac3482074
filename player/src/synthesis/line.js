/**
 * The endless line of one model: pieces one after the other, chosen, cross-faded and guarded as generate.py does it
 * (`rendering.lines`, `rendering.composition`), so that both make the same sound of a seed.
 *
 * Pieces are measured at the model's own rate and sound at the output's, so which ones follow each other does not
 * depend on where they are played.
 */
import { correlation, evenness, fadeIn } from "./fades.js";
import { StartleGuard } from "./guard.js";
import { drawInput } from "./inputs.js";
import { amplitude, roundToEven } from "./loudness.js";
import { Resampler } from "./resampler.js";
import { Steering } from "./steering.js";
import { Stretches } from "./stretches.js";
import { distanceDb, traitsOf } from "./traits.js";

/** Pieces among which the next one is chosen. */
const CANDIDATES = 8;
const SHORTEST_EDGE = 512;
const SPEAKERS = 2;

/** Pieces in a row that may be rejected. */
const MOST_REJECTED = 200;

/** Pieces of a stretch of indices, more than a line comes to. */
const STRETCH = 2 ** 26;

/** Seconds for which pieces are remembered once they have begun, to be steered by. */
const MEMORY_S = 60;

/** The sound of one model, from its beginning on without end. */
export class Line {
  /**
   * @param {object} options
   * @param {Model} options.model
   * @param {number} options.rate_hz - Of the output, an integer.
   * @param {number|bigint} options.seed - An integer, at least 0.
   * @param {number} options.line - Its number among those of the seed, an integer, at least 0.
   * @param {number} options.max_jump_db - The largest rise of the short-term loudness within 3 s.
   * @param {object|null} options.held - Labels and measures that are held, see `Steering.hold`.
   */
  constructor({ model, rate_hz: rateHz, seed, line, max_jump_db: maxJumpDb = 6, held = null }) {
    const { header } = model;
    const isResampled = rateHz !== header.sample_rate_hz;
    this._model = model;
    this._rateHz = rateHz;
    this._seed = seed;
    this._line = line;
    this._steering = new Steering(header, held);
    this._resampler = isResampled ? new Resampler(header.sample_rate_hz, rateHz) : null;
    this._pieceLen = isResampled ? this._resampler.lengthOf(header.slice_len) : header.slice_len;
    this._fade = Math.floor((this._pieceLen * header.fade) / header.slice_len);
    this._fadeIn = fadeIn(this._fade);
    this._edge = Math.min(Math.max(header.fade, SHORTEST_EDGE), header.slice_len);
    this._gain = Math.fround(amplitude(header.gain_db));
    this._guard = new StartleGuard(maxJumpDb, rateHz, header.channels, SPEAKERS);
    this._stretches = new Stretches(this._pieceLen, Math.max(1, roundToEven(this._pieceLen / rateHz)));
    this._nextIndex = 0;
    this._waiting = [];
    this._upcoming = null;
    this._active = [];
    this._position = 0;
    /**
     * Pieces that began within the last minute, with what `rendering.pieces.Piece` has: index, start, correlationIn,
     * correlationOut, gainsDb; and z and given, their inputs.
     */
    this.pieces = [];
  }

  /**
   * Makes the next frames.
   *
   * @param {number} frames
   * @returns {Float32Array[]} Left and right, of a mono model one and the same.
   * @throws {Error} The model makes nothing that can be used.
   */
  next(frames) {
    const start = this._position;
    const end = start + frames;
    // The first piece has faded in when the line begins.
    this._upcoming ??= this._choose(null);
    while (this._upcoming.start < end) this._take();
    const mix = Array.from({ length: this._model.header.channels }, () => new Float32Array(frames));
    for (const { piece, sound } of this._active) {
      const low = Math.max(start, piece.start);
      const high = Math.min(end, piece.start + this._pieceLen);
      mix.forEach((channel, c) => {
        for (let frame = low; frame < high; frame++) channel[frame - start] += sound[c][frame - piece.start];
      });
    }
    this._active = this._active.filter(({ piece }) => piece.start + this._pieceLen > end);
    this.pieces = this.pieces.filter((piece) => piece.start + MEMORY_S * this._rateHz > end);
    this._position = end;
    return [mix[0], mix[1] ?? mix[0]];
  }

  /**
   * Changes what comes next, after the piece that is chosen already: the same calls after the same frames make the same
   * sound.
   *
   * Near: pieces as like the one that sounds now as a third of the way to any other makes them, see `Steering`. Far:
   * any pieces again, of another stretch of indices, so none that would have come otherwise.
   *
   * @param {{mode: "near"|"far", ago: number}} how - What sounds now has been made so many frames ago, up to a minute.
   */
  steer({ mode, ago = 0 }) {
    this._upcoming ??= this._choose(null);
    this._waiting = [];
    if (mode === "near") {
      const isBegun = (piece) => piece.start <= this._position - ago;
      this._steering.stayNear(this.pieces.findLast(isBegun) ?? this.pieces[0] ?? this._upcoming);
    } else {
      this._steering.leave();
      this._nextIndex = (Math.floor(this._nextIndex / STRETCH) + 1) * STRETCH;
    }
  }

  /** Holds labels and measures, see `Steering.hold`, in what comes after the piece that is chosen already. */
  hold(held) {
    this._waiting = [];
    this._steering.hold(held);
  }

  /** Chooses the piece that follows another, or the first one. */
  _choose(last) {
    while (this._waiting.length < CANDIDATES) this._waiting.push(this._nextGood());
    let choice = 0;
    // A piece that nothing leads to is used when its turn has been passed over often enough.
    if (last && this._waiting[0].passed < 2 * CANDIDATES) {
      const costs = this._waiting.map(({ traits }) => distanceDb(traits.headDb, last.tailDb));
      choice = costs.indexOf(Math.min(...costs));
    }
    const [{ index, z, given, sound, traits }] = this._waiting.splice(choice, 1);
    this._waiting.forEach((each) => each.passed++);
    return {
      index,
      z,
      given,
      start: last ? last.start + this._pieceLen - this._fade : -this._fade,
      correlationIn: 0,
      sound: this._resampler ? sound.map((channel) => this._resampler.resample(channel)) : sound,
      tailDb: traits.tailDb,
    };
  }

  /** Makes pieces until one is as most of its model are; where something is held, which may be far from that, any. */
  _nextGood() {
    const { header } = this._model;
    const { accept } = header;
    const allowedDb = this._steering.isHeld ? Infinity : accept.allowed_db;
    for (let rejected = 0; rejected < MOST_REJECTED; rejected++) {
      const index = this._nextIndex++;
      const { z, given } = this._steering.set(drawInput(this._seed, this._line, index, header));
      const sound = this._make(z, given);
      const traits = traitsOf(sound, this._edge);
      const distance = Math.max(
        Math.abs(traits.levelDb - accept.level_db),
        distanceDb(traits.spectrumDb, accept.spectrum_db),
      );
      if (!traits.isFaulty && distance <= allowedDb) return { index, z, given, sound, traits, passed: 0 };
    }
    throw new Error(`none of ${MOST_REJECTED} pieces in a row is fit to be heard`);
  }

  /** A piece at the model's own rate, an array a channel. */
  _make(z, given) {
    const { channels, offset } = this._model.header;
    const made = this._model.generate(z, given);
    return offset.map((mean, c) => {
      const channel = new Float32Array(made.length / channels);
      for (let i = 0; i < channel.length; i++) channel[i] = made[i * channels + c] - mean;
      return channel;
    });
  }

  /** Has the upcoming piece sound, and chooses the one after it. */
  _take() {
    const { sound: original, tailDb, ...piece } = this._upcoming;
    this._upcoming = this._choose({ ...piece, tailDb });
    piece.correlationOut = correlation(original, this._upcoming.sound, this._fade);
    this._upcoming.correlationIn = piece.correlationOut;

    const fade = this._fade;
    const into = this._fadeIn.map(multiplyBy(evenness(this._fadeIn, piece.correlationIn)));
    const out = this._fadeIn.map(multiplyBy(evenness(this._fadeIn, piece.correlationOut)));
    const sound = original.map((channel) => channel.map((sample) => sample * this._gain));
    if (piece.start < 0) this._guard.begin(sound);
    for (const channel of sound) {
      for (let i = 0; i < fade; i++) {
        channel[i] *= into[i];
        channel[channel.length - 1 - i] *= out[i];
      }
    }
    piece.gainsDb = this._guarded(piece, sound);
    if (piece.gainsDb.some(Boolean)) this._stretches.multiply(sound, piece.gainsDb.map(amplitude));
    this._active.push({ piece, sound });
    this.pieces.push(piece);
  }

  /** The gains of a piece that the guard asks for. */
  _guarded(piece, sound) {
    // What fades in before frame 0 is not heard.
    const unheard = Math.max(0, -piece.start);
    this._guard.advance(Math.max(0, piece.start));
    return Array.from({ length: this._stretches.count }, (_, number) => {
      const [cut, first] = this._stretches.count === 1 ? [sound, 0] : this._stretches.cut(sound, number);
      const heard = cut.map((channel) => channel.subarray(Math.max(0, unheard - first)));
      return this._guard.add(heard, piece.start + Math.max(first, unheard));
    });
  }
}

const multiplyBy = (factors) => (each, i) => each * factors[i];
