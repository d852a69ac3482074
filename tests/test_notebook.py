"""The notebook runs from top to bottom, with settings that take seconds."""

import os

import nbclient
import nbformat
from conftest import ROOT


def test_notebook(recordings, tmp_path, monkeypatch):
    notebook = nbformat.read(ROOT / "notebooks" / "train_a_minute.ipynb", as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f"""data_dir = {str(recordings)!r}
train_dir = {str(tmp_path / "train")!r}
settings = dict(data_slice_len=4096, wavegan_dim=1, wavegan_latent_dim=4, train_batch_size=2, train_max_steps=3)"""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.data for output in outputs if "data" in output]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in each for each in data) == 3
    assert sum("<audio" in each.get("text/html", "") for each in data) == 1
    assert "step 3" in "".join(output.text for output in outputs if output.output_type == "stream")
