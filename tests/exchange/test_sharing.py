"""A shared model is what its training is, to whatever generates."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
import soundfile
import tensorflow as tf
import yaml
from conftest import ROOT, TINY

from wavegan_asmr.command_line.share import _find_facts
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation.metrics import METRICS
from wavegan_asmr.evaluation.results import Row
from wavegan_asmr.exchange.shared_model import share
from wavegan_asmr.families import FAMILIES, generators
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.rendering.preview import preview
from wavegan_asmr.rendering.settings import PreviewSettings
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training.settling import new_config

FILES = ["README.md", "config.json", "facts.json", "generator.safetensors", "seed-0.flac", "seed-1.flac", "seed-2.flac"]
FILES += ["spectrograms.png"]


@pytest.fixture
def train_dir(tmp_path):
    """A TRAIN_DIR of 20 steps, whose recordings lie beside it."""
    folder = shutil.copytree(ROOT / "tests" / "golden" / "asmr", tmp_path / "train")
    recordings = shutil.copytree(ROOT / "tests" / "golden" / "recordings", tmp_path / "my 'brooks'")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"data_dir": str(recordings)}))
    return folder


@pytest.fixture
def shared(train_dir, tmp_path):
    return share(train_dir, tmp_path / "rain model")


def averaged(train_dir):
    """The weights of the averaged generator as TensorFlow reads them from the newest checkpoint: name to array."""
    reader = tf.train.load_checkpoint(str(train_dir / "ckpt-20"))
    found = {}
    for name in reader.get_variable_to_shape_map():
        if match := re.fullmatch(r"ema/(.*)/\.ATTRIBUTES/VARIABLE_VALUE", name):
            found[match[1].replace(".S", "/")] = reader.get_tensor(name)
    return found


def front_matter(folder):
    text = pathlib.Path(folder, "README.md").read_text(encoding="utf-8")
    _, head, body = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(head), body


def test_what_it_holds(train_dir, shared):
    assert sorted(os.listdir(shared)) == FILES
    weights = safetensors.numpy.load_file(os.path.join(shared, "generator.safetensors"))
    wanted = averaged(train_dir)
    assert weights.keys() == wanted.keys() and all(np.array_equal(weights[name], wanted[name]) for name in wanted)
    assert {array.dtype.name for array in weights.values()} == {"float32"}
    text = pathlib.Path(shared, "config.json").read_text(encoding="utf-8")
    assert str(train_dir.parent) not in text and "brooks" not in text
    assert TrainDir(shared).read_config().data_slice_len == 4096
    for seed in range(3):
        generator = Generator(TrainDir(train_dir))
        clips = generator.generate(generator.draw(np.random.default_rng(seed), 4))
        sound, rate_hz = soundfile.read(os.path.join(shared, f"seed-{seed}.flac"))
        assert rate_hz == 16000 and np.abs(sound[:4096] - clips[0, :, 0]).max() < 1e-4


def test_the_same_sound_to_the_bit(train_dir, shared, tmp_path, run_here):
    for folder in (train_dir, shared):
        out = tmp_path / f"{os.path.basename(folder)}.wav"
        arguments = ["--minutes", "0.02", "--max_left_out", "0.9", "--out", out]
        assert run_here("generate.py", folder, *arguments).returncode == 0
    assert (tmp_path / "train.wav").read_bytes() == (tmp_path / "rain model.wav").read_bytes()
    # A manifest of the training finds its model in the shared folder.
    again = ["--from", tmp_path / "train.json", "--train_dir", shared, "--out", tmp_path / "again.wav"]
    assert run_here("generate.py", *again).returncode == 0
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "train.wav").read_bytes()


def test_previews_and_saved_models(train_dir, shared, verb):
    for folder in (train_dir, shared):
        preview(folder, PreviewSettings(preview_n=2))
    sounds = [pathlib.Path(folder, "preview", "00000020.wav").read_bytes() for folder in (train_dir, shared)]
    assert sounds[0] == sounds[1]
    verb("infer", shared)
    inputs = tf.random.stateless_uniform([2, 100], [1, 2], -1, 1)
    exported = tf.saved_model.load(os.path.join(shared, "infer")).signatures["serving_default"](inputs)["audio"]
    np.testing.assert_allclose(exported, Generator(TrainDir(train_dir)).generate(inputs), atol=1e-6)


def test_half_the_room(train_dir, tmp_path):
    folder = share(train_dir, tmp_path / "half", dtype="float16")
    weights = safetensors.numpy.load_file(os.path.join(folder, "generator.safetensors"))
    wanted = averaged(train_dir)
    assert all(np.array_equal(weights[name], wanted[name].astype(np.float16)) for name in wanted)
    whole, half = Generator(TrainDir(train_dir)), Generator(TrainDir(folder))
    assert half.step == whole.step and half.digest != whole.digest
    inputs = whole.draw(np.random.default_rng(0), 2)
    error = half.generate(inputs) - whole.generate(inputs)
    assert 0 < np.abs(error).max() < 0.01
    assert "stored as float16" in front_matter(folder)[1]


def test_the_card(train_dir, tmp_path):
    recordings = tmp_path / "my 'brooks'"
    (recordings / "SOURCES").write_text(
        "brook.wav: A. Recordist, CC BY 4.0\n\nhttps://example.org/{{ 1 + 1 }}\x1b[2J\n"
    )
    (train_dir / "recordings.json").write_text(
        json.dumps({"recordings": [{"digest": "a", "seconds": 60.5}, {"digest": "b", "seconds": 10}]})
    )
    last = json.loads((train_dir / "metrics.jsonl").read_text().splitlines()[-1])
    frechet = {"metric": "frechet_distance", "value": 12.5, "error": 0.5, "step": 20, "n": 200}
    with (train_dir / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(last | frechet | {"evaluation": "abc"}) + "\n")
    anchors = {"frechet_distance": {"floor": 1.25, "held_out": None, "noise": 77.5, "matched_noise": 40.0}}
    (train_dir / "eval").mkdir()
    np.savez(train_dir / "eval" / "recordings-200.npz", facts=json.dumps({"digest": "abc", "anchors": anchors}))

    def find_facts(step):
        return dataclasses.replace(_find_facts(train_dir, step), verdicts=[("dull", "the highs are lower")])

    folder = share(train_dir, tmp_path / "brook", license_="CC-BY-4.0", find_facts=find_facts)
    head, body = front_matter(folder)
    assert head["license"] == "cc-by-4.0" and head["library_name"] == "wavegan" and "wavegan" in head["tags"]
    assert head["datasets"] == ["my 'brooks'"]
    [result] = head["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "frechet_distance", "value": 12.5}]
    facts = json.loads(pathlib.Path(folder, "facts.json").read_text())
    assert facts["metrics"][0] | {"meaning": ""} == {
        "metric": "frechet_distance",
        "value": 12.5,
        "floor": 1.25,
        "noise": 77.5,
        "meaning": "",
    }
    assert (facts["recordings"], facts["seconds"], facts["n"], facts["license"]) == (2, 70.5, 200, "cc-by-4.0")
    assert facts["sources"].startswith("brook.wav: A. Recordist, CC BY 4.0\n") and facts["trained_s"] is None
    assert (
        "2 recordings, 1:10 in all, from a folder called `my 'brooks'`" in body
        and "Of 200 generated slices" in body
        and "Step 20 of" in body
    )
    assert "Verdict: dull: the highs are lower.\n" in body
    assert "| `frechet_distance` | 12.5 | 1.25 | 77.5 |" in body
    assert "    brook.wav: A. Recordist, CC BY 4.0\n\n    https://example.org/{{ 1 + 1 }}\\x1b[2J\n" in body
    assert "| `wavegan_loss` | hinge |" in body and str(tmp_path) not in body
    for name in re.findall(r"\]\(([^)]+)\)", body):
        assert os.path.exists(os.path.join(folder, name)), name


def test_a_card_of_what_is_not_known(train_dir, shared):
    head, body = front_matter(shared)
    assert head["license"] == "unknown" and "model-index" not in head
    for text in (
        "Sources and licences of the recordings: not stated.",
        "Licence of this model: not stated.",
        "Not measured.",
        "The recordings are not known.",
    ):
        assert text in body


def test_a_verdict_of_what_was_measured(train_dir, monkeypatch):
    rows = {name: Row(name, 1.0, None, 1.0, None, 10.0, 10.0, "", None) for name in METRICS}
    rows["copies"] = dataclasses.replace(rows["copies"], value=0.5)
    monkeypatch.setattr("wavegan_asmr.evaluation.recalled.recall", lambda path, step: ([*rows.values()], 256))
    facts = _find_facts(train_dir, 20)
    assert facts.verdicts == [("copies training data", "50% of the slices are copies of recorded ones, more than 5%")]
    assert [each.metric for each in facts.metrics] == [*METRICS] and facts.n == 256


def test_one_recording_and_one_sound(train_dir, tmp_path, verb):
    recordings = tmp_path / "my 'brooks'"
    recording = recordings / "brook.wav"
    (recordings / "SOURCES").write_text(f"{recording.name}: A. Recordist, CC0\nother.ogg: Someone, CC BY 4.0\n")
    config = json.loads((train_dir / "config.json").read_text())
    (train_dir / "config.json").write_text(json.dumps(config | {"data_dir": str(recording)}))
    (train_dir / "recordings.json").write_text(json.dumps({"recordings": [{"digest": "a", "seconds": 60.5}]}))
    verb("share", train_dir, tmp_path / "model", "--sounds", 1)
    assert sorted(os.listdir(tmp_path / "model")) == [
        name for name in FILES if name not in ("seed-1.flac", "seed-2.flac")
    ]
    body = front_matter(tmp_path / "model")[1]
    assert f"1 recording, 1:00 in all, called `{recording.name}`." in body
    assert "A. Recordist, CC0" in body and "Someone" not in body
    assert "(seed-0.flac)" in body and "seed-1" not in body
    with pytest.raises(UserError, match=r"--sounds must be at least 1, at most 100\. Received: 0\."):
        verb("share", train_dir, tmp_path / "other", "--sounds", 0)


@pytest.mark.parametrize(("channels", "name"), [(8, "seed-0.flac"), (9, "seed-0.wav")])
def test_more_channels_than_flac_has(tmp_path, verb, channels, name):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    x = np.random.default_rng(0).normal(0, 0.1, [16000, channels])
    soundfile.write(recordings / "x.wav", x, 16000)
    flags = [*TINY, "--data_num_channels", channels, "--train_max_steps=1"]
    verb("train", tmp_path / "train", "--data_dir", recordings, *flags)
    verb("share", tmp_path / "train", tmp_path / "model", "--sounds", 1)
    sound, rate_hz = soundfile.read(tmp_path / "model" / name)
    assert (sound.shape, rate_hz) == ((4 * 4096 + 3 * 8000, channels), 16000)


def test_the_card_says_how_to_use_it(shared):
    program = re.search(r"```python\n(.*?)```", front_matter(shared)[1], re.DOTALL)[1] + "\nprint(clips.shape)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=os.path.dirname(shared), capture_output=True, text=True, env=environment
    )
    assert process.stdout == "(4, 4096, 1)\n", process.stderr


def test_the_command(train_dir, tmp_path, verb):
    folder = tmp_path / "model"
    said = verb("share", train_dir, folder, "--checkpoint", "best")
    assert f"step 20: {folder}" in said and "sources   not stated" in said
    with pytest.raises(UserError, match=r"holds a shared model already; give another FOLDER, or --overwrite\."):
        verb("share", train_dir, folder)
    size = os.path.getsize(folder / "generator.safetensors")
    verb("share", train_dir, folder, "--overwrite", "--dtype", "float16", "--license", "mit")
    assert front_matter(folder)[0]["license"] == "mit"
    assert os.path.getsize(folder / "generator.safetensors") < 0.6 * size
    with pytest.raises(UserError, match=r"--license must be an identifier, such as cc-by-4.0 or mit\. Received: 'a b'"):
        verb("share", train_dir, tmp_path / "other", "--license", "a b")
    with pytest.raises(UserError, match="FOLDER must be a new folder"):
        verb("share", train_dir, train_dir, "--overwrite")
    with pytest.raises(UserError, match="no checkpoint of step 7"):
        verb("share", train_dir, tmp_path / "other", "--checkpoint", "7")
    assert not (tmp_path / "other").exists()


def test_it_is_not_trained_on(train_dir, shared, tmp_path, verb):
    before = sorted(os.listdir(shared))
    recordings = ["--data_dir", tmp_path / "my 'brooks'"]
    for arguments in (
        ["train", shared],
        ["train", shared, *recordings],
        ["train", tmp_path / "new", "--train_init_from", shared, *recordings],
        ["backup", shared, "--once"],
        ["share", shared, tmp_path / "again"],
    ):
        with pytest.raises(UserError, match=r"rain model' is a shared model, a generator alone"):
            verb(*arguments)
    assert sorted(os.listdir(shared)) == before and not (tmp_path / "new").exists()
    with pytest.raises(UserError, match=r"holds step 20 alone; leave out --checkpoint\. Received: best\."):
        verb("preview", shared, "--checkpoint", "best")
    with pytest.raises(UserError, match=r"rain model' is a shared model, to which no checkpoints come; leave out --w"):
        verb("preview", shared, "--watch")


def damage_weight(path):
    data = bytearray(pathlib.Path(path).read_bytes())
    data[-100] ^= 1
    pathlib.Path(path).write_bytes(data)


def write_others(path):
    safetensors.numpy.save_file({"a": np.zeros(3, np.float32)}, path, {"step": "20", "digest": "x"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weight, "is damaged: its weights are not those that were shared"),
        (lambda path: os.truncate(path, 5000), "cannot be read: "),
        (lambda path: os.truncate(path, 0), "cannot be read: "),
        (lambda path: pathlib.Path(path).write_bytes(b"\xff" * 100), "cannot be read: "),
        (write_others, r"holds another network than config.json beside it\. Received: "),
        (lambda path: safetensors.numpy.save_file({}, path), "it names no step and no digest"),
    ],
    ids=["a bit", "truncated", "empty", "garbage", "another network", "another program's"],
)
def test_damaged_files_are_named(shared, damage, message):
    path = os.path.join(shared, "generator.safetensors")
    damage(path)
    with pytest.raises(UserError, match=message) as caught:
        Generator(TrainDir(shared))
    assert path in str(caught.value)


def test_what_float16_cannot_hold_is_refused(train_dir, tmp_path, monkeypatch):
    load = generators.Generator._load

    def load_large(self, *arguments):
        load(self, *arguments)
        self.network.variables[0].assign(self.network.variables[0] + 1e5)

    monkeypatch.setattr(generators.Generator, "_load", load_large)
    with pytest.raises(UserError, match=r"holds weights that are not finite as float16; .* or --dtype float32"):
        share(train_dir, tmp_path / "model", dtype="float16")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family(family, tmp_path):
    small = {"specgan": {"data_slice_len": 16384}, "wavegan": {"wavegan_dim": 1, "wavegan_genr_pp": True}}
    given = {"family": family, "data_slice_len": 4096, "train_precision": "float32"} | small.get(family, {})
    config = FAMILIES[family].settle(new_config(given), given)
    trainer = FAMILIES[family].make_trainer(config, tf.distribute.get_strategy())
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.write_config(config)
    train_dir.save(trainer.checkpoint, 0, 1)
    trained = Generator(train_dir)
    shared = Generator(TrainDir(share(train_dir.path, tmp_path / "model")))
    assert shared.digest == trained.digest and shared.step == 0
    inputs = trained.draw(np.random.default_rng(5), 1)
    np.testing.assert_array_equal(shared.generate(inputs), trained.generate(inputs))
