"""What a file is, told by what is in it and never by its name."""

import os
import stat

from wavegan_asmr.sound import chunks, containers, mpeg
from wavegan_asmr.sound.streams import AudioError, Stream, read_at

_HEAD_BYTES = 4096

_PRINTED = frozenset(b"\t\n\r\f") | frozenset(range(0x20, 0x7F))


def _one_stream(file, start, size):
    return [Stream(start, size)]


_SOUND = (
    (8, b"WAVE", chunks.wav_streams),
    (8, (b"AIFF", b"AIFC"), chunks.aiff_streams),
    (0, b"OggS", containers.ogg_streams),
    (0, b"fLaC", containers.flac_streams),
    (4, (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"), containers.mp4_streams),
    (0, b"\x1aE\xdf\xa3", containers.matroska_streams),
    (0, b"wvpk", containers.wavpack_streams),
    (0, b".snd", containers.au_streams),
    (0, b"caff", containers.caf_streams),
    (0, containers.W64, containers.w64_streams),
    # Frames of MPEG audio may lie in these, but do not follow each other.
    (8, b"AVI ", _one_stream),
    (0, (bytes.fromhex("3026b2758e66cf11"), b"FLV", b"\0\0\1\xba", b"\0\0\1\xb3"), _one_stream),
)
"""Offset of the first bytes that tell a kind, these bytes, and the function that finds streams."""

_OTHER_THINGS = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or document",
    b"\x1f\x8b": "a compressed archive",
    b"7z\xbc\xaf\x27\x1c": "a compressed archive",
    b"Rar!": "a compressed archive",
    b"\xfd7zXZ": "a compressed archive",
    b"BZh": "a compressed archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"MThd": "MIDI notes, which are no sound yet",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
    b"version https://git-lfs": "a pointer of Git LFS (git lfs pull fetches the file)",
    b"#EXTM3U": "a list of other files",
    b"[playlist]": "a list of other files",
}
"""First bytes of what is no sound, and what it is."""


def find_streams(path):
    """Finds the streams of sound of a file.

    Args:
        path: Path-like.

    Returns:
        List of `Stream`, never empty.

    Raises:
        AudioError: It is no file, is empty, or is something else than sound.
        OSError: It cannot be read.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("is a folder" if stat.S_ISDIR(status.st_mode) else "is no file but a device or a pipe")
    size = status.st_size
    if not size:
        raise AudioError("empty file")
    with open(path, "rb") as file:
        start, head = 0, read_at(file, 0, _HEAD_BYTES)
        # Names and pictures in front of any kind of sound.
        while head[:3] == b"ID3" and mpeg.tag_bytes(head):
            start += mpeg.tag_bytes(head)
            head = read_at(file, start, _HEAD_BYTES)
        if not head:
            raise AudioError("cut short: it ends before its sound begins")
        for offset, magic, find in _SOUND:
            if head.startswith(magic, offset):
                return find(file, start, size) or [Stream(start, size)]
        for magic, thing in _OTHER_THINGS.items():
            if head.startswith(magic):
                raise AudioError(f"not readable as audio: it is {thing}")
        streams = mpeg.streams(file, 0, size)
    if not streams and (thing := _unheard(head)):
        raise AudioError(f"not readable as audio: it is {thing}")
    return streams or [Stream(start, size)]


def _unheard(head):
    """Returns what a file is that is no sound and has no magic number, told by its first bytes, or None."""
    if not head.strip(b"\0"):
        return "nothing but zeros where its header should be"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")) or (text.startswith(b"<") and b"<html" in text):
        return "an HTML page"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = bytes(byte for byte in head[2:] if byte)
    # No format of sound begins with so much that can be read.
    return "text" if len(head) >= 16 and all(byte in _PRINTED or byte >= 0x80 for byte in head) else None
