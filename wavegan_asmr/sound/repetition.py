"""Which stretches of a long sound come again nearly the same: copies of pieces, loops; not what merely sounds alike.

A sound is cut into stretches of half a second. Each is looked for in all of the sound by its fingerprint, levels of
bands over time without their slow course; what is alike is held against it sample by sample, by the cross-correlation
of phases alone (Knapp and Carter 1976). Two stretches of rain, of a hum or of a machine have phases of their own,
however alike they sound; those of a copy are the same but for its delay, whatever its level, under a cross-fade and
after a lossy codec. Where a stretch has come again, the sound before and after it is held against the copy's too.

What comes again within 2 s already, a hum, an engine, a clock, is the sound's own period: it is told apart.
"""

import dataclasses
import functools
import tempfile

import numpy as np
import scipy.fft
import scipy.ndimage
from threadpoolctl import threadpool_limits

from wavegan_asmr.sound import files

LENGTHS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Stretches of which it is said how many come again."""

_RATE_HZ = 16000
_HOP, _WINDOW = 512, 2048
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 32, 150.0, 6500.0
_FRAMES = 16
"""Of a stretch: 0.512 s."""
_STRETCH = _FRAMES * _HOP
_SLOW_FRAMES = 31
"""Over which the course of a band is slow, a second."""
_LEAST_APART = 62
"""Frames between a stretch and what is the same, 2 s: echoes are nearer, and what fades into itself."""
_MOST_QUERIES = 8192
"""Stretches that are looked for, 70 minutes of sound; of a longer one they are drawn at random."""
_LEAST_SPREAD = 0.1
"""Of the level of a band, natural logarithm: below it a band is still, and only rounding moves."""
_LEAST_ALIKE = 0.4
"""Cosine of fingerprints; independent ones of noise are below 0.1, the most alike among a million up to 0.5."""
_CANDIDATES = 4
"""Places that are looked at for each stretch."""
_LEAST_CORRELATION = 0.22
"""Of phases; of independent sound up to 0.08, of a copy after MP3 of 128 kbit/s 0.3 and more."""
_LEAST_PERIODIC = 0.15
"""The same, of a stretch and what is around it; less, since that is longer."""
_SHORTEST_PERIOD = _RATE_HZ // 10
"""Samples; a shorter period comes again after two or more of it, and echoes of a room are over."""
_DRIFT = 64
"""Samples by which a copy may run away from stretch to stretch."""
_SILENT = 1e-9
"""Mean square below which there is nothing to compare, -90 dB of full scale."""
_EMPTY, _LEAST_BINS = 1e-8, 0.25
"""Of the strongest frequency: below it a frequency is empty; and share of those that must not be."""
_PLACES, _TOGETHER = 2048, 512
"""Places that are compared at once, and those of which the most alike is kept."""


@dataclasses.dataclass(frozen=True)
class Repetition:
    """How much of a sound comes again.

    Attributes:
        seconds: Float, of the sound that is not silent.
        shares: Dict of a length in seconds, of `LENGTHS_S`, to the share of the sound that lies in stretches at least
            so long that come again, a float.
        periodic: Float, the share that comes again within 2 s already; it is in none of the others.
        longest_s: Float, the longest stretch that comes again, and
        first_s, again_s: floats, where it is, and where it comes again; 0 where nothing does.
    """

    seconds: float
    shares: dict
    periodic: float
    longest_s: float
    first_s: float
    again_s: float


def measure(path, advance=lambda seconds: None):
    """Measures a sound file.

    Args:
        path: Path-like, of any format.
        advance: Function, called with seconds of sound that are done since the last call; in all twice those there are.

    Returns:
        `Repetition`.

    Raises:
        AudioError: It is no sound, or shorter than 4 s.
        OSError: It cannot be read.
    """
    info = files.probe(path)
    blocks = files.convert(files.decode(path), info.sample_rate_hz, _RATE_HZ, 1)
    return measure_blocks(blocks, advance)


def measure_blocks(blocks, advance=lambda seconds: None):
    """Measures blocks of a sound of one channel at 16 kHz, float32 `[frames, 1]`; see `measure`."""
    # Hours of samples, to be read in any order.
    with tempfile.TemporaryFile() as file, threadpool_limits(limits=1, user_api="blas"):
        samples = _Samples(file)
        levels, is_heard = _gather(blocks, samples, advance)
        if len(levels) < _LEAST_APART + 2 * _FRAMES:
            raise files.AudioError("is too short to come again: it must have at least 4 s")
        return _search(levels, is_heard, samples, advance)


class _Samples:
    """Samples of one channel in a file, of which 11 bits are kept, however soft they are."""

    def __init__(self, file):
        self._file = file
        self.count = 0

    def add(self, x):
        self._file.write(x.astype(np.float16).tobytes())
        self.count += len(x)

    def read(self, first, count):
        self._file.seek(2 * first)
        return np.frombuffer(self._file.read(2 * count), np.float16).astype(np.float32)


def _gather(blocks, samples, advance):
    """Keeps samples; returns levels of bands, float32 `[frames, bands]`, 0 mean over a second, and what is heard."""
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1) * _WINDOW / _RATE_HZ
    bins = np.unique(np.round(edges).astype(int))
    window = _window(_WINDOW)
    waiting, powers = np.zeros(0, np.float32), []
    for block in blocks:
        x = np.ascontiguousarray(block[:, 0], np.float32)
        samples.add(x)
        waiting = np.concatenate([waiting, x])
        if len(waiting) >= _WINDOW:
            frames = np.lib.stride_tricks.sliding_window_view(waiting, _WINDOW)[::_HOP]
            spectra = scipy.fft.rfft(frames * window)
            power = np.add.reduceat(np.abs(spectra[:, : bins[-1]]) ** 2, bins[:-1], axis=1)
            powers.append(power.astype(np.float32))
            waiting = waiting[len(frames) * _HOP :]
        advance(len(x) / _RATE_HZ)
    if not powers:
        return np.zeros([0, _BANDS], np.float32), np.zeros(0, bool)
    levels = np.concatenate(powers)
    # Parseval: of the frequencies that are compared.
    is_heard = 2 * levels.sum(axis=1) / (_WINDOW * np.square(window).sum()) > _SILENT
    levels = np.log(levels + 1e-10)
    levels -= scipy.ndimage.uniform_filter1d(levels, _SLOW_FRAMES, axis=0, mode="nearest")
    return levels / np.maximum(levels.std(axis=0), _LEAST_SPREAD), is_heard


def _search(levels, is_heard, samples, advance):
    """Finds what comes again: levels float32 `[frames, bands]`, is_heard bool `[frames]` -> `Repetition`."""
    count = min(len(levels) // _FRAMES, samples.count // _STRETCH)
    is_heard = is_heard[: count * _FRAMES].reshape(count, _FRAMES).any(axis=1)
    heard = np.flatnonzero(is_heard)
    queries = heard
    if len(heard) > _MOST_QUERIES:
        queries = np.sort(np.random.default_rng(0).choice(heard, _MOST_QUERIES, replace=False))
    total_s = samples.count / _RATE_HZ

    def advance_half(part):
        advance(total_s / 2 * part)

    places = _candidates(levels, queries * _FRAMES, advance_half)
    # Of each stretch: how many in a row come again with it.
    rows = np.zeros(count, int)
    is_periodic = np.zeros(len(queries), bool)
    longest = (0, 0, 0)
    for number, query in enumerate(queries):
        found = _runs(samples, query, places[number], rows, is_heard)
        if rows[query]:
            is_periodic[number] = _has_period(samples, query * _STRETCH)
        if not is_periodic[number]:
            longest = max([longest, *found], key=lambda run: run[1])
        advance_half(1 / len(queries))
    lengths = np.where(is_periodic, 0, rows[queries]) * _STRETCH / _RATE_HZ
    start, stretches, lag = longest
    places = sorted((start * _STRETCH, start * _STRETCH + lag))
    return Repetition(
        seconds=len(heard) * _STRETCH / _RATE_HZ,
        shares={length: _share(lengths >= 0.95 * length) for length in LENGTHS_S},
        periodic=_share(is_periodic),
        longest_s=float(stretches) * _STRETCH / _RATE_HZ,
        first_s=float(places[0]) / _RATE_HZ,
        again_s=float(places[1]) / _RATE_HZ,
    )


def _share(chosen):
    return float(chosen.mean()) if len(chosen) else 0.0


def _candidates(levels, starts, advance):
    """Returns the places that are most alike to stretches at some frames: int `[starts, candidates]`; -1 for none."""
    wanted = _fingerprints(levels, starts)
    best = np.full([len(starts), _CANDIDATES], _LEAST_ALIKE, np.float32)
    where = np.full([len(starts), _CANDIDATES], -1)
    count = len(levels) - _FRAMES + 1
    rows = np.arange(len(starts))[:, None]
    for first in range(0, count, _PLACES):
        places = np.arange(first, min(first + _PLACES, count))
        alike = wanted @ _fingerprints(levels, places).T
        for begin in range(0, len(places), _TOGETHER):
            part = alike[:, begin : begin + _TOGETHER]
            # Only some of the stretches are near to these places.
            near = slice(*np.searchsorted(starts, places[begin] + [-_LEAST_APART, part.shape[1] + _LEAST_APART]))
            part[near][np.abs(starts[near, None] - places[begin : begin + _TOGETHER]) < _LEAST_APART] = 0
            most = part.argmax(axis=1)
            score = part[rows[:, 0], most]
            weakest = best.argmin(axis=1)
            is_better = score > best[rows[:, 0], weakest]
            best[is_better, weakest[is_better]] = score[is_better]
            where[is_better, weakest[is_better]] = places[begin] + most[is_better]
        advance(len(places) / count)
    order = np.argsort(-best, axis=1)
    return where[rows, order]


def _fingerprints(levels, starts):
    """Fingerprints of stretches that begin at some frames, float32 `[n, frames * bands]` of length 1."""
    found = levels[starts[:, None] + np.arange(_FRAMES)].reshape(len(starts), _FRAMES * levels.shape[1])
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1.0)


def _runs(samples, query, places, rows, is_heard):
    """Follows a stretch to where it comes again, and writes into `rows` how long that goes on.

    Returns:
        List of (first stretch, how many, samples until they come again).
    """
    start, runs = query * _STRETCH, []
    enough = LENGTHS_S[-1] * _RATE_HZ / _STRETCH
    for place in places:
        # More than the longest that is asked for need not be known of each.
        if place < 0 or rows[query] >= enough:
            break
        # The copy may begin anywhere between two frames.
        low = max(0, place * _HOP - _HOP)
        correlation, delay = _compare(samples, start, low, 2 * _HOP)
        if correlation <= _LEAST_CORRELATION:
            continue
        lag = low + delay - start
        first, last = (_follow(samples, query, lag, step, is_heard) for step in (-1, 1))
        runs.append((first, last - first + 1, lag))
        rows[first : last + 1] = np.maximum(rows[first : last + 1], last - first + 1)
    return runs


def _follow(samples, stretch, lag, step, is_heard):
    """Returns the last stretch in a row, forwards or backwards, that is the same so many samples later."""
    while 0 <= stretch + step < len(is_heard) and is_heard[stretch + step]:
        start = (stretch + step) * _STRETCH
        low = start + lag - _DRIFT
        if low < 0 or low + _STRETCH + 2 * _DRIFT > samples.count:
            break
        correlation, delay = _compare(samples, start, low, 2 * _DRIFT)
        if correlation <= _LEAST_CORRELATION:
            break
        stretch, lag = stretch + step, low + delay - start
    return stretch


def _has_period(samples, start):
    """Whether a stretch comes again within 2 s, before or after it."""
    reach = _LEAST_APART * _HOP
    for low in range(start - reach, start + reach, _STRETCH):
        # Where the stretch itself lies is between what is before it and what is after it.
        for first, last in (
            (low, min(low + _STRETCH, start - _SHORTEST_PERIOD)),
            (max(low, start + _SHORTEST_PERIOD), low + _STRETCH),
        ):
            is_there = 0 <= first < last and last + _STRETCH <= samples.count
            if is_there and _compare(samples, start, first, last - first)[0] > _LEAST_PERIODIC:
                return True
    return False


def _compare(samples, start, low, reach):
    """Holds a stretch against the sound from a sample on: the largest correlation of phases, and its delay, up to
    `reach` samples."""
    first, other = samples.read(start, _STRETCH), samples.read(low, _STRETCH + reach)
    if len(other) < _STRETCH:
        return 0.0, 0
    length = scipy.fft.next_fast_len(len(first) + reach, real=True)
    cross = scipy.fft.rfft(first * _window(len(first)), length).conj()
    cross *= scipy.fft.rfft(other * _window(len(other)), length)
    # Of the bands that codecs keep; each frequency counts alike.
    low_bin, high_bin = (round(hz * length / _RATE_HZ) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    inner = cross[low_bin:high_bin]
    size = np.abs(inner)
    is_there = size > max(1e-20, _EMPTY * size.max())
    bins = np.count_nonzero(is_there)
    if bins < _LEAST_BINS * len(inner):
        return 0.0, 0
    phases = np.zeros_like(cross)
    phases[low_bin:high_bin][is_there] = inner[is_there] / size[is_there]
    correlation = scipy.fft.irfft(phases, length)[: reach + 1] * (length / (2 * bins))
    delay = int(correlation.argmax())
    return float(correlation[delay]), delay


@functools.lru_cache
def _window(length):
    return np.hanning(length).astype(np.float32)
