"""A generator as few operations that every runtime has.

Whatever a layer is in Keras, here it is one operation. With x `[length, inputs]`, zeros before and behind it,

    y[i] = sum_t x[i - before + t] @ M[t]        M [taps, inputs / groups, stride * outputs / groups]

and y `[length, stride * outputs]` is, row by row, `[length * stride, outputs]`. The windows of so many taps lie in
memory one after the other, so it is one matrix product with rows that overlap. Transposed convolutions, convolutions of
what is repeated, the post-filter (stride 1) and the synthesis of a filter bank (stride: its bands, a group a channel,
of all the same M) all are of that form. Batch normalization goes into M and the bias.

Where a generator listens to labels and measures, g `[width]` being what `conditioning.expand` makes of them, the first
operation adds g @ E, and others multiply the channels of what they make by 1 + g @ S, before their activations.
"""

import dataclasses
import typing

import keras
import numpy as np

from wavegan_asmr.networks import filter_bank
from wavegan_asmr.networks.conditioning import LISTENING
from wavegan_asmr.networks.layers import ChannelScale, NoiseInput, RepeatedConv1D, StridedConv1DTranspose


class NoiseScales(typing.NamedTuple):
    """The scales of a `NoiseInput`, float32 `[channels]`; None where it has no such noise.

    Attributes:
        fixed, relative, pulses: Of noise of a fixed level, of that in proportion, and of its pulses.
    """

    fixed: np.ndarray
    relative: np.ndarray | None
    pulses: np.ndarray | None

    @classmethod
    def of(cls, layer):
        """The scales of a layer."""
        weights = layer.scale, layer.relative_scale, layer.pulse_scale
        return cls(*(None if each is None else _numpy(each) for each in weights))


@dataclasses.dataclass
class Operation:
    """The operation that every layer is, see the module.

    Attributes:
        matrix: float32 `[taps, inputs / groups, stride * outputs / groups]`.
        bias: float32 `[outputs]`, or None.
        stride, before, groups: Integers.
        activation: "relu", "tanh", "clip" (to [-1, 1]) or "none".
        noise: `NoiseInput` before it, or None.
        noise_scales: `NoiseScales` of it, or None.
        embedding: float32 `[width, outputs]`, E of what is listened to, or None.
        given_scales: float32 `[width, outputs]`, S of what is listened to, or None.
    """

    matrix: np.ndarray
    bias: np.ndarray | None
    stride: int = 1
    before: int = 0
    groups: int = 1
    activation: str = "none"
    noise: NoiseInput | None = None
    noise_scales: NoiseScales | None = None
    embedding: np.ndarray | None = None
    given_scales: np.ndarray | None = None

    @property
    def inputs(self):
        """Channels that it takes."""
        return self.matrix.shape[1] * self.groups

    @property
    def outputs(self):
        """Channels that it makes."""
        return self.matrix.shape[2] * self.groups // self.stride

    def normalize(self, layer):
        """Has a `keras.layers.BatchNormalization` behind it done within it."""
        scale = _numpy(layer.gamma) / np.sqrt(_numpy(layer.moving_variance) + layer.epsilon)
        shift = _numpy(layer.beta) - _numpy(layer.moving_mean) * scale
        # A dense layer's outputs are positions of channels, those of a convolution one after the other.
        self.matrix = self.matrix * np.tile(scale, self.matrix.shape[2] // len(scale))
        repeats = len(self.bias) // len(scale)
        self.bias = self.bias * np.tile(scale, repeats) + np.tile(shift, repeats)
        if self.embedding is not None:
            self.embedding = self.embedding * np.tile(scale, repeats)


def operations_of(network):
    """Takes a generator apart.

    Args:
        network: `keras.Model`, see `wavegan.build_generator`.

    Returns:
        `Operation` of the latent vector, of one tap; integer, the positions of the grid that its outputs are; list of
        `Operation`, from the grid to the audio.
    """
    dense, positions, operations, noise = None, None, [], None
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense) and layer.name.startswith(LISTENING):
            dense.embedding = _numpy(layer.kernel)
        elif isinstance(layer, keras.layers.Dense):
            last = dense = Operation(_numpy(layer.kernel)[None], _numpy(layer.bias))
        elif isinstance(layer, ChannelScale):
            last.given_scales = _numpy(layer.kernel)
        elif isinstance(layer, keras.layers.Reshape):
            positions = layer.target_shape[0]
        elif isinstance(layer, NoiseInput):
            noise = layer
        elif isinstance(layer, keras.layers.BatchNormalization):
            last.normalize(layer)
        elif isinstance(layer, keras.layers.ReLU):
            last.activation = "relu"
        elif isinstance(layer, keras.layers.Activation):
            last.activation = "tanh"
        elif (operation := _operation_of(layer)) is not None:
            last = operation
            if noise:
                last.noise, last.noise_scales, noise = noise, NoiseScales.of(noise), None
            operations.append(last)
    return dense, positions, operations


def _operation_of(layer):
    """Returns the `Operation` of a layer, or None where it is none."""
    if isinstance(layer, StridedConv1DTranspose):
        matrix, before = upsampling(_numpy(layer.kernel), layer.strides[0])
        return Operation(matrix, _numpy(layer.bias), layer.strides[0], before)
    if isinstance(layer, filter_bank.Synthesis):
        kernel = filter_bank.filters(layer.bands)[:, None] * _numpy(layer.scales)
        matrix, before = upsampling(kernel.astype(np.float32), layer.bands)
        return Operation(matrix, None, layer.bands, before, layer.output.shape[2], "clip")
    if isinstance(layer, keras.layers.Conv1D):
        stride = layer.repeats if isinstance(layer, RepeatedConv1D) else 1
        matrix, before = repeating(_numpy(layer.kernel), stride)
        # The post-filter alone has no bias, and is limited.
        bias, activation = (_numpy(layer.bias), "none") if layer.use_bias else (None, "clip")
        return Operation(matrix, bias, stride, before, activation=activation)
    return None


def upsampling(kernel, stride):
    """Returns the matrix of a transposed convolution with padding "same".

    Args:
        kernel: Array `[kernel_len, out, in]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Array `[taps, in, stride * out]`; integer, the taps that look back.
    """
    kernel_len, channels, channels_in = kernel.shape
    front = (kernel_len - stride) // 2
    # x[j] reaches y[j stride - front + k] through tap k.
    before, behind = (kernel_len - 1 - front) // stride, (stride - 1 + front) // stride
    matrix = np.zeros([before + 1 + behind, channels_in, stride, channels], kernel.dtype)
    for k in range(kernel_len):
        hop, phase = divmod(k - front, stride)
        matrix[before - hop, :, phase] = kernel[k].T
    return matrix.reshape(len(matrix), channels_in, -1), before


def repeating(kernel, stride):
    """Returns the matrix of a convolution with padding "same" of what is repeated.

    Args:
        kernel: Array `[kernel_len, in, out]`.
        stride: Integer >= 1, how often each position is repeated.

    Returns:
        Array `[taps, in, stride * out]`; integer, the taps that look back.
    """
    kernel_len, channels_in, channels = kernel.shape
    front = (kernel_len - 1) // 2
    before, behind = -(-front // stride), (stride - 1 + kernel_len - 1 - front) // stride
    matrix = np.zeros([before + 1 + behind, channels_in, stride, channels], kernel.dtype)
    for k in range(kernel_len):
        for phase in range(stride):
            matrix[before + (phase + k - front) // stride, :, phase] += kernel[k]
    return matrix.reshape(len(matrix), channels_in, -1), before


def _numpy(variable):
    return np.asarray(keras.ops.convert_to_numpy(variable))
