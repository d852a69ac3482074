"""Seconds of --help of every script."""

import glob
import os
import sys

from absl import flags

from benchmarks import common
from wavegan_asmr.progress import StatusLine

USAGE = """Seconds of --help of every script, the best of --rounds.

    python -m benchmarks.startup
"""

flags.adopt_module_key_flags(common)


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    seconds = {script: [] for script in scripts()}
    line = StatusLine(sys.stderr)
    for number in range(values.rounds):
        line.show(f"startup: round {number + 1} of {values.rounds}")
        for script, measured in seconds.items():
            measured.append(common.run_command([script, "--help"])[0])
    line.close()
    best = {script: min(measured) for script, measured in seconds.items()}
    tables = [common.table(["script", "--help, s"], best.items())]
    figure = common.bars(list(best), {"--help": list(best.values())}, "seconds", "Start (less is better)")
    common.report("startup", "Start", machine, {"seconds": seconds}, tables, figure, values.results_dir)


def scripts():
    """Returns the names of the project's scripts: the modules that run when they are started."""
    found = []
    for path in sorted(glob.glob(os.path.join(common.ROOT, "*.py"))):
        with open(path, encoding="utf-8") as file:
            if 'if __name__ == "__main__":' in file.read():
                found.append(os.path.basename(path))
    return found


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
