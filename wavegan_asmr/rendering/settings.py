"""Settings of rendering: of a finished file, and of previews."""

import dataclasses

from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats
from wavegan_asmr.settings import LARGEST, Settings, setting

_WALK = ("latents", ("walk",))
_SEQUENCE = ("layout", ("sequence",))
_STDOUT = ("out", (formats.STDOUT,))


@dataclasses.dataclass(frozen=True)
class PreviewSettings(Settings):
    """Settings of previews."""

    preview_n: int = setting(32, "Fixed inputs, such as latent vectors, to render.", at_least=1, at_most=100_000)
    label: str = setting(
        "", "Label of a model that has learned some, or a mix, as rain:0.7,waves:0.3; the files have it in their names."
    )


@dataclasses.dataclass(frozen=True)
class RenderSettings(Settings):
    """What decides the samples of a file, given the models; its manifest keeps them."""

    seconds: float = setting(0.0, "Length; 0 for no end.", unit="s", at_least=0)
    sample_rate: int | None = setting(
        None, "Sample rate; default: the highest of the models.", unit="Hz", at_least=8000, at_most=1_000_000
    )
    bits: int = setting(16, f"Bits of {formats.endings(is_pcm=True)} and of stdout, dithered.", choices=(16, 24))
    precision: str = setting(
        "float32",
        "Arithmetic of the generators; bfloat16 is twice as fast on processors that have it.",
        choices=("float32", "mixed_bfloat16"),
    )
    seed: int = setting(0, "Seed of inputs, such as latent vectors, and of dither.", at_least=0, at_most=2**63 - 1)

    layout: str = setting(
        "sequence", "Several models: one after the other, or all at once.", choices=("sequence", "mix")
    )
    stretch_s: float = setting(60.0, "A model's turn in a sequence.", unit="s", at_least=1, only_with=_SEQUENCE)
    model_fade_s: float = setting(8.0, "Cross-fade from model to model.", unit="s", at_least=0, only_with=_SEQUENCE)
    gains_db: tuple[float, ...] = setting(
        (), "Gain of each model over equal loudness, as 0,-6.", unit="dB", at_least=-120, at_most=120
    )

    fade_s: float | None = setting(None, "Cross-fade of pieces; default: a quarter of a piece.", unit="s", at_least=0)
    fade_shape: str = setting("equal_power", "Shape of the cross-fades of pieces.", choices=("equal_power", "linear"))
    candidates: int = setting(
        8, "Pieces among which the next is chosen; 1 for none to choose.", at_least=1, at_most=10_000
    )
    align: bool = setting(False, "Move pieces by up to half a fade to run on in phase (tonal sound).")
    max_left_out: float = setting(0.2, "Largest share of pieces to leave out.", at_least=0, at_most=0.9)

    latents: str = setting(
        "random", "Independent pieces, or a slow walk through latent space.", choices=("random", "walk")
    )
    walk_s: float = setting(30.0, "Time from keyframe to keyframe of a walk.", unit="s", at_least=0.1, only_with=_WALK)
    truncation: float = setting(1.0, "Range of the latent vectors.", at_least=0.01, at_most=1)
    temperature: float = setting(
        1.0,
        "How boldly models without latent vectors draw (wavenet, lstm): below 1 what is likely becomes likelier.",
        at_least=0.001,
        at_most=100,
    )
    label: str = setting(
        "",
        "Label of models that have learned some, or a mix, as rain:0.7,waves:0.3; 'rain; waves' goes from one to the "
        "next over the length; default: as often as in the recordings.",
    )
    intensity: str = setting(
        "",
        "How loud models are that have learned to listen to level, 0 to 1; that at times, as 0:0.2,600:0.9; a file of "
        "such lines (.csv); or a recording, whose course it follows; default: as the recordings.",
    )
    brightness: str = setting("", "The same for models that listen to brightness.")
    stereo: float | None = setting(
        None, "Stereo of mono models: 0 for alike channels to 1 for wide.", at_least=0, at_most=1
    )

    lufs: float = setting(-30.0, "Loudness.", unit="LUFS", at_least=-70, at_most=-5)
    peak_dbtp: float = setting(-3.0, "Ceiling of the true peak.", unit="dB", at_least=-40, at_most=0)
    max_jump_db: float = setting(
        6.0, "Largest rise of the short-term loudness within 3 s.", unit="dB", at_least=1, at_most=3000
    )
    fade_in_s: float = setting(3.0, "Fade at the beginning.", unit="s", at_least=0)
    fade_out_s: float = setting(
        5.0, "Fade at the end; with --loop the cross-fade of end and beginning.", unit="s", at_least=0
    )
    loop: bool = setting(False, "The end runs into the beginning without a seam.")


@dataclasses.dataclass(frozen=True)
class OutputSettings(Settings):
    """Which file is written, and how long it is."""

    minutes: float = setting(0.0, "Length; added to --hours.", unit="min", at_least=0, at_most=6_000_000)
    hours: float = setting(0.0, "Length.", unit="h", at_least=0, at_most=100_000)
    out: str = setting("", f"The file: {formats.endings()}; - for stdout, without end if no length is given.")
    overwrite: bool = setting(False, "Replace a file that is there.")
    keep_partial: bool = setting(False, "Keep what is written when stopped by Ctrl-C.")
    measure_repeats: bool = setting(
        False, "Measure how much of the file comes again, as `wavegan repeats`, and tell it in the manifest."
    )
    stdout_format: str = setting("raw", "What --out - writes.", choices=("raw", "wav"), only_with=_STDOUT)

    @property
    def seconds(self):
        """The length, 0 for no end."""
        return 60 * self.minutes + 3600 * self.hours


@dataclasses.dataclass(frozen=True)
class AgainSettings(Settings):
    """Which stretch of an earlier file is rendered again."""

    # The flag is --from, which is no name in Python.
    from_: str | None = setting(
        None, "A .json that generate wrote, or the sound file beside it: render a stretch of that file again."
    )
    start: str | None = setting(None, "With --from: where the stretch begins, h:m:s, m:s or seconds.")
    end: str | None = setting(None, "With --from: where the stretch ends.")
    train_dir: tuple[str, ...] = setting(
        (), "With --from: where the models are now, in its order; all of them, or those that have moved."
    )


def parse_time(name, text):
    """Reads a time.

    Args:
        name: String, of the flag.
        text: String, h:m:s, m:s or seconds, or None.

    Returns:
        Float, seconds, or None.

    Raises:
        UserError: It is no time.
    """
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part <= LARGEST for part in parts):
        raise UserError(f"--{name} must be a time as 3:10, 1:03:10 or 190. Received: {text!r}.")
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))
