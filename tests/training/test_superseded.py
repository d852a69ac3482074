"""TensorBoard's curves after a training was killed: what is learned again takes the place of what was lost."""

import json
import socket
import subprocess
import sys
import urllib.request

import pytest
from conftest import SMALL
from processes import wait_until
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from wavegan_asmr import progress, summaries
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop

TAGS = ("D_loss", "rms/fake")


@pytest.fixture
def train(recordings, tmp_path, monkeypatch):
    """Function: trains up to a step and saves there, or is killed there; every step is written for TensorBoard."""
    monkeypatch.setattr(progress, "_LOG_PROGRESS_S", 0.0)
    # Takes long.
    monkeypatch.setattr(summaries, "write_picture", lambda *arguments: None)
    settings = SMALL | {"data_dir": str(recordings), "train_save_secs": 1e6, "train_summary_secs": 0.0}
    iterate = loop._iterate

    def train_to(step, is_killed=False):
        def iterate_or_die(trainer, batches, slices):
            if is_killed and trainer.step.numpy() == step:
                die()
            return iterate(trainer, batches, slices)

        monkeypatch.setattr(loop, "_iterate", iterate_or_die)
        loop.train(tmp_path / "train", settings | {"train_max_steps": step + is_killed})

    return train_to


def die(*arguments):
    raise KeyboardInterrupt


def kill(train, step):
    with pytest.raises(KeyboardInterrupt):
        train(step, is_killed=True)


def loaded(folder):
    """What TensorBoard's own loader makes of a folder: dict of tag to its steps, in order."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {tag: [event.step for event in accumulator.Tensors(tag)] for tag in accumulator.Tags()["tensors"]}


def served(folder, load_fast):
    """What a running TensorBoard sends to a browser: dict of tag to its steps, in order."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = f"tensorboard.main --logdir {folder} --load_fast {load_fast} --host 127.0.0.1 --port {port}"
    process = subprocess.Popen([sys.executable, "-m", *line.split()], stderr=subprocess.DEVNULL)

    def get(what):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/{what}", timeout=60) as answer:
                return json.load(answer)
        except OSError:
            return {}

    try:
        wait_until(lambda: get("tags").get(".", {}).keys() >= set(TAGS))
        return {tag: [row[1] for row in get(f"scalars?run=.&tag={tag}")] for tag in TAGS}
    finally:
        process.terminate()
        process.wait()


def test_curves_go_forward(train, tmp_path, monkeypatch):
    folder = tmp_path / "train"
    with monkeypatch.context() as full:
        full.setattr(TrainDir, "save", die)
        kill(train, 9)
    assert TrainDir(folder).steps() == []
    kill(train, 0)
    assert TrainDir(folder).steps() == [0]
    train(1)
    assert loaded(folder)["config"] == [0]
    kill(train, 4)
    assert [loaded(folder)[tag] for tag in TAGS] == [[1, 2, 3, 4], [0, 1, 2, 3, 4]]
    train(2)
    for found in (loaded(folder), *(served(folder, load_fast) for load_fast in ("false", "true"))):
        assert [found[tag] for tag in TAGS] == [[1, 2], [0, 1, 2]], found


def test_an_earlier_version_wrote_before(tmp_path):
    for first_step, steps in ((None, range(5)), (3, range(3, 5)), (4, [4]), (4, [4, 5])):
        writer = summaries.create_writer(tmp_path, first_step)
        for step in steps:
            summaries.write_scalars(writer, step, {"D_loss": step})
        writer.close()
        assert loaded(tmp_path) == {"D_loss": list(range(max(steps) + 1))}
