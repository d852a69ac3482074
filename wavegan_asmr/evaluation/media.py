"""Sounds and pictures as data URLs, for a page that holds them inside itself."""

import base64
import io

import matplotlib
import soundfile

from wavegan_asmr.sound import files, plots, wav

_LOSSLESS_BYTES = 5_000_000
"""More sound than this, as 16-bit samples, is coded with loss: the page stays at some 10 MB."""

_LEAST_HZ, _MOST_HZ = 8000, 96000
"""Sample rates that browsers play."""

_GREY = "#808080"
# Pictures have no background, and letters that can be read on a light and on a dark one.
_PICTURE_STYLE = {"figure.facecolor": "none", "axes.facecolor": "none"} | dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _GREY
)


class SoundCoder:
    """Codes the clips of a page in a format that browsers play, with loss only where there are many.

    Args:
        sample_rate_hz: Integer, of the clips.
        samples: Integer, in all clips and channels together.
    """

    def __init__(self, sample_rate_hz, samples):
        self._rate_hz = sample_rate_hz
        self._format = ("FLAC", "PCM_16") if 2 * samples <= _LOSSLESS_BYTES else ("OGG", "VORBIS")

    def to_url(self, clip):
        """Codes a clip.

        Args:
            clip: float32 array `[samples, channels]` in [-1, 1]; more than two channels are mixed to one.

        Returns:
            String, a data URL.
        """
        playable_hz = min(max(self._rate_hz, _LEAST_HZ), _MOST_HZ)
        channels = clip.shape[1] if clip.shape[1] <= 2 else 1
        blocks = [wav.to_int16(x) for x in files.convert([clip], self._rate_hz, playable_hz, channels)]
        buffer = io.BytesIO()
        container, subtype = self._format
        with soundfile.SoundFile(buffer, "w", playable_hz, channels, subtype, format=container) as file:
            for block in blocks:
                file.write(block)
        return _data_url(f"audio/{container.lower()}", buffer.getvalue())


def draw_clips(rows, sample_rate_hz, title):
    """Draws clips for a light and a dark page; arguments as of `plots.grid`. Returns the bytes of a PNG file."""
    with matplotlib.rc_context(_PICTURE_STYLE):
        return plots.png(plots.grid(rows, sample_rate_hz, title))


def picture_to_url(png):
    """Returns the data URL of a picture, the bytes of a PNG file."""
    return _data_url("image/png", png)


def _data_url(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
