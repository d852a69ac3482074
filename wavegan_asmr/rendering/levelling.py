"""The gains that bring a composition to its loudness and below its ceiling, measured before it is rendered."""

import numpy as np

from wavegan_asmr.progress import Meter
from wavegan_asmr.rendering.blocks import BLOCK_FRAMES
from wavegan_asmr.rendering.loudness import LoudnessMeter, amplitude
from wavegan_asmr.rendering.mastering import Levels, Limiter
from wavegan_asmr.rendering.pieces import CompositionError

_LEVELLED_S = 600.0
"""Seconds by which the loudness is set: all of a shorter composition, stretches all over a longer one."""

_LEVELLED_STRETCHES = 20
_ENDLESS_S = 8 * 3600.0
_CODEC_S, _CODEC_RESERVE_DB = 20.0, 1.0
"""What a codec does to level and peaks is measured on so many seconds; peaks get a reserve for all the others.

Also for players, which decode Opus at 48 kHz whatever its rate is, and find peaks up to 0.7 dB higher.
"""

_CODEC_LIMITED_DB = 6.0
"""Peaks are measured with the sound so far above the ceiling: a sound that has been limited overshoots most."""


def level(arrangement):
    """Measures stretches all over the composition.

    Args:
        arrangement: `Arrangement`, its voices calibrated.

    Returns:
        List of floats, dB, the gain of each voice; float, dB, the gain of their sum.

    Raises:
        CompositionError: A model makes silence.
    """
    settings, voices = arrangement.settings, arrangement.voices
    gains_db = settings.gains_db or [0.0] * len(voices)
    levelled = round(_LEVELLED_S * arrangement.sample_rate_hz)
    frames = arrangement.frames or round(_ENDLESS_S * arrangement.sample_rate_hz)
    stretches = 1 if frames <= levelled else _LEVELLED_STRETCHES
    stretch = min(frames, levelled) // stretches
    blocks = range(0, stretch, BLOCK_FRAMES)
    is_mix = settings.layout == "mix" and len(voices) > 1

    def loudness(voices, gains_db):
        meter = LoudnessMeter(arrangement.sample_rate_hz, arrangement.channels)
        for number in range(stretches):
            composition = arrangement.part(voices, gains_db, stretch, frames * number // stretches)
            for first in blocks:
                meter.add(composition.mix(first, min(first + BLOCK_FRAMES, stretch)))
                status.advance(1)
        return meter.integrated()

    with Meter("levelling, block", len(blocks) * stretches * (len(voices) + is_mix)) as status:
        voice_gains_db = []
        for voice, gain_db in zip(voices, gains_db):
            lufs = loudness([voice], [0.0])
            if not np.isfinite(lufs):
                raise CompositionError("the model makes silence; train it longer")
            voice_gains_db.append(round(float(settings.lufs - lufs + gain_db), 3))
        if is_mix:
            return voice_gains_db, round(float(settings.lufs - loudness(voices, voice_gains_db)), 3)
    # Turns are equally long, so the mean of their powers is that of the whole.
    return voice_gains_db, round(-10 * float(np.log10(np.mean(10 ** (np.array(gains_db) / 10)))), 3)


def measure_codec(arrangement, gains_db, gain_db, output):
    """Encodes and decodes some seconds, since a lossy format changes level and peaks.

    Args:
        arrangement: `Arrangement`.
        gains_db, gain_db: What `level` returned.
        output: `Output`.

    Returns:
        Float, dB to add so that the decoded sound is as loud as it was; float, dB, the limiter's ceiling that keeps
        the decoded peaks below `--peak_dbtp`.
    """
    settings, voices, rate_hz = arrangement.settings, arrangement.voices, output.sample_rate_hz
    if output.is_pcm:
        return 0.0, settings.peak_dbtp
    groups = [(voices, gains_db)]
    if settings.layout != "mix":
        groups = [([voice], [each_db]) for voice, each_db in zip(voices, gains_db)]
    frames = round(_CODEC_S * rate_hz / len(groups))
    x = np.concatenate([arrangement.part(*group, frames, gain_db=gain_db).mix(0, frames) for group in groups])
    limit = Limiter(settings.peak_dbtp, rate_hz)

    def figures(x):
        levels = Levels(rate_hz, output.channels)
        levels.add(x)
        return levels.figures()

    def limited(x):
        return limit(np.pad(x, [[limit.context, limit.context], [0, 0]]))

    x = limited(x)
    codec_gain_db = figures(x)["lufs"] - figures(output.round_trip(x))["lufs"]
    lift_db = max(0.0, settings.peak_dbtp + _CODEC_LIMITED_DB - figures(x)["true_peak_db"])
    hot = limited(x * np.float32(amplitude(lift_db)))
    overshoot_db = figures(output.round_trip(hot))["true_peak_db"] - settings.peak_dbtp
    return codec_gain_db, round(settings.peak_dbtp - max(0.0, overshoot_db) - _CODEC_RESERVE_DB, 3)
