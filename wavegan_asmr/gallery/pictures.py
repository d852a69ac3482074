"""Spectrograms, small and without axes: the page writes beside them what they span."""

import io

import matplotlib.image
import numpy as np

from wavegan_asmr.sound import plots

ENDING = "webp"

WIDTH, HEIGHT = 720, 240
"""Pixels."""

_RANGE_DB = 80
_QUALITY = 70
_LEAST_POWER = 1e-12


def draw(sounds, sample_rate_hz, highest_hz):
    """Draws spectrograms on one scale of levels, times and frequencies.

    Args:
        sounds: List of float32 arrays `[frames, channels]`; times span the longest of them.
        sample_rate_hz: Integer.
        highest_hz: Float, the upper edge of the pictures, at most half the sample rate.

    Returns:
        List of bytes, a WebP file each.
    """
    powers = [_power(x, highest_hz / (sample_rate_hz / 2)) for x in sounds]
    columns = max(power.shape[1] for power in powers)
    shown_db = [10 * np.log10(np.maximum(_shrink(power, columns), _LEAST_POWER)) for power in powers]
    top_db = max(db.max() for db in shown_db)
    return [_to_webp(np.clip((db - top_db) / _RANGE_DB + 1, 0, 1)) for db in shown_db]


def _power(x, share):
    """Mean power of all channels in a share of the frequencies from the lowest: `[bins, columns]`."""
    power = np.mean([10 ** (plots.spectrogram_db(channel) / 10) for channel in x.T], axis=0)
    return power[: max(1, round(share * (len(power) - 1)))]


def _shrink(power, columns):
    """Means of power in each pixel: `[bins, any]` -> `[HEIGHT, WIDTH]`, where so many columns are the whole width."""
    power = np.pad(power, [[0, 0], [0, columns - power.shape[1]]])
    for axis, size in ((0, HEIGHT), (1, WIDTH)):
        # Where there are fewer than pixels, each is in several of them.
        firsts = np.arange(size) * power.shape[axis] // size
        lengths = np.diff(firsts, append=power.shape[axis])
        shape = [-1, 1] if axis == 0 else [1, -1]
        power = np.add.reduceat(power, firsts, axis=axis) / np.maximum(lengths, 1).reshape(shape)
    return power


def _to_webp(shares):
    """Encodes `[HEIGHT, WIDTH]`, 0 to 1, the lowest frequency first."""
    buffer = io.BytesIO()
    scale = {"vmin": 0, "vmax": 1, "cmap": "magma", "origin": "lower"}
    matplotlib.image.imsave(buffer, shares, format=ENDING, pil_kwargs={"quality": _QUALITY, "method": 6}, **scale)
    return buffer.getvalue()
