"""Which stretches of a long sound come again nearly the same: copies of pieces, loops; not what merely sounds alike.

A sound is cut into stretches of half a second. Each is looked for in all of the sound by its fingerprint, levels of
bands over time without their slow course; what is alike is held against it sample by sample, by the cross-correlation
of phases alone (Knapp and Carter 1976). Two stretches of rain, of a hum or of a machine have phases of their own,
however alike they sound; those of a copy are the same but for its delay, whatever its level, under a cross-fade and
after a lossy codec.
"""

import dataclasses
import tempfile

import numpy as np
import scipy.fft
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
_LEAST_ALIKE = 0.4
"""Cosine of fingerprints; independent ones of noise are below 0.1, the most alike among a million up to 0.5."""
_CANDIDATES = 4
"""Places that are looked at for each stretch."""
_LEAST_CORRELATION = 0.22
"""Of phases; of independent sound up to 0.08, of a copy after MP3 of 128 kbit/s 0.3 and more."""
_SILENT = 1e-9
"""Mean square below which there is nothing to compare, -90 dB of full scale."""
_QUERIES, _PLACES = 1024, 8192
"""Stretches and places that are compared at once."""


@dataclasses.dataclass(frozen=True)
class Repetition:
    """How much of a sound comes again.

    Attributes:
        seconds: Float, of the sound that is not silent.
        shares: Dict of a length in seconds, of `LENGTHS_S`, to the share of the sound that lies in stretches at least
            so long that come again, a float.
        longest_s: Float, the longest stretch that comes again, and
        first_s, again_s: floats, where it is, and where it comes again; 0 where nothing does.
    """

    seconds: float
    shares: dict
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
        levels = _gather(blocks, file, advance)
        if len(levels) < _LEAST_APART + 2 * _FRAMES:
            raise files.AudioError("is too short to come again: it must have at least 4 s")
        return _search(levels, np.memmap(file, np.float32, "r"), advance)


def _gather(blocks, file, advance):
    """Writes samples into a file; returns levels of bands, float32 `[frames, bands]`, 0 mean over a second."""
    window = np.hanning(_WINDOW).astype(np.float32)
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1) * _WINDOW / _RATE_HZ
    bins = np.unique(np.round(edges).astype(int))
    waiting, powers = np.zeros(0, np.float32), []
    for block in blocks:
        x = np.ascontiguousarray(block[:, 0], np.float32)
        file.write(x.tobytes())
        waiting = np.concatenate([waiting, x])
        if len(waiting) >= _WINDOW:
            frames = np.lib.stride_tricks.sliding_window_view(waiting, _WINDOW)[::_HOP]
            spectra = scipy.fft.rfft(frames * window)
            power = np.add.reduceat(np.abs(spectra[:, : bins[-1]]) ** 2, bins[:-1], axis=1)
            powers.append(power.astype(np.float32))
            waiting = waiting[len(frames) * _HOP :]
        advance(len(x) / _RATE_HZ)
    file.flush()
    if not powers:
        return np.zeros([0, _BANDS], np.float32)
    levels = np.log(np.concatenate(powers) + 1e-10)
    sums = np.cumsum(np.pad(levels, [[_SLOW_FRAMES // 2 + 1, _SLOW_FRAMES // 2], [0, 0]], "edge"), axis=0, dtype=float)
    levels -= ((sums[_SLOW_FRAMES:] - sums[:-_SLOW_FRAMES]) / _SLOW_FRAMES).astype(np.float32)
    return levels / np.maximum(levels.std(axis=0), 1e-6)


def _search(levels, samples, advance):
    """Finds what comes again: levels float32 `[frames, bands]`, samples float32 `[n]` -> `Repetition`."""
    count = min((len(levels) - _FRAMES) // _FRAMES + 1, len(samples) // _STRETCH)
    starts = _FRAMES * np.arange(count)
    is_heard = np.array([_power(samples, start) > _SILENT for start in starts])
    queries = starts[is_heard]
    # Frame from which a stretch is, and by how many frames it comes again, if it does.
    lags = {}
    for first in range(0, len(queries), _QUERIES):
        chunk = queries[first : first + _QUERIES]
        for start, places in zip(chunk, _candidates(levels, chunk)):
            found = [place - start for place in places if _is_same(samples, start, place)]
            if found:
                lags[int(start)] = found
        advance(len(samples) / _RATE_HZ * len(chunk) / max(1, len(queries)))
    runs = _runs(lags)
    covered = {length: set() for length in LENGTHS_S}
    for start, stretches, _ in runs:
        for length in LENGTHS_S:
            if stretches * _FRAMES * _HOP >= 0.95 * length * _RATE_HZ:
                covered[length].update(range(start, start + stretches * _FRAMES, _FRAMES))
    start, stretches, lag = max(runs, key=lambda run: run[1], default=(0, 0, 0))
    hop_s = _HOP / _RATE_HZ
    return Repetition(
        seconds=len(queries) * _FRAMES * hop_s,
        shares={length: len(found) / max(1, len(queries)) for length, found in covered.items()},
        longest_s=stretches * _FRAMES * hop_s,
        first_s=start * hop_s,
        again_s=(start + lag) * hop_s,
    )


def _candidates(levels, queries):
    """Returns the places that are most alike to stretches at some frames: int `[queries, candidates]`; -1 for none."""
    wanted = _fingerprints(levels, queries)
    best = np.full([len(queries), _CANDIDATES], _LEAST_ALIKE, np.float32)
    where = np.full([len(queries), _CANDIDATES], -1)
    for first in range(0, len(levels) - _FRAMES + 1, _PLACES):
        places = np.arange(first, min(first + _PLACES, len(levels) - _FRAMES + 1))
        alike = wanted @ _fingerprints(levels, places).T
        near = np.abs(queries[:, None] - places) < _LEAST_APART
        alike[near] = 0
        for row, column in zip(*np.nonzero(alike > best.min(axis=1, keepdims=True))):
            weakest = best[row].argmin()
            if alike[row, column] > best[row, weakest]:
                # Neighbors of a place are alike, too; one of them is enough.
                same = np.abs(where[row] - places[column]) <= 1
                weakest = same.argmax() if same.any() else weakest
                if alike[row, column] > best[row, weakest]:
                    best[row, weakest], where[row, weakest] = alike[row, column], places[column]
    return where


def _fingerprints(levels, starts):
    """Fingerprints of stretches that begin at some frames, float32 `[n, frames * bands]` of length 1."""
    found = levels[starts[:, None] + np.arange(_FRAMES)].reshape(len(starts), -1)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)


def _is_same(samples, start, place):
    """Whether two stretches are the same but for a gain and less than a frame of delay."""
    if place < 0:
        return False
    first = samples[start * _HOP : start * _HOP + _STRETCH]
    # The copy may begin anywhere between two frames.
    low = max(0, place * _HOP - _HOP)
    other = samples[low : low + _STRETCH + 2 * _HOP]
    if len(other) < _STRETCH or np.dot(other, other) / len(other) <= _SILENT:
        return False
    length = scipy.fft.next_fast_len(len(first) + len(other), real=True)
    a, b = (scipy.fft.rfft(each * np.hanning(len(each)), length) for each in (first, other))
    cross = a.conj() * b
    # Of the bands that codecs keep; each frequency counts alike.
    edges = [round(hz * length / _RATE_HZ) for hz in (_LOWEST_HZ, _HIGHEST_HZ)]
    phases = np.zeros_like(cross)
    phases[edges[0] : edges[1]] = cross[edges[0] : edges[1]] / np.maximum(np.abs(cross[edges[0] : edges[1]]), 1e-12)
    correlation = scipy.fft.irfft(phases, length) * length / (2 * (edges[1] - edges[0]))
    return correlation[: 2 * _HOP + 1].max() > _LEAST_CORRELATION


def _power(samples, start):
    x = samples[start * _HOP : start * _HOP + _STRETCH]
    return float(np.dot(x, x)) / max(1, len(x))


def _runs(lags):
    """Stretches in a row that come again after the same time: list of (first frame, how many, frames until then)."""
    runs, going = [], {}
    for start in sorted(lags):
        still = {}
        for lag in lags[start]:
            # The frame that is the most alike may be a neighbor.
            before = next((going[each] for each in (lag, lag - 1, lag + 1) if each in going), None)
            is_next = before and before[0] + before[1] * _FRAMES == start
            still[lag] = (before[0], before[1] + 1, lag) if is_next else (start, 1, lag)
        runs.extend(run for run in going.values() if run[0] + run[1] * _FRAMES != start or run[2] not in still)
        going = still
    return [*runs, *going.values()]
