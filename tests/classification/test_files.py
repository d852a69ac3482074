"""The files of a classifier, damaged: every error is one line that names the file, and nothing is executed."""

import dataclasses
import functools
import json
import re
import resource
import shutil

import numpy as np
import pytest
from conftest import ROOT
from damage import damage_bytes, damage_json

from wavegan_asmr.classification import files, network
from wavegan_asmr.errors import UserError

GOLDEN = ROOT / "tests" / "golden" / "classifier"
FILES = ["classifier.json", "weights.npz", "probabilities.npz"]
"""Facts may be right, and the arrays not what they say."""


@pytest.fixture
def folder(tmp_path):
    """A copy of a classifier."""
    return shutil.copytree(GOLDEN, tmp_path / "classifier")


@pytest.fixture
def one_network(monkeypatch):
    """Builds each network once."""
    monkeypatch.setattr(network, "build_network", functools.cache(network.build_network))


def check_load(folder, names, seed):
    """Loads a classifier; returns it, or None where the error names one of some files as it should."""
    try:
        trained = files.load(folder)
    except UserError as error:
        text = str(error)
        assert "\n" not in text and len(text) < 700 and any(name in text for name in names), (seed, text)
        return None
    labels = len(trained.classifier.labels)
    for probabilities in (trained.test, trained.train):
        assert probabilities.dtype == np.float32 and probabilities.shape[1:] == (labels,)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=2e-3)
    assert 0 <= trained.test_accuracy <= 1
    assert all(np.isfinite(weight.numpy()).all() for weight in trained.classifier.network.weights)
    return trained


def test_a_full_disk_leaves_the_classifier_that_was_there(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    trained = files.load(folder)
    counts = np.ones([len(trained.classifier.labels)] * 2, np.int64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (1000, len(before["weights.npz"]) + 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(UserError, match=rf"cannot write the classifier: the file is larger .*'{folder}'\."):
                # The weights can be written with the larger limit, the probabilities with none.
                files.save(folder, dataclasses.replace(trained, test=np.repeat(trained.test, 9000, axis=0)), counts)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    files.save(folder, trained, counts)
    assert files.load(folder).test.shape == trained.test.shape


def test_damaged_facts(folder, one_network):
    whole, refused = (folder / "classifier.json").read_text(), 0
    for seed in range(300):
        (folder / "classifier.json").write_text(damage_json(whole, seed), "utf-8", "surrogateescape")
        refused += check_load(folder, FILES, seed) is None
    assert 150 < refused < 300


@pytest.mark.parametrize("name", ["weights.npz", "probabilities.npz"])
def test_damaged_archives(folder, one_network, name):
    whole, refused = (folder / name).read_bytes(), 0
    for seed in range(150):
        (folder / name).write_bytes(damage_bytes(whole, seed))
        refused += check_load(folder, [name], seed) is None
    assert 50 < refused < 150


def odd_arrays(x):
    """Arrays that cannot be in place of another."""
    yield from (x[:-1], x[None], x.ravel()[:0], x * np.nan, x - np.inf)
    yield from (x.astype(dtype) for dtype in ("float64", "int32", "complex64", ">f4", "S8"))
    yield np.array(None, object)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("weights.npz", "level/moving_variance"),
        ("weights.npz", "conv_3/kernel"),
        ("weights.npz", "labels/bias"),
        ("probabilities.npz", "test"),
        ("probabilities.npz", "train"),
    ],
)
def test_odd_arrays(folder, one_network, file, name):
    with np.load(folder / file) as opened:
        arrays = dict(opened)
    x = arrays.pop(name)
    for odd in (None, *odd_arrays(x)):
        if file == "probabilities.npz" and odd is not None and odd.shape == x[:-1].shape:
            continue
        np.savez(folder / file, **arrays, **{} if odd is None else {name: odd})
        with pytest.raises(UserError, match=re.escape(file)) as caught:
            files.load(folder)
        # An object is refused before it is looked at.
        assert name in str(caught.value) or odd.dtype == object


@pytest.mark.parametrize("change", [lambda x: 2 * x, lambda x: 1.5 - x, lambda x: x - 1])
def test_probabilities_that_are_none(folder, one_network, change):
    with np.load(folder / "probabilities.npz") as opened:
        arrays = dict(opened)
    np.savez(folder / "probabilities.npz", **arrays | {"train": change(arrays["train"])})
    with pytest.raises(UserError, match=r"probabilities\.npz: train: each row must be probabilities"):
        files.load(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["a"]}, "labels: must be 2 to 10000 different names"),
        ({"labels": ["a", "a"]}, "labels: must be 2 to 10000 different names"),
        ({"labels": ["a", ""]}, "labels: must be 2 to 10000 different names"),
        ({"labels": ["a", 1]}, "labels[1]: expected str"),
        ({"labels": [str(k) for k in range(20000)]}, "labels: must be 2 to 10000 different names"),
        ({"sample_rate_hz": 10**9}, "sample_rate_hz: must be at least 1000, at most 384000 Hz. Received: 1000000000"),
        ({"slice_len": 2**40}, "slice_len: must be one of 4096, 8192"),
        ({"channels": 10**6}, "channels: must be at least 1, at most 256. Received: 1000000"),
        ({"test_accuracy": 1.5}, "test_accuracy: must be in [0, 1]. Received: 1.5"),
        ({"test_accuracy": float("nan")}, "test_accuracy: must be in [0, 1]. Received: nan"),
        ({"test_accuracies": {"high": -1}}, "test_accuracies: must be in [0, 1]. Received: -1"),
        ({"test_accuracies": {"high": "1"}}, "test_accuracies[...]: expected float"),
    ],
)
def test_facts_that_break_a_rule(folder, monkeypatch, changes, words):
    """Refused before a network is built."""
    monkeypatch.setattr(network, "build_network", None)
    path = folder / "classifier.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=re.escape(f"{path}: {words}")):
        files.load(folder)
