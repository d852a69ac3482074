"""Models to play that need no training: random weights, each with another spectrum."""

import os

from random_generators import share

from wavegan_asmr.config import Config

LATENT_DIM = 10

MODELS = {
    "rain": {"data_sample_rate": 16000},
    "fire": {"data_sample_rate": 16000, "wavegan_genr_noise": True},
    "birds": {"data_sample_rate": 22050, "data_num_channels": 2},
    "storm": {
        "data_sample_rate": 16000,
        "label_names": ("drops", "gusts", "waves"),
        "label_shares": (0.2, 0.3, 0.5),
        "data_conditions": ("level", "brightness"),
    },
}
"""Name -> settings of `Config`: mono and stereo, with noise and without, of two rates; one that listens."""


def make(folder, names=("rain", "fire", "birds")):
    """Makes shared models; returns their paths, strings."""
    return [
        share(
            os.path.join(folder, name),
            Config(data_slice_len=4096, wavegan_dim=2, wavegan_latent_dim=LATENT_DIM, **MODELS[name]),
            number,
        )
        for number, name in enumerate(names)
    ]
