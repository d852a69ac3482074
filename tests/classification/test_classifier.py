"""The classifier of labelled recordings, and the inception score of checkpoints with it."""

import dataclasses
import json
import re
import shutil
import time

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from processes import check_mistake, tiny_settings

from wavegan_asmr.classification import classifier, files, inception, labelling
from wavegan_asmr.classification.network import Classifier
from wavegan_asmr.classification.settings import InceptionSettings, LabelSettings
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import distances, results
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.sound import plots
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop

RATE_HZ, SLICE_LEN = 8000, 4096
FLAGS = [f"--data_sample_rate={RATE_HZ}", f"--data_slice_len={SLICE_LEN}"]


def make_sound(label, number, seconds=0.7):
    """A tone, noise or clicks, another one for each number."""
    random = np.random.default_rng([number, len(label)])
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    if label == "tone":
        return 0.3 * np.sin(2 * np.pi * random.uniform(300, 2000) * t)
    if label == "noise":
        return random.normal(0, 0.1, len(t))
    return 0.5 * (random.random(len(t)) < random.uniform(5, 20) / RATE_HZ)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of three labels with ten sounds each: LABEL/LABEL_NUMBER.wav."""
    folder = tmp_path_factory.mktemp("sounds")
    for label in ("tone", "noise", "clicks"):
        (folder / label).mkdir()
        for number in range(10):
            soundfile.write(folder / label / f"{label}_{number}.wav", make_sound(label, number), RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def config(sounds, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return Config(data_dir=str(sounds), data_sample_rate=RATE_HZ, data_slice_len=SLICE_LEN, data_cache_dir=str(cache))


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """Folder of a trained classifier, which no test changes, and what training returned."""
    folder = tmp_path_factory.mktemp("classifier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_BATCH", 12)
        patch.setattr(classifier, "_MAX_EPOCHS", 6)
        return folder, classifier.train(folder, config, labelling.open_labelled(config, LabelSettings()))


@pytest.fixture(scope="module")
def trained_model(config, tmp_path_factory):
    """TRAIN_DIR of a tiny model that fits the classifier, with checkpoints 0, 1 and 2, which no test changes."""
    folder = tmp_path_factory.mktemp("model")
    places = {"data_dir": config.data_dir, "data_cache_dir": config.data_cache_dir}
    settings = tiny_settings(folder, **places, data_sample_rate=RATE_HZ, train_max_steps=2, train_save_secs=0)
    loop.train(folder / "train", settings)
    return folder / "train"


# Labels and parts.


def names_of(part):
    return {pcm.path for slices in part.slices for pcm in slices._pcms}


def test_parts_have_no_recording_in_common(config):
    labelled = labelling.open_labelled(config, LabelSettings())
    assert labelled.labels == ["clicks", "noise", "tone"]
    parts = [names_of(part) for part in (labelled.train, labelled.validation, labelled.test)]
    assert [len(part) for part in parts] == [21, 3, 6]
    assert len(set.union(*parts)) == 30
    again = labelling.open_labelled(config, LabelSettings())
    assert [names_of(part) for part in (again.train, again.validation, again.test)] == parts


def test_another_seed_chooses_other_test_files(config):
    other = labelling.open_labelled(dataclasses.replace(config, train_seed=1), LabelSettings())
    assert names_of(other.test) != names_of(labelling.open_labelled(config, LabelSettings()).test)


@pytest.mark.parametrize("pattern, data_labels", [(r"^(\w)_", ""), ("", r"^(\w)_")])
def test_labels_and_test_files_by_pattern(tmp_path, pattern, data_labels):
    """The first sample tells which file a slice is from."""
    for number in range(5):
        for label, first in (("a", 0.1), ("b", 0.6)):
            x = (first + 0.05 * number) * np.cos(np.pi * np.arange(SLICE_LEN))
            soundfile.write(tmp_path / f"{label}_take{number}.wav", x, RATE_HZ, subtype="FLOAT")
    sizes = {"data_sample_rate": RATE_HZ, "data_slice_len": SLICE_LEN}
    config = Config(data_dir=str(tmp_path), data_labels=data_labels, **sizes)
    labelled = labelling.open_labelled(config, LabelSettings(pattern, r"take[03]\.wav$"))
    assert labelled.labels == ["a", "b"]
    x, y = labelled.test.read(0, 8)
    assert y.tolist() == [0, 1] * 4
    levels = [sorted(set(x[y == label, 0, 0].round(3).tolist())) for label in (0, 1)]
    np.testing.assert_allclose(levels, [[0.1, 0.25], [0.6, 0.75]], atol=1e-3)
    rest = [slices for part in (labelled.train, labelled.validation) for slices, _ in part.batches(4)]
    np.testing.assert_allclose(np.sort(np.concatenate(rest)[:, 0, 0]), [0.15, 0.2, 0.3, 0.65, 0.7, 0.8], atol=1e-6)


def test_every_slice_of_an_epoch_comes_once(config):
    part = labelling.open_labelled(config, LabelSettings()).train
    batches = list(part.batches(5))
    assert sum(len(x) for x, _ in batches) == part.per_epoch
    slices = np.concatenate([x for x, _ in batches])
    assert len(np.unique(slices, axis=0)) == len(slices)
    fewer = [label for x, label in part.batches(5, most=6) for _ in x]
    assert fewer == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "flags, words",
    [
        ("", "--data_dir is missing"),
        ("--data_dir {}/none", "no such folder"),
        ("--data_dir {}/sounds/tone", "10 of 10 recordings have no label|folder with the label's name|tone_0.wav"),
        ("--data_dir {}/sounds --label_pattern (tone)_", "20 of 30 recordings have no label|clicks_0.wav"),
        ("--data_dir {}/sounds --label_pattern ([a-z]+", "--label_pattern is not a regular expression|([a-z]+"),
        ("--data_dir {}/sounds --label_pattern [a-z]+", "one group|[a-z]+"),
        ("--data_dir {}/sounds --test_pattern )", "--test_pattern is not a regular expression"),
        ("--data_dir {}/sounds --test_pattern tone", "too few recordings of 'clicks'|Received: 9, 1, 0"),
        ("--data_dir {}/sounds --label_pattern (_)", "two labels or more|'_' alone|30 recordings"),
        ("--data_dir {}/sounds --label_pattern (.*)", "too few recordings of 'clicks_0.wav'|Received: 0, 0, 1"),
        ("--data_dir {}/sounds --data_slice_len 8192", "label 'clicks'|shorter than a slice|5600"),
        ("--data_dir {}/sounds --label_patern x", "label_patern|--help"),
    ],
)
def test_bad_input(command, sounds, tmp_path, flags, words):
    (tmp_path / "sounds").symlink_to(sounds)
    line = [flag.format(tmp_path) for flag in flags.split()]
    process = command("classifier.py", "train", tmp_path / "classifier", *FLAGS, *line, check=False)
    check_mistake(process, *words.split("|"))
    assert not (tmp_path / "classifier").exists()


@pytest.mark.parametrize("arguments", [[], ["train"], ["score", "folder"], ["train", "a", "b"]])
def test_wrong_arguments(command, arguments):
    check_mistake(command("classifier.py", *arguments, check=False), "classify train FOLDER", " ".join(arguments))


# The network and its files.


def test_learns_what_sounds_differ_in(trained, config):
    folder, result = trained
    assert result.test_accuracy == 1
    new = [make_sound(label, 1000, SLICE_LEN / RATE_HZ) for label in ("clicks", "noise", "tone")]
    loaded = files.load(folder).classifier
    probabilities = loaded.probabilities(np.float32(new)[:, :, None])
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_files(trained):
    folder, result = trained
    assert {path.name for path in folder.iterdir()} == {
        "classifier.json",
        "weights.npz",
        "probabilities.npz",
        "confusion.png",
    }
    facts = json.loads((folder / "classifier.json").read_text())
    assert facts == {
        "labels": ["clicks", "noise", "tone"],
        "sample_rate_hz": RATE_HZ,
        "slice_len": SLICE_LEN,
        "channels": 1,
        "test_accuracy": 1.0,
        "test_accuracies": {"clicks": 1.0, "noise": 1.0, "tone": 1.0},
    }
    assert tf.io.decode_png((folder / "confusion.png").read_bytes()).shape[0] > 100
    x = np.random.default_rng(0).normal(0, 0.1, [5, SLICE_LEN, 1]).astype(np.float32)
    loaded = files.load(folder)
    np.testing.assert_array_equal(loaded.classifier.probabilities(x), result.classifier.probabilities(x))
    for name in ("test", "train"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result, name))
    assert len(loaded.test) == 6
    # In random order, so that each split of an inception score holds all labels.
    assert len(set(loaded.train[:10].argmax(axis=1))) == 3


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["weights.npz", "probabilities.npz"])
def test_loading_executes_nothing(trained, tmp_path, name):
    folder = shutil.copytree(trained[0], tmp_path / "classifier")
    with np.load(folder / name) as file:
        arrays = {each: np.array([Bomb(tmp_path / "executed")], object) for each in file.files}
    np.savez(folder / name, **arrays)
    with pytest.raises(UserError, match="damaged"):
        files.load(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name, content",
    [
        ("classifier.json", b""),
        ("classifier.json", b"[]"),
        ("classifier.json", b'{"labels": ["a", "b"]}'),
        ("classifier.json", b'{"labels": 7, "sample_rate_hz": 8000, "slice_len": 4096, "channels": 1}'),
        (
            "classifier.json",
            b'{"labels": ["a", "b"], "sample_rate_hz": 8000, "slice_len": 4096, "channels": 1, "test_accuracy": 1}',
        ),
        ("weights.npz", b""),
        ("weights.npz", b"PK\x03\x04torn"),
        ("probabilities.npz", b"zero"),
    ],
)
def test_damaged_files(trained, tmp_path, name, content):
    folder = shutil.copytree(trained[0], tmp_path / "classifier")
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(folder)) + ".*is damaged"):
        files.load(folder)


def test_a_slice_is_classified_alike_in_any_batch():
    """Levels must not be relative to the loudest slice of a batch."""
    # Some untrained networks are sure of one label, and say so of every slice.
    keras.utils.set_random_seed(0)
    classifier = Classifier(["a", "b", "c"], RATE_HZ, SLICE_LEN, 2)
    random = np.random.default_rng(0)
    quiet = random.normal(0, 1e-4, [1, SLICE_LEN, 2]).astype(np.float32)
    loud = random.normal(0, 0.5, [3, SLICE_LEN, 2]).astype(np.float32)
    alone = classifier.probabilities(quiet)
    np.testing.assert_allclose(classifier.probabilities(np.concatenate([quiet, loud]))[:1], alone, atol=1e-6)
    assert not np.allclose(classifier.probabilities(quiet[:, :, ::-1]), alone, atol=1e-6)


@pytest.mark.parametrize("sample_rate_hz, slice_len", [(1000, 4096), (16000, 16384), (44100, 65536), (192000, 4096)])
def test_network_takes_all_rates(sample_rate_hz, slice_len):
    classifier = Classifier(["a", "b"], sample_rate_hz, slice_len, 1)
    probabilities = classifier.probabilities(np.zeros([1, slice_len, 1], np.float32))
    assert np.isfinite(probabilities).all()


def test_augmentation():
    n, samples = 500, 2000
    pulses = np.zeros([n, samples, 1], np.float32)
    pulses[:, 1000] = 0.9
    x = classifier.augment(pulses, np.random.default_rng(0))
    assert x.shape == pulses.shape
    assert x.dtype == np.float32
    places, peaks_db = x[:, :, 0].argmax(axis=1), 20 * np.log10(x.max(axis=(1, 2)) / 0.9)
    assert 800 <= places.min() < 820
    assert 1180 < places.max() <= 1200
    assert -6.5 < peaks_db.min() < -5.5
    assert 5.5 < peaks_db.max() < 6.5
    noise = classifier.augment(np.zeros_like(pulses), np.random.default_rng(1))
    noise_db = 20 * np.log10(noise.std(axis=(1, 2)))
    assert -80.5 < noise_db.min() < -79
    assert -41 < noise_db.max() < -39.5


def test_confusion_matrix_of_odd_labels():
    figure = plots.confusion_matrix(np.array([[3, 1], [0, 4]]), ["a$b$", "été_"], "title")
    assert plots.png(figure).startswith(b"\x89PNG")
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells == ["3", "1", "0", "4"]


# The inception score of checkpoints.


def incept(train_dir, classifier, n=5000, splits=10, **chosen):
    """Scores every checkpoint unless told another."""
    settings = InceptionSettings(incept_classifier=str(classifier), incept_n=n, incept_k=splits)
    inception.incept(train_dir, settings, **{"every": True} | chosen)


@pytest.fixture
def train_dir(trained_model, tmp_path):
    """A copy of the tiny model's TRAIN_DIR."""
    return shutil.copytree(trained_model, tmp_path / "train")


def scores_in(text):
    """Scores by name of a table that incept printed."""
    return {name.strip(): float(score) for name, score in re.findall(r"^  (\S.*?)  +(\d+\.\d+)", text, re.M)}


def test_incept(train_dir, trained, capsys):
    incept(train_dir, trained[0], n=50, splits=5)
    printed = capsys.readouterr().out
    scores = scores_in(printed)
    assert list(scores) == [
        "real test set",
        "real training set",
        "silence",
        "white noise",
        "step 0",
        "step 1",
        "step 2",
    ]
    assert scores["silence"] == 1
    assert 1 <= scores["white noise"] < 1.5
    assert scores["real training set"] > 2.5
    assert "test accuracy 100.0%" in printed

    # One by one and by the definition, with plain loops.
    classifier, config = files.load(trained[0]).classifier, TrainDir(train_dir).read_config()
    z = np.random.default_rng([config.train_seed, inception._INPUTS]).uniform(-1, 1, [50, 4]).astype(np.float32)
    for step, lines in zip((0, 1, 2), (train_dir / results.FILE).read_text().splitlines(), strict=True):
        generator = Generator(TrainDir(train_dir), step)
        p = np.float64(classifier.probabilities(generator.clips(z, len(z))))
        expected = []
        for part in p.reshape(5, 10, 3):
            divergences = [sum(row[y] * np.log(row[y] / part[:, y].mean()) for y in range(3)) for row in part]
            expected.append(np.exp(np.mean(divergences)))
        record = json.loads(lines)
        assert record["value"] == pytest.approx(np.mean(expected), rel=1e-4)
        assert record["error"] == pytest.approx(np.std(expected), abs=1e-4)
        assert (record["metric"], record["step"], record["checkpoint"]) == ("inception_score", step, f"ckpt-{step}")
        assert record["n"] == 50
    history = results.read_history(train_dir)["inception_score"]
    best = max(history, key=lambda each: each[1])
    assert f"best      step {best[0]}, {best[1]:.2f}" in printed
    events = [
        (event.step, value.tag)
        for path in (train_dir / "eval").glob("events.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    assert sorted(events) == [(step, "eval/inception_score") for step in (0, 1, 2)]


def test_incept_of_real_slices_scores_as_the_real_set(trained, config, monkeypatch, train_dir, capsys):
    """A perfect generator scores what its classifier's training set scores."""
    part, read = labelling.open_labelled(config, LabelSettings()).train, []

    def clips(self, inputs, batch_size):
        first = sum(read)
        read.append(len(inputs))
        return part.read(first, len(inputs))[0]

    monkeypatch.setattr(Generator, "clips", clips)
    incept(train_dir, trained[0], n=300, splits=3, checkpoint=2, every=False)
    scores = scores_in(capsys.readouterr().out)
    assert scores["step 2"] == pytest.approx(3, abs=0.2)
    assert distances.inception_score(trained[1].train, 1)[0] == pytest.approx(3, abs=0.2)


def test_a_model_with_labels_is_asked_for_them(trained, config, monkeypatch, train_dir, capsys):
    """Of a perfect model, and of one whose first two labels are each other's."""
    part = labelling.open_labelled(config, LabelSettings()).train
    names = ("tone", "noise", "clicks")
    asked_for = [("clicks", "noise", "tone").index(name) for name in names]
    stored = dataclasses.replace(TrainDir(train_dir).read_config(), label_names=names, label_shares=(0.2, 0.5, 0.3))
    monkeypatch.setattr(TrainDir, "read_config", lambda self: stored)

    def load(self, *_):
        self.config, self.step, self.family = stored, 2, family_of(stored)

    def clips(self, inputs, batch_size):
        places = inputs[:, stored.wavegan_latent_dim :].argmax(axis=1)
        return np.concatenate([part.slices[asked_for[place]].read(k, 1) for k, place in enumerate(places)])

    monkeypatch.setattr(Generator, "__init__", load)
    monkeypatch.setattr(Generator, "clips", clips)
    incept(train_dir, trained[0], n=200, splits=2, checkpoint=2, every=False)
    printed = capsys.readouterr().out
    assert float(re.search(r"labels    step 2: ([\d.]+)% of 200 slices as asked", printed)[1]) > 95
    assert (train_dir / "eval" / "confusion-2.png").read_bytes().startswith(b"\x89PNG")
    asked_for[:2] = asked_for[1::-1]
    incept(train_dir, trained[0], n=200, splits=2, checkpoint=2, every=False)
    assert 20 < float(re.search(r"step 2: ([\d.]+)% of 200", capsys.readouterr().out)[1]) < 40
    stored = dataclasses.replace(stored, label_names=("tone", "noise", "bells"))
    incept(train_dir, trained[0], n=20, splits=2, checkpoint=2, every=False)
    assert "the classifier does not know 'bells'" in capsys.readouterr().out


def test_scores_of_another_classifier_do_not_compare(train_dir, trained, config, tmp_path):
    """The history holds both, and reads back those of the one that scored more checkpoints."""
    incept(train_dir, trained[0], n=10, splits=2)
    incept(train_dir, trained[0], n=10, splits=2, checkpoint=1, every=False)
    scores = results.read_history(train_dir)
    folder = shutil.copytree(trained[0], tmp_path / "classifier")
    other = files.load(folder)
    weight = other.classifier.network.weights[-1]
    weight.assign(2 * weight + 1)
    files.save(folder, other, np.eye(3, dtype=int))
    incept(train_dir, folder, n=10, splits=2, checkpoint=1, every=False)
    assert results.read_history(train_dir) == scores
    assert len((train_dir / results.FILE).read_text().splitlines()) == 5


def test_watch_scores_each_checkpoint_once(train_dir, trained, monkeypatch):
    """A checkpoint that comes while others are scored is scored too."""
    waits = []

    def wait(seconds):
        waits.append(seconds)
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copyfile(train_dir / f"ckpt-2{suffix}", train_dir / f"ckpt-{2 + len(waits)}{suffix}")
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    with pytest.raises(KeyboardInterrupt):
        incept(train_dir, trained[0], n=4, splits=2, watch=True)
    assert [step for step, _, _ in results.read_history(train_dir)["inception_score"]] == [0, 1, 2, 3, 4]


def test_generator_that_has_diverged(trained, train_dir, monkeypatch):
    def clips(self, inputs, batch_size):
        return np.full([len(inputs), SLICE_LEN, 1], np.nan, np.float32)

    monkeypatch.setattr(Generator, "clips", clips)
    with pytest.raises(UserError, match="step 0 makes samples that are not numbers"):
        incept(train_dir, trained[0], n=4, splits=2)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("data_sample_rate", 16000, "sample rate, Hz: 8000 of the classifier, 16000 of the model"),
        ("data_slice_len", 16384, "slice length, samples: 4096 of the classifier, 16384 of the model"),
        ("data_num_channels", 2, "channels: 1 of the classifier, 2 of the model"),
    ],
)
def test_classifier_that_does_not_fit(trained, train_dir, name, value, words):
    path = train_dir / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(UserError, match=words):
        incept(train_dir, trained[0])
    assert not (train_dir / results.FILE).exists()


def test_mistakes_before_anything_is_generated(trained, train_dir, tmp_path):
    with pytest.raises(UserError, match=r"--incept_k must be at most --incept_n.*Received: 5 and 4"):
        incept(train_dir, trained[0], n=4, splits=5)
    with pytest.raises(UserError, match=r"no classifier in .*classifier\.json is missing.*classifier\.py train"):
        incept(train_dir, tmp_path / "none")
    for path in train_dir.glob("ckpt-*"):
        path.unlink()
    with pytest.raises(UserError, match="no checkpoint yet"):
        incept(train_dir, trained[0])


def test_command_lines(command, sounds, trained_model, tmp_path):
    """Trains for a moment and scores one checkpoint; the classifier is missing, or does not fit."""
    folder, train_dir = tmp_path / "classifier", shutil.copytree(trained_model, tmp_path / "train")
    process = command("classifier.py", "train", folder, "--data_dir", sounds, *FLAGS, "--train_max_secs=1")
    assert re.search(r"^  tone  +\d+\.\d% .* of 2$", process.stdout, re.M)
    assert re.search(r"^accuracy  \d+\.\d\d% of 6 test slices", process.stdout, re.M)
    line = ["train_wavegan.py", "incept", train_dir]
    check_mistake(command(*line, check=False), "--incept_classifier is missing", "classify train")
    line += [f"--incept_classifier={folder}", "--incept_n=8", "--incept_k=2", "--checkpoint=1"]
    scored = command(*line)
    assert list(scores_in(scored.stdout))[4:] == ["step 1"]
    assert scored.stdout.splitlines()[-1].startswith("best      step 1, ")
    path = folder / "classifier.json"
    path.write_text(path.read_text().replace(f"{RATE_HZ}", "16000"))
    check_mistake(command(*line, check=False), "16000 of the classifier, 8000 of the model")
