"""Evaluation of a training that runs, from within it."""

from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import results
from wavegan_asmr.evaluation.evaluator import Evaluator
from wavegan_asmr.families import family_of

SAMPLES, SLOW_SAMPLES = 256, 128
"""Generated slices of an evaluation: quick, and enough for the embedding; of slow families the second. Distances of
more would be others."""


class RunningEvaluation:
    """Measures the generator of a training, records what it finds, and keeps the best checkpoint.

    Args:
        train_dir: `TrainDir`.
        config: `Config`.

    Raises:
        UserError: There are too few slices, see `Evaluator`.
    """

    def __init__(self, train_dir, config):
        self._train_dir = train_dir
        n = SLOW_SAMPLES if family_of(config).is_slow else SAMPLES
        try:
            self._evaluator = Evaluator(train_dir, config, n, show_progress=True)
        except UserError as error:
            raise UserError(f"{error} To train without evaluations, leave out --train_eval_secs.") from error

    def __call__(self, generate, step):
        """Measures.

        Args:
            generate: Function of inputs to clips, see `families.family.Trainer`.
            step: Integer, of a checkpoint that is saved.

        Returns:
            String, what was found.
        """
        result = self._evaluator.evaluate(generate, step)
        self._evaluator.record(result)
        frechet = next(row for row in result.rows if row.metric == "frechet_distance")
        verdict = ", ".join(name for name, _ in result.verdicts)
        return (
            f"Fréchet distance {frechet.value:.3g} (recordings {frechet.floor:.3g}, white noise {frechet.noise:.3g}), "
            f"{verdict}"
        )

    def steps(self):
        """Returns the set of the steps that were measured as these are."""
        history = results.read_history(self._train_dir.path, self._evaluator.digest).get("frechet_distance", [])
        return {step for step, _, _ in history}
