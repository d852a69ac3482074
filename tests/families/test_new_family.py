"""A model family of a few lines, without latents and with one network, is trained and used like any other."""

import json

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT

from wavegan_asmr import families
from wavegan_asmr.command_line import run
from wavegan_asmr.command_line.main import call
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.family import Family, Trainer
from wavegan_asmr.families.generators import generate_clips
from wavegan_asmr.train_dir import TrainDir, variables_by_name

SMALL = "--data_slice_len=4096 --train_batch_size=4 --train_summary_secs=1000 --train_save_secs=1000".split()


class Hiss(Family):
    """White noise whose level is learned; its inputs are seeds."""

    name, words, has_latents, metrics = "hiss", "white noise", False, {"loss": "L"}

    def input_spec(self, config):
        return (2,), "int32"

    def draw(self, config, random, n, truncation=1.0, temperature=1.0):
        return random.integers(2**31, size=[n, 2], dtype=np.int32)

    def build_generator(self, config, precision="float32"):
        seeds = keras.Input([2], dtype="int32")
        return keras.Model(seeds, HissLayer(config, name="hiss")(seeds), name="network")

    def generator_part(self, config):
        return "network"

    def make_trainer(self, config, strategy):
        return HissTrainer(config, strategy)


class HissLayer(keras.layers.Layer):
    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.shape = [config.data_slice_len, config.data_num_channels]
        self.scale = self.add_weight(shape=[], initializer=keras.initializers.Constant(0.01), name="scale")

    def call(self, seeds):
        def draw(seed):
            return tf.random.stateless_uniform(self.shape, seed, -1.0, 1.0)

        return tf.clip_by_value(self.scale * tf.map_fn(draw, seeds, fn_output_signature=tf.float32), -1.0, 1.0)

    def compute_output_spec(self, seeds):
        return keras.KerasTensor([seeds.shape[0], *self.shape])


class HissTrainer(Trainer):
    def __init__(self, config, strategy):
        self.config, self.strategy, self.replica_batch_size = config, strategy, config.train_batch_size
        self.network = Hiss().build_generator(config)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.checkpoint = tf.train.Checkpoint(step=self.step, network=variables_by_name(self.network.variables))
        self.state = [self.step, *self.network.variables]

    def iterate(self, batches):
        scale, level = self.network.variables[0], tf.sqrt(3 * tf.reduce_mean(next(batches) ** 2))
        loss = (level - scale) ** 2
        scale.assign_add(0.1 * (level - scale))
        self.step.assign_add(1)
        return {"loss": loss}

    def generate(self, inputs):
        return generate_clips(self.network, inputs, 8)

    def parts_to_tune(self):
        return {"network": self.network}

    def describe(self):
        return {"network": f"{self.network.count_params()} parameter"}


@pytest.fixture
def hiss(monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "hiss", Hiss())
    # Its devices are settled in this process.
    monkeypatch.setattr(run, "start_tensorflow", lambda **options: None)


def test_all_verbs_know_it(hiss, recordings, tmp_path, capsys):
    train_dir, data = str(tmp_path / "train"), f"--data_dir={recordings}"
    call("train", [train_dir, data, "--family=hiss", "--train_max_steps=15", *SMALL], "wavegan train")
    printed = capsys.readouterr().out
    assert "network   1 parameter" in printed and "L 0." in printed and "precision" in printed
    assert json.loads((tmp_path / "train" / "config.json").read_text())["family"] == "hiss"

    call("train", [train_dir, "--train_max_steps=30", "--train_eval_secs=1000"], "wavegan train")
    printed = capsys.readouterr().out
    assert "resuming  step 15" in printed and "evaluated step 30" in printed and "best " in printed
    assert TrainDir(train_dir).read_best().step <= 30
    fixed = np.load(tmp_path / "train" / "preview" / "z.npy", allow_pickle=False)
    assert fixed.shape == (32, 2) and fixed.dtype == np.int32

    call("preview", [train_dir, "--preview_n=40"], "wavegan preview")
    samples, rate_hz = soundfile.read(tmp_path / "train" / "preview" / "00000030.wav")
    assert rate_hz == 16000 and len(samples) == 40 * (4096 + 8000) - 8000

    call("evaluate", [train_dir, "--eval_n=100"], "wavegan evaluate")
    assert "frechet_distance" in capsys.readouterr().out

    out = str(tmp_path / "hiss.flac")
    call(
        "generate", [train_dir, "--minutes=0.1", f"--out={out}", "--fade_in_s=0", "--fade_out_s=0"], "wavegan generate"
    )
    samples, _ = soundfile.read(out)
    assert len(samples) == 96000 and 0.01 < np.sqrt(np.mean(samples**2)) < 0.1

    call("backup", [train_dir, "--once"], "wavegan backup")
    call("preview", [f"{train_dir}/backup/30"], "wavegan preview")
    call("infer", [train_dir], "wavegan infer")
    infer = tf.saved_model.load(f"{train_dir}/infer").signatures["serving_default"]
    generated = infer(z=tf.constant([[1, 2], [1, 2], [3, 4]]))["audio"].numpy()
    assert generated.shape == (3, 4096, 1)
    np.testing.assert_array_equal(generated[0], generated[1])
    assert (generated[0] != generated[2]).any()


def test_what_it_has_not_is_refused(hiss, recordings, tmp_path):
    train_dir, data = str(tmp_path / "train"), f"--data_dir={recordings}"
    with pytest.raises(UserError, match="--wavegan_dim has no effect on models of --family hiss"):
        call("train", [train_dir, data, "--family=hiss", "--wavegan_dim=3"], "wavegan train")
    call("train", [train_dir, data, "--family=hiss", "--train_max_steps=1", *SMALL], "wavegan train")
    with pytest.raises(UserError, match=r"latents.*walk"):
        call(
            "generate",
            [train_dir, "--minutes=0.1", "--latents=walk", f"--out={tmp_path / 'a.wav'}"],
            "wavegan generate",
        )
    with pytest.raises(UserError, match="--family cannot change"):
        call("train", [train_dir, "--family=wavegan"], "wavegan train")


def test_an_unknown_family_is_refused(recordings, tmp_path, command):
    process = command(
        ROOT / "train_wavegan.py", "train", tmp_path / "a", f"--data_dir={recordings}", "--family=vae", check=False
    )
    assert process.returncode == 2
    assert process.stderr == (
        "train_wavegan.py: --family must be one of wavegan, specgan, wavenet, lstm. Received: 'vae'.\n"
    )
