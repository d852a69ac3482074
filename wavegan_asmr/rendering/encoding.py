"""Sound files of any length, written block by block, and read so; stdout."""

import contextlib
import io
import struct
import zlib

import numpy as np

from wavegan_asmr import storage
from wavegan_asmr.rendering import containers, encoders, formats
from wavegan_asmr.rendering.mastering import to_integers


class Output:
    """A sound file to be.

    Args:
        path: String; the ending tells the format, see `formats.FORMATS`, "-" is stdout.
        sample_rate_hz: Integer.
        channels: 1 or 2.
        bits: 16 or 24, of PCM formats and stdout.
        frames: Integer, or None for no end (stdout only).
        seed: Integer, of the dither.
        stdout_format: "raw" or "wav".
        tags: `Tags`, or None.

    Attributes:
        is_file: Boolean.
        is_pcm: Boolean, whether integers are stored as they are.
        container: String, see `Format`, or None for stdout.

    Raises:
        UserError: The format is unknown or cannot take the rate or the length.
    """

    def __init__(self, path, sample_rate_hz, channels, bits=16, frames=None, seed=0, stdout_format="raw", tags=None):
        self.path = path
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.bits = bits
        self.frames = frames
        self.seed = seed
        self.is_file = path != formats.STDOUT
        self._stdout_format = stdout_format
        self._tags = tags
        self._format = formats.format_of(path) if self.is_file else None
        self.is_pcm = not self._format or self._format.is_pcm
        self.container = None
        if self._format:
            self._format.check(sample_rate_hz, frames)
            self.container = self._format.container_of(self.bytes)

    @property
    def bytes(self):
        """The most bytes the file will take."""
        if self.is_pcm:
            return self.frames * self.channels * self.bits // 8
        return self.frames // self.sample_rate_hz * self._format.bytes_a_second

    def round_trip(self, x):
        """Encodes samples and decodes them: float32 `[frames, channels]`, what a listener hears."""
        buffer = io.BytesIO()
        with self._encoder(buffer, len(x)) as write:
            write(x)
        buffer.seek(0)
        return np.concatenate(list(self.decode(buffer)))

    def decode(self, file):
        """Yields the samples of a file of this format, a path or a binary file: float32 `[frames, channels]`."""
        return encoders.decode(self._format.library, file)

    @contextlib.contextmanager
    def open(self, finish=None):
        """Context that gives a function to write blocks; the file appears under its name when the block ends.

        Args:
            finish: Function of the path of the whole file, called before it gets its name; not for stdout.

        Yields:
            Function of what `encode` returned.

        Raises:
            OSError: It cannot be written.
        """
        if not self.is_file:
            with open(1, "wb", closefd=False) as stdout:
                if self._stdout_format == "wav":
                    stdout.write(self._endless_wav_header())
                yield lambda samples: stdout.write(self._bytes(samples))
            return
        with storage.replace_atomically(self.path) as temporary:
            with open(temporary, "wb") as file, self._encoder(file, self.frames) as write:
                yield write
            if self.container == "OGG":
                containers.set_serial(temporary, zlib.crc32(repr(self._tags).encode()))
            if finish:
                finish(temporary)

    def mark_loop(self, path):
        """Has a whole file be played round and round, where its format can say so."""
        if self._format.has_loops:
            containers.mark_loop(path, self.frames, self.sample_rate_hz)

    def _encoder(self, file, frames):
        """Context that gives a function to write so many frames into a binary file."""
        return encoders.encode(
            self._format.library,
            file,
            self.container,
            self._format.codec or f"PCM_{self.bits}",
            self.sample_rate_hz,
            self.channels,
            frames,
            self._tags if self._format.has_tags else None,
            **self._format.encoder,
        )

    def encode(self, number, x):
        """Returns what is stored of a block: dithered integers, or the samples where the format is lossy.

        Args:
            number: Integer, of the block; the dither is a function of it and the seed.
            x: float32 `[frames, channels]`.
        """
        return to_integers(x, self.bits, [self.seed, number]) if self.is_pcm else x

    def _bytes(self, integers):
        if self.bits == 16:
            return integers.astype("<i2").tobytes()
        # The upper three of four little-endian bytes.
        return np.ascontiguousarray(integers.astype("<i4")).view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()

    def _endless_wav_header(self):
        frame_bytes = self.channels * self.bits // 8
        rate_hz, unknown = self.sample_rate_hz, 0xFFFFFFFF
        form = struct.pack("<HHIIHH", 1, self.channels, rate_hz, rate_hz * frame_bytes, frame_bytes, self.bits)
        return (
            b"RIFF"
            + struct.pack("<I4s4sI", unknown, b"WAVE", b"fmt ", 16)
            + form
            + struct.pack("<4sI", b"data", unknown)
        )
