"""The networks against the arrays of the reference, native layers, and their own rules."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import REFERENCE

import polyphase
import wavegan
from reference_import import variable_name

NO_SHUFFLE = tf.constant([0, 0])


def load_reference(network, arrays, prefix="var:"):
    """Assigns weights by the reference's names; every array is used and every weight is set."""
    weights = {variable_name(key.removeprefix(prefix))[1]: arrays[key] for key in arrays if key.startswith(prefix)}
    assert set(weights) == {variable.path for variable in network.variables}
    for variable in network.variables:
        variable.assign(weights[variable.path].reshape(variable.shape))


def reference_arrays(pattern):
    return sorted((REFERENCE / "arrays").glob(pattern))


@pytest.mark.parametrize("path", reference_arrays("generator_*.npz"), ids=lambda path: path.stem)
def test_generator_equals_reference(path):
    arrays = np.load(path)
    config = json.loads(str(arrays["config"]))
    generator = wavegan.build_generator(
        config["slice_len"],
        config["nch"],
        config["latent_dim"],
        config["kernel_len"],
        config["dim"],
        config["use_batchnorm"],
        config["upsample"],
        config["genr_pp_len"],
    )
    load_reference(generator, arrays)
    unlimited = generator
    if config["genr_pp_len"]:
        # The reference leaves the filter's output beyond [-1, 1].
        unlimited = keras.Model(generator.input, generator.get_layer("pp_filt").output)
    np.testing.assert_allclose(unlimited(arrays["z"]), arrays["G_z"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(generator(arrays["z"]), np.clip(arrays["G_z"], -1, 1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("path", reference_arrays("discriminator_*.npz"), ids=lambda path: path.stem)
def test_discriminator_equals_reference(path):
    arrays = np.load(path)
    config = json.loads(str(arrays["config"]))
    discriminator = wavegan.build_discriminator(
        config["slice_len"],
        config["nch"],
        config["kernel_len"],
        config["dim"],
        config["use_batchnorm"],
        phaseshuffle=config["phaseshuffle_rad"],
    )
    load_reference(discriminator, arrays)
    x = np.random.RandomState(arrays["x_seed"]).uniform(-0.5, 0.5, arrays["x_shape"]).astype(np.float32)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        d_x = discriminator([x, NO_SHUFFLE], training=True)
    gradient = tape.gradient(d_x, x).numpy()
    np.testing.assert_allclose(d_x, arrays["D_x"], rtol=1e-3)
    np.testing.assert_allclose(np.sqrt((gradient.astype(float) ** 2).sum((1, 2))), arrays["dD_dx_norm"], rtol=1e-3)
    first = arrays["dD_dx_first_256"]
    np.testing.assert_allclose(gradient[:, :256], first, atol=1e-3 * np.abs(first).max(), rtol=0)


@pytest.mark.parametrize("shift", range(-3, 4))
def test_phase_shift_equals_reference(shift):
    arrays = np.load(REFERENCE / "arrays" / "phase_shuffle.npz")
    shifted = wavegan.shift_phase(tf.constant(arrays["x"]), tf.constant([shift, shift]))
    np.testing.assert_array_equal(shifted, arrays[f"shift:{shift}"])


@pytest.mark.parametrize(
    ("slice_len", "dim", "generator", "discriminator"),
    [
        (16384, 64, 19_065_345, 17_427_969),
        (65536, 64, 73_149_953, 69_875_201),
        (65536, 32, 19_115_777, 17_478_401),
    ],
)
def test_parameter_counts_of_reference(slice_len, dim, generator, discriminator):
    assert wavegan.build_generator(slice_len, dim=dim).count_params() == generator
    assert wavegan.build_discriminator(slice_len, dim=dim).count_params() == discriminator


@pytest.mark.parametrize("slice_len", wavegan.STRIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_slice_length(slice_len, channels):
    generator = wavegan.build_generator(slice_len, channels, dim=1, latent_dim=3)
    discriminator = wavegan.build_discriminator(slice_len, channels, dim=1)
    audio = generator(tf.random.uniform([2, 3], -1, 1))
    assert audio.shape == (2, slice_len, channels)
    assert np.abs(audio).max() <= 1
    assert discriminator([audio, NO_SHUFFLE], training=True).shape == (2,)
    # Widths halve towards the audio, and none is above 32 * dim.
    widths = [layer.filters for layer in discriminator.layers if isinstance(layer, keras.layers.Conv1D)]
    assert widths == [min(2**i, 32) for i in range(len(widths))]


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("upsample", ["zeros", "nn"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_every_weight_gets_a_gradient(batchnorm, upsample, dtype):
    generator = wavegan.build_generator(4096, 2, 4, 24, 1, batchnorm, upsample, post_filter_len=16, dtype=dtype)
    discriminator = wavegan.build_discriminator(4096, 2, 24, 1, batchnorm, dtype=dtype)
    with tf.GradientTape() as tape:
        fake = generator(tf.random.stateless_uniform([3, 4], [1, 2], -1, 1), training=True)
        logits = discriminator([fake, NO_SHUFFLE], training=True)
    assert fake.dtype == logits.dtype == tf.float32
    variables = generator.trainable_variables + discriminator.trainable_variables
    assert all(variable.dtype == "float32" for variable in variables)
    gradients = tape.gradient(logits, [variable.value for variable in variables])
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


def test_post_filter_keeps_channels_and_range():
    generator = wavegan.build_generator(4096, 2, 4, dim=1, post_filter_len=512)
    kernel = generator.get_layer("pp_filt").kernel
    assert kernel.shape == (512, 2, 2)
    kernel.assign(10_000 * kernel)
    audio = generator(tf.random.stateless_uniform([4, 4], [1, 2], -1, 1)).numpy()
    assert audio.shape == (4, 4096, 2)
    assert np.abs(audio).max() == 1


def test_receptive_field_is_what_the_gradient_sees():
    discriminator = wavegan.build_discriminator(16384, dim=1, phaseshuffle=0)
    for variable in discriminator.variables:
        variable.assign(tf.fill(variable.shape, 0.1))
    last = keras.Model(discriminator.inputs, discriminator.get_layer("downconv_4").output)
    x = tf.fill([1, 16384, 1], 0.1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        middle = last([x, NO_SHUFFLE])[0, 8, 0]
    seen = np.flatnonzero(tape.gradient(middle, x))
    assert seen[-1] - seen[0] + 1 == wavegan.receptive_field(16384, 25)


class TestPhaseShuffle:
    x = np.arange(64, dtype=np.float32).reshape(1, 64, 1) * np.ones([40, 1, 1], np.float32)

    def shifts(self, per, seed, radius=2):
        layer = wavegan.PhaseShuffle(radius, per, index=0)
        return 32 - layer(self.x, tf.constant(seed), training=True).numpy()[:, 32, 0]

    def test_one_shift_a_batch(self):
        shifts = [self.shifts("batch", [0, i]) for i in range(60)]
        assert all(len(set(shift)) == 1 for shift in shifts)
        assert {shift[0] for shift in shifts} == {-2, -1, 0, 1, 2}

    def test_one_shift_an_example(self):
        assert set(self.shifts("example", [0, 1])) == {-2, -1, 0, 1, 2}

    def test_function_of_the_seed(self):
        np.testing.assert_array_equal(self.shifts("example", [3, 4]), self.shifts("example", [3, 4]))
        assert (self.shifts("example", [3, 4]) != self.shifts("example", [3, 5])).any()

    def test_off_outside_training(self):
        layer = wavegan.PhaseShuffle(2, "example", index=0)
        np.testing.assert_array_equal(layer(self.x, tf.constant([0, 1])), self.x)

    def test_layers_draw_apart(self):
        draws = [wavegan.PhaseShuffle(2, "example", i)(self.x, tf.constant([0, 1]), training=True) for i in range(2)]
        assert (draws[0].numpy() != draws[1].numpy()).any()


@pytest.mark.parametrize("kernel_len", [24, 25, 4, 7])
@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_polyphase_equals_native(kernel_len, stride, transposed):
    """Forward, both gradients, and the gradients of the gradient, which the penalty needs."""
    random = np.random.default_rng(0)
    kernel_shape = [kernel_len, 5, 3] if transposed else [kernel_len, 3, 5]
    kernel = tf.constant(random.standard_normal(kernel_shape))
    x = tf.constant(random.standard_normal([2, 32, 3]))
    ours = polyphase.transposed_conv if transposed else polyphase.strided_conv

    def native(x, kernel, stride):
        if transposed:
            return tf.nn.conv1d_transpose(x, kernel, [2, 32 * stride, 5], stride, "SAME")
        return tf.nn.conv1d(x, kernel, stride, "SAME")

    def derivatives(conv):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                y = tf.sin(conv(x, kernel, stride))
            first = inner.gradient(y, [x, kernel])
            squares = [tf.reduce_sum(gradient**2) for gradient in first]
        second = [outer.gradient(square, [x, kernel]) for square in squares]
        return tf.nest.flatten([y, first, second])

    for got, expected in zip(derivatives(ours), derivatives(native)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)
