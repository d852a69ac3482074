"""The noise of a generator in NumPy is TensorFlow's to the bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.exchange import noise
from wavegan_asmr.networks.layers import LatentSeeds, NoiseInput

LATENTS = {
    "drawn": np.random.default_rng(0).uniform(-1, 1, [3, 100]).astype(np.float32),
    "in another order": np.random.default_rng(0).uniform(-1, 1, [2, 100]).astype(np.float32)[:, ::-1],
    "of one number": np.array([[-0.0], [0.0], [1.0], [-1.0], [1e-40]], np.float32),
}


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("latents", LATENTS)
def test_the_same_bits(latents, bits):
    z = LATENTS[latents]
    seeds = LatentSeeds()(tf.constant(z))
    # The last one ends within a block, with either number of bits.
    for index, shape in enumerate([(16, 256), (1024, 2), (3, 2)]):
        expected = NoiseInput(index, bits=bits).draw(seeds, shape).numpy()
        np.testing.assert_array_equal(noise.draw(z, index, shape, bits), expected)
    assert len(np.unique(noise.draw(z, 0, (2, 2), bits), axis=0)) == len(z)


@pytest.mark.parametrize("bits", [16, 32])
def test_white_noise_of_variance_1(bits):
    drawn = noise.draw(LATENTS["drawn"], 1, (4096, 16), bits).reshape(-1)
    assert np.abs(drawn).max() <= np.float32(3**0.5)
    assert drawn.var() == pytest.approx(1, abs=0.02) and drawn.mean() == pytest.approx(0, abs=0.01)
    assert np.corrcoef(drawn[1:], drawn[:-1])[0, 1] == pytest.approx(0, abs=0.01)


def test_numpy_alone(tmp_path):
    (tmp_path / "noise.py").write_bytes(Path(noise.__file__).read_bytes())
    line = "import sys, noise; print([each for each in ('tensorflow', 'wavegan_asmr') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
