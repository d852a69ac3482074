"""Is it time?, the line of progress, and the budget of a run."""

import resource
import sys
import time

_TERMINAL_PROGRESS_S, _LOG_PROGRESS_S = 1.0, 10.0


class Timer:
    """Answers "is it time?" for what happens every so many seconds.

    Args:
        interval_s: Float.
    """

    def __init__(self, interval_s):
        self.interval_s = interval_s
        self.last_s = time.monotonic()

    def is_due(self):
        """Returns whether the interval has passed since the last time it had."""
        now_s = time.monotonic()
        if now_s - self.last_s < self.interval_s:
            return False
        self.last_s = now_s
        return True


class StatusLine:
    """A line that is written over on a terminal, and one line after the other in a log.

    Args:
        stream: Text file.

    Attributes:
        interval_s: Float, how often a new one is worth showing.
    """

    def __init__(self, stream):
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._is_open = False
        self.interval_s = _TERMINAL_PROGRESS_S if self._is_terminal else _LOG_PROGRESS_S

    def show(self, text):
        """Shows a text in place of the last one."""
        start, end = ("\r", "\x1b[K") if self._is_terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=self._stream, flush=True)
        self._is_open = self._is_terminal

    def close(self):
        """Leaves the line, so that what is printed next stands below it."""
        if self._is_open:
            print(file=self._stream, flush=True)
        self._is_open = False


class Meter:
    """Context that shows on stderr how much of a long step is done, and the time that it still takes.

    Args:
        label: String, what is done, such as "generating".
        total: Integer.
    """

    def __init__(self, label, total):
        self._label, self._total, self._done = label, total, 0
        self._line = StatusLine(sys.stderr)
        self._timer = Timer(self._line.interval_s)
        self._start_s = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._line.close()

    def advance(self, count):
        """Says that so much more is done."""
        self._done += count
        if self._timer.is_due():
            left_s = (time.monotonic() - self._start_s) * (self._total / self._done - 1)
            self._line.show(f"{self._label} {self._done} of {self._total}  ETA {clock(max(0, left_s))}")


class Progress:
    """Gathers metrics between two lines of progress, and knows the budget.

    Args:
        config: `Config`.
        step: Integer, the step to begin with.
        start_s: Float, when the run began, `time.monotonic()`.
    """

    def __init__(self, config, step, start_s):
        self._config = config
        self._start_s = start_s
        self._first = (step, time.monotonic())
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

    def show(self, step):
        """Prints the line of progress; returns the mean metrics since the last one, for TensorBoard."""
        config, now_s = self._config, time.monotonic()
        means = {name: value / self._count for name, value in self._sums.items()}
        step_s = (now_s - self._last_s) / self._count
        slices_per_s = config.train_batch_size * config.batches_per_step / step_s
        self._sums, self._count, self._last_s = {}, 0, now_s
        parts = [
            f"step {step}",
            f"D {means['D_loss']:.3f}",
            f"G {means['G_loss']:.3f}",
            f"W {means['wasserstein']:.3f}",
            *([f"texture {means['texture']:.3f}"] if "texture" in means else []),
            f"{slices_per_s:.0f} slices/s",
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


def peak_memory_bytes():
    """Returns the most memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def clock(seconds):
    """Returns seconds as "m:ss" or "h:mm:ss"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
