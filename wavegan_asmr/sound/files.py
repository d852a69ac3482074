"""Audio files and samples: probe, decode, resample, mix channels, convert.

Samples are float32 `[frames, channels]`, nominally in [-1, 1]. libsndfile reads WAV, FLAC, OGG (Vorbis and
Opus), MP3, AIFF and more; PyAV reads what libsndfile does not (m4a/AAC, files without a length).
"""

import contextlib
import dataclasses
import os
import re

import numpy as np
import soundfile
import soxr

EXTENSIONS = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64 .m4a .aac .mp4 .webm .wma".split()
)
"""File name endings, in lower case, that are taken for audio."""

BLOCK_FRAMES = 1 << 18
"""Frames decoded at once: bounds the memory that a long recording takes."""

_MOST_FRAMES = 1 << 62
"""More frames than a file can have: libsndfile's word for an unknown length."""

_PYAV_EXTENSIONS = frozenset(".m4a .aac .mp4 .webm .wma".split())


class AudioError(Exception):
    """A file that cannot be used as audio; the message is the reason, without the file's name."""


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        sample_rate_hz: Integer.
        channels: Integer.
        frames: Integer, samples a channel; an estimate for m4a/AAC.
    """

    sample_rate_hz: int
    channels: int
    frames: int


def probe(path):
    """Reads the header of an audio file.

    Args:
        path: Path-like.

    Returns:
        `AudioInfo`.

    Raises:
        AudioError: The file is not audio, empty, cut short or unreadable.
    """
    path = os.fspath(path)
    if os.path.getsize(path) == 0:
        raise AudioError("empty file")
    if _needs_pyav(path):
        with _open_pyav(path) as container:
            codec = container.streams.audio[0].codec_context
            rate_hz, channels = codec.sample_rate, codec.layout.nb_channels
            frames = round((container.duration or 0) / 1e6 * rate_hz)
        return AudioInfo(rate_hz, channels, frames or sum(map(len, _decode_pyav(path))))
    with open_soundfile(path) as file:
        _check_chunk_sizes(file)
        if file.frames <= 0:
            raise AudioError("holds no samples")
        return AudioInfo(file.samplerate, file.channels, file.frames)


def decode(path):
    """Decodes an audio file in blocks, at its own rate and channels.

    Args:
        path: Path-like.

    Yields:
        float32 arrays `[frames, channels]`, at most `BLOCK_FRAMES` frames each.

    Raises:
        AudioError: The file is damaged, cut short, or holds samples that are not numbers.
    """
    path = os.fspath(path)
    for block in _decode_pyav(path) if _needs_pyav(path) else _decode_soundfile(path):
        yield check_finite(block)


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
        float32 arrays `[frames, channels]`.

    Raises:
        AudioError: The channels cannot be mixed.
    """
    if sample_rate_hz == new_sample_rate_hz:
        for block in blocks:
            yield mix_channels(block, channels)
        return
    resampler = soxr.ResampleStream(sample_rate_hz, new_sample_rate_hz, channels, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(mix_channels(block, channels)).reshape(-1, channels)
    yield resampler.resample_chunk(np.zeros([0, channels], np.float32), last=True).reshape(-1, channels)


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


@contextlib.contextmanager
def open_soundfile(path):
    """Context that opens a file with libsndfile.

    Args:
        path: String.

    Yields:
        `soundfile.SoundFile`.

    Raises:
        AudioError: It is not audio that libsndfile reads.
    """
    try:
        with soundfile.SoundFile(path) as file:
            # What libsndfile takes names like .au for when it finds no header.
            if file.format == "RAW":
                raise AudioError("not readable as audio (no header)")
            yield file
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio ({error.error_string.rstrip('.')})") from error


def _check_chunk_sizes(file):
    """Raises AudioError where a WAV or AIFF header promises more samples than the file holds.

    libsndfile corrects the length silently and tells of it in its log, "data : 1000 (should be 500)".
    Sizes near 2^31 and 2^32, and 0, are what programs that write to a pipe leave behind; such files are whole.
    """
    for size, actual in re.findall(r"(?:data|SSND|Data Size) +: (\S+) \(should be (\d+)\)", file.extra_info):
        size = int(size, 0)
        if int(actual) < size < 0x7F000000:
            raise AudioError(f"cut short: the header promises {size} bytes of samples, {actual} are there")


def _decode_soundfile(path):
    with open_soundfile(path) as file:
        missing = file.frames
        while missing > 0:
            block = file.read(min(missing, BLOCK_FRAMES), dtype="float32", always_2d=True)
            if not len(block):
                raise AudioError(f"cut short: {missing} of {file.frames} samples cannot be decoded")
            missing -= len(block)
            yield block


@contextlib.contextmanager
def _open_pyav(path):
    # Brings all of FFmpeg, which few recordings need.
    import av

    try:
        with av.open(path) as container:
            if not container.streams.audio:
                raise AudioError("holds no audio")
            yield container
    except av.FFmpegError as error:
        raise AudioError(f"not readable as audio ({error.strerror})") from error


def _needs_pyav(path):
    """Whether libsndfile rejects a file, or cannot tell its length and would decode a part of it."""
    extension = os.path.splitext(path)[1].lower()
    if extension == ".mp3":
        return not _has_mp3_length(path)
    if extension == ".flac":
        # Written to a pipe: the header has no length.
        with open_soundfile(path) as file:
            return file.frames > _MOST_FRAMES
    return extension in _PYAV_EXTENSIONS


def _has_mp3_length(path):
    """Whether an MP3 file's first frame tells how many follow, as encoders write that can go back."""
    with open(path, "rb") as file:
        header = file.read(10)
        if header[:3] == b"ID3" and len(header) == 10:
            # The tag's length, seven bits a byte.
            file.seek(sum(byte << shift for byte, shift in zip(header[6:], (21, 14, 7, 0))), os.SEEK_CUR)
        else:
            file.seek(0)
        frame = file.read(2048)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def _decode_pyav(path):
    with _open_pyav(path) as container:
        import av

        resampler = None
        for frame in container.decode(audio=0):
            # Same rate and layout: only the sample format changes.
            resampler = resampler or av.AudioResampler("flt", frame.layout, frame.sample_rate)
            for converted in resampler.resample(frame):
                yield converted.to_ndarray().reshape(-1, len(converted.layout.channels))
        if resampler is None:
            raise AudioError("holds no samples")
