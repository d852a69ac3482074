"""Whether bfloat16 costs quality: trains the same in float32 and in bfloat16, and compares losses and metrics."""

import dataclasses
import itertools
import os
import statistics
import subprocess
import sys

from absl import flags

from benchmarks import common, contestants
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError

USAGE = """Trains the same recordings, seeds and number of steps in float32 and in bfloat16, and compares the losses of
the last tenth of the steps and the metrics of evaluate.py. It takes hours; the same command goes on where it stopped.

    python -m benchmarks.precision --data_dir asmr/ --runs precision/
"""

_STORED = "D_loss G_loss wasserstein penalty D_gradient_norm G_gradient_norm".split()
_COMPARED = (
    "frechet_distance kernel_distance ndb diversity memorisation autocorrelation fine_deviation_db rms_db".split()
)
_LAST = 0.1

flags.DEFINE_string("data_dir", "", "Folder of recordings.")
flags.DEFINE_string("runs", "", "Folder of the trainings, a TRAIN_DIR each; made if it is not there.")
flags.DEFINE_integer("steps", 3000, "Generator updates of each training.", lower_bound=1)
flags.DEFINE_list("seeds", ["0", "1"], "Seeds.")
flags.DEFINE_integer("dim", 16, "Width of the networks.", lower_bound=1)
flags.DEFINE_integer("batch_size", 16, "Slices of a batch.", lower_bound=1)
flags.DEFINE_integer("slice_len", 16384, "Samples of a slice.")
flags.DEFINE_integer("eval_n", 1000, "Generated slices that are measured.", lower_bound=1)
flags.adopt_module_key_flags(common)


@dataclasses.dataclass(frozen=True)
class Run:
    """A training and what came of it.

    Attributes:
        precision: String, see `contestants.PRECISIONS`.
        seed: Integer.
        losses: Dict of name to mean over the last tenth of the steps.
        metrics: Dict of name to value.
    """

    precision: str
    seed: int
    losses: dict
    metrics: dict


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    for name in ("data_dir", "runs"):
        if not values[name].value:
            raise UserError(f"--{name} is missing: a folder, as --data_dir asmr/ --runs precision/")
    seeds = common.integers("seeds")
    # Checked before the first hour.
    Config(data_slice_len=values.slice_len)
    machine = common.machine_facts()
    pairs = list(itertools.product(seeds, contestants.PRECISIONS))
    runs = []
    for number, (seed, precision) in enumerate(pairs):
        common.say(f"precision: run {number + 1} of {len(pairs)}, {precision}, seed {seed}")
        runs.append(run(precision, seed))
    rows = list(_rows(runs))
    header = ["", *(f"{each.precision}, seed {each.seed}" for each in runs), "bfloat16 / float32", "between seeds"]
    facts = {"steps": values.steps, "dim": values.dim, "batch_size": values.batch_size, "runs": runs}
    common.report(
        "precision", "Precision", machine, facts, [common.table(header, rows)], _draw(runs), values.results_dir
    )


def run(precision, seed):
    """Trains and evaluates, or goes on with it, by the project's own commands: a `Run`."""
    values = flags.FLAGS
    train_dir = os.path.join(values.runs, f"{precision}-{seed}")
    os.makedirs(values.runs, exist_ok=True)
    _command(
        "train_wavegan.py",
        "train",
        train_dir,
        f"--data_dir={values.data_dir}",
        f"--data_slice_len={values.slice_len}",
        f"--wavegan_dim={values.dim}",
        f"--train_batch_size={values.batch_size}",
        f"--train_seed={seed}",
        f"--train_precision={contestants.PRECISIONS[precision]}",
        f"--train_max_steps={values.steps}",
        "--train_forms=table",
    )
    facts = {"train_dir": train_dir, "steps": values.steps}
    if not common.call(read_metrics, **facts):
        _command("evaluate.py", train_dir, f"--eval_n={values.eval_n}")
    return Run(precision, seed, common.call(read_losses, **facts), common.call(read_metrics, **facts))


def read_losses(train_dir, steps):
    """Returns the means of the losses over the last tenth of the steps, from TensorBoard's files: a dict."""
    start_tensorflow()
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(train_dir, size_guidance={SCALARS: 0, TENSORS: 0}).Reload()
    losses = {}
    for name in _STORED:
        if name in events.Tags()["tensors"]:
            found = [
                (event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(name)
            ]
            last = [value for step, value in found if step > (1 - _LAST) * steps]
            losses[name] = statistics.fmean(last or [found[-1][1]])
    return losses


def read_metrics(train_dir, steps):
    """Returns the metrics that evaluate.py measured at a step, from metrics.jsonl: a dict, empty where it has not."""
    from wavegan_asmr.evaluation import results

    history = results.read_history(train_dir)
    return {name: value for name in _COMPARED for step, value, _ in history.get(name, ()) if step == steps}


def _command(*arguments):
    """Runs a script, whose progress is seen on stderr."""
    path = os.path.join(common.ROOT, arguments[0])
    # In a session of its own Ctrl-C does not reach it, but the one signal to stop, after which it saves.
    process = subprocess.Popen([sys.executable, path, *arguments[1:]], stdout=sys.stderr, start_new_session=True)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.returncode:
        raise UserError(f"{' '.join(arguments[:3])} ended with {process.returncode}; the same command goes on.")


def _rows(runs):
    """Rows of the table: values, the ratio of the precisions' means, and that of the furthest seeds of float32."""
    for part, names in (("losses", _STORED), ("metrics", _COMPARED)):
        for name in names:
            found = [getattr(each, part).get(name) for each in runs]
            if any(value is None for value in found):
                continue
            by_precision = {
                precision: [value for each, value in zip(runs, found) if each.precision == precision]
                for precision in contestants.PRECISIONS
            }
            means = {precision: statistics.fmean(x) for precision, x in by_precision.items()}
            single = by_precision["float32"]
            ratio = means["bfloat16"] / means["float32"] if means["float32"] else None
            between = max(single) / min(single) if min(single) * max(single) > 0 else None
            yield [name, *found, ratio, between]


def _draw(runs):
    names = [name for name in _COMPARED if all(name in each.metrics for each in runs)]
    first = runs[0].metrics
    series = {
        f"{each.precision}, seed {each.seed}": [
            each.metrics[name] / first[name] if first[name] else None for name in names
        ]
        for each in runs
    }
    return common.bars(names, series, f"relative to {runs[0].precision}, seed {runs[0].seed}", "Metrics by precision")


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
