"""Trained generators for other programs: the registry of formats.

To add one, write the function that writes it and name it in `EXPORTERS`.
"""

import dataclasses
from collections.abc import Callable

from wavegan_asmr.lazy import LazyModule

saved_model = LazyModule("wavegan_asmr.exchange.saved_model")


@dataclasses.dataclass(frozen=True)
class Exporter:
    """A format that leaves TRAIN_DIR.

    Attributes:
        words: String, what it is, for help and docs.
        write: Function of a `families.generators.Generator` and the path of an empty folder, which it fills.
    """

    words: str
    write: Callable


EXPORTERS = {
    "saved_model": Exporter(
        "a TensorFlow SavedModel, which needs TensorFlow alone", lambda *args: saved_model.write(*args)
    ),
}
"""The registry: name of a format -> `Exporter`."""
