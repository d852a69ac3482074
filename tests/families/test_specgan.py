"""SpecGAN against the arrays of the reference and NumPy, and through every verb."""

import json

import keras
import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import REFERENCE
from iterating import iterate
from test_wavegan import load_reference

import loader
import wavegan
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.families.specgan import networks
from wavegan_asmr.families.specgan.family import SpecGAN
from wavegan_asmr.families.specgan.trainer import SpecGANTrainer
from wavegan_asmr.networks import griffin_lim
from wavegan_asmr.networks.losses import LOSSES
from wavegan_asmr.train_dir import TrainDir

SMALL = {
    "family": "specgan",
    "wavegan_dim": 2,
    "wavegan_latent_dim": 4,
    "train_batch_size": 2,
    "wavegan_disc_nupdates": 2,
    "train_precision": "float32",
    "train_forms": "table",
}
FLAGS = [f"--{name}={value}" for name, value in SMALL.items()] + ["--train_summary_secs=1000"]
BINS = 129


@pytest.fixture
def arrays():
    return np.load(REFERENCE / "arrays" / "specgan.npz")


@pytest.fixture
def slices(recordings):
    opened, _ = loader.open_recordings(recordings)
    return loader.Slices(opened, networks.SLICE_LEN)


@pytest.fixture
def spectrograms(arrays):
    """The layer with the moments of the reference."""
    layer = networks.Spectrograms()
    layer.build([None, 128, 128, 1])
    layer.means.assign(arrays["mean"])
    layer.deviations.assign(arrays["std"])
    return layer


def make_trainer(**settings):
    return SpecGANTrainer(Config(**SMALL | settings), tf.distribute.OneDeviceStrategy("/cpu:0"))


# The reference.


def of_network(arrays, letter):
    return {key: value for key, value in arrays.items() if key.startswith(f"var:{letter}/")}


def test_generator_equals_reference(arrays):
    settings = json.loads(str(arrays["config"]))
    generator = networks.build_generator(1, settings["latent_dim"], settings["dim"])
    pictures = keras.Model(generator.input, generator.get_layer("spectrogram").output)
    load_reference(pictures, of_network(arrays, "G"))
    np.testing.assert_allclose(pictures(arrays["z"]), arrays["G_z"], atol=1e-4, rtol=0)


def test_discriminator_equals_reference(arrays):
    settings = json.loads(str(arrays["config"]))
    discriminator = networks.build_discriminator(1, settings["dim"])
    load_reference(discriminator, of_network(arrays, "D"))
    np.testing.assert_allclose(discriminator(arrays["x"]), arrays["D_x"], atol=1e-4, rtol=0)


def test_spectrograms_equal_reference(arrays, spectrograms):
    found = spectrograms.invert(tf.constant(arrays["audio"]))
    np.testing.assert_allclose(found, arrays["spectrogram"], atol=1e-4, rtol=0)


def test_griffin_lim_equals_reference(arrays, spectrograms):
    audio = spectrograms(arrays["spectrogram"])
    np.testing.assert_allclose(audio, arrays["audio_griffin_lim_16"], atol=1e-3, rtol=0)


# SciPy and NumPy.


def test_log_magnitudes_are_scipys():
    audio = np.random.default_rng(0).normal(0, 0.1, [2, networks.SLICE_LEN, 2]).astype(np.float32)
    found = networks.log_magnitudes(tf.constant(audio)).numpy()
    assert found.shape == (2, 2, 128, BINS)
    padded = np.pad(audio, [[0, 0], [0, networks.WINDOW_LEN], [0, 0]])
    window = scipy.signal.get_window("hann", networks.WINDOW_LEN)
    for frame in (0, 5, 127):
        part = padded[:, frame * networks.HOP :][:, : networks.WINDOW_LEN]
        expected = np.log(np.abs(np.fft.rfft(part * window[:, None], axis=1)) + 1e-6)  # [batch, bins, channels]
        np.testing.assert_allclose(found[:, :, frame], expected.transpose(0, 2, 1), atol=2e-3)


def test_iterations_come_nearer_to_the_magnitudes():
    """Of noise, and divided by the sum of squared windows, as Griffin-Lim itself does it not."""
    x = scipy.signal.lfilter([1], [1, -0.9], np.random.default_rng(0).normal(0, 0.1, networks.SLICE_LEN))
    wanted = np.exp(networks.log_magnitudes(tf.constant(x[None, :, None], tf.float32)).numpy()[:, 0])
    window = scipy.signal.get_window("hann", networks.WINDOW_LEN)
    squares = np.tile(window[: networks.HOP] ** 2 + window[networks.HOP :] ** 2, 128)

    def off(iterations):
        audio = griffin_lim.reconstruct(tf.constant(wanted), networks.WINDOW_LEN, networks.HOP, iterations).numpy()
        found = np.exp(networks.log_magnitudes(tf.constant(audio[..., None] / squares[:, None], tf.float32)).numpy())
        return np.linalg.norm((found[:, 0] - wanted)[:, 2:-2]) / np.linalg.norm(wanted[:, 2:-2])

    distances = [off(iterations) for iterations in (0, 4, 16)]
    assert distances[0] > 1.5 * distances[1] and distances[1] > distances[2]
    assert distances[2] < 0.25


def test_moments_are_those_of_all_slices(slices):
    trainer = make_trainer()
    trainer.begin(slices)
    x = np.log(np.exp(networks.log_magnitudes(tf.constant(slices.read(0, slices.per_epoch))).numpy(), dtype=float))
    x = x.reshape(-1, BINS)
    layer = trainer.ema.get_layer("audio")
    np.testing.assert_allclose(layer.means, x.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(layer.deviations, x.std(axis=0), atol=1e-4)
    seen = trainer.see(tf.constant(slices.read(0, 4))).numpy()
    assert seen.shape == (4, 128, 128, 1) and np.abs(seen).max() <= 1 and 0.2 < seen.std() < 0.4


# One dimension and two.


def test_the_papers_two_networks_have_as_many_weights_and_operations():
    """WaveGAN is DCGAN flattened: filters of 25 for 5 x 5, strides of 4 for 2 x 2, layer by layer."""
    flat = [wavegan.build_generator(), wavegan.build_discriminator()]
    square = [networks.build_generator(), networks.build_discriminator()]
    for one, two, weights in zip(flat, square, (19_065_345, 17_427_969)):
        assert one.count_params() == weights
        # Moments are no weights: nothing learns them.
        assert sum(np.prod(each.shape) for each in two.trainable_variables) == weights
        counted = [count_operations(each) for each in (one, two)]
        assert counted[0] == counted[1] and len(counted[0]) == 6


def count_operations(network):
    """Multiply-adds of each layer with a kernel: of weights, times the positions at which they are used."""
    counts = []
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        shape = layer.kernel.shape
        # A transposed convolution uses each weight at every position of its input, a convolution of its output.
        used = layer.input if "Transpose" in type(layer).__name__ else layer.output
        positions = 1 if len(shape) == 2 else np.prod(used.shape[1:-1])
        counts.append((layer.name, int(np.prod(shape) * positions)))
    return counts


def test_receptive_field_is_what_an_output_depends_on():
    config = Config(**SMALL)
    discriminator = SpecGAN().build_discriminator(config)
    last = keras.Model(discriminator.input, discriminator.get_layer("downconv_4").output)
    x = tf.random.stateless_normal([1, 128, 128, 1], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(last(x)[:, 2])
    frames = np.flatnonzero(np.abs(tape.gradient(y, x).numpy()).sum(axis=(0, 2, 3)))
    seen = (frames[-1] - frames[0]) * networks.HOP + networks.WINDOW_LEN
    # Here it is cut off at the edges: 128 frames are less than 125 to both sides.
    assert seen <= SpecGAN().receptive_field(config) == 124 * networks.HOP + networks.WINDOW_LEN


# Training.


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_resumes_exactly(slices, tmp_path, loss):
    settings = {"wavegan_loss": loss, "wavegan_gp_lambda": 0.1} | (
        {"wavegan_batchnorm": True} if loss == "dcgan" else {}
    )
    whole, first, second = (make_trainer(**settings) for _ in range(3))
    for each in (whole, first):
        each.begin(slices)
    metrics = iterate(whole, slices, 4)
    assert all(np.isfinite(list(each.values())).all() for each in metrics)
    half = iterate(first, slices, 2)
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.save(first.checkpoint, 2, keep=5)
    train_dir.restore(second.checkpoint)
    assert half + iterate(second, slices, 2) == metrics
    for a, b in zip(whole.ema.variables, second.ema.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_learning_lowers_the_critics_loss(slices):
    """A critic against a generator that stands still separates real from fake."""
    trainer = make_trainer(wavegan_genr_lr=0.0, wavegan_disc_lr=1e-3)
    trainer.begin(slices)
    metrics = iterate(trainer, slices, 15)
    assert metrics[-1]["wasserstein"] > metrics[0]["wasserstein"] + 0.5
    assert metrics[-1]["D_loss"] < metrics[0]["D_loss"]


# The verbs.


def test_all_verbs(verb, recordings, tmp_path):
    train_dir, data = tmp_path / "train", f"--data_dir={recordings}"
    printed = verb("train", train_dir, data, "--train_max_steps=2", *FLAGS)
    assert "critic" in printed and "sees 1008 ms at a time" in printed
    printed = verb("train", train_dir, "--train_max_steps=3")
    assert "resuming  step 2" in printed and "moments   of the recordings that the weights began with" in printed
    verb("preview", train_dir)
    samples, rate_hz = soundfile.read(train_dir / "preview" / "00000003.wav")
    assert rate_hz == 16000 and np.abs(samples).max() > 0
    assert "frechet_distance" in verb("evaluate", train_dir, "--eval_n=100")
    out = tmp_path / "a.flac"
    verb("generate", train_dir, "--minutes=0.1", f"--out={out}", "--latents=walk")
    assert soundfile.info(out).frames == 96000
    verb("infer", train_dir)
    infer = tf.saved_model.load(str(train_dir / "infer")).signatures["serving_default"]
    assert infer(z=tf.zeros([2, 4]))["audio"].shape == (2, networks.SLICE_LEN, 1)


def test_fine_tuning_keeps_the_moments_that_its_weights_belong_to(verb, recordings, tmp_path):
    source, tuned = tmp_path / "source", tmp_path / "tuned"
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "noise.wav", np.random.default_rng(0).normal(0, 0.01, 32000), 16000)
    verb("train", source, f"--data_dir={recordings}", "--train_max_steps=1", *FLAGS)
    printed = verb("train", tuned, f"--data_dir={other}", f"--train_init_from={source}", "--train_max_steps=1")
    assert "weights   of step 1" in printed
    means = [Generator(TrainDir(path)).network.get_layer("audio").means.numpy() for path in (source, tuned)]
    np.testing.assert_array_equal(*means)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--data_slice_len=8192", r"--data_slice_len must be 16384 for --family specgan.*Received: 8192"),
        ("--wavegan_kernel_len=9", "--wavegan_kernel_len has no effect on models of --family specgan"),
        ("--wavegan_disc_phaseshuffle=1", "--wavegan_disc_phaseshuffle has no effect"),
        ("--wavegan_genr_noise", "--wavegan_genr_noise has no effect"),
        ("--wavegan_genr_texture=1", "--wavegan_genr_texture has no effect"),
        ("--preset=asmr-16k", r"--preset asmr-16k sets what models of --family specgan do not read, such as --wavegan"),
        ("--wavegan_dim=4096", r"needs more than .* a smaller --wavegan_dim, --train_batch_size or --wavegan_latent"),
    ],
)
def test_what_has_no_effect_is_refused(verb, recordings, tmp_path, flag, message):
    with pytest.raises(UserError, match=message):
        verb("train", tmp_path / "train", f"--data_dir={recordings}", *FLAGS, flag)
    assert not (tmp_path / "train" / "config.json").exists()
