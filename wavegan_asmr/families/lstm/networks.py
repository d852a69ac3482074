"""Stacked LSTM cells as a Keras layer (Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate)."""

import keras
import tensorflow as tf

from wavegan_asmr.families.autoregressive.network import AutoregressiveNetwork
from wavegan_asmr.networks import mu_law

_FORGET_BIAS = 1.0
"""Of new cells: they begin by keeping what they have (Gers et al. 2000)."""


class Cells(keras.layers.Layer):
    """A layer of cells: `keras.layers.LSTM` without what slows it down, more than twice as fast.

    entered, kept, told = sigmoid(W x + U h + b); new = tanh(W' x + U' h + b');
    c <- kept c + entered new; h <- told tanh(c).

    Input shape: `[batch, samples, channels]`, and a state: h and c, float32 `[batch, units]`.
    Output shape: `[batch, samples, units]`, and the state behind.
    """

    def __init__(self, units, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.units = units

    def build(self, x_shape):
        units = self.units
        self.kernel = self.add_weight(shape=[x_shape[-1], 4 * units], name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=[units, 4 * units], initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=[4 * units], initializer="zeros", name="bias")
        self.bias.assign(tf.concat([tf.zeros(units), tf.fill([units], _FORGET_BIAS), tf.zeros(2 * units)], 0))

    def call(self, x, state):
        dtype, samples = self.compute_dtype, x.shape[1]
        kernel, recurrent = (
            tf.cast(tf.convert_to_tensor(each), dtype) for each in (self.kernel, self.recurrent_kernel)
        )
        # What depends on the input alone, of all samples at once.
        of_inputs = tf.transpose(tf.tensordot(tf.cast(x, dtype), kernel, 1), [1, 0, 2])

        def take(time, state, outputs):
            state = self._turn(of_inputs[time] + tf.matmul(tf.cast(state[0], dtype), recurrent), state[1])
            return time + 1, state, outputs.write(time, state[0])

        loop = (0, state, tf.TensorArray(tf.float32, samples))
        _, state, outputs = tf.while_loop(
            lambda time, *_: time < samples, take, loop, maximum_iterations=samples, parallel_iterations=1
        )
        return tf.transpose(outputs.stack(), [1, 0, 2]), state

    def step(self, x, state):
        """The same of one sample, float32 `[batch, channels]`."""
        gates = tf.matmul(x, tf.convert_to_tensor(self.kernel))
        state = self._turn(gates + tf.matmul(state[0], tf.convert_to_tensor(self.recurrent_kernel)), state[1])
        return state[0], state

    def _turn(self, gates, cells):
        gates = tf.cast(gates, tf.float32) + self.bias
        opened = tf.sigmoid(gates[:, : 3 * self.units])
        entered, kept, told = tf.split(opened, 3, axis=-1)
        cells = kept * cells + entered * tf.tanh(gates[:, 3 * self.units :])
        return told * tf.tanh(cells), cells


class LSTM(AutoregressiveNetwork):
    """Logits of samples by cells that pass on a state, and forget.

    Args:
        units: Integer, cells of a layer, and numbers by which a class is told to the first.
        layers: Integer.

    Its state is a tuple of those of the layers.
    """

    def __init__(self, units, layers, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.embedding = keras.layers.Embedding(mu_law.CLASSES, units, name="embedding")
        self.stack = [Cells(units, dtype=self.dtype_policy, name=f"cells_{i}") for i in range(layers)]
        self.logits = keras.layers.Dense(mu_law.CLASSES, dtype="float32", name="logits")

    def start(self, n):
        return tuple((tf.zeros([n, self.units]), tf.zeros([n, self.units])) for _ in self.stack)

    def call(self, before, state):
        x, states = self.embedding(before), []
        for layer, of_layer in zip(self.stack, state):
            x, of_layer = layer(x, of_layer)
            states.append(of_layer)
        return self.logits(x), tuple(states)

    def step(self, before, state):
        x, states = tf.gather(tf.convert_to_tensor(self.embedding.embeddings), before), []
        for layer, of_layer in zip(self.stack, state):
            x, of_layer = layer.step(x, of_layer)
            states.append(of_layer)
        return tf.matmul(x, tf.convert_to_tensor(self.logits.kernel)) + self.logits.bias, tuple(states)
