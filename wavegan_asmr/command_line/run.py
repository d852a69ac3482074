"""What every command shares: one-line errors, exit codes, signals, starting TensorFlow."""

import contextlib
import os
import signal
import sys
import tempfile
import threading

from wavegan_asmr.errors import UserError

EXIT_MISTAKE = 2


def run(main, name):
    """Calls `main` and exits: 0 when done or stopped, 2 after a mistake of the user.

    SIGTERM stops like Ctrl-C; a command that has something to save handles both itself.

    Args:
        main: Function without arguments.
        name: String, of the command, before its errors.
    """
    signal.signal(signal.SIGTERM, _raise_keyboard_interrupt)
    sys.unraisablehook = _interrupt_again
    try:
        main()
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"{name}: cannot write: {error.strerror or error}. Received: {error.filename!r}.", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)


def start_tensorflow(use_gpus=True):
    """Imports TensorFlow and finds its devices, without the log that it prints meanwhile.

    Set TF_CPP_MIN_LOG_LEVEL=0 to see that log.

    Args:
        use_gpus: Boolean; False leaves the GPUs to a training that runs beside this process.
    """
    quiet = "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _hidden_stderr() if quiet else contextlib.nullcontext():
        import tensorflow as tf

        if not use_gpus:
            tf.config.set_visible_devices([], "GPU")
        # Starts the devices; and oneDNN complains of strings here, once, instead of at the first summary.
        tf.transpose([["devices"]])
    tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def _hidden_stderr():
    """Context in which nothing reaches stderr, not from C++ either; after an error all of it does."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(saved, hidden.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _raise_keyboard_interrupt(signum, frame):
    raise KeyboardInterrupt


def _interrupt_again(unraisable):
    """Hook of exceptions that Python ignores: an interrupt inside a finalizer (TensorFlow has many) is sent again."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        # Not from here, which the finalizer has called.
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)
