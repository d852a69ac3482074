"""Output formats: what each is called, which files it can hold, and which library writes it how.

To add one, add an entry: `--out`, its help, its errors, the encoder and the table of the docs follow from the registry.
Nothing heavy is imported here, since help is made from it.
"""

import dataclasses
import os

from wavegan_asmr.errors import UserError

STDOUT = "-"
"""In place of a file's name."""


@dataclasses.dataclass(frozen=True)
class Format:
    """An output format.

    Attributes:
        ending: String, of the file's name, in small letters.
        name: String, for messages.
        words: String, what it is, for docs.
        container: String, as the library names it.
        codec: String, as the library names it; None for integers of `--bits` (PCM).
        library: String, what encodes and decodes it, see `encoders.ENCODERS`.
        encoder: Dict of keyword arguments of the encoder, such as the quality.
        has_tags: Boolean.
        has_loops: Boolean, whether it can say that it is a loop.
        rates_hz: Tuple of integers, the sample rates it takes, or None for any.
        most_rate_hz: Integer, the highest sample rate, or None.
        fewest_frames: Integer.
        most_frames: Integer, or None.
        most_bytes: Integer, size of the samples from which on it is written as `large_container`, or None.
        large_container: String, or None.
        bytes_a_second: Integer, the most that a lossy format takes.
    """

    ending: str
    name: str
    words: str
    container: str
    codec: str | None = None
    library: str = "libsndfile"
    encoder: dict = dataclasses.field(default_factory=dict)
    has_tags: bool = True
    has_loops: bool = False
    rates_hz: tuple | None = None
    most_rate_hz: int | None = None
    fewest_frames: int = 1
    most_frames: int | None = None
    most_bytes: int | None = None
    large_container: str | None = None
    bytes_a_second: int = 40_000

    @property
    def is_pcm(self):
        """Whether integers of `--bits` are stored as they are."""
        return self.codec is None

    def check(self, sample_rate_hz, frames):
        """Raises UserError where it cannot hold a sound of a sample rate and of so many frames."""
        if self.rates_hz and sample_rate_hz not in self.rates_hz:
            raise UserError(
                f"{self.ending} ({self.name}) takes sample rates of {', '.join(map(str, self.rates_hz))} Hz; give one "
                f"with --sample_rate. Received: {sample_rate_hz}."
            )
        if self.most_rate_hz and sample_rate_hz > self.most_rate_hz:
            raise UserError(
                f"{self.ending} ({self.name}) takes sample rates up to {self.most_rate_hz} Hz; give one with "
                f"--sample_rate. Received: {sample_rate_hz}."
            )
        if frames < self.fewest_frames:
            raise UserError(f"{self.name} begins at {self.fewest_frames} frames; write a WAV file. Received: {frames}.")
        if self.most_frames and frames > self.most_frames:
            raise UserError(f"{self.name} ends at {self.most_frames} frames; write a WAV file. Received: {frames}.")

    def container_of(self, size):
        """Returns the container of a file whose samples take so many bytes, a string."""
        return self.large_container if self.most_bytes and size > self.most_bytes else self.container

    @property
    def rates_in_words(self):
        """The sample rates it takes, for docs."""
        if self.rates_hz:
            return f"{', '.join(f'{rate_hz / 1000:g}' for rate_hz in self.rates_hz)} kHz"
        return f"to {self.most_rate_hz:,} Hz" if self.most_rate_hz else "any"


FORMATS = {
    each.ending: each
    for each in (
        Format(
            ".wav",
            "WAV",
            "16 or 24 bit; above 4 GB an RF64 file",
            "WAV",
            has_loops=True,
            most_bytes=2**32 - 2**16,
            large_container="RF64",
        ),
        Format(".flac", "FLAC", "16 or 24 bit", "FLAC", most_rate_hz=655_350, most_frames=2**36 - 1),
        Format(
            ".ogg",
            "Ogg Vorbis",
            "Vorbis, quality 7 of 10",
            "OGG",
            "VORBIS",
            encoder={"compression_level": 0.3},
            most_rate_hz=200_000,
        ),
        Format(
            ".opus",
            "Opus",
            "Opus, about 80 kbit/s a channel",
            "OGG",
            "OPUS",
            # At libsndfile's own level noise is taken for speech, and the first 20 s are 1.6 dB softer.
            encoder={"compression_level": 0.7},
            rates_hz=(8000, 12000, 16000, 24000, 48000),
        ),
        Format(
            ".mp3",
            "MP3",
            "MP3, constant 112 kbit/s at 16 kHz, 224 at 44.1 kHz",
            "MP3",
            "MPEG_LAYER_III",
            # Variable rates overshoot by 1 dB more, and players do not seek in them exactly.
            encoder={"compression_level": 0.3, "bitrate_mode": "CONSTANT"},
            rates_hz=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        ),
        Format(
            ".m4a",
            "M4A",
            "AAC, 48 kbit/s a channel at 16 kHz, 132 at 44.1 kHz",
            "ipod",
            "aac",
            library="FFmpeg",
            # With 2 the two channels of a noise move together.
            encoder={"bits_a_sample": 3},
            rates_hz=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
            # Of half a packet FFmpeg decodes nothing.
            fewest_frames=1024,
            bytes_a_second=80_000,
        ),
    )
}
"""The registry: ending of a file's name -> `Format`."""


def format_of(path):
    """Returns the `Format` of a file.

    Args:
        path: String, its name.

    Raises:
        UserError: There is none of its ending.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        raise UserError(
            f"--out must end in one of {', '.join(FORMATS)}, or be {STDOUT} for stdout. Received: {path!r}."
        )
    return FORMATS[ending]


def endings(is_pcm=None):
    """Returns endings as a user would read them, such as ".wav, .flac or .mp3".

    Args:
        is_pcm: Boolean, only those of formats that are PCM, or are not; None for all.
    """
    *first, last = [each.ending for each in FORMATS.values() if is_pcm in (None, each.is_pcm)]
    return f"{', '.join(first)} or {last}" if first else last


def table():
    """Returns the table of formats for docs/generating.md, a list of Markdown lines."""
    rows = [f"| {each.ending} | {each.words} | {each.rates_in_words} |" for each in FORMATS.values()]
    return ["| ending | format | rates |", "| --- | --- | --- |", *rows]
