"""The names of manifest and picture: short ones where they are free, and never another's."""

import json
import threading

import fakes
import pytest
import soundfile

from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import beside, models, render
from wavegan_asmr.rendering.manifest import Writer
from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings

OURS = {"settings": {}, "models": [], "sample_rate_hz": 8000, "pieces": []}
PICTURE = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x06\x04\0\0\x03\x02\x08\x06\0\0\0XXXX\0\0\0:tEXtSoftware\0Matplotlib version3"
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Function: renders half a second into a file of the working folder; returns what is said."""
    monkeypatch.setattr(models, "Generator", fakes.generators())
    monkeypatch.chdir(tmp_path)

    def run(out, capsys, **settings):
        output = OutputSettings(out=out, overwrite=settings.pop("overwrite", False))
        render.render(["noise"], output, RenderSettings(**{"seconds": 0.5, "candidates": 1, **settings}))
        return capsys.readouterr().err.splitlines()

    return run


def names(folder):
    return {path.name for path in folder.iterdir()}


def read_seed(path):
    return json.loads(path.read_text())["settings"]["seed"]


def test_a_second_sound_of_the_same_name(write, tmp_path, capsys):
    """The first keeps its files to the last byte; both are rendered again from what is beside them."""
    assert write("loop.flac", capsys)[-1].startswith("done ")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"loop.flac", "loop.json", "loop.png"}
    for overwrite in (False, True):
        said = write("loop.mp3", capsys, seed=7, overwrite=overwrite)
        assert said[-1] == "beside    its manifest is loop.mp3.json, its picture loop.mp3.png"
        assert names(tmp_path) == {*before, "loop.mp3", "loop.mp3.json", "loop.mp3.png"}
        assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert write("loop.flac", capsys, seed=3, overwrite=True)[-1].startswith("done ")
    assert names(tmp_path) == {*before, "loop.mp3", "loop.mp3.json", "loop.mp3.png"}
    seeds = {name: read_seed(tmp_path / name) for name in ("loop.json", "loop.mp3.json")}
    assert seeds == {"loop.json": 3, "loop.mp3.json": 7}
    for source in ("loop.flac", "loop.json"):
        out = OutputSettings(out="again.flac", overwrite=True)
        render.render_again(source, None, None, out)
        assert soundfile.read("again.flac")[0].tolist() == soundfile.read("loop.flac")[0].tolist()
    render.render_again("loop.mp3", None, None, OutputSettings(out="again.mp3"))
    assert (tmp_path / "again.mp3").read_bytes() == (tmp_path / "loop.mp3").read_bytes()


def test_somebody_elses_files_stay(write, tmp_path, capsys):
    (tmp_path / "a.json").write_text('{"mine": 1}')
    (tmp_path / "b.png").write_bytes(b"a photograph")
    for name in ("a.wav", "b.wav"):
        assert f"{name}.json" in write(name, capsys, overwrite=True)[-1]
    assert (tmp_path / "a.json").read_text() == '{"mine": 1}' and (tmp_path / "b.png").read_bytes() == b"a photograph"
    assert names(tmp_path) == {"a.json", "b.png"} | {f"{a}.wav{b}" for a in "ab" for b in ("", ".json", ".png")}


def test_two_that_are_rendered_at_once(write, tmp_path):
    """Both found the short names free when they began."""
    plan = render.manifest.Plan(
        settings=RenderSettings(), models=(), sample_rate_hz=8000, channels=1, frames=1, joining=None, offsets=(),
        line_gains_db=(), master_gain_db=0, ceiling_dbtp=0,
    )  # fmt: skip
    result = render.manifest.Result(1, 1, 0, 0, 0, 0, 0)
    with Writer("x.flac", plan) as first, Writer("x.mp3", plan) as second:
        assert beside.choose("x.flac").is_short and beside.choose("x.mp3").is_short
        assert names(tmp_path) == set()
        (tmp_path / "x.flac").touch()
        assert first.finish(result).manifest == "x.json"
        assert second.finish(result).manifest == "x.mp3.json"
    assert names(tmp_path) == {"x.flac", "x.json", "x.mp3.json"}


def test_names_are_chosen_one_after_the_other(tmp_path):
    chosen = []

    def choose():
        with beside.chosen(str(tmp_path / "x.mp3")) as found:
            chosen.append(found)

    other = threading.Thread(target=choose)
    with beside.chosen(str(tmp_path / "x.flac")) as found:
        other.start()
        other.join(0.2)
        assert not chosen
        (tmp_path / "x.flac").touch()
        (tmp_path / "x.json").write_text(json.dumps({"sound": "x.flac"} | OURS))
    other.join()
    assert found.is_short and not chosen[0].is_short


@pytest.mark.parametrize(
    ("there", "manifest", "chosen"),
    [
        ({}, None, "x.json"),
        ({"x.json": {"sound": "x.flac"} | OURS}, "x.json", "x.json"),
        ({"x.json": {"sound": "x.flac"} | OURS, "x.png": PICTURE}, "x.json", "x.json"),
        # Of an earlier version.
        ({"x.json": OURS}, "x.json", "x.json"),
        ({"x.json": OURS, "x.flac": ""}, "x.json", "x.json"),
        ({"x.json": OURS, "x.wav": ""}, None, "x.flac.json"),
        ({"x.json": OURS, "x.WAV": ""}, None, "x.flac.json"),
        ({"x.json": OURS, "x.txt": ""}, "x.json", "x.json"),
        # Of another sound that is there, has gone, or has another manifest: this one was copied.
        ({"x.json": {"sound": "x.wav"} | OURS, "x.wav": ""}, None, "x.flac.json"),
        ({"x.json": {"sound": "x.wav"} | OURS}, "x.json", "x.json"),
        ({"x.json": {"sound": "y.wav"} | OURS, "y.wav": "", "y.json": OURS}, "x.json", "x.json"),
        ({"x.json": {"sound": "a\0b"} | OURS}, "x.json", "x.json"),
        ({"x.json": {"sound": [7]} | OURS}, "x.json", "x.json"),
        # Once long, long.
        ({"x.flac.json": {"sound": "x.flac"} | OURS}, "x.flac.json", "x.flac.json"),
        ({"x.flac.json": {"sound": "x.flac"} | OURS, "x.json": OURS}, "x.flac.json", "x.flac.json"),
        # Not ours.
        ({"x.json": {"models": []}}, None, "x.flac.json"),
        ({"x.json": [1]}, None, "x.flac.json"),
        ({"x.json": "{"}, None, "x.flac.json"),
        ({"x.json": {"pieces": []}}, None, "x.flac.json"),
        ({"x.json": None}, None, "x.flac.json"),
        ({"x.png": PICTURE}, None, "x.flac.json"),
        ({"x.json": {"sound": "x.flac"} | OURS, "x.png": "photograph"}, "x.json", "x.flac.json"),
        ({"x.json": {"sound": "x.flac"} | OURS, "x.png": None}, "x.json", "x.flac.json"),
        # All taken.
        ({"x.json": "1", "x.flac.json": "1"}, None, None),
        ({"x.json": "1", "x.flac.png": "photograph"}, None, None),
        ({"x.json": "1", "x.flac.json": {"sound": "x.flac.wav"} | OURS, "x.flac.wav": ""}, None, None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "./", ".//"])
def test_names(tmp_path, monkeypatch, there, manifest, chosen, prefix):
    monkeypatch.chdir(tmp_path)
    for name, content in there.items():
        path = tmp_path / name
        if content is None:
            path.mkdir()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    sound = f"{prefix}x.flac"
    if chosen:
        assert beside.choose(sound).manifest == prefix + chosen
        assert beside.choose(sound).picture == prefix + chosen.replace("json", "png")
    else:
        with pytest.raises(UserError, match=r"x\.flac\.json' or .*x\.flac\.png' is there already and not of"):
            beside.choose(sound)
    if manifest:
        assert beside.find_manifest(sound) == prefix + manifest
    else:
        with pytest.raises(UserError, match=r"--from must be a \.json.*Received: '.*x\.flac'\.$"):
            beside.find_manifest(sound)
    assert beside.find_manifest("x.json") == "x.json"
