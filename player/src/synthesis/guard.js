/** The startle guard of `rendering.startle_guard`: sounds are held down where their sum would rise at once. */
import {
  SHORT_TERM_HOPS,
  SILENCE_LUFS,
  amplitude,
  decibels,
  filter,
  hopProducts,
  kWeighting,
  loudnessHop,
  runningMeans,
  toPower,
} from "./loudness.js";

const SECOND_HOPS = 10;

/** Of the power of the quietest before it: no sound is turned down below that. */
const LEAST_SHARE = 0.03;

/** Of the allowed rise, in dB: what a single second of a sound may take of it. */
const SECOND_SHARE = 0.8;

const HEADROOM_DB = 0.1;
const HALVINGS = 14;

/**
 * Holds down sounds that would make their sum rise at once.
 *
 * Each sound gets the largest gain, at most 0 dB, with which the short-term loudness never rises by more than so much
 * over the quietest 3 s that ended in the last 3 s, and no second of the sound itself by more than four fifths of it.
 */
export class StartleGuard {
  /**
   * @param {number} maxRiseDb
   * @param {number} rateHz
   * @param {number} channels - Of the sounds.
   * @param {number} speakers - In which they are heard: a mono sound in two of them has twice the power.
   */
  constructor(maxRiseDb, rateHz, channels, speakers) {
    this._ratio = 10 ** ((maxRiseDb - HEADROOM_DB) / 10);
    this._ratioOfSeconds = 10 ** ((SECOND_SHARE * maxRiseDb) / 10);
    this._hop = loudnessHop(rateHz);
    this._sections = kWeighting(rateHz);
    this._weight = speakers / channels;
    // Powers of the hops before, then the K-weighted sum from `_first`, a hop, on.
    this._past = new Array(2 * SHORT_TERM_HOPS).fill(0);
    this._sum = Array.from({ length: channels }, () => new Float64Array(0));
    this._first = 0;
  }

  /** Takes a sound, an array a channel, as having gone on since long before frame 0. */
  begin(x) {
    const filtered = x.map((channel) => Float64Array.from(channel));
    filtered.forEach((channel) => filter(this._sections, channel));
    const [power] = this._powers(filtered, filtered, filtered[0].length);
    this._past = this._past.map((each) => each + power);
  }

  /** Promises that no more sound begins before a frame. */
  advance(frame) {
    const hops = Math.floor(frame / this._hop) - this._first;
    const finished = this._sum.map((channel) => channel.subarray(0, hops * this._hop));
    const powers = this._powers(finished, finished);
    const silent = new Array(hops - powers.length).fill(0);
    this._past = [...this._past, ...powers, ...silent].slice(-2 * SHORT_TERM_HOPS);
    this._sum = this._sum.map((channel) => channel.subarray(hops * this._hop));
    this._first += hops;
  }

  /**
   * Adds a sound.
   *
   * @param {Float32Array[]} x - An array a channel.
   * @param {number} start - The frame at which it begins, not before the one last given to `advance`.
   * @returns {number} Its gain in dB.
   */
  add(x, start) {
    const lead = start - this._first * this._hop;
    // A hop for what the filter rings on.
    const needed = Math.max(this._sum[0].length, lead + x[0].length + this._hop);
    const length = Math.ceil(needed / this._hop) * this._hop;
    const filtered = x.map((channel) => {
      const sound = new Float64Array(length);
      sound.set(channel, lead);
      filter(this._sections, sound.subarray(lead));
      return sound;
    });
    const before = this._sum.map((channel) => {
      const sound = new Float64Array(length);
      sound.set(channel);
      return sound;
    });
    const gainDb = this._choose(
      this._powers(before, before),
      this._powers(before, filtered).map((each) => 2 * each),
      this._powers(filtered, filtered),
    );
    const gain = amplitude(gainDb);
    before.forEach((channel, c) => {
      for (let i = 0; i < length; i++) channel[i] += gain * filtered[c][i];
    });
    this._sum = before;
    return gainDb;
  }

  _powers(x, y, hop = this._hop) {
    return hopProducts(x, y, hop).map((each) => this._weight * each);
  }

  /** The gain of a sound; the power of every hop is constant + gain linear + gain^2 square. */
  _choose(constant, linear, square) {
    const own = square.reduce((sum, each) => sum + each, 0);
    if (!own) return 0;
    const silence = toPower(SILENCE_LUFS);

    /** Of every hop: the power of the block of 3 s that ends with it, and of the quietest one before. */
    const levels = (gain) => {
      const powers = constant.map((each, i) => each + gain * (linear[i] + gain * square[i]));
      const blocks = runningMeans([...this._past, ...powers], SHORT_TERM_HOPS).map((each) => Math.max(each, silence));
      const after = SHORT_TERM_HOPS + 1;
      return {
        blocks: blocks.slice(after),
        quietest: constant.map((_, i) => Math.min(...blocks.slice(i + 1, i + after))),
      };
    };
    const without = levels(0);
    const seconds = runningMeans([...new Array(SECOND_HOPS - 1).fill(0), ...square], SECOND_HOPS);
    const isAllowed = (gain) => {
      const { blocks, quietest } = levels(gain);
      return blocks.every(
        (block, i) =>
          gain ** 2 * seconds[i] <= this._ratioOfSeconds * quietest[i] &&
          block <= Math.max(this._ratio * quietest[i], without.blocks[i]),
      );
    };

    if (isAllowed(1)) return 0;
    let low = 0;
    let high = 1;
    for (let i = 0; i < HALVINGS; i++) {
      const middle = (low + high) / 2;
      if (isAllowed(middle)) low = middle;
      else high = middle;
    }
    const first = square.findIndex((each) => each > 0);
    const least = Math.sqrt((LEAST_SHARE * without.quietest[first]) / Math.max(...seconds));
    return roundedDown(Math.max(low, Math.min(1, least)));
  }
}

/** A gain in dB, to thousandths. */
function roundedDown(gain) {
  return Math.floor(1000 * decibels(gain) + 1e-6) / 1000;
}
