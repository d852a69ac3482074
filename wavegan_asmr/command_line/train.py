"""`wavegan train`."""

import contextlib
import dataclasses
import io
import json
import os
import re
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
    wavegan train TRAIN_DIR ... --workers A:2222,B:2222 --worker 0   with other machines, each its own number

Model families: {_FAMILIES}.
"""


@dataclasses.dataclass(frozen=True)
class DryRunSettings(Settings):
    """Whether to train at all."""

    dry_run: bool = setting(False, "Print the settings and the facts of the recordings, and stop.")


@dataclasses.dataclass(frozen=True)
class WorkerSettings(Settings):
    """Which machines train together."""

    workers: tuple[str, ...] = setting(
        (), "Addresses HOST:PORT of the machines that train together, the same list on each; the first one writes."
    )
    worker: int = setting(0, "Number of this machine in --workers.", at_least=0, at_most=9999)
    workers_wait_secs: float = setting(
        300.0, "How long the other machines are waited for at the start.", unit="s", at_least=1, at_most=86400
    )


@dataclasses.dataclass(frozen=True)
class NsmlSettings(Settings):
    """What the platform NSML begins its sessions with."""

    mode: str = setting(
        "train", "Of sessions on NSML: train, or infer from the checkpoint that is loaded.", choices=("train", "test")
    )
    pause: int = setting(0, "Of sessions on NSML: 1 has it load a checkpoint first.", at_least=0, at_most=1)
    iteration: str = setting("", "Of sessions on NSML: the checkpoint that it loads; the last one if none is named.")


SETTINGS = (Config, WorkerSettings, DryRunSettings, NsmlSettings)
_ADDRESS = re.compile(r"[^:\s]+:\d{1,5}")


def main(arguments, flags):
    from wavegan_asmr.cases import nsml

    platform = nsml.find_platform()
    _check_platform(platform, flags.given(NsmlSettings))
    if platform:
        arguments = arguments or [nsml.DEFAULT_TRAIN_DIR]
    if len(arguments) != 1:
        raise UserError(f"train takes TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    dry_run, workers, session_settings = map(flags.read, (DryRunSettings, WorkerSettings, NsmlSettings))
    given = flags.given(Config)
    if platform and "data_dir" not in given and (recordings := nsml.recordings_of(platform)):
        given["data_dir"] = recordings
    _name_workers(workers, flags.given(WorkerSettings))
    with _lasting_output():
        # Several machines meet before TensorFlow begins.
        run.start_tensorflow(starts_devices="TF_CONFIG" not in os.environ)
        session = _begin_session(platform, arguments[0], session_settings) if platform else None
        if session_settings.mode == "train":
            from wavegan_asmr.training import loop

            loop.train(arguments[0], given, dry_run.dry_run, _open_evaluation, workers.workers_wait_secs, session)


def _check_platform(platform, given):
    """Refuses the flags of a platform outside of it."""
    if given and not platform:
        name, value = next(iter(given.items()))
        raise UserError(f"--{name} is of sessions on NSML, which this is none. Received: {value!r}; leave it out.")


def _begin_session(platform, path, settings):
    """Begins a session of NSML, of several workers on the chief, where the others have none."""
    from wavegan_asmr.cases import nsml
    from wavegan_asmr.train_dir import TrainDir
    from wavegan_asmr.training.team import Team

    if not Team().is_chief:
        return None
    session = nsml.Session(platform, TrainDir(path))
    session.begin(settings)
    return session


def _name_workers(settings, given):
    """Sets TF_CONFIG, from which `tf.distribute` knows which machines train together."""
    workers = list(settings.workers)
    if not workers:
        if "worker" in given:
            raise UserError("--worker is a number in --workers HOST:PORT,HOST:PORT; give both, or none.")
        return
    wrong = [each for each in workers if not _ADDRESS.fullmatch(each)]
    if wrong or len(set(workers)) < max(2, len(workers)):
        raise UserError(
            f"--workers must be two or more different addresses, HOST:PORT,HOST:PORT. Received: {','.join(workers)!r}."
        )
    if settings.worker >= len(workers):
        raise UserError(
            f"--worker must be below {len(workers)}, the machines of --workers. Received: {settings.worker}."
        )
    task = {"type": "worker", "index": settings.worker}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})


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
