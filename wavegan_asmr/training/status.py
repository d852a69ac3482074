"""What a training shows of itself: the line of progress, the budget, what the paper's training would take."""

import sys
import time

from wavegan_asmr.progress import StatusLine, Timer, clock, peak_memory_bytes

PAPER_STEPS = 200_000
"""Steps of the paper's trainings (section 6)."""

_ESTIMATED_AFTER, _WARMUP = 20, 1
"""Steps of this run from which the time of all is estimated; the first one builds the graph."""

_DAY_S = 86400.0
_QUICK = 10.0
"""Times real time, from which on nobody waits for previews."""


class TrainingStatus:
    """Gathers metrics between two lines of progress, and knows the budget.

    Args:
        family: `families.family.Family`.
        config: `Config`.
        step: Integer, the step to begin with.
        start_s: Float, when the run began, `time.monotonic()`.
    """

    def __init__(self, family, config, step, start_s):
        self._family = family
        self._config = config
        self._start_s = start_s
        self._first = (step, time.monotonic())
        self._warm_s = None
        self._has_advised_of_previews = False
        self._sums, self._count = {}, 0
        self._last_s = time.monotonic()
        self._line = StatusLine(sys.stdout)
        self.is_due = Timer(self._line.interval_s).is_due
        self.close = self._line.close

    @property
    def has_news(self):
        """Whether metrics were added since the last line."""
        return self._count > 0

    def is_over(self, step):
        """Returns whether the budget of steps or seconds is used up."""
        max_steps, max_s = self._config.train_max_steps, self._config.train_max_secs
        return 0 < max_steps <= step or 0 < max_s <= time.monotonic() - self._start_s

    def add(self, metrics):
        """Adds the metrics of an iteration, a dict of floats."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in metrics.items()}
        self._count += 1

    def advise(self, step):
        """Says once, after a few steps, where the paper's training would take more than a day on this machine."""
        done, now_s = step - self._first[0], time.monotonic()
        if done == _WARMUP:
            self._warm_s = now_s
        if done != _ESTIMATED_AFTER or (self._config.family, self._config.preset) != ("wavegan", "paper"):
            return
        days = PAPER_STEPS * (now_s - self._warm_s) / (_ESTIMATED_AFTER - _WARMUP) / _DAY_S
        if days > 1:
            self.close()
            print(
                f"note      the paper trained for {PAPER_STEPS:,} steps, which take {days:,.0f} days here; what an "
                "evening allows: --preset asmr, in a new TRAIN_DIR",
                flush=True,
            )

    def advise_of_previews(self, clips, seconds):
        """Says once how slow previews are, where they are.

        Args:
            clips: Integer.
            seconds: Float, which they took.
        """
        sound_s = clips * self._config.slice_s
        if self._has_advised_of_previews or seconds * _QUICK < sound_s:
            return
        self._has_advised_of_previews = True
        self.close()
        print(
            f"note      previews of {clips} clips of {self._config.slice_s:.2f} s take {seconds:.1f} s, "
            f"{sound_s / seconds:.2g}x real time; two every --train_summary_secs {self._config.train_summary_secs:g}",
            flush=True,
        )

    def show(self, step, measured):
        """Prints the line of progress.

        Args:
            step: Integer.
            measured: Dict of floats, metrics that are not measured at each step.

        Returns:
            Dict of floats for TensorBoard: these, and the means of the others since the last line.
        """
        config, now_s = self._config, time.monotonic()
        means = {name: value / self._count for name, value in self._sums.items()} | measured
        step_s = (now_s - self._last_s) / self._count
        slices_per_s = config.train_batch_size * self._family.batches_per_step(config) / step_s
        self._sums, self._count, self._last_s = {}, 0, now_s
        parts = [
            f"step {step}",
            *(f"{word} {means[name]:.3f}" for name, word in self._family.metrics.items() if name in means),
            f"{slices_per_s:.{0 if slices_per_s >= 10 else 1}f} slices/s",
            f"{step_s:.2f} s/step",
            f"{peak_memory_bytes() / 1e9:.1f} GB",
        ]
        if (left_s := self._seconds_left(step, now_s)) is not None:
            parts.append(f"ETA {clock(left_s)}")
        self._line.show("  ".join(parts))
        return means | {"slices_per_second": slices_per_s}

    def _seconds_left(self, step, now_s):
        first_step, first_s = self._first
        left_s = []
        if self._config.train_max_steps:
            mean_step_s = (now_s - first_s) / max(1, step - first_step)
            left_s.append((self._config.train_max_steps - step) * mean_step_s)
        if self._config.train_max_secs:
            left_s.append(self._config.train_max_secs - (now_s - self._start_s))
        return max(0, min(left_s)) if left_s else None
