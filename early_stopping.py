"""Evaluation during training: keep the best checkpoint, and stop when the newer ones are no better."""

import results
from evaluation import Evaluator
from progress import Timer
from train_dir import BEST

SAMPLES = 256
"""Generated slices of an evaluation: quick, and enough for the embedding; more would give other distances."""


class EarlyStopping:
    """Evaluates the averaged generator of a training every `train_eval_secs` seconds.

    Args:
        train_dir: `TrainDir`; its metrics.jsonl and best/ make the count of evaluations outlive restarts.
        config: `Config`.
        generate: Function of latents float32 `[m, latent_dim]` to clips float32 `[m, samples, channels]`.

    Attributes:
        is_due: Function that returns whether it is time for the next evaluation.
        is_over: Boolean, whether `train_patience` evaluations in a row have found nothing better.

    Raises:
        UserError: There are too few slices, see `evaluation.Evaluator`.
    """

    def __init__(self, train_dir, config, generate):
        self._train_dir, self._patience, self._generate = train_dir, config.train_patience, generate
        self._evaluator = Evaluator(train_dir, config, SAMPLES, show_progress=True)
        self.is_due = Timer(config.train_eval_secs).is_due
        self._count()

    def evaluate(self, step):
        """Measures the generator and keeps its checkpoint if it is the best so far.

        Args:
            step: Integer, of a checkpoint that is saved.

        Returns:
            String, what was found in one line.
        """
        result = self._evaluator.evaluate(self._generate, step)
        is_best = self._evaluator.record(result)
        self._count()
        frechet = next(row for row in result.rows if row.metric == "frechet_distance")
        verdict = ", ".join(name for name, _ in result.verdicts)
        patience = f" of {self._patience}" if self._patience else ""
        standing = "the best so far" if is_best else f"no better for {self._since_best}{patience} evaluations"
        return (
            f"evaluated step {step}: Fréchet distance {frechet.value:.3g} (recordings {frechet.floor:.3g}, "
            f"white noise {frechet.noise:.3g}), {verdict}; {standing}"
        )

    def has_evaluated(self, step):
        """Returns whether a step has been measured, in this run or an earlier one."""
        return step in self._evaluated

    def describe_best(self):
        """Returns which checkpoint is the best, and where it is."""
        best = self._train_dir.read_best()
        if not best:
            return "none"
        return f"step {best['step']}, Fréchet distance {best['frechet_distance']:.3g}, in {self._train_dir.join(BEST)}"

    def _count(self):
        """Counts the evaluations since the best one."""
        best = self._train_dir.read_best()
        history = results.read_history(self._train_dir.path, self._evaluator.digest).get("frechet_distance", [])
        self._evaluated = {step for step, _, _ in history}
        self._since_best = sum(step > best["step"] for step in self._evaluated) if best else 0
        self.is_over = 0 < self._patience <= self._since_best
