"""Tags, as other programs read them: what a sound was made of, and nothing of where and when."""

import dataclasses
import functools

import fakes
import pytest
from players import read_tags

from wavegan_asmr.rendering import tags
from wavegan_asmr.rendering.formats import FORMATS
from wavegan_asmr.rendering.models import Identity
from wavegan_asmr.rendering.settings import RenderSettings

SHORT = ["--minutes=0.05", "--candidates=1", "--fade_in_s=0.1", "--fade_out_s=0.1"]


@pytest.fixture
def generate(run_here, monkeypatch):
    """Function: generate.py with models that need no training."""
    fakes.install(monkeypatch)

    def run(*arguments):
        process = run_here("generate.py", *arguments)
        assert process.returncode == 0, process.stderr

    return run


@pytest.mark.parametrize("ending", FORMATS)
def test_tags_of_a_file(generate, tmp_path, ending):
    """The same settings under two names, and from the manifest, are the same bytes, which hold no name."""
    first, second, again = (tmp_path / f"{name}{ending}" for name in ("evening", "morning", "again"))
    for path in (first, second):
        generate("./secretly", "models/hidden", *SHORT, "--seed=7", "--layout=mix", "--gains_db=0,-6.5", "--out", path)
    generate("--from", first.with_suffix(".json"), "--out", again)
    found = read_tags(first)
    assert (found["title"], found["artist"]) == ("ASMR, seed 7", "WaveGAN")
    chosen = "seconds=3 layout=mix gains_db=0,-6.5 candidates=1 fade_in_s=0.1 fade_out_s=0.1"
    assert found["comment"] == f"seed=7 {chosen}; step=0 sha256=none; step=0 sha256=none"
    data = first.read_bytes()
    assert second.read_bytes() == data and again.read_bytes() == data
    for word in (b"evening", b"secretly", b"hidden", bytes(tmp_path)):
        assert word not in data


def test_tags_of_a_stretch(generate, tmp_path):
    generate("./noise", *SHORT, "--out", tmp_path / "whole.flac")
    generate("--from", tmp_path / "whole.json", "--start=0.5", "--end=1.5", "--out", tmp_path / "stretch.flac")
    whole, stretch = (read_tags(tmp_path / f"{name}.flac") for name in ("whole", "stretch"))
    assert stretch["comment"] == whole["comment"].replace(";", " stretch_s=0.500,1.500;")


def test_other_sounds_have_other_tags():
    plain = RenderSettings(seconds=60.0)
    model = Identity("a", 1000, 64 * "a")
    others = [
        (dataclasses.replace(plain, seed=1), [model], None),
        (dataclasses.replace(plain, loop=True), [model], None),
        (dataclasses.replace(plain, lufs=-20.0), [model], None),
        (plain, [dataclasses.replace(model, step=2000)], None),
        (plain, [dataclasses.replace(model, digest=64 * "b")], None),
        (plain, [model, model], None),
        (plain, [model], (0.0, 5.0)),
    ]
    found = {tags.describe(*each).comment for each in [(plain, [model], None), *others]}
    assert len(found) == 1 + len(others)
    assert tags.describe(plain, [dataclasses.replace(model, train_dir="b")]) == tags.describe(plain, [model])
    assert tags.describe(others[1][0], []).comment == "seed=0 seconds=60 loop"
    assert tags.describe(plain, [model]).comment == f"seed=0 seconds=60; step=1000 sha256={64 * 'a'}"


def test_comments_end():
    describe = functools.partial(tags.describe, RenderSettings(gains_db=(-1.5,) * 999))
    comment = describe([Identity("a", 1, 64 * "a")] * 999).comment
    assert len(comment) == 1000 and comment.endswith("...")
    assert comment.startswith("seed=0 gains_db=-1.5,-1.5,")
