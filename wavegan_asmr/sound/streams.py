"""What of a file is sound: the streams that follow each other in it, and what they say of themselves.

Most files are one stream. Recordings of web radio and files that were joined end to end are several.
"""

import dataclasses
import io
import os

RATES_HZ = (1000, 1_000_000)
"""Lowest and highest sample rate that is used: one of 1 Hz would become gigabytes, by a header that lies."""

MOST_SECONDS = 1e6
"""A length above that a header tells is none."""

BLOCK_FRAMES = 1 << 18
"""Frames decoded at once: bounds the memory that a long recording takes."""

_BLOCK_SAMPLES = 1 << 21
"""Samples of all channels decoded at once: bounds the memory that many channels take."""


class AudioError(Exception):
    """A file that cannot be used as audio; the message is the reason, without the file's name."""


class NotReadError(Exception):
    """A library that cannot read a stream, which another may."""


@dataclasses.dataclass(frozen=True)
class Raw:
    """Samples that need no decoding, where a file's header puts them.

    Attributes:
        start: Integer, offset of the first byte.
        stop: Integer, offset behind the last byte that is there.
        sample_rate_hz: Integer.
        channels: Integer.
        subtype: String, libsndfile's name of the encoding of a sample, or None where it must be decoded.
        endian: String, "LITTLE" or "BIG".
        frame_bytes: Integer, bytes of a sample of all channels.
    """

    start: int
    stop: int
    sample_rate_hz: int
    channels: int
    subtype: str | None
    endian: str
    frame_bytes: int

    @property
    def frames(self):
        """Integer, samples a channel."""
        return (self.stop - self.start) // self.frame_bytes


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stretch of a file that is sound by itself.

    Attributes:
        start: Integer, offset of the first byte.
        stop: Integer, offset behind the last byte.
        readers: Tuple of "libsndfile" and "ffmpeg", in the order in which they are tried.
        demuxer: String, FFmpeg's name of the container, or None to have it found out.
        raw: `Raw` or None, what to hold libsndfile to.
        whole_s: Float, seconds that it would be if nothing were missing, or None where that is not known.
        is_cut: Boolean, its end is missing.
    """

    start: int
    stop: int
    readers: tuple = ("libsndfile", "ffmpeg")
    demuxer: str | None = None
    raw: Raw | None = None
    whole_s: float | None = None
    is_cut: bool = False


class Reader:
    """Context of a stream that a library reads; each library has its own.

    Attributes:
        sample_rate_hz: Integer.
        channels: Integer.
        frames: Integer, samples a channel that it is going to give, an estimate of some; None where it is not known.
        whole_s: Float, seconds that there would be if nothing were missing, or None where that is not known.
        lost_s: Float, seconds of what was left out up to now.
        has_given_up: Boolean, there may be more that another library can read; known behind the last block.

    Raises:
        NotReadError: The library cannot read it.
        AudioError: Nobody can use it.
    """

    lost_s = 0.0
    has_given_up = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Section(io.RawIOBase):
    """A stretch of a file as a file of its own.

    Args:
        path: String.
        start: Integer, offset of the first byte.
        stop: Integer, offset behind the last byte.

    Attributes:
        error: The OSError of the last attempt to read, or None: C libraries cannot pass it on.
    """

    def __init__(self, path, start, stop):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._start, self._size, self._place = start, stop - start, 0
        self.error = None

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._place

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer):
        wanted = memoryview(buffer)[: max(0, self._size - self._place)]
        try:
            done = os.preadv(self._file.fileno(), [wanted], self._start + self._place) if len(wanted) else 0
        except OSError as error:
            self.error = error
            return 0
        self._place += done
        return done

    def close(self):
        self._file.close()
        super().close()


def told_s(seconds):
    """Returns a length that a header tells, or None where no recording has it."""
    return seconds if 0 < seconds < MOST_SECONDS else None


def check_rate(sample_rate_hz):
    """Returns a sample rate, or raises AudioError where no recording has it."""
    if not RATES_HZ[0] <= sample_rate_hz <= RATES_HZ[1]:
        raise AudioError(f"has a sample rate of {sample_rate_hz} Hz, which is outside 1 kHz to 1 MHz")
    return sample_rate_hz


def frames_at_once(channels):
    """Returns how many frames of a number of channels are decoded at once."""
    return max(1, min(BLOCK_FRAMES, _BLOCK_SAMPLES // channels))


def read_at(file, offset, size):
    """Returns the bytes of an open file at an offset, fewer where it ends."""
    file.seek(offset)
    return file.read(size)


def find_bytes(file, wanted, start, stop, step=1 << 18):
    """Returns the offset of the first of some bytes in a stretch of an open file, or -1.

    Args:
        file: Binary file.
        wanted: Bytes, at least two.
        start: Integer, offset at which the search begins.
        stop: Integer, offset before which they end.
        step: Integer, bytes read at once.
    """
    while start + len(wanted) <= stop:
        held = read_at(file, start, min(step, stop - start))
        place = held.find(wanted)
        if place >= 0:
            return start + place
        if len(held) < len(wanted):
            break
        # They may lie across two steps.
        start += len(held) - len(wanted) + 1
    return -1
