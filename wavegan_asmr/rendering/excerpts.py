"""Excerpts of long sounds, made alike in all but what they sound like: length, rate, channels, loudness, fades."""

import numpy as np

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import Meter, clock
from wavegan_asmr.rendering.loudness import LoudnessMeter, amplitude, decibels
from wavegan_asmr.sound import fades, files

RATE_HZ = 48000
"""What browsers play at; webMUSHRA makes its anchors of it."""

_LOUDEST_LUFS = -23.0
"""As EBU R 128 has it; softer where a peak would be cut off."""

_CEILING_DB = -1.0
_FADE_S = 0.1


def count_channels(paths):
    """Returns how many channels the excerpts of some sounds have: 1 where all sounds are mono, else 2.

    Args:
        paths: Sequence of path-likes.

    Raises:
        UserError: One is no sound, cannot be read, or has more than two channels; names it.
    """
    most = 1
    for path in paths:
        channels = _say_what_is_wrong(path, lambda path=path: files.probe(path).channels)
        if channels > 2:
            raise UserError(
                f"{words.printable(path)} must have one or two channels; mix it down to two. Received: {channels}."
            )
        most = max(most, channels)
    return most


def cut(path, places, seconds, channels):
    """Cuts excerpts out of a sound, which is read twice: what files say of their length is not always true.

    Args:
        path: Path-like.
        places: Sequence of floats in [0, 1), where each excerpt lies between the first and the last one possible.
        seconds: Float, the length of each.
        channels: Integer, 1 or 2.

    Returns:
        List of float32 arrays `[seconds * RATE_HZ, channels]`.

    Raises:
        UserError: The sound is shorter than an excerpt, or cannot be read; names it.
    """

    def choose(frames, rate_hz):
        length = round(seconds * rate_hz)
        if frames < length:
            raise UserError(
                f"{words.printable(path)} is shorter than an excerpt, --seconds {seconds:g}; give a longer file or a "
                f"smaller --seconds. Received: {frames / rate_hz:.1f} s."
            )
        return [int(place * (frames - length + 1)) for place in places], length

    return [convert(*piece, seconds, channels) for _, *piece in _cut(path, choose)]


def cut_middle(path, seconds, channels):
    """Cuts the middle out of a sound; a shorter one is taken whole. It is read twice, see `cut`.

    Args:
        path: Path-like.
        seconds: Float, the most.
        channels: Integer, 1 or 2.

    Returns:
        Float32 array `[frames, channels]` at `RATE_HZ`; float, where in the sound it begins, in seconds.

    Raises:
        UserError: The sound cannot be read; names it.
    """

    def choose(frames, rate_hz):
        length = min(frames, round(seconds * rate_hz))
        return [(frames - length) // 2], length

    ((start_s, x, rate_hz),) = _cut(path, choose)
    return convert(x, rate_hz, len(x) / rate_hz, channels), start_s


def convert(x, sample_rate_hz, seconds, channels):
    """Brings a sound to `RATE_HZ`, to a number of channels and to an exact length.

    Args:
        x: Float32 array `[frames, any channels]`, about as long.
        sample_rate_hz: Integer, of `x`.
        seconds: Float.
        channels: Integer, 1 or 2.

    Returns:
        Float32 array `[seconds * RATE_HZ, channels]`.
    """
    # A resampler may give a sample more or less; the fade makes nothing of it.
    frames = round(seconds * RATE_HZ)
    x = np.concatenate(list(files.convert([x], sample_rate_hz, RATE_HZ, channels)))[:frames]
    return np.pad(x, [[0, frames - len(x)], [0, 0]])


def level(excerpts):
    """Fades excerpts in and out and makes them equally loud (ITU-R BS.1770-4), in place.

    Args:
        excerpts: List of pairs of a sound's name, for errors, and a float32 array `[frames, channels]`.

    Returns:
        Float, the loudness of each, in LUFS: -23, or less where one of them would be above -1 dB of full scale.

    Raises:
        UserError: One of them is silent; names the sound.
    """
    loudness = [_fade_and_measure(*each) for each in excerpts]
    room_db = [_CEILING_DB - decibels(np.abs(x).max()) for _, x in excerpts]
    target = min(_LOUDEST_LUFS, *(lufs + room for lufs, room in zip(loudness, room_db)))
    for (_, x), lufs in zip(excerpts, loudness):
        x *= np.float32(amplitude(target - lufs))
    return float(target)


def _say_what_is_wrong(path, read):
    name = words.printable(path)
    try:
        return read()
    except files.AudioError as error:
        raise UserError(f"{name} {error}.") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {words.reason(error)}.") from error


def _cut(path, choose):
    """Cuts stretches out of a sound.

    Args:
        path: Path-like.
        choose: Function of the frames of the sound and its rate to a list of first frames, and how many there are in
            each stretch.

    Returns:
        List of (first second, float32 array `[frames, channels]`, rate in Hz).
    """
    return _say_what_is_wrong(path, lambda: _read_and_cut(path, choose))


def _read_and_cut(path, choose):
    name, info = words.printable(path), files.probe(path)
    rate_hz, notes = info.sample_rate_hz, []
    total_s = 2 * info.frames / rate_hz if info.frames else None
    with Meter(f"{name}: excerpts", total_s, lambda done: clock(done / 2)) as meter:
        frames = 0
        for block in files.decode(path, notes):
            frames += len(block)
            meter.advance(len(block) / rate_hz)
        starts, length = choose(frames, rate_hz)
        pieces = _pick(files.decode(path), starts, length, lambda count: meter.advance(count / rate_hz))
    for note in notes:
        print(f"note      {name}: {note}", flush=True)
    return [(start / rate_hz, piece, rate_hz) for start, piece in zip(starts, pieces)]


def _pick(blocks, starts, length, advance):
    """Returns a stretch from each start, a list of float32 arrays `[length, channels]`, of a stream of blocks."""
    pieces, done = [[] for _ in starts], 0
    for block in blocks:
        for start, piece in zip(starts, pieces):
            first, end = max(0, start - done), min(len(block), start + length - done)
            if first < end:
                piece.append(block[first:end].copy())
        done += len(block)
        advance(len(block))
        if done >= max(starts) + length:
            break
    return [np.concatenate(piece) for piece in pieces]


def _fade_and_measure(path, x):
    weights = fades.fade_in(min(round(_FADE_S * RATE_HZ), max(1, len(x) // 2)))[:, None]
    x[: len(weights)] *= weights
    x[-len(weights) :] *= weights[::-1]
    meter = LoudnessMeter(RATE_HZ, x.shape[1])
    meter.add(x)
    if np.isinf(loudness := meter.integrated()):
        raise UserError(
            f"{words.printable(path)} is silent where an excerpt was taken, and cannot be made as loud as the others; "
            "cut the silence out"
        )
    return loudness
