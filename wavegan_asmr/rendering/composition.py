"""Pieces of generated sound, joined by cross-fades into a composition of any length.

    piece 0   /------------\\
    piece 1             /------------\\                 fades of `fade` frames, equal-power:
    piece 2                       /------------\\       sin^2 + cos^2 = 1

A `Voice` makes the pieces of one model. A `Line` puts pieces of a voice one after the other on the time axis: each is
chosen among some candidates by how well it goes on from the last one. A `Composition` sums lines, and computes any
stretch of the sum from the pieces alone, so a stretch is the same samples whenever and with whatever around it it is
computed.

Time is in frames of the output's sample rate. Samples are float32 `[frames, channels]`.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import heapq
import itertools

import numpy as np
import soxr

from wavegan_asmr.rendering.mastering import amplitude, decibels

_BANDS = 24
_SHORTEST_EDGE = 512
_LOOP_BEGINS_S, _LOOP_RETURNS_S = 6.0, 20.0
"""The first seconds of a loop are what its last seconds go back to."""

_PILOT = 1 << 40
"""Index of the first piece of the pilot: pieces that are only measured."""


class CompositionError(Exception):
    """A composition that cannot be; the message says why."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece on the time axis.

    Attributes:
        line: Integer, the line it belongs to.
        index: Integer, its number in its voice: with the seed it gives the latent vector.
        start: Integer, the frame at which it begins.
        skip: Integer, frames left out at its beginning (aligned fades).
        turn: Integer, the turn of its line that it belongs to, see `Turns`.
        correlation_in, correlation_out: Floats, how alike this piece and the one before, or the next, are where they
            overlap: 1 for the same, 0 for unrelated.
        gains_db: Floats, the gain of each of as many stretches of equal length; between their middles it glides.
    """

    line: int
    index: int
    start: int
    skip: int = 0
    turn: int = 0
    correlation_in: float = 0.0
    correlation_out: float = 0.0
    gains_db: tuple = (0.0,)


class Latents:
    """Latent vectors as a function of (seed, line, index).

    Args:
        latent_dim: Integer.
        seed: Integer >= 0.
        line: Integer >= 0.
        truncation: Float in (0, 1], the range of the uniform vectors.
        keyframe_pieces: Float or None; with a number, vectors walk from one random keyframe to the next in so many
            pieces instead of being independent.
    """

    def __init__(self, latent_dim, seed, line, truncation=1.0, keyframe_pieces=None):
        self._latent_dim = latent_dim
        self._seed = [seed, line]
        self._truncation = truncation
        self._keyframe_pieces = keyframe_pieces

    def __getitem__(self, index):
        """Returns the latent vector of a piece, float32 `[latent_dim]`."""
        if self._keyframe_pieces is None or index >= _PILOT:
            return self._random(index)
        keyframe, share = divmod(index / self._keyframe_pieces, 1)
        turned = slerp(self._random(int(keyframe)), self._random(int(keyframe) + 1), share)
        # Between two corners of the cube an arc leaves it.
        return np.clip(turned, -self._truncation, self._truncation)

    def _random(self, number):
        random = np.random.default_rng([*self._seed, number])
        return random.uniform(-self._truncation, self._truncation, self._latent_dim).astype(np.float32)


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


class Voice:
    """The pieces of one model, at the output's rate and channels.

    Args:
        generate: Function, float32 `[at_once, latent_dim]` -> float32 `[at_once, samples, channels]`.
        latents: `Latents`.
        sample_rate_hz: Integer, of the model.
        output_rate_hz: Integer.
        channels: Integer, of the output: 1 or 2.
        stereo_width: Float in [0, 1]; a mono model's left and right: 0 alike, 1 as different as two pieces.
        at_once: Integer, power of 2, latent vectors of a batch. Batches are always the same ones, so a piece never
            depends on what else is made.

    Attributes:
        output_rate_hz, at_once: Integers.
        offset: float32 `[channels]`, the mean of all pieces, which is taken off: recordings, and so models, may have
            one.
        left_out: Integer, pieces rejected so far.
    """

    def __init__(self, generate, latents, sample_rate_hz, output_rate_hz, channels, stereo_width=0.0, at_once=16):
        self._generate = generate
        self._latents = latents
        self._sample_rate_hz = sample_rate_hz
        self.output_rate_hz = output_rate_hz
        self._channels = channels
        self._angle = np.pi / 4 * stereo_width
        self.at_once = at_once
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._batches = collections.OrderedDict()
        self._accept = None
        self.offset = np.zeros(channels, np.float32)
        self.piece_len = len(self[_PILOT])
        self.left_out = 0

    def __getitem__(self, index):
        """Returns a piece, float32 `[piece_len, channels]`."""
        batch, row = divmod(index, self.at_once)
        if batch not in self._batches:
            self._batches[batch] = self._pool.submit(self._make, batch)
        self._batches.move_to_end(batch)
        result = self._batches[batch].result()[row] - self.offset
        # Where pieces are used one after the other, the next batch is made while this one is used.
        if batch - 1 in self._batches and batch + 1 not in self._batches:
            self._batches[batch + 1] = self._pool.submit(self._make, batch + 1)
        while len(self._batches) > 4:
            self._batches.popitem(last=False)
        return result

    def _make(self, batch):
        indices = range(batch * self.at_once, (batch + 1) * self.at_once)
        middle = self._generate(np.stack([self._latents[index] for index in indices]))
        if self._channels == 2 and middle.shape[2] == 1:
            side = 0
            if self._angle:
                side = self._generate(np.stack([self._latents[index + _PILOT // 2] for index in indices]))
            cosine, sine = np.float32(np.cos(self._angle)), np.float32(np.sin(self._angle))
            # Left and right sum to the middle alone, so nothing cancels in mono.
            middle = np.concatenate([cosine * middle + sine * side, cosine * middle - sine * side], axis=2)
        elif self._channels == 1:
            middle = middle.mean(axis=2, keepdims=True)
        return [self._resample(x) for x in middle]

    def _resample(self, x):
        if self._sample_rate_hz == self.output_rate_hz:
            return x
        # Piece by piece: the ends ring into fades, and no piece depends on its neighbours.
        return soxr.resample(x, self._sample_rate_hz, self.output_rate_hz).astype(np.float32)

    def calibrate(self, count=192, most_left_out=0.2):
        """Makes a pilot of pieces, and leaves out from now on what is silent, clipped, shifted or an outlier in it.

        Args:
            count: Integer, pieces of the pilot.
            most_left_out: Float, the largest share that may be left out.

        Returns:
            Integer, pieces of the pilot that would be left out.

        Raises:
            CompositionError: The model makes silence, or what is not a number.
        """
        # Kept while they are measured: making them is the work.
        pilot = [self[_PILOT + i] for i in range(count)]
        self.offset = np.mean([x.mean(axis=0) for x in pilot], axis=0, dtype=np.float32)
        traits = [Traits.of(x - self.offset) for x in pilot]
        if not all(np.isfinite(each.level_db) for each in traits):
            raise CompositionError("the model makes samples that are not numbers; train it again, or take a backup")
        sound = [each for each in traits if not each.is_faulty]
        if len(sound) < (1 - most_left_out) * count:
            faulty = count - len(sound)
            raise CompositionError(
                f"{faulty} of {count} pieces of the pilot are silent, clipped or shifted; train longer, or allow more "
                "with --max_left_out"
            )
        level_db = np.median([each.level_db for each in sound])
        spectrum_db = np.median([each.spectrum_db for each in sound], axis=0)

        def distance_db(each):
            return max(abs(each.level_db - level_db), np.abs(each.spectrum_db - spectrum_db).mean())

        distances = np.array([distance_db(each) for each in sound])
        typical = np.median(distances) + 4 * 1.4826 * np.median(np.abs(distances - np.median(distances)))
        most_outliers = int(most_left_out * count) - (count - len(sound))
        allowed = max(typical, np.sort(distances)[-1 - most_outliers])
        self._accept = lambda each: not each.is_faulty and distance_db(each) <= allowed
        return sum(not self._accept(each) for each in traits)

    def good(self, traits):
        """Whether a piece with these traits is used; counts those that are not."""
        if self._accept is None or self._accept(traits):
            return True
        self.left_out += 1
        return False


@dataclasses.dataclass(frozen=True)
class Traits:
    """What pieces are compared by: level and log spectrum of the whole, of the beginning and of the end, in dB."""

    level_db: float
    spectrum_db: np.ndarray
    is_faulty: bool
    head_db: np.ndarray = None
    tail_db: np.ndarray = None

    @classmethod
    def of(cls, x, edge=0):
        """Measures a piece `[frames, channels]`; `edge` frames are its beginning and its end."""
        mono = x.mean(axis=1)
        rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
        # Silence; samples at full scale; an offset as large as the sound.
        is_faulty = rms < 1e-4 or np.mean(np.abs(x) >= 0.999) > 1e-3 or np.abs(x.mean(axis=0)).max() > 0.5 * rms
        head, tail = (bands_db(mono[:edge]), bands_db(mono[-edge:])) if edge else (None, None)
        return cls(float(decibels(rms)) if np.isfinite(rms) else np.nan, bands_db(mono), bool(is_faulty), head, tail)


def bands_db(x):
    """Levels of 24 bands, evenly spaced in log frequency: float64 `[24]`, dB."""
    window, edges = _bands(len(x))
    spectrum = np.fft.rfft(x * window)
    power = spectrum.real**2 + spectrum.imag**2
    return decibels(np.sqrt(np.add.reduceat(power, edges[:-1]) / np.diff(edges) / len(x)), -120)


@functools.lru_cache(maxsize=16)
def _bands(frames):
    """Window of a stretch of so many frames, and where its bands begin and end."""
    bins = frames // 2 + 1
    return np.hanning(frames).astype(np.float32), np.unique(np.geomspace(1, bins, _BANDS + 1).astype(int))


@dataclasses.dataclass(frozen=True)
class Joining:
    """How pieces follow each other.

    Attributes:
        fade: Integer, frames of the cross-fade.
        shape: "equal_power" or "linear".
        candidates: Integer >= 1, pieces among which the next one is chosen.
        align: Integer, frames by which a piece may be moved to run on in phase; 0 for none.
    """

    fade: int
    shape: str = "equal_power"
    candidates: int = 8
    align: int = 0


class Line:
    """Puts pieces of a voice one after the other.

    Args:
        number: Integer, of the line.
        voice: `Voice`.
        joining: `Joining`.
        gain_db: Float, of the whole line.
        first_index: Integer, the first piece that is tried.
    """

    def __init__(self, number, voice, joining, gain_db=0.0, first_index=0):
        if voice.piece_len < 2 * joining.fade + joining.align:
            raise CompositionError(
                f"a piece of {voice.piece_len} frames is shorter than two fades of {joining.fade}; give a smaller "
                "--fade_s"
            )
        self.number = number
        self.voice = voice
        self.joining = joining
        self.gain_db = gain_db
        self._fade_in = fade_in(joining.fade, joining.shape)[:, None]
        # Without fades pieces are still compared where they meet.
        self._edge = min(max(joining.fade, _SHORTEST_EDGE), voice.piece_len)
        self._next_index = first_index

    def pieces(self, turn, start, end):
        """Chooses the pieces of a turn, from a frame on until they reach another: yields `Piece`."""
        voice, joining = self.voice, self.joining
        waiting, last_tail, last = [], None, None
        while start < end:
            while len(waiting) < joining.candidates:
                waiting.append(self._next_good())
            choice = 0
            # A piece that nothing leads to is used when its turn has been passed over often enough.
            if last_tail is not None and waiting[0][2] < 2 * joining.candidates:
                costs = [np.abs(traits.head_db - last_tail).mean() for _, traits, _ in waiting]
                choice = int(np.argmin(costs))
            index, traits, _ = waiting.pop(choice)
            waiting = [(i, t, passed + 1) for i, t, passed in waiting]
            samples = voice[index]
            skip = 0
            if joining.align and last:
                skip = _best_lag(last[1][-joining.fade :], samples[: joining.fade + joining.align])
            piece = Piece(self.number, index, start, skip, turn)
            if last:
                correlation = self._correlation(last[1], samples[skip:])
                piece = dataclasses.replace(piece, correlation_in=correlation)
                yield dataclasses.replace(last[0], correlation_out=correlation)
            last = piece, samples
            last_tail = traits.tail_db
            start += voice.piece_len - skip - joining.fade
        if last:
            yield last[0]

    def _correlation(self, before, after):
        """How alike two pieces are where they overlap, in [-0.5, 1]; 0 where the fades are not to keep power."""
        fade = self.joining.fade
        if not fade or self.joining.shape != "equal_power":
            return 0.0
        tail, head = before[-fade:].ravel(), after[:fade].ravel()
        powers = float(np.dot(tail, tail)) * float(np.dot(head, head))
        return round(max(-0.5, float(np.dot(tail, head)) / np.sqrt(powers)), 3) if powers else 0.0

    def _next_good(self):
        while True:
            index = self._next_index
            self._next_index += 1
            traits = Traits.of(self.voice[index], self._edge)
            if self.voice.good(traits):
                return index, traits, 0

    def samples(self, piece):
        """Returns the samples of a piece with its fades and the gain of the line, float32 `[frames, channels]`."""
        x = self.voice[piece.index][piece.skip :] * np.float32(amplitude(self.gain_db))
        fade = self.joining.fade
        if fade:
            x[:fade] *= self._fade_in * evenness(fade, piece.correlation_in)[:, None]
            x[-fade:] *= self._fade_in[::-1] * evenness(fade, piece.correlation_out)[:, None]
        return x


def _best_lag(tail, head):
    """The lag at which `head` runs on in phase with `tail`: the largest normalised correlation."""
    tail, head = tail.mean(axis=1), head.mean(axis=1)
    lags = len(head) - len(tail) + 1
    correlation = np.correlate(head, tail, "valid")
    energy = np.convolve(head**2, np.ones(len(tail)), "valid")
    return int(np.argmax(correlation[:lags] / np.sqrt(energy + 1e-12)))


@dataclasses.dataclass(frozen=True)
class Turns:
    """When each line sounds: all of them always, or one after the other.

    Attributes:
        lines: Integer, number of lines.
        stretch: Integer, frames of a turn; 0 where all lines sound always.
        fade: Integer, frames of the cross-fade from a turn to the next, which ends with the turn.
    """

    lines: int
    stretch: int = 0
    fade: int = 0

    def of(self, line, frames):
        """Yields (turn, start, end) of a line; the end is None where it never ends."""
        if not self.stretch:
            yield 0, 0, frames
            return
        for turn in itertools.count(line, self.lines):
            if frames is not None and self.start(turn) >= frames:
                return
            yield turn, self.start(turn), (turn + 1) * self.stretch

    def start(self, turn):
        """The first frame of a turn."""
        return max(0, turn * self.stretch - self.fade)

    def weigh(self, x, piece):
        """Fades the samples of a piece at the ends of its turn, in place."""
        if not self.stretch:
            return
        ramp = fade_in(self.fade)[:, None]
        start = self.start(piece.turn)
        if piece.turn:
            _multiply(x, piece.start, ramp, start)
        x[: max(0, start - piece.start)] = 0
        end = (piece.turn + 1) * self.stretch
        _multiply(x, piece.start, ramp[::-1], end - self.fade)
        x[max(0, end - piece.start) :] = 0


def _multiply(x, x_start, weights, weights_start):
    """Multiplies the part of `x` that lies under `weights`, in place; both have a place on the time axis."""
    start, end = max(x_start, weights_start), min(x_start + len(x), weights_start + len(weights))
    if start < end:
        x[start - x_start : end - x_start] *= weights[start - weights_start : end - weights_start]


class _Stretches:
    """Stretches of equal length of a piece, each with weights that fade into its neighbours' and sum to 1.

        1 ---.     .-----.     .---
              \\   /       \\   /
               \\ /         \\ /            three stretches, x is the middle of each
        0    x  '     x     '  x

    Args:
        frames: Integer, of the piece.
        count: Integer, of the stretches.
    """

    def __init__(self, frames, count):
        self._times = np.arange(frames)
        self._middles = (np.arange(count) + 0.5) * frames / count
        self._parts = []
        for number in range(count):
            weights = np.interp(self._times, self._middles, np.arange(count) == number)
            sounding = np.flatnonzero(weights)
            first, last = sounding[0], sounding[-1] + 1
            self._parts.append((first, weights[first:last, None]))

    @property
    def count(self):
        """How many."""
        return len(self._middles)

    def cut(self, x, number):
        """Returns a stretch of `x` under its weights, and the frame at which it begins."""
        first, weights = self._parts[number]
        return x[first : first + len(weights)] * weights, first

    def curve(self, gains_db):
        """Returns the gain of every frame, float32 `[frames, 1]`."""
        return np.interp(self._times, self._middles, amplitude(gains_db)).astype(np.float32)[:, None]


_stretches = functools.lru_cache(maxsize=16)(_Stretches)
"""Made once for all pieces of a length."""


class Composition:
    """The sum of lines, from which stretches are taken from the beginning to the end.

    Args:
        lines: List of `Line`.
        frames: Integer or None for no end.
        turns: `Turns`, or None: all lines sound always.
        fade_in, fade_out: Integers, frames of the fades at the very beginning and end.
        loop_fade: Integer; above 0 the end runs into the beginning under a cross-fade of so many frames.
        gain_db: Float, of everything.
        pieces: Iterable of `Piece` ordered by start, or None to choose them.
        guard: `StartleGuard` that sets the gains of the pieces, or None for the gains they have.
    """

    def __init__(
        self, lines, frames, turns=None, fade_in=0, fade_out=0, loop_fade=0, gain_db=0.0, pieces=None, guard=None
    ):
        self._lines = lines
        self.frames = frames
        self._turns = turns or Turns(len(lines))
        self.fades = (fade_in, fade_out)
        self.loop_fade = loop_fade
        self._gain = np.float32(amplitude(gain_db))
        self._channels = lines[0].voice[0].shape[1]
        self._upcoming = iter(self._choose() if pieces is None else pieces)
        self._next = next(self._upcoming, None)
        self._active = []
        self._beginning = np.zeros([0, self._channels], np.float32)
        self._guard = guard
        self._begun = set()
        self._power_of_beginning = 0.0
        self.used = []

    @property
    def left_out(self):
        """Pieces that were made and rejected."""
        return sum(line.voice.left_out for line in self._lines)

    def _choose(self):
        linear_frames = None if self.frames is None else self.frames + self.loop_fade

        def line_pieces(line):
            for turn, start, end in self._turns.of(line.number, linear_frames):
                limits = [each for each in (end, linear_frames) if each is not None]
                # The first piece has faded in when its turn begins.
                yield from line.pieces(turn, start - line.joining.fade, min(limits, default=np.inf))

        return heapq.merge(*map(line_pieces, self._lines), key=lambda piece: (piece.start, piece.line))

    def mix(self, start, end):
        """Takes a stretch; `start` must not be before the one of the last call.

        Args:
            start, end: Integers, frames; they may lie outside the composition by less than `loop_fade`, where a loop
                goes on and anything else is silent.

        Returns:
            float32 array `[end - start, channels]`.
        """
        if not self.loop_fade:
            x = self._linear(start, end)
            x[: max(0, -start)] = 0
            fade_in_frames, fade_out_frames = self.fades
            _multiply(x, start, fade_in(fade_in_frames)[:, None], 0)
            if self.frames is not None:
                _multiply(x, start, fade_in(fade_out_frames)[::-1, None], self.frames - fade_out_frames)
                x[max(0, self.frames - start) :] = 0
            return x
        # The end of a loop fades into what comes before its beginning: the first frames of the linear time.
        #
        #     linear   |before|......................|......|
        #     loop            |......................|before|
        fade = self.loop_fade
        if not len(self._beginning):
            self._beginning = self._linear(0, 2 * fade)
        x = self._linear(start + fade, min(end, self.frames) + fade) if end <= self.frames else None
        if x is None:
            x = np.concatenate(
                [self._linear(start + fade, self.frames + fade), self._beginning[fade : fade + end - self.frames]]
            )
        first = self.frames - fade
        _multiply(x[: max(0, self.frames - start)], start, fade_in(fade)[::-1, None], first)
        before = self._beginning[:fade] * fade_in(fade)[:, None]
        low, high = max(start, first), min(end, self.frames)
        if low < high:
            x[low - start : high - start] += before[low - first : high - first]
        return x

    def _linear(self, start, end):
        x = np.zeros([end - start, self._channels], np.float32)
        while self._next is not None and self._next.start < end:
            piece, self._next = self._next, next(self._upcoming, None)
            piece_len = self._lines[piece.line].voice.piece_len - piece.skip
            is_heard = piece.start + piece_len > start
            if is_heard or self._guard:
                samples = self._lines[piece.line].samples(piece) * self._gain
                self._turns.weigh(samples, piece)
                if self._guard:
                    piece = dataclasses.replace(piece, gains_db=self._guarded(piece, samples))
                if any(piece.gains_db):
                    samples *= _stretches(piece_len, len(piece.gains_db)).curve(piece.gains_db)
                if is_heard:
                    self._active.append((piece, samples))
            self.used.append(piece)
        self._active = [(piece, samples) for piece, samples in self._active if piece.start + len(samples) > start]
        for piece, samples in self._active:
            low, high = max(start, piece.start), min(end, piece.start + len(samples))
            if low < high:
                x[low - start : high - start] += samples[low - piece.start : high - piece.start]
        return x

    def _guarded(self, piece, samples):
        """Returns the gains of a piece that the guard asks for."""
        guard, line = self._guard, self._lines[piece.line]
        rate_hz = line.voice.output_rate_hz
        # What fades in before frame 0 is not heard.
        unheard = max(0, -piece.start)
        if piece.turn == 0 and piece.line not in self._begun:
            self._begun.add(piece.line)
            guard.begin(line.voice[piece.index] * np.float32(amplitude(line.gain_db)) * self._gain)
        guard.advance(max(0, piece.start))
        if piece.start < self.loop_fade + _LOOP_BEGINS_S * rate_hz:
            self._power_of_beginning = guard.loudest
        is_near_end = self.loop_fade and piece.start > self.frames - _LOOP_RETURNS_S * rate_hz
        returns_to = self._power_of_beginning if is_near_end else 0.0
        # One gain for a piece of a second, which keeps its shape; more for one that may rise within itself.
        stretches = _stretches(len(samples), max(1, round(len(samples) / rate_hz)))
        gains_db = []
        for number in range(stretches.count):
            x, first = stretches.cut(samples, number)
            x, first = x[max(0, unheard - first) :], max(first, unheard)
            gains_db.append(guard.add(x, piece.start + first, returns_to))
        return tuple(gains_db)
