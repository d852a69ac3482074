"""WaveGAN in Keras as the GAN examples of keras.io write it: native layers, a pass for each of real, fake and penalty.

The weights have the order and the shapes of `wavegan`'s networks, so `set_weights(get_weights())` takes them over.
"""

import keras
import tensorflow as tf

from benchmarks import topology


class PhaseShuffle(keras.layers.Layer):
    """One random shift for the whole batch, filled by reflection, as the reference implementation does it."""

    def __init__(self, radius, **kwargs):
        super().__init__(**kwargs)
        self.radius = radius

    def call(self, x, training=False):
        if not training or not self.radius:
            return x
        shift = tf.random.uniform([], -self.radius, self.radius + 1, dtype=tf.int32)
        front, back = tf.maximum(shift, 0), tf.maximum(-shift, 0)
        length = x.shape[1]
        x = tf.pad(x, [[0, 0], [front, back], [0, 0]], mode="REFLECT")
        return tf.ensure_shape(x[:, back : back + length], [None, length, x.shape[2]])


def build_generator(slice_len, dim, dtype="float32"):
    """Latent vectors `[batch, 100]` -> audio `[batch, slice_len, 1]`; `dtype` is the Keras dtype policy."""
    layers = keras.layers
    widths = topology.widths(slice_len, dim)[::-1]
    z = keras.Input([topology.LATENT_DIM])
    x = layers.Dense(topology.GRID_LEN * widths[0], dtype=dtype)(z)
    x = layers.Reshape([topology.GRID_LEN, widths[0]], dtype=dtype)(x)
    x = layers.ReLU(dtype=dtype)(x)
    for stride, width in zip(topology.strides(slice_len), [*widths[1:], 1]):
        x = layers.Conv1DTranspose(width, topology.KERNEL_LEN, stride, padding="same", dtype=dtype)(x)
        if x.shape[1] < slice_len:
            x = layers.ReLU(dtype=dtype)(x)
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x))


def build_discriminator(slice_len, dim, phaseshuffle=2, dtype="float32"):
    """Audio `[batch, slice_len, 1]` -> logits `[batch, 1]`; `dtype` is the Keras dtype policy."""
    layers = keras.layers
    audio = keras.Input([slice_len, 1])
    x = audio
    for stride, width in zip(topology.strides(slice_len), topology.widths(slice_len, dim)):
        x = layers.Conv1D(width, topology.KERNEL_LEN, stride, padding="same", dtype=dtype)(x)
        x = layers.LeakyReLU(0.2, dtype=dtype)(x)
        if x.shape[1] > topology.GRID_LEN:
            x = PhaseShuffle(phaseshuffle, dtype=dtype)(x)
    x = layers.Flatten(dtype=dtype)(x)
    return keras.Model(audio, layers.Dense(1, dtype="float32")(x))


class WGAN:
    """Both networks, their optimisers and the training step (wgan-gp, lambda 10, Adam 1e-4 / 0.5 / 0.9).

    Args:
        slice_len, dim, batch_size, phaseshuffle: Integers.
        dtype: Keras dtype policy.
    """

    penalty_weight = 10.0

    def __init__(self, slice_len, dim, batch_size, phaseshuffle=2, dtype="float32"):
        self.batch_size = batch_size
        self.generator = build_generator(slice_len, dim, dtype)
        self.discriminator = build_discriminator(slice_len, dim, phaseshuffle, dtype)
        self.generator_optimizer, self.discriminator_optimizer = (
            keras.optimizers.Adam(1e-4, 0.5, 0.9, epsilon=1e-8) for _ in range(2)
        )
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @tf.function
    def train_step(self, real):
        """One iteration on a real batch, float32 `[batch, samples, 1]`: dict of losses."""
        metrics = {}
        for _ in range(topology.DISCRIMINATOR_UPDATES):
            alpha = tf.random.uniform([self.batch_size, 1, 1])
            metrics = self.train_discriminator(real, self._latents(), alpha)
        return metrics | self.train_generator(self._latents())

    def train_discriminator(self, real, z, alpha):
        """One update of the discriminator; `alpha` is float32 `[batch, 1, 1]`, where between real and fake."""
        fake = self.generator(z, training=True)
        with tf.GradientTape() as tape:
            d_fake = self.discriminator(fake, training=True)
            d_real = self.discriminator(real, training=True)
            penalty = self._penalty(real, fake, alpha)
            loss = tf.reduce_mean(d_fake) - tf.reduce_mean(d_real) + self.penalty_weight * penalty
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.discriminator_optimizer.apply_gradients(zip(gradients, variables))
        return {"D_loss": loss, "penalty": penalty, "D_gradient_norm": tf.linalg.global_norm(gradients)}

    def train_generator(self, z):
        """One update of the generator."""
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(self.discriminator(self.generator(z, training=True), training=True))
        variables = self.generator.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.generator_optimizer.apply_gradients(zip(gradients, variables))
        return {"G_loss": loss, "G_gradient_norm": tf.linalg.global_norm(gradients)}

    def _penalty(self, real, fake, alpha):
        between = real + alpha * (fake - real)
        with tf.GradientTape() as tape:
            tape.watch(between)
            d_between = self.discriminator(between, training=True)
        slopes = tape.gradient(d_between, between)
        norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=[1, 2]) + 1e-12)
        return tf.reduce_mean((norms - 1) ** 2)

    def _latents(self):
        return tf.random.uniform([self.batch_size, topology.LATENT_DIM], -1, 1)
