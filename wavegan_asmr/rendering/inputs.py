"""What pieces are made from: latent vectors, or seeds where a family has none, as a function of (seed, line, index)."""

import numpy as np

PILOT = 1 << 40
"""Index of the first piece of the pilot: pieces that are only measured."""


class Inputs:
    """Inputs of the pieces of a line.

    Args:
        draw: Function of (`numpy.random.Generator`, n, truncation) -> array `[n, *shape]`, see
            `families.generators.Generator.draw`.
        seed: Integer >= 0.
        line: Integer >= 0.
        truncation: Float in (0, 1], the range of latent vectors.
        keyframe_pieces: Float or None; with a number, latent vectors walk from one random keyframe to the next in so
            many pieces instead of being independent, and what the model listens to goes with them.
        latent_dim: Integer, entries of an input that are a latent vector, or None for all.
        steer: Function of an input and the index of its piece to the input with what was asked for.
    """

    def __init__(
        self, draw, seed, line, truncation=1.0, keyframe_pieces=None, latent_dim=None, steer=lambda x, index: x
    ):
        self._draw = draw
        self._seed = [seed, line]
        self._truncation = truncation
        self._keyframe_pieces = keyframe_pieces
        self._latent_dim = latent_dim
        self._steer = steer

    def __getitem__(self, index):
        """Returns the input of a piece, array `[*shape]`."""
        return self._steer(self._walk(index), index)

    def _walk(self, index):
        if self._keyframe_pieces is None or index >= PILOT:
            return self._random(index)
        keyframe, share = divmod(index / self._keyframe_pieces, 1)
        start, end = self._random(int(keyframe)), self._random(int(keyframe) + 1)
        turned = slerp(start[: self._latent_dim], end[: self._latent_dim], share)
        # Between two corners of the cube an arc leaves it.
        turned = np.clip(turned, -self._truncation, self._truncation)
        if self._latent_dim is None:
            return turned
        rest = (1 - share) * start[self._latent_dim :] + share * end[self._latent_dim :]
        return np.concatenate([turned, rest]).astype(np.float32)

    def _random(self, number):
        return self._draw(np.random.default_rng([*self._seed, number]), 1, self._truncation)[0]


def slerp(a, b, share):
    """Spherical interpolation: turns from `a` to `b`, the length going evenly from one to the other.

    Args:
        a, b: float32 `[n]`.
        share: Float in [0, 1].

    Returns:
        float32 `[n]`.
    """
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    cosine = np.clip(np.dot(a / length_a, b / length_b), -1, 1)
    angle = np.arccos(cosine)
    if angle < 1e-4:
        return ((1 - share) * a + share * b).astype(np.float32)
    direction = (np.sin((1 - share) * angle) * a / length_a + np.sin(share * angle) * b / length_b) / np.sin(angle)
    return (direction * ((1 - share) * length_a + share * length_b)).astype(np.float32)
