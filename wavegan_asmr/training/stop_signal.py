"""How a training is asked to stop."""

import signal
import time

_AGAIN_S = 1.0
"""A signal that comes again sooner is the same request: programs that start others pass it on."""


class StopSignal:
    """Context in which Ctrl-C, SIGTERM and the loss of the terminal (SIGHUP) ask for a stop.

    A second Ctrl-C interrupts at once. Where SIGHUP is ignored, as under nohup, it stays so.

    Attributes:
        received: Boolean, whether one has come.
    """

    def __init__(self):
        self.received = False

    def __enter__(self):
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._previous = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self):
        """Gives a signal that has come to who handled it before this context, where there is nothing to save yet."""
        if self.received:
            self._pass_on(self._number)

    def _handle(self, number, frame):
        if not self.received:
            self.received, self._number, self._first_s = True, number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._first_s > _AGAIN_S:
            self._pass_on(number)

    def _pass_on(self, number):
        self.__exit__()
        signal.raise_signal(number)
