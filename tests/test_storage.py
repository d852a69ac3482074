"""Files that are whole or not there, and JSON that is checked."""

import pathlib

import pytest

from wavegan_asmr import storage


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failed_writing_leaves_the_old_file(tmp_path, error):
    (tmp_path / "x").write_text("old")
    with pytest.raises(error), storage.replace_atomically(tmp_path / "x") as temporary:
        pathlib.Path(temporary).write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"


def test_writing_replaces_the_file(tmp_path, monkeypatch):
    """Until the block ends the old content is there; the new file is readable by all."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("old")
    with storage.replace_atomically("x") as temporary, open(temporary, "w") as file:
        file.write("new")
        assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "new"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
