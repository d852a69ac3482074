"""SHA256SUMS, the list of what was published: names of files and digests of their contents, as sha256sum writes it.

A list that comes from elsewhere may lie, so names that lead out of their folder are refused.
"""

import re

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

FILE = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def format_sums(sums):
    """Returns a dict of name to digest as the text of a list."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def parse_sums(data, source):
    """Reads a list.

    Args:
        data: Bytes.
        source: String, where it is from, for messages.

    Returns:
        Dict of name to digest.

    Raises:
        UserError: It is no list, or a name leads out of the folder.
    """
    sums = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise UserError(f"{source}: line {number} is no checksum. Received: {words.printable(line[:80])!r}.")
        digest, name = match.groups()
        if not is_name(name) or name in sums:
            raise UserError(
                f"{source}: a name must be of a file below the folder, and stand there once. "
                f"Received: {words.printable(name[:200])!r}."
            )
        sums[name] = digest
    folders = {name[:i] for name in sums for i, each in enumerate(name) if each == "/"}
    if both := sorted(folders & set(sums)):
        raise UserError(f"{source}: a name is of a file and of a folder. Received: {both[0]!r}.")
    return sums


def is_name(name):
    """Whether a name is one of a file below a folder, of printable characters, and not hidden.

    Hidden files are left out because programs look for them: a .git or an .envrc is as good as a command.
    """
    return (
        name.isprintable()
        and "\\" not in name
        and not any(part.startswith(".") or not part for part in name.split("/"))
    )
