"""The trainer: the reference's traces, exact resuming, replicas, the average, memory."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import REFERENCE, ROOT, SMALL
from iterating import iterate
from test_wavegan import load_reference

import loader
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.reference_import import variable_name
from wavegan_asmr.families.adversarial.family import make_loss
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
from wavegan_asmr.networks import texture
from wavegan_asmr.train_dir import TrainDir

FOLDER = pathlib.Path(__file__).parent


@pytest.fixture
def slices(recordings):
    opened, _ = loader.open_recordings(recordings)
    return loader.Slices(opened, SMALL["data_slice_len"])


def make_trainer(strategy=None, **settings):
    return WaveGANTrainer(Config(**SMALL | settings), strategy or tf.distribute.OneDeviceStrategy("/cpu:0"))


def weights(trainer):
    return [
        variable.numpy()
        for part in (trainer.generator, trainer.discriminator, trainer.ema)
        for variable in part.variables
    ]


class Replay:
    """Replays a training of the reference: same weights, reals, latents and interpolations."""

    def __init__(self, name):
        self.arrays = np.load(REFERENCE / "arrays" / f"train_{name}.npz")
        self.settings = json.loads(str(self.arrays["config"]))
        config = Config(
            data_slice_len=self.settings["slice_len"],
            wavegan_loss=self.settings["loss"],
            wavegan_dim=self.settings["dim"],
            wavegan_latent_dim=self.settings["latent_dim"],
            wavegan_disc_phaseshuffle=0,
            train_batch_size=self.settings["batch"],
            train_precision="float32",
        )
        self.trainer = WaveGANTrainer(config, tf.distribute.get_strategy())
        self.networks = {"G": self.trainer.generator, "D": self.trainer.discriminator}
        for letter, network in self.networks.items():
            weights = {key: value for key, value in self.arrays.items() if key.startswith(f"init:{letter}/")}
            load_reference(network, weights, "init:")

    def draws(self, k):
        x_shape = self.arrays["x_shape"]
        x = np.random.RandomState(self.arrays["x_seeds"][k]).uniform(-0.5, 0.5, x_shape).astype(np.float32)
        alpha = self.arrays["alpha"][k].reshape(-1, 1, 1) if "alpha" in self.arrays else np.zeros([len(x), 1, 1])
        return tf.constant(x), tf.constant(self.arrays["z"][k]), tf.constant(alpha, tf.float32)

    def update_discriminator(self, k):
        metrics = self.trainer.update_discriminator(*self.draws(k), tf.zeros([3, 2], tf.int32))
        if self.trainer.loss.constrain:
            for weight in self.trainer.discriminator.trainable_variables:
                weight.assign(self.trainer.loss.constrain(weight.value))
        return metrics

    def update_generator(self, k):
        return self.trainer.update_generator(self.draws(k)[1], tf.zeros([2], tf.int32))

    def run(self):
        """Runs all steps; returns the metrics of the discriminator's and of the generator's updates."""
        d_metrics, g_metrics, k = [], [], 0
        for _ in range(self.settings["steps"]):
            for _ in range(self.settings["disc_nupdates"]):
                d_metrics.append(self.update_discriminator(k))
                k += 1
            g_metrics.append(self.update_generator(k))
            k += 1
        return d_metrics, g_metrics


class RecordedGradients(keras.optimizers.SGD):
    """An optimiser that keeps the gradients and leaves the weights alone."""

    def apply_gradients(self, grads_and_vars):
        self.gradients = {variable.path: np.array(gradient) for gradient, variable in grads_and_vars}


@pytest.mark.parametrize("name", ["dcgan", "lsgan", "wgan", "wgan-gp"])
def test_first_gradients_equal_reference(name):
    """The discriminator's on the first draws, and the generator's at the weights it then has."""
    replay = Replay(name)
    recorder = replay.trainer.discriminator_optimizer = RecordedGradients()
    replay.update_discriminator(0)
    compare_gradients(replay, "D", recorder.gradients)

    replay = Replay(name)
    updates = replay.settings["disc_nupdates"]
    for k in range(updates):
        replay.update_discriminator(k)
    recorder = replay.trainer.generator_optimizer = RecordedGradients()
    replay.update_generator(updates)
    compare_gradients(replay, "G", recorder.gradients)


def compare_gradients(replay, letter, gradients):
    keys = [key for key in replay.arrays if key.startswith(f"grad0:{letter}/")]
    assert len(keys) == len(gradients)
    largest = max(np.abs(replay.arrays[key]).max() for key in keys)
    for key in keys:
        _, name = variable_name(key.removeprefix("grad0:"))
        expected = replay.arrays[key]
        np.testing.assert_allclose(gradients[name].reshape(expected.shape), expected, rtol=0, atol=1e-3 * largest)


@pytest.mark.parametrize(
    ("name", "loss_tolerance", "weight_tolerance"),
    [
        ("dcgan", {"atol": 1e-4, "rtol": 0}, 1e-4),
        ("wgan-gp", {"atol": 0, "rtol": 5e-3}, 1e-3),
        ("lsgan", {"atol": 1e-4, "rtol": 1e-3}, 1e-4),
        ("wgan", {"atol": 1e-4, "rtol": 1e-3}, 1e-4),
    ],
)
def test_trajectory_equals_reference(name, loss_tolerance, weight_tolerance):
    replay = Replay(name)
    d_metrics, g_metrics = replay.run()
    arrays = replay.arrays
    np.testing.assert_allclose([m["D_loss"] for m in d_metrics], arrays["trace:D_loss"], **loss_tolerance)
    np.testing.assert_allclose([m["G_loss"] for m in g_metrics], arrays["trace:G_loss"], **loss_tolerance)
    if name == "wgan-gp":
        np.testing.assert_allclose([m["penalty"] for m in d_metrics], arrays["trace:gp"], rtol=5e-3)
    for letter, network in replay.networks.items():
        weights = {variable.path: variable.numpy() for variable in network.trainable_variables}
        keys = [key for key in arrays if key.startswith(f"final:{letter}/")]
        assert len(keys) == len(weights)
        for key in keys:
            _, path = variable_name(key.removeprefix("final:"))
            got = weights[path].reshape(arrays[key].shape)
            np.testing.assert_allclose(got, arrays[key], rtol=0, atol=weight_tolerance, err_msg=key)


def test_flags_reach_the_optimisers():
    loss = make_loss(
        Config(wavegan_genr_lr=0.1, wavegan_disc_lr=0.2, wavegan_beta1=0.3, wavegan_beta2=0.4, wavegan_gp_lambda=5)
    )
    generator, discriminator = loss.optimizers()
    assert [float(o.learning_rate) for o in (generator, discriminator)] == pytest.approx([0.1, 0.2])
    assert (generator.beta_1, discriminator.beta_2, loss.penalty_weight) == (0.3, 0.4, 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"wavegan_loss": "wgan-gp", "wavegan_disc_phaseshuffle_per": "example"},
        {"wavegan_loss": "wgan", "train_ema": 0.0},
        {"wavegan_loss": "lsgan", "wavegan_batchnorm": True},
        {"wavegan_loss": "dcgan", "train_precision": "mixed_bfloat16"},
        {"wavegan_loss": "wgan-gp", "train_precision": "mixed_float16"},
        {"wavegan_genr_texture": 5.0, "wavegan_gp_every": 3, "wavegan_genr_noise": True, "wavegan_lr_hold": 1},
        {"wavegan_genr_texture": 5.0, "wavegan_loss": "hinge", "train_precision": "mixed_bfloat16"},
        {"wavegan_loss": "rpgan", "wavegan_gp_every": 3, "wavegan_disc_levels": 128},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_resuming_is_exact(slices, tmp_path, settings):
    """Four steps at once, and two, a restart and two, give the same bits."""
    whole = make_trainer(**settings)
    metrics = iterate(whole, slices, 4)

    first = make_trainer(**settings)
    half = iterate(first, slices, 2)
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.save(first.checkpoint, 2, keep=5)
    second = make_trainer(**settings)
    assert train_dir.restore(second.checkpoint) == 2
    half += iterate(second, slices, 2)

    assert metrics == half
    for a, b in zip(weights(whole), weights(second)):
        np.testing.assert_array_equal(a, b)
    optimizers = ("generator_optimizer", "discriminator_optimizer")
    for name in optimizers:
        for a, b in zip(getattr(whole, name).variables, getattr(second, name).variables):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_seed_decides(slices):
    runs = [iterate(make_trainer(train_seed=seed), slices, 1) for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("loss", ["wgan", "wgan-gp"])
def test_clipping_is_wgans(slices, loss):
    trainer = make_trainer(wavegan_loss=loss, wavegan_clip=0.02)
    iterate(trainer, slices, 1)
    largest = max(np.abs(variable.numpy()).max() for variable in trainer.discriminator.trainable_variables)
    assert (largest <= np.float32(0.02)) == (loss == "wgan")


def test_lazy_penalty(slices):
    """Every third update has the penalty, with three times the weight; its other losses are those without."""
    trainer = make_trainer(wavegan_gp_every=3, wavegan_disc_nupdates=1)
    penalties = [metrics["penalty"] for metrics in iterate(trainer, slices, 7)]
    assert [penalty > 0 for penalty in penalties] == [True, False, False, True, False, False, True]

    arguments = tf.constant(slices.read(0, 4)), tf.ones([4, 4]), tf.fill([4, 1, 1], 0.5), tf.zeros([3, 2], tf.int32)
    found = make_trainer(wavegan_gp_every=3).update_discriminator(*arguments, is_penalized=tf.constant(True))
    each = make_trainer().update_discriminator(*arguments)
    np.testing.assert_allclose(found["penalty"], each["penalty"], rtol=1e-5)
    np.testing.assert_allclose(found["D_loss"] - each["D_loss"], 2 * 10 * each["penalty"], rtol=1e-4)
    without = make_trainer(wavegan_gp_every=3).update_discriminator(*arguments, is_penalized=tf.constant(False))
    np.testing.assert_allclose(without["D_loss"], -each["wasserstein"], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"wavegan_loss": "hinge", "wavegan_genr_lr": 5e-4}, (5e-4, 2e-4)),
        ({"wavegan_loss": "wgan", "train_precision": "mixed_float16"}, (5e-5, 5e-5)),
    ],
    ids=["hinge", "wgan-float16"],
)
def test_learning_rates_fall_with_the_root_of_the_updates(slices, settings, rates):
    """After a held step they are 1/2 at step 4, where both networks learn as with rates of a half."""
    falling = make_trainer(**settings, wavegan_lr_hold=1)
    for share in (1, 1, 0.5**0.5, (1 / 3) ** 0.5):
        iterate(falling, slices, 1)
        found = [float(each.learning_rate) for each in (falling.generator_optimizer, falling.discriminator_optimizer)]
        np.testing.assert_allclose(found, share * np.array(rates), rtol=1e-6)
    halves = {"wavegan_genr_lr": rates[0] / 2, "wavegan_disc_lr": rates[1] / 2}
    halved = make_trainer(**settings | halves)
    for part in ("generator", "discriminator", "ema", "generator_optimizer", "discriminator_optimizer"):
        for source, target in zip(getattr(falling, part).variables, getattr(halved, part).variables):
            if target.name != "learning_rate":
                target.assign(source)
    halved.step.assign(falling.step)
    for trainer in (falling, halved):
        iterate(trainer, slices, 1)
    for a, b in zip(weights(falling), weights(halved)):
        np.testing.assert_array_equal(a, b)


def test_texture_adds_to_what_the_generator_minimises(slices):
    z, seed, real = tf.ones([4, 4]), tf.zeros([2], tf.int32), tf.constant(slices.read(0, 4))
    fake = make_trainer().generate(z)
    expected = texture.distance(tf.constant(fake), real, tf.reduce_mean(real**2), 16000)
    plain = make_trainer().update_generator(z, seed)
    found = make_trainer(wavegan_genr_texture=0.5).update_generator(z, seed, real)
    assert "texture" not in plain
    np.testing.assert_allclose(found["texture"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["G_loss"], plain["G_loss"] + 0.5 * expected, rtol=1e-4)


def test_texture_is_learned(slices):
    trainer = make_trainer(wavegan_genr_texture=5.0, wavegan_genr_noise=True, wavegan_genr_lr=2e-3)
    found = [metrics["texture"] for metrics in iterate(trainer, slices, 60)]
    assert np.mean(found[-10:]) < np.mean(found[:10]) / 2


def test_texture_needs_two_slices():
    with pytest.raises(UserError, match=r"--train_batch_size must be at least 2 on each device\. Received: 1"):
        make_trainer(wavegan_genr_texture=1.0, train_batch_size=1)


def test_average_follows_its_formula(slices):
    trainer = make_trainer(train_ema=0.5)
    expected = [variable.numpy() for variable in trainer.generator.variables]
    for step in range(3):
        iterate(trainer, slices, 1)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [decay * e + (1 - decay) * v.numpy() for e, v in zip(expected, trainer.generator.variables)]
    for got, e in zip(trainer.ema.variables, expected):
        np.testing.assert_allclose(got.numpy(), e, rtol=1e-5, atol=1e-7)


def test_learning_lowers_the_critics_loss(slices):
    """A critic against a generator that stands still separates real from fake."""
    metrics = iterate(make_trainer(wavegan_genr_lr=0.0, wavegan_disc_lr=1e-3), slices, 30)
    assert metrics[-1]["wasserstein"] > metrics[0]["wasserstein"] + 0.05
    assert metrics[-1]["D_loss"] < metrics[0]["D_loss"]


def run_alone(script, *arguments):
    """Runs a script in a process of its own, which finds this module; returns the process."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}{os.pathsep}{FOLDER}"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
    )


REPLICAS_SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import test_wavegan_trainer
from wavegan_asmr.config import Config
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer


class Slices:
    slice_len, channels, error, label_names = 4096, 1, None, ()

    def read(self, first, count):
        slices = [np.random.default_rng(n).uniform(-0.5, 0.5, [4096, 1]) for n in range(first, first + count)]
        return np.stack(slices).astype(np.float32)


class FixedDraws(WaveGANTrainer):
    def z(self):
        return tf.fill([self.replica_batch_size, 4], 0.3)

    def _random_discriminator_update(self, real, number):
        alpha = tf.fill([self.replica_batch_size, 1, 1], 0.5)
        is_penalized = number % self.config.wavegan_gp_every == 0
        return self.update_discriminator(real, self.z(), alpha, tf.zeros([3, 2], tf.int32), is_penalized)

    def _random_generator_update(self, number, real):
        return self.update_generator(self.z(), tf.zeros([2], tf.int32), real)


# One strategy for all: the collective operations of a second one would take the keys of the first.
replicas = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
for settings in (
    {"wavegan_loss": "wgan-gp"},
    {"wavegan_loss": "wgan"},
    {"wavegan_loss": "dcgan"},
    {"wavegan_loss": "hinge", "wavegan_genr_texture": 5.0, "wavegan_gp_every": 2},
    {"wavegan_loss": "rpgan", "wavegan_gp_every": 2},
):
    config = Config(**test_wavegan_trainer.SMALL, **settings, wavegan_disc_phaseshuffle=0)
    mirrored = FixedDraws(config, replicas)
    single = FixedDraws(config, tf.distribute.OneDeviceStrategy("/cpu:0"))
    for a, b in zip(*(test_wavegan_trainer.iterate(trainer, Slices(), 3) for trainer in (mirrored, single))):
        # How far the recordings' slices are from each other, each replica knows of its own; it has no gradient.
        of_replicas = {"texture", "G_loss"} if "texture" in a else set()
        for name in set(a) - {"D_gradient_norm", "G_gradient_norm"} - of_replicas:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for part in "generator", "discriminator", "ema":
        for a, b in zip(getattr(mirrored, part).variables, getattr(single, part).variables):
            first, second = (copy.numpy() for copy in a.value.values)
            np.testing.assert_array_equal(first, second)
            np.testing.assert_allclose(first, b.numpy(), rtol=1e-4, atol=1e-5)
    # Replicas draw apart.
    draws = mirrored.strategy.run(lambda: mirrored.latents(mirrored._seeds(0, tf.constant(7), 1)[0]))
    assert (draws.values[0].numpy() != draws.values[1].numpy()).all()
print("equal")
"""


def test_two_replicas_learn_what_one_does():
    """Two logical CPUs under a MirroredStrategy, in a process of their own: devices are set up once."""
    process = run_alone(REPLICAS_SCRIPT)
    assert process.stdout.endswith("equal\n"), process.stdout


MEMORY_SCRIPT = """
import resource
import sys

from test_wavegan_trainer import SMALL, loader, make_trainer
from wavegan_asmr.training import loop

recordings, _ = loader.open_recordings(sys.argv[1])
trainer = make_trainer()
batches = iter(loop._distribute(trainer, loader.Slices(recordings, SMALL["data_slice_len"]), 0))
for _ in range(2):
    for _ in range(400):
        trainer.iterate(batches)
    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]) * resource.getpagesize())
"""


def test_memory_is_flat(recordings):
    """A step keeps under a sixth of a batch, once what building has freed is used again; in a process of its own."""
    process = run_alone(MEMORY_SCRIPT, recordings)
    before, after = map(int, process.stdout.split())
    assert after - before < 4e6


def test_batch_must_divide_over_the_devices():
    class ThreeReplicas:
        num_replicas_in_sync = 3

    with pytest.raises(UserError, match=r"--train_batch_size must be a multiple of the 3 devices.*Received: 4"):
        make_trainer(ThreeReplicas())
