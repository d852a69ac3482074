"""What checkpoints are compared with: measurements of recordings and of noise, kept in a file for the next time."""

import dataclasses
import json
import math
import os

import numpy as np

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import anchors, arrays, imitations, metrics
from wavegan_asmr.evaluation.measuring import measure, nearest, one_thread
from wavegan_asmr.evaluation.metrics import Comparison
from wavegan_asmr.progress import Meter
from wavegan_asmr.sound import features

_NOISE_SLICES = 256
_WHITE, _MATCHED = 0xE7A2, 0xE7A3


@dataclasses.dataclass(frozen=True)
class Anchors:
    """A metric of sounds of known quality.

    Attributes:
        floor: Float, of real slices against other real slices of the same recordings.
        held_out: Float or None, of recordings that the other side has nothing of.
        noise: Float, of white noise.
        matched_noise: Float, of noise with the recordings' average spectrum and level.
        imitations: Dict of a name of `imitations.IMITATIONS` to a float; empty where they were not measured.
    """

    floor: float
    held_out: float | None
    noise: float
    matched_noise: float
    imitations: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        values = self.floor, self.held_out, self.noise, self.matched_noise, *self.imitations.values()
        if not all(value is None or math.isfinite(value) for value in values):
            raise UserError(f"anchors must be finite. Received: {self}.")


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """What is known of the recordings, and of noise against them.

    Attributes:
        embeddings, log_mels: Of the one side, which everything is compared with, see `measuring.Measured`.
        other_log_mels: Of the other side.
        distances: float64 `[n]`, from the slices of the other side to their nearest neighbours on the one side.
        white, matched: Embeddings of noise.
        power: See `anchors.mean_power`.
        anchors: Dict of metric to `Anchors`.
    """

    embeddings: np.ndarray
    log_mels: np.ndarray
    other_log_mels: np.ndarray
    distances: np.ndarray
    white: np.ndarray
    matched: np.ndarray
    power: np.ndarray
    anchors: dict


@dataclasses.dataclass(frozen=True)
class _Stored:
    """The part of a file that is JSON."""

    digest: str
    anchors: dict[str, Anchors]
    imitations_version: int = 0

    def known(self):
        """Returns the anchors, those of imitations where they are of this version and complete."""
        names, anchors = imitations.IMITATIONS.keys(), self.anchors.values()
        if self.imitations_version == imitations.VERSION and all(each.imitations.keys() == names for each in anchors):
            return self.anchors
        return {metric: dataclasses.replace(each, imitations={}) for metric, each in self.anchors.items()}


def open_reference(path, digest, recordings, config, n, with_imitations=False, show_progress=False):
    """Reads what was measured of recordings, or measures it and writes it.

    A file that lacks a metric, that another version wrote or that is damaged is as good as none.

    Args:
        path: Path-like of the file; its folder need not exist.
        digest: String, of all that decides the measurements.
        recordings: `anchors.Sides`.
        config: `Config`.
        n: Integer, the most slices of a side to measure.
        with_imitations: Boolean, also measure imitations, of which n slices each, where they can be made. Once
            measured they are returned in any case.
        show_progress: Boolean, show on stderr how far it is.

    Returns:
        `Reference`.

    Raises:
        OSError: The file cannot be written.
    """
    try:
        reference = _read(path, digest, config)
    except (UserError, OSError):
        reference = _measure_reference(recordings, config, n, show_progress)
        _write(path, digest, reference)
    if with_imitations and recordings.whole and not all(each.imitations for each in reference.anchors.values()):
        measured = _measure_imitations(reference, recordings.whole, config, n, show_progress)
        found = {
            metric: dataclasses.replace(each, imitations={name: values[metric] for name, values in measured.items()})
            for metric, each in reference.anchors.items()
        }
        reference = dataclasses.replace(reference, anchors=found)
        _write(path, digest, reference)
    return reference


def read_anchors(path, digest):
    """Reads what metrics of recordings and of noise came to.

    Args:
        path: Path-like, a file that `open_reference` wrote.
        digest: String, of all that decides the measurements.

    Returns:
        Dict of metric to `Anchors`, empty where there is no such file of that digest.
    """
    try:
        stored = storage.parse_json(str(arrays.read(path).get("facts")), _Stored)
    except (UserError, OSError):
        return {}
    return stored.known() if stored.digest == digest else {}


def matched_noise(power, config):
    """Returns noise with the recordings' average spectrum and level, a source of sounds, see `anchors.make_noise`."""
    return anchors.make_noise(power, config.data_slice_len, _MATCHED)


@one_thread
def _measure_reference(recordings, config, n, show_progress):
    """Measures both sides of the recordings, held-out recordings, and noise: `Reference`."""
    sides, held_out = recordings.sides, recordings.held_out
    if held_out and min(side.offsets for side in held_out) <= features.EMBEDDING_DIM:
        held_out = None
    power = anchors.mean_power(sides[0].read, min(n, sides[0].offsets))
    white = anchors.make_noise(anchors.flat_power(power), config.data_slice_len, _WHITE)
    slices = [*sides, *(held_out if held_out not in (None, sides) else ())]
    sources = [(side.read, min(n, side.offsets)) for side in slices]
    sources += [(noise, min(n, _NOISE_SLICES)) for noise in (white, matched_noise(power, config))]
    total = sum(count for _, count in sources)
    with Meter("measuring recorded slices and noise", total, is_shown=show_progress) as meter:
        measured = [measure(read, count, config.data_sample_rate, meter.advance) for read, count in sources]
    real, other, *held, white, matched = measured
    own, _ = nearest(other.log_mels, real.log_mels)

    def compare(x, against):
        to_real, _ = nearest(x.log_mels, against.log_mels)
        values = metrics.compute(Comparison(x, against.embeddings, [to_real], own))
        return {metric: value for metric, (value, _) in values.items()}

    floor = compare(other, real)
    # Where each recording is on one side, the other side is held out already.
    held_out = compare(held[1], held[0]) if held else floor if held_out else {}
    noise, of_matched = compare(white, real), compare(matched, real)
    return Reference(
        embeddings=real.embeddings,
        log_mels=real.log_mels,
        other_log_mels=other.log_mels,
        distances=own,
        white=white.embeddings,
        matched=matched.embeddings,
        power=power,
        anchors={
            metric: Anchors(floor[metric], held_out.get(metric), noise[metric], of_matched[metric]) for metric in floor
        },
    )


@one_thread
def _measure_imitations(reference, whole, config, n, show_progress):
    """Measures imitations of the recordings, as a model: dict of name to a dict of metric to float."""
    made, found = imitations.IMITATIONS, {}
    with Meter("measuring imitations of the recordings", len(made) * n, is_shown=show_progress) as meter:
        for name, make in made.items():
            read = make(whole, config.data_sample_rate, config.train_seed).read
            measured = measure(read, n, config.data_sample_rate, meter.advance)
            sides = reference.log_mels, reference.other_log_mels
            to_real = [nearest(measured.log_mels, side)[0] for side in sides]
            values = metrics.compute(Comparison(measured, reference.embeddings, to_real, reference.distances))
            found[name] = {metric: value for metric, (value, _) in values.items()}
    return found


def _read(path, digest, config):
    """Reads the `Reference` that was written with the digest; raises UserError or OSError where there is none."""
    found = arrays.read(path)
    stored = storage.parse_json(str(found.get("facts")), _Stored)
    if stored.digest != digest or not metrics.METRICS.keys() <= stored.anchors.keys():
        raise UserError("of other recordings, or without some metric")
    log_mels = arrays.check(found, "log_mels", "float16", (None, None))
    other_log_mels = arrays.check(found, "other_log_mels", "float16", (None, log_mels.shape[1]))
    power = config.data_slice_len // 2 + 1, config.data_num_channels
    return Reference(
        embeddings=arrays.check(found, "embeddings", "float64", (len(log_mels), features.EMBEDDING_DIM)),
        log_mels=log_mels,
        other_log_mels=other_log_mels,
        distances=arrays.check(found, "distances", "float64", (len(other_log_mels),)),
        white=arrays.check(found, "white", "float64", (None, features.EMBEDDING_DIM)),
        matched=arrays.check(found, "matched", "float64", (None, features.EMBEDDING_DIM)),
        power=arrays.check(found, "power", "float64", power),
        anchors=stored.known(),
    )


def _write(path, digest, reference):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    facts = json.dumps(dataclasses.asdict(_Stored(digest, reference.anchors, imitations.VERSION)))
    measured = {name: value for name, value in vars(reference).items() if name != "anchors"}
    with storage.replacing(path) as file:
        np.savez(file, facts=facts, **measured)
