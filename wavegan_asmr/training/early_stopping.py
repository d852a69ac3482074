"""Evaluation during training: keep the best checkpoint, and stop when the newer ones are no better."""

from wavegan_asmr.progress import Timer
from wavegan_asmr.train_dir import BEST, TrainDir


class EarlyStopping:
    """Evaluates a training every `train_eval_secs` seconds.

    Args:
        train_dir: `TrainDir`; its best/ and what was evaluated before make the count outlive restarts.
        config: `Config`.
        evaluation: What measures and keeps the best checkpoint, such as `evaluation.running.RunningEvaluation`: a
            function of `generate` (see `families.family.Trainer`) and a step that returns what was found in words, with
            a method `steps` that returns the set of the steps that were measured, in this run or an earlier one.

    Attributes:
        is_due: Function that returns whether it is time for the next evaluation.
        is_over: Boolean, whether `train_patience` evaluations in a row have found nothing better.
    """

    def __init__(self, train_dir, config, evaluation):
        self._train_dir, self._patience, self._evaluation = train_dir, config.train_patience, evaluation
        self.is_due = Timer(config.train_eval_secs).is_due
        self._count()

    def evaluate(self, generate, step):
        """Measures the generator and keeps its checkpoint if it is the best so far.

        Args:
            generate: Function of inputs to clips, see `families.family.Trainer`.
            step: Integer, of a checkpoint that is saved.

        Returns:
            String, what was found in one line.
        """
        found = self._evaluation(generate, step)
        self._count()
        best = self._train_dir.read_best()
        patience = f" of {self._patience}" if self._patience else ""
        is_best = best and best.step == step
        standing = "the best so far" if is_best else f"no better for {self._since_best}{patience} evaluations"
        return f"evaluated step {step}: {found}; {standing}"

    def has_evaluated(self, step):
        """Returns whether a step has been measured, in this run or an earlier one."""
        return step in self._evaluation.steps()

    def describe_best(self):
        """Returns which checkpoint is the best, and where it is."""
        best = self._train_dir.read_best()
        if not best:
            return "none"
        place = TrainDir(self._train_dir.join(BEST))
        return f"step {best.step}, Fréchet distance {best.frechet_distance:.3g}, in {place}"

    def _count(self):
        """Counts the evaluations since the best one."""
        best = self._train_dir.read_best()
        self._since_best = sum(step > best.step for step in self._evaluation.steps()) if best else 0
        self.is_over = 0 < self._patience <= self._since_best
