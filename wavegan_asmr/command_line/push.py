"""`wavegan push`."""

import dataclasses

from wavegan_asmr import named_models
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting

USAGE = """Copies a TRAIN_DIR, the runs of many cases or a shared model to a place; again: what is new.
What breaks off goes on with the same command.

    wavegan push TRAIN_DIR /mnt/backup/rain
    wavegan push RUNS s3://bucket/runs              needs pip install 'wavegan[s3]'
    wavegan push RUNS gs://bucket/runs              needs pip install 'wavegan[gs]'
    wavegan push FOLDER hf://USER/MODEL             needs pip install 'wavegan[hf]'

What is shared may be a model that comes with the project, by its name (wavegan models).
"""


@dataclasses.dataclass(frozen=True)
class PushSettings(Settings):
    """What may be replaced."""

    overwrite: bool = setting(False, "Replace what was pushed there of another training.")


SETTINGS = (PushSettings,)


def main(arguments, flags):
    if len(arguments) != 2 or not all(arguments):
        raise UserError(f"push takes FOLDER URL. Received: {' '.join(arguments)!r}.")
    from wavegan_asmr.exchange.push import push

    folder, url = arguments
    push(named_models.find(folder), url, flags.read(PushSettings).overwrite)
