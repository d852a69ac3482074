"""What evaluations found, as TensorBoard's curves in eval/; metrics.jsonl is what they are drawn from."""

import os

from wavegan_asmr import summaries
from wavegan_asmr.evaluation import results


def record(train_dir, result):
    """Appends a result to metrics.jsonl and to the curves.

    Where a step is no longer the last, all curves are drawn anew, of what compares, so that none goes back.

    Args:
        train_dir: Path-like.
        result: `results.Result`.

    Raises:
        UserError: A value is not finite, or a file cannot be written.
    """
    is_last = result.step > results.last_step(train_dir, {row.metric for row in result.rows})
    results.append_history(train_dir, result)
    points = {result.step: {row.metric: row.value for row in result.rows}}
    if not is_last:
        points = {}
        for metric, curve in results.read_history(train_dir).items():
            for step, value, _ in curve:
                points.setdefault(step, {})[metric] = value
    writer = summaries.create_writer(os.path.join(train_dir, "eval"), None if is_last else 0)
    for step in sorted(points):
        summaries.write_scalars(writer, step, {f"eval/{metric}": value for metric, value in points[step].items()})
    writer.close()
