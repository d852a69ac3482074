"""Evaluating checkpoints one by one: tables, records, the report of the last."""

import time

from wavegan_asmr import words
from wavegan_asmr.evaluation import imitations, metrics
from wavegan_asmr.evaluation.evaluator import Evaluator
from wavegan_asmr.evaluation.report import write_report
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import BEST, TrainDir

SAMPLES, SLOW_SAMPLES = 1000, 128
"""Generated slices of an evaluation, if nothing else is asked for; of slow families the second."""


def evaluate_all(paths, settings, data_dir=None, **chosen):
    """Evaluates checkpoints of one or more training directories, see `evaluate`, and prints a table of them all.

    Args:
        paths: List of path-likes, TRAIN_DIRs.
        settings: `EvaluationSettings`.
        data_dir: Path-like or None, see `Evaluator`.
        chosen: The checkpoints of each, see `TrainDir.choose`.

    Raises:
        UserError: See `evaluate`.
    """
    train_dirs = [TrainDir(path) for path in paths]
    # A mistake in the last of them is found before the first is measured.
    for train_dir in train_dirs:
        train_dir.read_config()
    evaluated = []
    for train_dir in train_dirs:
        evaluated += evaluate(train_dir, settings.eval_n, data_dir, settings.eval_anchors, **chosen)
    if len(evaluated) > 1:
        print(comparison_table(evaluated))
    if settings.compare and not data_dir and len({result.config["data_dir"] for result in evaluated}) > 1:
        print("each against its own recordings: distances compare where all have the same, --data_dir FOLDER")


def evaluate(train_dir, n=None, data_dir=None, with_imitations=False, **chosen):
    """Evaluates checkpoints: prints their tables, records them and writes the report of the last.

    Args:
        train_dir: `TrainDir`.
        n: Integer, generated slices, or None for as many as the family has time for.
        data_dir, with_imitations: See `Evaluator`.
        chosen: The checkpoints, see `TrainDir.choose`.

    Returns:
        List of `results.Result`.

    Raises:
        UserError: There is no such checkpoint or there are too few slices; or the folder cannot be written.
    """
    config, evaluator, evaluated = train_dir.read_config(), None, []
    n = n or (SLOW_SAMPLES if family_of(config).is_slow else SAMPLES)
    train_dir.sweep_temporaries()
    for wanted in train_dir.choose(**chosen):
        start_s = time.monotonic()
        generator = Generator(train_dir, wanted)
        step = generator.step
        evaluator = evaluator or Evaluator(train_dir, config, n, data_dir, with_imitations, show_progress=True)
        generate = _Timed(generator)
        result = evaluator.evaluate(generate, step)
        is_best = evaluator.record(result)
        evaluated.append(result)
        print(f"step {step} of {train_dir}, {n} slices")
        print(result_table(result))
        if result.imitations:
            print(f"imitations  {imitations.READING}")
        elif with_imitations:
            print("imitations  none: each recording is one sound, and cut up they are others")
        if result.by_label:
            print(label_table(result))
        for verdict, rule in result.verdicts:
            print(f"verdict   {verdict}: {rule}")
        if best := train_dir.read_best():
            print(f"best      step {best.step}, {'now ' if is_best else ''}in {TrainDir(train_dir.join(BEST))}")
        if not chosen.get("every"):
            _report(train_dir, result)
        seconds = time.monotonic() - start_s
        print(f"took      {seconds:.1f} s, of which {generate.seconds:.1f} s to generate", flush=True)
    # A training may have deleted them all meanwhile.
    if chosen.get("every") and evaluated:
        _report(train_dir, evaluated[-1])
    return evaluated


def _report(train_dir, result):
    print(f"report    {words.printable(write_report(train_dir.path, result))}")


class _Timed:
    """Generates clips, a batch at a time; `seconds` is the time it took."""

    def __init__(self, generator):
        self._generator = generator
        self.seconds = 0.0

    def __call__(self, inputs):
        start_s = time.monotonic()
        clips = self._generator.generate(inputs)
        self.seconds += time.monotonic() - start_s
        return clips


def comparison_table(evaluated):
    """Returns one line of aligned text for each of several results."""
    compared = [name for name, metric in metrics.METRICS.items() if metric.is_compared]
    rows = [["TRAIN_DIR", "step", *compared, "verdict"]]
    for result in evaluated:
        verdict = ", ".join(name for name, _ in result.verdicts)
        values = (_number(result.value(name)) for name in compared)
        rows.append([words.printable(result.train_dir), str(result.step), *values, verdict])
    return _align(rows)


def result_table(result):
    """Returns the rows of a result as aligned text."""
    columns = ["real", "held out", "white noise", "coloured noise", *result.imitations]
    rows = [["metric", "value", "error", *columns, "what it says"]]
    for row in result.rows:
        beside = (row.imitations.get(name) for name in result.imitations)
        numbers = (row.value, row.error, row.floor, row.held_out, row.noise, row.matched_noise, *beside)
        rows.append([row.metric, *map(_number, numbers), row.meaning])
    return _align(rows)


def label_table(result):
    """Returns the figures of each label as aligned text."""
    rows = [["label", "generated", "recorded", "Fréchet", "kernel", "error", "nearest recordings"]]
    for each in result.by_label:
        numbers = (each.generated, each.recorded, each.frechet_distance, each.kernel_distance, each.error)
        shown = [words.printable(name or "") for name in (each.label, each.nearest_label)]
        rows.append([shown[0], *map(_number, numbers), shown[1]])
    return _align(rows)


def _number(value):
    return "" if value is None else f"{value:.4g}" if abs(value) < 1e6 else f"{value:.1e}"


def _align(rows):
    """Rows of words as columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        first, *middle, last = (word.rjust(width) for word, width in zip(row, widths))
        lines.append("  ".join([first.strip().ljust(widths[0]), *middle, last.strip()]))
    return "\n".join(f"  {line}" for line in lines)
