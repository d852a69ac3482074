"""How near generated slices of each label are to the recorded slices of the same label."""

import dataclasses

import numpy as np

from wavegan_asmr.evaluation import distances
from wavegan_asmr.sound import features

_LEAST = 3
"""Slices of each kind, for a kernel distance."""
_LEAST_DEVIATION = 1.0


@dataclasses.dataclass(frozen=True)
class LabelFigures:
    """Figures of a label.

    Attributes:
        label: String.
        generated, recorded: Integers, slices.
        frechet_distance: Float, or None where there are too few slices for it.
        kernel_distance, error: Floats, and the standard error; or None.
        nearest_label: String, the label whose recorded slices are the nearest on average; or None.
    """

    label: str
    generated: int
    recorded: int
    frechet_distance: float | None
    kernel_distance: float | None
    error: float | None
    nearest_label: str | None


def labels_of(inputs, config):
    """Returns the places of the labels of inputs that are drawn, int64 `[n]`, see `Family.draw`."""
    first = config.wavegan_latent_dim
    return inputs[:, first : first + len(config.label_names)].argmax(axis=1)


def compare(generated, asked, recorded, labels, names):
    """Compares slices label by label.

    Args:
        generated, recorded: float64 `[n, dim]`, `[m, dim]`, embeddings.
        asked, labels: Integer arrays `[n]`, `[m]`, places of their labels.
        names: Sequence of strings.

    Returns:
        List of `LabelFigures`.
    """
    deviation = np.maximum(recorded.std(axis=0), _LEAST_DEVIATION)
    x, y = generated / deviation, recorded / deviation
    centers = {place: y[labels == place].mean(axis=0) for place in range(len(names)) if (labels == place).any()}
    return [
        _figures(place, name, (generated, x, asked), (recorded, y, labels), centers, names)
        for place, name in enumerate(names)
    ]


def _figures(place, name, made, recorded, centers, names):
    (embeddings, x), (real, y) = ([each[of[2] == place] for each in of[:2]] for of in (made, recorded))
    fewest = min(len(x), len(y))
    value, error = distances.kernel_distance(x, y) if fewest >= _LEAST else (None, None)
    nearest = None
    if len(x) and centers:
        nearest = names[min(centers, key=lambda other: np.linalg.norm(x.mean(axis=0) - centers[other]))]
    return LabelFigures(
        label=name,
        generated=len(x),
        recorded=len(y),
        frechet_distance=distances.frechet_distance(embeddings, real) if fewest > features.EMBEDDING_DIM else None,
        kernel_distance=value,
        error=error,
        nearest_label=nearest,
    )
