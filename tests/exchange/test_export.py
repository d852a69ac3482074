"""An exporter is one entry of the registry."""

import os
import shutil

import numpy as np
import pytest
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import exporters
from wavegan_asmr.exchange.export import export


def write_npz(generator, folder):
    np.savez(os.path.join(folder, "weights.npz"), **{w.path: w.numpy() for w in generator.network.weights})


@pytest.fixture
def train_dir(tmp_path):
    return shutil.copytree(ROOT / "tests" / "golden" / "paper", tmp_path / "train")


def test_a_new_format_is_one_entry(monkeypatch, train_dir, capsys):
    monkeypatch.setitem(exporters.EXPORTERS, "npz", exporters.Exporter("arrays by name", write_npz))
    for _ in range(2):
        folder = export(train_dir, name="npz")
    assert capsys.readouterr().out == f"step 20: {folder}\n" * 2
    assert sorted(os.listdir(folder)) == ["step", "weights.npz"]
    with np.load(os.path.join(folder, "weights.npz"), allow_pickle=False) as weights:
        assert weights["upconv_3/kernel"].shape == (25, 1, 1)


def test_one_that_fails_leaves_what_was_there(monkeypatch, train_dir):
    def fail(generator, folder):
        write_npz(generator, folder)
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(exporters.EXPORTERS, "npz", exporters.Exporter("arrays by name", write_npz))
    folder = export(train_dir, name="npz")
    before = sorted(os.listdir(train_dir))
    monkeypatch.setitem(exporters.EXPORTERS, "npz", exporters.Exporter("arrays by name", fail))
    with pytest.raises(UserError, match=r"cannot write '.*infer': the disk is full\.$"):
        export(train_dir, name="npz")
    assert sorted(os.listdir(folder)) == ["step", "weights.npz"] and sorted(os.listdir(train_dir)) == before
