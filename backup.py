"""Copies the newest checkpoint of a training to a safe place, again and again."""

import os
import shutil
import sys
import time

from absl import flags

import cli
from errors import UserError

USAGE = """Copies the newest checkpoint into TRAIN_DIR/backup/STEP, now and every so many minutes, until Ctrl-C.
A backup is itself a TRAIN_DIR: preview and train accept it.

    backup.py TRAIN_DIR MINUTES
    backup.py TRAIN_DIR --once
"""

flags.DEFINE_integer("keep", 0, "Backups to keep, the newest; 0 for all.", lower_bound=0)
flags.DEFINE_bool("once", False, "Copy once and stop.")

_LONGEST_S = 60e6


def main(arguments):
    wanted = 1 if flags.FLAGS.once else 2
    if not wanted <= len(arguments) <= 2:
        received = " ".join(arguments)
        raise UserError(f"needed: backup.py TRAIN_DIR MINUTES, or TRAIN_DIR --once. Received: {received!r}.")
    interval_s = None
    if not flags.FLAGS.once:
        try:
            interval_s = 60 * float(arguments[1])
        except ValueError:
            interval_s = 0.0
        if not 0 < interval_s < _LONGEST_S:
            raise UserError(f"MINUTES must be a number above 0 and below a million. Received: {arguments[1]!r}.")

    cli.start_tensorflow(use_gpus=False)
    from train_dir import TrainDir

    train_dir = TrainDir(arguments[0])
    train_dir.read_config()
    while True:
        back_up(train_dir, flags.FLAGS.keep)
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


if __name__ == "__main__":
    cli.run(main, USAGE)
