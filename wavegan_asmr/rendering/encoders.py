"""Encoders and decoders of the libraries that `formats.FORMATS` names: samples into a file and back, block by block.

A library is added as two functions, named in `ENCODERS` and `DECODERS`.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import os

import numpy as np
import soundfile

from wavegan_asmr.lazy import LazyModule
from wavegan_asmr.sound.quiet import quiet

# Brings all of FFmpeg.
av = LazyModule("av")

_BLOCK_FRAMES = 1 << 17
_AAC_FRAMES = 1024
"""Frames of a packet."""


@contextlib.contextmanager
def encode(library, file, *form, **options):
    """Context of a file that a library writes, in a thread: Ctrl-C within what it calls of Python would be lost.

    Args:
        library: String, of `ENCODERS`.
        file: Binary file.
        form, options: See `ENCODERS`.

    Yields:
        Function of samples, integers or float32 `[frames, channels]`, that writes them.

    Raises:
        OSError: It cannot be written.
    """
    watched = _Watched(file)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def work(function, *arguments):
            try:
                return pool.submit(function, *arguments).result()
            finally:
                watched.check()

        stack = contextlib.ExitStack()
        try:
            yield functools.partial(work, work(stack.enter_context, ENCODERS[library](watched, *form, **options)))
        finally:
            work(stack.close)


def decode(library, file):
    """Yields the samples of a file in blocks: float32 `[frames, channels]`.

    Args:
        library: String, of `DECODERS`.
        file: String, a path, or a binary file.
    """
    return DECODERS[library](file)


@contextlib.contextmanager
def _encode_by_sndfile(file, container, codec, sample_rate_hz, channels, frames, tags=None, **options):
    """Context of a file that libsndfile writes; options are those of `soundfile.SoundFile`."""
    with soundfile.SoundFile(file, "w", sample_rate_hz, channels, codec, format=container, **options) as sound:
        # Most formats have their tags before the samples.
        for name, text in dataclasses.asdict(tags).items() if tags else ():
            setattr(sound, name, text)

        def write(x):
            # Vorbis has what it is given first on the stack.
            for first in range(0, len(x), _BLOCK_FRAMES):
                sound.write(x[first : first + _BLOCK_FRAMES])

        yield write


@contextlib.contextmanager
def _encode_by_ffmpeg(file, container, codec, sample_rate_hz, channels, frames, tags=None, bits_a_sample=3):
    """Context of a file of AAC that FFmpeg writes, of which decoders give exactly the frames that were written.

    AAC comes in packets of 1024 frames. Decoders cut off what is before the beginning by the file's edit list, but not
    what the last packet has too much. So silence before the beginning makes the last packet full. It is at least a
    packet long: then the beginning is no jump, and has the bits to spare that the silence did not need.
    """
    layout = ("mono", "stereo")[channels - 1]
    silence = _AAC_FRAMES + -frames % _AAC_FRAMES
    # Lengths in frames, not in milliseconds; nothing of the library's version.
    form = {"movie_timescale": str(sample_rate_hz), "fflags": "+bitexact"}
    with av.open(file, "w", format=container, options=form) as muxer:
        muxer.metadata.update(dataclasses.asdict(tags) if tags else {})
        stream = muxer.add_stream(codec, sample_rate_hz, {"flags": "+bitexact"}, layout=layout)
        stream.bit_rate = round(bits_a_sample * sample_rate_hz * channels)
        time = -silence

        def write(x):
            nonlocal time
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(x.T, np.float32), "fltp", layout)
            frame.sample_rate, frame.pts = sample_rate_hz, time
            time += len(x)
            muxer.mux(stream.encode(frame))

        write(np.zeros([silence, channels]))
        yield write
        muxer.mux(stream.encode(None))


def _decode_by_sndfile(file):
    # soundfile takes no names that are not UTF-8, but bytes.
    with soundfile.SoundFile(os.fsencode(file) if isinstance(file, str) else file) as sound:
        while True:
            # mpg123 complains of what LAME wrote; its samples are those that ffmpeg decodes.
            with quiet():
                x = sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            if not len(x):
                return
            yield x


def _decode_by_ffmpeg(file):
    with av.open(file) as demuxer:
        packets = (frame.to_ndarray().T for frame in demuxer.decode(audio=0))
        while block := list(itertools.islice(packets, _BLOCK_FRAMES // _AAC_FRAMES)):
            yield np.concatenate(block)


ENCODERS = {"libsndfile": _encode_by_sndfile, "FFmpeg": _encode_by_ffmpeg}
"""`Format.library` -> function that gives a context, as `encode` does, of

    file: Binary file.
    container, codec: Strings, as the library names them.
    sample_rate_hz, channels: Integers.
    frames: Integer, how many will be written.
    tags: `Tags`, or None.
    options: Keyword arguments, `Format.encoder`.
"""

DECODERS = {"libsndfile": _decode_by_sndfile, "FFmpeg": _decode_by_ffmpeg}
"""`Format.library` -> function, see `decode`."""


class _Watched:
    """A file for libraries that tell no reasons, or overlook what fails while they close it.

    Args:
        file: Binary file.
    """

    def __init__(self, file):
        self._file = file
        self._error = None
        self.tell = file.tell

    def check(self):
        """Raises OSError where the file could not be written."""
        if self._error:
            raise self._error

    def write(self, data):
        return self._try(self._file.write, data)

    def seek(self, *place):
        return self._try(self._file.seek, *place)

    def read(self, size):
        return self._try(self._file.read, size)

    def _try(self, function, *arguments):
        try:
            return function(*arguments)
        except OSError as error:
            self._error = error
            return 0
