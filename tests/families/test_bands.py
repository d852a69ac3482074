"""WaveGANs of bands: the same interface, other levels."""

import json

import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import SMALL, TINY
from iterating import iterate

import loader
import wavegan
from wavegan_asmr.config import Config
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
from wavegan_asmr.networks import filter_bank
from wavegan_asmr.train_dir import TrainDir

BANDS = {"data_slice_len": 8192, "wavegan_bands": 2, "data_num_channels": 2}
HIGH_DB = 27
"""How much softer the upper band of the recording is, noise of half the lower band over softer noise of all."""


@pytest.fixture
def folder(tmp_path):
    """Recordings of which the upper half of the frequencies is soft."""
    loud, soft = np.random.default_rng(0).normal(0, 0.1, [2, 32000, 2])
    low = scipy.signal.butter(20, 0.25, output="sos")
    made = tmp_path / "recordings"
    made.mkdir()
    x = scipy.signal.sosfilt(low, loud, axis=0) + 10 ** (-30 / 20) * soft
    soundfile.write(made / "bands.wav", x, 16000, subtype="FLOAT")
    return made


@pytest.fixture
def slices(folder):
    config = Config(data_dir=str(folder), **SMALL | BANDS)
    opened, _ = loader.open_recordings(folder, channels=2)
    return loader.Slices(opened, config.data_slice_len)


def make_trainer(**settings):
    config = Config(**SMALL | BANDS | {"wavegan_loss": "hinge", "wavegan_genr_texture": 1.0} | settings)
    return WaveGANTrainer(config, tf.distribute.OneDeviceStrategy("/cpu:0"))


def test_bands_begin_at_the_levels_of_the_recordings(slices):
    trainer = make_trainer()
    trainer.begin(slices)
    low, high = trainer.generator.get_layer("audio").scales.numpy()
    assert 20 * np.log10(low / high) == pytest.approx(HIGH_DB, abs=1)
    real = slices.read(0, 16)
    seen = trainer.see(tf.constant(real)).numpy().reshape(-1, 2)
    # As loud as each other, and as the audio.
    np.testing.assert_allclose(seen.std(axis=0), real.std(), rtol=0.1)
    assert np.abs(seen).max() <= 1
    np.testing.assert_array_equal(trainer.ema.get_layer("audio").scales, [low, high])


def test_what_is_seen_are_the_bands_of_what_is_heard():
    trainer = make_trainer()
    audio, seen = trainer.make(tf.constant(np.random.default_rng(1).uniform(-1, 1, [2, 4]), tf.float32))
    assert audio.shape == (2, 8192, 2) and seen.shape == (2, 4096, 4)
    hops = 2 * filter_bank.TAPS_A_BAND
    divided = trainer.see(audio)
    np.testing.assert_allclose(divided[:, hops:-hops], seen[:, hops:-hops], atol=1e-5)


@pytest.mark.parametrize("loss", ["hinge", "wgan-gp"])
def test_resuming_is_exact(slices, tmp_path, loss):
    whole, first = make_trainer(wavegan_loss=loss), make_trainer(wavegan_loss=loss)
    for trainer in (whole, first):
        trainer.begin(slices)
    metrics = iterate(whole, slices, 4)
    half = iterate(first, slices, 2)
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.save(first.checkpoint, 2, keep=5)
    second = make_trainer(wavegan_loss=loss)
    train_dir.restore(second.checkpoint)
    assert metrics == half + iterate(second, slices, 2)
    for a, b in zip(whole.ema.variables, second.ema.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(("slice_len", "bands"), [(8192, 2), (65536, 4), (65536, 16)])
def test_networks_are_those_of_short_slices(slice_len, bands):
    """But for the audio's layer all are as those of a slice of as many positions."""
    generator = wavegan.build_generator(slice_len, channels=2, dim=1, bands=bands)
    short = wavegan.build_generator(slice_len // bands, channels=2 * bands, dim=1)
    assert generator.output_shape == (None, slice_len, 2)
    assert [w.shape for w in generator.trainable_weights] == [w.shape for w in short.trainable_weights]
    assert [w.shape for w in generator.non_trainable_weights] == [(bands,)]


def test_every_verb_takes_bands(tmp_path, folder, run_here):
    train_dir = tmp_path / "train"
    tiny = [flag for flag in TINY if "slice_len" not in flag]
    flags = [*tiny, "--data_slice_len=8192", "--wavegan_bands=2", "--data_num_channels=2"]

    def run(*line):
        process = run_here(*map(str, line))
        assert process.returncode == 0, process.stderr
        return process.stdout

    run("train_wavegan.py", "train", train_dir, "--data_dir", folder, *flags, "--train_max_steps=2")
    assert json.loads((train_dir / "config.json").read_text())["wavegan_bands"] == 2
    assert "resuming  step 2" in run("train_wavegan.py", "train", train_dir, "--train_max_steps=3")
    run("preview.py", train_dir, "--preview_n=2")
    assert soundfile.info(train_dir / "preview" / "00000003.wav").channels == 2
    run("train_wavegan.py", "infer", train_dir)
    run("generate.py", train_dir, "--minutes=0.05", "--out", tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").channels == 2
    # Fine-tuning takes the levels over.
    tuned = tmp_path / "tuned"
    settings = ["--train_init_from", train_dir, "--train_max_steps=1", *(each for each in TINY if "train_" in each)]
    assert f"weights   of step 3 of {train_dir}" in run(
        "train_wavegan.py", "train", tuned, "--data_dir", folder, *settings
    )
    levels = [
        tf.train.load_variable(str(path), "ema/audio.Sscales/.ATTRIBUTES/VARIABLE_VALUE")
        for path in (train_dir / "ckpt-3", tuned / "ckpt-1")
    ]
    np.testing.assert_allclose(*levels, rtol=1e-6)
    assert levels[0][0] != 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--wavegan_bands=3"], "--wavegan_bands must be one of 1, 2, 4, 8, 16. Received: 3"),
        (["--wavegan_bands=2", "--wavegan_genr_pp"], "--wavegan_genr_pp filters audio"),
        (["--wavegan_bands=2", "--data_slice_len=4096"], "--wavegan_bands must leave at least 4096 positions"),
    ],
)
def test_mistakes(tmp_path, folder, run_here, flags, words):
    process = run_here(
        "train_wavegan.py", "train", tmp_path / "t", "--data_dir", folder, "--data_slice_len=8192", *flags
    )
    assert process.returncode == 2 and words in process.stderr
    assert not (tmp_path / "t").exists()
