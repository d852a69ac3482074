"""Copies a TRAIN_DIR, runs or a shared model to a place.

SHA256SUMS comes last: whoever pulls finds what was published before, or all of this. SHA256SUMS.partial says meanwhile
what has arrived, so that the same command goes on after a break.
"""

import contextlib
import hashlib
import os
import re
import sys

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import checksums
from wavegan_asmr.exchange.places import Place
from wavegan_asmr.progress import Meter, Timer
from wavegan_asmr.train_dir import SHARED

JOURNAL = f"{checksums.FILE}.partial"
RUNS = "cases.json"
"""The file that makes a folder the runs of many cases."""

_BLOCK_BYTES = 1 << 20
_JOURNAL_S = 10.0
_LEFT_OUT = re.compile(r"(damaged-.*|.*\.partial)", re.DOTALL)
_MEASURED = re.compile(r"(metrics\.jsonl|events\.out\.tfevents\..*)", re.DOTALL)
"""What `evaluate` leaves in a shared model."""

_NOT_KNOWN = "0" * 64


def push(folder, url, overwrite=False):
    """Copies a folder; what is there already is not copied again, and what is here no longer is deleted there.

    Args:
        folder: Path-like, a TRAIN_DIR, runs or a shared model.
        url: String, see `places.Place`.
        overwrite: Boolean, whether something else that was pushed there may be replaced.

    Raises:
        UserError: It is no such folder, the place holds something else, or it cannot be written.
    """
    folder = os.path.abspath(folder)
    names = _names(folder)
    place = Place(url)
    if place.is_web:
        raise UserError(
            f"a web server can be pulled from alone; push to a folder, s3://, gs:// or hf://. Received: {url!r}."
        )
    if place.local and os.path.realpath(place.local + os.sep).startswith(os.path.realpath(folder) + os.sep):
        raise UserError(f"URL must not be inside of what is pushed. Received: {url!r}.")
    sums = {}
    for name in names:
        # A training may have deleted it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            sums[name] = storage.digest_of(os.path.join(folder, name))
    published, arrived = _read(place, checksums.FILE), _read(place, JOURNAL)
    _check_place(place, sums, published, arrived, overwrite)
    there = (published or {}) | (arrived or {})
    missing = [name for name in sums if there.get(name) != sums[name]]
    if missing:
        _upload(place, folder, sums, missing, arrived or {}, there)
    if sums != published:
        place.write(checksums.FILE, [checksums.format_sums(sums).encode()])
    for name in sorted({*there} - {*sums}):
        place.delete(name)
    if missing or arrived is not None:
        place.delete(JOURNAL)
    print(f"pushed    {len(sums)} files, {len(missing)} of them new: {place}")
    print(f"to have them elsewhere: wavegan pull {words.shell(place.local or url)} FOLDER")


def _upload(place, folder, sums, missing, arrived, there):
    """Uploads files; keeps in `sums` what they were when they were read."""
    # What is about to change is not what was published any more.
    arrived |= {name: _NOT_KNOWN for name in missing if name in there}

    def note():
        place.write(JOURNAL, [checksums.format_sums(arrived).encode()])

    def blocks(file, digest):
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            meter.advance(len(block))
            yield block

    total = sum(
        os.path.getsize(path) for path in (os.path.join(folder, name) for name in missing) if os.path.exists(path)
    )
    timer = Timer(_JOURNAL_S)
    note()
    try:
        with Meter("pushing", total, megabytes, lambda rate: f"{megabytes(rate)}/s") as meter:
            for name in missing:
                try:
                    file = open(os.path.join(folder, name), "rb")  # noqa: SIM115
                except FileNotFoundError:
                    del sums[name]
                    continue
                with file:
                    digest = hashlib.sha256()
                    place.write(name, blocks(file, digest))
                arrived[name] = sums[name] = digest.hexdigest()
                if timer.is_due():
                    note()
    except BaseException:
        # Where the place cannot be reached, what broke off says so.
        with contextlib.suppress(UserError):
            note()
        raise


def _read(place, name):
    """Reads a list of checksums; returns None where there is none."""
    data = place.read(name)
    return None if data is None else checksums.parse_sums(data, f"{place}/{name}")


def _check_place(place, sums, published, arrived, overwrite):
    """Refuses to write over what is not an earlier state of the same."""
    if published is None and arrived is None and (others := place.names()):
        raise UserError(f"{place} holds other files, such as {words.printable(others[0])!r}; name a new folder.")
    if published and not (published.items() & sums.items()) and not overwrite:
        raise UserError(f"{place} holds something else that was pushed; name a new folder, or --overwrite.")


def _names(folder):
    """Returns the names of the files to push, a sorted list; what is left out for its name is said on stderr."""
    kinds = [name for name in (RUNS, SHARED, "config.json") if os.path.isfile(os.path.join(folder, name))]
    if not kinds:
        raise UserError(f"FOLDER must be a TRAIN_DIR, runs or a shared model. Received: {folder!r}.")
    found = []
    for path, folders, files in os.walk(folder):
        if kinds[0] == SHARED:
            # What other verbs have made of it is not part of it.
            folders.clear()
            files = [name for name in files if not _MEASURED.fullmatch(name)]
        is_training = "config.json" in files
        folders[:] = [name for name in folders if not (name.startswith(".") or (is_training and name == "backup"))]
        for name in files:
            if name.startswith(".") or _LEFT_OUT.fullmatch(name) or (path == folder and name == checksums.FILE):
                continue
            whole = os.path.join(path, name)
            relative = os.path.relpath(whole, folder)
            if os.path.islink(whole) or not os.path.isfile(whole) or not checksums.is_name(relative):
                print(
                    f"left out: {words.printable(relative)}: a link, or a name that may not do elsewhere",
                    file=sys.stderr,
                )
                continue
            found.append(relative)
    return sorted(found)


def megabytes(count):
    """Returns a number of bytes in words."""
    return f"{count / 1e6:.1f} MB"
