"""What a gallery shows: trainings and shared models, each by itself or in a folder of several."""

import dataclasses
import os
import re

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

_STATE = "case.json"
"""What is written of a case that may not have begun to learn."""

_LONGEST_FILE = 60
"""Characters of the name of a case in the names of its files."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A training or a shared model.

    Attributes:
        train_dir: `TrainDir`.
        title: String, what the page calls it; no two cases have the same.
        file: String, how the names of its files begin; no two cases have the same.
    """

    train_dir: TrainDir
    title: str
    file: str

    @property
    def name(self):
        """The name of its folder."""
        return os.path.basename(self.train_dir.path)


def find(paths):
    """Finds cases, each once, in the order of the paths.

    Args:
        paths: List of path-likes: TRAIN_DIRs, shared models, and folders of them, whose own order is by name.

    Returns:
        List of `Case`, not empty.

    Raises:
        UserError: One is no such folder, or holds none.
    """
    found = {}
    for path in paths:
        for folder in _expand(path):
            found.setdefault(os.path.realpath(folder), TrainDir(folder))
    train_dirs = list(found.values())
    titles = _titles([each.path for each in train_dirs])
    files = []
    for title in titles:
        files.append(_free_file(title, files))
    return [Case(*each) for each in zip(train_dirs, titles, files)]


def _expand(path):
    """Returns the folders of the cases of a path, a list."""
    if not os.path.isdir(path):
        raise UserError(
            "gallery takes TRAIN_DIRs, shared models and folders of them. "
            f"Received: {os.fspath(path)!r}, which is no folder."
        )
    if _is_case(path):
        return [path]
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
    folders = [os.path.join(path, name) for name in names if not name.startswith(".")]
    found = [folder for folder in folders if _is_case(folder)]
    if not found:
        raise UserError(
            f"no training and no shared model is in {os.fspath(path)!r}; name a TRAIN_DIR or a folder of some."
        )
    return found


def _is_case(folder):
    train_dir = TrainDir(folder)
    return train_dir.has_config or train_dir.is_shared or os.path.isfile(train_dir.join(_STATE))


def _titles(paths):
    """Returns what cases are called: their folders, with as many of the folders above as tell them apart."""
    parts = [path.strip(os.sep).split(os.sep) for path in paths]
    depths = [1] * len(paths)
    while True:
        titles = [words.printable(os.sep.join(each[-depth:])) for each, depth in zip(parts, depths)]
        more = [titles.count(title) > 1 and depth < len(each) for title, each, depth in zip(titles, parts, depths)]
        if not any(more):
            return titles
        depths = [depth + is_more for depth, is_more in zip(depths, more)]


def _free_file(title, taken):
    """Returns a name for files, of a title, that is not taken and that any system and any address can hold."""
    base = re.sub(r"[^a-z0-9]+", "-", title.lower())[:_LONGEST_FILE].strip("-") or "case"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
