"""Starts a training that ends with its parent: `python -m wavegan_asmr.cases.child PARENT CORES COMMAND ...`."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent, cores, *command):
    """Becomes a command.

    Args:
        parent: String, the process that started this one; should it die, even by SIGKILL, the command gets SIGTERM.
        cores: String, the cores that it may use, "0,1", or "" for all.
        command: Strings.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if cores:
            os.sched_setaffinity(0, map(int, cores.split(",")))
    # It may have died before that.
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
