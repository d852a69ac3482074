/** Inputs of pieces as they are drawn: those of `rendering.inputs.Inputs`, and so of a family's `draw`, bit for bit. */
import { randomNumbers } from "./pcg64.js";

/**
 * The input of a piece.
 *
 * @param {number|bigint} seed - See `randomNumbers`.
 * @param {number} line
 * @param {number} index
 * @param {object} header - Of the model: latent_dim; and labels, shares and measures of one that listens.
 * @returns {{z: Float32Array, given: Float32Array|null}} The latent vector `[latent_dim]`, in [-1, 1], and what the
 *     model listens to, `[labels + measures]`: weights of labels, of which one is 1, and places of measures in [0, 1].
 */
export function drawInput(seed, line, index, { latent_dim: latentDim, labels, shares, measures }) {
  const draw = randomNumbers(seed, line, index);
  const z = Float32Array.from({ length: latentDim }, () => -1 + 2 * draw());
  if (!labels) return { z, given: null };
  const given = new Float32Array(labels.length + measures.length);
  // There is a number for the label in any case.
  const place = draw();
  if (labels.length) given[chosen(place, shares)] = 1;
  for (let i = labels.length; i < given.length; i++) given[i] = draw();
  return { z, given };
}

/** The number of the share in which a place in [0, 1) lies, where shares lie one after the other. */
function chosen(place, shares) {
  let sum = 0;
  const ends = shares.map((share) => (sum += share));
  const found = ends.findIndex((end) => place * sum < end);
  return found < 0 ? ends.length - 1 : found;
}
