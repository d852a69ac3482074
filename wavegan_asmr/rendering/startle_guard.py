"""The startle guard: sounds are held down where they would make their sum rise at once."""

import numpy as np
import scipy.signal

from wavegan_asmr.rendering.loudness import (
    SHORT_TERM_HOPS,
    SILENCE_LUFS,
    amplitude,
    decibels,
    hop_powers,
    hop_products,
    k_weighting,
    loudness_hop,
    running_means,
    to_power,
)

_SECOND_HOPS = 10

_LEAST_SHARE = 0.03
"""Of the power of the quietest before it: no sound is turned down below that."""

_SECOND_SHARE = 0.8
"""Of the allowed rise, in dB: what a single second of a sound may take of it, so that the next ones have room."""

_HEADROOM_DB = 0.1


class StartleGuard:
    """Holds down sounds that would make their sum rise at once.

    Each sound gets the largest gain, at most 0 dB, with which two things hold from its beginning on. The short-term
    loudness never rises by more than `max_rise_db`, see `LoudnessMeter.largest_rise`. And no second of the sound itself
    is by more than four fifths of that above the quietest 3 s that ended in the last 3 s, so the way up to a lasting
    higher level is a slope, not bursts with holes between them.

    Sums are of K-weighted samples, so that sounds that are alike count as they add up.

    Args:
        max_rise_db: Float >= 1.
        sample_rate_hz, channels: Integers.

    Attributes:
        loudest: Float, the largest power of a block of 3 s so far.
    """

    def __init__(self, max_rise_db, sample_rate_hz, channels):
        self._ratio = 10 ** ((max_rise_db - _HEADROOM_DB) / 10)
        self._ratio_of_seconds = 10 ** (_SECOND_SHARE * max_rise_db / 10)
        self._hop = loudness_hop(sample_rate_hz)
        self._filter = k_weighting(sample_rate_hz)
        # Powers of the hops before, then the K-weighted sum from `_first`, a hop, on.
        self._past = np.zeros(2 * SHORT_TERM_HOPS)
        self._sum = np.zeros([0, channels])
        self._first = 0
        self.loudest = 0.0

    def begin(self, x):
        """Takes a sound, float `[frames, channels]`, as having gone on since long before frame 0."""
        self._past += np.mean(scipy.signal.sosfilt(self._filter, x, axis=0) ** 2, axis=0).sum()

    def advance(self, frame):
        """Promises that no more sound begins before a frame."""
        hops = frame // self._hop - self._first
        finished = self._sum[: hops * self._hop]
        powers = np.zeros(hops)
        powers[: len(finished) // self._hop] = hop_powers(finished, self._hop)
        self._past = np.concatenate([self._past, powers])
        means = running_means(self._past[-hops - SHORT_TERM_HOPS + 1 :], SHORT_TERM_HOPS)
        self.loudest = max(self.loudest, means.max(initial=0))
        self._past = self._past[-2 * SHORT_TERM_HOPS :]
        self._sum = self._sum[hops * self._hop :]
        self._first += hops

    def add(self, x, start, returns_to=0.0):
        """Adds a sound.

        Args:
            x: float `[frames, channels]`.
            start: Integer, the frame at which it begins, not before the one last given to `advance`.
            returns_to: Float, the power of what follows soon (the beginning of a loop); towards that the sound may be
                turned up.

        Returns:
            Float, its gain in dB.
        """
        lead = start - self._first * self._hop
        # A hop for what the filter rings on.
        length = -(-max(len(self._sum), lead + len(x) + self._hop) // self._hop) * self._hop
        new, old = np.zeros([2, length, x.shape[1]])
        old[: len(self._sum)] = self._sum
        new[lead : lead + len(x)] = x
        new[lead:] = scipy.signal.sosfilt(self._filter, new[lead:], axis=0)
        gain_db = self._choose(*self._terms(old, new), returns_to)
        new *= amplitude(gain_db)
        old += new
        self._sum = old
        return gain_db

    def _terms(self, old, new):
        """Coefficients of the power of every hop: old^2 + gain 2 old new + gain^2 new^2."""
        return (
            hop_powers(old, self._hop),
            2 * hop_products(old, new, self._hop),
            hop_powers(new, self._hop),
        )

    def _choose(self, constant, linear, square, returns_to):
        own = square.sum()
        if not own:
            return 0.0

        def levels(gain):
            """Of every hop: the power of the block of 3 s that ends with it, and of the quietest one before."""
            powers = np.concatenate([self._past, constant + gain * (linear + gain * square)])
            blocks = np.maximum(running_means(powers, SHORT_TERM_HOPS), to_power(SILENCE_LUFS))
            quietest = np.lib.stride_tricks.sliding_window_view(blocks, SHORT_TERM_HOPS).min(axis=1)
            after = 2 * SHORT_TERM_HOPS
            return blocks[after - SHORT_TERM_HOPS + 1 :], quietest[1:-1]

        blocks_without, quietest_without = levels(0.0)
        seconds = running_means(np.concatenate([np.zeros(_SECOND_HOPS - 1), square]), _SECOND_HOPS)

        def is_allowed(gain):
            blocks, quietest = levels(gain)
            is_gentle = gain**2 * seconds <= self._ratio_of_seconds * quietest
            return np.all(is_gentle & (blocks <= np.maximum(self._ratio * quietest, blocks_without)))

        sounding = np.flatnonzero(square)
        mean = own / len(sounding)
        high = max(1.0, np.sqrt(returns_to / self._ratio / mean))
        if is_allowed(high):
            return _rounded_down(high)
        low, high = 0.0, high
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if is_allowed(middle) else (low, middle)
        least = np.sqrt(_LEAST_SHARE * quietest_without[sounding[0]] / seconds.max())
        return _rounded_down(max(low, min(1.0, least)))


def _rounded_down(gain):
    """A gain in dB, to thousandths."""
    return float(np.floor(1000 * decibels(gain) + 1e-6) / 1000)
