"""`wavegan backup`."""

import dataclasses

from wavegan_asmr.command_line import run
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting

USAGE = """Copies the newest checkpoint into TRAIN_DIR/backup/STEP, now and every so many minutes, until Ctrl-C.
A backup is itself a TRAIN_DIR: every verb takes it.

    wavegan backup TRAIN_DIR MINUTES
    wavegan backup TRAIN_DIR --once
"""

_LONGEST_S = 60e6


@dataclasses.dataclass(frozen=True)
class BackupSettings(Settings):
    """How backups are kept."""

    keep: int = setting(0, "Backups to keep, the newest; 0 for all.", at_least=0)
    once: bool = setting(False, "Copy once and stop.")


SETTINGS = (BackupSettings,)


def main(arguments, flags):
    settings = flags.read(BackupSettings)
    wanted = 1 if settings.once else 2
    if len(arguments) != wanted:
        received = " ".join(arguments)
        raise UserError(f"needed: backup TRAIN_DIR MINUTES, or TRAIN_DIR --once. Received: {received!r}.")
    interval_s = None if settings.once else _seconds(arguments[1])
    with run.until_stopped(interval_s is not None):
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.exchange import backup
        from wavegan_asmr.train_dir import TrainDir

        backup.keep_backing_up(TrainDir(arguments[0]), interval_s, settings.keep)


def _seconds(minutes):
    try:
        interval_s = 60 * float(minutes)
    except ValueError:
        interval_s = 0.0
    if not 0 < interval_s < _LONGEST_S:
        raise UserError(f"MINUTES must be a number above 0 and below a million. Received: {minutes!r}.")
    return interval_s
