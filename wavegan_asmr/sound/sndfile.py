"""Reading with libsndfile: WAV, AIFF, FLAC, OGG (Vorbis and Opus), MP3, AU, CAF, W64 and more."""

import contextlib
import os
import re

import soundfile

from wavegan_asmr.sound.quiet import quiet
from wavegan_asmr.sound.streams import AudioError, NotReadError, Reader, Section, check_rate, frames_at_once, told_s

_BEHIND_BYTES = 1 << 16
"""More than lies behind the sound of most files."""


@contextlib.contextmanager
def open_soundfile(path):
    """Context that opens a file with libsndfile.

    Args:
        path: Path-like.

    Yields:
        `soundfile.SoundFile`.

    Raises:
        AudioError: It is not audio that libsndfile reads.
    """
    try:
        with quiet():
            opened = soundfile.SoundFile(os.fsencode(path))
        with opened as file:
            # What libsndfile takes names like .au for when it finds no header.
            if file.format == "RAW":
                raise AudioError("not readable as audio (no header)")
            yield file
    except soundfile.LibsndfileError as error:
        raise AudioError(f"not readable as audio ({error.error_string.rstrip('.')})") from error


class SndfileReader(Reader):
    """A stream, read with libsndfile, which leaves out nothing.

    Args:
        path: Path-like.
        stream: `streams.Stream`.
    """

    def __init__(self, path, stream):
        self._stream = stream
        with contextlib.ExitStack() as closing:
            self._file, self._source = self._open(path, closing)
            self.sample_rate_hz = check_rate(self._file.samplerate)
            self.channels = self._file.channels
            # Of an unknown length libsndfile says 2^63 or so.
            is_told = not self._file.frames or told_s(self._file.frames / self.sample_rate_hz)
            self.frames = self._file.frames if is_told else None
            self.whole_s = stream.whole_s or self._promised_s()
            if self.whole_s is None and self.frames and not stream.is_cut:
                self.whole_s = self.frames / self.sample_rate_hz
            self._closing = closing.pop_all()

    def close(self):
        """Closes the file."""
        self._closing.close()

    def blocks(self):
        """Yields float32 arrays `[frames, channels]`; where libsndfile meets an error, no more."""
        at_once, left = frames_at_once(self.channels), self._file.frames
        while left > 0:
            try:
                with quiet():
                    block = self._file.read(min(left, at_once), "float32", always_2d=True)
            except soundfile.LibsndfileError:
                self.has_given_up = True
                return
            if not len(block):
                break
            left -= len(block)
            yield block
        # It has stopped at something that it cannot read, or because a length is told that is too small.
        behind = self._stream.stop - self._stream.start - self._source.tell()
        self.has_given_up = behind > _BEHIND_BYTES and (left > 0 or self._file.format == "FLAC")

    def _open(self, path, closing):
        """Returns the file, or its samples where libsndfile does not read them all, and what they are read from."""
        stream, raw = self._stream, self._stream.raw
        try:
            file, source = self._open_section(path, closing, stream.start, stream.stop)
            if raw is None or file.frames == raw.frames:
                return file, source
        except NotReadError:
            if raw is None:
                raise
        check_rate(raw.sample_rate_hz)
        facts = {"samplerate": raw.sample_rate_hz, "channels": raw.channels, "subtype": raw.subtype}
        return self._open_section(path, closing, raw.start, raw.stop, format="RAW", endian=raw.endian, **facts)

    def _open_section(self, path, closing, start, stop, **raw):
        if start == 0 and stop == os.path.getsize(path):
            # A handle in place of a name: nothing is guessed from an ending, and any name will do.
            source = closing.enter_context(open(path, "rb", buffering=0))  # noqa: SIM115
            opened = source.fileno()
        else:
            source = opened = closing.enter_context(Section(path, start, stop))
        try:
            with quiet():
                file = closing.enter_context(soundfile.SoundFile(opened, closefd=False, **raw))
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            raise NotReadError(str(error)) from error
        return file, source

    def _promised_s(self):
        """Returns the seconds that an AU or W64 file's header promises, if they are more than are there, or None.

        libsndfile corrects the length and tells of it in its log, "Data Size : 1000 (should be 500)".
        """
        if self.frames is None or self._file.format not in ("AU", "W64"):
            return None
        for size, there in re.findall(r"(?:Data Size|riff) +: (\d+) \(should be (\d+)\)", self._file.extra_info):
            if 0 < int(there) < int(size) < 0x7F000000:
                return self.frames / self.sample_rate_hz * int(size) / int(there)
        return None
