"""Renders a finished sound file from one or more trained models."""

import math

from absl import flags

import checkpoints
import cli
from errors import UserError

USAGE = """One or more trained models -> one finished sound file: pieces joined by cross-fades, levelled and limited.

    generate.py TRAIN_DIR --minutes 10 --out asmr.flac
    generate.py RAIN WAVES --hours 8 --layout mix --gains_db 0,-6 --out night.flac
    generate.py TRAIN_DIR --out - | ffplay -f s16le -ar 16000 -i -
    generate.py TRAIN_DIR --checkpoint best --minutes 10 --out asmr.flac
    generate.py --from asmr.json --start 3:10 --end 3:20 --out stretch.flac
"""

checkpoints.define_flags("checkpoint")
flags.DEFINE_float("minutes", 0.0, "Length, minutes; added to --hours.", lower_bound=0)
flags.DEFINE_float("hours", 0.0, "Length, hours.", lower_bound=0)
flags.DEFINE_string(
    "out", "", "The file: .wav, .flac, .ogg, .opus or .mp3; - for stdout, without end if no length is given."
)
flags.DEFINE_bool("overwrite", False, "Replace a file that is there.")
flags.DEFINE_bool("keep_partial", False, "Keep what is written when stopped by Ctrl-C.")
flags.DEFINE_integer(
    "sample_rate", None, "Hz; default: the highest of the models.", lower_bound=8000, upper_bound=1_000_000
)
flags.DEFINE_enum("bits", "16", ["16", "24"], "Bits of WAV, FLAC and stdout, dithered.")
flags.DEFINE_enum("stdout_format", "raw", ["raw", "wav"], "What --out - writes.")
flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16"],
    "Arithmetic of the generators; bfloat16 is twice as fast on processors that have it.",
)
flags.DEFINE_integer("seed", 0, "Seed of latent vectors and dither.", lower_bound=0)

flags.DEFINE_enum("layout", "sequence", ["sequence", "mix"], "Several models: one after the other, or all at once.")
flags.DEFINE_float("stretch_s", 60.0, "A model's turn in a sequence, seconds.", lower_bound=1)
flags.DEFINE_float("model_fade_s", 8.0, "Cross-fade from model to model, seconds.", lower_bound=0)
flags.DEFINE_list("gains_db", [], "Gain of each model over equal loudness, dB, as 0,-6.")

flags.DEFINE_float("fade_s", None, "Cross-fade of pieces, seconds; default: a quarter of a piece.", lower_bound=0)
flags.DEFINE_enum("fade_shape", "equal_power", ["equal_power", "linear"], "Shape of the cross-fades of pieces.")
flags.DEFINE_integer("candidates", 8, "Pieces among which the next is chosen; 1 for none to choose.", lower_bound=1)
flags.DEFINE_bool("align", False, "Move pieces by up to half a fade to run on in phase (tonal sound).")
flags.DEFINE_float("max_left_out", 0.2, "Largest share of pieces to leave out.", lower_bound=0, upper_bound=0.9)

flags.DEFINE_enum("latents", "random", ["random", "walk"], "Independent pieces, or a slow walk through latent space.")
flags.DEFINE_float("walk_s", 30.0, "Time from keyframe to keyframe of a walk, seconds.", lower_bound=0.1)
flags.DEFINE_float("truncation", 1.0, "Range of the latent vectors.", lower_bound=0.01, upper_bound=1)
flags.DEFINE_float(
    "stereo", None, "Stereo of mono models: 0 for alike channels to 1 for wide.", lower_bound=0, upper_bound=1
)

flags.DEFINE_float("lufs", -30.0, "Loudness, LUFS.", lower_bound=-70, upper_bound=-5)
flags.DEFINE_float("peak_dbtp", -3.0, "Ceiling of the true peak, dB.", lower_bound=-40, upper_bound=0)
flags.DEFINE_float("max_jump_db", 6.0, "Largest rise of the short-term loudness within 3 s, dB.", lower_bound=1)
flags.DEFINE_float("fade_in_s", 3.0, "Fade at the beginning, seconds.", lower_bound=0)
flags.DEFINE_float(
    "fade_out_s", 5.0, "Fade at the end, seconds; with --loop the cross-fade of end and beginning.", lower_bound=0
)
flags.DEFINE_bool("loop", False, "The end runs into the beginning without a seam.")

flags.DEFINE_string("from", None, "A .json that generate.py wrote: render a stretch of that file again.")
flags.DEFINE_string("start", None, "Where the stretch begins, h:m:s, m:s or seconds.")
flags.DEFINE_string("end", None, "Where the stretch ends.")

_SETTINGS = (
    "checkpoint overwrite keep_partial sample_rate stdout_format precision seed layout stretch_s model_fade_s fade_s "
    "fade_shape candidates align max_left_out latents walk_s truncation stereo lufs peak_dbtp max_jump_db fade_in_s "
    "fade_out_s loop"
).split()


def main(arguments):
    values = flags.FLAGS
    if not values.out:
        raise UserError("--out is missing: the file to write, such as --out asmr.flac, or - for stdout.")
    manifest = values["from"].value
    if manifest:
        if arguments:
            raise UserError(f"--from names its models itself. Received: {' '.join(arguments)!r}.")
        start_s, end_s = (_seconds(name, values[name].value) for name in ("start", "end"))
        cli.start_tensorflow()
        import rendering

        rendering.render_again(manifest, start_s, end_s, values.out, values.overwrite)
        return
    if not arguments:
        raise UserError("one or more TRAIN_DIRs are needed: generate.py TRAIN_DIR --minutes 10 --out asmr.flac")
    if values.start or values.end:
        raise UserError("--start and --end go with --from.")
    seconds = 60 * values.minutes + 3600 * values.hours
    if not math.isfinite(seconds):
        raise UserError(f"--minutes and --hours must be finite. Received: {values.minutes}, {values.hours}.")
    settings = {name: values[name].value for name in _SETTINGS}
    settings |= {
        "seconds": seconds,
        "bits": int(values.bits),
        "gains_db": _gains_db(values.gains_db, len(arguments)),
    }
    cli.start_tensorflow()
    import rendering

    rendering.render(arguments, values.out, settings)


def _gains_db(texts, models):
    try:
        gains_db = [float(text) for text in texts]
        if not all(map(math.isfinite, gains_db)):
            raise ValueError
    except ValueError as error:
        raise UserError(f"--gains_db must be numbers, as 0,-6. Received: {','.join(texts)!r}.") from error
    if gains_db and len(gains_db) != models:
        raise UserError(f"--gains_db needs one gain a model, {models} here. Received: {','.join(texts)!r}.")
    return gains_db


def _seconds(name, text):
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < math.inf for part in parts):
        raise UserError(f"--{name} must be a time as 3:10, 1:03:10 or 190. Received: {text!r}.")
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


if __name__ == "__main__":
    cli.run(main, USAGE)
