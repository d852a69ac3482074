"""A generator as a graph of ONNX, see `plain_model`."""

import importlib
import os

import numpy as np

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.plain_model import PlainModel, facts_of, noise_name
from wavegan_asmr.networks.conditioning import KNOTS
from wavegan_asmr.networks.layers import POWER_FLOOR, PULSE_GAIN, PULSE_THRESHOLD

OPSET = 17
_LARGEST_INT8 = 127


def write(generator, path, precision):
    """Writes a model of ONNX.

    Its inputs are `z`, float32 `[batch, latent_dim]` in [-1, 1]; of a generator that listens `given`, float32 `[batch,
    labels + measures]`, weights of labels that sum to 1, then places of measures in [0, 1]; and of one with noise
    `noise_0`, `noise_1`, ..., float32 `[batch, positions, channels]`, uniform in -sqrt(3) to sqrt(3). Its output is
    `audio`, float32 `[batch, samples, channels]` in [-1, 1].

    Args:
        generator: `families.generators.Generator`.
        path: Path-like.
        precision: "float32", "float16" or "int8", of the weights; arithmetic is float32.

    Raises:
        UserError: onnx is not installed, or the generator is of a family that cannot be exported.
        OSError: It cannot be written.
    """
    onnx = _import("onnx")
    graph = _Graph(onnx, precision)
    plain = PlainModel(generator)
    dense, positions = plain.dense, plain.positions
    given = _expand(graph, plain) if "given" in plain.shapes else None
    x = graph.put("MatMul", "z", graph.weights("dense", dense.matrix[0], axis=1))
    x = graph.put("Add", x, graph.constant(dense.bias))
    if given:
        x = graph.put("Add", x, graph.put("MatMul", given, graph.weights("embedding", dense.embedding, axis=1)))
    x = graph.put("Relu", x)
    x = graph.put("Reshape", x, graph.constant(np.array([0, positions, dense.outputs // positions])))
    x = graph.put("Transpose", x, perm=[0, 2, 1])  # [batch, channels, positions]
    for number, operation in enumerate(plain.operations):
        if operation.noise:
            x = _add_noise(graph, x, noise_name(operation), operation.noise_scales)
        x = _apply(graph, x, f"layer_{number}", operation, given)
    graph.put("Transpose", x, perm=[0, 2, 1], output="audio")
    audio = {"audio": (generator.config.data_slice_len, generator.config.data_num_channels)}
    model = graph.finish(plain.shapes, audio, facts_of(generator))
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def run(path, inputs):
    """Runs a model by onnxruntime.

    Args:
        path: Path-like.
        inputs: Dict of name to float32 array.

    Returns:
        float32 `[batch, samples, channels]`.

    Raises:
        UserError: onnxruntime is not installed.
    """
    # Nobody has agreed to be counted; it reads this when it is loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    session = _import("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["audio"], inputs)[0]


def _expand(graph, plain):
    """Puts `networks.conditioning.expand` into the graph; returns the name of its output, `[batch, width]`."""
    measures = plain.shapes["given"][0] - plain.labels
    if not measures:
        return "given"

    def cut(*bounds):
        return graph.put("Slice", "given", *(graph.constant(np.array([each])) for each in (*bounds, 1)))

    places = graph.put("Reshape", cut(plain.labels, plain.labels + measures), graph.constant(np.array([0, -1, 1])))
    places = graph.put("Mul", places, graph.constant(np.float32(KNOTS - 1)))
    distances = graph.put("Abs", graph.put("Sub", places, graph.constant(np.arange(KNOTS, dtype=np.float32))))
    weights = graph.put("Relu", graph.put("Sub", graph.constant(np.float32(1)), distances))
    weights = graph.put("Reshape", weights, graph.constant(np.array([0, KNOTS * measures])))
    return graph.put("Concat", cut(0, plain.labels), weights, axis=1) if plain.labels else weights


def _add_noise(graph, x, name, scales):
    """Adds an input, noise, to `[batch, channels, positions]`; see `networks.layers.NoiseInput`."""
    scale = graph.constant(scales.fixed[:, None])
    if scales.relative is not None:
        power = graph.put("ReduceMean", graph.put("Mul", x, x), axes=[1])
        rms = graph.put("Sqrt", graph.put("Add", power, graph.constant(np.float32(POWER_FLOOR))))
        scale = graph.put("Add", scale, graph.put("Mul", graph.constant(scales.relative[:, None]), rms))
    noise = graph.put("Transpose", name, perm=[0, 2, 1])
    x = graph.put("Add", x, graph.put("Mul", noise, scale))
    if scales.pulses is None:
        return x
    bounds = [graph.constant(np.float32(each)) for each in (-PULSE_THRESHOLD, PULSE_THRESHOLD)]
    pulses = graph.put("Sub", noise, graph.put("Clip", noise, *bounds))
    return graph.put("Add", x, graph.put("Mul", pulses, graph.constant(PULSE_GAIN * scales.pulses[:, None])))


def _apply(graph, x, name, operation, given):
    """Puts an operation into the graph: `[batch, inputs, length]` -> `[batch, outputs, length * stride]`.

    Args:
        graph: `_Graph`.
        x, name: Strings, what it takes, and its own name.
        operation: `Operation`.
        given: String, what the model listens to, see `_expand`, or None.
    """
    taps, stride, groups, each = len(operation.matrix), operation.stride, operation.groups, operation.outputs
    kernel = np.concatenate([operation.matrix.transpose(2, 1, 0)] * groups)  # [stride * outputs, inputs / groups, taps]
    pads = [operation.before, taps - 1 - operation.before]
    x = graph.put("Conv", x, graph.weights(name, kernel, axis=0), pads=pads, group=groups)
    if stride > 1:
        # The channels of one position are those of so many positions.
        x = graph.put("Reshape", x, graph.constant(np.array([0, groups, stride, each // groups, -1])))
        x = graph.put("Transpose", x, perm=[0, 1, 3, 4, 2])
        x = graph.put("Reshape", x, graph.constant(np.array([0, each, -1])))
    if operation.bias is not None:
        x = graph.put("Add", x, graph.constant(operation.bias[:, None]))
    if operation.given_scales is not None:
        scales = graph.put("MatMul", given, graph.weights(f"{name}_scales", operation.given_scales, axis=1))
        scales = graph.put("Add", scales, graph.constant(np.float32(1)))
        x = graph.put("Mul", x, graph.put("Reshape", scales, graph.constant(np.array([0, each, 1]))))
    if operation.activation == "relu":
        return graph.put("Relu", x)
    if operation.activation == "tanh":
        return graph.put("Tanh", x)
    if operation.activation == "clip":
        return graph.put("Clip", x, graph.constant(np.float32(-1)), graph.constant(np.float32(1)))
    return x


class _Graph:
    """Gathers the nodes of a graph.

    Args:
        onnx: The module.
        precision: String, of weights.
    """

    def __init__(self, onnx, precision):
        self._onnx = onnx
        self._precision = precision
        self._nodes, self._constants = [], []

    def put(self, kind, *inputs, output=None, **attributes):
        """Adds a node; returns the name of its output."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values, name=None):
        """Adds a constant as it is; returns its name."""
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, name, values, axis):
        """Adds weights in the precision of the file; returns the name of what they are in float32.

        Args:
            name: String.
            values: float32 array.
            axis: Integer, that of the outputs: of int8 each has a scale.
        """
        values = values.astype(np.float32)
        if self._precision == "float16":
            halves = self.constant(values.astype(np.float16), name)
            return self.put("Cast", halves, to=self._onnx.TensorProto.FLOAT)
        if self._precision == "int8":
            others = tuple(each for each in range(values.ndim) if each != axis)
            scales = np.maximum(np.abs(values).max(axis=others), np.finfo(np.float32).tiny) / _LARGEST_INT8
            shape = [-1 if each == axis else 1 for each in range(values.ndim)]
            integers = np.rint(values / scales.reshape(shape)).astype(np.int8)
            return self.put("DequantizeLinear", self.constant(integers, name), self.constant(scales), axis=axis)
        return self.constant(values, name)

    def finish(self, inputs, outputs, facts):
        """Returns the model.

        Args:
            inputs, outputs: Dicts of name to shape, of one clip.
            facts: Dict of strings.
        """
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        ends = [
            [helper.make_tensor_value_info(name, float32, ["batch", *shape]) for name, shape in end.items()]
            for end in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "generator", *ends, self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="wavegan", opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, facts)
        return model


def _import(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"--format onnx needs {name}: pip install 'wavegan[onnx]'.") from error
