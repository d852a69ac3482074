"""What a folder of recordings holds: which files are taken for recordings, and which are not, and why."""

import collections
import dataclasses
import os

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files, own_output
from wavegan_asmr.sound.pcm_cache import Pcm

OF_TRAINING, OF_RENDERING = "of a training directory", "rendered"
"""Reasons of what is left out since this project made it."""

_MOST_ENDINGS, _MOST_OWN = 6, 3


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording that is used.

    Attributes:
        name: String, its path below the data folder.
        pcm: `Pcm`, its decoded samples.
        path: String, where it is.
    """

    name: str
    pcm: Pcm
    path: str

    @property
    def notes(self):
        """List of strings, what of it is not used, such as "only 3.0 of 6.0 s of c.mp3"."""
        return [f"{note} of {words.printable(self.name)}" for note in self.pcm.notes]


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not used.

    Attributes:
        name: String, its path below the data folder.
        reason: String, why, without the name; `OF_TRAINING` and `OF_RENDERING` are our own output.
        sounds: Integer, sound files that it stands for.
    """

    name: str
    reason: str
    sounds: int = 1

    @classmethod
    def of(cls, name, error):
        """Returns a file that is left out because of an `AudioError` or `OSError`."""
        return cls(name, words.reason(error) if isinstance(error, OSError) else str(error))

    @property
    def is_own(self):
        """Boolean, whether this project made it."""
        return self.reason in (OF_TRAINING, OF_RENDERING)

    def __str__(self):
        return words.printable(f"{self.name}: {self.reason}")


def find_files(data_dir):
    """Finds the audio files of a folder and its subfolders, hidden ones left out, in a stable order.

    Args:
        data_dir: Path-like; a file is taken whatever it is.

    Returns:
        Sorted list of names below `data_dir`, see `path_of`, and a list of `LeftOut`: folders that cannot be read,
        training directories, what `generate` rendered.

    Raises:
        UserError: The folder is not there, is neither folder nor file, cannot be read, or is a training directory.
    """
    data_dir = os.fspath(data_dir)
    if not os.path.exists(data_dir):
        raise UserError(f"no such folder of recordings. Received: --data_dir {data_dir!r}.")
    if os.path.isfile(data_dir):
        folder, name = os.path.split(os.path.abspath(data_dir))
        is_ours = own_output.is_rendered(folder, name, set(os.listdir(folder)))
        return ([], [LeftOut(name, OF_RENDERING)]) if is_ours else ([name], [])
    if not os.path.isdir(data_dir):
        raise UserError(f"--data_dir must be a folder of recordings, or one recording. Received: {data_dir!r}.")
    config = own_output.read_config(data_dir)
    if config is not None:
        raise UserError(f"--data_dir is a training directory{_instead_of(data_dir, config)}. Received: {data_dir!r}.")
    names, left_out, seen = [], [], set()

    def unreadable(error):
        left_out.append(LeftOut(os.path.relpath(error.filename, data_dir), f"folder: {words.reason(error)}"))

    for folder, subfolders, file_names in os.walk(data_dir, onerror=unreadable, followlinks=True):
        # A link may lead back to a folder above.
        place, here = os.path.realpath(folder), os.path.relpath(folder, data_dir)
        if place in seen:
            subfolders.clear()
            continue
        seen.add(place)
        subfolders[:] = _visible(sorted(subfolders))
        present = set(file_names)
        if own_output.CONFIG in present and own_output.read_config(folder) is not None:
            subfolders.clear()
            sounds = sum(n for ending, n in _count_endings(folder).items() if ending in files.EXTENSIONS)
            left_out += [LeftOut(here, OF_TRAINING, sounds)] if sounds else []
            continue
        for name in filter(_is_sound, _visible(file_names)):
            path = name if here == "." else os.path.join(here, name)
            if own_output.is_rendered(folder, name, present):
                left_out.append(LeftOut(path, OF_RENDERING))
            else:
                names.append(path)
    left_out.sort(key=lambda item: item.name)
    if not names and left_out and left_out[0].name == ".":
        raise UserError(f"--data_dir cannot be read ({left_out[0].reason}). Received: {data_dir!r}.")
    return sorted(names), left_out


def path_of(data_dir, name):
    """Returns where a file is that `find_files` found."""
    return os.fspath(data_dir) if os.path.isfile(data_dir) else os.path.join(data_dir, name)


def check_usable(recordings, left_out, data_dir):
    """Checks that there is something to learn from.

    Args:
        recordings: List of `Recording`.
        left_out: List of `LeftOut`.
        data_dir: Path-like.

    Raises:
        UserError: There is not.
    """
    data_dir = os.fspath(data_dir)
    if not recordings:
        unusable = [item for item in left_out if not item.is_own]
        own = ", ".join(describe_own(left_out, _MOST_OWN))
        found = [f"our own output is none: {own}"] if own else []
        if os.path.isdir(data_dir) and (unusable or not found):
            found.append(f"the folder holds {_describe_endings(data_dir)}")
        found += [str(item) for item in unusable[:1]]
        more = f" (and {len(unusable) - 1} more)" if len(unusable) > 1 else ""
        raise UserError(
            f"no usable recording (WAV, FLAC, OGG, Opus, MP3, AIFF, m4a and more): {'; '.join(found)}{more}. "
            f"Received: --data_dir {data_dir!r}."
        )
    if all(recording.pcm.levels.is_silent for recording in recordings):
        raise UserError(
            f"nothing can be learned from digital silence, and there is nothing else in {len(recordings)} recordings. "
            f"Received: --data_dir {data_dir!r}."
        )


def _describe_endings(data_dir):
    """Says what kinds of files a folder holds, "3 .txt, 2 .docx", by their endings and not looking at hidden ones."""
    counts = sorted(_count_endings(data_dir).items(), key=lambda each: (-each[1], each[0]))
    shown = [f"{count} {words.printable(ending) or 'without an ending'}" for ending, count in counts[:_MOST_ENDINGS]]
    others = sum(count for _, count in counts[_MOST_ENDINGS:])
    return ", ".join(shown + ([f"{others} others"] if others else [])) or "nothing"


def describe_own(left_out, most):
    """Says what was left out since this project made it.

    Args:
        left_out: List of `LeftOut`.
        most: Integer, names to list, or None for all.

    Returns:
        List of strings, one a kind, such as "23 sounds of 1 training directory (train)".
    """
    found = []
    for reason, text in ((OF_TRAINING, "of {} training {}"), (OF_RENDERING, "that generate made")):
        items = [item for item in left_out if item.reason == reason]
        if items:
            sounds, noun = sum(item.sounds for item in items), "directory" if len(items) == 1 else "directories"
            names = list_names([item.name for item in items], most)
            found.append(f"{sounds} sound{'s' * (sounds != 1)} {text.format(len(items), noun)} ({names})")
    return found


def list_names(names, most):
    """Returns names as "a, b, c and 20 more", and no more than `most` of them, or all where that is None."""
    listed = ", ".join(map(words.printable, names[:most]))
    more = len(names) - len(names[:most])
    return listed + (f" and {more} more" if more else "")


def _instead_of(data_dir, config):
    """Says what to give in place of a training directory."""
    learned_from = config["data_dir"]
    if isinstance(learned_from, str) and learned_from and os.path.abspath(data_dir) != learned_from:
        return f", whose sounds a model made; give the folder of the recordings, such as {learned_from!r}"
    return f"; move the recordings into a folder of their own, such as {os.path.join(data_dir, 'recordings')!r}"


def _count_endings(folder):
    """Counts the files of a folder and its subfolders by their endings in lower case."""
    counts = collections.Counter()
    for _, subfolders, names in os.walk(folder):
        subfolders[:] = _visible(subfolders)
        counts.update(os.path.splitext(name)[1].lower() for name in _visible(names))
    return counts


def _visible(names):
    return [name for name in names if not name.startswith(".")]


def _is_sound(name):
    return os.path.splitext(name)[1].lower() in files.EXTENSIONS
