"""The noise of a generator in NumPy: bit for bit what TensorFlow draws for the same latent vectors.

Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011), seeded as TensorFlow's stateless
operations seed it. The module needs NumPy alone, so that a program without TensorFlow may take it as it is.
"""

import math

import numpy as np

_ROUNDS = 10
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_MASK = 0xFFFFFFFF
_SCRAMBLER = 0x3EC8F720, 0x02461E29
"""The key with which TensorFlow scrambles seeds."""


def draw(z, index, shape, bits=32):
    """Draws what `networks.layers.NoiseInput` draws, before it is scaled.

    Args:
        z: float32 array `[n, latent_dim]`, latent vectors, without what a model listens to besides.
        index: Integer, the number of the layer.
        shape: Two integers, positions and channels, of an even product.
        bits: 16 or 32, random ones of each number: `wavegan_genr_noise_bits` of config.json.

    Returns:
        float32 array `[n, *shape]`, uniform in -sqrt(3) to sqrt(3).

    Example:
        >>> draw(np.zeros([2, 100], np.float32), 0, (16, 256)).shape
        (2, 16, 256)
    """
    count = math.prod(shape)
    words = np.stack([_draw_words(seed, index, count * bits // 32) for seed in _seeds(z)])
    if bits == 16:
        noise = words.view("<i2").astype(np.float32) * np.float32(3**0.5 / 2**15)
    else:
        # 23 bits, as many as the fraction of a float has.
        uniform = (words & 0x7FFFFF).astype(np.float32) * np.float32(2**-23)
        noise = uniform * np.float32(2 * 3**0.5) - np.float32(3**0.5)
    return noise.reshape(-1, *shape)


def _seeds(z):
    """Returns the seed of each of the latent vectors, see `networks.layers.LatentSeeds`."""
    bits = np.ascontiguousarray(z, "<f4").view("<i4")
    factors = 2 * np.arange(bits.shape[1], dtype=np.int32) + 1
    # Sums wrap around.
    sums = bits.sum(axis=1, dtype=np.int32), (bits * factors).sum(axis=1, dtype=np.int32)
    return [_draw_words(*each, 1).view("<i4")[0] for each in zip(*sums)]


def _draw_words(first, second, count):
    """Returns `[count]` random words, little-endian, of a seed of two integers of 32 bits."""
    # TensorFlow takes them for integers of 64 bits, whose upper halves repeat the sign.
    mixed = _philox(np.array([first, second], "<i8").view("<u4")[:, None], _SCRAMBLER)[:, 0]
    counters = np.zeros([4, math.ceil(count / 4)], np.uint64)
    # The lowest word alone counts: a layer has fewer blocks than it can number.
    counters[0] = np.arange(counters.shape[1])
    counters[2:] = mixed[2:, None]
    return _philox(counters, mixed[:2]).T.reshape(-1)[:count].astype("<u4")


def _philox(counters, key):
    """Returns the random words of counters `[4, n]`, all below 2^32, and a key of two words: uint64 `[4, n]`."""
    x0, x1, x2, x3 = np.asarray(counters, np.uint64)
    k0, k1 = map(int, key)
    for _ in range(_ROUNDS):
        product_0, product_1 = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        x0, x1 = (product_1 >> 32) ^ x1 ^ k0, product_1 & _MASK
        x2, x3 = (product_0 >> 32) ^ x3 ^ k1, product_0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return np.stack([x0, x1, x2, x3])
