"""Models that listen to labels and measures, from the command line: trained, resumed, fine-tuned, rendered."""

import json

import numpy as np
import pytest
import soundfile
from conftest import SMALL, TINY

import loader
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.rendering.courses import Steering
from wavegan_asmr.rendering.settings import RenderSettings
from wavegan_asmr.train_dir import TrainDir

FLAGS = [*TINY, "--data_sample_rate=8000", "--train_save_secs=0"]


@pytest.fixture
def labelled(tmp_path):
    """Folders of recordings: "soft" of 6 s and "loud" of 2 s, whose noise differs by 30 dB."""
    for number, (label, level, seconds) in enumerate([("soft", 0.003, 6), ("loud", 0.1, 2)]):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True)
        noise = np.random.default_rng(number).normal(0, level, 8000 * seconds)
        soundfile.write(folder / f"{label}_0.wav", noise, 8000)
    return tmp_path / "labelled"


def weights_of(path):
    return {variable.path: variable.numpy() for variable in Generator(TrainDir(path)).network.variables}


def test_each_slice_comes_with_its_label(labelled):
    config = Config(data_dir=str(labelled), data_sample_rate=8000, data_slice_len=4096, data_labels="folder")
    recordings, _ = loader.open_configured(config)
    slices = loader.Slices.from_config(recordings, config)
    assert slices.label_names == ("loud", "soft")
    np.testing.assert_allclose(slices.label_shares, [0.25, 0.75], atol=0.07)
    x, labels = slices.read(0, 64), slices.labels(0, 64)
    assert ((np.sqrt(np.mean(x**2, axis=(1, 2))) < 0.02) == (labels == 1)).all()
    (batch,) = loader.make_dataset(slices, 8, first_batch=3, worker=1, workers=2).take(1)
    np.testing.assert_array_equal(batch[0], slices.read(56, 8))
    np.testing.assert_array_equal(batch[1], slices.labels(56, 8))


def test_labels_are_drawn_as_often_as_they_are_recorded():
    config = Config(label_names=("a", "b"), label_shares=(0.25, 0.75), data_conditions=("level",))
    family = family_of(config)
    inputs = family.draw(config, np.random.default_rng(0), 4000, truncation=0.5)
    assert inputs.shape == (4000, 103) and inputs.dtype == np.float32
    assert abs(inputs[:, :100]).max() <= 0.5
    assert set(map(tuple, inputs[:, 100:102])) == {(1, 0), (0, 1)}
    np.testing.assert_allclose(inputs[:, 100:].mean(axis=0), [0.25, 0.75, 0.5], atol=0.03)
    np.testing.assert_array_equal(family.draw(config, np.random.default_rng(0), 7, truncation=0.5), inputs[:7])


def test_from_training_to_a_file(verb, labelled, tmp_path):
    path = tmp_path / "train"
    listening = ["--data_labels=folder", "--data_conditions=level,brightness"]
    printed = verb("train", path, f"--data_dir={labelled}", *FLAGS, *listening, "--train_max_steps=2")
    assert "labels    2: loud 2" in printed and "soft 7" in printed
    config = TrainDir(path).read_config()
    assert (config.label_names, config.data_conditions) == (("loud", "soft"), ("level", "brightness"))
    # Resumed, it is what it would have been without a stop.
    verb("train", path, "--train_max_steps=5")
    verb("train", tmp_path / "at_once", f"--data_dir={labelled}", *FLAGS, *listening, "--train_max_steps=5")
    at_once = weights_of(tmp_path / "at_once")
    for name, weight in weights_of(path).items():
        np.testing.assert_array_equal(weight, at_once[name])
    assert any(name.startswith("given_") and weight.any() for name, weight in at_once.items())

    verb("preview", path, "--label=loud:0.5,soft:0.5", "--preview_n=2")
    assert (path / "preview" / "00000005-loud_0.5,soft_0.5.wav").exists()
    with pytest.raises(UserError, match="must be one label or mix"):
        verb("preview", path, "--label=loud;soft")

    file = ["--minutes=0.1", "--max_left_out=0.9", "--truncation=0.9"]
    moving = ["--label=loud; soft", "--intensity=0:0,6:1"]
    verb("generate", path, *file, *moving, f"--out={tmp_path / 'a.wav'}")
    whole, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    settings = json.loads((tmp_path / "a.json").read_text())["settings"]
    assert (settings["label"], settings["intensity"]) == ("loud; soft", "0:0,6:1")
    verb("generate", f"--from={tmp_path / 'a.json'}", "--start=2", "--end=4", f"--out={tmp_path / 'b.wav'}")
    again, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    np.testing.assert_array_equal(again, whole[16000:32000])
    with pytest.raises(UserError, match=r"#0 loud, #1 soft\. Received: 'rain'"):
        verb("generate", path, *file, "--label=rain", f"--out={tmp_path / 'c.wav'}")


def test_new_recordings_must_have_known_labels(verb, labelled, tmp_path):
    path = tmp_path / "folders"
    verb("train", path, f"--data_dir={labelled}", *FLAGS, "--data_labels=folder", "--train_max_steps=1")
    (labelled / "soft").rename(labelled / "wet")
    with pytest.raises(UserError, match=r"cannot learn new labels, .* have 'wet'; it has learned loud, soft"):
        verb("train", path, "--train_max_steps=2")
    (labelled / "wet").rename(labelled / "soft")
    path = tmp_path / "train"
    verb("train", path, f"--data_dir={labelled}", *FLAGS, "--data_labels=^(soft|loud)_", "--train_max_steps=1")
    (labelled / "loud" / "loud_0.wav").rename(labelled / "loud" / "soft_1.wav")
    verb("train", path, "--train_max_steps=2")
    (labelled / "loud" / "soft_1.wav").rename(labelled / "loud" / "rain_1.wav")
    with pytest.raises(UserError, match=r"1 of 2 recordings have no label: --data_labels finds none"):
        verb("train", path, "--train_max_steps=3")
    with pytest.raises(UserError, match="--data_labels cannot change"):
        verb("train", path, "--train_max_steps=3", "--data_labels=folder")


def test_fine_tuning_begins_to_listen(verb, labelled, tmp_path):
    """From a model that does not, and on from there; what is new is said, and all else is taken over."""
    plain, listening, again = (tmp_path / name for name in ("plain", "listening", "again"))
    data = f"--data_dir={labelled}"
    verb("train", plain, data, *FLAGS, "--train_max_steps=2")
    quick = ["--train_precision=float32", "--train_forms=table", "--train_batch_size=2"]
    begun = [data, *quick, "--train_max_steps=1", "--wavegan_genr_lr=0", "--train_ema=0"]
    tuned = ["--data_labels=folder", "--data_conditions=level"]
    printed = verb("train", listening, f"--train_init_from={plain}", *begun, *tuned)
    assert "new       what it listens to begins anew: loud, soft, level" in printed
    before, after = weights_of(plain), weights_of(listening)
    assert {name for name in after if name not in before} == {name for name in after if name.startswith("given_")}
    printed = verb("train", again, f"--train_init_from={listening}", *begun)
    assert "begins anew" not in printed
    config = TrainDir(again).read_config()
    assert config.label_names == ("loud", "soft") and config.data_conditions == ("level",)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--data_labels=(soft"], "--data_labels is not a regular expression"),
        (["--data_labels=soft"], "--data_labels must have one group"),
        (["--data_labels=(_)"], "--data_labels must find 2 to 10,000 labels. Received: 1, _"),
        (["--data_labels=^(soft)"], "1 of 2 recordings have no label"),
        (["--data_conditions=level,pitch"], "--data_conditions must be one of level, brightness"),
        (["--data_conditions=level,level"], "--data_conditions must not name one twice"),
    ],
)
def test_mistakes(verb, labelled, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        verb("train", tmp_path / "train", f"--data_dir={labelled}", *FLAGS, *flags)


@pytest.mark.parametrize("family", ["specgan", "wavenet", "lstm"])
def test_other_families_do_not_listen(verb, labelled, tmp_path, family):
    with pytest.raises(UserError, match=f"--data_labels has no effect on models of --family {family}"):
        verb("train", tmp_path / "train", f"--data_dir={labelled}", f"--family={family}", "--data_labels=folder")


@pytest.mark.slow
def test_it_learns_to_listen(verb, labelled, tmp_path):
    """Asked for soft or loud, by label or by fader, a model of minutes makes it."""
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    flags += ["--data_sample_rate=8000", "--train_max_steps=600", "--wavegan_loss=hinge", "--wavegan_genr_lr=0.002"]
    for name, asked in (("data_labels", "folder"), ("data_conditions", "level")):
        path = tmp_path / name
        verb("train", path, f"--data_dir={labelled}", *flags, f"--{name}={asked}", "--train_ema=0.9")
        generator = Generator(TrainDir(path))
        if name == "data_labels":
            soft, loud = level_db(generator, label="soft"), level_db(generator, label="loud")
        else:
            soft, loud = level_db(generator, intensity="0.1"), level_db(generator, intensity="0.95")
        assert loud - soft > 10


def level_db(generator, **settings):
    steering = Steering(generator.config, RenderSettings(**settings), "")
    inputs = generator.draw(np.random.default_rng(0), 32)
    clips = generator.clips(np.stack([steering.set(x, 0) for x in inputs]), 8)
    return 10 * np.log10(np.mean(clips**2))
