"""Strided convolutions and all their gradients, exactly, in the form that is fastest for a shape.

A convolution of stride s reads its input in hops of s samples. Laying the s samples of a hop side by side as
channels turns it into a stride-1 convolution over hops. `reshape` does that for free, because audio is stored as
[batch, length, channels]:

    samples      a b c d | e f g h | i j k l          [batch, length, channels]
    hops        [a b c d] [e f g h] [i j k l]         [batch, length / s, s * channels]

    25 taps       . . k k|k k k k|  ...  |k k k .     padded to whole hops: 28 taps = 7 hops of 4

The transposed convolution is the same picture upside down: a stride-1 convolution writes the s samples of a hop as
channels, and `reshape` lays them out in time.

Input x, kernel k and output y of a convolution belong together in three maps, each linear in both of its arguments:

    strided_conv      (x, k) -> y
    transposed_conv   (y, k) -> x
    kernel_gradient   (x, y) -> k

The gradient of each is made of the other two. So gradients of any order, such as the second one that a gradient
penalty needs, are these three maps again, and all are computed in the forms chosen here:

    native    TensorFlow's strided operation
    polyphase a stride-1 convolution over hops
    columns   one matrix product with the hops that an output position sees side by side (im2col)
    scatter   one matrix product that makes all taps of an input position, which are then added up where they overlap

All equal TensorFlow's native operations with padding "SAME" to rounding, while the weights keep the native shapes.
"""

import contextlib
import functools
import typing

import tensorflow as tf

FORMS = {
    "strided_conv": ("native", "polyphase", "columns"),
    "transposed_conv": ("native", "polyphase", "scatter"),
    "kernel_gradient": ("native", "polyphase", "columns"),
}
"""Maps -> the forms that they have."""

_FEW_CHANNELS = 2
_MANY_CHANNELS = 128
_DEEP_CHANNELS, _DEEP_POSITIONS = 256, 32


class Shape(typing.NamedTuple):
    """What decides how fast a map is computed.

    Attributes:
        operation: String, of `FORMS`.
        batch: Integer, or None where any may come.
        positions: Integer, length of y.
        channels: Integer, channels of x.
        channels_out: Integer, channels of y.
        kernel_len: Integer.
        stride: Integer.
        dtype: String, type of the arguments.
    """

    operation: str
    batch: int | None
    positions: int
    channels: int
    channels_out: int
    kernel_len: int
    stride: int
    dtype: str


def choose_form(shape):
    """Chooses the form of a map by the table of what was measured: the same on every machine.

    Measured one by one, forms interleaved, over the layers of models of 16384 samples with dim 16 and 64 at batch 16
    to 128, on processors with AVX512-BF16 and with AVX2. Share of the matrix product's peak for layers of x of 1, 64,
    128, 256, 512 channels (dim 64), batch 32, bfloat16; and batch 16, float32 with AVX2 (128 was not measured):

                            bfloat16, AVX512-BF16      float32, AVX2
        strided_conv
            native           30 104 100 100  40 %      45  96  98  90 %
            polyphase        44  95  96  92  35 %      38  88  88  68 %
            columns          17  57  74  82  83 %      33  57  85  85 %
        transposed_conv
            native            5 102 103  98  66 %      20  83  51   9 %
            polyphase        17  92  90  82  29 %      13  88  78  43 %
            scatter           9  36  52  67  71 %      25  at 1
        kernel_gradient
            native           10  38  56  44  14 %      23  79  86  18 %
            polyphase        24  63  60  50  16 %      28  69  61  16 %
            columns          14  44  63  78  88 %      28  56  90  84 %

    Kernels of many channels for few positions cost more to lay out anew than to multiply with: the two forms of one
    matrix product read them as they are. With dim 16 the forms differ less, apart from kernel gradients, where native
    is two to four times slower than polyphase.

    Args:
        shape: `Shape`.

    Returns:
        String, one of `FORMS`.
    """
    is_deep = shape.channels >= _DEEP_CHANNELS and shape.positions <= _DEEP_POSITIONS
    if has_gpu():
        # Measured on an H200, in all precisions, see docs/performance.md.
        return "native" if is_deep and shape.operation != "transposed_conv" else "polyphase"
    if shape.operation == "kernel_gradient":
        return "columns" if shape.channels >= _MANY_CHANNELS else "polyphase"
    if is_deep:
        return "columns" if shape.operation == "strided_conv" else "scatter"
    if shape.channels <= _FEW_CHANNELS or (shape.operation == "transposed_conv" and shape.dtype == "float32"):
        return "polyphase"
    return "native"


_choose = choose_form


@contextlib.contextmanager
def choosing(choose):
    """Context in which maps take other forms than those of `choose_form`.

    A graph keeps the forms with which it was traced. Not local to a thread: replicas are traced in threads of their
    own, while the one that has opened the context waits.

    Args:
        choose: Function of a `Shape` to one of `FORMS`.
    """
    global _choose
    before, _choose = _choose, choose
    try:
        yield
    finally:
        _choose = before


def strided_conv(x, kernel, stride):
    """Equals `tf.nn.conv1d(x, kernel, stride, "SAME")`.

    Args:
        x: Tensor `[batch, length, in]`, length a multiple of stride.
        kernel: Tensor `[kernel_len, in, out]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[batch, length / stride, out]`.
    """

    @tf.custom_gradient
    def compute(x, kernel):
        def gradient(dy):
            return transposed_conv(dy, kernel, stride), kernel_gradient(x, dy, kernel.shape[0], stride)

        return _strided_conv(x, kernel, stride), gradient

    return compute(x, kernel)


def transposed_conv(y, kernel, stride):
    """Equals `tf.nn.conv1d_transpose(y, kernel, [batch, length * stride, out], stride, "SAME")`.

    Args:
        y: Tensor `[batch, length, in]`.
        kernel: Tensor `[kernel_len, out, in]`, kernel_len >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[batch, length * stride, out]`.
    """

    @tf.custom_gradient
    def compute(y, kernel):
        def gradient(dx):
            return strided_conv(dx, kernel, stride), kernel_gradient(dx, y, kernel.shape[0], stride)

        return _transposed_conv(y, kernel, stride), gradient

    return compute(y, kernel)


def kernel_gradient(x, y, kernel_len, stride):
    """The gradient of `sum(strided_conv(x, kernel, stride) * y)` with respect to the kernel.

    Args:
        x: Tensor `[batch, length, in]`, length a multiple of stride.
        y: Tensor `[batch, length / stride, out]`.
        kernel_len: Integer >= stride.
        stride: Integer >= 1.

    Returns:
        Tensor `[kernel_len, in, out]`.
    """

    @tf.custom_gradient
    def compute(x, y):
        def gradient(dkernel):
            return transposed_conv(y, dkernel, stride), strided_conv(x, dkernel, stride)

        return _kernel_gradient(x, y, kernel_len, stride), gradient

    return compute(x, y)


def repeated_conv(x, kernel, stride):
    """Equals `tf.nn.conv1d(tf.repeat(x, stride, axis=1), kernel, 1, "SAME")`, for a stride-th of the work.

    The taps that read the same repeated sample are added up beforehand.

    Args:
        x: Tensor `[batch, length, in]`.
        kernel: Tensor `[kernel_len, in, out]`.
        stride: Integer >= 1.

    Returns:
        Tensor `[batch, length * stride, out]`.
    """
    kernel_len = kernel.shape[0]
    is_even = 1 - kernel_len % 2
    taps = kernel_len + stride - 1 + is_even
    padded = tf.pad(tf.reverse(kernel, [0]), [[stride - 1, stride - 1 + is_even], [0, 0], [0, 0]])
    summed = tf.add_n([padded[i : i + taps] for i in range(stride)])
    return transposed_conv(x, tf.transpose(summed, [0, 2, 1]), stride)


@functools.cache
def has_gpu():
    """Returns whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def _reach(kernel_len, stride):
    """Hops to each side of an output's own hop, and the taps missing in front and behind for whole hops."""
    front = (kernel_len - stride) // 2  # what TensorFlow's "SAME" pads in front, for whole hops of input
    back = kernel_len - stride - front
    hops = max(-(-front // stride), -(-back // stride))
    return hops, hops * stride - front, hops * stride - back


def _strided_conv(x, kernel, stride):
    kernel_len, channels, channels_out = kernel.shape
    positions = x.shape[1] // stride
    form = _choose(
        Shape("strided_conv", x.shape[0], positions, channels, channels_out, kernel_len, stride, x.dtype.name)
    )
    if form == "native":
        return tf.nn.conv1d(x, kernel, stride, "SAME")
    hops, front, back = _reach(kernel_len, stride)
    x = tf.reshape(x, [-1, positions, stride * channels])
    if form == "columns":
        x = _columns(x, hops, front * channels, back * channels)
        y = tf.matmul(x, tf.reshape(kernel, [-1, channels_out]))
        return tf.reshape(y, [-1, positions, channels_out])
    kernel = tf.pad(kernel, [[front, back], [0, 0], [0, 0]])
    return tf.nn.conv1d(x, tf.reshape(kernel, [2 * hops + 1, -1, channels_out]), 1, "SAME")


def _transposed_conv(y, kernel, stride):
    kernel_len, channels, channels_in = kernel.shape
    positions = y.shape[1]
    form = _choose(
        Shape("transposed_conv", y.shape[0], positions, channels, channels_in, kernel_len, stride, y.dtype.name)
    )
    if form == "native":
        return tf.nn.conv1d_transpose(y, kernel, [tf.shape(y)[0], positions * stride, channels], stride, "SAME")
    hops, front, back = _reach(kernel_len, stride)
    if form == "scatter":
        taps = tf.matmul(tf.reshape(y, [-1, channels_in]), tf.reshape(kernel, [-1, channels_in]), transpose_b=True)
        taps = tf.reshape(taps, [-1, positions, kernel_len * channels])
        taps = tf.pad(taps, [[0, 0], [hops, hops], [front * channels, back * channels]])
        taps = tf.split(taps, 2 * hops + 1, axis=2)
        x = tf.add_n([tap[:, 2 * hops - i : 2 * hops - i + positions] for i, tap in enumerate(taps)])
        return tf.reshape(x, [-1, positions * stride, channels])
    kernel = tf.reshape(tf.pad(kernel, [[front, back], [0, 0], [0, 0]]), [2 * hops + 1, -1, channels_in])
    # An input hop reaches the outputs behind it through later taps: correlation runs them backwards.
    kernel = tf.transpose(tf.reverse(kernel, [0]), [0, 2, 1])  # [hops, in, stride * out]
    x = tf.nn.conv1d(y, kernel, 1, "SAME")
    return tf.reshape(x, [-1, positions * stride, channels])


def _kernel_gradient(x, y, kernel_len, stride):
    channels = x.shape[2]
    positions, channels_out = y.shape[1:]
    form = _choose(
        Shape("kernel_gradient", x.shape[0], positions, channels, channels_out, kernel_len, stride, x.dtype.name)
    )
    if form == "native":
        return _native_kernel_gradient(x, y, kernel_len, stride)
    hops, front, back = _reach(kernel_len, stride)
    x = tf.reshape(x, [-1, positions, stride * channels])
    if form == "columns":
        x = _columns(x, hops, front * channels, back * channels)
        kernel = tf.matmul(x, tf.reshape(y, [-1, channels_out]), transpose_a=True)
        return tf.reshape(kernel, [kernel_len, channels, channels_out])
    kernel = _native_kernel_gradient(x, y, 2 * hops + 1, 1)
    return tf.reshape(kernel, [-1, channels, channels_out])[front : front + kernel_len]


def _native_kernel_gradient(x, y, kernel_len, stride):
    # The operation of one dimension is that of two, of height 1.
    kernel = tf.raw_ops.Conv2DBackpropFilter(
        input=x[:, None],
        filter_sizes=[1, kernel_len, x.shape[2], y.shape[2]],
        out_backprop=y[:, None],
        strides=[1, 1, stride, 1],
        padding="SAME",
    )
    return kernel[0]


def _columns(x, hops, front, back):
    """What every position sees, side by side: `[batch, length, width]` -> `[batch * length, (2 hops + 1) width]`.

    `front` and `back` columns, of taps that the kernel does not have, are left out at both ends.
    """
    length, width = x.shape[1:]
    x = tf.pad(x, [[0, 0], [hops, hops], [0, 0]])
    parts = [x[:, i : i + length] for i in range(2 * hops + 1)]
    parts[0] = parts[0][:, :, front:]
    parts[-1] = parts[-1][:, :, : width - back]
    return tf.reshape(tf.concat(parts, axis=2), [-1, (2 * hops + 1) * width - front - back])
