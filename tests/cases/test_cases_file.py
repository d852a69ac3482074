"""The file of cases: what is read, what is refused, all at once, and what `init` writes."""

import tomllib

import pytest
import soundfile

from wavegan_asmr.cases import cases_file
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

GOOD = """
[defaults]
preset = "asmr-16k"
train_max_steps = 3
memory_gb = 1.5

[case.rain]
data_dir = "recordings/rain.wav"

[case.both]
data_dir = "recordings"
train_max_steps = 7
wavegan_genr_noise = false
wavegan_genr_noise_relative = false
cpus = 2
"""


@pytest.fixture
def write(tmp_path, recordings):
    """Function: writes a file of cases; returns its path and that of the folder of trainings."""

    def write_cases(text):
        path = tmp_path / "cases.toml"
        path.write_text(text)
        return path, tmp_path / "runs"

    return write_cases


def test_cases_have_defaults_and_their_own(write, recordings):
    rain, both = cases_file.read(*write(GOOD))
    assert (rain.name, both.name) == ("rain", "both")
    assert rain.given == {
        "preset": "asmr-16k",
        "train_max_steps": 3,
        "data_dir": str(recordings / "rain.wav"),
    }
    assert both.given["train_max_steps"] == 7 and both.given["wavegan_genr_noise"] is False
    assert (rain.resources.cpus, rain.resources.memory_gb, rain.resources.gpus) == (1, 1.5, 0)
    assert both.resources.cpus == 2


def test_a_case_without_a_budget_trains_for_an_hour(write):
    (case,) = cases_file.read(*write('[case.a]\ndata_dir = "recordings"\n'))
    assert case.given["train_max_secs"] == 3600


def test_all_mistakes_are_listed_at_once(write):
    text = """
[defaults]
train_max_steps = "three"
wavegan_dim = true
[case.gone]
data_dir = "nowhere"
[case."../above"]
data_dir = "recordings"
[case.slip]
data_dir = "recordings"
wavegan_dimm = 3
cpus = 0
train_max_secs = inf
[case.effect]
data_dir = "recordings"
wavegan_clip = 0.1
[case.none]
preset = "asmr"
[others]
"""
    with pytest.raises(UserError) as raised:
        cases_file.read(*write(text))
    first, *lines = str(raised.value).splitlines()
    assert first.startswith("10 mistakes in ") and first.endswith("cases.toml:")
    for expected in (
        "[others]: there are [defaults] and [case.NAME]",
        "[defaults]: train_max_steps must be a whole number. Received: 'three'.",
        "[defaults]: wavegan_dim must be a whole number. Received: True.",
        "[case.gone]: no such folder of recordings.",
        "[case.../above]: a name is a folder's",
        "[case.slip]: wavegan_dimm is no setting; wavegan_dim is",
        "[case.slip]: cpus must be at least 1",
        "[case.slip]: train_max_secs must be a number",
        "[case.effect]: --wavegan_clip has an effect with --wavegan_loss wgan only",
        "[case.none]: --data_dir is missing",
    ):
        assert any(line.strip().startswith(expected) for line in lines), (expected, lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no case"),
        ("case = 3", r"must be tables"),
        ("[case]\nrain = 1", r"\[case\.rain\]: must be a table"),
        ("[case.a\n", "is not TOML: "),
        ("\xff", "is not TOML"),
    ],
)
def test_what_is_no_file_of_cases(write, text, message):
    path, runs = write("")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=message):
        cases_file.read(path, runs)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"cases\.toml cannot be read: No such file"):
        cases_file.read(tmp_path / "cases.toml", tmp_path)


def test_what_cannot_change_is_said_of_a_training_that_has_begun(write):
    path, runs = write(GOOD)
    begun = TrainDir(runs / "rain")
    begun.create()
    begun.write_config(Config(data_dir=str(path.parent / "recordings"), wavegan_dim=3))
    with pytest.raises(UserError, match=r"\[case\.rain\]: --preset cannot change"):
        cases_file.read(path, runs)


def test_a_draft_has_a_case_for_each_folder(tmp_path, noise):
    for name in ("rain/a", "rain/b", "un feu de bois/c", "été/d"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / f"{name}.wav", noise(2), 16000)
    text = cases_file.draft(tmp_path / "data")
    found = tomllib.loads(text)
    assert found["defaults"] == {"preset": "asmr"}
    assert {name: case["data_dir"] for name, case in found["case"].items()} == {
        "rain": str(tmp_path / "data" / "rain"),
        "un-feu-de-bois": str(tmp_path / "data" / "un feu de bois"),
        "été": str(tmp_path / "data" / "été"),
    }
    (tmp_path / "cases.toml").write_text(text, encoding="utf-8")
    assert len(cases_file.read(tmp_path / "cases.toml", tmp_path / "runs")) == 3


def test_a_draft_has_a_case_for_each_recording_where_there_are_no_folders(recordings, noise):
    soundfile.write(recordings / "rain.flac", noise(2), 16000)
    found = tomllib.loads(cases_file.draft(recordings))["case"]
    assert {name: case["data_dir"] for name, case in found.items()} == {
        "birds": str(recordings / "birds.flac"),
        "rain": str(recordings / "rain.flac"),
        "rain-2": str(recordings / "rain.wav"),
    }


def test_a_draft_of_nothing(tmp_path):
    with pytest.raises(UserError, match="no recordings"):
        cases_file.draft(tmp_path)


def test_cases_are_remembered(write):
    path, runs = write(GOOD)
    cases = cases_file.read(path, runs)
    runs.mkdir()
    cases_file.remember(runs, cases)
    assert cases_file.recall(runs) == cases


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no cases in .*Begin them with"),
        ("{", "is damaged"),
        ("[3]", "is damaged"),
        ('[{"name": "../a", "given": {}, "resources": {}}]', r"'\.\./a' is no name"),
        ('[{"name": "a", "given": {}, "resources": {"cpus": 0}}]', "is damaged.*cpus"),
    ],
)
def test_damaged_memories(tmp_path, text, message):
    if text is not None:
        (tmp_path / "cases.json").write_text(text)
    with pytest.raises(UserError, match=message):
        cases_file.recall(tmp_path)
