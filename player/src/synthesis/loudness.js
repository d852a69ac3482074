/** Loudness, as in `rendering.loudness` (ITU-R BS.1770-4). */

/** Blocks of 3 s are measured anew every 100 ms. */
export const SHORT_TERM_HOPS = 30;
export const SILENCE_LUFS = -70;

const HOP_S = 0.1;

/** Half up, but to the even one of two neighbors: as Python rounds. */
export function roundToEven(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** 20 log10 of an amplitude, at least `floorDb`. */
export function decibels(amplitude, floorDb = -200) {
  return 20 * Math.log10(Math.max(amplitude, 10 ** (floorDb / 20)));
}

/** The amplitude of a level in dB. */
export function amplitude(levelDb) {
  return 10 ** (levelDb / 20);
}

/** The power of a loudness in LUFS. */
export function toPower(lufs) {
  return 10 ** ((lufs + 0.691) / 10);
}

/** Frames of the 100 ms after which loudness is measured again. */
export function loudnessHop(rateHz) {
  return roundToEven(HOP_S * rateHz);
}

/**
 * K-weighting, the filters of pyloudnorm: a high shelf and a high pass (Bristow-Johnson, "Cookbook formulae for audio
 * EQ biquad filter coefficients").
 *
 * @param {number} rateHz
 * @returns {number[][]} Second-order sections, each [b0, b1, b2, a1, a2] with a0 = 1.
 */
export function kWeighting(rateHz) {
  return [highShelf(4, Math.SQRT1_2, 1500, rateHz), highPass(0.5, 38, rateHz)];
}

function highShelf(gainDb, q, frequencyHz, rateHz) {
  const a = 10 ** (gainDb / 40);
  const w = (2 * Math.PI * frequencyHz) / rateHz;
  const cosine = Math.cos(w);
  const root = (Math.sqrt(a) * Math.sin(w)) / q;
  const a0 = a + 1 - (a - 1) * cosine + root;
  return [
    a * (a + 1 + (a - 1) * cosine + root),
    -2 * a * (a - 1 + (a + 1) * cosine),
    a * (a + 1 + (a - 1) * cosine - root),
    2 * (a - 1 - (a + 1) * cosine),
    a + 1 - (a - 1) * cosine - root,
  ].map((each) => each / a0);
}

function highPass(q, frequencyHz, rateHz) {
  const w = (2 * Math.PI * frequencyHz) / rateHz;
  const cosine = Math.cos(w);
  const alpha = Math.sin(w) / (2 * q);
  return [(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2, -2 * cosine, 1 - alpha].map((each) => each / (1 + alpha));
}

/** Filters samples in place by second-order sections, from rest on. */
export function filter(sections, x) {
  const [[b0, b1, b2, a1, a2], [d0, d1, d2, c1, c2]] = sections;
  let z1 = 0;
  let z2 = 0;
  let y1 = 0;
  let y2 = 0;
  for (let i = 0; i < x.length; i++) {
    const sample = x[i];
    const middle = b0 * sample + z1;
    z1 = b1 * sample - a1 * middle + z2;
    z2 = b2 * sample - a2 * middle;
    const filtered = d0 * middle + y1;
    y1 = d1 * middle - c1 * filtered + y2;
    y2 = d2 * middle - c2 * filtered;
    x[i] = filtered;
  }
}

/** Mean product of two sounds in every hop, summed over channels. */
export function hopProducts(x, y, hop) {
  return Array.from({ length: Math.floor(x[0].length / hop) }, (_, number) => {
    let sum = 0;
    x.forEach((channel, c) => {
      const other = y[c];
      for (let i = number * hop; i < (number + 1) * hop; i++) sum += channel[i] * other[i];
    });
    return sum / hop;
  });
}

/** Mean of every so many numbers in a row. */
export function runningMeans(powers, hops) {
  let sum = 0;
  const sums = [0, ...powers.map((power) => (sum += power))];
  return sums.slice(hops).map((each, i) => (each - sums[i]) / hops);
}
