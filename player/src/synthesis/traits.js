/** What pieces are compared by, as in `rendering.traits`: level and spectrum, of the whole and of their ends. */
import { powerSpectrum } from "./fft.js";
import { decibels } from "./loudness.js";

const BANDS = 24;
const FULL_SCALE = 0.999;

/** Lengths -> window and edges of the bands. */
const bands = new Map();

/**
 * Measures a piece.
 *
 * @param {Float32Array[]} channels - As many samples each as a power of two.
 * @param {number} edge - Samples that are its beginning, and its end; a power of two.
 * @returns {{levelDb: number, spectrumDb: number[], isFaulty: boolean, headDb: number[], tailDb: number[]}}
 */
export function traitsOf(channels, edge) {
  const mono = channels[0].map((_, i) => channels.reduce((sum, x) => sum + x[i], 0) / channels.length);
  const count = mono.length * channels.length;
  let power = 0;
  let full = 0;
  let offset = 0;
  for (const x of channels) {
    let sum = 0;
    for (const sample of x) {
      power += sample * sample;
      sum += sample;
      if (Math.abs(sample) >= FULL_SCALE) full++;
    }
    offset = Math.max(offset, Math.abs(sum / x.length));
  }
  const rms = Math.sqrt(power / count);
  return {
    levelDb: decibels(rms),
    spectrumDb: bandsDb(mono),
    // Silence; samples at full scale; an offset as large as the sound.
    isFaulty: !(rms >= 1e-4) || full / count > 1e-3 || offset > 0.5 * rms,
    headDb: bandsDb(mono.subarray(0, edge)),
    tailDb: bandsDb(mono.subarray(mono.length - edge)),
  };
}

/** The mean distance of two spectra, in dB. */
export function distanceDb(a, b) {
  return a.reduce((sum, each, i) => sum + Math.abs(each - b[i]), 0) / a.length;
}

/** Levels of 24 bands, evenly spaced in log frequency; of short stretches of fewer. */
function bandsDb(x) {
  const { window, edges } = bandsOf(x.length);
  const power = powerSpectrum(x.map((sample, i) => sample * window[i]));
  return edges.slice(0, -1).map((edge, band) => {
    let sum = 0;
    for (let i = edge; i < edges[band + 1]; i++) sum += power[i];
    return decibels(Math.sqrt(sum / (edges[band + 1] - edge) / x.length), -120);
  });
}

/** The window of a stretch of so many samples, and where its bands begin and the last one ends. */
function bandsOf(length) {
  if (!bands.has(length)) {
    const window = Float32Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (length - 1)));
    const bins = length / 2 + 1;
    const edges = Array.from({ length: BANDS }, (_, i) => Math.floor(bins ** (i / BANDS)));
    bands.set(length, { window, edges: [...new Set([...edges, bins])] });
  }
  return bands.get(length);
}
