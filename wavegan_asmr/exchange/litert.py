"""A generator as a model of LiteRT (TensorFlow Lite), see `plain_model`."""

import json
import warnings

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from wavegan_asmr.exchange.plain_model import PlainModel, facts_of
from wavegan_asmr.networks import conditioning
from wavegan_asmr.networks.layers import POWER_FLOOR, pulses_of
from wavegan_asmr.sound.quiet import quiet

METADATA = "wavegan"
"""Name of the metadata, whose value is JSON: see `plain_model.facts_of`."""

_ACTIVATIONS = {
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "clip": lambda x: tf.clip_by_value(x, -1.0, 1.0),
    "none": lambda x: x,
}


def write(generator, path, precision):
    """Writes a model of LiteRT, whose signature `serving_default` makes one clip at a time.

    Its inputs are `z`, float32 `[1, latent_dim]` in [-1, 1]; of a generator that listens `given`, float32 `[1, labels +
    measures]`, weights of labels that sum to 1, then places of measures in [0, 1]; and of one with noise `noise_0`,
    `noise_1`, ..., float32 `[1, positions, channels]`, uniform in -sqrt(3) to sqrt(3). Its output is `audio`, float32
    `[1, samples, channels]` in [-1, 1].

    Args:
        generator: `families.generators.Generator`.
        path: Path-like.
        precision: "float32"; "float16", of the weights alone; or "int8", of weights and, while it runs, of what the
            dense layer and convolutions take.

    Raises:
        UserError: The generator is of a family that cannot be exported.
        OSError: It cannot be written.
    """
    plain = PlainModel(generator)
    module = _Module(plain)
    specs = [tf.TensorSpec([1, *shape], tf.float32, name) for name, shape in plain.shapes.items()]
    generate = module.generate.get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([generate], module)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with open(path, "wb") as file:
        file.write(_describe(converter.convert(), facts_of(generator)))


def run(path, inputs):
    """Runs a model by the interpreter of TensorFlow.

    Args:
        path: Path-like.
        inputs: Dict of name to float32 array.

    Returns:
        float32 `[n, samples, channels]`.
    """
    clips = [dict(zip(inputs, (x[None] for x in clip))) for clip in zip(*inputs.values())]
    # The first clip, too, is spoken of on stderr.
    with warnings.catch_warnings(), quiet():
        # A later TensorFlow than this project has leaves it to a package of its own.
        warnings.simplefilter("ignore")
        generate = tf.lite.Interpreter(path).get_signature_runner()
        return np.concatenate([generate(**clip)["audio"] for clip in clips])


class _Module(tf.Module):
    """A `PlainModel` as a graph."""

    def __init__(self, plain):
        super().__init__()
        self._dense, self._positions, self._operations = plain.dense, plain.positions, plain.operations
        self._labels = plain.labels

    @tf.function
    def generate(self, z, *others):
        dense, others, given = self._dense, list(others), None
        x = tf.matmul(z, dense.matrix[0]) + dense.bias
        if dense.embedding is not None:
            given = conditioning.expand(others.pop(0), self._labels)
            x += tf.matmul(given, dense.embedding)
        x = tf.reshape(tf.nn.relu(x), [1, self._positions, -1])
        for operation in self._operations:
            if operation.noise:
                x = _add_noise(x, others.pop(0), operation.noise_scales)
            x = _apply(x, operation, given)
        return {"audio": x}


def _add_noise(x, noise, scales):
    """See `networks.layers.NoiseInput`: `[1, length, inputs]`, noise of that shape, `NoiseScales` -> x with noise."""
    scale = scales.fixed
    if scales.relative is not None:
        scale += scales.relative * tf.sqrt(tf.reduce_mean(x * x, axis=2, keepdims=True) + POWER_FLOOR)
    x += noise * scale
    return x if scales.pulses is None else x + pulses_of(noise) * scales.pulses


def _apply(x, operation, given):
    """An operation: `[1, length, inputs]`, and `[1, width]` or None -> `[1, length * stride, outputs]`."""
    taps, length = len(operation.matrix), x.shape[1]
    x = tf.pad(x, [[0, 0], [operation.before, taps - 1 - operation.before], [0, 0]])
    parts = tf.split(x, operation.groups, axis=2)
    parts = [tf.nn.conv1d(part, tf.constant(operation.matrix, tf.float32), 1, "VALID") for part in parts]
    x = tf.concat([tf.reshape(part, [1, length * operation.stride, -1]) for part in parts], axis=2)
    if operation.bias is not None:
        x += operation.bias
    if operation.given_scales is not None:
        x *= 1 + tf.matmul(given, operation.given_scales)
    return _ACTIVATIONS[operation.activation](x)


def _describe(data, facts):
    """Returns a model, bytes, with metadata."""
    model, schema = flatbuffer_utils.convert_bytearray_to_object(data), flatbuffer_utils.schema_fb
    buffer, metadata = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    metadata.name, metadata.buffer = METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), metadata]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
