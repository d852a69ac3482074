"""What earlier evaluations found of a checkpoint, with what it is compared with: nothing is measured."""

import os

from wavegan_asmr.evaluation import metrics, reference, results


def recall(train_dir, step):
    """Returns what the last evaluation of a checkpoint found.

    Args:
        train_dir: Path-like.
        step: Integer.

    Returns:
        List of `results.Row`, and the integer n of generated slices; empty and 0 where it was not evaluated, or where
        what the recordings and noise come to is no longer there.

    Raises:
        UserError: A file cannot be read.
    """
    lines = results.lines_of(train_dir, step)
    if not lines:
        return [], 0
    last = lines[-1]
    path = os.path.join(train_dir, "eval", f"recordings-{last.n}.npz")
    anchors = reference.read_anchors(path, last.evaluation)
    values = {line.metric: line for line in lines if (line.evaluation, line.n) == (last.evaluation, last.n)}
    rows = [
        results.Row(
            name,
            values[name].value,
            values[name].error,
            **vars(anchors[name]),
            meaning=metric.words,
            lower_is_better=metric.lower_is_better,
        )
        for name, metric in metrics.METRICS.items()
        if name in values and name in anchors
    ]
    return rows, last.n if rows else 0
