"""The notebooks run from top to bottom, with settings that take seconds."""

import os

import nbclient
import nbformat
import numpy as np
import pytest
import soundfile
from conftest import ROOT


@pytest.fixture
def execute(monkeypatch):
    """Function: runs a notebook with other parameters; returns what its cells put out."""

    def run(name, parameters):
        notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source = parameters
        monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": ROOT}}
        ).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error"]
        data = [output.data for output in outputs if "data" in output]
        return data, "".join(output.text for output in outputs if output.output_type == "stream")

    return run


def test_train_a_minute(recordings, tmp_path, execute):
    data, printed = execute(
        "train_a_minute.ipynb",
        f"""data_dir = {str(recordings)!r}
train_dir = {str(tmp_path / "train")!r}
settings = dict(data_slice_len=4096, wavegan_dim=1, wavegan_latent_dim=4, train_batch_size=2, train_max_steps=3)""",
    )
    assert sum("image/png" in each for each in data) == 3
    assert sum("<audio" in each.get("text/html", "") for each in data) == 1
    assert "step 3" in printed


@pytest.mark.slow
def test_why_wavegan(recordings, tmp_path, execute):
    # Its evaluations need more different slices than these recordings hold.
    soundfile.write(recordings / "long.wav", np.random.default_rng(0).normal(0, 0.1, 20 * 16000), 16000)
    small = {"train_batch_size": 2, "data_slice_len": 4096}
    sizes = {
        "lstm": small | {"lstm_units": 4, "lstm_unroll": 1024},
        "wavenet": small | {"wavenet_dilations": [1, 2], "wavenet_channels": 2, "wavenet_skip_channels": 2},
        "specgan": {"train_batch_size": 2, "wavegan_dim": 1, "wavegan_disc_nupdates": 1},
        "wavegan": small | {"wavegan_dim": 1},
    }
    data, printed = execute(
        "why_wavegan.ipynb",
        f"""data_dir = {str(recordings)!r}
place = {str(tmp_path / "place")!r}
seconds = tone_seconds = 100.0
budget = dict(train_max_steps=1, train_precision="float32", train_forms="table")
sizes = {sizes!r}""",
    )
    assert sum("image/png" in each for each in data) == 6
    assert sum("<audio" in each.get("text/html", "") for each in data) == 3 + 5
    tables = [each["text/markdown"] for each in data if "text/markdown" in each]
    assert sum("19,065,345 | 19,065,345" in each or "17,427,969 | 17,427,969" in each for each in tables) == 2
    assert all(name in tables[-1] for name in ("lstm", "wavenet", "specgan", "wavegan", "recordings"))
    assert printed.count("done      step 1") == 6
