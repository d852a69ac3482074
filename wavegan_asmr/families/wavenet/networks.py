"""WaveNet as a Keras layer (van den Oord et al. 2016, section 2).

A sample depends on those before it through causal convolutions of two taps, dilated by 1, 2, 4, ...: what it sees grows
exponentially with the layers.
"""

import keras
import numpy as np
import tensorflow as tf

from wavegan_asmr.families.autoregressive.network import AutoregressiveNetwork
from wavegan_asmr.networks import mu_law

TAPS = 2
"""Of every convolution."""


def receptive_field(dilations):
    """Returns how many samples before it one is made from.

    Args:
        dilations: Sequence of integers, of all blocks.
    """
    return TAPS + (TAPS - 1) * sum(dilations)


class GatedBlock(keras.layers.Layer):
    """A dilated convolution with a gate, a residual and a skip connection (equation 2 and figure 4).

    z = tanh(W_f * x) sigmoid(W_g * x); x + V z goes on, and S z is skipped to the end.

    Args:
        skip_channels: Integer.
        dilation: Integer, samples between the two taps.

    Input shape: `[batch, samples, channels]`.
    Output shape: `[batch, samples, channels]` and `[batch, samples, skip_channels]`.
    """

    def __init__(self, skip_channels, dilation, **kwargs):
        super().__init__(**kwargs)
        self.skip_channels = skip_channels
        self.dilation = dilation

    def build(self, x_shape):
        self.channels = x_shape[-1]
        self.kernel = self.add_weight(shape=[TAPS, self.channels, 2 * self.channels], name="kernel")
        self.bias = self.add_weight(shape=[2 * self.channels], initializer="zeros", name="bias")
        width = self.channels + self.skip_channels
        self.output_kernel = self.add_weight(shape=[self.channels, width], name="output_kernel")
        self.output_bias = self.add_weight(shape=[width], initializer="zeros", name="output_bias")

    def call(self, x):
        samples = x.shape[1]
        past = tf.pad(x, [[0, 0], [self.dilation, 0], [0, 0]])[:, :samples]
        kernel = tf.reshape(tf.convert_to_tensor(self.kernel), [TAPS * self.channels, 2 * self.channels])
        return self._gate(x, tf.tensordot(tf.concat([past, x], axis=-1), kernel, 1))

    def step(self, x, of_past):
        """The same of one sample `[batch, channels]`, with what the kernel's first tap makes of the past."""
        return self._gate(x, of_past + tf.matmul(x, tf.convert_to_tensor(self.kernel)[1]))

    def _gate(self, x, convolved):
        filtered, gate = tf.split(convolved + self.bias, 2, axis=-1)
        z = tf.tanh(filtered) * tf.sigmoid(gate)
        out = tf.tensordot(z, tf.convert_to_tensor(self.output_kernel), 1) + self.output_bias
        residual, skip = tf.split(out, [self.channels, self.skip_channels], axis=-1)
        return x + residual, skip

    def compute_output_shape(self, x_shape):
        return x_shape, (*x_shape[:-1], self.skip_channels)


class WaveNet(AutoregressiveNetwork):
    """Logits of samples by a stack of `GatedBlock`s.

    Args:
        channels, skip_channels: Integers.
        dilations: Sequence of integers, of all blocks.

    Its state is: the time; the class before the one before; and of each block the last inputs, as many as its dilation,
    in one ring of `[sum of dilations, n, channels]`. Whole slices begin in silence: they have no state.
    """

    def __init__(self, channels, skip_channels, dilations, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.dilations = tuple(dilations)
        self.blocks = [
            GatedBlock(skip_channels, dilation, dtype=self.dtype_policy, name=f"block_{i}")
            for i, dilation in enumerate(self.dilations)
        ]
        self.hidden = keras.layers.Dense(skip_channels, "relu", dtype=self.dtype_policy, name="hidden")
        self.logits = keras.layers.Dense(mu_law.CLASSES, dtype="float32", name="logits")

    def build(self, before_shape, *state_shapes):
        # The first convolution: its inputs are one of 256, so each tap is a table.
        shape = [TAPS, mu_law.CLASSES, self.channels]
        self.tables = self.add_weight(shape=shape, initializer=keras.initializers.RandomNormal(0, 0.05), name="tables")

    def start(self, n):
        ring = tf.zeros([sum(self.dilations), n, self.channels])
        return tf.constant(0), tf.fill([n], mu_law.SILENCE), ring

    def call(self, before, state):
        earlier = tf.pad(before[:, :-1], [[0, 0], [1, 0]], constant_values=mu_law.SILENCE)
        tables = tf.cast(tf.convert_to_tensor(self.tables), self.compute_dtype)
        x = tf.gather(tables[0], earlier) + tf.gather(tables[1], before)
        skips = []
        for block in self.blocks:
            x, skip = block(x)
            skips.append(skip)
        return self.logits(self.hidden(tf.nn.relu(tf.add_n(skips)))), state

    def step(self, before, state):
        time, earlier, ring = state
        places = tf.constant(np.cumsum([0, *self.dilations[:-1]]), tf.int32) + time % tf.constant(self.dilations)
        kernels = tf.stack([tf.convert_to_tensor(block.kernel)[0] for block in self.blocks])
        # What all blocks have kept, at once: [blocks, n, 2 channels].
        of_past = tf.unstack(tf.matmul(tf.gather(ring, places), kernels))
        tables = tf.convert_to_tensor(self.tables)
        x = tf.gather(tables[0], earlier) + tf.gather(tables[1], before)
        kept, skips = [], []
        for block, past in zip(self.blocks, of_past):
            kept.append(x)
            x, skip = block.step(x, past)
            skips.append(skip)
        ring = tf.tensor_scatter_nd_update(ring, places[:, None], tf.stack(kept))
        hidden = tf.nn.relu(_dense(tf.nn.relu(tf.add_n(skips)), self.hidden))
        return _dense(hidden, self.logits), (time + 1, before, ring)


def _dense(x, layer):
    """A `keras.layers.Dense` without its activation, in float32 whatever its policy."""
    return tf.matmul(x, tf.convert_to_tensor(layer.kernel)) + layer.bias
