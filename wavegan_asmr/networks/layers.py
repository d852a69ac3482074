"""The layers of WaveGAN that Keras does not have, or has slower."""

import functools
import math

import keras
import tensorflow as tf

from wavegan_asmr.networks import conditioning, polyphase

_NOISE_SCALE = 0.1
"""Of the noise of a new generator."""
_PULSE_SCALE = 0.01
"""Of the pulses of a new generator."""
PULSES = 1 / 256
"""Share of the numbers of noise that are pulses."""
PULSE_THRESHOLD = (1 - PULSES) * 3**0.5
"""Of uniform noise of variance 1: above are pulses."""
PULSE_GAIN = PULSES**-1.5
"""Makes pulses, less the threshold, of variance 1."""
POWER_FLOOR = 1e-4
"""Of a position's channels, under a root, whose gradient is infinite at zero."""


class StridedConv1D(keras.layers.Conv1D):
    """`keras.layers.Conv1D` with padding "same", computed in a fast form (see `polyphase`)."""

    def call(self, inputs):
        kernel = tf.convert_to_tensor(self.kernel)
        return polyphase.strided_conv(inputs, kernel, self.strides[0]) + self.bias


class StridedConv1DTranspose(keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` with padding "same", computed in a fast form (see `polyphase`)."""

    def call(self, inputs):
        kernel = tf.convert_to_tensor(self.kernel)
        return polyphase.transposed_conv(inputs, kernel, self.strides[0]) + self.bias


class RepeatedConv1D(keras.layers.Conv1D):
    """`keras.layers.UpSampling1D(repeats)` and `keras.layers.Conv1D` with padding "same" in one (see `polyphase`).

    Args:
        repeats: Integer >= 1, how often each sample is repeated before the convolution.
        filters, kernel_size: Integers, as of `keras.layers.Conv1D`.

    Input shape: `[batch, length, channels]`.
    Output shape: `[batch, length * repeats, filters]`.
    """

    def __init__(self, filters, kernel_size, repeats, **kwargs):
        super().__init__(filters, kernel_size, padding="same", **kwargs)
        self.repeats = repeats

    def call(self, inputs):
        kernel = tf.convert_to_tensor(self.kernel)
        return polyphase.repeated_conv(inputs, kernel, self.repeats) + self.bias

    def compute_output_shape(self, input_shape):
        batch, length, _ = input_shape
        return batch, length * self.repeats, self.filters


def leaky_relu(x, slope=0.2):
    """Leaky rectifier whose second derivative is left out of the graph: it is zero.

    TensorFlow's own carries tensors of zeros through all layers below, a sixth of the work of a gradient penalty.

    Args:
        x: Tensor.
        slope: Float, below zero.

    Returns:
        Tensor of the shape of `x`.
    """

    @tf.custom_gradient
    def rectify(x):
        return tf.nn.leaky_relu(x, slope), lambda dy: select(dy)

    @tf.custom_gradient
    def select(dy):
        # Linear in dy, so it is its own gradient.
        return tf.raw_ops.LeakyReluGrad(gradients=dy, features=x, alpha=slope), select

    return rectify(x)


class LeakyReLU(keras.layers.LeakyReLU):
    """`keras.layers.LeakyReLU` by `leaky_relu`."""

    def call(self, inputs):
        return leaky_relu(inputs, self.negative_slope)


def shift_phase(x, shift, radius):
    """Moves every channel of `x` by `shift` samples, filling the gap by reflection.

    The gradient is as quick as the shift: TensorFlow's own, which adds up any positions, is five times slower.

    Args:
        x: Tensor `[batch, length, channels]`.
        shift: int32 tensor `[batch]`, each in -radius, ..., radius; positive moves towards the end.
        radius: Integer < length.

    Returns:
        Tensor of the shape of `x`.
    """
    length, shift = x.shape[1], shift[:, None]

    @tf.custom_gradient
    def move(x):
        source = tf.abs(tf.range(length) - shift)
        source = length - 1 - tf.abs(length - 1 - source)  # [batch, length]
        return tf.gather(x, source, batch_dims=1), lambda dy: move_back(dy)

    @tf.custom_gradient
    def move_back(dy):
        # A sample went to one position, and near the ends to a reflected one too, if those are inside.
        def edge(positions):
            before = tf.where(positions > 0, shift - positions, -1)
            behind = tf.where(positions < length - 1, 2 * (length - 1) + shift - positions, -1)
            return tf.add_n([_gather_inside(dy, each) for each in (positions + shift, before, behind)])

        first = min(radius + 1, length)
        last = max(length - radius - 1, first)
        middle = tf.gather(dy, tf.range(first, last) + shift, batch_dims=1)
        return tf.concat([edge(tf.range(first)), middle, edge(tf.range(last, length))], axis=1), lambda ddx: move(ddx)

    return move(x)


def _gather_inside(x, positions):
    """Positions `[batch, n]` of x `[batch, length, channels]`, zeros for those outside: `[batch, n, channels]`."""
    length = x.shape[1]
    is_inside = (positions >= 0) & (positions < length)
    gathered = tf.gather(x, tf.clip_by_value(positions, 0, length - 1), batch_dims=1)
    return tf.where(is_inside[..., None], gathered, tf.zeros([], x.dtype))


def add_noise(x, noise, scale, relative_scale=None):
    """Adds noise, scaled for each channel, and in proportion to the RMS of a position's channels.

    TensorFlow's own gradient adds up each scale over all positions by itself; here both are one matrix product.

    Args:
        x: Tensor `[batch, length, channels]`.
        noise: Tensor of the shape of `x`; without gradient.
        scale: Tensor `[channels]`.
        relative_scale: Tensor `[channels]`, or None for no noise in proportion.

    Returns:
        Tensor of the shape of `x`.
    """
    scale = tf.cast(scale, x.dtype)
    if relative_scale is None:
        return x + noise * scale

    @tf.custom_gradient
    def add(x, scale, relative_scale):
        rms = tf.sqrt(tf.reduce_mean(x**2, axis=2, keepdims=True) + POWER_FLOOR)  # [batch, length, 1]

        def gradient(dy):
            product = dy * noise
            flat, flat_rms = tf.reshape(product, [-1, channels]), tf.reshape(rms, [1, -1])
            dscales = tf.matmul(tf.concat([tf.ones_like(flat_rms), flat_rms], axis=0), flat)
            drms = tf.reshape(tf.matmul(flat, relative_scale[:, None]), tf.shape(rms))
            return dy + x * (drms / (rms * channels)), dscales[0], dscales[1]

        return x + noise * (scale + relative_scale * rms), gradient

    channels = x.shape[2]
    return add(x, scale, tf.cast(relative_scale, x.dtype))


class PhaseShuffle(keras.layers.Layer):
    """Phase shuffle: a random shift of up to `radius` samples (paper, section 3.3).

    Shifts come from seeds given with the input, so a discriminator is a pure function. Several batches may come as
    one, each with a seed of its own: they get the shifts they would get alone. Without `training=True` the layer does
    nothing.

    Args:
        radius: Integer >= 0; shifts are uniform in -radius, ..., radius.
        per: "batch" draws one shift for a whole batch, as the reference implementation does;
            "example" draws one for each example.
        index: Integer that tells this layer's draws from those of the others.

    Input shape: `[batches * batch, length, channels]` with length > radius, and the seeds, int32 `[batches, 2]`.
    Output shape: `[batches * batch, length, channels]`.
    """

    def __init__(self, radius, per, index, **kwargs):
        super().__init__(**kwargs)
        self.radius = radius
        self.per = per
        self.index = index

    def call(self, x, seeds, training=False):
        if not training or not self.radius:
            return x
        batch_size = tf.shape(x)[0] // seeds.shape[0]

        def draw(seed):
            shift = tf.random.stateless_uniform(
                [1 if self.per == "batch" else batch_size],
                tf.random.experimental.stateless_fold_in(seed, self.index),
                minval=-self.radius,
                maxval=self.radius + 1,
                dtype=tf.int32,
            )
            return tf.broadcast_to(shift, [batch_size])

        return shift_phase(x, tf.concat([draw(seed) for seed in tf.unstack(seeds)], axis=0), self.radius)

    def compute_output_shape(self, x_shape, seeds_shape=None):
        return x_shape


class LatentSeeds(keras.layers.Layer):
    """Seeds that are a function of latent vectors, so that a generator with noise is a pure function of its latents.

    Input shape: `[batch, latent_dim]`, float32.
    Output shape: `[batch]`, int32.
    """

    def __init__(self, **kwargs):
        # Rounded to fewer bits, neighbours on a walk would share their noise.
        super().__init__(dtype="float32", **kwargs)

    def call(self, z):
        bits = tf.bitcast(z, tf.int32)
        # Sums wrap around; odd factors tell apart vectors of the same elements in another order.
        factors = 2 * tf.range(tf.shape(z)[1]) + 1
        sums = tf.stack([tf.reduce_sum(bits, axis=1), tf.reduce_sum(bits * factors, axis=1)], axis=1)
        draw = functools.partial(tf.random.stateless_uniform, [], minval=None, maxval=None, dtype=tf.int32)
        return _draw_each(draw, sums, tf.int32)

    def compute_output_spec(self, z):
        return keras.KerasTensor([z.shape[0]], dtype="int32")


def _draw_each(draw, seeds, dtype):
    """What is drawn from each of `[n, ...]` seeds, stacked."""
    if seeds.shape[0] is None:
        return tf.map_fn(draw, seeds, fn_output_signature=dtype)
    # A loop would take one after another.
    return tf.stack([draw(seed) for seed in tf.unstack(seeds)])


def pulses_of(noise):
    """Takes the pulses out of noise: white as it is, but next to all of its numbers are zero.

    Args:
        noise: float32, uniform in -sqrt(3) to sqrt(3).

    Returns:
        Tensor of the shape of noise, of variance 1: how far each number is beyond `PULSE_THRESHOLD`, times
        `PULSE_GAIN`, uniform in -sqrt(3 / PULSES) to sqrt(3 / PULSES) where it is.
    """
    return PULSE_GAIN * (noise - tf.clip_by_value(noise, -PULSE_THRESHOLD, PULSE_THRESHOLD))


class NoiseInput(keras.layers.Layer):
    """Adds white noise of variance 1, scaled by a learned weight for each channel (Karras et al. 2019, section 3.2).

    A hundred latent numbers cannot hold the thousands of independent ones that a second of rain has; and positions
    that a young generator makes alike, heard as a metallic comb, differ by their noise. Normal numbers would be a fifth
    of the work of a small model; uniform ones take a third of the time, and convolutions add them up to normal ones.

    Noise of a fixed level is too loud for a new generator, whose layers are soft, and too soft in loud pieces, which
    turn metallic. Relative noise is in proportion to the RMS of a position's channels, with learned weights of its own.

    Convolutions add such noise up to normal noise, in which nothing stands out: drops and crackles would have to come
    from rare sums of many numbers. Pulses are rare, and large, each by itself: random places for events to be.

    Args:
        index: Integer that tells this layer's draws from those of the others.
        relative: Boolean, whether there is relative noise too.
        bits: 16 or 32, random ones of each number. Drawing them is most of the work.
        pulses: Boolean, whether there are pulses too, the largest of the same numbers, see `pulses_of`.

    Input shape: `[batch, length, channels]`, and the seeds, int32 `[batch]`.
    Output shape: `[batch, length, channels]`.
    """

    def __init__(self, index, relative=False, bits=32, pulses=False, **kwargs):
        super().__init__(**kwargs)
        self.index = index
        self.is_relative = relative
        self.bits = bits
        self.has_pulses = pulses

    def build(self, x_shape, seeds_shape):
        def add_scale(name, value):
            return self.add_weight(shape=[x_shape[-1]], initializer=keras.initializers.Constant(value), name=name)

        # Of a new generator both together would drown what the latent vector says.
        self.scale = add_scale("scale", 0.0 if self.is_relative else _NOISE_SCALE)
        self.relative_scale = add_scale("relative_scale", _NOISE_SCALE) if self.is_relative else None
        # At zero it would not learn: pulses of both signs, at random places, pull it both ways.
        self.pulse_scale = add_scale("pulse_scale", _PULSE_SCALE) if self.has_pulses else None

    def call(self, x, seeds):
        # Half precision has no numbers between the threshold of pulses and the largest number.
        noise = self.draw(seeds, x.shape[1:], "float32" if self.has_pulses else x.dtype)
        y = add_noise(x, tf.cast(noise, x.dtype), self.scale, self.relative_scale)
        return add_noise(y, tf.cast(pulses_of(noise), x.dtype), self.pulse_scale) if self.has_pulses else y

    def draw(self, seeds, shape, dtype="float32"):
        """Draws the noise, before it is scaled.

        Args:
            seeds: int32 `[batch]`, see `LatentSeeds`.
            shape: Sequence of integers, length and channels.
            dtype: A type of floats.

        Returns:
            Tensor `[batch, *shape]`, uniform in -sqrt(3) to sqrt(3).
        """

        def draw(shape, **kind):
            return _draw_each(
                lambda seed: tf.random.stateless_uniform(shape, [seed, self.index], **kind), seeds, kind["dtype"]
            )

        if self.bits == 32:
            return tf.cast(draw(shape, dtype=tf.float32) * (2 * 3**0.5) - 3**0.5, dtype)
        pairs = draw([math.prod(shape) // 2], minval=None, maxval=None, dtype=tf.int32)
        # Sums of products of numbers as large as they come would be too large for float16.
        return tf.cast(tf.reshape(tf.bitcast(pairs, tf.int16), [-1, *shape]), dtype) * (3**0.5 / 2**15)

    def compute_output_shape(self, x_shape, seeds_shape=None):
        return x_shape


class Listening(keras.layers.Layer):
    """Parts a model's input into its latent vector and what it listens to, see `conditioning`.

    Args:
        latent_dim: Integer >= 0.
        labels: Integer.

    Input shape: `[batch, latent_dim + labels + measures]`, float32.
    Output shape: `[batch, latent_dim]`, and `[batch, labels + KNOTS * measures]`.
    """

    def __init__(self, latent_dim, labels, **kwargs):
        # Noise is a function of all bits of a latent vector.
        super().__init__(dtype="float32", **kwargs)
        self.latent_dim = latent_dim
        self.labels = labels

    def call(self, x):
        return x[:, : self.latent_dim], conditioning.expand(x[:, self.latent_dim :], self.labels)

    def compute_output_spec(self, x):
        width = self.labels + conditioning.KNOTS * (x.shape[1] - self.latent_dim - self.labels)
        return keras.KerasTensor([x.shape[0], self.latent_dim]), keras.KerasTensor([x.shape[0], width])


class ChannelScale(keras.layers.Layer):
    """Scales each channel by what the model listens to; of a new model by 1.

    Input shape: `[batch, length, channels]`, and `[batch, width]`, see `Listening`.
    Output shape: `[batch, length, channels]`.
    """

    def build(self, x_shape, given_shape):
        self.kernel = self.add_weight(shape=[given_shape[-1], x_shape[-1]], initializer="zeros", name="kernel")

    def call(self, x, given):
        return x * (1 + tf.matmul(given, self.kernel))[:, None]

    def compute_output_shape(self, x_shape, given_shape=None):
        return x_shape


class Projection(keras.layers.Layer):
    """How well features go with what the model listens to: their product with an embedding of it (Miyato and Koyama
    2018, equation 3); 0 of a new model.

    Input shape: `[batch, features]`, and `[batch, width]`, see `Listening`.
    Output shape: `[batch, 1]`.
    """

    def build(self, x_shape, given_shape):
        self.kernel = self.add_weight(shape=[given_shape[-1], x_shape[-1]], initializer="zeros", name="kernel")

    def call(self, x, given):
        return tf.reduce_sum(x * tf.matmul(given, self.kernel), axis=1, keepdims=True)

    def compute_output_shape(self, x_shape, given_shape=None):
        return x_shape[0], 1
