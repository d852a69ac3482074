"""Fixtures: recordings made on the spot, and the real command lines."""

import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile

ROOT = pathlib.Path(__file__).parent.parent
REFERENCE = pathlib.Path(__file__).parent / "reference"

TINY = (
    "--data_slice_len=4096 --wavegan_dim=1 --wavegan_latent_dim=4 --train_batch_size=2 "
    "--wavegan_disc_nupdates=2 --train_precision=float32 --train_forms=table --train_summary_secs=1000"
).split()
"""Flags of a model that trains in seconds."""

SMALL = {
    "data_slice_len": 4096,
    "wavegan_dim": 2,
    "wavegan_latent_dim": 4,
    "train_batch_size": 4,
    "wavegan_disc_nupdates": 2,
    "train_precision": "float32",
    "train_forms": "table",
}
"""Settings of a model that learns a little in seconds."""

# A shell starts what runs in the background with Ctrl-C ignored, nohup with the loss of the terminal, and the commands
# under test would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Keeps decoded recordings out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def noise():
    """Function: seconds of brown-ish noise with clicks, float32 `[frames, channels]`, RMS about 0.1."""

    def make(seconds, sample_rate_hz=16000, channels=1, seed=0):
        random = np.random.default_rng(seed)
        frames = int(seconds * sample_rate_hz)
        x = random.standard_normal([frames, channels])
        x = 0.05 * (x + np.roll(x, 1, axis=0) + np.roll(x, 2, axis=0))
        return np.clip(x, -1, 1).astype(np.float32)

    return make


@pytest.fixture
def recordings(tmp_path, noise):
    """A folder of two recordings, 4 s at 16 kHz and 3 s of stereo at 44.1 kHz."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    soundfile.write(folder / "rain.wav", noise(4), 16000)
    soundfile.write(folder / "birds.flac", noise(3, 44100, 2, seed=1), 44100)
    return folder


@pytest.fixture
def command():
    """Function: runs a script of the project as a user does; returns the finished process."""

    def run(*arguments, check=True, timeout=300, **options):
        process = subprocess.run(
            [sys.executable, str(ROOT / str(arguments[0])), *map(str, arguments[1:])],
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )
        if check:
            assert process.returncode == 0, process.stdout + process.stderr
        return process

    return run


@pytest.fixture
def run_here(monkeypatch, capfd):
    """Function: runs a script like `command` but in this process, where TensorFlow has started already."""
    import tensorflow as tf

    from wavegan_asmr.command_line import run

    # TensorFlow's devices cannot change any more, and its log was on before.
    monkeypatch.setattr(run, "start_tensorflow", lambda **options: tf.get_logger().setLevel("ERROR"))

    def run_script(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capfd.readouterr()
        handler, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
        returncode = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as error:
            returncode = error.code or 0
        finally:
            signal.signal(signal.SIGTERM, handler)
            sys.unraisablehook = hook
        stdout, stderr = capfd.readouterr()
        # C++ logs with another level here than after `run.start_tensorflow`.
        stderr = re.sub(r"^[IWE]\d{4} .*\n", "", stderr, flags=re.MULTILINE)
        return types.SimpleNamespace(returncode=returncode, stdout=stdout, stderr=stderr)

    return run_script


@pytest.fixture
def verb(monkeypatch, capsys):
    """Function: runs `wavegan VERB` in this process; returns what it printed, and raises `UserError`."""
    from wavegan_asmr.command_line import run
    from wavegan_asmr.command_line.main import call

    # TensorFlow's devices cannot change any more.
    monkeypatch.setattr(run, "start_tensorflow", lambda **options: None)

    def run_verb(name, *arguments):
        capsys.readouterr()
        call(name, list(map(str, arguments)), f"wavegan {name}")
        return "".join(capsys.readouterr())

    return run_verb


@pytest.fixture
def start_command():
    """Function: starts a script of the project in the background; what still runs is killed at the end."""
    processes = []

    def start(*arguments, **options):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / str(arguments[0])), *map(str, arguments[1:])],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            **options,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
