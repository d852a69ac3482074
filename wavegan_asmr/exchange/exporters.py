"""Trained generators for other programs: the registry of formats.

To add one, write the functions that write and run it and name it in `EXPORTERS`.
"""

import dataclasses
from collections.abc import Callable

from wavegan_asmr.lazy import LazyModule

litert = LazyModule("wavegan_asmr.exchange.litert")
onnx_model = LazyModule("wavegan_asmr.exchange.onnx_model")
saved_model = LazyModule("wavegan_asmr.exchange.saved_model")

PRECISIONS = ("float32", "float16", "int8")


@dataclasses.dataclass(frozen=True)
class Exporter:
    """A format that leaves TRAIN_DIR.

    Attributes:
        words: String, what it is, for help and docs.
        ending: String, of its files; "" for a folder.
        write: Function of a `families.generators.Generator`, the path of a file or of an empty folder, which it writes,
            and a precision.
        run: Function of that path and inputs, dict of name to float32 array: the audio that the format's own runtime
            makes of them, `[n, samples, channels]`.
        is_plain: Boolean, whether it takes plain operations alone, see `plain_model`; else it takes any network, and
            its only input is z.
        precisions: Tuple of strings, those of weights that it has.
    """

    words: str
    ending: str
    write: Callable
    run: Callable
    is_plain: bool = True
    precisions: tuple[str, ...] = PRECISIONS


EXPORTERS = {
    "onnx": Exporter(
        "ONNX, for onnxruntime in many languages and on many machines",
        ".onnx",
        lambda *args: onnx_model.write(*args),
        lambda *args: onnx_model.run(*args),
    ),
    "litert": Exporter(
        "LiteRT, once TensorFlow Lite, for telephones and small machines",
        ".tflite",
        lambda *args: litert.write(*args),
        lambda *args: litert.run(*args),
    ),
    "saved_model": Exporter(
        "a TensorFlow SavedModel, which needs TensorFlow alone",
        "",
        lambda *args: saved_model.write(*args),
        lambda *args: saved_model.run(*args),
        is_plain=False,
        precisions=("float32",),
    ),
}
"""The registry: name of a format -> `Exporter`."""
