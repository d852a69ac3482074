"""Tests of the levels that a discriminator listens to: SciPy, sines, silence."""

import keras
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

import wavegan
from tests.conftest import SMALL
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.networks.levels import Levels

FLOOR = 1e-6


def test_levels_are_those_of_scipy():
    x = np.random.default_rng(0).normal(0, 0.1, [2, 512, 3]).astype(np.float32)
    window = scipy.signal.get_window("hann", 64)
    padded = np.pad(x, [(0, 0), (24, 24), (0, 0)])
    _, _, spectra = scipy.signal.stft(
        padded, window=window, nperseg=64, noverlap=48, axis=1, boundary=None, padded=False
    )
    # SciPy divides by the window's sum: a sine of full scale has an amplitude of 1 / 2.
    expected = np.log1p(np.abs(2 * spectra) ** 2 / FLOOR) / 4  # [batch, bins, channels, frames]
    levels = Levels(64, 16)(x).numpy()
    assert levels.shape == (2, 512 // 16, 3 * 33)
    np.testing.assert_allclose(levels.reshape(2, 32, 3, 33), expected.transpose(0, 3, 2, 1), atol=1e-4)


def test_a_sine_has_its_level_at_any_phase():
    times = np.arange(1024)
    x = np.stack([np.cos(2 * np.pi * 10 * times / 128 + phase) for phase in np.linspace(0, 3, 7)])
    levels = Levels(128, 16)(x[..., None].astype(np.float32)).numpy()[:, 8:-8]
    np.testing.assert_allclose(levels.max(axis=2), np.log1p(1 / FLOOR) / 4, atol=1e-3)
    assert (levels.argmax(axis=2) == 10).all()


def test_silence_is_nothing_and_pulls_at_nothing():
    """Below the floor levels are flat: a penalty on their slopes stays finite, and so does its own gradient."""
    x = tf.zeros([1, 256, 1])
    layer = Levels(32, 16)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x))
        slopes = tape.gradient(total, x)
        steepness = tf.reduce_sum(slopes**2)
    assert total == 0 and not slopes.numpy().any()
    assert np.isfinite(outer.gradient(steepness, x)).all()


@pytest.mark.parametrize("slice_len, channels", [(4096, 1), (16384, 2)])
def test_a_discriminator_with_levels_has_one_more_map(slice_len, channels):
    plain = wavegan.build_discriminator(slice_len, channels, dim=4)
    listening = wavegan.build_discriminator(slice_len, channels, dim=4, levels=128)
    assert listening.count_params() - plain.count_params() == channels * 65 * 8
    # Without that map it is the plain one.
    weights = {variable.path: variable for variable in plain.variables}
    for variable in listening.variables:
        variable.assign(weights.get(variable.path, tf.zeros_like(variable)))
    inputs = [tf.random.stateless_normal([2, slice_len, channels], [0, 1]), tf.constant([[3, 4]])]
    np.testing.assert_allclose(listening(inputs), plain(inputs), atol=1e-6)


def test_what_is_heard_is_in_samples_of_the_audio():
    config = Config(**SMALL | {"data_slice_len": 65536, "wavegan_bands": 16}, wavegan_disc_levels=512)
    discriminator = family_of(config).build_discriminator(config)
    assert isinstance(discriminator, keras.Model)
    assert discriminator.get_layer("levels").window_len == 512 // 16


@pytest.mark.parametrize("levels", [32, 128])
def test_windows_that_are_too_short_for_bands(levels):
    config = Config(**SMALL | {"data_slice_len": 65536, "wavegan_bands": 16}, wavegan_disc_levels=levels)
    with pytest.raises(UserError, match=f"at least 256 with --wavegan_bands 16. Received: {levels}"):
        family_of(config).settle(config, {})
