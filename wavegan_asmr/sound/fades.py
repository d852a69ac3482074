"""Fades: weights that rise or fall, and where they lie on the time axis."""

import functools

import numpy as np


@functools.lru_cache(maxsize=16)
def fade_in(frames, shape="equal_power"):
    """Weights of a fade; the reverse is the fade out that goes with it.

    Args:
        frames: Integer.
        shape: "equal_power" (squares of both sum to 1) or "linear" (both sum to 1).

    Returns:
        float32 `[frames]`, rising.
    """
    share = (np.arange(frames) + 0.5) / max(1, frames)
    return (np.sin(np.pi / 2 * share) if shape == "equal_power" else share).astype(np.float32)


def evenness(frames, correlation):
    """Factor that keeps the power of an equal-power cross-fade even where both sounds are alike.

    The power of a x + b y is a^2 + b^2 + 2 a b r for sounds of equal power and correlation r. Pieces of one generator
    often are alike, above all early in training.

    Args:
        frames: Integer, of the fade.
        correlation: Float in [-1, 1].

    Returns:
        float32 `[frames]`.
    """
    weights = fade_in(frames)
    return 1 / np.sqrt(1 + 2 * np.float32(correlation) * weights * weights[::-1])


def overlap_correlation(before, after):
    """How alike two sounds are where they overlap.

    Args:
        before, after: float32 `[frames, channels]`, the end of the one and the beginning of the other.

    Returns:
        Float in [-0.5, 1] for `evenness`, to three digits; 0 where one is silent.
    """
    tail, head = before.ravel(), after.ravel()
    powers = float(np.dot(tail, tail)) * float(np.dot(head, head))
    return round(max(-0.5, float(np.dot(tail, head)) / np.sqrt(powers)), 3) if powers else 0.0


def multiply(x, x_start, weights, weights_start):
    """Multiplies the part of `x` that lies under `weights`, in place; both have a place on the time axis."""
    start, end = max(x_start, weights_start), min(x_start + len(x), weights_start + len(weights))
    if start < end:
        x[start - x_start : end - x_start] *= weights[start - weights_start : end - weights_start]
