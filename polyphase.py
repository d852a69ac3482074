"""Strided convolutions as stride-1 convolutions over phases, exactly.

A convolution of stride s reads its input in hops of s samples. Laying the s samples of a hop side by
side as channels turns it into a stride-1 convolution over hops. `reshape` does that for free, because
audio is stored as [batch, length, channels]:

    samples      a b c d | e f g h | i j k l          [batch, length, channels]
    hops        [a b c d] [e f g h] [i j k l]         [batch, length / s, s * channels]

    25 taps       . . k k|k k k k|  ...  |k k k .     padded to whole hops: 28 taps = 7 hops of 4

The transposed convolution is the same picture upside down: a stride-1 convolution writes the s samples
of a hop as channels, and `reshape` lays them out in time.

Both equal TensorFlow's native layers with padding "SAME" to rounding, in the forward and in every backward
pass, while the weights keep the native shapes. On CPUs they are several times faster: native strided
convolutions, and above all their gradients towards few channels, run far below the machine's peak.
"""

import tensorflow as tf


def _pad_kernel_to_hops(kernel, stride):
    """Pads the taps of a "SAME" convolution to an odd number of whole hops around the output's hop.

    Args:
        kernel: Tensor `[kernel_len, a, b]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[hops, stride, a, b]` with odd `hops`; the middle hop is the one of the output sample.
    """
    kernel_len = kernel.shape[0]
    left = (kernel_len - stride) // 2  # what TensorFlow's "SAME" pads in front, for whole hops of input
    right = kernel_len - stride - left
    half = max(-(-left // stride), -(-right // stride))
    kernel = tf.pad(kernel, [[half * stride - left, half * stride - right], [0, 0], [0, 0]])
    return tf.reshape(kernel, [2 * half + 1, stride, *kernel.shape[1:]])


def strided_conv(x, kernel, stride):
    """Equals `tf.nn.conv1d(x, kernel, stride, "SAME")`.

    Args:
        x: Tensor `[batch, length, in]`, length a multiple of stride.
        kernel: Tensor `[kernel_len, in, out]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[batch, length / stride, out]`.
    """
    _, length, channels_in = x.shape
    kernel = _pad_kernel_to_hops(kernel, stride)  # [hops, stride, in, out]
    kernel = tf.reshape(kernel, [kernel.shape[0], stride * channels_in, kernel.shape[3]])
    x = tf.reshape(x, [-1, length // stride, stride * channels_in])
    return tf.nn.conv1d(x, kernel, 1, "SAME")


def transposed_conv(x, kernel, stride):
    """Equals `tf.nn.conv1d_transpose(x, kernel, [batch, length * stride, out], stride, "SAME")`.

    Args:
        x: Tensor `[batch, length, in]`.
        kernel: Tensor `[kernel_len, out, in]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[batch, length * stride, out]`.
    """
    length = x.shape[1]
    _, channels_out, channels_in = kernel.shape
    kernel = _pad_kernel_to_hops(kernel, stride)  # [hops, stride, out, in]
    # An input hop reaches the outputs behind it through later taps: correlation runs them backwards.
    kernel = tf.reverse(kernel, [0])
    kernel = tf.reshape(kernel, [kernel.shape[0], stride * channels_out, channels_in])
    kernel = tf.transpose(kernel, [0, 2, 1])  # [hops, in, stride * out]
    x = tf.nn.conv1d(x, kernel, 1, "SAME")  # [batch, length, stride * out]
    return tf.reshape(x, [-1, length * stride, channels_out])
