"""Manifests: what is written can be read by this version, whatever an earlier one wrote or a disk did to it."""

import copy
import dataclasses
import itertools
import json
import re

import fakes
import numpy as np
import pytest
import soundfile
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import manifest, models, render
from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings

OLD = json.loads((ROOT / "tests" / "golden" / "night.json").read_text())
"""Of the version before settings were a dataclass."""

NUMBERS = [0, -1, 1, 2, 7, 1.5, 1e-308, 1e308, -1e308, 2**63, 10**400, -(10**400), float("nan"), float("inf")]
VALUES = [*NUMBERS, None, True, "", "text", "\0", "\ud800", [], {}, [[]], [0.0], ["text"]]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    monkeypatch.setattr(models, "Generator", fakes.generators())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A finished file of two models: its manifest, and its path."""
    path = tmp_path_factory.mktemp("written") / "long.wav"
    settings = RenderSettings(seconds=2.5, stretch_s=1.0, model_fade_s=0.4, candidates=2, stereo=0.5, align=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "Generator", fakes.generators())
        render.render(["rain", "waves"], OutputSettings(out=str(path)), settings)
    return json.loads(path.with_suffix(".json").read_text()), path


@pytest.fixture
def again(tmp_path):
    """Function: renders a stretch of a manifest, a dict, again; returns its samples."""

    def run(values, start_s=None, end_s=None):
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(values))
        out = tmp_path / "stretch.wav"
        render.render_again(path, start_s, end_s, OutputSettings(out=str(out), overwrite=True))
        return soundfile.read(out, dtype="int16", always_2d=True)[0]

    return run


def changed(values, path, value):
    """A copy of a manifest with another value at a path, a string such as "pieces.0.start"."""
    *names, last = [int(name) if name.isdecimal() else name for name in path.split(".")]
    values = copy.deepcopy(values)
    place = values
    for name in names:
        place = place[name]
    place[last] = value
    return values


# What is written.


def test_manifest_is_read_as_it_was_written(written, again):
    values, path = written
    read = manifest.read(path.with_suffix(".json"))
    expected = copy.deepcopy(values)
    # Written for earlier versions, and for people.
    del expected["settings"]["stdout_format"]
    for piece in expected["pieces"]:
        del piece["start_s"]
    assert json.loads(json.dumps(dataclasses.asdict(read))) == expected
    whole, _ = soundfile.read(path, dtype="int16", always_2d=True)
    np.testing.assert_array_equal(again(values), whole)
    np.testing.assert_array_equal(again(values, 0.5, 1.25), whole[8000:20000])


def test_manifest_has_the_keys_of_earlier_ones(written):
    values, _ = written
    assert list(values) == ["sound", *OLD] and values["sound"] == "long.wav"
    # The checkpoint is in `models`, and where the file was is over.
    assert set(OLD["settings"]) - set(values["settings"]) == {"checkpoint", "overwrite", "keep_partial"}
    assert list(values["joining"]) == list(OLD["joining"])
    # What later versions know of a file comes after it.
    assert list(values["result"])[: len(OLD["result"])] == list(OLD["result"])
    for name in ("models", "pieces"):
        assert list(values[name][0]) == list(OLD[name][0])


# What is read.


def test_an_earlier_manifest_promises_less(tmp_path):
    path = tmp_path / "night.json"
    path.write_text(json.dumps(OLD))
    result = manifest.read(path).result
    assert result.lufs == OLD["result"]["lufs"]
    assert {result.quietest_lufs, result.seam_change_db, result.other_change_db, result.longest_repeat_s} == {None}
    assert result.repeats is None and result.repeats_in_2_s is None


def test_settings_of_other_versions(written, again):
    """One that an earlier version did not know has its default; one of a later version is left alone."""
    values, path = written
    whole, _ = soundfile.read(path, dtype="int16", always_2d=True)
    kept = {name: values["settings"][name] for name in ("stretch_s", "model_fade_s", "candidates", "stereo")}
    np.testing.assert_array_equal(again(changed(values, "settings", kept)), whole)
    more = changed(values, "settings", values["settings"] | {"reverb": "church"}) | {"weather": "rain"}
    np.testing.assert_array_equal(again(more), whole)
    assert (again(changed(values, "settings", {"stereo": 0.5})) != whole).any()


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("settings", [], "settings: expected object"),
        ("settings.seed", "1", "settings.seed: expected int"),
        ("settings.seed", -1, "--seed must be at least 0"),
        ("settings.bits", 7, "--bits must be one of 16, 24. Received: 7"),
        ("settings.lufs", float("nan"), "--lufs must be a number. Received: nan"),
        ("settings.fade_s", 10**400, "--fade_s|settings.fade_s"),
        ("settings.stretch_s", 1e308, "--stretch_s must be at most"),
        ("settings.model_fade_s", 30.0, "--stretch_s must be at least twice --model_fade_s"),
        ("settings.fade_s", 9.0, "a piece must be as long as two fades"),
        ("models", [], "models must name one"),
        ("models", [{"train_dir": "a", "step": 0, "digest": "none"}], "offsets must be 1, one a model. Received: 2"),
        ("models.0.digest", "other", "step 0 in 'TRAIN_DIR' is not the one that was rendered"),
        ("models.1.train_dir", "a\0b", r"models[1].train_dir must be the name of a folder"),
        ("models.1.train_dir", "\ud800", r"models[1].train_dir must be the name of a folder"),
        ("models.1.step", -1, "models[1].step must be 0 to"),
        ("sample_rate_hz", 0, "sample_rate_hz must be 1000 to 1e+06. Received: 0"),
        ("sample_rate_hz", 10**400, "sample_rate_hz must be 1000 to 1e+06"),
        ("channels", 7, "channels must be 1 to 2. Received: 7"),
        ("frames", -1, "frames must be 1 to 1e+15. Received: -1"),
        ("frames", None, "frames must be a number"),
        ("result.frames", 10**9, "result.frames must be 0 to 40000"),
        ("result.repeats", [], "result.repeats: expected"),
        ("result.repeats", {"0.5": "all"}, "result.repeats"),
        ("result.quietest_lufs", "soft", "result.quietest_lufs: expected"),
        ("joining.fade", 3000, "shorter than two fades of 3000"),
        ("joining.fade", 4096, "shorter than two fades of 4096"),
        ("joining.fade", -1, "joining.fade must be 0 to"),
        ("joining.shape", "round", "joining.shape must be equal_power or linear. Received: 'round'"),
        ("joining.align", -1, "joining.align must be 0 to"),
        ("offsets.0", [0.0, 0.0, 0.0], "offsets[0] must be 2, one a channel. Received: 3"),
        ("offsets.0.0", float("inf"), "offsets[0] must be -2 to 2. Received: inf"),
        ("line_gains_db", [0.0], "line_gains_db must be 2, one a model. Received: 1"),
        ("line_gains_db.1", float("nan"), "line_gains_db[1] must be -700 to 700. Received: nan"),
        ("master_gain_db", 1e308, "master_gain_db must be -700 to 700. Received: 1e+308"),
        ("ceiling_dbtp", 1.0, "ceiling_dbtp must be -700 to 0. Received: 1.0"),
        ("pieces", [], "pieces must name one"),
        ("pieces.3", {"line": 0, "gain_db": 0.0}, "pieces[3]: object missing required field"),
        ("pieces.3.line", 2, "pieces[3].line must be 0 to 1. Received: 2"),
        ("pieces.3.index", -1, "pieces[3].index must be 0 to"),
        ("pieces.3.start", -5000, "pieces[3].start must be"),
        ("pieces.3.skip", 4000, "pieces[3].skip must be 0 to 512. Received: 4000"),
        ("pieces.3.turn", -1, "pieces[3].turn must be 0 to"),
        ("pieces.3.correlation_in", -1.0, "pieces[3].correlation_in must be -0.5 to 1. Received: -1.0"),
        ("pieces.3.gains_db", [], "pieces[3].gains_db: its length must be 1 to"),
        ("pieces.3.gains_db", [float("nan")], "pieces[3].gains_db must be -700 to 700. Received: nan"),
    ],
)
def test_a_damaged_field_is_named(written, again, tmp_path, place, value, words):
    values, _ = written
    with pytest.raises(UserError) as raised:
        again(changed(values, place, value))
    message = str(raised.value)
    words = words.replace("TRAIN_DIR", values["models"][0]["train_dir"])
    assert any(word in message for word in words.split("|")), message
    assert str(tmp_path / "manifest.json") in message or "is not the one that was rendered" in message
    assert "\n" not in message and len(message) < 500
    assert not (tmp_path / "stretch.wav").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"a": ' * 10**5, "\ud800", '{"frames": 1' + 5000 * "0"])
def test_no_manifest(tmp_path, text):
    path = tmp_path / "manifest.json"
    path.write_text(text, errors="surrogatepass")
    with pytest.raises(UserError, match=re.escape(str(path))) as raised:
        manifest.read(path)
    assert "--from" in str(raised.value) and "\n" not in str(raised.value)


def test_a_folder_is_no_manifest(tmp_path):
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        manifest.read(tmp_path)


def places(values):
    """Yields the path of every value of a JSON tree."""
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in children:
        yield str(name)
        yield from (f"{name}.{rest}" for rest in places(value))


def mutations(values, count, seed):
    """Yields copies of a manifest with something wrong, as often in a part as in another."""
    random = np.random.default_rng(seed)
    by_part = {}
    for place in places(values):
        part = re.sub(r"\d+", "0", place)
        by_part.setdefault(part, []).append(place)
    parts = itertools.cycle(random.permutation(list(by_part)))
    for part in itertools.islice(parts, count):
        place = str(random.choice(by_part[part]))
        yield place, changed(values, place, VALUES[random.integers(len(VALUES))])


@pytest.mark.parametrize("source", ["new", "old"])
def test_any_damage_is_one_line_or_none(written, again, source):
    values = written[0] if source == "new" else OLD
    for each in (0, 1) if source == "old" else ():
        values = changed(values, f"models.{each}.digest", "none")
    refused = 0
    for place, mutated in mutations(values, 160, seed=len(source)):
        try:
            again(mutated, 0, 0.1)
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500, place
        except Exception as error:
            raise AssertionError(f"{place}: {error!r}") from error
    assert 60 < refused < 160


# Families without latent vectors.


def test_a_family_without_latents(monkeypatch, again, tmp_path):
    monkeypatch.setattr(models, "Generator", fakes.generators(fakes.Seeds))
    path = tmp_path / "asmr.wav"
    settings = RenderSettings(seconds=2.5, candidates=2, stereo=0.7)
    render.render(["seeds"], OutputSettings(out=str(path)), settings)
    whole, _ = soundfile.read(path, dtype="int16", always_2d=True)
    assert whole.shape == (40000, 2) and np.abs(whole).max() > 100
    np.testing.assert_array_equal(again(json.loads(path.with_suffix(".json").read_text()), 1, 2), whole[16000:32000])


@pytest.mark.parametrize(("name", "value"), [("latents", "walk"), ("truncation", 0.5)])
def test_a_family_without_latents_refuses_their_settings(monkeypatch, tmp_path, name, value):
    monkeypatch.setattr(models, "Generator", fakes.generators(fakes.Seeds))
    settings = RenderSettings(seconds=2.5, **{name: value})
    with pytest.raises(
        UserError, match=rf"--{name} {value} needs models with latent vectors.*a seeds, has none; leave"
    ):
        render.render(["seeds"], OutputSettings(out=str(tmp_path / "a.wav")), settings)
    assert not (tmp_path / "a.wav").exists()


def test_stereo_of_stereo_models(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "Generator", fakes.generators(data_num_channels=2))
    with pytest.raises(UserError, match=r"--stereo makes stereo of mono models.*Received: 0\.5"):
        render.render(["both"], OutputSettings(out=str(tmp_path / "a.wav")), RenderSettings(seconds=2.5, stereo=0.5))


def test_memory_is_too_small(monkeypatch, tmp_path):
    def generate(self, inputs):
        raise MemoryError

    monkeypatch.setattr(fakes.Noise, "generate", generate)
    with pytest.raises(UserError, match=r"memory is too small.*Received: noise\.$"):
        render.render(["noise"], OutputSettings(out=str(tmp_path / "a.wav")), RenderSettings(seconds=2.5))
