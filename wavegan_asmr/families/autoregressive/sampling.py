"""Sound from an autoregressive network, a sample after the other, of many sequences at once."""

import keras
import tensorflow as tf

from wavegan_asmr.networks import mu_law

TEMPERATURE_UNIT = 1e-3
"""Of the third number of an input."""


class Sampler(keras.layers.Layer):
    """Draws sequences; each depends on its own seed alone, whatever else is drawn with it.

    Args:
        network: `AutoregressiveNetwork`.
        samples: Integer, the length of a sequence.

    Input shape: int32 `[batch, 3]`: two numbers of a seed, and the temperature in thousandths, by which logits are
        divided: below 1 what is likely becomes likelier.
    Output shape: float32 `[batch, samples, 1]`, in [-1, 1].
    """

    def __init__(self, network, samples, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.samples = samples

    def build(self, inputs_shape):
        # As one call does it, which nothing has made yet.
        self.network(tf.zeros([1, 1], tf.int32), self.network.start(1))

    def call(self, inputs):
        def draw(seed):
            return tf.random.stateless_uniform([self.samples], seed)

        chances = tf.map_fn(draw, inputs[:, :2], fn_output_signature=tf.float32)
        temperatures = tf.cast(inputs[:, 2:], tf.float32) * TEMPERATURE_UNIT
        return mu_law.decode(self._sample(tf.transpose(chances), temperatures))[..., None]

    # Compiled, the many small operations of a sample take half the time.
    @tf.function(jit_compile=True)
    def _sample(self, chances, temperatures):
        """Classes, int32 `[batch, samples]`, by chances `[samples, batch]` and temperatures `[batch, 1]`."""
        n = tf.shape(chances)[1]
        before = tf.fill([n], mu_law.SILENCE)
        drawn = tf.TensorArray(tf.int32, self.samples)

        def take(time, before, state, drawn):
            logits, state = self.network.step(before, state)
            reached = tf.cumsum(tf.nn.softmax(logits / temperatures), axis=1)
            # The first class whose cumulated probability is above the chance; rounding may leave none.
            classes = tf.reduce_sum(tf.cast(reached <= chances[time][:, None], tf.int32), axis=1)
            classes = tf.minimum(classes, mu_law.CLASSES - 1)
            return time + 1, classes, state, drawn.write(time, classes)

        loop = (0, before, self.network.start(n), drawn)
        *_, drawn = tf.while_loop(lambda time, *_: time < self.samples, take, loop)
        return tf.transpose(drawn.stack())

    def compute_output_shape(self, inputs_shape):
        return inputs_shape[0], self.samples, 1
