"""Sound that this project made itself, which is no recording to learn from: training directories, rendered files."""

import json
import os
import re
import stat

CONFIG = "config.json"
_CONFIG_KEYS = {"data_dir", "data_sample_rate", "data_slice_len", "train_seed"}
"""Settings that the config.json of every training directory holds."""

_MOST_CONFIG_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_PIECES = re.compile(rb'"pieces"\s*:\s*\[')
"""Where a manifest becomes long."""

_MANIFEST_KEYS = {"settings", "models", "sample_rate_hz"}


def read_config(folder):
    """Reads the settings of a training directory.

    Args:
        folder: Path-like.

    Returns:
        Dict of name to value, or None where the folder is no training directory.
    """
    values = _parse(_read_head(os.path.join(folder, CONFIG), _MOST_CONFIG_BYTES))
    return values if set(values) >= _CONFIG_KEYS else None


def is_rendered(folder, name, names):
    """Whether `generate` made a sound file: its manifest stands beside it.

    Args:
        folder: Path-like.
        name: String, of a sound file in it.
        names: Set of strings, of all files in it.
    """
    for manifest in _manifests_of(name) & names:
        values = read_manifest(os.path.join(folder, manifest))
        if values is not None and not belongs_to_another(manifest, values.get("sound"), name, names):
            return True
    return False


def _manifests_of(name):
    return {f"{name}.json", f"{os.path.splitext(name)[0]}.json"}


def belongs_to_another(manifest, sound, name, names):
    """Whether a manifest is of another sound that is there; one that was renamed still names what it was made for.

    Args:
        manifest: String, its name.
        sound: String, the sound file that it was written for.
        name: String, of the sound file in question.
        names: Set of strings, of all files in the folder.
    """
    return isinstance(sound, str) and sound in names - {name} and manifest in _manifests_of(sound)


def read_manifest(path):
    """Returns what a manifest says before its pieces, a dict, or None where it is none."""
    head = _read_head(path, _HEAD_BYTES)
    pieces = _PIECES.search(head)
    values = _parse(head[: pieces.start()] + b'"pieces": []}') if pieces else {}
    return values if set(values) >= _MANIFEST_KEYS else None


def _read_head(path, size):
    """Returns the first bytes of an ordinary file, none where it cannot be read."""
    try:
        # Opening a pipe waits for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _parse(text):
    """Returns the dict that a JSON text is, an empty one where it is something else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
