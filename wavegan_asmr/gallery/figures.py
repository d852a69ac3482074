"""The figures of a case: what evaluations have found of a checkpoint, or find now, with verdicts in words."""

import dataclasses

from wavegan_asmr.evaluation import metrics, results
from wavegan_asmr.evaluation.evaluator import Evaluator
from wavegan_asmr.evaluation.recalled import recall
from wavegan_asmr.evaluation.tables import SAMPLES, SLOW_SAMPLES
from wavegan_asmr.evaluation.verdicts import judge_kept


@dataclasses.dataclass(frozen=True)
class Figures:
    """What an evaluation found.

    Attributes:
        step: Integer, of the checkpoint.
        n: Integer, generated slices.
        rows: List of `evaluation.results.Row`.
        verdicts: List of (name, the rule that fired in one sentence), empty where the rows do not tell.
    """

    step: int
    n: int
    rows: list
    verdicts: list

    @property
    def is_healthy(self):
        """Whether no rule fired."""
        return [name for name, _ in self.verdicts] in (["healthy"], ["no fault found"])


def find(train_dir, step, facts=None):
    """Finds what evaluations have left of a checkpoint, or else of the best one, or of the last that was measured.

    Args:
        train_dir: `TrainDir`.
        step: Integer.
        facts: `exchange.model_facts.Facts` of a shared model, or None.

    Returns:
        `Figures`, or None where nothing was measured.

    Raises:
        UserError: A file cannot be read.
    """
    best = train_dir.read_best()
    for each in [step, *([best.step] if best else []), results.last_step(train_dir.path, metrics.METRICS.keys())]:
        rows, n = recall(train_dir.path, each)
        if rows:
            return Figures(each, n, rows, judge_kept(rows))
    if facts and facts.metrics:
        rows = [_row(each) for each in facts.metrics]
        return Figures(step, facts.n, rows, facts.verdicts or judge_kept(rows))
    return None


def measure(generator, data_dir):
    """Evaluates a checkpoint as `wavegan evaluate` does, which keeps what it finds in the folder of the model.

    Args:
        generator: `families.generators.Generator`.
        data_dir: Path-like, recordings, or None for those of the training.

    Returns:
        `Figures`.

    Raises:
        UserError: There are too few slices or no recordings, or the folder cannot be written.
    """
    n = SLOW_SAMPLES if generator.family.is_slow else SAMPLES
    evaluator = Evaluator(generator.train_dir, generator.config, n, data_dir, show_progress=True)
    result = evaluator.evaluate(generator.generate, generator.step)
    evaluator.record(result)
    return Figures(result.step, result.n, result.rows, result.verdicts)


def _row(metric):
    """Returns the `results.Row` of what a shared model says of itself, an `exchange.model_facts.Metric`."""
    known = metrics.METRICS.get(metric.metric)
    return results.Row(
        metric.metric,
        metric.value,
        None,
        metric.floor,
        None,
        metric.noise,
        None,
        meaning=metric.meaning,
        lower_is_better=known and known.lower_is_better,
    )
