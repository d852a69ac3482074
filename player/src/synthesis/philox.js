/**
 * The noise of a generator: Philox 4x32-10 (Salmon et al. 2011), seeded as TensorFlow's stateless operations seed it.
 *
 * Latent vectors give a seed, and with the number of a layer the seed gives that layer's noise, bit for bit the one of
 * `networks.layers` in Python.
 */

const ROUNDS = 10;
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The key with which TensorFlow scrambles seeds. */
const SCRAMBLER = [0x3ec8f720, 0x02461e29];

const SQRT3 = Math.fround(Math.sqrt(3));
const TWO_SQRT3 = Math.fround(2 * Math.sqrt(3));
const SQRT3_OF_16_BITS = Math.fround(Math.sqrt(3) / 2 ** 15);

/**
 * Puts random words into an array.
 *
 * @param {number[]} seed - Two integers of 32 bits.
 * @param {Uint32Array} words
 */
export function drawWords(seed, words) {
  const mixed = new Uint32Array(4);
  const [low, high] = seed;
  // TensorFlow takes them for integers of 64 bits, whose upper halves repeat the sign.
  blocks(low, low >> 31, high, high >> 31, SCRAMBLER[0], SCRAMBLER[1], mixed);
  blocks(0, 0, mixed[2], mixed[3], mixed[0], mixed[1], words);
}

/** The blocks of four words of a counter and those that follow it. */
function blocks(counter0, counter1, counter2, counter3, key0, key1, words) {
  for (let first = 0; first < words.length; first += 4) {
    let x0 = counter0;
    let x1 = counter1;
    let x2 = counter2;
    let x3 = counter3;
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < ROUNDS; round++) {
      const high0 = highWord(x0, MULTIPLIER_0 >>> 16, MULTIPLIER_0 & 0xffff);
      const high1 = highWord(x2, MULTIPLIER_1 >>> 16, MULTIPLIER_1 & 0xffff);
      const low0 = Math.imul(x0, MULTIPLIER_0);
      const low1 = Math.imul(x2, MULTIPLIER_1);
      x0 = high1 ^ x1 ^ k0;
      x1 = low1;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
      k0 = (k0 + WEYL_0) | 0;
      k1 = (k1 + WEYL_1) | 0;
    }
    // What lies beyond the end of an array is dropped.
    words[first] = x0;
    words[first + 1] = x1;
    words[first + 2] = x2;
    words[first + 3] = x3;
    // The lowest word alone counts: a piece has fewer blocks than it can number.
    counter0 = (counter0 + 1) | 0;
  }
}

/** The upper word of the product of two words, the second one as its halves. */
function highWord(a, bHigh, bLow) {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const other = (Math.imul(aLow, bHigh) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}

/**
 * The seed that belongs to a latent vector, see `networks.layers.LatentSeeds`.
 *
 * @param {Float32Array} z
 * @returns {number} An integer of 32 bits.
 */
export function seedOf(z) {
  const bits = new Int32Array(z.slice().buffer);
  let sum = 0;
  let weighted = 0;
  bits.forEach((each, i) => {
    sum = (sum + each) | 0;
    weighted = (weighted + Math.imul(each, 2 * i + 1)) | 0;
  });
  const word = new Uint32Array(1);
  drawWords([sum, weighted], word);
  return word[0] | 0;
}

/**
 * White noise of variance 1, see `networks.layers.NoiseInput`.
 *
 * @param {number} seed - See `seedOf`.
 * @param {{index: number, bits: number}} of - The number of the layer, and random bits of each number of its noise.
 * @param {number} count - An even one.
 * @returns {Float32Array}
 */
export function drawNoise(seed, { index, bits }, count) {
  const words = new Uint32Array((count * bits) / 32);
  drawWords([seed, index], words);
  const noise = new Float32Array(count);
  if (bits === 16) {
    const halves = new Int16Array(words.buffer);
    for (let i = 0; i < count; i++) noise[i] = halves[i] * SQRT3_OF_16_BITS;
    return noise;
  }
  for (let i = 0; i < count; i++) {
    // 23 bits, as large as the fraction of a float.
    const uniform = (words[i] & 0x7fffff) / 2 ** 23;
    noise[i] = Math.fround(uniform * TWO_SQRT3) - SQRT3;
  }
  return noise;
}
