"""Which settings sound better at the same budget: trains each, and measures against recordings held out from all."""

import concurrent.futures
import dataclasses
import itertools
import json
import os
import queue
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import soundfile
from absl import flags

import audio
import cli
import plots
from benchmarks import common
from errors import UserError
from train_dir import TrainDir, generate_clips

USAGE = """Trains variants of the settings for the same time on the same recordings, of which a part is held out, and
measures what they generate against that part. It takes hours; the same command goes on where it stopped.

    python -m benchmarks.quality --data_dir FOLDER --runs quality/ --minutes 60
    python -m benchmarks.quality --data_dir FOLDER --runs quality/ --minutes 20 --sets waves \\
        --variant 'paper=--preset paper' --variant 'hinge=--preset paper --wavegan_loss hinge'
"""


@dataclasses.dataclass(frozen=True)
class SoundSet:
    """Recordings of the protocol.

    Attributes:
        source: String, below --data_dir: a file, of which the end is held out, or a folder, of which some files are.
        flags: Tuple of flags of train_wavegan.py.
    """

    source: str
    flags: tuple = ()


_SHORT = ("--data_sample_rate=8000", "--data_slice_len=8192", "--data_first_slice", "--data_pad_end")

SETS = {
    **{name: SoundSet(f"asmr/{name}.ogg") for name in ("waves", "rain", "fireplace", "birds")},
    "digits": SoundSet("digits", _SHORT),
}
"""Names of --sets."""

HELD_OUT_SHARE = 0.2
"""Share of a recording, its end, that is held out."""

HELD_OUT_EVERY = 6
"""One in so many files of a folder is held out."""

_FAULT_QUANTILE, _FAULT_MARGIN = 0.99, 0.25
_CLIPPED_MOST = 1e-3
_DRAWN = 6
_BATCH, _SPLITS = 64, 10
_LATENTS = 0x9A11
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
    "nearest_training": "nearest training slice",
    "faulty": "faulty pieces",
    "inception_score": "inception score",
    "steps": "steps",
}
"""Metrics of the table: those of evaluate.py, and those of `measure`."""

flags.DEFINE_string("data_dir", "", f"Folder that holds {', '.join(each.source for each in SETS.values())}.")
flags.DEFINE_string("runs", "", "Folder of the trainings, a TRAIN_DIR each; made if it is not there.")
flags.DEFINE_list("sets", [], f"Recordings, among {', '.join(SETS)}; default: all.")
flags.DEFINE_multi_string(
    "variant",
    ["paper=--preset paper --wavegan_dim 16 --train_batch_size 16", "asmr=--preset asmr"],
    "NAME=FLAGS of train_wavegan.py; the first is what the others are compared with.",
)
flags.DEFINE_list("seeds", ["0", "1"], "Seeds.")
flags.DEFINE_float("minutes", 60.0, "Minutes of each training.", lower_bound=0.01)
flags.DEFINE_integer("at_once", 1, "Trainings at a time, each on its share of the cores.", lower_bound=1)
flags.DEFINE_integer("eval_n", 1000, "Generated slices that are measured.", lower_bound=1)
flags.DEFINE_string("classifier", "", "Folder of a classifier of the digits, for their inception score.")
flags.adopt_module_key_flags(common)


@dataclasses.dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        sounds: String, of `SETS`.
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
    names = common.names("sets", SETS)
    cores = len(os.sched_getaffinity(0))
    if values.at_once > cores:
        raise UserError(f"--at_once must be at most the {cores} cores. Received: {values.at_once}.")
    machine = common.machine_facts()
    folders = {name: hold_out(name, values.data_dir, values.runs) for name in names}
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
        common.call(draw, train_dirs=paths, held_out=folders[name][1], title=name, path=picture)
    facts = {
        "minutes": values.minutes,
        "at_once": values.at_once,
        "variants": variants,
        "runs": [dataclasses.asdict(run) | {"measured": facts} for run, facts in measured.items()],
    }
    figure = _draw(names, variants, measured)
    common.report("quality", "Quality", machine, facts, tables, figure, values.results_dir)


def measure(train_dir, held_out, eval_n, classifier):
    """Measures the newest checkpoint of a training against recordings that it has not heard.

    Args:
        train_dir: Path-like.
        held_out: Path-like, folder of recordings.
        eval_n: Integer, generated slices.
        classifier: Path-like or None, folder of a classifier for the inception score.

    Returns:
        Dict of metric to a pair: its value, and that of the recordings or None. Beside those of evaluate.py:
        "steps"; "nearest_training", the mean distance of generated slices from the nearest slice of the training's
        recordings, in units of that of held-out slices: below 1, they are nearer; "faulty", the share of slices that
        are silent, clipped (a thousandth of the samples), or whose autocorrelation is 0.25 above the 99th percentile
        of the recordings'; "inception_score".
    """
    cli.start_tensorflow(use_gpus=False)
    import classification
    import evaluation
    import loader
    import metrics

    directory = TrainDir(train_dir)
    config = directory.read_config()
    generator, step = directory.load_generator()
    evaluator = evaluation.Evaluator(directory, config, eval_n, held_out)
    rows = evaluator.evaluate(lambda z: generate_clips(generator, z, _BATCH), step).rows
    found = {row.metric: (row.value, row.floor) for row in rows} | {"steps": (step, None)}

    def slices(folder):
        recordings, _ = loader.open_recordings(folder, config.data_sample_rate, config.data_num_channels)
        each = loader.Slices.from_config(recordings, config)
        return evaluation.measure(each.read, min(eval_n, each.offsets), config.data_sample_rate)

    random = np.random.default_rng([config.train_seed, _LATENTS])
    z = random.uniform(-1, 1, [eval_n, config.wavegan_latent_dim]).astype(np.float32)
    clips = generate_clips(generator, z, _BATCH)
    generated = evaluation.measure(lambda first, count: clips[first : first + count], eval_n, config.data_sample_rate)
    training, held = slices(config.data_dir), slices(held_out)
    near, near_held = (
        metrics.nearest_neighbours(x.log_mels.astype(np.float32), training.log_mels.astype(np.float32))[0].mean()
        for x in (generated, held)
    )
    found["nearest_training"] = float(near / near_held), 1.0
    most = np.quantile(held.facts["autocorrelation"], _FAULT_QUANTILE) + _FAULT_MARGIN
    found["faulty"] = tuple(
        float(
            np.mean(
                (x.facts["silent"] > 0) | (x.facts["clipped"] > _CLIPPED_MOST) | (x.facts["autocorrelation"] > most)
            )
        )
        for x in (generated, held)
    )
    if classifier:
        trained = classification.load(classifier)
        probabilities = np.concatenate(
            [trained.classifier.probabilities(clips[i : i + _BATCH]) for i in range(0, eval_n, _BATCH)]
        )
        score, real = (metrics.inception_score(x, _SPLITS)[0] for x in (probabilities, trained.test))
        found["inception_score"] = score, real
    return found


def hold_out(name, data_dir, runs):
    """Divides recordings in two, once.

    Args:
        name: String, of `SETS`.
        data_dir, runs: Path-likes, see the flags.

    Returns:
        Paths of two folders, for the training and held out.

    Raises:
        UserError: There are no such recordings.
    """
    source = os.path.join(data_dir, SETS[name].source)
    target = os.path.join(runs, "recordings", name)
    parts = os.path.join(target, "training"), os.path.join(target, "held_out")
    if os.path.isdir(target):
        return parts
    if not os.path.exists(source):
        raise UserError(f"no such recordings: {source!r}. Received: --data_dir {os.fspath(data_dir)!r}.")
    with tempfile.TemporaryDirectory(dir=_made(os.path.dirname(target))) as temporary:
        made = os.path.join(temporary, name)
        training, held_out = (_made(os.path.join(made, os.path.basename(part))) for part in parts)
        if os.path.isdir(source):
            for number, file in enumerate(sorted(os.listdir(source))):
                is_held_out = number % HELD_OUT_EVERY == 0
                shutil.copy(os.path.join(source, file), held_out if is_held_out else training)
        else:
            x, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
            end = int((1 - HELD_OUT_SHARE) * len(x))
            for folder, part in ((training, x[:end]), (held_out, x[end:])):
                soundfile.write(os.path.join(folder, f"{name}.wav"), part, rate_hz, subtype="FLOAT")
        os.rename(made, target)
    return parts


def draw(train_dirs, held_out, title, path):
    """Draws slices of the held-out recordings above those of trainings.

    Args:
        train_dirs: Dict of label to path.
        held_out: Path-like, folder of recordings.
        title: String.
        path: Path-like, of the PNG.
    """
    cli.start_tensorflow(use_gpus=False)
    import loader

    rows = []
    for label, train_dir in train_dirs.items():
        directory = TrainDir(train_dir)
        config = directory.read_config()
        generator, step = directory.load_generator()
        rows.append((f"{label}, step {step}", generate_clips(generator, directory.latents(config, _DRAWN), _DRAWN)))
    recordings, _ = loader.open_recordings(held_out, config.data_sample_rate, config.data_num_channels)
    real = loader.Slices.from_config(recordings, config).read(0, _DRAWN)
    figure = plots.grid([("held out", real), *rows], config.data_sample_rate, title)
    with audio.replace_atomically(path) as temporary, open(temporary, "wb") as file:
        file.write(plots.png(figure))


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
    command += [f"--data_dir={data_dir}", *SETS[run.sounds].flags, *run.flags, f"--train_seed={run.seed}"]
    command += [f"--train_max_secs={left_s}"]
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
    with audio.replace_atomically(budget) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(trained_s, file)


def _measured(run, folders):
    """Measures a training once: see `measure`; what was found is kept beside it."""
    values = flags.FLAGS
    path = os.path.join(run.path, "quality.json")
    classifier = values.classifier if values.classifier and run.sounds == "digits" else None
    decides = [values.minutes, values.eval_n, classifier]
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        if stored["decides"] == decides:
            return stored["measured"]
    except (FileNotFoundError, ValueError, LookupError):
        pass
    found = common.call(measure, train_dir=run.path, held_out=folders[1], eval_n=values.eval_n, classifier=classifier)
    with audio.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump({"decides": decides, "measured": found}, file)
    return found


def _table(by_variant):
    """A row a metric, a column a variant, and the recordings' own; medians over the seeds."""
    rows = []
    for metric, label in _SHOWN.items():
        if all(metric in facts for each in by_variant.values() for facts in each):
            values, real = zip(*(_median(each, metric) for each in by_variant.values()))
            rows.append([label, *values, real[0]])
    return common.table(["", *by_variant, "recordings"], rows)


def _median(measured, metric):
    """The median of a metric over seeds, and of the recordings' own or None."""
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


def _made(folder):
    os.makedirs(folder, exist_ok=True)
    return folder


if __name__ == "__main__":
    cli.run(main, USAGE)
