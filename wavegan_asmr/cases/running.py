"""One case from where it is to its end: starts of its training, tries, what is written of them."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import filelock

from wavegan_asmr.cases.progress_files import (
    DONE,
    FAILED,
    LOG,
    RUNNING,
    STOP,
    STOPPED,
    WAITING,
    last_said,
    read_state,
    tail,
    write_state,
)
from wavegan_asmr.errors import UserError

_POLL_S = 0.2
_LOCKED_S = 120.0
"""For which a training that is being ended elsewhere is waited for."""
_RETRY_S = 1.0
_FAREWELL_S = 30.0
"""For which a worker is left to end with its chief."""
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class Stop:
    """Whether cases are to end: asked for in this process, or by a file that every machine sees.

    Args:
        runs: Path-like, the folder of the TRAIN_DIRs.
    """

    def __init__(self, runs):
        self._event, self._path = threading.Event(), os.path.join(runs, STOP)
        self.set = self._event.set

    def is_set(self):
        """Returns whether they are."""
        return self._event.is_set() or os.path.exists(self._path)

    def wait(self, seconds):
        """Waits for some seconds, or until they are; returns whether they are."""
        self._event.wait(seconds)
        return self.is_set()


def run_case(case, runs, tries, stop, cores=(), gpus=(), workers=()):
    """Trains a case until it is done, has failed too often, or is stopped; its `State` says which.

    Args:
        case: `cases_file.Case`.
        runs: Path-like, the folder of the TRAIN_DIRs.
        tries: Integer, starts that may fail. One that was killed together with its runner is one of them.
        stop: `Stop`.
        cores: Sequence of integers, the cores that it may use; none for as many as it asks for, whichever they are.
        gpus: Sequence of integers, the GPUs that it may use; none for those of this process.
        workers: Sequence of addresses of the machines that train it together, this one the first; see `follow_case`.
    """
    folder = os.path.join(runs, case.name)
    try:
        os.makedirs(folder, exist_ok=True)
        state = _after_a_kill(folder, read_state(folder))
        while not stop.is_set():
            state = _train(case, folder, state, stop, cores, gpus, workers)
            if state.state != FAILED or state.tries >= tries:
                write_state(folder, state)
                return
            # Failed is how a case ends, for its other workers and for who watches.
            write_state(folder, dataclasses.replace(state, state=WAITING))
            stop.wait(_RETRY_S)
        write_state(folder, dataclasses.replace(state, state=STOPPED))
    except (UserError, OSError) as error:
        write_state(folder, dataclasses.replace(read_state(folder), state=FAILED, reason=str(error)))


def _after_a_kill(folder, state):
    """The state to begin with; one that still runs is of a start whose runner was killed."""
    if state.state != RUNNING:
        return dataclasses.replace(state, tries=0)
    said_s = last_said(folder) or state.began
    return dataclasses.replace(state, tries=state.tries + 1, seconds=state.seconds + max(0.0, said_s - state.began))


def follow_case(case, runs, stop, workers, worker):
    """Runs one of the other workers of a case that several machines train, again and again until the case has ended.

    Args:
        case, runs, stop: See `run_case`.
        workers: Sequence of addresses.
        worker: Integer >= 1, which of them this machine is.
    """
    folder = os.path.join(runs, case.name)

    def is_over():
        return stop.wait(_POLL_S) or read_state(folder).state not in (WAITING, RUNNING)

    # The chief settles what the others have.
    given = {name: value for name, value in case.given.items() if name == "data_dir"}
    while not is_over():
        with _process(case, folder, f"worker{worker}.log", given, workers, worker) as process:
            while process.poll() is None and not is_over():
                pass
            if not stop.is_set():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_FAREWELL_S)
        stop.wait(_RETRY_S)


def _train(case, folder, state, stop, cores, gpus, workers):
    """Starts a training, or goes on with it, and waits for its end; returns the `State` then."""
    _wait_for_lock(folder, stop)
    if stop.is_set():
        return dataclasses.replace(state, state=STOPPED)
    given = dict(case.given)
    if budget_s := given.get("train_max_secs"):
        # Of all starts together.
        given["train_max_secs"] = max(1.0, budget_s - state.seconds)
    start_s = time.monotonic()
    with _process(case, folder, LOG, given, workers, 0, cores, gpus) as process:
        node = socket.gethostname()
        state = dataclasses.replace(state, state=RUNNING, began=time.time(), node=node, pid=process.pid, reason="")
        write_state(folder, state)
        while process.poll() is None and not stop.wait(_POLL_S):
            pass
    state = dataclasses.replace(state, seconds=state.seconds + time.monotonic() - start_s)
    if process.returncode == 0:
        # A training that was asked to stop ends well, too.
        is_done = any(line.startswith("done ") for line in tail(folder)[-3:])
        return dataclasses.replace(state, state=DONE if is_done else STOPPED)
    if stop.is_set():
        return dataclasses.replace(state, state=STOPPED)
    return dataclasses.replace(state, state=FAILED, tries=state.tries + 1, reason=_reason(process, folder))


@contextlib.contextmanager
def _process(case, folder, log_name, given, workers, worker, cores=(), gpus=()):
    """Context of the process of a training, which saves and ends with it."""
    arguments = [sys.executable, "-m", "wavegan_asmr", "train", folder, *map(_flag, given, given.values())]
    if workers:
        arguments += [f"--workers={','.join(workers)}", f"--worker={worker}"]
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if gpus else {})
    if not cores:
        environment |= {name: str(case.resources.cpus) for name in _THREADS}
    with open(os.path.join(folder, log_name), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "wavegan_asmr.cases.child", str(os.getpid()), ",".join(map(str, cores)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            # Ctrl-C is for who started this; a training is stopped by who started it.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _flag(name, value):
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


def _end(process):
    """Has a training save and end, which it does after the step that runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _reason(process, folder):
    """Why a training failed, in one line."""
    lines = [line for line in tail(folder) if line.strip()]
    if process.returncode < 0:
        return f"ended by {signal.Signals(-process.returncode).name}"
    return lines[-1].strip() if lines else f"exit code {process.returncode}"


def _wait_for_lock(folder, stop):
    """Waits until no other training has a TRAIN_DIR, such as one that is ending on a machine that was lost."""
    lock = filelock.FileLock(os.path.join(folder, ".lock"))
    end_s = time.monotonic() + _LOCKED_S
    while time.monotonic() < end_s and not stop.wait(_POLL_S):
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            lock.release()
            return
    if not stop.is_set():
        raise UserError(f"another training holds {folder!r}; stop it first.")
