"""The table of all cases, from files alone, so that it shows wherever the folder is seen."""

import rich.console
import rich.live
import rich.table

from wavegan_asmr.cases.progress_files import read_progress
from wavegan_asmr.progress import Timer

_COLUMNS = ("case", "state", "node", "step", "of", "learning", "slices/s", "ETA", "tries", "best Fréchet")
_REFRESH_S = 1.0
_LEARNING = ("texture", "W", "bits a sample")
"""What tells how far learning is, the first of them that a family has."""


class Watch:
    """Context that shows a table of cases, anew at each call.

    Args:
        runs: Path-like.
        cases: List of `cases_file.Case`.
    """

    def __init__(self, runs, cases):
        self._runs, self._cases = runs, cases
        self._is_due = Timer(_REFRESH_S).is_due
        self._live = rich.live.Live(console=rich.console.Console(stderr=True), auto_refresh=False)

    def __enter__(self):
        self._is_terminal = self._live.console.is_terminal
        if self._is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception):
        self._live.stop()

    def __call__(self):
        """Shows the table as it is now, on a terminal."""
        if self._is_terminal and self._is_due():
            self._live.update(draw(self._runs, self._cases), refresh=True)


def draw(runs, cases):
    """Returns the table of cases as a `rich.table.Table`.

    Args:
        runs: Path-like.
        cases: List of `cases_file.Case`.
    """
    table = rich.table.Table(*_COLUMNS)
    for case in cases:
        progress = read_progress(runs, case.name)
        state, shown = progress.state, progress.shown
        budget = case.given.get("train_max_steps") or f"{case.given.get('train_max_secs', 0):g} s"
        learning = next((f"{label} {shown[label]}" for label in _LEARNING if label in shown), "")
        table.add_row(
            case.name,
            state.state + (f": {state.reason}" if state.reason else ""),
            state.node,
            "" if progress.step is None else f"{progress.step:,}",
            str(budget),
            learning,
            shown.get("slices/s", ""),
            shown.get("ETA", ""),
            str(state.tries or ""),
            "" if progress.frechet is None else f"{progress.frechet:.3g}",
        )
    return table
