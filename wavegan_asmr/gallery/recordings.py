"""The recordings of a case, and an excerpt of them to compare with."""

import contextlib
import dataclasses
import functools
import math
import os

import numpy as np

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import model_card, model_facts
from wavegan_asmr.progress import clock
from wavegan_asmr.rendering import excerpts
from wavegan_asmr.sound import data_folder, files
from wavegan_asmr.training.recordings import Contents

_TRAINING, _HELD_OUT = "training", "held_out"
"""Folders beside each other: what is learned from, and what is not."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the recordings of a case are.

    Attributes:
        path: String, a folder or a file.
        is_held_out: Boolean, whether the case has not learned from them; None where that is not known.
        data_dir: String, what the case is evaluated against, or None for the recordings of its training.
    """

    path: str
    is_held_out: bool | None
    data_dir: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class Excerpt:
    """An excerpt of recordings.

    Attributes:
        samples: Float32 array `[frames, channels]` at `excerpts.RATE_HZ`.
        sample_rate_hz: Integer, of the recording.
        label: String, which part of which recording it is.
        is_held_out: See `Place`.
        sources: String, lines on author and licence, or "" where they are not stated.
    """

    samples: np.ndarray
    sample_rate_hz: int
    label: str
    is_held_out: bool | None
    sources: str


def find(case, config, data_dir=None):
    """Finds the recordings of a case: in `data_dir` by its name or by their content, or else where it was trained.

    Args:
        case: `cases.Case`.
        config: `Config`.
        data_dir: Path-like, a folder of recordings and of folders of recordings; or None.

    Returns:
        `Place`, or None where there are none.

    Raises:
        UserError: `data_dir` cannot be read.
    """
    if data_dir:
        data_dir = os.path.abspath(data_dir)
        found = _find_by_name(case.name, data_dir) or _find_by_content(case.train_dir, data_dir)
        if found:
            return _prefer_held_out(found, None, is_elsewhere=True)
    if not config.data_dir or storage.is_gone(config.data_dir):
        return None
    held_out = config.autoregressive_held_out_dir
    if held_out and not storage.is_gone(held_out):
        return Place(held_out, True, None)
    return _prefer_held_out(config.data_dir, False, is_elsewhere=False)


def cut(place, seconds, channels):
    """Cuts an excerpt out of recordings, the same each time.

    It is the middle of the longest recording. Where that is shorter than asked for, it is several recordings, evenly
    chosen by name, one after the other.

    Args:
        place: `Place`.
        seconds: Float, the most.
        channels: Integer, of the model, 1 or 2; where a recording has more the excerpt has as many.

    Returns:
        `Excerpt`.

    Raises:
        UserError: There is no recording that can be used.
    """
    paths = {name: data_folder.path_of(place.path, name) for name in data_folder.find_files(place.path)[0]}
    lengths_s, rates_hz = {}, {}
    for name, path in paths.items():
        with contextlib.suppress(files.AudioError, OSError):
            info = files.probe(path)
            lengths_s[name], rates_hz[name] = (info.frames or 0) / info.sample_rate_hz, info.sample_rate_hz
    if not lengths_s:
        raise UserError(f"there is no recording that can be read. Received: {words.printable(place.path)}.")
    longest = max(lengths_s, key=lengths_s.get)
    names = _spread(lengths_s, seconds) if 0 < lengths_s[longest] < seconds else [longest]
    channels = max(channels, excerpts.count_channels(paths[name] for name in names))
    cuts = [excerpts.cut_middle(paths[name], seconds, channels) for name in names]
    x = np.concatenate([each for each, _ in cuts])[: round(seconds * excerpts.RATE_HZ)]
    if len(names) > 1:
        label = f"{len(names)} of {len(lengths_s)} recordings, one after the other"
    else:
        start_s = cuts[0][1]
        end_s = start_s + len(x) / excerpts.RATE_HZ
        label = f"{words.printable(names[0])}, {clock(round(start_s))} to {clock(round(end_s))}"
    sources = _read_sources(place, paths[names[0]], len(names) == 1)
    return Excerpt(x, rates_hz[names[0]], label, place.is_held_out, sources)


def _spread(lengths_s, seconds):
    """Chooses as many recordings as make some seconds, evenly by name; returns a list of their names."""
    names = sorted(lengths_s)
    count = min(len(names), math.ceil(seconds * len(names) / sum(lengths_s.values())))
    return [names[k * len(names) // count] for k in range(count)]


def _read_sources(place, path, is_alone):
    """Reads SOURCES beside a recording or in a folder above it that belongs to the case."""
    folders = [os.path.dirname(path), place.path if os.path.isdir(place.path) else ""]
    if os.path.basename(place.path) in (_TRAINING, _HELD_OUT):
        folders.append(os.path.dirname(place.path))
    for folder in filter(None, dict.fromkeys(folders)):
        text = model_card.read_sources(folder)
        if is_alone:
            text = model_facts.sources_of(text, words.printable(os.path.basename(path)))
        if text:
            return text
    return ""


def _prefer_held_out(path, is_held_out, is_elsewhere):
    """Returns the `Place` of a folder of recordings, or, where there is one, of what is held out beside or in it."""
    training = os.path.join(path, _TRAINING)
    if not os.path.isdir(training):
        training = path
    held_out = os.path.join(os.path.dirname(training), _HELD_OUT)
    if os.path.basename(training) == _TRAINING and os.path.isdir(held_out):
        return Place(held_out, True, training if is_elsewhere else None)
    return Place(path, is_held_out, path if is_elsewhere else None)


def _find_by_name(name, data_dir):
    """Returns the folder, or the recording, of a name, or None."""
    for path in [data_dir, *_entries(data_dir)]:
        own = os.path.basename(path)
        stem, ending = os.path.splitext(own)
        is_sound = stem == name and ending.lower() in files.EXTENSIONS
        if (own == name and os.path.isdir(path)) or (is_sound and os.path.isfile(path)):
            return path
    return None


def _find_by_content(train_dir, data_dir):
    """Returns the folder, or the recording, that holds what a training has learned from, or None."""
    try:
        contents = storage.read_json(train_dir.join("recordings.json"), Contents)
    except (OSError, UserError):
        return None
    wanted = {each.digest for each in contents.recordings}
    names, _ = data_folder.find_files(data_dir)
    known = [name for name in names if _digest(data_folder.path_of(data_dir, name)) in wanted]
    tops = {name.split(os.sep)[0] for name in known}
    if not tops:
        return None
    return data_folder.path_of(data_dir, tops.pop()) if len(tops) == 1 else data_dir


def _entries(folder):
    """Returns the paths of what is in a folder, by name; a file holds nothing."""
    if not os.path.isdir(folder):
        return []
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if not name.startswith(".")]


@functools.cache
def _digest(path):
    """Returns the digest of a file as recordings.json has it, or None where it cannot be read."""
    try:
        return storage.digest_of(path)
    except OSError:
        return None
