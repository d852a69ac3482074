"""One training on two workers, real processes on loopback: equal to two replicas, ended and lost together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY
from processes import free_addresses

from wavegan_asmr.errors import UserError
from wavegan_asmr.training.team import Team

STEPS = 20
FLAGS = [*TINY, "--train_batch_size=4", "--train_save_secs=1", "--wavegan_loss=hinge", "--wavegan_genr_texture=1"]

REPLICAS_SCRIPT = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from wavegan_asmr.training import team
team.choose_strategy = lambda: tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
sys.argv = ["wavegan", *sys.argv[1:]]
from wavegan_asmr.command_line import run
run.start_tensorflow = lambda **settings: None
from wavegan_asmr.command_line.main import main
main()
"""
"""A training on two replicas in one process."""


def start(folder, name, command, environment=()):
    with open(folder / f"{name}.log", "a") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment),
            stdout=log,
            stderr=log,
        )


@pytest.fixture
def workers(tmp_path, recordings):
    """Function: starts two workers on a training, with flags; returns their processes."""

    def start_workers(*flags):
        addresses = ",".join(free_addresses(2))
        line = ["-m", "wavegan_asmr", "train", "t", "--data_dir=recordings", *FLAGS, f"--workers={addresses}", *flags]
        return [start(tmp_path, f"worker{worker}", [*line, f"--worker={worker}"]) for worker in range(2)]

    return start_workers


def ends(processes, seconds=200):
    return [process.wait(timeout=seconds) for process in processes]


def log_of(folder, name):
    path = folder / f"{name}.log"
    return path.read_text() if path.exists() else ""


def wait_for(folder, name, text, seconds=120):
    end_s = time.monotonic() + seconds
    while text not in log_of(folder, name):
        assert time.monotonic() < end_s, log_of(folder, name)
        time.sleep(0.2)


def weights(path):
    reader = tf.train.load_checkpoint(str(path))
    others = ("save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name not in others}


@pytest.mark.slow
def test_two_workers_learn_what_two_replicas_do(workers, tmp_path):
    """The same weights after some steps; and once more after each has been started again."""
    codes = ends(workers("--train_max_steps=10"))
    assert codes == [0, 0], log_of(tmp_path, "worker0") + log_of(tmp_path, "worker1")
    assert ends(workers(f"--train_max_steps={STEPS}")) == [0, 0]
    assert "resuming  step 10" in log_of(tmp_path, "worker0")
    assert "follows the chief from step 10 on" in log_of(tmp_path, "worker1")
    assert f"ended     with the chief, step {STEPS}" in log_of(tmp_path, "worker1")
    (tmp_path / "replicas.py").write_text(REPLICAS_SCRIPT)
    line = ["replicas.py", "train", "r", "--data_dir=recordings", *FLAGS, f"--train_max_steps={STEPS}"]
    assert ends([start(tmp_path, "replicas", line)]) == [0], log_of(tmp_path, "replicas")
    ours, theirs = (weights(tmp_path / name / f"ckpt-{STEPS}") for name in "tr")
    assert ours.keys() == theirs.keys() and len(ours) > 40
    for name in ours:
        # Other graphs round in other ways, of which the smallest values of a variable have as much as its largest.
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=0, atol=1e-4 * np.abs(theirs[name]).max(), err_msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_that_is_killed_ends_the_other(workers, tmp_path, lost):
    """In a line that says how to go on; and the same commands do."""
    processes = workers("--train_max_steps=1000000")
    wait_for(tmp_path, "worker0", "\nstep ")
    time.sleep(2)
    processes[lost].kill()
    codes = ends(processes)
    other = 1 - lost
    assert codes[lost] == -signal.SIGKILL and codes[other] == 2
    last = log_of(tmp_path, f"worker{other}").strip().splitlines()[-1]
    assert last.startswith(
        f"wavegan: another worker was lost, and so worker {other} ends. Start the same commands again"
    )
    assert ends(workers("--train_max_steps=1")) == [0, 0]
    assert "resuming  step" in log_of(tmp_path, "worker0")


@pytest.mark.slow
def test_a_signal_to_one_stops_all(workers, tmp_path):
    processes = workers("--train_max_steps=1000000")
    wait_for(tmp_path, "worker0", "\nstep ")
    processes[1].send_signal(signal.SIGTERM)
    assert ends(processes) == [0, 0], log_of(tmp_path, "worker0") + log_of(tmp_path, "worker1")
    last = log_of(tmp_path, "worker0").strip().splitlines()[-1]
    assert last.startswith("stopped      step ")
    step = int(last.split()[2].rstrip(","))
    assert step > 0 and (tmp_path / "t" / f"ckpt-{step}.index").exists()
    assert f"ended     with the chief, step {step}" in log_of(tmp_path, "worker1")


@pytest.mark.slow
def test_workers_with_other_settings_or_recordings_are_refused(workers, tmp_path, noise):
    addresses = ",".join(free_addresses(2))
    line = ["-m", "wavegan_asmr", "train", "t", *FLAGS, f"--workers={addresses}"]
    chief = start(tmp_path, "worker0", [*line, "--data_dir=recordings", "--worker=0"])
    other = start(tmp_path, "worker1", [*line, "--data_dir=recordings", "--worker=1", "--wavegan_dim=2"])
    assert ends([chief, other]) == [2, 2]
    assert "--wavegan_dim 2 is not what the chief has: 1. Give all the same." in log_of(tmp_path, "worker1")
    assert "another worker was lost" in log_of(tmp_path, "worker0")


def test_a_missing_worker_is_named(tmp_path, recordings):
    addresses = free_addresses(2)
    line = ["-m", "wavegan_asmr", "train", "t", "--data_dir=recordings", *FLAGS, f"--workers={','.join(addresses)}"]
    assert ends([start(tmp_path, "worker0", [*line, "--workers_wait_secs=1"])]) == [2]
    last = log_of(tmp_path, "worker0").strip().splitlines()[-1]
    assert last == (
        f"wavegan: workers missing after 1 s: {addresses[1]}. Start the same command there, with its own --worker."
    )
    assert not (tmp_path / "t").exists() or not os.listdir(tmp_path / "t")


def test_a_dry_run_waits_for_nobody(tmp_path, recordings):
    addresses = ",".join(free_addresses(2))
    for worker in range(2):
        line = ["-m", "wavegan_asmr", "train", "t", "--data_dir=recordings", *FLAGS, f"--workers={addresses}"]
        assert ends([start(tmp_path, "dry", [*line, f"--worker={worker}", "--dry_run"])]) == [0]
    assert log_of(tmp_path, "dry").count('"wavegan_dim": 1') == 2 and not (tmp_path / "t").exists()


def test_a_port_that_is_taken_is_named(tmp_path, recordings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = f"127.0.0.1:{server.getsockname()[1]}"
        addresses = f"{own},{free_addresses(1)[0]}"
        line = ["-m", "wavegan_asmr", "train", "t", "--data_dir=recordings", *FLAGS, f"--workers={addresses}"]
        assert ends([start(tmp_path, "worker0", line)]) == [2]
    assert f"worker 0 cannot listen: Address already in use. Received: {own!r}." in log_of(tmp_path, "worker0")


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG must be as"):
        Team()


def test_one_worker_is_alone(monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})
    )
    team = Team()
    team.meet(0.0)
    assert team.count == 1 and team.is_chief and team.tell("words") == "words"
    assert team.any(True) and not team.any(False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers=a:1"], "--workers must be two or more different addresses"),
        (["--workers=a:1,a:1"], "--workers must be two or more different addresses"),
        (["--workers=a,b"], "--workers must be two or more different addresses"),
        (["--workers=a:1,b:1", "--worker=2"], "--worker must be below 2, the machines of --workers. Received: 2."),
        (["--worker=1"], "--worker is a number in --workers"),
    ],
)
def test_mistakes(tmp_path, recordings, run_here, flags, message):
    process = run_here("train_wavegan.py", "train", tmp_path / "t", "--data_dir", recordings, *flags)
    assert process.returncode == 2 and message in process.stderr and process.stderr.count("\n") == 1
