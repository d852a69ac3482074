"""Generators that nobody has trained, with every setting of them."""

import functools
import hashlib
import os

import numpy as np
import tensorflow as tf

import wavegan
from wavegan_asmr import storage
from wavegan_asmr.config import Config
from wavegan_asmr.families import generator_file
from wavegan_asmr.families.wavegan.family import WaveGAN
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.networks.layers import Listening
from wavegan_asmr.train_dir import SHARED, TrainDir

SHAPES = {
    "plain": {"slice_len": 4096},
    "nearest neighbor": {"slice_len": 4096, "upsample": "nn"},
    "nearest neighbor, even kernel": {"slice_len": 8192, "upsample": "nn", "kernel_len": 8},
    "even kernel": {"slice_len": 8192, "kernel_len": 8},
    "batchnorm": {"slice_len": 4096, "batchnorm": True},
    "nearest neighbor, batchnorm": {"slice_len": 4096, "batchnorm": True, "upsample": "nn"},
    "noise": {"slice_len": 4096, "noise": True},
    "noise of 16 bits": {"slice_len": 4096, "noise": True, "noise_bits": 16},
    "relative noise": {"slice_len": 4096, "noise": True, "noise_bits": 16, "relative_noise": True},
    "pulses": {"slice_len": 4096, "noise": True, "noise_pulses": True},
    "post-filter": {"slice_len": 4096, "post_filter_len": 33},
    "even post-filter, stereo": {"slice_len": 4096, "post_filter_len": 32, "channels": 2},
    "stereo": {"slice_len": 4096, "channels": 2},
    "bands": {"slice_len": 8192, "bands": 2},
    "bands, stereo": {"slice_len": 65536, "bands": 16, "channels": 2},
    "labels": {"slice_len": 4096, "labels": 3},
    "measures": {"slice_len": 4096, "measures": 2, "noise": True, "upsample": "nn"},
    "labels and a measure, bands, post-filter": {
        "slice_len": 16384,
        "bands": 4,
        "channels": 2,
        "post_filter_len": 16,
        "labels": 2,
        "measures": 1,
    },
    "labels and measures, batchnorm": {
        "slice_len": 4096,
        "batchnorm": True,
        "noise": True,
        "noise_bits": 16,
        "relative_noise": True,
        "labels": 3,
        "measures": 2,
    },
    "all": {
        "slice_len": 16384,
        "bands": 4,
        "channels": 2,
        "post_filter_len": 16,
        "noise": True,
        "noise_bits": 16,
        "relative_noise": True,
        "noise_pulses": True,
        "batchnorm": True,
        "upsample": "nn",
    },
    "wide": {"slice_len": 4096, "dim": 16},
    "8192": {"slice_len": 8192},
    "16384": {"slice_len": 16384},
    "32768": {"slice_len": 32768},
    "65536": {"slice_len": 65536},
    "131072": {"slice_len": 131072, "dim": 1},
    "262144": {"slice_len": 262144, "dim": 1},
}
"""Settings of `wavegan.build_generator`, all of them at least once."""


def random_network(seed=0, **settings):
    """A generator whose weights all are random, those that begin at zero or one too, and that is loud."""
    network = wavegan.build_generator(**{"dim": 3, "latent_dim": 10} | settings)
    random = np.random.default_rng(seed)
    for weight in network.weights:
        name = weight.path.rsplit("/", 1)[-1]
        fan_in = weight.shape[0] if len(weight.shape) == 2 else weight.shape[0] * weight.shape[-1]
        if name in ("gamma", "moving_variance", "scales"):
            value = random.uniform(0.5, 1.5, weight.shape)
        elif name == "kernel":
            # Repeated positions add up.
            value = random.normal(0, (0.7 if settings.get("upsample") == "nn" else 2) / fan_in**0.5, weight.shape)
        else:
            value = random.normal(0, 0.1, weight.shape)
        weight.assign(value)
    return network


def share(path, config, seed=0):
    """Makes a shared model of a `Config`; returns its path, a string."""
    network = random_network(
        seed,
        slice_len=config.data_slice_len,
        dim=config.wavegan_dim,
        latent_dim=config.wavegan_latent_dim,
        channels=config.data_num_channels,
        noise=config.wavegan_genr_noise,
        labels=len(config.label_names),
        measures=len(config.data_conditions),
    )
    *_, last = (each for each in network.layers if hasattr(each, "strides"))
    # Far from the ends of the range, so that no piece is clipped.
    last.kernel.assign(0.2 * last.kernel)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(each) for each in network.get_weights())).hexdigest()
    os.makedirs(path)
    storage.write_text(os.path.join(path, "config.json"), config.to_json())
    generator_file.write(os.path.join(path, SHARED), network, 100 + seed, digest, "float32")
    return str(path)


def random_inputs(generator, n, seed=1):
    """Inputs of a `Trained`; where it has labels, mixes of all of them."""
    random = np.random.default_rng(seed)
    inputs, config = generator.draw(random, n), generator.config
    if labels := len(config.label_names):
        inputs[:, config.wavegan_latent_dim :][:, :labels] = random.dirichlet(np.ones(labels), n)
    return inputs


class Trained:
    """In place of `families.generators.Generator`: a network that nobody has trained.

    Args:
        network: `keras.Model`, see `wavegan.build_generator`.
        sample_rate_hz: Integer.
        family: `Family`.
    """

    def __init__(self, network, sample_rate_hz=16000, family=None):
        _, slice_len, channels = network.output_shape
        width = network.input_shape[1]
        ((latent_dim, labels),) = [
            (each.latent_dim, each.labels) for each in network.layers if isinstance(each, Listening)
        ] or [(width, 0)]
        self.network = network
        self.config = Config(
            data_slice_len=slice_len,
            data_num_channels=channels,
            data_sample_rate=sample_rate_hz,
            wavegan_latent_dim=latent_dim,
            label_names=tuple(f"label {each}" for each in range(labels)),
            label_shares=tuple((1 + each) / (labels * (labels + 1) / 2) for each in range(labels)),
            data_conditions=tuple(MEASURES)[: width - latent_dim - labels],
        )
        self.family = family or WaveGAN()
        self.train_dir = TrainDir("/models/rain")
        self.step = 1000
        self.digest = "none"

    @functools.cached_property
    def _graph(self):
        return tf.function(lambda z: self.network(z, training=False))

    def draw(self, random, n, truncation=1.0):
        return self.family.draw(self.config, random, n, truncation)

    def generate(self, z):
        return self._graph(tf.constant(z)).numpy()
