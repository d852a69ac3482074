"""The sounds of a gallery: what a model makes, and files that browsers play."""

import zlib

import numpy as np
from threadpoolctl import threadpool_limits

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import Meter
from wavegan_asmr.rendering import blocks, containers, encoders, formats, levelling
from wavegan_asmr.rendering.arrangement import Arrangement
from wavegan_asmr.rendering.inputs import PILOT
from wavegan_asmr.rendering.mastering import Limiter, to_integers
from wavegan_asmr.rendering.pieces import CompositionError
from wavegan_asmr.rendering.render import PILOT_PIECES
from wavegan_asmr.rendering.settings import RenderSettings

_SMALL = {".opus": {"compression_level": 0.86}}
"""Ending -> options in place of the format's own: 40 kbit/s a channel in place of 80. A page has many sounds."""

_BITS = 16


@threadpool_limits.wrap(limits=1, user_api="blas")
def generate(generator, seconds):
    """Makes a sound as `generate` does by its defaults, but without fades at its ends.

    Args:
        generator: `families.generators.Generator`, of one or two channels.
        seconds: Float.

    Returns:
        Float32 array `[frames, channels]`, at the model's rate.

    Raises:
        UserError: The model is of no use.
    """
    config = generator.config
    rate_hz, channels = config.data_sample_rate, config.data_num_channels
    settings = RenderSettings(seconds=seconds, fade_in_s=0.0, fade_out_s=0.0)
    frames = round(seconds * rate_hz)
    try:
        arrangement = Arrangement([generator], settings, rate_hz, channels, frames)
        (voice,) = arrangement.voices
        if generator.family.is_slow:
            # It keeps them until they are measured.
            with Meter("pilot, piece", PILOT_PIECES) as meter:
                for number in range(PILOT_PIECES):
                    voice[PILOT + number]
                    meter.advance(1)
        voice.calibrate(PILOT_PIECES, settings.max_left_out)
        composition = arrangement.whole(*levelling.level(arrangement))
        limit = Limiter(settings.peak_dbtp, rate_hz)
        numbers = range(-(-frames // blocks.BLOCK_FRAMES))
        return np.concatenate([blocks.master(composition, limit, number) for number in numbers])
    except CompositionError as error:
        raise UserError(f"{error}. Received: {words.printable(generator.train_dir.path)}.") from error


def write(path, x, sample_rate_hz):
    """Writes a sound, in a small form where its format has one; the same samples make the same file.

    Args:
        path: String; the ending tells the format, see `formats.FORMATS`.
        x: Float32 array `[frames, channels]` in [-1, 1].
        sample_rate_hz: Integer.

    Raises:
        OSError: It cannot be written.
    """
    form = formats.format_of(path)
    codec = form.codec or f"PCM_{_BITS}"
    options = form.encoder | _SMALL.get(form.ending, {})
    layout = (form.container, codec, sample_rate_hz, x.shape[1], len(x))
    with storage.replace_atomically(path) as temporary:
        with open(temporary, "wb") as file, encoders.encode(form.library, file, *layout, **options) as write_samples:
            write_samples(to_integers(x, _BITS, 0) if form.is_pcm else x)
        if form.container == "OGG":
            containers.set_serial(temporary, zlib.crc32(x.tobytes()))
