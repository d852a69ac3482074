"""Sound files of any length, written block by block: WAV (RF64 above 4 GB), FLAC, OGG Vorbis, Opus, MP3, stdout."""

import contextlib
import io
import os
import shutil
import struct

import numpy as np
import soundfile

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering.mastering import to_integers
from wavegan_asmr.sound import files

_PCM = {16: "PCM_16", 24: "PCM_24"}
_FORMATS = {
    ".wav": ("WAV", None),
    ".flac": ("FLAC", None),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_QUALITY = {
    "VORBIS": {"compression_level": 0.3},
    # At libsndfile's own level noise is taken for speech, and the first 20 s are 1.6 dB softer.
    "OPUS": {"compression_level": 0.7},
    # Variable rates overshoot by 1 dB more, and players do not seek in them exactly.
    "MPEG_LAYER_III": {"compression_level": 0.3, "bitrate_mode": "CONSTANT"},
}

_RATES_HZ = {
    ".opus": (8000, 12000, 16000, 24000, 48000),
    ".mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
_DECODED_FRAMES = 1 << 17
_LARGEST_WAV_BYTES = 2**32 - 2**16
_LOSSY_BYTES_A_SECOND = 40_000
_MOST_VORBIS_RATE_HZ = 200_000
_MOST_FLAC_FRAMES, _MOST_FLAC_RATE_HZ = 2**36 - 1, 655_350


class Output:
    """A sound file to be.

    Args:
        path: String; the ending tells the format, "-" is stdout.
        sample_rate_hz: Integer.
        channels: 1 or 2.
        bits: 16 or 24, of WAV, FLAC and stdout.
        frames: Integer, or None for no end (stdout only).
        seed: Integer, of the dither.
        stdout_format: "raw" or "wav".

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
        self.stdout_format = stdout_format
        if path == "-":
            self.subtype = _PCM[bits]
            return
        extension = os.path.splitext(path)[1].lower()
        if extension not in _FORMATS:
            known = ", ".join(_FORMATS)
            raise UserError(f"--out must end in one of {known}, or be - for stdout. Received: {path!r}.")
        rates_hz = _RATES_HZ.get(extension)
        if rates_hz and sample_rate_hz not in rates_hz:
            raise UserError(
                f"{extension} takes sample rates of {', '.join(map(str, rates_hz))} Hz; give one with --sample_rate. "
                f"Received: {sample_rate_hz}."
            )
        if extension == ".ogg" and sample_rate_hz > _MOST_VORBIS_RATE_HZ:
            raise UserError(
                f".ogg takes sample rates up to {_MOST_VORBIS_RATE_HZ} Hz; give one with --sample_rate. "
                f"Received: {sample_rate_hz}."
            )
        if extension == ".flac" and (frames > _MOST_FLAC_FRAMES or sample_rate_hz > _MOST_FLAC_RATE_HZ):
            raise UserError(
                f"FLAC ends at {_MOST_FLAC_FRAMES} frames and {_MOST_FLAC_RATE_HZ} Hz; write a WAV file. "
                f"Received: {frames} frames at {sample_rate_hz} Hz."
            )
        self.format, subtype = _FORMATS[extension]
        self.subtype = subtype or _PCM[bits]
        if self.format == "WAV" and self.bytes > _LARGEST_WAV_BYTES:
            self.format = "RF64"

    @property
    def is_pcm(self):
        """Whether integers are stored as they are."""
        return self.subtype in _PCM.values()

    @property
    def bytes(self):
        """The most bytes the file will take."""
        if self.is_pcm:
            return self.frames * self.channels * self.bits // 8
        return self.frames // self.sample_rate_hz * _LOSSY_BYTES_A_SECOND

    def check_disk(self):
        """Raises UserError where the file cannot be made: no folder, or too little room."""
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
        """
        if self.path == "-":
            with open(1, "wb", closefd=False) as stdout:
                if self.stdout_format == "wav":
                    stdout.write(self._endless_wav_header())
                yield lambda samples: stdout.write(self._bytes(samples))
            return
        with storage.replace_atomically(self.path) as temporary:
            with self._create(temporary) as file, files.sndfile_writing():
                yield file.write
            if check:
                check(temporary)

    def _create(self, file):
        return soundfile.SoundFile(
            file,
            "w",
            self.sample_rate_hz,
            self.channels,
            self.subtype,
            format=self.format,
            **_QUALITY.get(self.subtype, {}),
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
