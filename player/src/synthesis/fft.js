/** The power spectrum of a stretch of sound. */

/** Sizes -> what is computed once for each. */
const plans = new Map();

/**
 * The squared magnitudes of the discrete Fourier transform of real samples.
 *
 * Even samples are taken for real parts, odd ones for imaginary parts, of a transform of half the size.
 *
 * @param {Float32Array|Float64Array} x - As many as a power of two, at least 4.
 * @returns {Float64Array} `[x.length / 2 + 1]`.
 */
export function powerSpectrum(x) {
  const half = x.length / 2;
  const { reversed, cosines, sines } = plan(x.length);
  const re = new Float64Array(half);
  const im = new Float64Array(half);
  for (let i = 0; i < half; i++) {
    re[reversed[i]] = x[2 * i];
    im[reversed[i]] = x[2 * i + 1];
  }
  transform(re, im, cosines, sines);

  // Take the transforms of even and odd samples apart, and put that of all together.
  const power = new Float64Array(half + 1);
  power[0] = (re[0] + im[0]) ** 2;
  power[half] = (re[0] - im[0]) ** 2;
  for (let k = 1; k < half; k++) {
    const evenRe = (re[k] + re[half - k]) / 2;
    const evenIm = (im[k] - im[half - k]) / 2;
    const oddRe = (im[k] + im[half - k]) / 2;
    const oddIm = (re[half - k] - re[k]) / 2;
    const sumRe = evenRe + cosines[k] * oddRe + sines[k] * oddIm;
    const sumIm = evenIm + cosines[k] * oddIm - sines[k] * oddRe;
    power[k] = sumRe ** 2 + sumIm ** 2;
  }
  return power;
}

function plan(size) {
  if (!plans.has(size)) {
    const half = size / 2;
    const bits = Math.log2(half);
    const reversed = new Uint32Array(half);
    for (let i = 1; i < half; i++) reversed[i] = (reversed[i >> 1] >> 1) | ((i & 1) << (bits - 1));
    const angle = (_, k) => (2 * Math.PI * k) / size;
    const cosines = Float64Array.from({ length: half }, (...at) => Math.cos(angle(...at)));
    const sines = Float64Array.from({ length: half }, (...at) => Math.sin(angle(...at)));
    plans.set(size, { reversed, cosines, sines });
  }
  return plans.get(size);
}

/** The complex transform, in place, of numbers in bit-reversed order; the tables are of twice the size. */
function transform(re, im, cosines, sines) {
  const size = re.length;
  for (let span = 1; span < size; span *= 2) {
    const stride = size / span;
    for (let first = 0; first < size; first += 2 * span) {
      for (let k = 0; k < span; k++) {
        const a = first + k;
        const b = a + span;
        const cosine = cosines[k * stride];
        const sine = sines[k * stride];
        const turnedRe = re[b] * cosine + im[b] * sine;
        const turnedIm = im[b] * cosine - re[b] * sine;
        re[b] = re[a] - turnedRe;
        im[b] = im[a] - turnedIm;
        re[a] += turnedRe;
        im[a] += turnedIm;
      }
    }
  }
}
