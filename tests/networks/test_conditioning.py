"""What networks make of labels and measures, against NumPy."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import wavegan
from wavegan_asmr.networks import conditioning
from wavegan_asmr.networks.layers import ChannelScale, Projection


def test_level_is_that_of_the_samples_and_brightness_that_of_their_frequency():
    random = np.random.default_rng(0)
    x = random.normal(0, 0.1, [1, 4096, 2]).astype(np.float32)
    measured = conditioning.measure(tf.constant(np.concatenate([x, 0.1 * x])), ["level", "brightness"]).numpy()
    np.testing.assert_allclose(measured[:, 0], np.log([np.mean(x**2), np.mean(x**2) / 100]), atol=1e-4)
    np.testing.assert_allclose(measured[0, 1], measured[1, 1], atol=1e-4)
    # The difference of a tone's neighbors is 2 sin(pi f / rate) times a tone.
    for cycles in (40, 400, 1600):
        tone = np.sin(2 * np.pi * cycles * np.arange(4096) / 4096)[None, :, None].astype(np.float32)
        (found,) = conditioning.measure(tf.constant(tone), ["brightness"]).numpy()
        np.testing.assert_allclose(found, 2 * np.log(2 * np.sin(np.pi * cycles / 4096)), atol=2e-3)


def test_silence_is_measured():
    assert np.isfinite(conditioning.measure(tf.zeros([1, 64, 1]), list(conditioning.MEASURES))).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-30, 10, width=32), min_size=3, max_size=40, unique=True), st.floats(-40, 20, width=32))
def test_rank_is_the_place_among_the_quantiles(values, value):
    quantiles = np.quantile(np.float32(values), np.linspace(0, 1, 9)).astype(np.float32)
    found = conditioning.rank(tf.constant([[value]]), tf.constant(quantiles[None]))[0, 0]
    if np.diff(quantiles).min() > 1e-3:
        np.testing.assert_allclose(found, np.interp(value, quantiles, np.linspace(0, 1, 9)), atol=1e-4)
    assert 0 <= found <= 1


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1, width=32), st.lists(st.floats(-2, 2, width=32), min_size=5, max_size=5))
def test_a_linear_layer_makes_any_curve_of_an_expanded_measure(place, curve):
    expanded = conditioning.expand(tf.constant([[0.25, 0.75, place]]), labels=2).numpy()[0]
    assert expanded[:2].tolist() == [0.25, 0.75]
    np.testing.assert_allclose(expanded[2:] @ curve, np.interp(place, np.linspace(0, 1, 5), curve), atol=1e-5)


def random_given(n, labels, measures, seed=0):
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(labels), n)
    return np.concatenate([weights, random.random([n, measures])], axis=1).astype(np.float32)


def test_new_networks_do_not_listen_yet():
    """So that fine-tuning begins with the sound that there is; noise is of the latent vector alone."""
    options = {"slice_len": 4096, "dim": 2, "latent_dim": 5, "noise": True, "relative_noise": True}
    plain = wavegan.build_generator(**options)
    listening = wavegan.build_generator(**options, labels=3, measures=2)
    weights = {variable.path: variable for variable in plain.variables}
    for variable in listening.variables:
        if not variable.path.startswith(conditioning.LISTENING):
            variable.assign(weights.pop(variable.path))
    assert not weights
    z = np.random.default_rng(0).uniform(-1, 1, [4, 5]).astype(np.float32)
    inputs = np.concatenate([z, random_given(4, 3, 2)], axis=1)
    np.testing.assert_array_equal(listening(inputs), plain(z))

    plain = wavegan.build_discriminator(slice_len=4096, dim=2)
    listening = wavegan.build_discriminator(slice_len=4096, dim=2, labels=3, measures=2)
    weights = {variable.path: variable for variable in plain.variables}
    for variable in listening.variables:
        if not variable.path.startswith(conditioning.LISTENING):
            variable.assign(weights[variable.path])
    x, seeds = tf.constant(plain_audio(4)), tf.constant([[0, 1]])
    np.testing.assert_array_equal(listening([x, seeds, tf.constant(random_given(4, 3, 2))]), plain([x, seeds]))


def plain_audio(n):
    return np.random.default_rng(1).normal(0, 0.1, [n, 4096, 1]).astype(np.float32)


def test_what_is_listened_to_has_the_formulas_of_the_papers():
    random = np.random.default_rng(2)
    x, given_ = random.normal(size=[3, 7, 4]).astype(np.float32), random_given(3, 5, 0)
    scale = ChannelScale()
    scale(x, given_)
    scale.kernel.assign(random.normal(size=[5, 4]))
    expected = x * (1 + np.einsum("bg,gc->bc", given_, scale.kernel.numpy()))[:, None]
    np.testing.assert_allclose(scale(x, given_), expected, atol=1e-5)
    features = x[:, 0]
    fit = Projection()
    fit(features, given_)
    fit.kernel.assign(random.normal(size=[5, 4]))
    expected = np.einsum("bf,bg,gf->b", features, given_, fit.kernel.numpy())[:, None]
    np.testing.assert_allclose(fit(features, given_), expected, atol=1e-5)
