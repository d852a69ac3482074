"""Processes that are killed at a moment of choice."""

import pathlib
import subprocess
import sys

from conftest import ROOT

_CRASH_EVERYWHERE = """
import os
import shutil
import signal
import sys

import tensorflow as tf

sys.path.insert(0, sys.argv[1])
from wavegan_asmr.train_dir import Best, TrainDir

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill_before(number):
    left = number

    def hook(event, arguments):
        nonlocal left
        if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") or event == "open" and arguments[2] & WRITING:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)


status = number = 1
while status:
    copy = f"{sys.argv[2]}-killed-{number}"
    shutil.copytree(sys.argv[2], copy)
    process = os.fork()
    if not process:
        train_dir = TrainDir(copy)
        kill_before(number)
        try:
            exec(sys.argv[3])
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os.kill(os.getpid(), signal.SIGABRT)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    assert status in (0, signal.SIGKILL), status
    number += 1
"""


def crash_everywhere(path, statements):
    """Runs Python statements about `train_dir` on copies of it, and kills each before another change of a file.

    Args:
        path: String, the TRAIN_DIR.
        statements: String.

    Returns:
        List of paths of the copies, in the order of the moments; the last one was not killed.
    """
    arguments = [sys.executable, "-c", _CRASH_EVERYWHERE, ROOT, path, statements]
    subprocess.run(arguments, check=True, timeout=300)
    copies = pathlib.Path(path).parent.glob("*-killed-*")
    return sorted(map(str, copies), key=lambda copy: int(copy.rpartition("-")[2]))
