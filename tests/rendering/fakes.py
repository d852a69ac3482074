"""Generators that need no training."""

import functools

import numpy as np

from wavegan_asmr.config import Config
from wavegan_asmr.families.family import Family
from wavegan_asmr.families.wavegan.family import WaveGAN
from wavegan_asmr.rendering import models


class Seeds(Family):
    """A family without latent vectors."""

    name = "seeds"
    has_latents = False

    def input_spec(self, config):
        return (), "int64"

    def draw(self, config, random, n, truncation=1.0, temperature=1.0):
        return random.integers(2**31, size=n)


class Noise:
    """In place of `families.generators.Generator`: one noise, turned round by as much as the input says.

    Args:
        family: `Family`.
        config: `Config`.
        train_dir, checkpoint, precision: As `Generator` takes them; nothing is read.
    """

    def __init__(self, family, config, train_dir, checkpoint=None, precision="float32"):
        self.family = family
        self.config = config
        self.train_dir = train_dir
        self.step = 0
        self.digest = "none"
        shape = [config.data_slice_len, config.data_num_channels]
        self._noise = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)

    def draw(self, random, n, truncation=1.0):
        return self.family.draw(self.config, random, n, truncation)

    def generate(self, inputs):
        return np.stack([np.roll(self._noise, int(1e4 * np.ravel(each)[0]), axis=0) for each in inputs])


def install(monkeypatch):
    """Has generate.py take them in place of trained models, those that a manifest names too."""
    make = generators()
    monkeypatch.setattr(models, "Generator", make)
    monkeypatch.setattr(models, "load_again", lambda identities, *rest: [make(each.train_dir) for each in identities])


def generators(family=WaveGAN, **settings):
    """Returns what takes the place of the class `Generator`: of a family, and settings of `Config`."""
    return functools.partial(Noise, family(), Config(**{"data_slice_len": 4096} | settings))
