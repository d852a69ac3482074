"""Copies of the newest checkpoint in a safe place, TRAIN_DIR/backup."""

import os
import shutil
import sys
import time

from wavegan_asmr.errors import UserError


def keep_backing_up(train_dir, interval_s, keep=0):
    """Copies the newest checkpoint now and every so many seconds, see `back_up`.

    Args:
        train_dir: `TrainDir`.
        interval_s: Float, or None to copy once.
        keep: Integer, backups to keep, 0 for all.

    Raises:
        UserError: It is no training directory, or the backup cannot be written.
    """
    train_dir.read_config()
    while True:
        back_up(train_dir, keep)
        if interval_s is None:
            return
        time.sleep(interval_s)


def back_up(train_dir, keep=0):
    """Copies the newest checkpoint that proves whole into backup/STEP, unless it is there already.

    Args:
        train_dir: `TrainDir`.
        keep: Integer, backups to keep, 0 for all.

    Returns:
        Integer, the step that is backed up, or None where there is no checkpoint yet.

    Raises:
        UserError: The backup cannot be written.
    """
    folder = train_dir.join("backup")
    damaged = set()
    while steps := [step for step in train_dir.steps() if step not in damaged]:
        step = steps[-1]
        final, partial = os.path.join(folder, str(step)), os.path.join(folder, f".{step}.partial")
        if os.path.exists(final):
            print(f"step {step} is backed up already", flush=True)
            break
        try:
            shutil.rmtree(partial, ignore_errors=True)
            if reason := train_dir.copy_checkpoint(step, partial):
                print(f"the checkpoint of step {step} is damaged and left out: {reason}", file=sys.stderr)
                damaged.add(step)
                continue
            os.rename(partial, final)
        except FileNotFoundError:
            # The training deleted it meanwhile; there is a newer one.
            continue
        except OSError as error:
            raise UserError(f"cannot write the backup: {error.strerror}. Received: {error.filename!r}.") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        print(f"step {step} -> {final}", flush=True)
        break
    else:
        print(f"no whole checkpoint yet in {train_dir}", flush=True)
        return None
    if keep:
        backups = sorted((name for name in os.listdir(folder) if name.isdigit()), key=int)
        for old in backups[:-keep]:
            shutil.rmtree(os.path.join(folder, old))
    return step
