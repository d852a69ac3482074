"""Inputs of generators that stay the same over a training."""

import numpy as np
import pytest

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import fixed_inputs
from wavegan_asmr.train_dir import TrainDir


@pytest.fixture
def train_dir(tmp_path):
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    train_dir.write_config(Config(wavegan_latent_dim=3, train_seed=5))
    return train_dir


def test_latents_are_fixed(train_dir):
    few = fixed_inputs(train_dir, 4)
    many = fixed_inputs(train_dir, 9)
    np.testing.assert_array_equal(many[:4], few)
    np.testing.assert_array_equal(fixed_inputs(train_dir, 4), few)
    assert many.dtype == np.float32
    assert np.abs(many).max() <= 1
    train_dir.write_config(Config(wavegan_latent_dim=7))
    with pytest.raises(UserError, match=r"z.npy must be \[n, 7\]. Received: \[9, 3\]"):
        fixed_inputs(train_dir, 4)


def test_latents_are_no_pickle(train_dir):
    np.save(train_dir.join("preview", "z.npy"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        fixed_inputs(train_dir, 1)
