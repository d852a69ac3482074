"""How far a case is, from files alone: what was written of it, its log, its checkpoints, its evaluations."""

import contextlib
import dataclasses
import json
import os
import re
import socket
import time

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

STATE, LOG = "case.json", "training.log"
"""Files in the TRAIN_DIR of a case."""
STOP = "stop"
"""File in the folder of the TRAIN_DIRs that asks all cases to end."""

WAITING, RUNNING, DONE, FAILED, STOPPED, LOST = "waiting", "running", "done", "failed", "stopped", "lost"

_TAIL_BYTES = 1 << 14
_SILENT_S = 900.0
"""Without a word of a process on another machine it is taken for lost."""

_STEP = re.compile(r"^step (\d+)  (.*)$")


@dataclasses.dataclass(frozen=True)
class State:
    """What is written of a case.

    Attributes:
        state: String, one of those above, but for `LOST`.
        tries: Integer, starts that failed.
        seconds: Float, for which it has trained in all starts that ended.
        began: Float, when the last start began, in seconds since 1970.
        node: String, the machine.
        pid: Integer, of the training.
        job: String, by which a runner knows what runs the case, or "".
        reason: String, why it failed.
    """

    state: str = WAITING
    tries: int = 0
    seconds: float = 0.0
    began: float = 0.0
    node: str = ""
    pid: int = 0
    job: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a case is.

    Attributes:
        name: String.
        state: `State`; its state may be `LOST`.
        step: Integer or None.
        shown: Dict of what its last line of progress said: label to text.
        frechet: Float or None, the best Fréchet distance so far.
    """

    name: str
    state: State
    step: int | None
    shown: dict
    frechet: float | None


def lock(runs):
    """Returns the context of the one command at a time that runs the cases of a folder.

    Args:
        runs: Path-like, the folder of the TRAIN_DIRs.

    Raises:
        UserError: Another one does.
    """
    return storage.hold(
        os.path.join(runs, ".lock"),
        f"another command runs the cases of {os.fspath(runs)!r}; end it with Ctrl-C, or: wavegan cases stop "
        f"{words.shell(runs)}",
    )


def read_state(folder):
    """Reads the state of a case; one that has not begun is waiting.

    Raises:
        UserError: The file is damaged.
    """
    path = os.path.join(folder, STATE)
    try:
        with open(path, encoding="utf-8") as file:
            return storage.parse_json(file.read(), State)
    except FileNotFoundError:
        return State()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path!r} cannot be read: {error}. Delete it to have the case begin again.") from error


def write_state(folder, state):
    """Writes the state of a case, whole or not at all."""
    storage.write_text(os.path.join(folder, STATE), json.dumps(dataclasses.asdict(state), indent=2) + "\n")


def set_stop(runs, asked):
    """Asks all cases of a folder to save and end, wherever they run, or takes that back.

    Args:
        runs: Path-like.
        asked: Boolean.
    """
    path = os.path.join(runs, STOP)
    if asked:
        storage.write_text(path, "")
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def is_alive(folder, state):
    """Returns whether the training of a running case is there, as far as can be told from this machine."""
    if state.node == socket.gethostname():
        try:
            os.kill(state.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    said_s = last_said(folder)
    return said_s is not None and time.time() - said_s < _SILENT_S


def last_said(folder):
    """Returns when the training of a case has last said something, in seconds since 1970, or None."""
    try:
        return os.stat(os.path.join(folder, LOG)).st_mtime
    except OSError:
        return None


def read_progress(runs, name):
    """Reads how far a case is, which may run on another machine meanwhile.

    Args:
        runs: Path-like.
        name: String.

    Returns:
        `Progress`.
    """
    folder = os.path.join(runs, name)
    train_dir, state, lines = TrainDir(folder), read_state(folder), tail(folder)
    if state.state == RUNNING and not is_alive(folder, state):
        state = dataclasses.replace(state, state=LOST)
    step, shown = None, {}
    for line in lines:
        if found := _STEP.match(line):
            step, shown = int(found[1]), _labels(found[2])
    steps = train_dir.steps()
    if step is None and steps:
        step = steps[-1]
    best = None
    with contextlib.suppress(UserError):
        best = train_dir.read_best()
    return Progress(name, state, step, shown, best.frechet_distance if best else None)


def tail(folder):
    """Returns the last lines of a case's log, a list of strings."""
    try:
        with open(os.path.join(folder, LOG), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _labels(text):
    """What a line of progress says, as "D 0.855  64 slices/s": label to text."""
    found = {}
    for part in filter(None, text.split("  ")):
        # Figures stand before units, and behind the names of metrics.
        if part[0].isdigit():
            figure, _, label = part.partition(" ")
        else:
            label, _, figure = part.rpartition(" ")
        found[label] = figure
    return found
