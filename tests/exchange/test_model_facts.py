"""Facts of models to share: what SOURCES says, facts.json, and the tables that are made of them."""

import json
import os
import pathlib
import re
import shutil

import pytest
from conftest import ROOT

from docs import models_page
from wavegan_asmr import named_models, storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import checksums, model_card, model_facts
from wavegan_asmr.exchange.model_facts import Facts, Metric, Source
from wavegan_asmr.exchange.push import push

MOST_BYTES, MOST_BYTES_TOGETHER = 4_000_000, 50_000_000
"""Of a model that comes with the project, and of all of them."""

SOURCES = """Collected by: the application Blanket, 2022

rain.ogg: alex36917, CC BY 3.0, https://example.org/rain, cut
birds.ogg:   kvgarlic,CC0
a, b.ogg: Some One, CC BY-SA 4.0
wind.ogg: unknown
https://example.org/all, and more
"""

FACTS = Facts(
    license="cc-by-3.0",
    sources="rain.ogg: alex36917, CC BY 3.0, https://example.org/rain",
    recordings=1,
    seconds=124.578,
    trained_s=3600.5,
    n=1000,
    metrics=[Metric("frechet_distance", 12.34567, 1.25, 77.5, "how far")],
    verdicts=[("healthy", "no rule fired"), ("dull", "the highs are lower")],
)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A function that makes a model by name, without weights; returns its folder."""
    monkeypatch.setattr(named_models, "FOLDER", str(tmp_path / "models"))
    monkeypatch.setattr(models_page, "PAGE", tmp_path / "models" / "README.md")

    def make(name, facts=FACTS, **settings):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        config = {"data_sample_rate": 44100, "data_num_channels": 2} | settings
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "generator.safetensors").write_bytes(bytes(1_230_000))
        (folder / "README.md").write_text("a card")
        (folder / "seed-0.flac").write_bytes(b"")
        (folder / "spectrograms.png").write_bytes(b"")
        if facts:
            facts.write(folder)
        return folder

    return make


def test_sources_of_single_recordings():
    assert model_facts.parse_sources(SOURCES) == [
        Source("rain.ogg", "alex36917", "CC BY 3.0", "https://example.org/rain, cut"),
        Source("birds.ogg", "kvgarlic", "CC0"),
        Source("a, b.ogg", "Some One", "CC BY-SA 4.0"),
    ]


@pytest.mark.parametrize(
    ("recording", "lines"),
    [
        ("rain.ogg", [2]),
        ("wind.ogg", [5]),
        # Of one that has no line of its own, what is said of all.
        ("city.ogg", [0, 6]),
        ("ain.ogg", [0, 6]),
    ],
)
def test_the_lines_of_one_recording(tmp_path, recording, lines):
    (tmp_path / "SOURCES").write_text(SOURCES)
    (tmp_path / recording).write_bytes(b"")
    found = model_card.read_sources(str(tmp_path / recording))
    assert [line for line in found.splitlines() if line] == [SOURCES.splitlines()[number] for number in lines]
    assert model_card.read_sources(str(tmp_path)) == SOURCES.strip()


def test_a_folder_without_lines_of_single_recordings(tmp_path):
    (tmp_path / "SOURCES").write_text("All by A. Recordist, CC BY 4.0\n")
    assert model_card.read_sources(str(tmp_path / "rain.ogg")) == "All by A. Recordist, CC BY 4.0"


def test_facts_come_back(model):
    folder = model("rain")
    described = model_facts.describe(folder)
    assert described.facts == FACTS and described.name == "rain" and described.sound == "44.1 kHz stereo"
    assert described.bytes == sum(path.stat().st_size for path in folder.iterdir())
    (folder / "preview").mkdir()
    (folder / "preview" / "large.wav").write_bytes(bytes(1000))
    assert model_facts.describe(folder).bytes == described.bytes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1", "not valid JSON"),
        ("3", "not a JSON object"),
        ('{"seconds": "long"}', "seconds: expected float, got str"),
        ('{"seconds": -1}', "seconds must be from 0 to 1e+30. Received: -1.0"),
        ('{"trained_s": NaN}', "trained_s must be from 0 to 1e+30. Received: nan"),
        (
            '{"metrics": [{"metric": "rms_db", "value": Infinity}]}',
            "rms_db must be from -1e+30 to 1e+30. Received: inf",
        ),
        ('{"metrics": [{"metric": "rms_db"}]}', "missing required field value"),
        ('{"verdicts": [["healthy"]]}', "verdicts[0]"),
    ],
)
def test_damaged_facts_are_named(model, text, said):
    path = model("rain") / "facts.json"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        model_facts.describe(path.parent)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_models_are_listed(model, verb):
    model("rain")
    model("[bold]birds", None, data_sample_rate=16000, data_num_channels=1)
    head, *lines = verb("models").splitlines()
    assert re.split(r"  +", head.strip()) == [
        "model", "sound", "recordings", "their licence", "trained", "verdict", "Fréchet", "floor", "size"
    ]  # fmt: skip
    birds, rain = (re.split(r"  +", line.strip()) for line in lines)
    assert birds == ["[bold]birds", "16 kHz mono", "not stated", "1.2 MB"]
    assert rain == [
        "rain", "44.1 kHz stereo", "125 s", "CC BY 3.0", "1:00:00", "healthy, dull", "12.3", "1.25", "1.2 MB"
    ]  # fmt: skip
    # No line is folded, and nothing is left of markup.
    assert len(lines) == 2


def test_a_damaged_model_is_named_beside_the_others(model, verb, capsys):
    model("rain")
    (model("birds") / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"birds/config\.json: not valid JSON"):
        verb("models")
    assert "CC BY 3.0" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"models takes no arguments\. Received: 'rain'"):
        verb("models", "rain")


def test_the_page(model):
    assert models_page.text() is None
    model("rain")
    model("a|b", None)
    models_page.write()
    page = models_page.PAGE.read_text()
    assert (
        "| [rain](rain/README.md) | 44.1 kHz stereo: [seed-0.flac](rain/seed-0.flac), "
        "[spectrograms.png](rain/spectrograms.png) | 2:05 | 60 | healthy, dull | "
        "12.3 (floor 1.25, noise 77.5) | 1.2 MB |"
    ) in page
    assert "| rain | rain.ogg | alex36917 | CC BY 3.0 | https://example.org/rain |" in page
    assert r"| [a\|b](a\|b/README.md) |" in page and "| not known | not known | not known | not measured |" in page
    for name in ("rain", "a|b"):
        shutil.rmtree(os.path.join(named_models.FOLDER, name))
    models_page.write()
    assert not models_page.PAGE.exists()


def faults_of(folder):
    """What keeps a model from coming with the project, a list of strings."""
    model = model_facts.describe(folder)
    facts, sums = model.facts, pathlib.Path(folder, checksums.FILE)
    there = {path.name: storage.digest_of(path) for path in pathlib.Path(folder).iterdir() if path != sums}
    checks = {
        "it must make 44.1 kHz stereo": model.sound == "44.1 kHz stereo",
        "it is too large": model.bytes <= MOST_BYTES,
        "SOURCES must say author and licence of each recording": facts.recordings
        and facts.recordings == len(model_facts.parse_sources(facts.sources)),
        "its own licence must be stated": facts.license != model_facts.UNKNOWN,
        "it must be as `wavegan push` left it, for `wavegan pull`": sums.exists()
        and checksums.parse_sums(sums.read_bytes(), checksums.FILE) == there,
    }
    return [fault for fault, is_good in checks.items() if not is_good]


def test_what_comes_with_the_project():
    folders = [*map(pathlib.Path, named_models.find_all().values())]
    assert {folder.name: faults for folder in folders if (faults := faults_of(folder))} == {}
    assert sum(model_facts.describe(folder).bytes for folder in folders) <= MOST_BYTES_TOGETHER
    models = ROOT / "models"
    assert {path.name for path in models.glob("*")} <= {"README.md", *(folder.name for folder in folders)}


def test_faults_are_found(model, tmp_path):
    folder = tmp_path / "good"
    push(model("rain"), str(folder))
    assert faults_of(folder) == []
    (folder / "seed-0.flac").write_bytes(bytes(4_000_000))
    (folder / "config.json").write_text('{"data_sample_rate": 48000, "data_num_channels": 2}')
    Facts(recordings=2, sources=FACTS.sources).write(folder)
    assert len(faults_of(folder)) == 5
