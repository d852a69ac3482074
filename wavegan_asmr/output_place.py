"""Whether there is a place for files and folders that are to be: what can be known before a long rendering."""

import os
import shutil

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError


def check(path, size, overwrite, beside=()):
    """Checks that a file can be made; deletes what killed processes left half-written of it.

    Args:
        path: String.
        size: Integer, the most bytes that it and what stands beside it will take.
        overwrite: Boolean, whether files may be replaced.
        beside: Strings, the paths of the other files that are made with it.

    Raises:
        UserError: It is there already or a folder, its name is too long, its folder is not there or cannot be written,
            or has too little room.
    """
    if os.path.isdir(path):
        raise UserError(f"--out is a folder; name a file, such as {os.path.join(path, 'asmr.flac')!r}.")
    for each in [path, *beside]:
        _check_name(each, overwrite)
    folder = os.path.dirname(os.path.abspath(path))
    check_above(path)
    try:
        for each in beside:
            storage.sweep(each)
        # The first step of writing it.
        with storage.temporary_folder(path):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UserError(
            f"--out is in a folder that cannot be written: {words.reason(error)}. Received: {path!r}."
        ) from error
    if free < size:
        raise UserError(
            f"{path!r} needs up to {_megabytes(size)} and {_megabytes(free)} are free; make room, write a shorter "
            "file, or one of another format."
        )


def check_above(path):
    """Checks that the folder is there in which something is to be made.

    Args:
        path: String, of what is to be made.

    Raises:
        UserError: It is not.
    """
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise UserError(f"--out is in a folder that is not there. Received: {path!r}.")


def check_folder(path, argument, what, is_one, overwrite):
    """Checks that a folder can be made, or be replaced by another of its kind.

    Args:
        path, argument: Strings, the folder, and what names it on the command line.
        what: String, what will be in it, such as "a gallery".
        is_one: Function of a path of a folder: whether that is in it.
        overwrite: Boolean, whether it may be replaced.

    Raises:
        UserError: There is something else, or may not be replaced.
    """
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path) or os.path.islink(path):
        raise UserError(f"{argument} must be a folder. Received a file or a link: {path!r}.")
    if not os.listdir(path):
        return
    if not is_one(path):
        raise UserError(f"{argument} must be a new folder, or {what}. Received: {path!r}, which holds other files.")
    if not overwrite:
        raise UserError(f"{path!r} holds {what} already; give another {argument}, or --overwrite.")


def _check_name(path, overwrite):
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"--out cannot be written: {words.reason(error)}. Received: {path!r}.") from error
    if not overwrite:
        raise UserError(f"{path!r} is there already; give another --out, or --overwrite.")


def _megabytes(size):
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"
