"""Measures how good trained models are."""

import time

from absl import flags

import checkpoints
import cli
import config
from errors import UserError

USAGE = """How good a model is, whether it copies its recordings, and which checkpoint is the best.

    evaluate.py TRAIN_DIR                      the newest checkpoint against the recordings it learned from
    evaluate.py TRAIN_DIR --data_dir FOLDER    against other recordings
    evaluate.py TRAIN_DIR --all                every checkpoint
    evaluate.py TRAIN_DIR --watch              the newest, and each new one until Ctrl-C
    evaluate.py --compare A B C                one table for several TRAIN_DIRs
"""

_BATCH = 16
_COMPARED = (
    "frechet_distance kernel_distance ndb diversity memorisation copies autocorrelation_4k fine_peak_db rms_db".split()
)

config.define_flags(["data_dir"])
checkpoints.define_flags("checkpoint", "all", "watch")
flags.DEFINE_integer("eval_n", 1000, "Generated slices, and at most as many recorded ones.", lower_bound=1)
flags.DEFINE_bool("compare", False, "One table for several TRAIN_DIRs.")


def main(arguments):
    values = flags.FLAGS
    if not arguments or (len(arguments) > 1 and not values.compare):
        received = " ".join(arguments)
        raise UserError(f"needed: evaluate.py TRAIN_DIR, or --compare A B C. Received: {received!r}.")
    if values.compare and (values.all or values.watch):
        raise UserError("--compare takes one checkpoint of each TRAIN_DIR; leave out --all and --watch.")
    checkpoint = checkpoints.read_flag()
    cli.start_tensorflow(use_gpus=False)
    from train_dir import TrainDir

    train_dirs = [TrainDir(path) for path in arguments]
    # A mistake in the last of them is found before the first is measured.
    for train_dir in train_dirs:
        train_dir.read_config()
    evaluated = []
    for train_dir in train_dirs:
        evaluated += evaluate(train_dir, checkpoint, values.all, values.watch, values.eval_n, values.data_dir or None)
    if len(evaluated) > 1:
        print(comparison_table(evaluated))
    if values.compare and not values.data_dir and len({result.config["data_dir"] for result in evaluated}) > 1:
        print("each against its own recordings: distances compare where all have the same, --data_dir FOLDER")


def evaluate(train_dir, checkpoint=None, every=False, watch=False, n=1000, data_dir=None):
    """Evaluates checkpoints: prints their tables, records them and writes the report of the last.

    Args:
        train_dir: `TrainDir`.
        checkpoint, every, watch: See `checkpoints.iterate`.
        n: Integer, generated slices.
        data_dir: Path-like or None, see `evaluation.Evaluator`.

    Returns:
        List of `results.Result`.

    Raises:
        UserError: There is no such checkpoint or there are too few slices; or the folder cannot be written.
    """
    import evaluation

    config, evaluator, evaluated = train_dir.read_config(), None, []
    for wanted in checkpoints.iterate(train_dir, checkpoint, every, watch):
        start_s = time.monotonic()
        generator, step = train_dir.load_generator(wanted)
        evaluator = evaluator or evaluation.Evaluator(train_dir, config, n, data_dir, show_progress=True)
        generate = _Timed(generator)
        result = evaluator.evaluate(generate, step)
        is_best = evaluator.record(result)
        evaluated.append(result)
        print(f"step {step} of {train_dir}, {n} slices")
        print(result_table(result))
        for verdict, rule in result.verdicts:
            print(f"verdict   {verdict}: {rule}")
        if best := train_dir.read_best():
            print(f"best      step {best['step']}, {'now ' if is_best else ''}in {train_dir.join('best')}")
        if not every:
            _report(train_dir, result)
        seconds = time.monotonic() - start_s
        print(f"took      {seconds:.1f} s, of which {generate.seconds:.1f} s to generate", flush=True)
    if every:
        _report(train_dir, result)
    return evaluated


def _report(train_dir, result):
    from report import write_report

    print(f"report    {write_report(train_dir.path, result)}")


class _Timed:
    """Generates clips, a batch at a time; `seconds` is the time it took."""

    def __init__(self, generator):
        self._generator = generator
        self.seconds = 0.0

    def __call__(self, z):
        from train_dir import generate_clips

        start_s = time.monotonic()
        clips = generate_clips(self._generator, z, _BATCH)
        self.seconds += time.monotonic() - start_s
        return clips


def comparison_table(evaluated):
    """Returns one line of aligned text for each of several results."""
    rows = [["TRAIN_DIR", "step", *_COMPARED, "verdict"]]
    for result in evaluated:
        verdict = ", ".join(name for name, _ in result.verdicts)
        rows.append([result.train_dir, str(result.step), *(_number(result.value(name)) for name in _COMPARED), verdict])
    return _align(rows)


def result_table(result):
    """Returns the rows of a result as aligned text."""
    rows = [["metric", "value", "error", "real", "held out", "white noise", "coloured noise", "what it says"]]
    for row in result.rows:
        numbers = (row.value, row.error, row.floor, row.held_out, row.noise, row.matched_noise)
        rows.append([row.metric, *map(_number, numbers), row.meaning])
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


if __name__ == "__main__":
    cli.run(main, USAGE)
