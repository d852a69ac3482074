"""Sounds of known quality to compare a generator with: real slices apart from each other, and noise.

A source of sounds is a function (first, count) -> float32 `[count, samples, channels]`, of which slice k is always the
same, as `loader.Slices.read` is.
"""

import dataclasses
import itertools
import os

import numpy as np
import scipy.fft

import loader
from wavegan_asmr import storage, words
from wavegan_asmr.config import check_recordings
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound.pcm_cache import Pcm

_STRETCH_SLICES = 2
"""Shortest stretch of a long recording, slices."""

_LEAST_SLICES = 4
"""Shortest recording that is cut into stretches, slices."""

_MANY = 32
"""With so many recordings each goes to one side as a whole."""

_SPECTRUM_SLICES = 256


@dataclasses.dataclass(frozen=True)
class Sides:
    """Recordings divided in two.

    Attributes:
        sides: Pair of `loader.Slices` that have no sample in common.
        held_out: Pair of `loader.Slices` that have no recording in common, or None where there is one recording.
        whole: `loader.Slices` of all that both sides hold, or None where each recording is one sound.
        identity: List of what decides the samples of the recordings, for a digest.
    """

    sides: tuple
    held_out: tuple | None
    whole: loader.Slices | None
    identity: list


@dataclasses.dataclass(frozen=True)
class _Stretch:
    """A stretch of a decoded recording, in place of a `Pcm`."""

    pcm: Pcm
    first: int
    frames: int

    @property
    def channels(self):
        return self.pcm.channels

    @property
    def peak(self):
        return self.pcm.peak

    def read_into(self, array, offset):
        self.pcm.read_into(array, self.first + offset)


def open_sides(config, data_dir=None, show_progress=False):
    """Opens recordings as two sides that sound alike and have no sample in common.

    Few recordings are cut into stretches that go to the sides in turn; many go to them as wholes.

    Args:
        config: `Config`.
        data_dir: Path-like or None for that of the config.
        show_progress: Boolean, see `loader.open_recordings`.

    Returns:
        `Sides`.

    Raises:
        UserError: There are no such recordings, too few, or of a lower rate than the model's.
    """
    if not data_dir:
        check_recordings(config)
    if data_dir:
        # Other recordings than the training's may have none.
        config = dataclasses.replace(config, data_labels="")
    recordings, _ = loader.open_configured(config, data_dir, show_progress)
    # Those of the training may have moved.
    if data_dir and not storage.is_gone(config.data_dir) and not os.path.samefile(data_dir, config.data_dir):
        _check_rates(recordings, config.data_sample_rate)
    # Where all are too short, `Slices` says how long they are.
    recordings = [r for r in recordings if config.data_pad_end or r.pcm.frames >= config.data_slice_len] or recordings
    wholes = recordings[0::2], recordings[1::2]
    parts = wholes if config.data_first_slice or len(recordings) >= _MANY else _cut(recordings, config)
    if not parts[1]:
        loader.Slices.from_config(recordings, config)
        raise UserError(
            f"too few slices: needed are two recordings, or one of at least {_LEAST_SLICES} slices "
            f"({_LEAST_SLICES * config.slice_s:.3g} s). Received: {words.printable(recordings[0].name)} alone."
        )
    sides = tuple(loader.Slices.from_config(part, config) for part in parts)
    held_out = None
    if parts is wholes:
        held_out = sides
    elif wholes[1]:
        held_out = tuple(loader.Slices.from_config(part, config) for part in wholes)
    # One after the other they are no stream that goes on.
    whole = None
    if not config.data_first_slice:
        # Any order is as good, and needs no reading.
        plain = dataclasses.replace(config, data_labels="", data_balance_levels=False)
        whole = loader.Slices.from_config(recordings, plain)
    # By what they hold: recordings get moved.
    return Sides(sides, held_out, whole, [[r.pcm.digest, r.pcm.frames] for r in recordings])


def mean_power(read, n):
    """Measures the average spectrum of whole slices.

    Args:
        read: Source of sounds, see above.
        n: Integer, slices it has.

    Returns:
        float64 `[bins, channels]`: power of each frequency of `scipy.fft.rfft`, such that their sum is the mean square.
    """
    total, count = 0, min(n, _SPECTRUM_SLICES)
    for k in range(count):
        x = read(k, 1)[0]
        power = np.abs(scipy.fft.rfft(x, axis=0)).astype(np.float64) ** 2
        # All but the ends stand for two frequencies, the positive and the negative.
        power[1:-1] *= 2
        total += power / len(x) ** 2
    return total / count


def flat_power(power):
    """Returns the spectrum of white noise as loud as a spectrum of `mean_power`."""
    flat = np.full_like(power, 2 * power.sum(axis=0) / (2 * len(power) - 2))
    flat[[0, -1]] /= 2
    return flat


def make_noise(power, samples, seed):
    """Makes a source of Gaussian noise with a spectrum.

    Args:
        power: float64 `[bins, channels]`, see `mean_power`.
        samples: Integer, even, of a slice: 2 (bins - 1).
        seed: Integer >= 0.

    Returns:
        Source of sounds, see above.
    """
    amplitude = samples * np.sqrt(power)
    amplitude[1:-1] /= 2

    def read(first, count):
        clips = []
        for k in range(first, first + count):
            random = np.random.default_rng([seed, k])
            spectrum = random.standard_normal([2, *power.shape])
            spectrum = amplitude * (spectrum[0] + 1j * spectrum[1])
            clips.append(scipy.fft.irfft(spectrum, samples, axis=0))
        return np.clip(clips, -1, 1).astype(np.float32)

    return read


def _check_rates(recordings, sample_rate_hz):
    for recording in recordings:
        rate_hz = recording.pcm.source_rate_hz
        if rate_hz < sample_rate_hz:
            raise UserError(
                f"recordings of a lower rate than the model's hold nothing above half their rate to compare with. "
                f"Received: {words.printable(recording.name)} of {rate_hz} Hz for a model of {sample_rate_hz} Hz."
            )


def _cut(recordings, config):
    """Cuts recordings into stretches that go to two sides in turn: pair of lists of `Recording`."""
    sides, slice_len = ([], []), config.data_slice_len
    side = 0
    for recording in recordings:
        pcm = recording.pcm
        pairs = max(pcm.frames >= _LEAST_SLICES * slice_len, pcm.frames // (2 * _STRETCH_SLICES * slice_len))
        for start, stop in itertools.pairwise(np.linspace(0, pcm.frames, max(1, 2 * pairs) + 1).astype(int).tolist()):
            frames = stop - start
            # Only the end of the recording is padded: elsewhere a slice ends with the stretch.
            if config.data_pad_end and stop < pcm.frames:
                frames -= slice_len - 1
            sides[side].append(dataclasses.replace(recording, pcm=_Stretch(pcm, start, frames)))
            side = 1 - side
    return sides
