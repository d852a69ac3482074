"""Every verb in folders whose names are no UTF-8, patterns, formulas, lines, and all of that at once."""

import os
import re
import shutil

import numpy as np
import pytest
import soundfile
from conftest import REFERENCE, TINY

from wavegan_asmr.train_dir import TrainDir

NAME = b"caf\xe9 [x]* $_$ %s {} \\\n\xe9\x9b\xa8?"
RATE_HZ = 16000

LINES = [
    "train_wavegan.py train {}/train --data_dir {}/recordings --data_cache_dir {}/cache --train_max_steps=1 {tiny}",
    "train_wavegan.py train {}/train --train_max_steps=2",
    "evaluate.py {}/train --compare --eval_n=86",
    "preview.py {}/train --preview_n=1 --checkpoint=best",
    "train_wavegan.py import {}/imported {}/tf1_run",
    "generate.py {}/train --minutes=0.02 --out {}/night.flac",
    "generate.py --from {}/night.json --start=0.1 --end=0.5 --out {}/stretch.wav",
    "train_wavegan.py infer {}/train",
    "backup.py {}/train --once",
    "classifier.py train {}/classifier --data_dir {}/labelled --data_slice_len=4096 --train_max_secs=1",
    "train_wavegan.py incept {}/train --incept_classifier {}/classifier --incept_n=20 --incept_k=2",
]


@pytest.fixture
def folder(tmp_path):
    """A folder of a name as odd as can be, with recordings in it whose names are odd, too."""
    folder = os.path.join(os.fsencode(tmp_path), NAME)
    random = np.random.default_rng(0)
    for label in (b"recordings", b"labelled/\xe9", b"labelled/$x$"):
        os.makedirs(os.path.join(folder, label))
        for number in b"123":
            path = os.path.join(folder, label, b"rain\xe9" + bytes([number]) + b".wav")
            with open(path, "wb") as file:
                soundfile.write(file, random.normal(0, 0.1, 3 * RATE_HZ), RATE_HZ, format="WAV")
    shutil.copytree(REFERENCE / "tf1_run", os.path.join(os.fsdecode(folder), "tf1_run"))
    return os.fsdecode(folder)


def test_all_verbs(run_here, folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.join(folder, "cache"))
    for line in LINES:
        arguments = [word.replace("{}", folder) for word in line.replace("{tiny}", " ".join(TINY)).split()]
        process = run_here(*arguments)
        said = process.stdout + process.stderr
        assert process.returncode == 0, said
        assert not re.search("Traceback|damaged|Warning", said), said
        # The name takes one line of what any terminal shows.
        assert all(line.isprintable() for line in said.splitlines()), said
        assert "caf\\xe9 [x]* $_$ %s {} \\\\" in said or "generate" in line, said
    train_dir = TrainDir(os.path.join(folder, "train"))
    assert train_dir.steps() == [0, 1, 2] and train_dir.read_best().step == 2
    assert soundfile.info(os.fsencode(os.path.join(folder, "night.flac"))).duration == pytest.approx(1.2)
    for name in ("preview/00000002.png", "report/index.html", "report/pairs/01.png", "infer/saved_model.pb", "eval"):
        assert os.path.exists(train_dir.join(name)), name
