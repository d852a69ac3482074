"""`wavegan generate`."""

import dataclasses

from wavegan_asmr import named_models, words
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats
from wavegan_asmr.rendering.settings import AgainSettings, OutputSettings, RenderSettings, parse_time
from wavegan_asmr.settings import check_effects

USAGE = """One or more trained models -> one finished sound file: pieces joined by cross-fades, levelled and limited.

    wavegan generate TRAIN_DIR --minutes 10 --out asmr.flac
    wavegan generate rain --minutes 10 --out rain.flac    a model that comes with the project (wavegan models)
    wavegan generate RAIN WAVES --hours 8 --layout mix --gains_db 0,-6 --out night.flac
    wavegan generate TRAIN_DIR --out - | ffplay -f s16le -ar 16000 -i -
    wavegan generate TRAIN_DIR --checkpoint best --minutes 10 --out asmr.flac
    wavegan generate TRAIN_DIR --label 'rain; waves' --intensity 0:0.2,600:0.9 --minutes 10 --out evening.flac
    wavegan generate --from asmr.json --start 3:10 --end 3:20 --out stretch.flac
    wavegan generate --from asmr.json --train_dir /new/place/of/TRAIN_DIR --out asmr.flac
"""

_RENDER = tuple(field.name for field in dataclasses.fields(RenderSettings) if field.name != "seconds")

SETTINGS = (OutputSettings, checkpoints.ONE, (RenderSettings, _RENDER), AgainSettings)

_OF_AGAIN = ("out", "overwrite", "stdout_format", "from_", "start", "end", "train_dir")
_OF_SEVERAL_MODELS = ("layout", "stretch_s", "model_fade_s", "gains_db")


def main(arguments, flags):
    output, again, given = flags.read(OutputSettings), flags.read(AgainSettings), flags.given()
    if not output.out:
        raise UserError("--out is missing: the file to write, such as --out asmr.flac, or - for stdout.")
    _check_output(output, given)
    if again.from_ is not None:
        _render_again(arguments, output, again, given)
        return
    if not arguments:
        raise UserError("one or more TRAIN_DIRs are needed: generate TRAIN_DIR --minutes 10 --out asmr.flac")
    if unused := [name for name in ("start", "end", "train_dir") if name in given]:
        raise UserError(f"--{unused[0]} goes with --from.")
    settings = RenderSettings(**flags.given(RenderSettings), seconds=output.seconds)
    _check_settings(settings, given, len(arguments))
    checkpoint = checkpoints.read(flags)["checkpoint"]
    paths = [named_models.find(each) for each in arguments]
    # Sound without end is listened to until Ctrl-C.
    with run.until_stopped(not settings.seconds):
        run.start_tensorflow()
        from wavegan_asmr.rendering import render

        render.render(paths, output, settings, checkpoint)


def _check_output(output, given):
    """Refuses what has no effect on this output."""
    check_effects(output, given)
    is_file = output.out != formats.STDOUT
    if output.keep_partial and not is_file:
        raise UserError("--keep_partial has an effect with a file only; leave it out. Received: --out -.")
    if is_file and not formats.format_of(output.out).is_pcm and "bits" in given:
        raise UserError(
            f"--bits has an effect with {formats.endings(is_pcm=True)} and stdout only; leave it out. "
            f"Received: --out {words.printable(output.out)}."
        )


def _check_settings(settings, given, models):
    """Refuses settings that do not fit so many models, or have no effect."""
    if settings.gains_db and len(settings.gains_db) != models:
        gains_db = ",".join(f"{gain_db:g}" for gain_db in settings.gains_db)
        raise UserError(f"--gains_db needs one gain a model, {models} here. Received: {gains_db!r}.")
    check_effects(settings, given)
    alone = [name for name in _OF_SEVERAL_MODELS if name in given]
    if models == 1 and alone:
        raise UserError(f"--{alone[0]} has an effect with several models only; leave it out. Received: one model.")
    if settings.loop and "fade_in_s" in given:
        raise UserError("--fade_in_s has no effect with --loop, whose beginning follows its end; leave it out.")
    for name in ("fade_shape", "align"):
        if settings.fade_s == 0 and name in given:
            raise UserError(f"--{name} has an effect with fades only; leave it out. Received: --fade_s 0.")


def _render_again(arguments, output, again, given):
    if arguments:
        raise UserError(f"--from names its models itself. Received: {' '.join(arguments)!r}.")
    if ignored := [name for name in given if name not in _OF_AGAIN]:
        raise UserError(
            f"--from renders with the settings of that file: --{ignored[0]} has no effect; leave it out. "
            f"Received: {given[ignored[0]]!r}."
        )
    if "train_dir" in given and not all(again.train_dir or [""]):
        raise UserError(f"--train_dir must name folders, as rain,waves. Received: {','.join(again.train_dir)!r}.")
    start_s, end_s = parse_time("start", again.start), parse_time("end", again.end)
    moved = [named_models.find(each) for each in again.train_dir]
    run.start_tensorflow()
    from wavegan_asmr.rendering import render

    render.render_again(again.from_, start_s, end_s, output, moved)
