"""The files of a classifier.

    classifier.json      labels, sample rate, slice length, channels, accuracy on the test set
    weights.npz          the network's weights by name
    probabilities.npz    what it says of real slices: test and train, float32 [n, labels] each
    confusion.png        a matrix of the test set

The network is built in code from classifier.json, and weights are plain arrays: nothing in the folder is executed.
"""

import contextlib
import dataclasses
import json
import os

import numpy as np

from wavegan_asmr import settings, storage, words
from wavegan_asmr.classification.network import Classifier
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import arrays
from wavegan_asmr.sound import plots
from wavegan_asmr.sound.labels import MOST_LABELS

_SUM_TOLERANCE = 1e-3
_SETTINGS = {"sample_rate_hz": "data_sample_rate", "slice_len": "data_slice_len", "channels": "data_num_channels"}
"""Field of classifier.json -> the setting of the recordings, whose rules hold for it."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """A classifier as its folder keeps it.

    Attributes:
        classifier: `Classifier`.
        test_accuracy: Float in [0, 1].
        test, train: float32 `[n, labels]`, probabilities of real slices in random order.
    """

    classifier: Classifier
    test_accuracy: float
    test: np.ndarray
    train: np.ndarray


@dataclasses.dataclass(frozen=True)
class Facts:
    """What classifier.json says.

    Attributes:
        labels: List of two or more strings, all different.
        sample_rate_hz, slice_len, channels: Integers, of the slices that it takes.
        test_accuracy: Float in [0, 1].
        test_accuracies: Dict of label to float in [0, 1].

    Raises:
        UserError: A value breaks a rule; names the field.
    """

    labels: list[str]
    sample_rate_hz: int
    slice_len: int
    channels: int
    test_accuracy: float
    test_accuracies: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        count = len(self.labels)
        if not (2 <= count <= MOST_LABELS and all(self.labels) and len(set(self.labels)) == count):
            raise UserError(f"labels: must be 2 to {MOST_LABELS} different names. Received: {count}")
        for name, of_config in _SETTINGS.items():
            field = Config.__dataclass_fields__[of_config]
            try:
                settings.check(field, getattr(self, name))
            except UserError as error:
                received = str(getattr(self, name))[:80]
                raise UserError(f"{name}: must be {settings.rule(field)}. Received: {received}") from error
        for name, accuracies in (
            ("test_accuracy", [self.test_accuracy]),
            ("test_accuracies", self.test_accuracies.values()),
        ):
            for accuracy in accuracies:
                # False for what is no number, too.
                if not 0 <= accuracy <= 1:
                    raise UserError(f"{name}: must be in [0, 1]. Received: {accuracy}")


def save(folder, trained, counts):
    """Writes the files of a classifier; classifier.json comes last and makes it whole.

    Args:
        folder: Path-like.
        trained: `Trained`.
        counts: int64 `[labels, labels]`, test slices by true and by predicted label.

    Raises:
        UserError: They cannot be written; the classifier that was there is as it was.
    """
    classifier = trained.classifier
    title = f"{trained.test_accuracy:.1%} of {counts.sum()} test slices"
    facts = Facts(
        labels=classifier.labels,
        sample_rate_hz=classifier.sample_rate_hz,
        slice_len=classifier.slice_len,
        channels=classifier.channels,
        test_accuracy=trained.test_accuracy,
        test_accuracies=dict(zip(classifier.labels, (counts.diagonal() / counts.sum(axis=1)).tolist())),
    )
    try:
        with storage.temporary_folder(os.path.join(folder, "classifier")) as temporary:
            with storage.replacing(os.path.join(temporary, "weights.npz")) as file:
                np.savez(file, **{weight.path: weight.numpy() for weight in classifier.network.weights})
            with storage.replacing(os.path.join(temporary, "probabilities.npz")) as file:
                np.savez(file, test=trained.test, train=trained.train)
            with storage.replacing(os.path.join(temporary, "confusion.png")) as file:
                file.write(plots.png(plots.confusion_matrix(counts, classifier.labels, title)))
            storage.write_text(
                os.path.join(temporary, "classifier.json"), json.dumps(dataclasses.asdict(facts), indent=2) + "\n"
            )
            # Now that all is written, and the disk was not full.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, "classifier.json"))
            for name in ("weights.npz", "probabilities.npz", "confusion.png", "classifier.json"):
                os.replace(os.path.join(temporary, name), os.path.join(folder, name))
    except OSError as error:
        raise UserError(
            f"cannot write the classifier: {words.reason(error)}. Received: {os.fspath(folder)!r}."
        ) from error


def load(folder):
    """Loads a classifier.

    Args:
        folder: Path-like.

    Returns:
        `Trained`.

    Raises:
        UserError: There is none, or its files are damaged; names the file and what in it.
    """
    try:
        return _load(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"no classifier in {os.fspath(folder)!r}: {os.path.basename(error.filename)} is missing. Train one with: "
            "classifier.py train FOLDER --data_dir LABELLED"
        ) from error
    except (UserError, OSError) as error:
        reason = words.reason(error) if isinstance(error, OSError) else error
        raise UserError(
            f"the classifier in {os.fspath(folder)!r} is damaged: {reason}. Train it again with classifier.py train."
        ) from error


def _load(folder):
    facts = storage.read_json(os.path.join(folder, "classifier.json"), Facts)
    with _named(folder, "probabilities.npz") as found:
        test, train = (_check_distributions(found, name, len(facts.labels)) for name in ("test", "train"))
    # What is damaged is found before the network is built, but for the weights, whose shapes only the network knows.
    with _named(folder, "weights.npz") as found:
        classifier = Classifier(facts.labels, facts.sample_rate_hz, facts.slice_len, facts.channels)
        for weight in classifier.network.weights:
            weight.assign(arrays.check(found, weight.path, "float32", tuple(weight.shape)))
    return Trained(classifier, facts.test_accuracy, test, train)


@contextlib.contextmanager
def _named(folder, name):
    """Context that gives the arrays of a file; what is found wrong with them names it."""
    path = os.path.join(folder, name)
    found = arrays.read(path)
    try:
        yield found
    except UserError as error:
        raise UserError(f"{words.printable(path)}: {error}") from error


def _check_distributions(found, name, labels):
    """Returns the array of a name, float32 `[n, labels]`, of which each row must be a distribution."""
    array = arrays.check(found, name, "float32", (None, labels))
    sums = array.sum(axis=1, dtype=np.float64)
    furthest = sums[abs(sums - 1).argmax()]
    if array.min() < 0 or abs(furthest - 1) > _SUM_TOLERANCE:
        raise UserError(f"{name}: each row must be probabilities, which add up to 1. Received: {furthest:.3g}")
    return array
