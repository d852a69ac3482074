"""The files of the cache of decoded recordings: what they are called, how large they are, and which may go.

An entry is two files in a folder of entries whose names begin alike, ab/ab12....f32 and ab/ab12....json. Only what is
called so is ever deleted.
"""

import collections
import contextlib
import dataclasses
import os
import re
import time

import platformdirs

from wavegan_asmr import storage, words

SAMPLES, FACTS = ".f32", ".json"
"""Endings of the files of an entry; the facts are written last, and again marked whenever it is used."""

_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"([0-9a-f]{64})(\.f32|\.json)")
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}(\.f32|\.json)\.[0-9a-f]{8}")

_ABANDONED_S = 3600
"""Half an entry that is older is none that a process is about to complete."""

_DAY_S = 86400


@dataclasses.dataclass(frozen=True)
class Content:
    """What a cache holds, or what was deleted of it.

    Attributes:
        entries: Integer, decoded recordings.
        size: Integer, bytes.
    """

    entries: int
    size: int

    def __str__(self):
        if not self.entries:
            return "nothing"
        noun = "recording" if self.entries == 1 else "recordings"
        return f"{_bytes(self.size)} of {self.entries} decoded {noun}"


def default_folder():
    """Returns the folder of the cache where --data_cache_dir is not given."""
    return platformdirs.user_cache_dir("wavegan")


def prune_command(folder):
    """Returns the command that makes room in a cache, as a shell takes it."""
    place = "" if os.path.abspath(folder) == default_folder() else f" --data_cache_dir {words.shell(folder)}"
    return f"wavegan check --prune_cache DAYS{place}"


def sweep(folder):
    """Deletes what killed processes left in a cache: files that are half written, and halves of entries.

    Args:
        folder: Path-like; it need not be there.

    Returns:
        `Content` of what is left.
    """
    return _total(_entries(folder))


def prune(folder, days):
    """Deletes the entries of a cache that were not used for a time. A training that still reads one ends.

    Args:
        folder: Path-like; it need not be there.
        days: Float; 0 for all entries.

    Returns:
        Pair of `Content`: what was deleted, and what is left.

    Raises:
        OSError: An entry cannot be deleted.
    """
    last_s, deleted, kept = time.time() - _DAY_S * days, [], []
    for entry in _entries(folder):
        if days and entry[FACTS][1].st_mtime >= last_s:
            kept.append(entry)
            continue
        # Without the facts there is no entry, whatever happens next.
        for ending in (FACTS, SAMPLES):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry[ending][0])
        deleted.append(entry)
    return _total(deleted), _total(kept)


def _entries(folder):
    """Yields the whole entries of a cache, dicts of ending to (path, status), and deletes what is left of others."""
    for subfolder in _list(folder):
        if not _FOLDER.fullmatch(subfolder.name):
            continue
        found = collections.defaultdict(dict)
        for file in _list(subfolder.path):
            if not file.name.lstrip(".").startswith(subfolder.name):
                continue
            if _TEMPORARY.fullmatch(file.name):
                storage.delete_temporary(file.path)
            elif name := _NAME.fullmatch(file.name):
                # Another process may delete it meanwhile.
                with contextlib.suppress(OSError):
                    found[name[1]][name[2]] = file.path, file.stat(follow_symlinks=False)
        for entry in found.values():
            if len(entry) == 2:
                yield entry
            else:
                _delete_abandoned(*entry.values())


def _delete_abandoned(half):
    path, status = half
    if time.time() - status.st_mtime > _ABANDONED_S:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _list(folder):
    """Returns the entries of a folder, none where it cannot be read or is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _total(entries):
    sizes = [sum(status.st_size for _, status in entry.values()) for entry in entries]
    return Content(len(sizes), sum(sizes))


def _bytes(size):
    value, unit = next((size / scale, unit) for scale, unit in _UNITS if size >= scale or scale == 1e3)
    return f"{value:.1f} {unit}"


_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
