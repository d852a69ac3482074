"""A training that is asked to stop, or loses its terminal or its reader: nothing that it learned is lost."""

import errno
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT, SMALL, TINY
from processes import read_until, wait_until

from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop, stop_signal
from wavegan_asmr.training.status import TrainingStatus
from wavegan_asmr.training.stop_signal import StopSignal


@pytest.fixture
def line(recordings, tmp_path):
    """The command line of a training that saves at its end only."""
    script = [sys.executable, str(ROOT / "train_wavegan.py"), "train", str(tmp_path / "train")]
    return [*script, f"--data_dir={recordings}", *TINY, "--train_save_secs=100000"]


def check_resumes(path, step, capsys):
    """Checks that a training goes on from a step that was saved."""
    assert TrainDir(path).steps()[-1] == step > 0
    assert TrainDir(path).damage(step) is None
    loop.train(path, {"train_max_steps": step})
    assert f"resuming  step {step}\n" in capsys.readouterr().out


def test_only_a_later_ctrl_c_interrupts(monkeypatch):
    now_s = [0.0]
    monkeypatch.setattr(stop_signal.time, "monotonic", lambda: now_s[0])
    before = signal.getsignal(signal.SIGHUP)
    with StopSignal() as stop:
        assert not stop.received
        # A closed terminal comes as more than one; `timeout` sends SIGTERM twice, and other starters pass Ctrl-C on.
        for now_s[0], number in ((0, signal.SIGHUP), (0.1, signal.SIGHUP), (0.2, signal.SIGINT), (9, signal.SIGTERM)):
            os.kill(os.getpid(), number)
            assert stop.received
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGHUP) == before


def test_what_has_nothing_to_save_yet_passes_the_signal_on():
    # A command that ran in this process may have left its own.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
            stop.check()
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received
            stop.check()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_closed_terminal_saves_and_ends(line, tmp_path, capsys):
    process_id, terminal = pty.fork()
    if not process_id:
        os.execv(line[0], line)
    watchdog = threading.Timer(300, os.kill, (process_id, signal.SIGKILL))
    watchdog.start()
    try:
        shown = b""
        while not re.search(rb"step [1-9]", shown):
            shown += os.read(terminal, 1000)
    finally:
        # The process gets SIGHUP, and can write no more.
        os.close(terminal)
        _, status = os.waitpid(process_id, 0)
        watchdog.cancel()
    assert os.waitstatus_to_exitcode(status) == 0
    (step,) = set(TrainDir(tmp_path / "train").steps()) - {0}
    check_resumes(tmp_path / "train", step, capsys)


@pytest.mark.slow
def test_under_nohup_a_lost_terminal_is_nothing(line, tmp_path, capsys):
    log = tmp_path / "log"
    with open(log, "w") as file:
        process = subprocess.Popen(["nohup", *line, "--train_save_secs=0"], stdout=file, stderr=file)
    train_dir = TrainDir(tmp_path / "train")
    try:
        wait_until(lambda: train_dir.steps()[-1:] > [1])
        for _ in range(2):
            before = train_dir.steps()[-1]
            process.send_signal(signal.SIGHUP)
            wait_until(lambda before=before: train_dir.steps()[-1] > before + 2)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
    finally:
        process.kill()
        process.wait()
    step = train_dir.steps()[-1]
    assert f"stopped      step {step}, saved to" in log.read_text() and "Traceback" not in log.read_text()
    check_resumes(train_dir.path, step, capsys)


def test_without_a_reader_it_goes_on(line, tmp_path, capsys):
    """As in `| head -1`: both streams break, and the training comes to its end."""
    command = " ".join([*line, "--train_max_steps=12", "2>&1 | head -1; exit ${PIPESTATUS[0]}"])
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.count("\n") == 1 and process.stdout.startswith("decoding ")
    check_resumes(tmp_path / "train", 12, capsys)


def test_stopped_while_it_starts(start_command, run_here, line, tmp_path):
    process = start_command("train_wavegan.py", *line[2:])
    read_until(process, "data ")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode in (0, 128 + signal.SIGTERM) and "stopped" in output, output
    assert "Traceback" not in output
    process = run_here("train_wavegan.py", *line[2:], "--train_max_steps=1")
    assert process.returncode == 0 and "done      step 1," in process.stdout


def test_what_cannot_be_shown_does_not_lose_what_was_learned(recordings, tmp_path, monkeypatch, capsys):
    def fail(status, step):
        if step == 3:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(TrainingStatus, "advise", fail)
    settings = SMALL | {"data_dir": str(recordings), "train_save_secs": 1e6, "train_summary_secs": 1e6}
    with pytest.raises(OSError, match="Input/output error"):
        loop.train(tmp_path / "train", settings)
    check_resumes(tmp_path / "train", 3, capsys)
