"""Folders as TensorFlow takes them."""

import os

import pytest

from wavegan_asmr import tensorflow_paths
from wavegan_asmr.errors import UserError
from wavegan_asmr.tensorflow_paths import plain_folder


@pytest.mark.parametrize("name", ["rain", "雨", "a b", "$_$", "new\nline"])
def test_what_tensorflow_takes_stays(tmp_path, name):
    with plain_folder(str(tmp_path / name)) as path:
        assert path == str(tmp_path / name)


@pytest.mark.parametrize("name", ["caf\udce9", "[x]", "st*r", "wh?t", "back\\slash"])
def test_what_it_does_not_take_has_another_name(tmp_path, monkeypatch, name):
    folder, handles = str(tmp_path / name), len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError), plain_folder(folder):
        pass
    os.mkdir(folder)
    with plain_folder(folder) as path:
        assert path.isascii() and not set(path) & set("*?[]\\")
        open(os.path.join(path, "file"), "w").close()
    assert os.listdir(folder) == ["file"]
    assert len(os.listdir("/proc/self/fd")) == handles
    monkeypatch.setattr(tensorflow_paths, "_HANDLES", "/nowhere")
    with pytest.raises(UserError, match="takes no folder of such a name; rename it"), plain_folder(folder):
        pass
