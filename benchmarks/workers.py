"""What a second machine gains: two workers of one core each against one process of one core."""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from benchmarks import common
from wavegan_asmr.progress import StatusLine

USAGE = """Seconds a step of one process of one core, and of two workers on loopback of one core each.

    python -m benchmarks.workers --data_dir asmr/
"""

flags.DEFINE_string("data_dir", "", "Recordings.")
flags.DEFINE_list("presets", ["asmr-16k", "asmr"], "Presets to time.")
flags.DEFINE_integer("secs", 60, "Seconds of each training.", lower_bound=20)
flags.adopt_module_key_flags(common)

_STEP_S = re.compile(r"^step \d+ .* ([0-9.]+) s/step", re.MULTILINE)


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    line, measured = StatusLine(sys.stderr), {}
    for preset in values.presets:
        for number in range(values.rounds):
            for workers in (1, 2):
                line.show(f"workers: {preset}, {workers}, round {number + 1} of {values.rounds}")
                measured.setdefault(preset, {}).setdefault(workers, []).append(_time(values, preset, workers))
    line.close()
    rows = []
    for preset, of_count in measured.items():
        alone, together = (statistics.median(of_count[workers]) for workers in (1, 2))
        rows.append([preset, f"{alone:.3f}", f"{together:.3f}", f"{alone / together:.2f}x"])
    tables = [common.table(["preset", "one core, s a step", "two workers, s a step", "gain"], rows)]
    shown = {name: [float(row[column]) for row in rows] for column, name in ((1, "one core"), (2, "two workers"))}
    figure = common.bars([row[0] for row in rows], shown, "seconds", "A step (less is better)")
    common.report("workers", "Workers", machine, {"seconds": measured}, tables, figure, values.results_dir)


def _time(values, preset, workers):
    """Seconds a step of a training by some workers, the median of its lines of progress."""
    addresses = []
    for _ in range(workers):
        with socket.create_server(("127.0.0.1", 0)) as server:
            addresses.append(f"127.0.0.1:{server.getsockname()[1]}")
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "wavegan_asmr", "train", os.path.join(folder, "train"), "--preset", preset]
        line += ["--data_dir", values.data_dir, "--train_max_secs", str(values.secs), "--train_forms=table"]
        line += ["--train_precision=mixed_bfloat16", "--train_summary_secs=1000"]
        processes = []
        for worker in range(workers):
            environment = dict(os.environ)
            if workers > 1:
                task = {"type": "worker", "index": worker}
                environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            command = ["taskset", "--cpu-list", str(worker), *line]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True))
        outputs = [process.communicate()[0] for process in processes]
    # The first lines are of graphs that are built.
    return statistics.median(map(float, _STEP_S.findall(outputs[0])[2:]))


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
