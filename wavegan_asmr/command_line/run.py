"""What every command shares: one-line errors, exit codes, signals, starting TensorFlow."""

import contextlib
import io
import math
import os
import signal
import sys
import tempfile
import threading
import time

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

EXIT_MISTAKE = 2
_EXIT_SIGNAL = 128
"""Exit code of a command that a signal has stopped, less the number of the signal, as shells have it."""

_REPEAT_S = 1.0
"""A terminal that is closed sends SIGHUP more than once within such a time."""


def run(main, name):
    """Calls `main` and exits: with 0 when done, 2 after a mistake of the user, 128 + N when stopped by signal N.

    So Ctrl-C comes to 130, SIGTERM to 143, a lost terminal (SIGHUP) to 129 and a reader of the output that has gone
    (SIGPIPE) to 141. A command that has something to save handles signals itself; one that goes on until it is stopped
    runs in `until_stopped`.

    Args:
        main: Function without arguments.
        name: String, of the command, before its errors.
    """
    for stream in (sys.stdout, sys.stderr):
        # What the encoding lacks is escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.unraisablehook = _interrupt_again
    code = _call(main, name, _listen())
    try:
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        code = code or _say_os_error(name, error)
    if code:
        sys.exit(code)


def _call(main, name, received):
    """Calls `main`; returns the exit code."""
    try:
        main()
        return 0
    except UserError as error:
        _say(f"{name}: {error}")
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        return _say_stopped(received)
    except Exception as error:
        if received:
            # Compiled code that is interrupted may raise another error, of an import that failed above all.
            return _say_stopped(received)
        if isinstance(error, BrokenPipeError):
            # As `| head` does.
            return _EXIT_SIGNAL + signal.SIGPIPE
        if isinstance(error, OSError):
            return _say_os_error(name, error)
        raise


@contextlib.contextmanager
def until_stopped(is_endless=True):
    """Context of what goes on until Ctrl-C or another signal stops it, which is then its normal end: exit code 0.

    Args:
        is_endless: Boolean, False for what comes to an end by itself, and was cut short if it is stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not is_endless:
            raise
        _say("stopped")


def show(text):
    """Prints a text of which a reader may take the beginning alone, as `| head` does: that is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)


def start_tensorflow(use_gpus=True, starts_devices=True):
    """Imports TensorFlow and finds its devices, without the log that it prints meanwhile.

    Set TF_CPP_MIN_LOG_LEVEL=0 to see that log.

    Args:
        use_gpus: Boolean; False leaves the GPUs to a training that runs beside this process.
        starts_devices: Boolean; False leaves that to the first operation.
    """
    quiet = sys.stderr and "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    # What happens between machines is told by `training.team`.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if starts_devices else "3")
    with _hidden_stderr() if quiet else contextlib.nullcontext():
        import tensorflow as tf

        if not use_gpus:
            tf.config.set_visible_devices([], "GPU")
        if starts_devices:
            # oneDNN complains of strings here, once, instead of at the first summary.
            tf.transpose([["devices"]])
    tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def _hidden_stderr():
    """Context in which nothing reaches stderr, not from C++ either; after an error all of it does."""
    sys.stderr.flush()
    saved = os.dup(2)
    with _hidden_file() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception:
            hidden.seek(0)
            os.write(saved, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _hidden_file():
    try:
        return tempfile.TemporaryFile()
    except OSError:
        # A full disk is no reason not to start.
        return open(os.devnull, "w+b")


def _listen():
    """Makes SIGTERM and SIGHUP stop like Ctrl-C; returns a list, to which the numbers of signals are appended."""
    received, last_s = [], -math.inf

    def stop(number, frame):
        nonlocal last_s
        received.append(number)
        before_s, last_s = last_s, time.monotonic()
        if number == signal.SIGINT or last_s - before_s > _REPEAT_S:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Commands that run under nohup ignore a lost terminal.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    return received


def _say(text):
    # The terminal may be lost; and stdout may be sound, which is where Python prints if there is no stderr.
    if sys.stderr:
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            _discard(sys.stderr)


def _say_stopped(received):
    """Says that the command was stopped; returns the exit code."""
    _say("stopped")
    # The first: what a finalizer has swallowed is sent again as SIGINT.
    return _EXIT_SIGNAL + (received[0] if received else signal.SIGINT)


def _say_os_error(name, error):
    """Says why a file could not be written; returns the exit code."""
    received = f" Received: {error.filename!r}." if error.filename else ""
    _say(f"{name}: cannot write: {words.reason(error)}.{received}")
    return EXIT_MISTAKE


def _discard(stream):
    """Sends nowhere what is left to be printed: Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupt_again(unraisable):
    """Hook of exceptions that Python ignores: an interrupt inside a finalizer (TensorFlow has many) is sent again."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        # Not from here, which the finalizer has called.
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
