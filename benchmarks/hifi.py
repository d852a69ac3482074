"""How far rendered sound is from a recording, in what listeners in headphones hear: bands, image, course, tones."""

import dataclasses
import os

import numpy as np
import scipy.fft
from absl import flags

from benchmarks import common
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import events, files
from wavegan_asmr.sound.streams import AudioError

USAGE = """Holds sound files against a recording, of which the last fifth is what they are measured against: levels,
image and course of nine octave bands, the largest autocorrelation, and events: how many, how spaced, how they stand out
from their ground. Beside them stand the recording's first four fifths: no figure has to be smaller than theirs. A gain
of all bands does not count.

    python -m benchmarks.hifi RECORDING RENDERED ...
"""

_BLOCK_LEN = 65536
_COURSE_S = 0.05
_LAGS = 50, 12000
_FLOOR = 1e-12
"""Power of a band below which it is silent, -120 dB of full scale."""
_LEAST_EVENTS = 20
"""In both parts of a recording, for their spacing and spectrum to be known well enough to compare with."""
_LEAST_PER_SECOND, _LEAST_DEVIATION = 0.5, 0.2
"""What differences of rates and of spreads of spacings are relative to at least: there may be no events, or a clock."""

flags.DEFINE_float("held_out", 0.2, "Share of the recording, its end, that is measured against.", lower_bound=0.01)
flags.DEFINE_float("skip_s", 2.0, "Seconds that are left out at both ends of a rendered file, its fades.", 0)
flags.declare_key_flag("results_dir")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of the table.

    Attributes:
        label: String, with the unit.
        compare: Function of two `Sound`s to a float.
        target: Float, what is good.
        is_stereo: Boolean, whether it takes two channels.
        is_of_events: Boolean, whether it takes a recording that has events.
    """

    label: str
    compare: object
    target: float
    is_stereo: bool = False
    is_of_events: bool = False


@dataclasses.dataclass(frozen=True)
class Sound:
    """What was measured of a sound.

    Attributes:
        level_db, deviation_db: float64 `[bands]`, level, and its standard deviation over blocks of 50 ms.
        correlation, balance_db: float64 `[bands]`, of left and right, and left over right; zeros of one channel.
        fold_down_db: float64 `[bands]`, how much a fold-down to one channel is softer than the power of both.
        autocorrelation: Float, the largest at lags 50 to 12000, the mean over blocks of 65536 frames.
        events: Integer, how many there are.
        events_per_second, spacing_deviation: Floats, of `events.Events`.
        event_db: float64 `[bands]`, level of events over that of their ground; zeros in bands beyond half the rate.
    """

    level_db: np.ndarray
    deviation_db: np.ndarray
    correlation: np.ndarray
    balance_db: np.ndarray
    fold_down_db: np.ndarray
    autocorrelation: float
    events: int
    events_per_second: float
    spacing_deviation: float
    event_db: np.ndarray


def _mean_difference(name):
    return lambda x, y: float(np.mean(np.abs(getattr(x, name) - getattr(y, name))))


def _relative_difference(name, least):
    return lambda x, y: abs(getattr(x, name) - getattr(y, name)) / max(getattr(y, name), least)


def _level_differences(x, y):
    """Differences of levels but for a gain: mastering sets the loudness."""
    differences = x.level_db - y.level_db
    return np.abs(differences - np.median(differences))


FIGURES = (
    Figure("level of nine bands, dB", lambda x, y: float(_level_differences(x, y).mean()), 1.0),
    Figure("the band that is farthest off, dB", lambda x, y: float(_level_differences(x, y).max()), 3.0),
    Figure("correlation of left and right", _mean_difference("correlation"), 0.08, is_stereo=True),
    Figure("left over right, dB", _mean_difference("balance_db"), 0.7, is_stereo=True),
    Figure("fold-down to mono, dB", _mean_difference("fold_down_db"), 0.7, is_stereo=True),
    Figure("deviation of the level, dB", _mean_difference("deviation_db"), 1.0),
    Figure("largest autocorrelation", lambda x, y: abs(x.autocorrelation - y.autocorrelation), 0.1),
    Figure("events a second, relative", _relative_difference("events_per_second", _LEAST_PER_SECOND), 0.15),
    Figure(
        "spread of their spacing, relative",
        _relative_difference("spacing_deviation", _LEAST_DEVIATION),
        0.15,
        is_of_events=True,
    ),
    Figure("events over ground, dB", _mean_difference("event_db"), 0.7, is_of_events=True),
)


def measure(x, sample_rate_hz):
    """Measures a sound.

    Args:
        x: float32 `[frames, 1 or 2]`, at least 65536 frames.
        sample_rate_hz: Integer.

    Returns:
        `Sound`.
    """
    course_len = round(_COURSE_S * sample_rate_hz)
    long, course, peaks = [], [], []
    # Blocks one by one: an hour of spectra does not fit.
    for first in range(0, len(x) - _BLOCK_LEN + 1, _BLOCK_LEN):
        block = x[first : first + _BLOCK_LEN].T.astype(np.float64)
        long.append(_bands(block[:, None], sample_rate_hz)[0])
        usable = _BLOCK_LEN // course_len * course_len
        course.append(_bands(block[:, :usable].reshape(len(block), -1, course_len), sample_rate_hz))
        peaks.append(_largest_autocorrelation(block))
    power = np.mean(long, axis=0)  # [bands, (left, right, both's product)]
    left, right, cross = power.T
    course = np.concatenate(course)[..., :2].mean(axis=2)
    both = np.maximum((left + right) / 2, _FLOOR)
    found = events.find(x, sample_rate_hz)
    return Sound(
        level_db=10 * np.log10(both),
        deviation_db=(10 * np.log10(np.maximum(course, _FLOOR))).std(axis=0),
        correlation=cross / np.maximum(np.sqrt(left * right), _FLOOR),
        balance_db=10 * np.log10(np.maximum(left, _FLOOR) / np.maximum(right, _FLOOR)),
        fold_down_db=10 * np.log10(np.maximum((left + right + 2 * cross) / 4, _FLOOR) / both),
        autocorrelation=float(np.mean(peaks)),
        events=len(found.onsets_s),
        events_per_second=found.per_second,
        spacing_deviation=found.spacing_deviation,
        event_db=np.pad(found.over_ground_db, [0, len(both) - len(found.over_ground_db)]),
    )


def _bands(blocks, sample_rate_hz):
    """Powers of left and right and their product by band: `[channels, n, block_len]` -> `[n, bands, 3]`."""
    block_len = blocks.shape[2]
    window = np.hanning(block_len)
    spectra = scipy.fft.rfft(blocks * window) * np.sqrt(2 / (block_len * np.sum(window**2)))
    left, right = spectra[0], spectra[-1]
    powers = np.stack([np.abs(left) ** 2, np.abs(right) ** 2, np.real(left * right.conj())], axis=-1)
    bins = np.searchsorted(scipy.fft.rfftfreq(block_len, 1 / sample_rate_hz), events.EDGES_HZ)
    sums = np.concatenate([np.zeros_like(powers[:, :1]), np.cumsum(powers, axis=1)], axis=1)
    return sums[:, bins[1:]] - sums[:, bins[:-1]]


def _largest_autocorrelation(block):
    """The largest, of all channels together, at lags of `_LAGS`; `[channels, frames]`."""
    frames, (first, last) = block.shape[1], _LAGS
    spectra = scipy.fft.rfft(block - block.mean(axis=1, keepdims=True), 2 * frames)
    sums = scipy.fft.irfft(np.sum(np.abs(spectra) ** 2, axis=0))[: last + 1]
    scaled = sums * frames / (frames - np.arange(last + 1)) / max(sums[0], _FLOOR)
    return scaled[first:].max()


def read(path, sample_rate_hz=None, channels=None):
    """Reads a sound file.

    Args:
        path: Path-like.
        sample_rate_hz, channels: Integers, what it is converted to; None for its own.

    Returns:
        float32 `[frames, channels]`, and its rate.

    Raises:
        UserError: It cannot be read, or has more than two channels.
    """
    try:
        info = files.probe(path)
        rate_hz = sample_rate_hz or info.sample_rate_hz
        blocks = files.convert(files.decode(path), info.sample_rate_hz, rate_hz, channels or info.channels)
        x = np.concatenate([*blocks, np.zeros([0, channels or info.channels], np.float32)])
    except (OSError, AudioError) as error:
        raise UserError(f"cannot read a sound file: {error}. Received: {os.fspath(path)!r}.") from error
    if x.shape[1] > 2:
        raise UserError(f"a sound must have one or two channels. Received: {x.shape[1]} of {os.fspath(path)!r}.")
    return x, rate_hz


def main(arguments):
    if len(arguments) < 2:
        raise UserError(f"the arguments are RECORDING RENDERED ... Received: {' '.join(arguments) or 'nothing'}.")
    values = flags.FLAGS
    machine = common.machine_facts()
    recording, rate_hz = read(arguments[0])
    channels = recording.shape[1]
    first = round((1 - values.held_out) * len(recording))
    parts = {"held out": recording[first:], "training": recording[:first]}
    sounds = {name: _measure(part, rate_hz, f"the {name} part of {arguments[0]!r}") for name, part in parts.items()}
    for path in arguments[1:]:
        x, _ = read(path, rate_hz, channels)
        skipped = round(values.skip_s * rate_hz)
        sounds[path] = _measure(x[skipped : len(x) - skipped], rate_hz, repr(path))
    held_out = sounds.pop("held out")
    has_events = min(held_out.events, sounds["training"].events) >= _LEAST_EVENTS
    rows, facts = [], {"recording": arguments[0], "figures": {}}
    for figure in FIGURES:
        if (figure.is_stereo and channels == 1) or (figure.is_of_events and not has_events):
            continue
        found = {name: figure.compare(sound, held_out) for name, sound in sounds.items()}
        most = max(figure.target, found["training"])
        cells = [f"{value:.3g}{'' if value <= most else ' (!)'}" for name, value in found.items() if name != "training"]
        rows.append([figure.label, *cells, found["training"], figure.target])
        facts["figures"][figure.label] = found | {"target": figure.target}
    facts["bands"] = {
        name: {key: np.round(value, 4).tolist() for key, value in dataclasses.asdict(sound).items()}
        for name, sound in {"held out": held_out, **sounds}.items()
    }
    header = ["difference from the held-out end", *arguments[1:], "training part", "target"]
    tables = [common.table(header, rows), *(_band_table(name, sounds, held_out, channels) for name in _SHOWN)]
    if not has_events:
        tables.append(
            f"Too few events, {sounds['training'].events} and {held_out.events} at the held-out end, of at least "
            f"{_LEAST_EVENTS} each: their spacing and spectrum are not compared."
        )
    common.report("hifi", "High fidelity", machine, facts, tables, _draw(sounds, held_out), values.results_dir)


_SHOWN = {
    "level_db": "Level, dB",
    "correlation": "Correlation of left and right",
    "deviation_db": "Deviation, dB",
    "event_db": "Events over ground, dB",
}


def _band_table(name, sounds, held_out, channels):
    """A row a sound, a column a band."""
    if name == "correlation" and channels == 1:
        return "One channel: there is no image."
    header = [_SHOWN[name], *(f"{low:.0f}" for low in events.EDGES_HZ[:-1])]
    rows = {"held out": held_out, **sounds}
    return common.table(header, [[each, *map(float, getattr(sound, name))] for each, sound in rows.items()])


def _measure(x, rate_hz, what):
    if len(x) < _BLOCK_LEN:
        raise UserError(f"{what} is too short: {len(x)} frames of at least {_BLOCK_LEN}.")
    common.say(f"hifi: {what}, {len(x) / rate_hz:.1f} s")
    return measure(x, rate_hz)


def _draw(sounds, held_out):
    """Differences of levels from the held-out part by band."""
    series = {name: list(sound.level_db - held_out.level_db) for name, sound in sounds.items()}
    groups = [f"{low:.0f}" for low in events.EDGES_HZ[:-1]]
    return common.bars(groups, series, "dB", "Level against the held-out end, by band from, Hz")


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
