"""Copies of the newest checkpoint in a safe place, TRAIN_DIR/backup."""

import os
import re
import shutil
import sys
import time

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

_EARLIER = re.compile(r"\.[0-9]+\.partial")
"""Temporary folders of earlier versions."""


def keep_backing_up(train_dir, interval_s, keep=0):
    """Copies the newest checkpoint now and every so many seconds, see `back_up`.

    Args:
        train_dir: `TrainDir`.
        interval_s: Float, or None to copy once.
        keep: Integer, backups to keep, 0 for all.

    Raises:
        UserError: It is no training directory, or the backup cannot be written.
    """
    train_dir.refuse_shared()
    train_dir.read_config()
    while True:
        back_up(train_dir, keep)
        if interval_s is None:
            return
        time.sleep(interval_s)


def back_up(train_dir, keep=0):
    """Copies the newest checkpoint that proves whole into backup/STEP, unless it is there already.

    Processes that do so at the same time take turns.

    Args:
        train_dir: `TrainDir`.
        keep: Integer, backups to keep, 0 for all.

    Returns:
        Integer, the step that is backed up, or None where there is no checkpoint yet.

    Raises:
        UserError: The backup cannot be written.
    """
    folder = train_dir.join("backup")
    try:
        os.makedirs(folder, exist_ok=True)
        with storage.lock_folder(folder):
            _sweep(train_dir)
            step = _copy_newest(train_dir, folder)
            if step is not None and keep:
                _keep_newest(folder, keep)
            return step
    except OSError as error:
        raise UserError(
            f"cannot write the backup: {words.reason(error)}. Received: {error.filename or folder!r}."
        ) from error


def _sweep(train_dir):
    """Deletes what killed processes left half-copied."""
    train_dir.sweep_temporaries()
    folder = train_dir.join("backup")
    for name in filter(_EARLIER.fullmatch, os.listdir(folder)):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _copy_newest(train_dir, folder):
    """Copies the newest whole checkpoint into a folder of its step; returns the step, or None where there is none."""
    damaged = set()
    while steps := [step for step in train_dir.steps() if step not in damaged]:
        step = steps[-1]
        final = os.path.join(folder, str(step))
        if os.path.exists(final):
            print(f"step {step} is backed up already", flush=True)
            return step
        try:
            with storage.replace_folder(final) as partial:
                if reason := train_dir.copy_checkpoint(step, partial):
                    raise _DamagedError(reason)
        except _DamagedError as error:
            print(f"the checkpoint of step {step} is damaged and left out: {error}", file=sys.stderr)
            damaged.add(step)
            continue
        except FileNotFoundError:
            if step in train_dir.steps():
                raise
            # The training deleted it meanwhile; there is a newer one.
            continue
        print(f"step {step} -> {words.printable(final)}", flush=True)
        return step
    print(f"no whole checkpoint yet in {train_dir}", flush=True)
    return None


def _keep_newest(folder, keep):
    """Deletes all backups but the newest."""
    steps = [int(name) for name in os.listdir(folder) if name.isdecimal() and name.isascii()]
    for step in sorted(step for step in steps if step in TrainDir(os.path.join(folder, str(step))).steps())[:-keep]:
        # A killed process leaves it whole, or under a name that is swept.
        with storage.temporary_folder(os.path.join(folder, str(step))) as temporary:
            os.rename(os.path.join(folder, str(step)), os.path.join(temporary, "old"))


class _DamagedError(Exception):
    """A copy of a checkpoint is damaged."""
