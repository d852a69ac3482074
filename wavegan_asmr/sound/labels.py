"""Labels of recordings, by their names: the folder that one is in, or what a pattern finds in the name of its file."""

import os
import re

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

FOLDER = "folder"
"""In place of a pattern: the label is the folder below the data folder."""

MOST_LABELS = 10_000
"""More are no labels, but names of files, say."""


def compile_pattern(flag, pattern, groups=None):
    """Compiles a regular expression that a user gave.

    Args:
        flag: String, the name of its flag.
        pattern: String; empty for none.
        groups: Integer, how many groups it must have, or None for any.

    Returns:
        `re.Pattern`, or None.

    Raises:
        UserError: It is no regular expression, or has another number of groups.
    """
    try:
        found = re.compile(pattern) if pattern else None
    except re.error as error:
        raise UserError(f"--{flag} is not a regular expression: {error}. Received: {pattern!r}.") from error
    if found and groups not in (None, found.groups):
        raise UserError(f"--{flag} must have one group, the label, such as '^(\\d)_'. Received: {pattern!r}.")
    return found


def labels_of(names, how, flag="data_labels"):
    """Returns the label of each recording.

    Args:
        names: Iterable of strings, paths relative to the data folder.
        how: `FOLDER`, or a regular expression with one group that finds the label in the name of a file.
        flag: String, the name of the flag that says how.

    Returns:
        List of strings.

    Raises:
        UserError: The pattern is not valid, or a recording has no label.
    """
    pattern = None if how == FOLDER else compile_pattern(flag, how, groups=1)
    names = list(names)
    labels = [_label(name, pattern) for name in names]
    without = [name for name, label in zip(names, labels) if not label]
    if without:
        fix = (
            f"--{flag} finds none in the file's name"
            if pattern
            else f"put it into a folder with the label's name, or give a --{flag} that finds it in the file's name"
        )
        received = words.printable(without[0])
        raise UserError(f"{len(without)} of {len(names)} recordings have no label: {fix}. Received: {received}.")
    return labels


def assign(names, how, known=()):
    """Numbers the labels of recordings.

    Args:
        names, how: See `labels_of`.
        known: Sequence of strings, the labels that a model has begun with; none for those that are found.

    Returns:
        Tuple of strings, the labels, sorted if they are found; list of integers, the place of each recording's.

    Raises:
        UserError: See `labels_of`; or there is one label, or too many, or one that is not known.
    """
    found = labels_of(names, how)
    distinct = sorted(set(found))
    shown = ", ".join(map(words.printable, distinct[:10]))
    if not known and not 2 <= len(distinct) <= MOST_LABELS:
        raise UserError(f"--data_labels must find 2 to {MOST_LABELS:,} labels. Received: {len(distinct)}, {shown}.")
    labels = tuple(known or distinct)
    if unknown := [label for label in distinct if label not in labels]:
        raise UserError(
            f"a model cannot learn new labels, and these recordings have {words.printable(unknown[0])!r}; it has "
            f"learned {', '.join(map(words.printable, labels[:10]))}. Received: {shown}."
        )
    places = {label: place for place, label in enumerate(labels)}
    return labels, [places[label] for label in found]


def _label(name, pattern):
    if pattern:
        found = pattern.search(os.path.basename(name))
        return found and found[1]
    folder, _, rest = name.partition(os.sep)
    return folder if rest else None
