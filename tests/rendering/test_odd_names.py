"""Names that are not UTF-8, not one line, formulas, or written in letters that a font lacks."""

import os

import fakes
import numpy as np
import pytest
import soundfile

from wavegan_asmr.rendering import models
from wavegan_asmr.sound import plots

ODD = [os.fsdecode(b"caf\xe9"), "two\nlines", "$_$ {x^", "雨音 \U0001f600", "\x1b[31mred", "-", "a b'\"*?[x]"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("error")
def test_names_of_files(run_here, monkeypatch, tmp_path, name):
    monkeypatch.setattr(models, "Generator", fakes.generators())
    ending = {"-": ".ogg", ODD[0]: ".mp3", ODD[1]: ".m4a", ODD[2]: ".opus"}.get(name, ".flac")
    (tmp_path / name).mkdir()
    out = os.path.join(tmp_path, name, name + ending)
    process = run_here("generate.py", tmp_path / name, "--minutes=0.02", "--candidates=1", "--out", out)
    assert process.returncode == 0, process.stderr
    assert [line.split()[0] for line in process.stderr.splitlines()] == ["pilot", "done"]
    assert {path.name for path in (tmp_path / name).iterdir()} == {name + end for end in (ending, ".json", ".png")}
    process = run_here("generate.py", "--from", out, "--end=1", "--out", f"{out}.again.wav")
    assert process.returncode == 0 and process.stderr.count("\n") == 1, process.stderr
    with open(f"{out}.again.wav", "rb") as file:
        assert soundfile.info(file).frames == 16000


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("error")
def test_names_in_pictures(name):
    clips = fakes.generators()("")._noise[None]
    assert plots.png(plots.grid([(name, clips)], 16000, name)).startswith(b"\x89PNG")
    figure = plots.confusion_matrix(np.array([[3, 1], [0, 4]]), [name, "été"], name)
    assert plots.png(figure).startswith(b"\x89PNG")
    expected = {ODD[0]: r"caf\xe9", ODD[1]: r"two\nlines", ODD[3]: "\\u96e8\\u97f3 \U0001f600", ODD[4]: r"\x1b[31mred"}
    assert figure.axes[0].get_title() == expected.get(name, name)


def test_labels_that_the_font_lacks():
    assert plots.png(plots.confusion_matrix(np.eye(2, dtype=int), ["雨", "水"], "")) != plots.png(
        plots.confusion_matrix(np.eye(2, dtype=int), ["雨", "雨"], "")
    )
