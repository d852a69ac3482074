/**
 * Random numbers of pieces, bit for bit NumPy's: SeedSequence makes the state of PCG64 (O'Neill 2014, XSL-RR 128/64) of
 * three integers.
 */

const POOL_SIZE = 4;
const PCG_MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;

/**
 * The numbers of `numpy.random.default_rng([seed, line, index]).random(n)`, one after the other.
 *
 * @param {number|bigint} seed - An integer, at least 0.
 * @param {number} line - An integer, at least 0.
 * @param {number} index - Of the piece, an integer from 0 to 2^53 - 1.
 * @returns {function(): number} The next number, in [0, 1).
 */
export function randomNumbers(seed, line, index) {
  const words = stateOf([seed, line, index].flatMap(toWords));
  // NumPy puts pairs of words together from the lower one, and pairs of those from the upper one.
  const [stateHigh, stateLow, streamHigh, streamLow] = [0, 2, 4, 6].map(
    (i) => BigInt(words[i]) | (BigInt(words[i + 1]) << 32n),
  );
  const increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & MASK_128;
  let state = (increment + ((stateHigh << 64n) | stateLow)) & MASK_128;
  const step = () => {
    state = (state * PCG_MULTIPLIER + increment) & MASK_128;
  };
  step();
  return () => {
    step();
    const folded = (state >> 64n) ^ (state & MASK_64);
    const turn = state >> 122n;
    const word = ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
    return Number(word >> 11n) / 2 ** 53;
  };
}

/** An integer as words of 32 bits, the lowest first. */
function toWords(integer) {
  const words = [];
  let rest = BigInt(integer);
  do {
    words.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest);
  return words;
}

/** NumPy's SeedSequence: eight words of state from words of entropy. */
function stateOf(entropy) {
  const hash = hasher(0x43b0d7e5, 0x931e8875);
  const pool = Array.from({ length: POOL_SIZE }, (_, i) => hash(entropy[i] ?? 0));
  for (let source = 0; source < POOL_SIZE; source++) {
    for (let target = 0; target < POOL_SIZE; target++) {
      if (source !== target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  for (const word of entropy.slice(POOL_SIZE)) {
    for (let target = 0; target < POOL_SIZE; target++) pool[target] = mix(pool[target], hash(word));
  }
  const draw = hasher(0x8b51f9dd, 0x58f38ded);
  return Array.from({ length: 8 }, (_, i) => draw(pool[i % POOL_SIZE]));
}

/** A function that hashes words, each with another constant. */
function hasher(constant, multiplier) {
  return (word) => {
    const mixed = word ^ constant;
    constant = Math.imul(constant, multiplier);
    return fold(Math.imul(mixed, constant));
  };
}

function mix(a, b) {
  return fold(Math.imul(0xca01f9dd, a) - Math.imul(0x4973f715, b));
}

function fold(word) {
  return (word ^ (word >>> 16)) >>> 0;
}
