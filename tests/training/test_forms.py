"""The forms of convolutions, timed once on a machine."""

import contextlib
import json
import shutil
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY

from wavegan_asmr.networks import polyphase
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import forms, timing

TIMED = [flag for flag in TINY if not flag.startswith("--train_forms")]
SHAPE = polyphase.Shape("strided_conv", 2, 16, 3, 5, 25, 4, "float32")


@pytest.fixture
def choose():
    with contextlib.ExitStack() as locks:
        yield forms.TimedForms({}, locks)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [((1.0, 0.9, 2.0), "polyphase"), ((1.0, 2.0, 0.5), "columns"), ((1.0, 0.97, 2.0), "native"), ((1, 1, 1), "native")],
)
def test_a_form_is_taken_where_it_is_clearly_faster_than_the_tables(choose, seconds, chosen, monkeypatch):
    assert polyphase.choose_form(SHAPE) == "native"
    monkeypatch.setattr(timing, "fastest_of", lambda runs: dict(zip(runs, seconds)))
    assert choose(SHAPE) == chosen
    assert choose.forms == {forms.in_words(SHAPE): chosen}
    assert choose.others == (chosen != "native")
    monkeypatch.setattr(timing, "fastest_of", None)
    assert choose(SHAPE) == chosen


def test_any_batch_takes_the_tables_form(choose):
    assert choose(SHAPE._replace(batch=None)) == "native"
    assert not choose.forms


@pytest.mark.parametrize("operation", polyphase.FORMS)
def test_what_is_timed_is_what_is_traced(choose, operation, monkeypatch):
    """Also where the question comes up within a graph, of which timing becomes no part."""
    timed = {}

    def fastest_of(runs):
        timed.update({form: run() for form, run in runs.items()})
        return dict.fromkeys(runs, 1.0)

    monkeypatch.setattr(timing, "fastest_of", fastest_of)
    x, y = tf.ones([2, 64, 3]), tf.ones([2, 16, 5])

    @tf.function
    def compute():
        if operation == "kernel_gradient":
            return polyphase.kernel_gradient(x, y, 25, 4)
        return (
            polyphase.strided_conv(x, tf.ones([25, 3, 5]), 4)
            if operation == "strided_conv"
            else (polyphase.transposed_conv(y, tf.ones([25, 3, 5]), 4))
        )

    with polyphase.choosing(choose):
        graph = compute.get_concrete_function()
    assert list(timed) == list(polyphase.FORMS[operation])
    plain = tf.function(compute.python_function).get_concrete_function()
    assert len(graph.graph.get_operations()) == len(plain.graph.get_operations())
    for found in timed.values():
        np.testing.assert_allclose(found, timed["native"], rtol=1e-4, atol=1e-4)


def test_hopeless_runs_are_timed_once():
    runs = {"quick": lambda: time.sleep(0.001), "slow": lambda: count.append(1) or time.sleep(0.02)}
    count = []
    found = timing.fastest_of(runs)
    assert len(count) == 2 and found["quick"] < found["slow"]


def test_timing_waits_for_others(capsys):
    order = []
    with timing.alone():
        other = threading.Thread(target=lambda: [order.append("asks"), wait(order)])
        other.start()
        while "waiting" not in capsys.readouterr().out:
            time.sleep(0.01)
        order.append("done")
    other.join()
    assert order == ["asks", "done", "timed"]


def wait(order):
    with timing.alone():
        order.append("timed")


def test_timing_needs_no_cache_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with timing.alone():
        pass


def test_forms_are_timed_once_and_kept(tmp_path, recordings, command):
    train_dir = tmp_path / "train"

    def train(path, steps, *flags):
        return command("train_wavegan.py", "train", path, *flags, "--train_max_steps", steps).stdout

    new = ["--data_dir", recordings, *TIMED, "--train_save_secs=1000"]
    assert "timing the convolutions" in train(train_dir, 2, *new)
    stored = json.loads((train_dir / "forms.json").read_text())
    assert stored["processor"] == timing.processor() and stored["tensorflow"] == tf.__version__
    assert len(stored["forms"]) > 10
    assert {name.split()[0] for name in stored["forms"]} == set(polyphase.FORMS)
    assert "forms     " not in train(train_dir, 4)

    # The forms are all that could differ.
    same = tmp_path / "same"
    same.mkdir()
    shutil.copy(train_dir / "forms.json", same)
    assert "forms     " not in train(same, 4, *new)
    for (name, ours), (_, others) in zip(*(weights(each) for each in (train_dir, same))):
        np.testing.assert_array_equal(ours, others, err_msg=name)

    # Another machine.
    (train_dir / "forms.json").write_text(json.dumps(stored | {"processor": "abacus"}))
    output = train(train_dir, 5)
    assert "forms     were timed on abacus, TensorFlow " in output and "timing the convolutions" in output
    assert json.loads((train_dir / "forms.json").read_text())["processor"] == stored["processor"]


def weights(path):
    """Names and values of the newest checkpoint."""
    reader = tf.train.load_checkpoint(str(TrainDir(path).join(f"ckpt-{TrainDir(path).steps()[-1]}")))
    names = sorted(name for name in reader.get_variable_to_shape_map() if "GRAPH" not in name)
    return [(name, reader.get_tensor(name)) for name in names]


def test_dry_run_shows_the_forms(tmp_path, recordings, command):
    new = ["--data_dir", recordings, *TIMED, "--dry_run"]
    output = command("train_wavegan.py", "train", tmp_path / "train", *new).stdout
    assert "native    " in output or "polyphase " in output
    assert "kernel_gradient of 2 4096x1 and 1024x1, 25 taps, stride 4, float32\n" in output
    assert not (tmp_path / "train").exists()
    assert "stride" not in command("train_wavegan.py", "train", tmp_path / "train", *new, "--train_forms=table").stdout


DAMAGED = {
    "{": "not valid JSON",
    '{"processor": 1, "tensorflow": "2", "forms": {}}': "processor: expected str, got int. Received: 1",
    '{"processor": "", "tensorflow": "", "forms": {"strided_conv of 2": "scatter"}}': "has no form 'scatter'",
    '{"processor": "", "tensorflow": "", "forms": {"": "native"}}': "'' has no form 'native'",
}


def test_damaged_forms_are_named(tmp_path, recordings, run_here):
    train_dir = tmp_path / "train"
    run_here("train_wavegan.py", "train", train_dir, "--data_dir", recordings, *TINY, "--train_max_steps=1")
    assert not (train_dir / "forms.json").exists()
    for text, reason in DAMAGED.items():
        (train_dir / "forms.json").write_text(text)
        process = run_here("train_wavegan.py", "train", train_dir, "--train_forms=auto")
        assert process.returncode == 2
        assert f"{train_dir / 'forms.json'}: " in process.stderr and reason in process.stderr
        assert "delete it to have them timed again" in process.stderr
