"""Cases from the real command line, with tiny models."""

import json
import os
import pathlib
import subprocess
import sys
import time

from conftest import ROOT, TINY

from wavegan_asmr.cases import progress_files


def start(tmp_path, *arguments):
    """Starts `wavegan cases` with arguments in a folder; returns the process."""
    return subprocess.Popen(
        [sys.executable, "-m", "wavegan_asmr", "cases", *map(str, arguments)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_watch(process):
    """Waits until a command that has others run the cases has begun, or found, all of them."""
    # What submitit warns of comes first.
    if not any(line.startswith("watching ") for line in process.stdout):
        raise AssertionError(process.communicate()[1])


def finish(process):
    """Waits for its end; returns its exit code, output and errors."""
    out, err = process.communicate(timeout=400)
    return process.returncode, out, err


def write(tmp_path, cases):
    """Writes cases.toml, with tiny defaults and cases of the recordings there: dict of name to dict of settings."""
    names = dict(flag.removeprefix("--").split("=") for flag in TINY)
    lines = ["[defaults]", *(f"{name} = {_toml(value)}" for name, value in names.items())]
    for name, values in cases.items():
        lines += [f"[case.{name}]", 'data_dir = "recordings"', *(f"{k} = {_toml(v)}" for k, v in values.items())]
    (tmp_path / "cases.toml").write_text("\n".join(lines) + "\n")


def _toml(value):
    return str(value) if str(value).replace(".", "").isdigit() else json.dumps(value)


def state_of(tmp_path, name):
    """What is written of a case, a `State`."""
    return progress_files.read_state(tmp_path / "runs" / name)


def log_of(tmp_path, name):
    """The end of the log of a case, a string."""
    return "\n".join(progress_files.tail(tmp_path / "runs" / name))


def has_steps(tmp_path, name):
    """Whether a training has shown a step."""
    return any(line.startswith("step ") for line in log_of(tmp_path, name).splitlines())


def wait_until(condition, seconds=240):
    """Waits until a function returns what is true."""
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.2)


def parents(pid):
    """Numbers of the processes that a process descends from, the nearest first."""
    found = []
    while pid > 1:
        pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found
