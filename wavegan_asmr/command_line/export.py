"""`wavegan export`."""

import dataclasses

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, play, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.exporters import EXPORTERS, PRECISIONS
from wavegan_asmr.rendering.settings import RenderSettings
from wavegan_asmr.settings import Settings, setting

USAGE = """A trained generator for other programs, or a page that plays some of them for ever.

    wavegan export TRAIN_DIR --format onnx --out rain.onnx --precision float16
    wavegan export TRAIN_DIR --format litert --out rain.tflite
    wavegan export TRAIN_DIR --format saved_model --out rain/
    wavegan export RAIN FIRE WAVES --format web --out night.html
    wavegan export TRAIN_DIR --format web --label rain --intensity 0.3 --out night.html    begins with that

Shared models do as well, and models by name (wavegan models). What is written is run by its own runtime and compared
with TensorFlow.
"""

_WEB = "web"


@dataclasses.dataclass(frozen=True)
class ExportSettings(Settings):
    """Which file is written."""

    format: str | None = setting(None, "What is written.", choices=(*EXPORTERS, _WEB))
    out: str = setting("", "The file, or the folder of a saved_model.")
    precision: str = setting(
        "float32",
        "Of the weights in the file: float16 takes half the room, int8 a quarter and is less exact.",
        choices=PRECISIONS,
    )
    overwrite: bool = setting(False, "Replace what is there.")


SETTINGS = (ExportSettings, checkpoints.ONE, play.ASKED)


def main(arguments, flags):
    settings, checkpoint = flags.read(ExportSettings), checkpoints.read(flags)["checkpoint"]
    if settings.format is None:
        raise UserError(f"--format is missing: one of {', '.join([*EXPORTERS, _WEB])}.")
    if not settings.out:
        raise UserError("--out is missing: the file to write.")
    is_page = settings.format == _WEB
    if not arguments or not all(arguments) or (len(arguments) > 1 and not is_page):
        takes = "one or more TRAIN_DIRs" if is_page else "one TRAIN_DIR"
        raise UserError(f"export --format {settings.format} takes {takes}. Received: {' '.join(arguments)!r}.")
    if is_page and "precision" in flags.given(ExportSettings):
        raise UserError(f"--precision has no effect with --format {_WEB}, whose weights are float16; leave it out.")
    asked = play.read_asked(flags)
    if asked and not is_page:
        name = next(iter(flags.given(RenderSettings)))
        raise UserError(
            f"--{name} has an effect with --format {_WEB} alone; models in other formats take it as an input, "
            "leave it out."
        )
    paths = [named_models.find(each) for each in arguments]
    run.start_tensorflow(use_gpus=False)
    if is_page:
        from wavegan_asmr.player import page

        page.write(paths, settings.out, checkpoint, settings.overwrite, asked)
        return
    from wavegan_asmr.exchange import export

    export.export(paths[0], settings.out, settings.format, checkpoint, settings.precision, overwrite=settings.overwrite)
