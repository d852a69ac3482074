"""`wavegan cases`."""

import dataclasses
import os
import sys
import time

from wavegan_asmr import words
from wavegan_asmr.command_line import run
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, check_effects, setting

USAGE = """Trains many models at once, each a case of a file, and makes a page of what they sound like.

    wavegan cases init DATA_DIR > cases.toml        a case for each folder of recordings, or for each recording
    wavegan cases run cases.toml RUNS               trains them, as many at once as fit; again: goes on
    wavegan cases status RUNS                       how far they are (--watch: again and again)
    wavegan cases stop RUNS                         has them save and end, wherever they run
    wavegan cases render RUNS --minutes 10          a finished file of each, and RUNS/index.html
"""

_WATCH_S = 2.0
_RUNNERS = ("local", "ray", "slurm")


@dataclasses.dataclass(frozen=True)
class CasesSettings(Settings):
    """How cases are run, watched and rendered."""

    runner: str = setting(
        "local", "What runs them: processes of this machine, a Ray cluster, or SLURM (run).", choices=_RUNNERS
    )
    address: str = setting("auto", "Address of the Ray cluster (run).", only_with=("runner", ("ray",)))
    slurm_options: tuple[str, ...] = setting(
        (),
        "Options of sbatch, such as partition=gpu,time=600, with the time in minutes (run).",
        only_with=("runner", ("slurm",)),
    )
    tries: int = setting(3, "Starts of a case that may fail before it is left (run).", at_least=1, at_most=100)
    watch: bool = setting(False, "Show the table again and again until Ctrl-C (status).")
    minutes: float = setting(10.0, "Length of each file (render).", unit="min", at_least=0.01, at_most=1e4)


SETTINGS = (CasesSettings,)
_ARGUMENTS = {
    "init": ("DATA_DIR",),
    "run": ("cases.toml", "RUNS"),
    "status": ("RUNS",),
    "stop": ("RUNS",),
    "render": ("RUNS",),
}
_FLAGS = {"run": ("runner", "address", "slurm_options", "tries"), "status": ("watch",), "render": ("minutes",)}


def main(arguments, flags):
    action, paths = (arguments or [""])[0], arguments[1:]
    if action not in _ARGUMENTS or len(paths) != len(_ARGUMENTS[action]):
        needed = " | ".join(f"{name} {' '.join(given)}" for name, given in _ARGUMENTS.items())
        raise UserError(f"needed: cases {needed}. Received: {' '.join(arguments)!r}.")
    settings = flags.read(CasesSettings)
    check_effects(settings, flags.given(CasesSettings))
    for name in flags.given(CasesSettings):
        if name not in _FLAGS.get(action, ()):
            raise UserError(f"--{name} has no effect with cases {action}; leave it out.")
    _ACTIONS[action](settings, *paths)


def _init(settings, data_dir):
    from wavegan_asmr.cases import cases_file

    print(cases_file.draft(data_dir), end="")


def _run(settings, path, runs):
    # Trainings are processes of their own; this one settles their settings.
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.cases import cases_file, table
    from wavegan_asmr.cases.progress_files import DONE, lock, read_state, set_stop

    cases = cases_file.read(path, runs)
    runner = _make_runner(settings, runs)
    runner.check(cases)
    os.makedirs(runs, exist_ok=True)
    has_ended = True
    with lock(runs):
        cases_file.remember(runs, cases)
        set_stop(runs, False)
        try:
            with table.Watch(runs, cases) as watch:
                has_ended = runner.run(cases, watch)
        finally:
            _show(runs, cases)
    if not has_ended:
        print(f"the cases go on; to stop them: wavegan cases stop {words.shell(runs)}")
        return
    failed = [case.name for case in cases if read_state(os.path.join(runs, case.name)).state != DONE]
    if failed:
        raise UserError(f"not done: {', '.join(failed)}; the same command tries them again.")


def _make_runner(settings, runs):
    if settings.runner == "ray":
        from wavegan_asmr.cases.ray_cluster import RayRunner

        return RayRunner(runs, settings.tries, settings.address)
    if settings.runner == "slurm":
        from wavegan_asmr.cases.slurm_cluster import SlurmRunner

        wrong = [each for each in settings.slurm_options if "=" not in each]
        if wrong:
            raise UserError(f"--slurm_options are NAME=VALUE,NAME=VALUE. Received: {wrong[0]!r}.")
        return SlurmRunner(runs, settings.tries, dict(each.split("=", 1) for each in settings.slurm_options))
    from wavegan_asmr.cases.local import LocalRunner

    return LocalRunner(runs, settings.tries)


def _status(settings, runs):
    from wavegan_asmr.cases import cases_file

    with run.until_stopped(settings.watch):
        while True:
            _show(runs, cases_file.recall(runs))
            if not settings.watch:
                return
            time.sleep(_WATCH_S)


def _stop(settings, runs):
    from wavegan_asmr.cases import cases_file
    from wavegan_asmr.cases.progress_files import RUNNING, read_progress, set_stop

    cases = cases_file.recall(runs)
    set_stop(runs, True)
    while any(read_progress(runs, case.name).state.state == RUNNING for case in cases):
        time.sleep(_WATCH_S)
    _show(runs, cases)


def _render(settings, runs):
    from wavegan_asmr.cases import cases_file, page

    wrong = page.render_all(runs, cases_file.recall(runs), settings.minutes)
    print(f"page      {os.path.join(runs, page.PAGE)}")
    if wrong:
        raise UserError("not rendered: " + "; ".join(f"{name} ({reason})" for name, reason in wrong.items()))


def _show(runs, cases):
    import rich.console

    from wavegan_asmr.cases import table

    console = rich.console.Console(file=sys.stdout)
    # Logs are as wide as the table.
    if not console.is_terminal:
        console = rich.console.Console(file=sys.stdout, width=200)
    console.print(table.draw(runs, cases))


_ACTIONS = {"init": _init, "run": _run, "status": _status, "stop": _stop, "render": _render}
