"""Fetches what was pushed: verified, whole or not there.

Files are collected in FOLDER.partial, each under its digest, so that what has come once need not come again, whatever
has changed at the place meanwhile; nothing has its name in FOLDER before all are there. SHA256SUMS in FOLDER says what
was pulled.
"""

import contextlib
import os
import re
import shutil

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import checksums
from wavegan_asmr.exchange.places import Place
from wavegan_asmr.exchange.push import RUNS, megabytes
from wavegan_asmr.progress import Meter

_LOCK = ".lock"
_COLLECTED = re.compile(rf"[0-9a-f]{{64}}(\.partial)?|{re.escape(_LOCK)}")


def pull(url, folder):
    """Fetches a TRAIN_DIR, runs or a shared model; what was pulled before and not changed since is brought up to date.

    Args:
        url: String, see `places.Place`.
        folder: Path-like.

    Raises:
        UserError: There is no such thing at the place, it is damaged or cannot be reached; or the folder holds other
            files, or cannot be written.
    """
    folder, place = os.path.abspath(folder), Place(url)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"FOLDER must be a folder. Received a file: {folder!r}.")
    sums = _read_published(place)
    try:
        with _collecting(folder) as collected:
            before = _read_before(folder)
            have = _digests(folder, {*sums, *before})
            _refuse_others(folder, sums, before, have)
            wanted = {digest: name for name, digest in sums.items() if have.get(name) != digest}
            _fetch_all(place, wanted, collected)
            if os.path.isdir(folder):
                _update(folder, sums, before, have, collected)
            else:
                _create(folder, sums, collected)
    except OSError as error:
        raise UserError(f"cannot write: {words.reason(error)}. Received: {error.filename or folder!r}.") from error
    print(f"pulled    {len(sums)} files, {len(wanted)} of them new: {words.printable(folder)}")


def _read_published(place):
    """Returns what is at a place, a dict of name to digest."""
    data = place.read(checksums.FILE)
    if data is None:
        raise UserError(f"{place} holds nothing that was pushed: there is no {checksums.FILE}.")
    sums = checksums.parse_sums(data, f"{place}/{checksums.FILE}")
    if not {"config.json", RUNS} & sums.keys():
        raise UserError(f"{place} holds no TRAIN_DIR, runs or shared model: {checksums.FILE} lists no config.json.")
    return sums


@contextlib.contextmanager
def _collecting(folder):
    """Context of the folder where files are collected, FOLDER.partial; it is deleted when all went well."""
    import filelock

    collected = f"{folder}.partial"
    os.makedirs(collected, exist_ok=True)
    if others := [name for name in os.listdir(collected) if not _COLLECTED.fullmatch(name)]:
        raise UserError(f"{collected!r} is needed to collect files in; move it away. It holds {others[0]!r}.")
    lock = filelock.FileLock(os.path.join(collected, _LOCK))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(f"another pull into {folder!r} is running.") from error
    try:
        yield collected
        shutil.rmtree(collected)
    finally:
        lock.release()
        # What was refused has collected nothing.
        if os.path.isdir(collected) and os.listdir(collected) in ([], [_LOCK]):
            shutil.rmtree(collected, ignore_errors=True)


def _read_before(folder):
    """Returns what an earlier pull has written into a folder, a dict of name to digest."""
    path = os.path.join(folder, checksums.FILE)
    try:
        with open(path, "rb") as file:
            return checksums.parse_sums(file.read(), words.printable(path))
    except FileNotFoundError:
        return {}


def _digests(folder, names):
    """Returns the digests of those files that are there, a dict of name to digest."""
    digests, real = {}, os.path.realpath(folder)
    for name in sorted(names):
        path = os.path.join(folder, name)
        if os.path.realpath(path) != os.path.join(real, name):
            raise UserError(f"{words.printable(path)} is a link, or behind one; pull into a new folder.")
        with contextlib.suppress(FileNotFoundError):
            digests[name] = storage.digest_of(path)
    return digests


def _refuse_others(folder, sums, before, have):
    """Refuses a folder that was not pulled, or was changed since."""
    if not os.path.lexists(folder):
        return
    # A pull that was killed has left a part of what it fetched.
    if not before and not _files(folder) <= {name for name, digest in have.items() if digest == sums[name]}:
        raise UserError(f"{folder!r} holds other files already; pull into a new folder.")
    for name, digest in have.items():
        if digest not in (before.get(name), sums.get(name)):
            raise UserError(f"{os.path.join(folder, name)!r} has changed since it was pulled; pull into a new folder.")


def _files(folder):
    """Returns the names of all files below a folder but hidden ones, a set."""
    found = (os.path.join(path, name) for path, _, files in os.walk(folder) for name in files if name[0] != ".")
    return {os.path.relpath(path, folder) for path in found}


def _fetch_all(place, wanted, collected):
    """Fetches files, a dict of digest to name, each under its digest."""
    missing = {}
    for digest, name in wanted.items():
        path = os.path.join(collected, digest)
        if not (os.path.exists(path) and storage.digest_of(path) == digest):
            missing[digest] = name
    sizes = place.sizes(list(missing.values()))
    total = None if None in sizes else sum(sizes)
    with Meter("pulling", total, megabytes, lambda rate: f"{megabytes(rate)}/s") as meter:
        for (digest, name), size in zip(missing.items(), sizes):
            _fetch(place, name, digest, size, os.path.join(collected, digest), meter.advance)


def _fetch(place, name, digest, size, path, advance):
    """Fetches a file and verifies it; goes on in the middle of what has come before."""
    partial = f"{path}.partial"
    while True:
        has_begun = os.path.exists(partial)
        place.fetch(name, partial, size, advance)
        if storage.digest_of(partial) == digest:
            break
        os.unlink(partial)
        # What was begun may have been of something else.
        if not has_begun:
            raise UserError(
                f"{place}/{words.printable(name)} is not what {checksums.FILE} says: it is damaged, or being pushed "
                "anew. Nothing of it was kept; try again later."
            )
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _create(folder, sums, collected):
    """Makes the folder of files that were collected."""
    placed = set()
    with storage.replace_folder(folder) as new:
        for name, digest in sums.items():
            path = os.path.join(new, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _place(os.path.join(collected, digest), path, may_link=digest not in placed)
            placed.add(digest)
        storage.write_text(os.path.join(new, checksums.FILE), checksums.format_sums(sums))


def _place(source, path, may_link):
    """Gives a collected file a name; two names of one file would change together."""
    if may_link:
        try:
            os.link(source, path)
            return
        except OSError:
            # Not every file system has links.
            pass
    shutil.copyfile(source, path)


def _update(folder, sums, before, have, collected):
    """Brings a folder up to date, indices of checkpoints and SHA256SUMS last."""
    for name in sorted(sums, key=lambda name: (name.endswith(".index"), name)):
        if have.get(name) == sums[name]:
            continue
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with storage.replace_atomically(path) as temporary:
            shutil.copyfile(os.path.join(collected, sums[name]), temporary)
    gone = before.keys() - sums.keys()
    for name in sorted(gone, key=lambda name: (not name.endswith(".index"), name)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    storage.write_text(os.path.join(folder, checksums.FILE), checksums.format_sums(sums))
