"""What the benchmarks share: contestants in processes of their own, round robin, facts of the machine, reports.

Each contestant is a process that waits until it is its turn: so one library's threads and memory do not disturb
another's, its peak memory is its own, and what disturbs the machine disturbs all of them alike. This module and the
scripts do not import TensorFlow or PyTorch: the processes they start would inherit their memory.
"""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from wavegan_asmr import storage
from wavegan_asmr.command_line import run
from wavegan_asmr.config import SLICE_LENS
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import StatusLine, clock, peak_memory_bytes
from wavegan_asmr.train_dir import TrainDir

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LIBRARIES = "tensorflow keras torch numpy scipy librosa soundfile soxr".split()

_CPU_FLAGS = "avx2 avx512f avx512_bf16 amx_bf16".split()
_BUSY_LOAD = 0.5

flags.DEFINE_string(
    "results_dir", os.path.join("benchmarks", "results"), "Folder of the results, a .json and a .png of each benchmark."
)
flags.DEFINE_integer("rounds", 5, "Turns of each contestant; medians are shown.", lower_bound=1)
flags.DEFINE_float("turn_s", 1.0, "Shortest turn, seconds; a turn is at least one repetition.", lower_bound=0)


@dataclasses.dataclass(frozen=True)
class Contestant:
    """Something that is measured.

    Attributes:
        name: String.
        make: Function of a module, called in the contestant's process with `settings`: returns the function of a
            turn, which takes the least seconds a turn should last and returns a dict of figures (see `timed`).
        settings: Dict.
        may_fail: Boolean, whether the others go on without it.
    """

    name: str
    make: object
    settings: dict
    may_fail: bool = False


@dataclasses.dataclass
class Outcome:
    """What a contestant did.

    Attributes:
        figures: Dict of name to list of floats, one a round.
        peak_memory_bytes: Integer, the most its process has held, with its libraries.
        failure: String, why there are no figures, or None.
    """

    figures: dict = dataclasses.field(default_factory=dict)
    peak_memory_bytes: int | None = None
    failure: str | None = None

    def median(self, figure="seconds"):
        """Returns the median of a figure over the rounds, or None."""
        return statistics.median(self.figures[figure]) if self.figures.get(figure) else None

    def best(self, figure="seconds"):
        """Returns the smallest of a figure, or None."""
        return min(self.figures[figure]) if self.figures.get(figure) else None


class ContestantError(UserError):
    """A contestant cannot take part; the message names it and the reason."""


def timed(step, untimed=0, repeats=1):
    """Returns a turn, see `Contestant`, that repeats a step: the figure "seconds" is its mean duration.

    Args:
        step: Function without arguments.
        untimed: Integer, steps before the measured ones.
        repeats: Integer, the measured ones are a multiple of it.
    """

    def turn(least_s):
        for _ in range(untimed):
            step()
        start_s, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - start_s < least_s:
            for _ in range(repeats):
                step()
            count += repeats
        return {"seconds": (time.perf_counter() - start_s) / count}

    return turn


def race(contestants, rounds, turn_s, label):
    """Measures contestants by turns, after a turn of each that does not count, showing progress on stderr.

    Args:
        contestants: List of `Contestant`.
        rounds: Integer.
        turn_s: Float, the least seconds of a turn.
        label: String, for the progress.

    Returns:
        Dict of name to `Outcome`.

    Raises:
        ContestantError: One failed that may not.
    """
    outcomes = {contestant.name: Outcome() for contestant in contestants}
    line = StatusLine(sys.stderr)
    with contextlib.ExitStack() as stack:
        stack.callback(line.close)
        processes = {each.name: stack.enter_context(contextlib.closing(_Process(each))) for each in contestants}

        def ask(name, request, doing):
            """The answer of a contestant, or None where it has failed."""
            if outcomes[name].failure:
                return None
            line.show(f"{label}: {doing} {name}")
            try:
                return processes[name].ask(request)
            except ContestantError as error:
                if not processes[name].contestant.may_fail:
                    raise
                outcomes[name].failure = str(error)
                line.close()
                say(f"{label}: left out: {error}")
                return None

        for name in outcomes:
            ask(name, turn_s, "preparing")
        start_s = time.monotonic()
        for done in range(rounds):
            eta = f", ETA {clock((time.monotonic() - start_s) * (rounds / done - 1))}" if done else ""
            for name, outcome in outcomes.items():
                for figure, value in (ask(name, turn_s, f"round {done + 1} of {rounds}{eta},") or {}).items():
                    outcome.figures.setdefault(figure, []).append(value)
        for name, outcome in outcomes.items():
            outcome.peak_memory_bytes = ask(name, _PEAK, "memory of")
    return outcomes


def call(make, **settings):
    """Calls a function of a module in a process of its own, and returns what it returns.

    Raises:
        ContestantError: It raised, or its process was killed.
    """
    process = _Process(Contestant(make.__name__, _as_turn, {"function": make, "settings": settings}))
    try:
        return process.ask(0)
    finally:
        process.close()


_PEAK = "peak"


class _Process:
    """The process of a contestant, asked for turns over a pipe."""

    def __init__(self, contestant):
        self.contestant = contestant
        # A fork would take over threads and memory of this process.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contestant), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request):
        try:
            self._connection.send(request)
            is_good, answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            ending = f"its process ended with {self._process.exitcode} (not enough memory?)"
            raise ContestantError(f"{self.contestant.name}: {ending}") from error
        if not is_good:
            raise ContestantError(f"{self.contestant.name}: {answer}")
        return answer

    def close(self):
        self._connection.close()
        self._process.terminate()
        self._process.join()


def _serve(connection, contestant):
    # Ctrl-C reaches the whole group; the parent ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turn = None
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            if request == _PEAK:
                answer = peak_memory_bytes()
            else:
                turn = turn or contestant.make(**contestant.settings)
                answer = turn(request)
            connection.send((True, answer))
        except Exception as error:
            connection.send((False, " ".join(str(error).split())[:300] or type(error).__name__))


def _as_turn(function, settings):
    return lambda least_s: function(**settings)


def run_command(arguments):
    """Runs a script of the project as a user does.

    Args:
        arguments: List of strings, the script's name first.

    Returns:
        Float, seconds, and integer, the peak memory of its process in bytes.

    Raises:
        UserError: It failed.
    """
    with tempfile.TemporaryFile() as log:
        start_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, arguments[0]), *map(str, arguments[1:])], stdout=log, stderr=log
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            words = log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise UserError(f"{' '.join(map(str, arguments))} ended with {process.returncode}: {' '.join(words)}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def machine_facts():
    """Returns what the figures depend on: processor, memory, libraries, load; a dict."""
    cpu = _cpu_facts()
    return cpu | {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "load_before": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def warn_if_busy(machine):
    """Says on stderr that other programs are running, which `machine_facts` noticed."""
    if machine["load_before"] > _BUSY_LOAD:
        say(f"the machine is busy (load {machine['load_before']}): figures will be too slow")


def report(name, title, machine, facts, tables, figure, out):
    """Writes out/NAME.json and out/NAME.png and prints Markdown.

    Args:
        name, title: Strings.
        machine: Dict, of `machine_facts`.
        facts: Dict, everything measured, as JSON.
        tables: List of Markdown texts.
        figure: `matplotlib.figure.Figure`.
        out: Path-like, made if it is not there.

    Raises:
        OSError: It cannot be written.
    """
    from wavegan_asmr.sound import plots

    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, name)
    with storage.replace_atomically(f"{path}.json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        facts = {"benchmark": name, "machine": machine} | facts
        json.dump(facts, file, indent=1, allow_nan=False, default=dataclasses.asdict)
    with storage.replace_atomically(f"{path}.png") as temporary, open(temporary, "wb") as file:
        file.write(plots.png(figure))
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    flags_found = ", ".join(machine["cpu_flags"]) or "none of the flags looked for"
    print(f"## {title}\n")
    print(f"{machine['cpu']} ({flags_found}), {machine['cores']} cores, {machine['memory_gb']} GB; {libraries}.\n")
    print("\n\n".join(tables))
    print(f"\nWritten: {path}.json, {path}.png\n", flush=True)


def table(header, rows):
    """Returns a Markdown table; None is an empty cell, floats have three figures."""
    lines = [list(header), ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bars(groups, series, label, title, is_log=False):
    """Draws groups of bars.

    Args:
        groups: List of strings.
        series: Dict of name to a list of floats or None, one a group.
        label: String, of the values.
        title: String.
        is_log: Boolean, a logarithmic scale.

    Returns:
        `matplotlib.figure.Figure`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(7, 1.5 + 0.35 * len(groups) * (len(series) + 1)), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = 1 / (len(series) + 1)
    for number, (name, values) in enumerate(series.items()):
        places = [group + (number - (len(series) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(places, [value or 0 for value in values], width, label=name)
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel=label, title=title, yscale="log" if is_log else "linear")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def ratio(outcome, other, figure="seconds"):
    """Returns how often faster an outcome is than another, the median over rounds, or None where one is missing."""
    if not (outcome and other and outcome.figures.get(figure) and other.figures.get(figure)):
        return None
    return statistics.median(theirs / ours for ours, theirs in zip(outcome.figures[figure], other.figures[figure]))


def run_benchmark(main, usage):
    """Parses the flags that the modules have defined, calls `main` as a command and exits, see `run.run`.

    Args:
        main: Function of the arguments that are no flags (list of strings).
        usage: String, the synopsis, shown by --help.
    """
    sys.modules["__main__"].__doc__ = usage
    run.run(lambda: main(_parse_flags()), os.path.basename(sys.argv[0]))


def _parse_flags():
    app.define_help_flags()
    try:
        return flags.FLAGS(sys.argv)[1:]
    except flags.Error as error:
        raise UserError(f"{' '.join(str(error).split())} (--help lists the flags)") from error
    except SystemExit:
        # absl exits with 1 after --help, which did what was asked.
        sys.exit(0)


def say(text):
    """Prints a line on stderr: stdout is for the tables."""
    print(text, file=sys.stderr, flush=True)


def no_arguments(arguments):
    """Raises UserError where there are words on the command line that are not flags."""
    if arguments:
        raise UserError(f"a benchmark takes flags only. Received: {' '.join(arguments)!r}.")


def integers(name, at_least=0):
    """Returns the value of a flag of whole numbers, as 16,64: a list.

    Raises:
        UserError: It is not one.
    """
    texts = flags.FLAGS[name].value
    if not texts or not all(text.isdecimal() and int(text) >= at_least for text in texts):
        raise UserError(f"--{name} must be whole numbers from {at_least}, as 16,64. Received: {','.join(texts)!r}.")
    return [int(text) for text in texts]


def slice_lens(name):
    """Returns the value of a flag of slice lengths, a list.

    Raises:
        UserError: It is not one.
    """
    found = integers(name)
    for slice_len in found:
        if slice_len not in SLICE_LENS:
            raise UserError(f"--{name} must be among {', '.join(map(str, SLICE_LENS))}. Received: {slice_len}.")
    return found


def names(name, known):
    """Returns the value of a flag of names, all `known` ones where it is empty: a list.

    Raises:
        UserError: One is not known.
    """
    texts = flags.FLAGS[name].value
    if unknown := sorted(set(texts) - set(known)):
        raise UserError(f"--{name} must be among {', '.join(known)}. Received: {unknown[0]!r}.")
    return [each for each in known if each in texts] if texts else list(known)


def config_of_all(paths):
    """Returns the `Config` of the first of several TRAIN_DIRs, of which the slices compare.

    Raises:
        UserError: One is none, or they differ in rate, length of slices or channels.
    """
    configs = [TrainDir(path).read_config() for path in paths]
    facts = [(each.data_sample_rate, each.data_slice_len, each.data_num_channels) for each in configs]
    for path, each in zip(paths, facts):
        if each != facts[0]:
            raise UserError(
                f"models must have the same rate, slice length and channels as {paths[0]!r}, {facts[0]}. "
                f"Received: {path!r} with {each}."
            )
    return configs[0]


def _cell(value):
    if value is None:
        return ""
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else (f"{value:,.0f}" if isinstance(value, float) else str(value))
    )


def _cpu_facts():
    model, found = platform.processor() or platform.machine(), []
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return {"cpu": model, "cpu_flags": found}
    if match := re.search(r"^model name\s*:\s*(.+)$", text, re.M):
        model = match[1].strip()
    if match := re.search(r"^flags\s*:\s*(.+)$", text, re.M):
        found = [name for name in _CPU_FLAGS if name in match[1].split()]
    return {"cpu": model, "cpu_flags": found}


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
