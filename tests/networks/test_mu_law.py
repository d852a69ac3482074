"""The mu-law against NumPy and librosa."""

import librosa
import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.networks import mu_law


def test_classes_are_the_rounded_formula():
    x = np.random.default_rng(0).uniform(-1, 1, 10000).astype(np.float32)
    bent = librosa.mu_compress(x.astype(float), mu=255, quantize=False)
    found = mu_law.encode(tf.constant(x)).numpy()
    # Where the formula is at the edge between two classes, float32 may fall to either side.
    exact = (bent + 1) / 2 * 255
    clear = np.abs(exact % 1 - 0.5) > 1e-3
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(found[clear], np.round(exact[clear]))
    assert found.min() == 0 and found.max() == 255


def test_samples_of_classes_are_librosas():
    classes = np.arange(256)
    found = mu_law.decode(tf.constant(classes, tf.int32)).numpy()
    np.testing.assert_allclose(found, librosa.mu_expand(2 * classes / 255 - 1, mu=255, quantize=False), atol=1e-6)


def test_every_class_comes_back():
    classes = tf.range(256)
    np.testing.assert_array_equal(mu_law.encode(mu_law.decode(classes)), classes)


@pytest.mark.parametrize("x", [0.0, -0.0])
def test_digital_silence_has_one_class(x):
    assert mu_law.encode(tf.constant(x)).numpy() == mu_law.SILENCE
    assert abs(mu_law.decode(tf.constant(mu_law.SILENCE)).numpy()) < 1e-4


def test_what_is_beyond_full_scale_is_limited():
    np.testing.assert_array_equal(mu_law.encode(tf.constant([-3.0, 3.0])), [0, 255])
