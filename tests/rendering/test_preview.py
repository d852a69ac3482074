"""Previews: what killed ones left, a full disk, folders of odd names."""

import errno
import os
import shutil
import wave

import pytest
import soundfile
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering.preview import preview
from wavegan_asmr.rendering.settings import PreviewSettings

FEW = PreviewSettings(preview_n=2)


@pytest.fixture
def train_dir(tmp_path):
    return shutil.copytree(ROOT / "tests" / "golden" / "asmr", tmp_path / os.fsdecode(b"caf\xe9 [1]\n"))


def test_preview_in_a_folder_of_an_odd_name(train_dir, capsys):
    """What a killed preview of another step left goes; other files stay."""
    folder = train_dir / "preview"
    folder.mkdir(exist_ok=True)
    for name in (".00000007.wav.0123abcd", ".00000007.png.0123abcd", ".mine.wav.0123abcd"):
        (folder / name).touch()
    preview(train_dir, FEW)
    names = {path.name for path in folder.iterdir() if "tfevents" not in path.name}
    assert names == {".mine.wav.0123abcd", "00000020.wav", "00000020.png", "z.npy"}
    assert any("tfevents" in path.name for path in folder.iterdir())
    with open(folder / "00000020.wav", "rb") as file:
        assert soundfile.info(file).frames == 2 * 4096 + 8000
    assert capsys.readouterr().out.count("\n") == 2


def test_full_disk(train_dir, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(wave.Wave_write, "writeframes", fail)
    with pytest.raises(UserError, match=r"^cannot write previews: the disk is full\. Received: '.*00000020\.wav'\.$"):
        preview(train_dir, FEW)
    assert {path.name for path in (train_dir / "preview").iterdir()} == {"z.npy"}
