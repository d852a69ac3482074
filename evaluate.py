"""Measures how good trained models are."""

import time

from absl import flags

import cli
from errors import UserError

USAGE = """How good a model is, whether it copies its recordings, and which checkpoint is the best.

    evaluate.py TRAIN_DIR                      the newest checkpoint against the recordings it learned from
    evaluate.py TRAIN_DIR --data_dir FOLDER    against other recordings
    evaluate.py TRAIN_DIR --watch              each new checkpoint until Ctrl-C
    evaluate.py --compare A B C                one table for several TRAIN_DIRs
"""

_BATCH = 16
_POLL_S = 2.0
_COMPARED = (
    "frechet_distance kernel_distance ndb diversity memorisation copies autocorrelation_4k fine_peak_db rms_db".split()
)

flags.DEFINE_string("data_dir", "", "Folder of recordings; default: those that the model learned from.")
flags.DEFINE_integer("eval_n", 1000, "Generated slices, and at most as many recorded ones.", lower_bound=1)
flags.DEFINE_string("checkpoint", "newest", "newest, best or a step.")
flags.DEFINE_bool("watch", False, "Go on with each new checkpoint until Ctrl-C.")
flags.DEFINE_bool("compare", False, "One table for several TRAIN_DIRs.")


def main(arguments):
    values = flags.FLAGS
    if not arguments or (len(arguments) > 1 and not values.compare):
        received = " ".join(arguments)
        raise UserError(f"needed: evaluate.py TRAIN_DIR, or --compare A B C. Received: {received!r}.")
    if values.watch and (values.compare or values.checkpoint != "newest"):
        raise UserError("--watch takes each newest checkpoint of one TRAIN_DIR; leave out --compare and --checkpoint.")
    cli.start_tensorflow(use_gpus=False)
    from train_dir import TrainDir, parse_checkpoint

    settings = {"data_dir": values.data_dir or None, "n": values.eval_n}
    train_dirs = [TrainDir(path) for path in arguments]
    if values.compare:
        compare(train_dirs, checkpoint=parse_checkpoint(values.checkpoint), **settings)
    elif values.watch:
        watch(*train_dirs, **settings)
    else:
        evaluate(*train_dirs, checkpoint=parse_checkpoint(values.checkpoint), **settings)


def evaluate(train_dir, checkpoint=None, data_dir=None, n=1000, evaluator=None):
    """Evaluates a checkpoint: prints its table, records it and writes the report.

    Args:
        train_dir: `TrainDir`.
        checkpoint: See `TrainDir.load_generator`.
        data_dir: Path-like or None, see `evaluation.Evaluator`.
        n: Integer, generated slices.
        evaluator: `evaluation.Evaluator` to use again, or None.

    Returns:
        `results.Result` and the evaluator.

    Raises:
        UserError: There is no such checkpoint or there are too few slices; or the folder cannot be written.
    """
    import evaluation
    from train_dir import generate_clips

    generator, step = train_dir.load_generator(checkpoint)
    evaluator = evaluator or evaluation.Evaluator(
        train_dir, train_dir.read_config(), n, data_dir=data_dir, show_progress=True
    )
    result = evaluator.evaluate(lambda z: generate_clips(generator, z, _BATCH), step)
    is_best = evaluator.record(result)
    print(f"step {step} of {train_dir}, {n} slices")
    print(result_table(result))
    for verdict, rule in result.verdicts:
        print(f"verdict   {verdict}: {rule}")
    best = train_dir.read_best()
    if best:
        print(f"best      step {best['step']}, {'now ' if is_best else ''}in {train_dir.join('best')}")
    return result, evaluator


def watch(train_dir, data_dir=None, n=1000):
    """Evaluates the newest checkpoint, and each new one until interrupted; see `evaluate`."""
    train_dir.read_config()
    evaluator, seen = None, []
    print("waiting for checkpoints; Ctrl-C ends", flush=True)
    while True:
        newest = train_dir.steps()[-1:]
        if newest != seen:
            seen = newest
            _, evaluator = evaluate(train_dir, data_dir=data_dir, n=n, evaluator=evaluator)
        time.sleep(_POLL_S)


def compare(train_dirs, checkpoint=None, data_dir=None, n=1000):
    """Evaluates a checkpoint of each of several trainings and prints one table; see `evaluate`."""
    for train_dir in train_dirs:
        train_dir.read_config()
    evaluated = [evaluate(train_dir, checkpoint, data_dir, n)[0] for train_dir in train_dirs]
    rows = [["TRAIN_DIR", "step", *_COMPARED, "verdict"]]
    for path, result in zip(train_dirs, evaluated):
        verdict = ", ".join(name for name, _ in result.verdicts)
        rows.append([str(path), str(result.step), *(_number(result.value(name)) for name in _COMPARED), verdict])
    print(_align(rows))
    if not data_dir and len({result.config["data_dir"] for result in evaluated}) > 1:
        print("each against its own recordings: distances compare where all have the same, --data_dir FOLDER")


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
