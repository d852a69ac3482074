"""Real processes that are killed at random moments, again and again: nothing is lost, torn, or left behind."""

import re
import time

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import TINY
from processes import wait_until

from wavegan_asmr.train_dir import TrainDir

pytestmark = pytest.mark.slow

KILLS = 10
KEPT = 3
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}|\.saving-.*|\..*\.partial")


@pytest.fixture
def recordings(tmp_path, noise):
    """A minute of sound, enough for evaluations."""
    (tmp_path / "recordings").mkdir()
    for seed in range(3):
        soundfile.write(tmp_path / "recordings" / f"{seed}.wav", noise(20, seed=seed), 16000)
    return tmp_path / "recordings"


def check_checkpoints(train_dir):
    """Checks that every checkpoint is whole and of its step; returns the steps."""
    steps = train_dir.steps()
    for step in steps:
        assert train_dir.damage(step) is None, step
        reader = tf.train.load_checkpoint(train_dir.checkpoint_path(step))
        assert reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE") == step
    return steps


def leftovers(folder):
    return [path for path in folder.rglob("*") if TEMPORARY.fullmatch(path.name)]


def kill(process, delay_s):
    time.sleep(delay_s)
    process.kill()
    output, _ = process.communicate()
    assert "Traceback" not in output and "damaged" not in output, output
    return output


@pytest.mark.parametrize("seed", range(10))
def test_trainings(start_command, command, recordings, tmp_path, seed):
    """A hundred kills of trainings that save after every step; half of them evaluate and keep the best, too."""
    random = np.random.default_rng(seed)
    train_dir = TrainDir(tmp_path / "train")
    flags = [*TINY, f"--train_keep={KEPT}", "--train_save_secs=0", f"--train_eval_secs={seed % 2}"]
    line = ["train_wavegan.py", "train", train_dir, "--data_dir", recordings, *flags]
    known, killed_saving = [], 0
    for _ in range(KILLS):
        process = start_command(*line)
        moment = random.random()
        if moment < 0.2:
            # While it starts.
            output = kill(process, random.uniform(0, 6))
        else:
            wait_until(lambda known=known: train_dir.steps()[-1:] > known[-1:], process)
            if moment < 0.5:
                # In the midst of a save, which evaluations leave little time for.
                wait_until(lambda: list((tmp_path / "train").glob(".saving.*")), process)
                output = kill(process, random.uniform(0, 0.02))
            else:
                output = kill(process, random.uniform(0, 1.5))
        if known and "resuming" in output:
            assert f"resuming  step {known[-1]}\n" in output
        steps = check_checkpoints(train_dir)
        assert steps[-1:] >= known[-1:] and len(steps) >= min(KEPT, len(known))
        # Only newer ones take the place of those that were there.
        assert set(known[len(known) + len(steps) - KEPT :]) <= set(steps) or steps[-1] > known[-1]
        best = train_dir.read_best()
        if best:
            check_checkpoints(TrainDir(train_dir.join("best")))
        killed_saving += bool(leftovers(tmp_path / "train"))
        known = steps
    end = known[-1] + 1 if known else 1
    process = command(*line, f"--train_max_steps={end}")
    assert f"done      step {end}," in process.stdout
    assert train_dir.steps()[-1] == end and not leftovers(tmp_path / "train")
    # The test would see nothing if no kill had hit a save.
    assert killed_saving


@pytest.fixture
def trained(command, recordings, tmp_path):
    """A TRAIN_DIR of two checkpoints."""
    for steps in (1, 2):
        command(
            *("train_wavegan.py", "train", tmp_path / "train", "--data_dir", recordings),
            *(*TINY, f"--train_max_steps={steps}"),
        )
    return tmp_path / "train"


@pytest.mark.parametrize("seed", range(2))
def test_renderings(start_command, command, trained, tmp_path, seed):
    """The file that was there is there until the new one is whole, and what was left is gone after the next."""
    random = np.random.default_rng(seed)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "night.flac"
    line = ["generate.py", trained, "--hours=1", f"--out={out}", "--overwrite"]
    command("generate.py", trained, "--minutes=0.1", f"--out={out}")
    old = out.read_bytes()
    for _ in range(KILLS):
        process = start_command(*line)
        if random.random() < 0.7:
            wait_until(lambda: leftovers(out.parent), process)
        output = kill(process, random.uniform(0, 3))
        if "wrote" not in output and out.read_bytes() != old:
            assert soundfile.info(out).frames == 3600 * 16000
            old = out.read_bytes()
    command("generate.py", trained, "--minutes=0.1", f"--out={out}", "--overwrite")
    assert sorted(path.name for path in out.parent.iterdir()) == ["night.flac", "night.json", "night.png"]


def test_backups_and_exports(start_command, command, trained):
    """Backups and exports that are killed while a training goes on."""
    random = np.random.default_rng(0)
    training = start_command("train_wavegan.py", "train", trained, "--train_save_secs=0")
    checked = set()
    for verb in range(2 * KILLS):
        line = ("backup.py", trained, "0.001") if verb % 2 else ("train_wavegan.py", "infer", trained)
        kill(start_command(*line), random.uniform(3, 9))
        whole = {path for path in trained.glob("backup/*") if path.name.isdigit()}
        for path in whole - checked:
            assert check_checkpoints(TrainDir(path)) == [int(path.name)]
        checked |= whole
    training.kill()
    training.wait()
    command("train_wavegan.py", "train", trained, "--train_max_steps=1")
    command("backup.py", trained, "--once")
    command("train_wavegan.py", "infer", trained)
    assert checked and not leftovers(trained)
    assert tf.saved_model.load(str(trained / "infer"))
