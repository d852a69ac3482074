"""Which settings sound better at the same budget: trains each, and measures against recordings held out from all."""

import concurrent.futures
import dataclasses
import itertools
import json
import os
import queue
import shlex
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
from absl import flags

from benchmarks import common, held_out
from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import features

USAGE = """Trains variants of the settings for the same time on the same recordings, of which a part is held out, and
measures what they generate against that part. It takes hours; the same command goes on where it stopped.

    python -m benchmarks.quality --data_dir FOLDER --runs quality/ --minutes 60
    python -m benchmarks.quality --data_dir FOLDER --runs quality/ --minutes 20 --sets waves \\
        --variant 'paper=--preset paper' --variant 'hinge=--preset paper --wavegan_loss hinge'
"""

_POLL_S = 0.5

_SHOWN = {
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance",
    "ndb": "NDB",
    "autocorrelation": "autocorrelation",
    "autocorrelation_4k": "autocorrelation at 4^k",
    "fine_deviation_db": "fine deviation, dB",
    "fine_peak_db": "fine peak, dB",
    "diversity": "diversity",
    "rms_db": "level, dB",
    "centroid_hz": "centroid, Hz",
    "memorisation": "nearest training slice",
    "copies": "copies",
    "faulty": "faulty pieces",
    "inception_score": "inception score",
    "label_accuracy": "labels as asked",
    "onsets": "events a second",
    "held_out_bits": "bits a sample, held out",
    "training_bits": "bits a sample, training",
    "made_a_second": "seconds of sound made a second",
    "steps": "steps",
}
"""Metrics of the table: those of evaluate.py, and those of `held_out.measure`."""

flags.DEFINE_string("data_dir", "", f"Folder that holds {', '.join(each.source for each in held_out.SETS.values())}.")
flags.DEFINE_string("runs", "", "Folder of the trainings, a TRAIN_DIR each; made if it is not there.")
flags.DEFINE_list("sets", [], f"Recordings, among {', '.join(held_out.SETS)}; default: all.")
flags.DEFINE_multi_string(
    "variant",
    ["paper=--preset paper --wavegan_dim 16 --train_batch_size 16", "asmr=--preset asmr"],
    "NAME=FLAGS of train_wavegan.py; the first is what the others are compared with.",
)
flags.DEFINE_list("seeds", ["0", "1"], "Seeds.")
flags.DEFINE_float("minutes", 60.0, "Minutes of each training.", lower_bound=0.01)
flags.DEFINE_integer("at_once", 1, "Trainings at a time, each on its share of the cores.", lower_bound=1)
flags.DEFINE_integer("eval_n", 1000, "Generated slices that are measured.", lower_bound=features.EMBEDDING_DIM + 1)
flags.DEFINE_string("classifier", "", "Folder of a classifier of the digits, or of the drums, for their scores.")
flags.adopt_module_key_flags(common)


@dataclasses.dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        sounds: String, of `held_out.SETS`.
        variant: String, its name.
        seed: Integer.
        flags: Tuple of strings, of train_wavegan.py.
    """

    sounds: str
    variant: str
    seed: int
    flags: tuple

    @property
    def path(self):
        """TRAIN_DIR."""
        return os.path.join(flags.FLAGS.runs, f"{self.sounds}-{self.variant}-{self.seed}")


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    for name in ("data_dir", "runs"):
        if not values[name].value:
            raise UserError(f"--{name} is missing: a folder, as --data_dir recordings/ --runs quality/")
    variants = _variants()
    seeds = common.integers("seeds")
    names = common.names("sets", held_out.SETS)
    cores = len(os.sched_getaffinity(0))
    if values.at_once > cores:
        raise UserError(f"--at_once must be at most the {cores} cores. Received: {values.at_once}.")
    machine = common.machine_facts()
    folders = {name: held_out.hold_out(name, values.data_dir, values.runs) for name in names}
    runs = [
        Run(name, variant, seed, given)
        for seed, name, (variant, given) in itertools.product(seeds, names, variants.items())
    ]
    _train_all(runs, folders)
    measured = {}
    for number, run in enumerate(runs):
        common.say(f"quality: measuring {number + 1} of {len(runs)}, {run.path}")
        measured[run] = _measured(run, folders[run.sounds])
    tables = []
    for name in names:
        by_variant = {
            variant: [facts for run, facts in measured.items() if (run.sounds, run.variant) == (name, variant)]
            for variant in variants
        }
        tables += [f"### {name}", _table(by_variant)]
        paths = {run.variant: run.path for run in runs if (run.sounds, run.seed) == (name, seeds[0])}
        picture = os.path.join(values.runs, f"{name}.png")
        common.call(held_out.draw, train_dirs=paths, held_out=folders[name][1], title=name, path=picture)
    facts = {
        "minutes": values.minutes,
        "at_once": values.at_once,
        "variants": variants,
        "runs": [dataclasses.asdict(run) | {"measured": facts} for run, facts in measured.items()],
    }
    figure = _draw(names, variants, measured)
    common.report("quality", "Quality", machine, facts, tables, figure, values.results_dir)


def _variants():
    """Returns the variants of the command line: dict of name to tuple of flags."""
    variants = {}
    for text in flags.FLAGS.variant:
        name, found, given = text.partition("=")
        if not (found and name.isidentifier()):
            raise UserError(f"--variant must be NAME=FLAGS, as 'nn=--wavegan_genr_upsample nn'. Received: {text!r}.")
        variants[name] = tuple(shlex.split(given))
    return variants


def _train_all(runs, folders):
    """Trains some at a time, each on its share of the cores, until each has had its minutes."""
    values = flags.FLAGS
    cores = sorted(os.sched_getaffinity(0))
    shares = queue.SimpleQueue()
    for share in np.array_split(cores, values.at_once):
        shares.put(set(share.tolist()))
    stopping = threading.Event()

    def train(number, run):
        share = shares.get()
        try:
            if not stopping.is_set():
                _train(run, folders[run.sounds][0], share, f"{number + 1} of {len(runs)}", stopping)
        finally:
            shares.put(share)

    with concurrent.futures.ThreadPoolExecutor(values.at_once) as pool:
        futures = [pool.submit(train, number, run) for number, run in enumerate(runs)]
        try:
            for future in futures:
                future.result()
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


def _train(run, data_dir, cores, place, stopping):
    """Trains until the minutes are used up, or goes on with it."""
    values = flags.FLAGS
    budget = os.path.join(run.path, "trained_s.json")
    trained_s = 0.0
    if os.path.exists(budget):
        with open(budget, encoding="utf-8") as file:
            trained_s = json.load(file)
    left_s = 60 * values.minutes - trained_s
    if left_s < 1:
        return
    common.say(f"quality: training {place}, {run.path}, {left_s / 60:.1f} minutes")
    command = [sys.executable, os.path.join(common.ROOT, "train_wavegan.py"), "train", run.path]
    command += [f"--data_dir={data_dir}", *held_out.SETS[run.sounds].flags, *run.flags, f"--train_seed={run.seed}"]
    # Trainings beside each other cannot time.
    command += [f"--train_max_secs={left_s}", "--train_forms=table"]
    os.makedirs(run.path, exist_ok=True)
    start_s = time.monotonic()
    with open(os.path.join(run.path, "training.log"), "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            # In a session of its own Ctrl-C does not reach it, but the one signal to stop, after which it saves.
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        while process.poll() is None:
            if stopping.wait(_POLL_S):
                process.terminate()
                process.wait()
    if process.returncode:
        raise UserError(f"{shlex.join(command[1:3])} {run.path} ended with {process.returncode}; see {log.name}.")
    trained_s += min(left_s, time.monotonic() - start_s)
    with storage.replace_atomically(budget) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(trained_s, file)


def _measured(run, folders):
    """Measures a training once: see `held_out.measure`; what was found is kept beside it."""
    values = flags.FLAGS
    path = os.path.join(run.path, "quality.json")
    classifier = values.classifier if values.classifier and held_out.SETS[run.sounds].is_labelled else None
    decides = [held_out.VERSION, features.EMBEDDING_VERSION, values.minutes, values.eval_n, classifier]
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        if stored["decides"] == decides:
            return stored["measured"]
    except (FileNotFoundError, ValueError, LookupError):
        pass
    found = common.call(
        held_out.measure, train_dir=run.path, held_out=folders[1], eval_n=values.eval_n, classifier=classifier
    )
    with storage.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump({"decides": decides, "measured": found}, file)
    return found


def _table(by_variant):
    """A row a metric, a column a variant, and the recordings' own; medians over the seeds."""
    rows = []
    for metric, label in _SHOWN.items():
        found = [_median(each, metric) for each in by_variant.values()]
        if any(value is not None for value, _ in found):
            values, real = zip(*found)
            rows.append([label, *values, real[0]])
    return common.table(["", *by_variant, "recordings"], rows)


def _median(measured, metric):
    """The median of a metric over seeds, and of the recordings' own; None where a model or they have none."""
    if not all(metric in facts for facts in measured):
        return None, None
    values, real = zip(*(facts[metric] for facts in measured))
    return float(statistics.median(values)), None if real[0] is None else float(statistics.median(real))


def _draw(names, variants, measured):
    """Fréchet distances relative to the first variant's."""
    series = {variant: [] for variant in variants}
    for name, variant in itertools.product(names, variants):
        first, this = (
            statistics.median(f["frechet_distance"][0] for r, f in measured.items() if (r.sounds, r.variant) == each)
            for each in ((name, next(iter(variants))), (name, variant))
        )
        series[variant].append(this / first)
    return common.bars(names, series, f"relative to {next(iter(variants))}", "Fréchet distance (less is better)")


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
