"""What runners on other machines share: a command that watches, and may leave, what goes on without it."""

import dataclasses
import os
import time

from wavegan_asmr.cases.progress_files import DONE, RUNNING, WAITING, is_alive, read_state, write_state

_POLL_S = 0.5


def begin(runs, cases, is_known=lambda job: False):
    """Chooses the cases that are to be submitted, and marks them as waiting.

    Args:
        runs: Path-like, the folder of the TRAIN_DIRs.
        cases: List of `cases_file.Case`.
        is_known: Function of the `State.job` of what was submitted before that returns whether it still waits or runs.

    Returns:
        List of `Case`.
    """
    chosen = []
    for case in cases:
        folder = os.path.join(runs, case.name)
        state = read_state(folder)
        is_running = state.state == RUNNING and is_alive(folder, state)
        if state.state == DONE or is_running or (state.job and is_known(state.job)):
            continue
        os.makedirs(folder, exist_ok=True)
        # One that was killed is told by its state, see `running.run_case`.
        if state.state != RUNNING:
            write_state(folder, dataclasses.replace(state, state=WAITING, tries=0, reason=""))
        chosen.append(case)
    return chosen


def watch_until(is_over, watch):
    """Says that the cases do not need this command, and shows the table until all has ended, or Ctrl-C.

    Args:
        is_over: Function that returns whether it has.
        watch: Function that shows the table.

    Returns:
        Boolean, whether all has ended.
    """
    print("watching  the cases; Ctrl-C leaves them running", flush=True)
    try:
        while not is_over():
            watch()
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return False
    return True


def update(runs, case, **changes):
    """Changes what is written of a case.

    Args:
        runs: Path-like.
        case: `cases_file.Case`.
        changes: Attributes of its `State`.
    """
    folder = os.path.join(runs, case.name)
    write_state(folder, dataclasses.replace(read_state(folder), **changes))
