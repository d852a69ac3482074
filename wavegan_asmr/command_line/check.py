"""`wavegan check`."""

import dataclasses

from wavegan_asmr import words
from wavegan_asmr.command_line import run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting

USAGE = """What a folder of recordings holds and what of it a training would use; exit code 0 where one could begin.

    wavegan check FOLDER
    wavegan check FOLDER --preset asmr
    wavegan check FOLDER --data_slice_len 65536 --data_pad_end
    wavegan check --prune_cache 30
"""


@dataclasses.dataclass(frozen=True)
class PruneSettings(Settings):
    """What of the cache is kept."""

    prune_cache: float | None = setting(
        None,
        "First delete decoded recordings that were not used for so long; 0 for all, which ends trainings that run.",
        unit="days",
        at_least=0,
    )


SETTINGS = (Config, PruneSettings)


def main(arguments, flags):
    given, days = flags.given(Config), flags.read(PruneSettings).prune_cache
    if len(arguments) > 1 or (not arguments and days is None) or "data_dir" in given:
        received = " ".join([*arguments, *(["--data_dir", given["data_dir"]] if "data_dir" in given else [])])
        raise UserError(f"check takes one FOLDER of recordings, as an argument. Received: {received!r}.")
    if days is not None:
        _prune(Config(**given).data_cache_dir, days)
    if arguments:
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.training import settling

        settling.open_slices(settling.new_config(given | {"data_dir": arguments[0]}), most_left_out=None)


def _prune(folder, days):
    from wavegan_asmr.sound import cache_folder

    folder = folder or cache_folder.default_folder()
    try:
        deleted, kept = cache_folder.prune(folder, days)
    except OSError as error:
        raise UserError(
            f"the cache cannot be pruned: {words.reason(error)}. Received: --data_cache_dir {folder!r}."
        ) from error
    print(f"cache     deleted {deleted}, left {kept}, in {words.printable(folder)}")
