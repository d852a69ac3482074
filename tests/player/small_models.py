"""Models to play that need no training: random weights, each with another spectrum."""

import hashlib
import os

import numpy as np
from random_generators import random_network

from wavegan_asmr import storage
from wavegan_asmr.config import Config
from wavegan_asmr.families import generator_file
from wavegan_asmr.train_dir import SHARED

LATENT_DIM = 10

MODELS = {
    "rain": {"data_sample_rate": 16000},
    "fire": {"data_sample_rate": 16000, "wavegan_genr_noise": True},
    "birds": {"data_sample_rate": 22050, "data_num_channels": 2},
}
"""Name -> settings of `Config`: mono and stereo, with noise and without, of two rates."""


def make(folder, names=tuple(MODELS)):
    """Makes shared models; returns their paths, strings."""
    return [_make(os.path.join(folder, name), number, MODELS[name]) for number, name in enumerate(names)]


def _make(path, seed, settings):
    config = Config(data_slice_len=4096, wavegan_dim=2, wavegan_latent_dim=LATENT_DIM, **settings)
    network = random_network(
        seed,
        slice_len=config.data_slice_len,
        dim=config.wavegan_dim,
        latent_dim=LATENT_DIM,
        channels=config.data_num_channels,
        noise=config.wavegan_genr_noise,
    )
    *_, last = (each for each in network.layers if hasattr(each, "strides"))
    # Far from the ends of the range, so that no piece is clipped.
    last.kernel.assign(0.2 * last.kernel)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(each) for each in network.get_weights())).hexdigest()
    os.makedirs(path)
    storage.write_text(os.path.join(path, "config.json"), config.to_json())
    generator_file.write(os.path.join(path, SHARED), network, 100 + seed, digest, "float32")
    return path
