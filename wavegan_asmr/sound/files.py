"""Audio files and samples: probe, decode, resample, mix channels, convert.

Samples are float32 `[frames, channels]`, nominally in [-1, 1]. What a file is, its content tells; libsndfile reads it
where it can, FFmpeg what libsndfile does not read, and what is left where a file is damaged.
"""

import contextlib
import dataclasses
import os

import numpy as np
import soxr

from wavegan_asmr.sound.contents import find_streams
from wavegan_asmr.sound.ffmpeg import FfmpegReader
from wavegan_asmr.sound.sndfile import SndfileReader, open_soundfile
from wavegan_asmr.sound.streams import BLOCK_FRAMES, AudioError, NotReadError

__all__ = [
    "BLOCK_FRAMES",
    "EXTENSIONS",
    "AudioError",
    "AudioInfo",
    "check_finite",
    "convert",
    "decode",
    "mix_channels",
    "open_soundfile",
    "probe",
]

EXTENSIONS = frozenset(
    ".wav .wave .bwf .bw64 .rf64 .w64 .aif .aiff .aifc .au .snd .caf .voc .sph .flac .ogg .oga .ogv .opus .spx .mp3 "
    ".mp2 .mpga .m4a .m4b .m4r .aac .adts .mp4 .m4v .mov .qt .3gp .3g2 .mka .mkv .webm .weba .wma .wmv .asf .wv .ape "
    ".tta .tak .mpc .ac3 .eac3 .dts .amr .dsf .dff .avi .flv .mts .m2ts .mpg .mpeg".split()
)
"""File name endings, in lower case, of what may be sound."""

_HEARD_S = 0.05
"""Less sound than this is not missed: headers are wrong by a frame, encoders end with a whole block."""

_READERS = {"libsndfile": SndfileReader, "ffmpeg": FfmpegReader}


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself.

    Attributes:
        sample_rate_hz: Integer.
        channels: Integer.
        frames: Integer, samples a channel, an estimate for some kinds; None where it is not known.
    """

    sample_rate_hz: int
    channels: int
    frames: int | None


def probe(path):
    """Reads what an audio file says of itself.

    Args:
        path: Path-like.

    Returns:
        `AudioInfo`.

    Raises:
        AudioError: The file is not audio, empty, or unreadable.
        OSError: It is not there or may not be read.
    """
    path = os.fspath(path)
    layout, frames = None, 0
    for _, reader in _readers(path, _Account()):
        layout = layout or _layout(reader)
        if _layout(reader) == layout:
            frames = None if frames is None or reader.frames is None else frames + reader.frames
    if frames == 0:
        raise AudioError("holds no samples")
    return AudioInfo(*layout, frames)


def decode(path, notes=None):
    """Decodes an audio file in blocks, at its own rate and channels.

    Every sample that is there is used: of files that are cut short, of several that were joined end to end. Only what
    has another rate or other channels than the beginning is left out.

    Args:
        path: Path-like.
        notes: List or None; where only a part of the sound is used, a sentence such as "only 3.0 of 6.0 s" is appended
            to it at the end.

    Yields:
        float32 arrays `[frames, channels]`, at most `BLOCK_FRAMES` frames each.

    Raises:
        AudioError: The file is not audio, or holds samples that are not numbers.
        OSError: It is not there or cannot be read.
    """
    path = os.fspath(path)
    account, layout = _Account(), None
    for stream, reader in _readers(path, account):
        layout = layout or _layout(reader)
        frames = 0
        if _layout(reader) == layout:
            for block in _blocks(path, stream, reader):
                frames += len(block)
                yield check_finite(block)
        account.add(stream, frames, reader)
    if notes is not None:
        notes.extend(account.notes())


def check_finite(x):
    """Returns samples, or raises AudioError where one is NaN or infinite."""
    if not np.isfinite(x).all():
        raise AudioError("holds samples that are not finite numbers")
    return x


def convert(blocks, sample_rate_hz, new_sample_rate_hz, channels):
    """Mixes and resamples a stream of blocks; the result does not depend on how it is cut into blocks.

    Args:
        blocks: Iterable of float32 arrays `[frames, any channels]`.
        sample_rate_hz: Integer, the rate of the blocks.
        new_sample_rate_hz: Integer, the rate wanted.
        channels: Integer, the channels wanted, see `mix_channels`.

    Yields:
        float32 arrays `[frames, channels]`, at most `BLOCK_FRAMES` frames each if the blocks have no more.

    Raises:
        AudioError: The channels cannot be mixed.
    """
    if sample_rate_hz == new_sample_rate_hz:
        for block in blocks:
            yield mix_channels(block, channels)
        return
    resampler = soxr.ResampleStream(sample_rate_hz, new_sample_rate_hz, channels, dtype="float32")
    # Of a low rate a few samples become many.
    step = max(1, BLOCK_FRAMES * sample_rate_hz // new_sample_rate_hz)
    for block in blocks:
        for piece in np.split(block, range(step, len(block), step)):
            yield from _bounded(resampler.resample_chunk(mix_channels(piece, channels)).reshape(-1, channels))
    yield from _bounded(resampler.resample_chunk(np.zeros([0, channels], np.float32), last=True).reshape(-1, channels))


def _bounded(x):
    """Returns samples in pieces of at most `BLOCK_FRAMES` frames."""
    return np.split(x, range(BLOCK_FRAMES, len(x), BLOCK_FRAMES))


def mix_channels(x, channels):
    """Changes the number of channels: any number is averaged to one, one is repeated to any number.

    Args:
        x: float32 array `[frames, any channels]`.
        channels: Integer >= 1.

    Returns:
        float32 array `[frames, channels]`.

    Raises:
        AudioError: `x` has several channels and `channels` is another number above one.
    """
    if x.shape[1] == channels:
        return x
    if channels == 1:
        return x.mean(axis=1, keepdims=True)
    if x.shape[1] == 1:
        return np.repeat(x, channels, axis=1)
    raise AudioError(f"has {x.shape[1]} channels, which cannot become {channels}; 1 takes any number")


@dataclasses.dataclass
class _Account:
    """How much of a file's sound was used, in seconds, and how much it holds by all that is known."""

    used_s: float = 0.0
    whole_s: float = 0.0
    is_cut: bool = False

    def add(self, stream, frames=0, reader=None):
        """Adds a stream of which some frames were used; `reader` is None where nothing could be read."""
        used_s = frames / reader.sample_rate_hz if reader else 0.0
        whole_s = reader.whole_s if reader else stream.whole_s
        if whole_s is None:
            whole_s = used_s + (reader.lost_s if reader else 0.0)
            self.is_cut = self.is_cut or stream.is_cut or not frames
        self.used_s += used_s
        self.whole_s += max(used_s, whole_s)

    def notes(self):
        """Returns a list of what a reader should know: nothing where all was used."""
        if self.whole_s - self.used_s > _HEARD_S:
            digits = 1 if self.whole_s - self.used_s > 0.1 else 2
            return [f"only {self.used_s:.{digits}f} of {self.whole_s:.{digits}f} s"]
        return [f"only the first {self.used_s:.1f} s"] if self.is_cut else []


def _layout(reader):
    return reader.sample_rate_hz, reader.channels


def _readers(path, account):
    """Yields each stream of a file and its open reader; what cannot be read is added to the account.

    Raises:
        AudioError: Nothing can be read.
    """
    first_error, are_any = None, False
    for stream in find_streams(path):
        try:
            with _open(path, stream) as reader:
                are_any = True
                yield stream, reader
        except AudioError as error:
            first_error = first_error or error
            account.add(stream)
    if not are_any:
        raise first_error


def _open(path, stream):
    for name in stream.readers:
        try:
            return _READERS[name](path, stream)
        except NotReadError:
            continue
    if stream.demuxer or stream.raw:
        raise AudioError("not readable as audio: it is damaged, or its encoding is not known")
    raise AudioError("not readable as audio: its format is not known")


def _blocks(path, stream, reader):
    """Yields the blocks of a stream; where libsndfile gives up, FFmpeg goes on."""
    done = 0
    for block in reader.blocks():
        done += len(block)
        yield block
    if not reader.has_given_up:
        return
    with contextlib.suppress(AudioError, NotReadError), FfmpegReader(path, stream) as other:
        if _layout(other) == _layout(reader):
            for block in other.blocks():
                yield from [block[done:]] if done < len(block) else []
                done = max(0, done - len(block))
