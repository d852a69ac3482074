/** Fades of pieces into each other, as in `rendering.fades`. */

/** Weights of an equal-power fade: squares of it and of its reverse sum to 1. */
export function fadeIn(frames) {
  return Float32Array.from({ length: frames }, (_, i) => Math.sin(((Math.PI / 2) * (i + 0.5)) / frames));
}

/** Factors that keep the power of a fade even where both sounds are alike, by their correlation. */
export function evenness(weights, correlation) {
  const frames = weights.length;
  return weights.map((weight, i) => 1 / Math.sqrt(1 + 2 * correlation * weight * weights[frames - 1 - i]));
}

/**
 * How alike two pieces are where they overlap, in [-0.5, 1]; 0 where one of them is silent.
 *
 * @param {Float32Array[]} before - An array a channel, of which the last frames fade out.
 * @param {Float32Array[]} after - Of which the first frames fade in.
 * @param {number} frames - Of the fade.
 */
export function correlation(before, after, frames) {
  let product = 0;
  let tailPower = 0;
  let headPower = 0;
  before.forEach((tail, c) => {
    const head = after[c];
    const first = tail.length - frames;
    for (let i = 0; i < frames; i++) {
      product += tail[first + i] * head[i];
      tailPower += tail[first + i] ** 2;
      headPower += head[i] ** 2;
    }
  });
  const powers = tailPower * headPower;
  return powers ? Math.round(1000 * Math.max(-0.5, product / Math.sqrt(powers))) / 1000 : 0;
}
