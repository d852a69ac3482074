"""WaveNet and LSTM: whole slices against single samples, bits, sampling, training, and every verb."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.special
import scipy.stats
import soundfile
import tensorflow as tf
from conftest import ROOT
from iterating import iterate

import loader
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import FAMILIES, family_of
from wavegan_asmr.families.autoregressive.network import classes_before
from wavegan_asmr.families.autoregressive.sampling import Sampler
from wavegan_asmr.families.autoregressive.trainer import AutoregressiveTrainer
from wavegan_asmr.families.wavenet import networks as wavenet
from wavegan_asmr.networks import mu_law
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import status

SMALL = {
    "wavenet": {"wavenet_dilations": (1, 2, 4, 8), "wavenet_channels": 4, "wavenet_skip_channels": 6},
    "lstm": {"lstm_units": 8, "lstm_unroll": 1024},
}
COMMON = {"data_slice_len": 4096, "train_batch_size": 2, "train_precision": "float32", "train_forms": "table"}
BOTH = pytest.mark.parametrize("name", SMALL)


def config_of(name, **settings):
    return Config(family=name, **COMMON | SMALL[name] | settings)


def flags_of(name):
    settings = COMMON | SMALL[name] | {"family": name, "train_summary_secs": 1000}
    text = {key: ",".join(map(str, value)) if isinstance(value, tuple) else value for key, value in settings.items()}
    return [f"--{key}={value}" for key, value in text.items()]


def make_trainer(name, **settings):
    return AutoregressiveTrainer(config_of(name, **settings), tf.distribute.OneDeviceStrategy("/cpu:0"))


def build_network(name, **settings):
    """A network whose logits are not all alike, as those of a new one nearly are."""
    network = family_of(config_of(name)).build_network(config_of(name, **settings))
    network(tf.zeros([1, 2], tf.int32), network.start(1))
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    return network


@pytest.fixture
def slices(recordings):
    opened, _ = loader.open_recordings(recordings)
    return loader.Slices(opened, 4096)


def random_classes(n, samples):
    return tf.constant(np.random.default_rng(1).integers(0, 256, [n, samples]), tf.int32)


# One function, three ways.


@BOTH
def test_sample_by_sample_is_the_whole_network(name):
    network, before = build_network(name), classes_before(random_classes(3, 100))
    whole, _ = network(before, network.start(3))
    state, single = network.start(3), []
    for time in range(100):
        logits, state = network.step(before[:, time], state)
        single.append(logits)
    assert np.std(whole) > 0.1
    np.testing.assert_allclose(np.stack(single, axis=1), whole, atol=1e-4)


def test_an_lstms_state_carries_on_from_segment_to_segment():
    network, before = build_network("lstm"), classes_before(random_classes(2, 90))
    whole, _ = network(before, network.start(2))
    state, parts = network.start(2), []
    for first in range(0, 90, 30):
        logits, state = network(before[:, first : first + 30], state)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_a_wavenet_sees_its_receptive_field_and_no_more():
    network, classes = build_network("wavenet"), random_classes(1, 64)
    field = wavenet.receptive_field(config_of("wavenet").wavenet_dilations * 2)
    assert field == 2 + 2 * 15
    last = network(classes_before(classes), network.start(1))[0][0, -1]

    def changes(back):
        other = classes.numpy()
        other[0, 63 - back] = (other[0, 63 - back] + 100) % 256
        found = network(classes_before(tf.constant(other)), network.start(1))[0][0, -1]
        return np.abs(found - last).max()

    # A sample never depends on itself, and little on what one path alone leads to.
    assert changes(0) == 0
    assert min(changes(back) for back in range(1, field + 1)) > 0
    assert max(changes(back) for back in range(field + 1, 63)) == 0


def test_defaults_see_an_eighth_of_a_second():
    config = Config(family="wavenet")
    assert wavenet.receptive_field(config.wavenet_dilations * config.wavenet_repeats) == 2048


# Drawing.


class Constant:
    """In place of an `AutoregressiveNetwork`: the same chances for every sample."""

    def __init__(self, chances):
        self.logits = tf.constant(np.log(chances), tf.float32)

    def start(self, n):
        return ()

    def step(self, before, state):
        return tf.tile(self.logits[None], [tf.shape(before)[0], 1]), state


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_classes_are_drawn_by_their_chances(temperature):
    chances = np.full(256, 1e-30)
    chances[[3, 100, 255]] = 0.2, 0.5, 0.3
    sampler = Sampler(Constant(chances), 5000)
    sampler.built = True
    audio = sampler.call(tf.constant([[1, 2, round(1000 * temperature)], [3, 4, round(1000 * temperature)]]))
    classes = mu_law.encode(audio[..., 0]).numpy()
    found = np.bincount(classes.ravel(), minlength=256)[[3, 100, 255]]
    expected = np.array([0.2, 0.5, 0.3]) ** (1 / temperature)
    assert found.sum() == 10000
    assert scipy.stats.chisquare(found, 10000 * expected / expected.sum()).pvalue > 1e-3
    assert (classes[0] != classes[1]).any()


@BOTH
def test_clips_depend_on_their_own_seed_alone(name):
    config = config_of(name)
    family = family_of(config)
    generator = family.build_generator(config)
    inputs = family.draw(config, np.random.default_rng(0), 3)
    together = generator(inputs).numpy()
    assert together.shape == (3, 4096, 1) and np.abs(together).max() <= 1
    alone = generator(inputs[1:2]).numpy()[0]
    # Rounding of other batches may move a draw between two classes, and with it all that follow.
    same = np.argmax(alone != together[1]) or len(alone)
    assert same > 100
    assert (together[0] != together[1]).mean() > 0.9


def test_inputs_hold_seeds_and_temperature():
    family, config = FAMILIES["wavenet"], config_of("wavenet")
    inputs = family.draw(config, np.random.default_rng(0), 4, temperature=0.75)
    assert inputs.shape == (4, *family.input_spec(config)[0]) and inputs.dtype == family.input_spec(config)[1]
    assert (inputs[:, 2] == 750).all()
    np.testing.assert_array_equal(inputs[:2], family.draw(config, np.random.default_rng(0), 4, temperature=0.75)[:2])


# Training.


@BOTH
def test_bits_are_those_of_the_chances_given(name, slices):
    """In NumPy from the logits, before anything is learned; order 0 by SciPy."""
    trainer = make_trainer(name, autoregressive_lr=0.0)
    audio = slices.read(0, 2)
    classes = mu_law.encode(tf.constant(audio[..., 0]))
    logits = trainer.network(classes_before(classes), trainer.network.start(2))[0].numpy().astype(float)
    chances = np.take_along_axis(scipy.special.softmax(logits, axis=-1), classes.numpy()[..., None], -1)
    (metrics,) = iterate(trainer, slices, 1)
    assert metrics["bits"] == pytest.approx(-np.log2(chances).mean(), abs=1e-4)
    entropy = scipy.stats.entropy(np.bincount(classes.numpy().ravel(), minlength=256), base=2)
    assert metrics["order0_bits"] == pytest.approx(entropy, abs=1e-4)
    held_out = trainer.measure(audio)["held_out_bits"]
    assert held_out == pytest.approx(metrics["bits"], abs=1e-4)


@BOTH
@pytest.mark.parametrize("settings", [{"train_ema": 0.0}, {"train_precision": "mixed_bfloat16"}], ids=str)
def test_resuming_is_exact(name, slices, tmp_path, settings):
    whole, first, second = (make_trainer(name, **settings) for _ in range(3))
    metrics = iterate(whole, slices, 4)
    half = iterate(first, slices, 2)
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.save(first.checkpoint, 2, keep=5)
    train_dir.restore(second.checkpoint)
    assert half + iterate(second, slices, 2) == metrics
    for a, b in zip(whole.ema.variables, second.ema.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@BOTH
def test_a_tone_is_learned(name):
    """What repeats takes fewer bits than its samples by themselves."""

    class Tone:
        slice_len, channels, error, per_epoch, label_names = 4096, 1, None, 1, ()

        def read(self, first, count):
            phases = np.random.default_rng(first).uniform(0, 2 * np.pi, [count, 1])
            tone = 0.5 * np.sin(2 * np.pi * 440 / 16000 * np.arange(4096) + phases)
            return tone[..., None].astype(np.float32)

    trainer = make_trainer(
        name, autoregressive_lr=1e-2, **({"lstm_unroll": 128, "lstm_units": 16} if name == "lstm" else {})
    )
    metrics = iterate(trainer, Tone(), 15 if name == "lstm" else 60)
    assert metrics[-1]["order0_bits"] > 6
    assert metrics[-1]["bits"] < metrics[-1]["order0_bits"] - 1.5


REPLICAS_SCRIPT = """
import sys

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path[:0] = sys.argv[1:3]
import numpy as np
from test_autoregressive import config_of, iterate
from wavegan_asmr.families.autoregressive.trainer import AutoregressiveTrainer


class Slices:
    slice_len, channels, error, label_names = 4096, 1, None, ()

    def read(self, first, count):
        return np.stack([np.random.default_rng(first + k).normal(0, 0.1, [4096, 1]) for k in range(count)]).astype("f4")


found = []
for strategy in (tf.distribute.OneDeviceStrategy("/cpu:0"), tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])):
    trainer = AutoregressiveTrainer(config_of(sys.argv[3], train_batch_size=4), strategy)
    metrics = iterate(trainer, Slices(), 3)
    found.append((metrics, [weight.numpy() for weight in trainer.ema.weights]))
for a, b in zip(*(metrics for metrics, _ in found)):
    assert all(abs(a[name] - b[name]) < 1e-3 for name in ("bits", "order0_bits")), (a, b)
for a, b in zip(*(weights for _, weights in found)):
    np.testing.assert_allclose(a, b, atol=1e-4)
"""


@pytest.mark.slow
@BOTH
def test_two_replicas_learn_what_one_does(name):
    """Gradients are cut to a norm on each by itself, which this is below."""
    subprocess.run(
        [sys.executable, "-c", REPLICAS_SCRIPT, ROOT / "tests" / "families", ROOT / "tests", name],
        check=True,
        timeout=300,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


# The verbs.


@BOTH
def test_all_verbs(verb, recordings, tmp_path, name, monkeypatch):
    # However fast this machine is.
    monkeypatch.setattr(status, "_QUICK", 1e9)
    train_dir, held_out = tmp_path / "train", tmp_path / "held_out"
    held_out.mkdir()
    soundfile.write(held_out / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    printed = verb(
        "train",
        train_dir,
        f"--data_dir={recordings}",
        f"--autoregressive_held_out_dir={held_out}",
        "--train_max_steps=2",
        *flags_of(name),
    )
    assert "held out" in printed and "bits a sample" in printed and "of order 0" in printed
    assert ("sees 32 samples, 2 ms" if name == "wavenet" else "learns from 1024 samples, 64 ms") in printed
    assert "note      previews of 4 clips of 0.26 s take" in printed and "x real time" in printed
    assert "resuming  step 2" in verb("train", train_dir, "--train_max_steps=3")
    assert np.load(train_dir / "preview" / "z.npy", allow_pickle=False).shape == (4, 3)
    verb("preview", train_dir, "--preview_n=2")
    samples, rate_hz = soundfile.read(train_dir / "preview" / "00000003.wav")
    assert rate_hz == 16000 and len(samples) == 2 * 4096 + 8000
    printed = verb("evaluate", train_dir)
    assert "128 slices" in printed and "frechet_distance" in printed
    verb("backup", train_dir, "--once")
    verb("infer", train_dir)
    infer = tf.saved_model.load(str(train_dir / "infer")).signatures["serving_default"]
    inputs = tf.constant([[1, 2, 1000], [3, 4, 1000]])
    assert infer(z=inputs)["audio"].shape == (2, 4096, 1)
    tuned = tmp_path / "tuned"
    assert "weights   of step 3" in verb(
        "train", tuned, f"--data_dir={recordings}", f"--train_init_from={train_dir}", "--train_max_steps=1"
    )
    assert TrainDir(tuned).read_config().train_batch_size == FAMILIES[name].defaults["train_batch_size"]


def test_a_file_of_pieces_from_seeds(verb, recordings, tmp_path):
    """It says how long it takes, makes no piece twice, and takes a temperature."""
    train_dir, out = tmp_path / "train", tmp_path / "a.flac"
    learning = ["--autoregressive_lr=0.02", "--train_max_steps=60"]
    verb("train", train_dir, f"--data_dir={recordings}", *flags_of("wavenet"), *learning)
    said = verb("generate", train_dir, "--minutes=0.05", f"--out={out}", "--temperature=0.9")
    assert re.search(
        r"speed     .*train: [\d.e+]+ s of sound a second; the pilot takes \d+:\d\d, the file 0:\d\d", said
    )
    assert soundfile.info(out).frames == 48000
    assert json.loads((tmp_path / "a.json").read_text())["settings"]["temperature"] == 0.9
    again = tmp_path / "again.flac"
    verb("generate", f"--from={tmp_path / 'a.json'}", f"--out={again}")
    np.testing.assert_array_equal(soundfile.read(again)[0], soundfile.read(out)[0])
    with pytest.raises(UserError, match="--latents walk needs models with latent vectors"):
        verb("generate", train_dir, "--minutes=0.05", f"--out={tmp_path / 'b.flac'}", "--latents=walk")


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("wavenet", ["--wavenet_dilations="], "--wavenet_dilations must have at least one number"),
        ("wavenet", ["--wavenet_dilations=1,2,2"], r"--wavenet_dilations must rise.*Received: 1,2,2\."),
        ("wavenet", ["--wavenet_dilations=4,2"], r"--wavenet_dilations must rise.*Received: 4,2\."),
        ("wavenet", ["--wavenet_dilations=0,1"], "--wavenet_dilations"),
        (
            "wavenet",
            ["--wavenet_dilations=1,2048", "--wavenet_repeats=2"],
            r"receptive field must be shorter than a slice, 4096.*Received: 1,2048, 2 times: 4100 samples",
        ),
        ("lstm", ["--lstm_unroll=1000"], r"--lstm_unroll must divide a slice, 4096.*Received: 1000"),
        ("lstm", ["--data_num_channels=2"], r"--family lstm makes one channel.*Received: 2"),
        ("lstm", ["--wavenet_channels=8"], "--wavenet_channels has no effect on models of --family lstm"),
        ("wavenet", ["--wavegan_dim=8"], "--wavegan_dim has no effect on models of --family wavenet"),
        ("wavenet", ["--preset=asmr-16k"], "--preset asmr-16k sets what models of --family wavenet do not read"),
        ("lstm", ["--lstm_units=8192", "--lstm_layers=32"], "needs more than .* a smaller --lstm_units, --lstm_layers"),
        ("lstm", ["--autoregressive_held_out_dir=gone"], r"--autoregressive_held_out_dir no such folder.*gone'\."),
    ],
)
def test_what_cannot_be_is_refused(verb, recordings, tmp_path, name, flags, message):
    with pytest.raises(UserError, match=message):
        verb("train", tmp_path / "train", f"--data_dir={recordings}", *flags_of(name), *flags)
    assert not (tmp_path / "train" / "config.json").exists()


def test_other_families_refuse_what_is_not_theirs(verb, recordings, tmp_path):
    with pytest.raises(UserError, match="--lstm_units has no effect on models of --family wavegan"):
        verb("train", tmp_path / "a", f"--data_dir={recordings}", "--lstm_units=8")
    with pytest.raises(UserError, match="--autoregressive_held_out_dir has no effect on models of --family wavegan"):
        verb("train", tmp_path / "a", f"--data_dir={recordings}", f"--autoregressive_held_out_dir={recordings}")


def test_fine_tuning_from_another_family_is_refused(verb, recordings, tmp_path):
    source, data = tmp_path / "source", f"--data_dir={recordings}"
    TrainDir(source).create()
    TrainDir(source).write_config(config_of("wavenet"))
    with pytest.raises(UserError, match=r"training of --family wavenet\. Received: --family lstm; leave it out"):
        verb("train", tmp_path / "a", data, "--family=lstm", f"--train_init_from={source}")
