"""How names and reasons are said in one line: to a reader, and to a shell."""

import errno
import os
import re
import shlex

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the disk or the system allows",
    errno.ENAMETOOLONG: "the name is too long",
}


def printable(name):
    """Returns a name as text that stays on one line and that any terminal shows.

    Args:
        name: Path-like; bytes that are not UTF-8, and characters that control a terminal, are escaped.
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shell(name):
    """Returns a name as a shell takes it, to be pasted: quoted where that is needed, $'caf\\xe9' if it is not text.

    Args:
        name: Path-like.
    """
    data = os.fsencode(name)
    if printable(name) == os.fsdecode(data):
        return shlex.quote(os.fsdecode(data))
    return "$'" + "".join(chr(byte) if chr(byte) in _PLAIN else f"\\x{byte:02x}" for byte in data) + "'"


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#%&()*+,-./:;<=>?@[]^_{|}~")


def flags(names):
    """Returns settings as flags to choose from: "--a, --b or --c".

    Args:
        names: Sequence of strings, at least one.
    """
    *others, last = (f"--{name}" for name in names)
    return f"{', '.join(others)} or {last}" if others else last


def channels(count):
    """Returns a number of channels as one says it: "mono", "stereo", "6 channels"."""
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


def reason(error):
    """Returns why a file could not be read or written, in plain words.

    Args:
        error: `OSError`, or an error of TensorFlow.
    """
    if isinstance(error, OSError):
        return _REASONS.get(error.errno) or error.strerror or str(error)
    text = " ".join(str(error).split())
    for number, words in _REASONS.items():
        # C++ libraries pass on the system's own words.
        if re.search(re.escape(os.strerror(number)), text, re.IGNORECASE):
            return words
    return text[:200]
