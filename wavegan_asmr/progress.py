"""Is it time?, and the line that shows how far a long step is: on a terminal in place, in a log line by line."""

import os
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
        import rich.console

        # What is shown is text, not markup; names of files may hold brackets.
        self._console = rich.console.Console(
            file=stream, force_terminal=stream.isatty(), markup=False, highlight=False, emoji=False, soft_wrap=True
        )
        self._live = None
        self.interval_s = _TERMINAL_PROGRESS_S if self._console.is_terminal else _LOG_PROGRESS_S

    def show(self, text):
        """Shows a text in place of the last one."""
        import rich.live
        import rich.text

        line = rich.text.Text(text, no_wrap=True, overflow="ellipsis")
        if not self._console.is_terminal:
            self._console.print(text)
            self._console.file.flush()
            return
        if not self._live:
            # What others print meanwhile stays theirs: stdout may be sound.
            self._live = rich.live.Live(
                console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        self._live.update(line, refresh=True)

    def close(self):
        """Leaves the line, so that what is printed next stands below it."""
        if self._live:
            self._live.stop()
        self._live = None


class Meter:
    """Context that shows on stderr how much of a long step is done, and the time that it still takes.

    Args:
        label: String, what is done, such as "generating".
        total: Number, or None where there is no end.
        describe: Function of a number that is done, or the total, to a string.
        rate: Function of what is done a second to a string to show too, or None.
        is_shown: Boolean.
    """

    def __init__(self, label, total, describe=str, rate=None, is_shown=True):
        self._label, self._total, self._done = label, total, 0
        self._describe, self._rate = describe, rate
        self._line = StatusLine(sys.stderr) if is_shown else None
        self._timer = Timer(self._line.interval_s) if is_shown else None
        self._start_s = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._line:
            self._line.close()

    def advance(self, count):
        """Says that so much more is done."""
        self._done += count
        if self._line and self._done and self._timer.is_due():
            self._line.show(self._text(time.monotonic() - self._start_s))

    def _text(self, elapsed_s):
        done = min(self._done, self._total or self._done)
        text = f"{self._label} {self._describe(done)}"
        if self._total:
            text += f" of {self._describe(self._total)}"
        if self._rate:
            text += f"  {self._rate(done / elapsed_s)}"
        if self._total:
            text += f"  ETA {clock(elapsed_s * (self._total / done - 1))}"
        return text


def peak_memory_bytes():
    """Returns the most memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def machine_memory_bytes():
    """Returns the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def clock(seconds):
    """Returns seconds as "m:ss" or "h:mm:ss"."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
