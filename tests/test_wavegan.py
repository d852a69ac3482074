"""The networks against the arrays of the reference, native layers, and their own rules."""

import json

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import REFERENCE

import wavegan
from wavegan_asmr.exchange.reference_import import variable_name
from wavegan_asmr.networks import layers, polyphase

NO_SHUFFLE = tf.constant([[0, 0]])


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
    shifted = layers.shift_phase(tf.constant(arrays["x"]), tf.constant([shift, shift]), abs(shift))
    np.testing.assert_array_equal(shifted, arrays[f"shift:{shift}"])


@pytest.mark.parametrize(("length", "radius"), [(2, 1), (5, 2), (8, 7), (40, 3)])
def test_gradients_of_phase_shift_equal_those_of_a_matrix(length, radius):
    """A shift is a product with a matrix of zeros and ones, whose gradient is its transpose."""
    random = np.random.default_rng(0)
    x, weights, more = (tf.constant(random.standard_normal([2 * radius + 1, length, 2])) for _ in range(3))
    shift = np.arange(-radius, radius + 1)
    matrices = np.zeros([len(shift), length, length])
    for matrix, s in zip(matrices, shift):
        rows = np.pad(np.eye(length), [[radius, radius], [0, 0]], mode="reflect")
        matrix[:] = rows[radius - s : radius - s + length]

    def derivatives_of(move):
        with tf.GradientTape() as outer:
            outer.watch([x, weights])
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = move(x)
            dx = tape.gradient(y, x, weights)
            total = tf.reduce_sum(dx * dx * more)
        return y, dx, outer.gradient(total, weights)

    got = derivatives_of(lambda x: layers.shift_phase(x, tf.constant(shift, tf.int32), radius))
    for ours, expected in zip(got, derivatives_of(lambda x: tf.constant(matrices) @ x)):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


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


class TestNoise:
    z = tf.random.stateless_uniform([5, 4], [1, 2], -1, 1)

    def build(self, dtype="float32", **settings):
        return wavegan.build_generator(4096, latent_dim=4, dim=1, noise=True, dtype=dtype, **settings)

    @pytest.mark.parametrize("bits", [16, 32])
    @pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
    def test_function_of_the_latent_vector_alone(self, dtype, bits):
        generator = self.build(dtype, relative_noise=True, noise_bits=bits)
        together = generator(self.z)
        alone = tf.concat([generator(self.z[i : i + 1]) for i in range(5)], 0)
        np.testing.assert_allclose(together, alone, atol=1e-6 if dtype == "float32" else 0.02)

    def test_neighbours_and_permutations_have_other_noise(self):
        seeds = layers.LatentSeeds()
        z = np.array([[0.1, 0.2, 0.3], [np.nextafter(np.float32(0.1), 1), 0.2, 0.3], [0.3, 0.2, 0.1]], np.float32)
        assert len(set(seeds(z).numpy())) == 3

    @pytest.mark.parametrize("bits", [16, 32])
    def test_noise_is_white_of_the_learned_scales(self, bits):
        layer = layers.NoiseInput(0, bits=bits)
        x = tf.zeros([2, 50_000, 2])
        assert layer(x, tf.constant([1, 3])).numpy().std() == pytest.approx(0.1, rel=0.02)
        layer.scale.assign([2.0, 0.0])
        noise = layer(x, tf.constant([1, 3])).numpy()
        assert not noise[:, :, 1].any()
        assert scipy.stats.kstest(noise[0, :, 0] / 2, scipy.stats.uniform(-(3**0.5), 2 * 3**0.5).cdf).pvalue > 0.001
        assert abs(np.corrcoef(noise[0, 1:, 0], noise[0, :-1, 0])[0, 1]) < 0.02
        assert abs(np.corrcoef(noise[0, :, 0], noise[1, :, 0])[0, 1]) < 0.02
        assert noise[:, :, 0].mean() == pytest.approx(0, abs=0.03)
        other = layers.NoiseInput(1, bits=bits)(x, tf.constant([1, 3])).numpy()
        assert abs(np.corrcoef(noise[0, :, 0], other[0, :, 0])[0, 1]) < 0.02

    @pytest.mark.parametrize("bits", [16, 32])
    def test_relative_noise_is_as_loud_as_each_position(self, bits):
        layer = layers.NoiseInput(0, relative=True, bits=bits)
        seeds = tf.constant([1])
        levels = np.repeat([0.5, 50.0], 10_000)
        x = tf.constant(levels[None, :, None] * [1.0, -1.0], tf.float32)
        layer(x, seeds)
        layer.scale.assign([0.0, 1.0])
        layer.relative_scale.assign([0.2, 0.0])
        noise = (layer(x, seeds) - x).numpy()[0]
        for part, level in ((noise[:10_000], 0.5), (noise[10_000:], 50.0)):
            np.testing.assert_allclose(part.std(axis=0), [0.2 * level, 1], rtol=0.02)

    @pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
    @pytest.mark.parametrize("bits", [16, 32])
    def test_pulses_are_rare_and_as_strong_as_noise(self, bits, dtype):
        layer, seeds = layers.NoiseInput(0, bits=bits, pulses=True, dtype=dtype), tf.constant([1])
        x = tf.zeros([1, 500_000, 2], layer.compute_dtype)
        # Of a new layer next to all is the noise.
        assert np.std(layer(x, seeds).numpy().astype(np.float64)) == pytest.approx(0.1, rel=0.02)
        layer.scale.assign([0.0, 0.0])
        layer.pulse_scale.assign([0.5, 0.0])
        found, none = layer(x, seeds).numpy().astype(np.float64)[0].T
        assert not none.any()
        is_pulse = found != 0
        assert is_pulse.mean() == pytest.approx(1 / 256, rel=0.1)
        # As far apart as chance has them, and of both signs and all sizes.
        gaps = np.diff(np.flatnonzero(is_pulse))
        assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
        largest = 0.5 * 3**0.5 * 256**0.5
        fit = scipy.stats.kstest(found[is_pulse], scipy.stats.uniform(-largest, 2 * largest).cdf)
        assert fit.statistic < 0.05 and found.std() == pytest.approx(0.5, rel=0.1)

    def test_pulses_come_before_the_last_two_convolutions(self):
        generator = self.build(noise_pulses=True, relative_noise=True, noise_bits=16)
        pulses = [each for each in generator.trainable_variables if each.path.endswith("pulse_scale")]
        assert [each.path.split("/")[0] for each in pulses] == ["upconv_2_noise", "upconv_3_noise"]
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(generator(self.z, training=True) ** 2)
        assert all(np.any(each) for each in tape.gradient(loss, [each.value for each in pulses]))

    def test_noise_is_that_of_models_that_are_trained(self):
        """Draws of stateless seeds, which a sum of a latent vector's bits and a layer's number fold into."""
        z = np.array([[0.25, -0.5, 0.125], [0.75, 0.5, -0.25]], np.float32)
        noise = layers.NoiseInput(3)(tf.zeros([2, 7, 2]), layers.LatentSeeds()(z)).numpy() / np.float32(0.1)
        for bits, found in zip(z.view(np.int32).astype(np.int64), noise):
            sums = [(bits * factors).sum().astype(np.int32) for factors in ([1, 1, 1], [1, 3, 5])]
            seed = tf.random.experimental.stateless_fold_in(tf.constant(sums), 3)
            expected = tf.random.stateless_uniform([7, 2], seed, -(3**0.5), 3**0.5)
            np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_gradients_of_added_noise_equal_tensorflows(self):
        random = np.random.default_rng(0)
        x, noise, dy = (tf.constant(each, tf.float32) for each in random.normal(0, 1, [3, 2, 9, 4]))
        scale, relative_scale = (tf.constant(each, tf.float32) for each in random.normal(0, 1, [2, 4]))

        def plain(x, scale, relative_scale):
            rms = tf.sqrt(tf.reduce_mean(x**2, axis=2, keepdims=True) + 1e-4)
            return x + noise * (scale + relative_scale * rms)

        def gradients(add):
            arguments = x, scale, relative_scale
            with tf.GradientTape() as tape:
                tape.watch(arguments)
                y = add(*arguments)
            return [y, *tape.gradient(y, arguments, dy)]

        found = gradients(lambda x, *scales: layers.add_noise(x, noise, *scales))
        for one, other in zip(found, gradients(plain)):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("bits", [16, 32])
    @pytest.mark.parametrize("relative", [False, True])
    def test_scales_learn(self, relative, bits):
        generator = self.build(relative_noise=relative, noise_bits=bits)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(generator(self.z, training=True) ** 2)
        scales = [variable for variable in generator.trainable_variables if "_noise/" in variable.path]
        assert [scale.shape for scale in scales] == [(n,) for n in (8, 4, 2, 1) for _ in range(1 + relative)]
        assert all(np.any(gradient) for gradient in tape.gradient(loss, [scale.value for scale in scales]))


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
        layer = layers.PhaseShuffle(radius, per, index=0)
        return 32 - layer(self.x, tf.constant([seed]), training=True).numpy()[:, 32, 0]

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
        layer = layers.PhaseShuffle(2, "example", index=0)
        np.testing.assert_array_equal(layer(self.x, tf.constant([[0, 1]])), self.x)

    def test_layers_draw_apart(self):
        draws = [layers.PhaseShuffle(2, "example", i)(self.x, tf.constant([[0, 1]]), training=True) for i in range(2)]
        assert (draws[0].numpy() != draws[1].numpy()).any()


def derivatives(convolve, *arguments):
    """What a convolution makes, both gradients, and the gradients of the gradients, which the penalty needs."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(arguments)
        with tf.GradientTape() as inner:
            inner.watch(arguments)
            y = tf.sin(convolve(*arguments))
        first = inner.gradient(y, arguments)
        squares = [tf.reduce_sum(gradient**2) for gradient in first]
    second = [outer.gradient(square, arguments) for square in squares]
    return tf.nest.flatten([y, first, second])


def native(operation, stride):
    """TensorFlow's own operation of `[batch, 16 * stride or 16, 3]`."""

    def strided_conv(x, kernel):
        return tf.nn.conv1d(x, kernel, stride, "SAME")

    def transposed_conv(y, kernel):
        return tf.nn.conv1d_transpose(y, kernel, [2, 16 * stride, kernel.shape[1]], stride, "SAME")

    def repeated_conv(x, kernel):
        return tf.nn.conv1d(tf.repeat(x, stride, axis=1), kernel, 1, "SAME")

    return locals()[operation]


@pytest.mark.parametrize("kernel_len", [24, 25, 4, 7])
@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("operation", ["strided_conv", "transposed_conv", "repeated_conv"])
@pytest.mark.parametrize("form", range(3))
def test_every_form_equals_native(kernel_len, stride, operation, form):
    random = np.random.default_rng(0)
    length = 16 * stride if operation == "strided_conv" else 16
    channels = {"transposed_conv": [5, 3]}.get(operation, [3, 5])
    x = tf.constant(random.standard_normal([2, length, 3]))
    kernel = tf.constant(random.standard_normal([kernel_len, *channels]))
    ours = getattr(polyphase, operation)
    with polyphase.choosing(lambda shape: polyphase.FORMS[shape.operation][form]):
        got = derivatives(lambda x, kernel: ours(x, kernel, stride), x, kernel)
    for ours, expected in zip(got, derivatives(native(operation, stride), x, kernel)):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("kernel_len", [24, 25])
@pytest.mark.parametrize("slice_len", [8192, 16384])
def test_every_layer_shape_equals_native(slice_len, kernel_len, dtype):
    """The forms as they are chosen, at the layers' own shapes (dim 32, one example), to rounding."""
    random = np.random.default_rng(0)
    length, channels = slice_len, 1
    tolerance = 1e-5 if dtype == tf.float32 else 0.02
    for stride, multiplier in zip(wavegan.STRIDES[slice_len], wavegan.channel_multipliers(slice_len)):
        width = 32 * multiplier
        shapes = [1, length, channels], [kernel_len, channels, width], [1, length // stride, width]
        x, kernel, y = (tf.constant(random.standard_normal(shape), tf.float64) for shape in shapes)
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            product = tf.reduce_sum(tf.nn.conv1d(x, kernel, stride, "SAME") * y)
        dx, dkernel = tape.gradient(product, [x, kernel])
        expected = tf.nn.conv1d(x, kernel, stride, "SAME"), dx, dkernel
        x, kernel, y = (tf.cast(each, dtype) for each in (x, kernel, y))
        got = (
            polyphase.strided_conv(x, kernel, stride),
            polyphase.transposed_conv(y, kernel, stride),
            polyphase.kernel_gradient(x, y, kernel_len, stride),
        )
        for ours, exact in zip(got, expected):
            largest = np.abs(exact).max()
            np.testing.assert_allclose(tf.cast(ours, tf.float64), exact, rtol=0, atol=tolerance * largest)
        length, channels = length // stride, width


@pytest.mark.parametrize("layer", ["downconv_2", "upconv_2"])
@pytest.mark.parametrize("upsample", ["zeros", "nn"])
def test_networks_use_the_fast_forms(layer, upsample):
    network = (
        wavegan.build_discriminator(4096, dim=1)
        if layer == "downconv_2"
        else wavegan.build_generator(4096, dim=1, upsample=upsample)
    )
    x = tf.zeros(network.get_layer(layer).input.shape[1:])[None]
    used = []
    with polyphase.choosing(lambda shape: used.append(shape) or polyphase.choose_form(shape)):
        network.get_layer(layer)(x)
    assert len(used) == 1


def test_leaky_relu_equals_native():
    x = tf.constant(np.random.default_rng(0).standard_normal([50]))
    for got, expected in zip(
        derivatives(lambda x, scale: layers.leaky_relu(tf.sin(x) * scale), x, tf.constant(2.0, tf.float64)),
        derivatives(lambda x, scale: tf.nn.leaky_relu(tf.sin(x) * scale, 0.2), x, tf.constant(2.0, tf.float64)),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_batches_together_get_the_shifts_they_get_alone():
    discriminator = wavegan.build_discriminator(4096, dim=1, phaseshuffle_per="example")
    x = tf.random.stateless_normal([6, 4096, 1], [1, 2])
    seeds = tf.constant([[1, 2], [3, 4]])
    together = discriminator([x, seeds], training=True)
    alone = [discriminator([x[3 * i : 3 * i + 3], seeds[i : i + 1]], training=True) for i in range(2)]
    np.testing.assert_allclose(together, tf.concat(alone, 0), rtol=1e-5, atol=1e-6)
