"""The filter bank: perfect reconstruction, and bands that are bands."""

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from wavegan_asmr.networks import filter_bank

BANDS = [2, 4, 8, 16]


def inside(x, bands):
    """Without what the ends disturb."""
    taps = filter_bank.TAPS_A_BAND * bands
    return x[:, taps:-taps]


@pytest.mark.parametrize("bands", BANDS)
def test_the_filters_are_orthonormal_at_all_hops(bands):
    """By NumPy: sums of products of every two filters, moved by every number of hops."""
    filters = filter_bank.filters(bands)
    taps = len(filters)
    for hop in range(0, taps, bands):
        products = filters[hop:].T @ filters[: taps - hop]
        np.testing.assert_allclose(products, np.eye(bands) if hop == 0 else 0, atol=1e-12)


@pytest.mark.parametrize("bands", BANDS)
def test_each_filter_passes_its_band_alone(bands):
    filters = filter_bank.filters(bands)
    for k in range(bands):
        frequencies, response = scipy.signal.freqz(filters[:, k], worN=4096)
        level_db = 20 * np.log10(np.abs(response) / bands**0.5 + 1e-12)
        place = frequencies * bands / np.pi
        is_outside = (place < k - 0.5) | (place > k + 1.5)
        assert level_db[is_outside].max() < -60
        assert np.abs(level_db[np.abs(place - k - 0.5) < 0.1]).max() < 0.1
        # Where neighbours meet they share the power.
        edge = np.abs(place - k - 1).argmin()
        assert k == bands - 1 or level_db[edge] == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_audio_comes_back(bands, channels):
    x = np.random.default_rng(0).normal(0, 0.1, [3, 2048, channels]).astype(np.float32)
    divided = filter_bank.analyze(tf.constant(x), bands)
    assert divided.shape == (3, 2048 // bands, channels * bands)
    back = filter_bank.synthesize(divided, bands).numpy()
    error_db = 10 * np.log10(np.mean(inside(back - x, bands) ** 2) / np.mean(x**2))
    assert error_db < -120
    # Orthogonal: the power is the same, the ends lose some.
    assert np.sum(divided.numpy() ** 2) == pytest.approx(np.sum(x**2), rel=0.05)
    again = filter_bank.analyze(tf.constant(back), bands).numpy()
    hops = filter_bank.TAPS_A_BAND * 2
    np.testing.assert_allclose(again[:, hops:-hops], divided.numpy()[:, hops:-hops], atol=1e-5)


@pytest.mark.parametrize("bands", [2, 4])
def test_a_tone_is_in_its_band_and_its_channel(bands):
    frequency = (0.6 + bands - 1) / bands / 2
    tone = np.zeros([1, 4096, 2], np.float32)
    tone[0, :, 1] = np.sin(2 * np.pi * frequency * np.arange(4096))
    power = np.square(inside(filter_bank.analyze(tf.constant(tone), bands).numpy(), 1)).mean(axis=(0, 1))
    assert power.argmax() == 2 * bands - 1
    assert np.delete(power, 2 * bands - 1).max() < 1e-4 * power.max()


def test_one_band_is_the_audio():
    x = tf.random.stateless_normal([2, 64, 1], [0, 1])
    assert filter_bank.analyze(x, 1) is x and filter_bank.synthesize(x, 1) is x


def test_synthesis_gives_the_levels_back():
    layer = filter_bank.Synthesis(4)
    bands = tf.random.stateless_normal([2, 512, 8], [0, 1]) * 0.1
    layer(bands)
    layer.scales.assign([1.0, 0.5, 0.25, 0.1])
    audio = layer(bands)
    assert audio.shape == layer.compute_output_shape(bands.shape) == (2, 2048, 2)
    hops = filter_bank.TAPS_A_BAND * 2
    np.testing.assert_allclose(layer.invert(audio)[:, hops:-hops], bands[:, hops:-hops], atol=1e-4)
    powers = tf.reduce_mean(filter_bank.analyze(audio, 4) ** 2, axis=[0, 1])
    np.testing.assert_allclose(powers, 0.01 * np.tile([1, 0.25, 0.0625, 0.01], 2), rtol=0.15)
    assert np.abs(layer(100 * bands)).max() == 1
    assert not layer.trainable_variables
