"""What is measured of slices, one by one; metrics compare sets of them by it."""

import collections
import concurrent.futures
import dataclasses
import os

import numpy as np
from threadpoolctl import threadpool_limits

from wavegan_asmr.evaluation import distances
from wavegan_asmr.sound import features

_CHUNK_SAMPLES = 1 << 18

one_thread = threadpool_limits.wrap(limits=1)
"""Decorator of functions of small matrices: threads of BLAS would wait for each other, and for those that measure."""


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Measurements of n slices.

    Attributes:
        embeddings: float64 `[n, dim]`, see `features.embed`.
        log_mels: float16 `[n, frames * bands]`, see `features.log_mel`.
        facts: Dict of float64 `[n]`, see `features.measure`.
        waveforms: float16 `[n, m]`, see `features.waveform`.
    """

    embeddings: np.ndarray
    log_mels: np.ndarray
    facts: dict
    waveforms: np.ndarray


@one_thread
def measure(read, n, sample_rate_hz, advance=lambda count: None):
    """Measures slices, on all cores.

    Args:
        read: Source of sounds, see `anchors`; it is called from this thread only.
        n: Integer.
        sample_rate_hz: Integer.
        advance: Function, called with the number of slices read since the last call.

    Returns:
        `Measured`.
    """
    workers = os.cpu_count()
    chunk = max(1, _CHUNK_SAMPLES // read(0, 1).size)
    parts, waiting = [], collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for first in range(0, n, chunk):
            x = read(first, min(chunk, n - first))
            waiting.append(pool.submit(_measure_chunk, x, sample_rate_hz))
            # Chunks that wait take memory.
            if len(waiting) > workers:
                parts.append(waiting.popleft().result())
            advance(len(x))
        parts.extend(each.result() for each in waiting)
    embeddings, log_mels, facts, waveforms = zip(*parts)
    return Measured(
        np.concatenate(embeddings),
        np.concatenate(log_mels),
        {name: np.concatenate([part[name] for part in facts]) for name in facts[0]},
        np.concatenate(waveforms),
    )


def nearest(queries, candidates=None):
    """Finds the nearest log-mel spectrogram of each, see `distances.nearest_neighbours`.

    Args:
        queries, candidates: float16 `[n, dim]` and `[m, dim]`, as `Measured` keeps them; None for the other queries.

    Returns:
        Distances float64 `[n]`, and int64 `[n]`, the places of the nearest.
    """
    return distances.nearest_neighbours(
        queries.astype(np.float32), None if candidates is None else candidates.astype(np.float32)
    )


def _measure_chunk(x, sample_rate_hz):
    log_mels = features.log_mel(x, sample_rate_hz).reshape(len(x), -1).astype(np.float16)
    facts = features.measure(x, sample_rate_hz)
    return features.embed(x, sample_rate_hz), log_mels, facts, features.waveform(x).astype(np.float16)
