"""`wavegan check`."""

from wavegan_asmr.command_line import run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError

USAGE = """What a folder of recordings holds and what of it a training would use; exit code 0 where one could begin.

    wavegan check FOLDER
    wavegan check FOLDER --data_slice_len 65536 --data_pad_end
"""

SETTINGS = (Config,)


def main(arguments, flags):
    given = flags.given(Config)
    if len(arguments) != 1 or "data_dir" in given:
        received = " ".join([*arguments, *(["--data_dir", given["data_dir"]] if "data_dir" in given else [])])
        raise UserError(f"check takes one FOLDER of recordings, as an argument. Received: {received!r}.")
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.training import settling

    settling.open_slices(settling.new_config(given | {"data_dir": arguments[0]}))
