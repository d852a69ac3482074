"""Exit codes, signals, lost readers and terminals, and what is printed where nothing can be."""

import os
import pty
import signal
import subprocess
import sys

import pytest
from conftest import ROOT
from processes import read_until

PROGRAM = """
import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, {root!r})
from wavegan_asmr.command_line import run


def sleep():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        # What is half-done is cleaned up, however often a signal comes.
        time.sleep(0.3)
        print("clean", flush=True)


def main():
{main}


run.run(main, "program")
"""


def start(main, **options):
    """Starts a program whose `main` is some lines."""
    defaults = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": os.environ | {"PYTHONUNBUFFERED": ""},
        "preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    return subprocess.Popen([sys.executable, "-c", program(main)], **defaults | options)


def program(main):
    """The text of a program whose `main` is some lines."""
    return PROGRAM.format(root=str(ROOT), main="\n".join(f"    {line}" for line in main.splitlines()))


def finish(process):
    """Exit code, stdout and stderr of a program."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda value: str(value),
)
@pytest.mark.parametrize("is_endless", [False, True])
def test_what_is_cut_short_is_no_success(number, code, is_endless):
    process = start(f"with run.until_stopped({is_endless}):\n    sleep()")
    read_until(process, "ready")
    process.send_signal(number)
    assert finish(process) == (0 if is_endless else code, "clean\n", "stopped\n")


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_compiled_code_turns_an_interrupt_into_another_error(error, number, code):
    process = start(f"try:\n    sleep()\nexcept KeyboardInterrupt:\n    raise {error}('initialization failed')")
    read_until(process, "ready")
    process.send_signal(number)
    assert finish(process) == (code, "clean\n", "stopped\n")


def test_an_interrupt_that_a_finalizer_has_swallowed_is_of_its_first_signal():
    process = start(
        "class Slow:\n    def __del__(self):\n        sleep()\n\nSlow()\ntime.sleep(60)",
    )
    read_until(process, "ready")
    process.send_signal(signal.SIGTERM)
    assert finish(process) == (143, "clean\n", "stopped\n")


def test_a_closed_terminal_sends_its_signal_twice():
    process = start("sleep()")
    read_until(process, "ready")
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
    assert finish(process) == (129, "clean\n", "stopped\n")


def test_a_second_ctrl_c_interrupts_what_is_cleaned_up():
    process = start(
        "try:\n    sleep()\nexcept KeyboardInterrupt:\n    print('cleaning up', flush=True)\n    time.sleep(60)"
    )
    read_until(process, "ready")
    process.send_signal(signal.SIGINT)
    read_until(process, "cleaning up")
    process.send_signal(signal.SIGINT)
    assert finish(process) == (130, "", "stopped\n")


def test_nohup_keeps_it_running():
    process = start("print('ready', flush=True)\nsys.stdin.read()", stdin=subprocess.PIPE, preexec_fn=ignore_sighup)
    read_until(process, "ready")
    process.send_signal(signal.SIGHUP)
    assert process.poll() is None
    process.stdin.close()
    process.stdin = None
    assert finish(process) == (0, "", "")


def ignore_sighup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_what_follows_is_not_begun():
    """The shell's && stops."""
    line = f'{sys.executable} -c "$0" && echo uploaded'
    main = "os.kill(os.getpid(), signal.SIGINT)\nsleep()"
    process = subprocess.run(["sh", "-c", line, program(main)], capture_output=True, text=True, timeout=120)
    assert (process.returncode, process.stdout) == (130, "")


@pytest.mark.parametrize(
    ("main", "code"),
    [("print('x' * 100_000)\nsys.exit('went on')", 141), ("print('done')", 0)],
    ids=["writes", "has written"],
)
def test_a_reader_that_has_gone(main, code):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start(main, stdout=write_end)
    os.close(write_end)
    returncode, _, errors = finish(process)
    assert (returncode, errors) == (code, "")


def test_a_terminal_that_has_gone():
    """What is printed then is an error of input and output, and so is what would be said of it."""
    controller, terminal = pty.openpty()
    process = start(
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nprint('ready', flush=True)\nsys.stdin.read()\nprint('more')\n"
        "print('and more', flush=True)\nopen(sys.argv[1], 'w')",
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    assert b"ready" in os.read(controller, 100)
    os.close(controller)
    process.stdin.close()
    assert process.wait(timeout=120) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("main", ["print('x' * 100_000)", "print('done')"], ids=["writes", "has written"])
def test_a_full_disk_below_the_output(main):
    with open("/dev/full", "w") as full:
        assert finish(start(main, stdout=full))[::2] == (2, "program: cannot write: the disk is full.\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "OSError(28, 'No space left on device', 'night.wav')",
            "cannot write: the disk is full. Received: 'night.wav'.",
        ),
        ("OSError(28, 'No space left on device')", "cannot write: the disk is full."),
        ("OSError(36, 'File name too long', 'x\\ny')", r"cannot write: the name is too long. Received: 'x\ny'."),
        (
            "PermissionError(13, 'Permission denied', 'caf\\udce9')",
            r"cannot write: Permission denied. Received: 'caf\udce9'.",
        ),
    ],
)
def test_errors_of_the_system_are_one_line(error, words):
    assert finish(start(f"raise {error}")) == (2, "", f"program: {words}\n")


@pytest.mark.parametrize(
    "encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_any_name_can_be_printed(encoding):
    main = "for stream in (sys.stdout, sys.stderr):\n    print('caf\\udce9 \\u96e8 \\xe9', file=stream)"
    process = start(main, env=os.environ | encoding)
    escaped = "caf\\udce9 \\u96e8 \\xe9\n"
    assert finish(process) == (0, escaped, escaped)


@pytest.mark.parametrize("closed", ["1", "2"])
def test_without_stdout_or_stderr(closed):
    main = "run.start_tensorflow(use_gpus=False)\nprint('out')\nraise run.UserError('a mistake')"
    line = f'{sys.executable} -c "$0" {closed}>&-'
    process = subprocess.run(["sh", "-c", line, program(main)], capture_output=True, text=True, timeout=300)
    said = "program: a mistake\n"
    assert (process.returncode, process.stdout, process.stderr) == (
        2,
        *(("", said) if closed == "1" else ("out\n", "")),
    )
