"""`wavegan gallery`."""

import dataclasses

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats
from wavegan_asmr.settings import Settings, setting

USAGE = """A page on which recordings and what models make of them are heard and seen side by side; it needs no network.

    wavegan gallery RUNS --out gallery                          a folder of TRAIN_DIRs, as `cases run` leaves it
    wavegan gallery RAIN FIRE --out gallery --checkpoint best
    wavegan gallery models --out gallery --data_dir asmr        shared models; asmr/rain.ogg is of the model rain
    wavegan gallery RUNS --out gallery --overwrite --evaluate   with figures where there are none, which takes minutes

Authors and licences of recordings are what a file SOURCES beside them says.
"""


@dataclasses.dataclass(frozen=True)
class GallerySettings(Settings):
    """How a gallery is made."""

    out: str = setting("", "The folder that is made.", is_path=True)
    format: str = setting(
        "opus", "Of the sounds; opus is small.", choices=tuple(ending.lstrip(".") for ending in formats.FORMATS)
    )
    evaluate: bool = setting(False, "Evaluate cases that were not at the checkpoint that is heard: minutes each.")
    overwrite: bool = setting(False, "Replace a gallery that is there.")


SETTINGS = (GallerySettings, (Config, ("data_dir",)), checkpoints.ONE)


def main(arguments, flags):
    if not arguments or not all(arguments):
        raise UserError(
            "gallery takes TRAIN_DIRs, shared models and folders of them: wavegan gallery RUNS --out gallery. "
            f"Received: {' '.join(arguments)!r}."
        )
    settings, checkpoint = flags.read(GallerySettings), checkpoints.read(flags)["checkpoint"]
    if not settings.out:
        raise UserError("--out is missing: the folder that is made, as --out gallery.")
    data_dir = flags.given(Config).get("data_dir")
    # What evaluations find is written into the folders.
    find = named_models.find_writable if settings.evaluate else named_models.find
    paths = [find(each) for each in arguments]
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.gallery import making

    making.make(paths, settings.out, settings.format, data_dir, checkpoint, settings.evaluate, settings.overwrite)
