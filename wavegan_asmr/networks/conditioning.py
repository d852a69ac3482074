"""What a model listens to besides its latent vector: labels, and slow measures of recordings.

A model's input is `[batch, latent_dim + labels + measures]`. Labels are weights, one of them 1, or a mix of several
whose sum is 1. Measures are places among all slices of the recordings, from 0, the softest say, to 1, the loudest, so
that each value is as frequent as any other.

The generator adds an embedding to what its dense layer makes of the latent vector, and scales the channels of every
layer after it (conditional batch normalisation without the normalisation, de Vries et al. 2017); the discriminator is
the projection discriminator (Miyato and Koyama 2018).
"""

import dataclasses
from collections.abc import Callable

from wavegan_asmr.lazy import LazyModule

# Names and words of measures are wanted by --help, which must not wait for TensorFlow.
tf = LazyModule("tensorflow")

LISTENING = "given_"
"""How the names of layers begin whose weights are those of labels and measures."""

KNOTS = 5
"""Places of a measure between which what networks make of it is interpolated."""

_FLOOR = 1e-10
"""Power below which everything is equally soft, -100 dB of full scale."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """A slow measure of sound.

    Attributes:
        words: String, what it is, for help and docs.
        fader: String, the setting of rendering that moves it.
        compute: Function of float32 `[batch, samples, channels]` to float32 `[batch]`.
    """

    words: str
    fader: str
    compute: Callable


def _power(x):
    return tf.reduce_mean(x**2, axis=[1, 2]) + _FLOOR


def _level(x):
    return tf.math.log(_power(x))


def _brightness(x):
    # The root mean square frequency, but for a constant: differences weigh frequencies by their square.
    return tf.math.log(_power(x[:, 1:] - x[:, :-1]) / _power(x))


MEASURES = {
    "level": Measure("how loud it is", "intensity", _level),
    "brightness": Measure("how much of it are high frequencies", "brightness", _brightness),
}
"""The registry: value of --data_conditions -> `Measure`."""


def measure(x, names):
    """Measures slices.

    Args:
        x: float32 `[batch, samples, channels]`.
        names: Sequence of strings, of `MEASURES`, at least one.

    Returns:
        float32 `[batch, measures]`.
    """
    return tf.stack([MEASURES[name].compute(x) for name in names], axis=1)


def rank(values, quantiles):
    """Returns the places of values among those of the recordings.

    Args:
        values: float32 `[batch, measures]`.
        quantiles: float32 `[measures, n]`, values of evenly spaced places from 0 to 1, rising.

    Returns:
        float32 `[batch, measures]` in [0, 1].
    """
    steps = quantiles[:, 1:] - quantiles[:, :-1]
    shares = (values[..., None] - quantiles[:, :-1]) / tf.maximum(steps, 1e-6)  # [batch, measures, n - 1]
    return tf.reduce_mean(tf.clip_by_value(shares, 0.0, 1.0), axis=2)


def expand(given, labels):
    """Makes of places of measures what a linear layer makes any curve of: weights of the knots next to each.

    Args:
        given: float32 `[batch, labels + measures]`.
        labels: Integer.

    Returns:
        float32 `[batch, labels + KNOTS * measures]`.
    """
    places = (KNOTS - 1) * given[:, labels:, None]
    weights = tf.nn.relu(1 - tf.abs(places - tf.range(KNOTS, dtype=given.dtype)))  # [batch, measures, KNOTS]
    return tf.concat([given[:, :labels], tf.reshape(weights, [tf.shape(given)[0], KNOTS * weights.shape[1]])], axis=1)
