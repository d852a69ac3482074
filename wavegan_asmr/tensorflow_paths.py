"""Names of folders that TensorFlow takes: it wants UTF-8, and reads some characters as a pattern."""

import contextlib
import os
import re

from wavegan_asmr.errors import UserError

_PATTERN = re.compile(r"[*?\[\]\\]")
_HANDLES = "/proc/self/fd"


@contextlib.contextmanager
def plain_folder(path):
    """Context that gives a folder a name that TensorFlow takes: its own one where that will do.

    Args:
        path: String, a folder that is there.

    Yields:
        String, a name that this process can use within the context.

    Raises:
        OSError: The folder is not there.
        UserError: This system has no other names for folders.
    """
    if _is_plain(path):
        yield path
        return
    if not os.path.isdir(_HANDLES):
        raise UserError(f"TensorFlow takes no folder of such a name; rename it. Received: {path!r}.")
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_HANDLES}/{handle}"
    finally:
        os.close(handle)


def _is_plain(path):
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not _PATTERN.search(path)
