"""`wavegan generate`."""

import dataclasses

from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering.settings import AgainSettings, OutputSettings, RenderSettings, parse_time
from wavegan_asmr.settings import check_effects

USAGE = """One or more trained models -> one finished sound file: pieces joined by cross-fades, levelled and limited.

    wavegan generate TRAIN_DIR --minutes 10 --out asmr.flac
    wavegan generate RAIN WAVES --hours 8 --layout mix --gains_db 0,-6 --out night.flac
    wavegan generate TRAIN_DIR --out - | ffplay -f s16le -ar 16000 -i -
    wavegan generate TRAIN_DIR --checkpoint best --minutes 10 --out asmr.flac
    wavegan generate --from asmr.json --start 3:10 --end 3:20 --out stretch.flac
"""

_RENDER = tuple(field.name for field in dataclasses.fields(RenderSettings) if field.name != "seconds")

SETTINGS = (OutputSettings, checkpoints.ONE, (RenderSettings, _RENDER), AgainSettings)

_OF_AGAIN = ("out", "overwrite", "from_", "start", "end")


def main(arguments, flags):
    output, again, given = flags.read(OutputSettings), flags.read(AgainSettings), flags.given()
    if not output.out:
        raise UserError("--out is missing: the file to write, such as --out asmr.flac, or - for stdout.")
    if again.from_:
        _render_again(arguments, output, again, given)
        return
    if not arguments:
        raise UserError("one or more TRAIN_DIRs are needed: generate TRAIN_DIR --minutes 10 --out asmr.flac")
    if again.start or again.end:
        raise UserError("--start and --end go with --from.")
    settings = RenderSettings(**flags.given(RenderSettings), seconds=output.seconds)
    if settings.gains_db and len(settings.gains_db) != len(arguments):
        raise UserError(
            f"--gains_db needs one gain a model, {len(arguments)} here. Received: {len(settings.gains_db)}."
        )
    check_effects(settings, given)
    checkpoint = checkpoints.read(flags)["checkpoint"]
    run.start_tensorflow()
    from wavegan_asmr.rendering import render

    render.render(arguments, output, settings, checkpoint)


def _render_again(arguments, output, again, given):
    if arguments:
        raise UserError(f"--from names its models itself. Received: {' '.join(arguments)!r}.")
    if ignored := [name for name in given if name not in _OF_AGAIN]:
        raise UserError(
            f"--from renders with the settings of that file: --{ignored[0]} has no effect; leave it out. "
            f"Received: {given[ignored[0]]!r}."
        )
    start_s, end_s = parse_time("start", again.start), parse_time("end", again.end)
    run.start_tensorflow()
    from wavegan_asmr.rendering import render

    render.render_again(again.from_, start_s, end_s, output)
