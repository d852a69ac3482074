"""Sound files of any length, written block by block, and read so; stdout."""

import contextlib
import io
import os
import shutil
import struct

import numpy as np
import soundfile

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats
from wavegan_asmr.rendering.mastering import to_integers
from wavegan_asmr.sound import wav

_DECODED_FRAMES = 1 << 17


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

    Attributes:
        is_file: Boolean.
        is_pcm: Boolean, whether integers are stored as they are.
        container: String, as libsndfile names it, or None for stdout.

    Raises:
        UserError: The format is unknown or cannot take the rate or the length.
    """

    def __init__(self, path, sample_rate_hz, channels, bits=16, frames=None, seed=0, stdout_format="raw"):
        self.path = path
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.bits = bits
        self.frames = frames
        self.seed = seed
        self.is_file = path != formats.STDOUT
        self._stdout_format = stdout_format
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

    def check_place(self, overwrite, beside=()):
        """Checks that the file can be made.

        Args:
            overwrite: Boolean, whether files may be replaced.
            beside: Paths of the other files that are made with it.

        Raises:
            UserError: It is there already, there is no folder, or too little room.
        """
        if not self.is_file:
            return
        for path in [self.path, *beside]:
            if os.path.exists(path) and not overwrite:
                raise UserError(f"{path!r} is there already; give another --out, or --overwrite.")
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(folder):
            raise UserError(f"--out is in a folder that is not there. Received: {self.path!r}.")
        if not os.access(folder, os.W_OK):
            raise UserError(f"--out is in a folder that cannot be written. Received: {self.path!r}.")
        free = shutil.disk_usage(folder).free
        if free < self.bytes:
            raise UserError(
                f"{self.path!r} needs up to {self.bytes / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; make room, "
                "write a shorter file, or one of another format."
            )

    def round_trip(self, x):
        """Encodes samples and decodes them: float32 `[frames, channels]`, what a listener hears."""
        buffer = io.BytesIO()
        with self._create(buffer) as file:
            file.write(x)
        buffer.seek(0)
        return np.concatenate(list(decode(buffer)))

    @contextlib.contextmanager
    def open(self, check=None):
        """Context that gives a function to write blocks; the file appears under its name when the block ends.

        Args:
            check: Function of the path of the whole file, called before it gets its name; not for stdout.

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
            with self._create(temporary) as file, wav.sndfile_writing():
                yield file.write
            if check:
                check(temporary)

    def _create(self, file):
        return soundfile.SoundFile(
            file,
            "w",
            self.sample_rate_hz,
            self.channels,
            self._format.subtype or f"PCM_{self.bits}",
            format=self.container,
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


def decode(file):
    """Yields the samples of a sound file, a path or a binary file, in blocks: float32 `[frames, channels]`."""
    with soundfile.SoundFile(file) as sound:
        while True:
            with _hidden_stderr():
                x = sound.read(_DECODED_FRAMES, dtype="float32", always_2d=True)
            if not len(x):
                return
            yield x


@contextlib.contextmanager
def _hidden_stderr():
    """Context in which mpg123 does not complain of what LAME wrote; its samples are those that ffmpeg decodes."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
