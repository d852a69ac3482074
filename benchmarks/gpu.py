"""Iterations of the presets, batches of their generators and single convolutions, on the device TensorFlow chooses.

Unlike the other benchmarks, all is measured in one process: time on a GPU is often lent, and starting on it takes ten
seconds. So each result is written as it comes.
"""

import contextlib
import dataclasses
import functools
import gc
import itertools
import json
import math
import os
import statistics
import time

import numpy as np
from absl import flags

from benchmarks import common, topology
from benchmarks.contestants import iterations, noise
from benchmarks.presets import WITHOUT
from wavegan_asmr import storage
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.config import Config
from wavegan_asmr.families import family_of
from wavegan_asmr.presets import PRESETS

USAGE = """Seconds of an iteration of each preset, clips a second of its generator, and FLOP a second of its
convolutions, on the device that TensorFlow chooses, by precision and by form (see polyphase.choose_form).

    python -m benchmarks.gpu
    python -m benchmarks.gpu --presets asmr --forms chosen --without genr_noise,genr_texture --parts iterations
"""

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

_PRODUCTS = {"strided_conv": "columns", "transposed_conv": "scatter", "kernel_gradient": "columns"}
FORMS = {
    "chosen": None,
    "native": lambda shape: "native",
    "polyphase": lambda shape: "polyphase",
    "product": lambda shape: _PRODUCTS[shape.operation],
}
"""Names -> what chooses the form of a map; None leaves it to the project."""

PARTS = ("iterations", "generators", "convolutions")

flags.DEFINE_list("presets", [], f"Which settings, among {', '.join(PRESETS)}; default: all.")
flags.DEFINE_list("precisions", [], f"Which arithmetic, among {', '.join(PRECISIONS)}; default: all.")
flags.DEFINE_list("forms", [], f"Which forms of the convolutions, among {', '.join(FORMS)}; default: all.")
flags.DEFINE_list("parts", [], f"What to measure, among {', '.join(PARTS)}; default: all.")
flags.DEFINE_list("without", [], f"Also iterations without one of {', '.join(WITHOUT)}.")
flags.DEFINE_list("clips", ["16", "64", "256"], "Clips of a batch of the generators.")
flags.DEFINE_integer("dim", 0, "Width of the networks; 0 for that of the preset.", lower_bound=0)
flags.DEFINE_bool("tf32", True, "Let float32 be TensorFloat-32 where the device has it, as TensorFlow does.")
flags.DEFINE_integer("steps", 20, "Repetitions of a case.", lower_bound=1)
flags.DEFINE_float("case_s", 8, "Seconds after which a case is repeated no more.", lower_bound=0)
flags.declare_key_flag("results_dir")

_OPERANDS = 4, 5
"""Tensors on the two sides of a map; a step takes every pair once, or starting it would be what is measured."""
_HEADER = ("case", "precision", "form", "ms", "best, ms", "first, s", "speed", "peak memory, GB")


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        part: String, of `PARTS`.
        name, precision, form: Strings.
        make: Function without arguments that returns the function of a step.
        period: Integer, steps after which their kinds repeat; a repetition is so many.
        work: Float, in a step: clips, or FLOP.
        unit: String, of what it makes in a second, and how many of `work` that is.
        operations: Integer, in a step.
    """

    part: str
    name: str
    precision: str
    form: str
    make: object
    work: float
    unit: tuple
    period: int = 1
    operations: int = 1


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of a `Case`.

    Attributes:
        part, name, precision, form: Strings.
        seconds: List of floats, of an operation or a step in each repetition.
        first_s: Float, of the first step, which builds the graph and in which libraries try their algorithms.
        speed: String.
        peak_bytes: Integer or None, the most that tensors took on the GPU, beyond what was there before.
    """

    part: str
    name: str
    precision: str
    form: str
    seconds: list
    first_s: float
    speed: str
    peak_bytes: int | None

    def cells(self):
        """Returns the cells of the table."""
        ms = [1e3 * statistics.median(self.seconds), 1e3 * min(self.seconds)]
        peak = None if self.peak_bytes is None else self.peak_bytes / 1e9
        return [self.name, self.precision, self.form, *ms, self.first_s, self.speed, peak]


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    cases = list(_cases())
    machine = common.machine_facts()
    start_tensorflow()
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(values.tf32)
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU") for gpu in gpus]
    device = ", ".join(names) or "no GPU"
    common.say(f"gpu: {device}")
    os.makedirs(values.results_dir, exist_ok=True)
    path, rows = os.path.join(values.results_dir, "gpu.json"), []
    for case in cases:
        rows.append(_measure(case, bool(gpus)))
        common.say(f"gpu: {' | '.join(map(str, rows[-1].cells()))}")
        with storage.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            facts = {"benchmark": "gpu", "machine": machine, "device": device, "tf32": values.tf32, "rows": rows}
            json.dump(facts, file, indent=1, allow_nan=False, default=dataclasses.asdict)
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    print(f"## {device}\n\n{machine['cpu']}, {machine['cores']} cores; {libraries}.")
    for part, measured in itertools.groupby(rows, lambda row: row.part):
        print(f"\n### {part.capitalize()}\n\n{common.table(_HEADER, [row.cells() for row in measured])}")
    print(f"\nWritten: {path}", flush=True)


def _cases():
    configs = {}
    for preset in common.names("presets", PRESETS):
        config = Config(preset=preset, **PRESETS[preset])
        config = dataclasses.replace(config, wavegan_dim=flags.FLAGS.dim or config.wavegan_dim)
        configs[preset] = family_of(config).settle(config, {})
    kinds = list(itertools.product(common.names("precisions", PRECISIONS), common.names("forms", FORMS)))
    makers = {"iterations": _iterations, "generators": _generators, "convolutions": _convolutions}
    for part, (preset, config) in itertools.product(common.names("parts", PARTS), configs.items()):
        yield from makers[part](preset, config, kinds)


def _iterations(preset, config, kinds):
    missing = common.names("without", WITHOUT) if flags.FLAGS.without else []
    variants = {preset: config} | {
        f"{preset} without {part}": dataclasses.replace(config, **WITHOUT[part]) for part in missing
    }
    for (name, variant), (precision, form) in itertools.product(variants.items(), kinds):
        make = functools.partial(_trainer, dataclasses.replace(variant, train_precision=precision))
        # Some iterations have a penalty, others not.
        yield Case("iterations", name, precision, form, make, 1, ("steps / s", 1), period=config.wavegan_gp_every)


def _generators(preset, config, kinds):
    for size, (precision, form) in itertools.product(common.integers("clips", at_least=1), kinds):
        name = f"{preset}, dim {config.wavegan_dim}, {size} clips"
        make = functools.partial(_generator, config, size, precision)
        yield Case("generators", name, precision, form, make, size, ("clips / s", 1))


def _convolutions(preset, config, kinds):
    batch, length, taps = config.train_batch_size, config.data_slice_len, config.wavegan_kernel_len
    widths = [config.data_num_channels, *topology.widths(length, config.wavegan_dim)]
    count = math.prod(_OPERANDS)
    for precision, form in kinds:
        positions = length
        for stride, channels, channels_out in zip(topology.strides(length), widths, widths[1:]):
            positions //= stride
            x, y = (batch, positions * stride, channels), (batch, positions, channels_out)
            kernel = (taps, channels, channels_out)
            maps = {
                "strided_conv": (x, kernel, (stride,)),
                "transposed_conv": (y, kernel, (stride,)),
                "kernel_gradient": (x, y, (taps, stride)),
            }
            flop = 2.0 * batch * positions * math.prod(kernel) * count
            for operation, arguments in maps.items():
                name = f"{operation}, {batch} x {positions} x {channels_out}, of {channels}"
                make = functools.partial(_maps, operation, *arguments, precision)
                yield Case("convolutions", name, precision, form, make, flop, ("TFLOP / s", 1e12), operations=count)


def _trainer(config):
    from wavegan_asmr.training.loop import choose_strategy

    return iterations(family_of(config).make_trainer(config, choose_strategy()))


def _generator(config, size, precision):
    import tensorflow as tf

    family = family_of(config)
    network = family.build_generator(config, precision)
    generate = tf.function(lambda inputs: network(inputs, training=False))
    inputs = tf.constant(family.draw(config, np.random.default_rng(0), size))
    return lambda: generate(inputs).numpy()


def _maps(operation, first, second, settings, precision):
    import tensorflow as tf

    from wavegan_asmr.networks import polyphase

    def tensors(shape, count):
        return [tf.cast(noise(shape, seed), precision.removeprefix("mixed_")) for seed in range(count)]

    @tf.function
    def compute(firsts, seconds):
        pairs = itertools.product(firsts, seconds)
        return [getattr(polyphase, operation)(*pair, *settings) for pair in pairs]

    sides = [tensors(shape, count) for shape, count in zip((first, second), _OPERANDS)]
    # The last is done when all are.
    return lambda: compute(*sides)[-1][0, 0].numpy()


def _measure(case, on_gpu):
    """Measures a `Case`, a `Row`."""
    from wavegan_asmr.networks import polyphase

    values, choose = flags.FLAGS, FORMS[case.form]
    gc.collect()
    before = _start_watching_memory() if on_gpu else None
    with polyphase.choosing(choose) if choose else contextlib.nullcontext():
        step = case.make()
        first_s = _time(step)
    for _ in range(case.period):
        step()
    seconds, start_s = [], time.perf_counter()
    while len(seconds) < values.steps and (not seconds or time.perf_counter() - start_s < values.case_s):
        seconds.append(sum(_time(step) for _ in range(case.period)) / case.period)
    unit, size = case.unit
    speed = f"{case.work / statistics.median(seconds) / size:,.3g} {unit}"
    peak = _peak_bytes() - before if on_gpu else None
    each = [value / case.operations for value in seconds]
    return Row(case.part, case.name, case.precision, case.form, each, first_s, speed, peak)


def _time(step):
    start_s = time.perf_counter()
    step()
    return time.perf_counter() - start_s


def _start_watching_memory():
    import tensorflow as tf

    tf.config.experimental.reset_memory_stats("GPU:0")
    return tf.config.experimental.get_memory_info("GPU:0")["current"]


def _peak_bytes():
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
