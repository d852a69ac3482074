"""What an evaluation found: its result, and metrics.jsonl, where every result is kept.

A line of metrics.jsonl is one JSON object:

    metric, value, error    the measurement and its standard error (null where it has none)
    step, checkpoint        what was measured: a training step, and the checkpoint's name
    n                       generated slices
    embedding_version       `features.EMBEDDING_VERSION`
    evaluation              digest of all that decides the measurement but the checkpoint: recordings, n, ...
    seconds                 since the epoch
"""

import contextlib
import dataclasses
import json
import os
import time

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError

FILE = "metrics.jsonl"

_LARGEST_WHOLE, _LARGEST = 2**53, 1e30
"""No count and no measurement is larger; curves of larger ones could not be drawn."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of a checkpoint, beside what it is for sounds of known quality.

    Attributes:
        metric: String, "frechet_distance", ...
        value: Float, of the generated slices.
        error: Float or None, its standard error.
        floor: Float or None, of real slices against other real slices of the same recordings.
        held_out: Float or None, of recordings that the other side has nothing of.
        noise: Float or None, of white noise.
        matched_noise: Float or None, of noise with the recordings' average spectrum and level.
        meaning: String, what it says, in a few words.
        lower_is_better: Boolean, or None where the value should be as the recordings' own.
        imitations: Dict of a name of `imitations.IMITATIONS` to a float; empty where they were not measured.
    """

    metric: str
    value: float
    error: float | None
    floor: float | None
    held_out: float | None
    noise: float | None
    matched_noise: float | None
    meaning: str
    lower_is_better: bool | None
    imitations: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What the evaluation of a checkpoint found.

    Attributes:
        train_dir: String, path.
        step: Integer.
        checkpoint: String, the checkpoint's name.
        n: Integer, generated slices.
        embedding_version: Integer, see `features`.
        sample_rate_hz: Integer.
        config: Dict, the settings of the training.
        rows: List of `Row`.
        verdicts: List of (name, the rule that fired in one sentence).
        clips: Dict of "real", "generated", "noise" to float32 `[k, samples, channels]`.
        pairs: List of (distance, generated, real), the closest pairs, closest first; float, where 1 is the mean
            distance of real slices from their nearest real neighbours, and two float32 `[samples, channels]`.
        evaluation: String, digest of all that decides the result but the checkpoint; what compares has the same.
        by_label: List of `by_label.LabelFigures`, of models with labels.
    """

    train_dir: str
    step: int
    checkpoint: str
    n: int
    embedding_version: int
    sample_rate_hz: int
    config: dict
    rows: list
    verdicts: list
    clips: dict
    pairs: list
    evaluation: str = ""
    by_label: list = dataclasses.field(default_factory=list)

    def value(self, metric):
        """Returns the value of a metric, or None where it was not measured."""
        return next((row.value for row in self.rows if row.metric == metric), None)

    @property
    def imitations(self):
        """List of strings, the imitations of the recordings that stand beside the values, see `Row`."""
        return list(dict.fromkeys(name for row in self.rows for name in row.imitations))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line of metrics.jsonl, see above.

    Raises:
        UserError: A value is out of its range.
    """

    metric: str
    value: float
    error: float | None
    step: int
    checkpoint: str = ""
    n: int
    embedding_version: int
    evaluation: str
    seconds: float = 0.0

    def __post_init__(self):
        if not (self.metric and self.metric.isprintable()):
            raise UserError(f"metric must be printable. Received: {self.metric[:80]!r}.")
        ranges = {
            "value": (-_LARGEST, _LARGEST),
            "error": (0, _LARGEST),
            "seconds": (0, _LARGEST),
            "step": (0, _LARGEST_WHOLE),
            "n": (1, _LARGEST_WHOLE),
            "embedding_version": (0, _LARGEST_WHOLE),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            # False for what is no number, too.
            if value is not None and not least <= value <= most:
                raise UserError(f"{name} of {self.metric} must be from {least:g} to {most:g}. Received: {value}.")


def append_history(train_dir, result):
    """Appends the rows of a result to metrics.jsonl, at once.

    Args:
        train_dir: Path-like.
        result: `Result`.

    Raises:
        UserError: A value is not finite, or the file cannot be written.
    """
    facts = {
        "step": result.step,
        "checkpoint": result.checkpoint,
        "n": result.n,
        "embedding_version": result.embedding_version,
        "evaluation": result.evaluation,
        "seconds": round(time.time(), 3),
    }
    lines = [Line(metric=row.metric, value=row.value, error=row.error, **facts) for row in result.rows]
    text = "".join(json.dumps(dataclasses.asdict(line)) + "\n" for line in lines)
    path = os.path.join(train_dir, FILE)
    try:
        with open(path, "a+b") as file:
            # A line that a crash or a full disk has torn ends here, so that the next one is whole.
            if file.tell() and _last_byte(file) != b"\n":
                text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"cannot write what was measured: {words.reason(error)}. Received: {path!r}.") from error


def read_history(train_dir, evaluation=None):
    """Reads those lines of metrics.jsonl that compare with each other; what is no whole line is left out.

    Measurements with another number of slices or of other recordings do not compare: of each metric those of the
    evaluation that has measured the most steps are returned, the latest among equals. Earlier versions of the embedding
    do not count.

    Args:
        train_dir: Path-like.
        evaluation: String, see `Result`, to return those of one evaluation instead.

    Returns:
        Dict of metric to a list of (step, value, error) by step; of a step that was measured several times the
        last measurement.

    Raises:
        UserError: The file cannot be read.
    """
    measured = {}
    for line in _lines(os.path.join(train_dir, FILE)):
        if evaluation in (None, line.evaluation):
            groups = measured.setdefault(line.metric, {})
            alike = line.embedding_version, line.n, line.evaluation
            # The group that was measured last is the last.
            groups[alike] = groups.pop(alike, {}) | {line.step: (line.step, line.value, line.error)}
    longest = {
        metric: max(reversed(groups.items()), key=lambda group: (group[0][0], len(group[1])))
        for metric, groups in measured.items()
    }
    return {metric: [steps[step] for step in sorted(steps)] for metric, (_, steps) in longest.items()}


def last_step(train_dir, metrics):
    """Returns the last step of some metrics, a set, that was ever measured, or -1 where none was.

    Raises:
        UserError: The file cannot be read.
    """
    lines = _lines(os.path.join(train_dir, FILE))
    return max((line.step for line in lines if line.metric in metrics), default=-1)


def lines_of(train_dir, step):
    """Returns every line of metrics.jsonl on a checkpoint, a list of `Line`, the last measurement last.

    Raises:
        UserError: The file cannot be read.
    """
    return [line for line in _lines(os.path.join(train_dir, FILE)) if line.step == step]


def _lines(path):
    """Yields those lines of a file that are whole, `Line`."""
    try:
        with open(path, "rb") as file:
            texts = file.read().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
    for text in texts:
        with contextlib.suppress(UserError):
            yield storage.parse_json(text, Line)


def _last_byte(file):
    file.seek(-1, os.SEEK_END)
    return file.read(1)
