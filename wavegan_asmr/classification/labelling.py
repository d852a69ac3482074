"""Labelled recordings: labels from folders or file names, divided by files into training, validation and test."""

import dataclasses
import hashlib
import os

import numpy as np

import loader
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import labels

_TEST_SHARE, _VALIDATION_SHARE = 0.2, 0.1


@dataclasses.dataclass(frozen=True)
class LabelledSlices:
    """Slices of recordings of several labels.

    Attributes:
        slices: Tuple of `loader.Slices`, one a label.
    """

    slices: tuple

    @property
    def per_epoch(self):
        """Slices of an epoch."""
        return sum(each.per_epoch for each in self.slices)

    def read(self, first, count):
        """Reads examples of an endless stream in which the labels take turns.

        Args:
            first: Integer, the number of the first example.
            count: Integer.

        Returns:
            float32 `[count, slice_len, channels]`, and int64 `[count]`, places of the labels.
        """
        numbers, labels = np.divmod(np.arange(first, first + count), len(self.slices))
        x = np.empty([count, self.slices[0].slice_len, self.slices[0].channels], np.float32)
        for label in np.unique(labels):
            chosen = labels == label
            x[chosen] = self.slices[label].read(int(numbers[chosen][0]), int(chosen.sum()))
        return x, labels

    def batches(self, batch_size, most=None):
        """Reads the slices of one epoch, each once, label by label.

        Args:
            batch_size: Integer.
            most: Integer or None, how many are enough; labels get equal shares of it.

        Yields:
            float32 `[n, slice_len, channels]`, and the place of their label.
        """
        for label, slices in enumerate(self.slices):
            count = slices.per_epoch if most is None else min(slices.per_epoch, -(-most // len(self.slices)))
            for first in range(0, count, batch_size):
                yield slices.read(first, min(batch_size, count - first)), label


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Labelled recordings, divided by files: no recording has slices in two parts.

    Attributes:
        labels: List of strings.
        train, validation, test: `LabelledSlices`.
    """

    labels: list
    train: LabelledSlices
    validation: LabelledSlices
    test: LabelledSlices


def open_labelled(config, settings, show_progress=False):
    """Opens labelled recordings; a tenth of those that are not tested on are for validation.

    Args:
        config: `Config`.
        settings: `LabelSettings`; without `label_pattern` labels are those of `Config.data_labels`, and without that
            the names of the folders below the data folder; without `test_pattern` a fifth of each label's files, chosen
            by seed and name, are tested on.
        show_progress: Boolean, see `loader.open_recordings`.

    Returns:
        `Labelled`.

    Raises:
        UserError: A pattern is not valid, a recording has no label, there is one label, or a label has too few
            recordings.
    """
    how, flag = _how(config, settings)
    # What is wrong with it is better known before recordings are decoded.
    labels.compile_pattern(flag, "" if how == labels.FOLDER else how, groups=1)
    test_regex = labels.compile_pattern("test_pattern", settings.test_pattern)
    recordings, _ = loader.open_configured(config, show_progress=show_progress)
    groups = _group(recordings, how, flag)
    if len(groups) < 2:
        raise UserError(
            f"a classifier needs two labels or more. Received: {next(iter(groups))!r} alone, for "
            f"{len(recordings)} recordings."
        )
    if len(groups) > labels.MOST_LABELS:
        raise UserError(f"a classifier takes at most {labels.MOST_LABELS} labels. Received: {len(groups)}.")
    # They are told apart by group here; slices of one label have none to be told apart by.
    unlabelled = dataclasses.replace(config, data_labels="")
    # Each part of a label needs a file that is long enough.
    least = 1 if config.data_pad_end else config.data_slice_len
    parts = [], [], []
    for label, group in groups.items():
        divided = _divide([r for r in group if r.pcm.frames >= least] or group, test_regex, config.train_seed)
        if not all(divided):
            raise UserError(
                f"too few recordings of {label!r}: needed are one to learn from, one to validate and one to test on. "
                f"Received: {', '.join(str(len(part)) for part in divided)}."
            )
        try:
            for part, files in zip(parts, divided):
                part.append(loader.Slices.from_config(files, unlabelled))
        except UserError as error:
            raise UserError(f"label {label!r}: {error}") from error
    return Labelled(list(groups), *(LabelledSlices(tuple(part)) for part in parts))


def _how(config, settings):
    """Returns how recordings are labelled, and the name of the flag that says so."""
    if config.data_labels and settings.label_pattern:
        raise UserError(
            f"--label_pattern and --data_labels say the same; leave one of them out. Received: "
            f"{settings.label_pattern!r} and {config.data_labels!r}."
        )
    if config.data_labels:
        return config.data_labels, "data_labels"
    return settings.label_pattern or labels.FOLDER, "label_pattern"


def _group(recordings, how, flag):
    """Groups recordings by label: dict, labels in order."""
    groups = {}
    for recording, label in zip(recordings, labels.labels_of([each.name for each in recordings], how, flag)):
        groups.setdefault(label, []).append(recording)
    return dict(sorted(groups.items()))


def _divide(recordings, test_regex, seed):
    """Divides recordings of a label into lists for training, validation and test; each may be empty."""
    # The order is that of digests, so that a new recording leaves the others where they are.
    shuffled = sorted(recordings, key=lambda r: hashlib.sha256(os.fsencode(f"{seed} {r.name}")).digest())
    if test_regex:
        test = [r for r in shuffled if test_regex.search(os.path.basename(r.name))]
    else:
        test = shuffled[: max(1, round(_TEST_SHARE * len(shuffled)))]
    rest = [r for r in shuffled if r not in test]
    count = max(1, round(_VALIDATION_SHARE * len(rest)))
    return rest[count:], rest[:count], test
