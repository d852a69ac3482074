"""Files that are whole or not there, and JSON that is checked when it is read."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil

from wavegan_asmr.errors import UserError

_LONGEST_PREFIX = 200
"""Bytes of a name that its temporary names repeat."""

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}", re.DOTALL)


@contextlib.contextmanager
def replace_atomically(path):
    """Context that gives a temporary name beside `path` and moves it there when the block ends well.

    What killed processes left of earlier tries is deleted. The file may be read by those whom the umask lets.

    Args:
        path: Path-like, the final name.

    Yields:
        String, the temporary name; the file is empty at first.

    Raises:
        OSError: Writing failed; its `filename` is set.
    """
    temporary = handle = None
    try:
        sweep(path)
        temporary, handle = _claim(path, lambda name: os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        os.fsync(handle)
        os.replace(temporary, path)
        _sync_folder_of(path)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        # Copying names the source, too.
        if isinstance(error, OSError) and error.errno and _is_temporary_of(path, error.filename2 or error.filename):
            error.filename = os.fspath(path)
        raise
    finally:
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def replace_folder(path):
    """Context that gives an empty folder beside `path` and moves it there, in place of the one there, at its end.

    Args:
        path: Path-like, the final name.

    Yields:
        String, the temporary folder.

    Raises:
        OSError: Writing failed; its `filename` is the final one.
    """
    with temporary_folder(path) as temporary:
        partial = os.path.join(temporary, "new")
        os.mkdir(partial)
        try:
            yield partial
        except OSError as error:
            if os.fspath(error.filename or "").startswith(partial):
                error.filename = os.fspath(path) + os.fspath(error.filename)[len(partial) :]
            raise
        # A folder cannot be replaced in one move: the old one steps aside first.
        if os.path.exists(path):
            os.rename(path, os.path.join(temporary, "old"))
        os.rename(partial, path)
        _sync_folder_of(path)


@contextlib.contextmanager
def temporary_folder(path):
    """Context that gives an empty folder beside `path` and deletes it at its end.

    What killed processes left of earlier tries is deleted.

    Args:
        path: Path-like, what is to be made of what the folder holds.

    Yields:
        String, the temporary folder.

    Raises:
        OSError: It cannot be made.
    """

    def make(name):
        os.mkdir(name)
        return os.open(name, os.O_RDONLY)

    sweep(path)
    temporary, handle = _claim(path, make)
    try:
        yield temporary
    finally:
        try:
            shutil.rmtree(temporary, ignore_errors=True)
        except KeyboardInterrupt:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            os.close(handle)


@contextlib.contextmanager
def lock_folder(path):
    """Context that processes enter one after the other.

    Args:
        path: Path-like, a folder; nothing is written into it.

    Raises:
        OSError: It is not there.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some file systems have no locks.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def hold(path, refusal):
    """Context that one process at a time enters; others are refused.

    Args:
        path: Path-like, the file that is locked; it is made and stays.
        refusal: String, what is said to the others.

    Raises:
        UserError: Another process is in it.
    """
    import filelock

    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(refusal) from error
    try:
        yield
    finally:
        lock.release()


def sweep(path):
    """Deletes the temporary files and folders beside `path` that belong to no living process.

    Args:
        path: Path-like, the final name; they are called ".NAME." and eight hexadecimal digits.
    """
    folder, prefix = _place(path)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(prefix):
                delete_temporary(os.path.join(folder, name))


def delete_temporary(path):
    """Deletes a temporary file or folder unless a living process holds it, or it is none by its name.

    Args:
        path: String.

    Returns:
        Boolean, whether it is gone.
    """
    if not _TEMPORARY.fullmatch(os.path.basename(path)):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _place(path):
    """Returns the folder of a path, and how the names of its temporaries begin."""
    folder, name = os.path.split(os.fspath(path))
    # A name may be as long as the system allows, its temporary ones not longer.
    return folder or ".", f".{os.fsdecode(os.fsencode(name)[:_LONGEST_PREFIX])}."


def _is_temporary_of(path, name):
    return name is None or os.fspath(name).startswith(os.path.join(*_place(path)))


def _claim(path, make):
    """Makes a temporary file or folder that this process holds until it ends; returns its name and its handle."""
    folder, prefix = _place(path)
    while True:
        name = os.path.join(folder, f"{prefix}{secrets.token_hex(4)}")
        handle = make(name)
        # Where files cannot be locked, nothing is swept either.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Another process may have swept it before it was locked.
        if os.path.exists(name):
            return name, handle
        os.close(handle)


def _sync_folder_of(path):
    """Makes a change of name last, also if the machine loses power."""
    # Some file systems have no such call.
    with contextlib.suppress(OSError):
        handle = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def replacing(path):
    """Context that gives a binary file to write, which gets its name `path` when the block ends well."""
    with replace_atomically(path) as temporary, open(temporary, "wb") as file:
        yield file


def write_text(path, text):
    """Writes a text file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def digest_of(path):
    """Returns the SHA-256 digest of a file, a string.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_gone(path):
    """Returns whether there is nothing of that name; what lies where this user may not look is not gone."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def copy(path, folder):
    """Copies a file into a folder, whole or not at all."""
    with replace_atomically(os.path.join(folder, os.path.basename(path))) as temporary:
        shutil.copyfile(path, temporary)


def read_json(file_path, kind, **known):
    """Reads a JSON file.

    Args:
        file_path: Path-like.
        kind: Dataclass, see `parse_json`.
        known: Values of fields that the file does not hold.

    Returns:
        An instance of `kind`.

    Raises:
        OSError: It is not there or cannot be read.
        UserError: It is damaged, see `parse_json`; names the file.
    """
    with open(file_path, "rb") as file:
        text = file.read()
    try:
        return parse_json(text, kind, **known)
    except UserError as error:
        raise UserError(f"{os.fspath(file_path)}: {error}") from error


def parse_json(text, kind, forbid_unknown=False, **known):
    """Reads a JSON text as a dataclass, whose types are checked.

    Args:
        text: String or bytes, an object.
        kind: Dataclass; fields that the text lacks have their defaults.
        forbid_unknown: Boolean, whether a name that `kind` lacks is a mistake.
        known: Values of fields that the text does not hold.

    Returns:
        An instance of `kind`.

    Raises:
        UserError: It is no JSON, or a value is of another type or, where `kind` has rules, breaks one; names the field.
    """
    # Takes longer to load than --help may.
    import msgspec

    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise UserError("not a JSON object")
    if forbid_unknown and (unknown := sorted(set(values) - set(kind.__dataclass_fields__))):
        raise UserError(f"unknown setting {unknown[0]}; it was written by another version")
    try:
        return msgspec.convert(values | known, kind)
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeEncodeError) as error:
        # JSON can escape half of a character, which is no text.
        # "Expected `int`, got `str` - at `$.pieces[0].start`"
        reason, _, place = str(error).replace("`", "").partition(" - at ")
        field = place.removeprefix("$.")
        received = f". Received: {shorten(_find(values, place))}." if field and "[...]" not in field else ""
        raise UserError(f"{field}: {reason[:1].lower()}{reason[1:]}{received}" if field else reason) from error


def shorten(value):
    """Returns a value as text that is not too long for a line."""
    try:
        text = repr(value)
    except ValueError:
        # Python does not write whole numbers of thousands of digits.
        return "a number of thousands of digits"
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def _find(values, place):
    """Returns the value at a place like "$.pieces[0].start", or None where a name is missing."""
    for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", place):
        if name and name not in values:
            return None
        values = values[name] if name else values[int(number)]
    return values
