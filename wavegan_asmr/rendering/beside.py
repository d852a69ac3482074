"""The names of what stands beside a sound file: its manifest and its picture.

loop.flac has loop.json and loop.png. Where these are of another sound, loop.wav, or of no sound at all, it has
loop.flac.json and loop.flac.png.
"""

import contextlib
import dataclasses
import os

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats
from wavegan_asmr.sound import own_output

_HEAD_BYTES = 512
_PICTURE_BYTES, _BYTES_A_SECOND = 500_000, 500
"""A picture; a manifest, which has an entry of 150 to 200 bytes for each piece of a second or so."""


@dataclasses.dataclass(frozen=True)
class Names:
    """Paths of what stands beside a sound file.

    Attributes:
        manifest, picture: Strings.
        is_short: Boolean, whether they lack the ending of the sound file.
    """

    manifest: str
    picture: str
    is_short: bool

    @classmethod
    def short(cls, path):
        """Returns the names beside a sound file that take the place of its ending."""
        stem = os.path.splitext(path)[0]
        return cls(f"{stem}.json", f"{stem}.png", True)

    @classmethod
    def long(cls, path):
        """Returns the names beside a sound file that follow its ending."""
        return cls(f"{path}.json", f"{path}.png", False)


def most_bytes(seconds):
    """Returns the bytes that a manifest and a picture take beside a sound of so many seconds, seldom more."""
    return _PICTURE_BYTES + round(_BYTES_A_SECOND * seconds)


def choose(path):
    """Returns the `Names` beside a sound file, which is there or is to be.

    Args:
        path: String.

    Raises:
        UserError: All are taken by others.
    """
    short, long = Names.short(path), Names.long(path)
    # Once the names are long they stay so, or an old manifest would be left behind.
    if _has_manifest(long, path) and _is_free(long, path):
        return long
    if _is_free(short, path):
        return short
    if not _is_free(long, path):
        raise UserError(
            f"{long.manifest!r} or {long.picture!r} is there already and not of this sound; give another --out."
        )
    return long


@contextlib.contextmanager
def chosen(path):
    """Context of the `Names` that `choose` returns, which no other process chooses meanwhile."""
    with storage.lock_folder(os.path.dirname(path) or "."):
        yield choose(path)


def find_manifest(path):
    """Returns the path of the manifest that a user means.

    Args:
        path: String, of a manifest, or of a sound file beside which it stands.

    Raises:
        UserError: Beside the sound file is none.
    """
    if os.path.splitext(path)[1].lower() not in formats.FORMATS:
        return path
    long, short = Names.long(path), Names.short(path)
    for names in (long, short):
        if _has_manifest(names, path):
            return names.manifest
    raise UserError(
        f"--from must be a .json that generate wrote, or a sound file beside which it stands; neither "
        f"{short.manifest!r} nor {long.manifest!r} is that. Received: {path!r}."
    )


def _is_free(names, path):
    """Whether names hold nothing, or what can only be of a sound file."""
    is_of_sound = _has_manifest(names, path)
    return (is_of_sound or not os.path.lexists(names.manifest)) and (
        not os.path.lexists(names.picture) or (is_of_sound and _is_picture(names.picture))
    )


def _has_manifest(names, path):
    """Whether a manifest is there and of a sound file, or of one that has gone."""
    values = own_output.read_manifest(names.manifest)
    if values is None:
        return False
    manifest, (folder, own) = os.path.basename(names.manifest), os.path.split(path)
    there = set(os.listdir(folder or "."))
    # A manifest of an earlier version is of the sound that shares its name.
    sounds = [values["sound"]] if "sound" in values else [name for name in there if _shares_name(name, manifest)]
    return not any(own_output.belongs_to_another(manifest, sound, own, there) for sound in sounds)


def _shares_name(name, manifest):
    """Whether a name is of a sound file and differs from a manifest's in nothing but the ending."""
    stem, ending = os.path.splitext(name)
    return ending.lower() in formats.FORMATS and f"{stem}.json" == manifest


def _is_picture(path):
    """Whether a file may be one of our pictures: those say what drew them."""
    try:
        with open(path, "rb") as file:
            return b"tEXtSoftware\0Matplotlib" in file.read(_HEAD_BYTES)
    except OSError:
        return False
