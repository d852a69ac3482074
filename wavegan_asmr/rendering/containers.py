"""What libsndfile leaves to be done to a finished file: the loop of a WAV file, the serial number of an Ogg file."""

import os
import struct
import zlib

_MIDDLE_C = 60
_MOST_FRAMES = 2**32
"""What a sampler's chunk can name."""

_PAGE_HEAD_BYTES = 27

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Byte -> the byte of its bits in the reversed order."""


def mark_loop(path, frames, sample_rate_hz):
    """Has a WAV or RF64 file be played round and round: all of it, without end, as its `smpl` chunk says.

    Args:
        path: Path-like.
        frames: Integer, the length; a loop of more than 2^32 frames stays unmarked.
        sample_rate_hz: Integer.

    Raises:
        OSError: It cannot be written.
    """
    if frames > _MOST_FRAMES:
        return
    forward, without_end = 0, 0
    sampler = struct.pack("<9I", 0, 0, round(1e9 / sample_rate_hz), _MIDDLE_C, 0, 0, 0, 1, 0)
    loop = struct.pack("<6I", 0, forward, 0, frames - 1, 0, without_end)
    with open(path, "r+b") as file:
        # An even place, as chunks need it: libsndfile fills up what is odd.
        file.seek(0, os.SEEK_END)
        file.write(b"smpl" + struct.pack("<I", len(sampler + loop)) + sampler + loop)
        size = file.tell() - 8
        file.seek(0)
        is_large = file.read(4) == b"RF64"
        file.seek(20 if is_large else 4)
        file.write(struct.pack("<Q" if is_large else "<I", size))


def set_serial(path, serial):
    """Gives an Ogg file of one stream a serial number in place of the one that was drawn.

    Args:
        path: Path-like.
        serial: Integer of 32 bits.

    Raises:
        OSError: It cannot be written.
    """
    number = struct.pack("<I", serial)
    with open(path, "r+b") as file:
        while head := file.read(_PAGE_HEAD_BYTES):
            sizes = file.read(head[-1])
            # The serial number is followed by that of the page, and by the checksum of the page without a checksum.
            before, after = head[:14] + number + head[18:22], head[26:] + sizes + file.read(sum(sizes))
            file.seek(-len(head) - len(after) + 1, os.SEEK_CUR)
            file.write(before + struct.pack("<I", _checksum(before + bytes(4) + after)))
            file.seek(len(after), os.SEEK_CUR)


def _checksum(data):
    """Returns the checksum of Ogg, which is that of zlib with all bits the other way round."""
    reversed_ = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reversed_.to_bytes(4, "little").translate(_REVERSED), "big")
