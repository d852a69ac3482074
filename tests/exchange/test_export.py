"""An exporter is one entry of the registry; a SavedModel beside a training."""

import os
import shutil

import numpy as np
import pytest
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import exporters
from wavegan_asmr.exchange.export import export, infer
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir


def write_npz(generator, path, precision):
    with open(path, "wb") as file:
        np.savez(file, **{w.path: w.numpy() for w in generator.network.weights})


@pytest.fixture
def train_dir(tmp_path):
    return shutil.copytree(ROOT / "tests" / "golden" / "paper", tmp_path / "train")


def test_a_new_format_is_one_entry(monkeypatch, train_dir, tmp_path, capsys):
    def run(path, inputs):
        with np.load(path, allow_pickle=False) as weights:
            assert weights["upconv_3/kernel"].shape == (25, 1, 1)
        return Generator(TrainDir(train_dir)).generate(inputs["z"])

    monkeypatch.setitem(exporters.EXPORTERS, "npz", exporters.Exporter("arrays by name", ".npz", write_npz, run))
    export(train_dir, tmp_path / "a.npz", "npz")
    printed = capsys.readouterr().out
    assert printed.startswith(f"step 20: {tmp_path / 'a.npz'}, 0.")
    assert printed.endswith("compared  the same as TensorFlow's, sample by sample\n")


def test_a_saved_model_that_fails_leaves_what_was_there(monkeypatch, train_dir):
    def fail(generator, folder, precision):
        write_npz(generator, os.path.join(folder, "half"), precision)
        raise OSError(28, "No space left on device")

    folder = infer(train_dir)
    before, inside = sorted(os.listdir(train_dir)), sorted(os.listdir(folder))
    assert "step" in inside and "saved_model.pb" in inside
    monkeypatch.setitem(exporters.EXPORTERS, "saved_model", exporters.Exporter("", "", fail, None))
    with pytest.raises(UserError, match=r"cannot write '.*infer': the disk is full\.$"):
        infer(train_dir)
    assert sorted(os.listdir(folder)) == inside and sorted(os.listdir(train_dir)) == before
