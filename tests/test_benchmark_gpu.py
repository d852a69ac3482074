"""The benchmark of the device that TensorFlow chooses, here the processor."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT


def _run(tmp_path, *arguments):
    command = [sys.executable, "-m", "benchmarks.gpu", f"--results_dir={tmp_path / 'out'}", "--steps=2", "--case_s=0"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=600, cwd=ROOT)


def test_measures_each_form(tmp_path):
    forms = ["native", "polyphase", "product"]
    process = _run(
        tmp_path,
        "--presets=paper",
        "--dim=1",
        "--precisions=float32",
        f"--forms={','.join(forms)}",
        "--parts=generators",
        "--clips=2",
    )
    assert process.returncode == 0, process.stdout + process.stderr
    rows = json.loads((tmp_path / "out" / "gpu.json").read_text())["rows"]
    assert [row["form"] for row in rows] == forms
    for row in rows:
        # Building the graph comes first and is no repetition; without a second to spend there is one of these.
        assert row["first_s"] > row["seconds"][0] > 0
        assert len(row["seconds"]) == 1
        speed = float(row["speed"].removesuffix(" clips / s").replace(",", ""))
        assert speed == pytest.approx(2 / row["seconds"][0], rel=0.01)
        assert f"| paper, dim 1, 2 clips | float32 | {row['form']} |" in process.stdout


@pytest.mark.parametrize(
    "argument, words",
    [
        ("--forms=columns", "--forms must be among chosen, native"),
        ("--without=noise", "--without must be among genr_texture"),
        ("--clips=many", "--clips must be whole numbers from 1"),
    ],
)
def test_mistakes(tmp_path, argument, words):
    process = _run(tmp_path, argument)
    assert process.returncode == 2
    assert words in process.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
