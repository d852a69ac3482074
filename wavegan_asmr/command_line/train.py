"""`wavegan train`."""

import contextlib
import dataclasses
import io
import os
import sys

from wavegan_asmr.command_line import run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import FAMILIES
from wavegan_asmr.settings import Settings, setting

_FAMILIES = ", ".join(f"{family.name} ({family.words})" for family in FAMILIES.values())

USAGE = f"""Trains a model on a folder of recordings, or goes on with a training; Ctrl-C saves and ends.

    wavegan train TRAIN_DIR --data_dir FOLDER                  the paper's settings, made for days on a GPU
    wavegan train TRAIN_DIR --data_dir FOLDER --preset asmr    for an evening on a laptop
    wavegan train TRAIN_DIR                                    go on
    wavegan train NEW --train_init_from OLD --data_dir FOLDER  fine-tune

Model families: {_FAMILIES}.
"""


@dataclasses.dataclass(frozen=True)
class DryRunSettings(Settings):
    """Whether to train at all."""

    dry_run: bool = setting(False, "Print the settings and the facts of the recordings, and stop.")


SETTINGS = (Config, DryRunSettings)


def main(arguments, flags):
    if len(arguments) != 1:
        raise UserError(f"train takes TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    dry_run = flags.read(DryRunSettings).dry_run
    with _lasting_output():
        run.start_tensorflow()
        from wavegan_asmr.training import loop

        loop.train(arguments[0], flags.given(Config), dry_run, _open_evaluation)


def _open_evaluation(train_dir, config):
    from wavegan_asmr.evaluation.running import RunningEvaluation

    return RunningEvaluation(train_dir, config)


class _LastingFile(io.FileIO):
    """An open file that drops what cannot be written: its reader has gone, the terminal is closed, the disk is full."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError:
            return len(data)


@contextlib.contextmanager
def _lasting_output():
    """Context in which no output that fails ends a training."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_lasting, streams)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = streams


def _lasting(stream):
    if stream is None:
        # Closed by who started this process, as `>&-` does.
        return open(os.devnull, "w")
    try:
        number = stream.fileno()
    except OSError:
        # No file, as in a notebook.
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_LastingFile(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
