"""Other containers: where in a file each begins that was joined to another, and which is cut short."""

import dataclasses

from wavegan_asmr.sound.streams import AudioError, Stream, find_bytes, read_at, told_s

_PAGE, _FIRST, _LAST = b"OggS", 2, 4
"""What an OGG page begins with; the flags of the first page and of the last page of a stream."""

W64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")
"""What Sony's WAV files of more than 4 GB begin with."""

_FLAC = b"fLaC\0\0\0\x22"
"""What a FLAC file begins with, up to the size of its first block."""

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
"""What Matroska files begin with, and what holds all the rest."""


def ogg_streams(file, start, size):
    """Finds the streams of an OGG file: radio and joined files have several, one behind the other.

    Args:
        file: Binary file.
        start: Integer, offset at which it begins.
        size: Integer, bytes of the file.

    Returns:
        List of `Stream`.
    """
    links, place = [], start
    while place < size:
        page = read_at(file, place, 27 + 255)
        segments = page[26] if len(page) > 26 else 0
        body = page[27 : 27 + segments]
        after = place + 27 + segments + sum(body)
        if page[:4] != _PAGE or page[4:5] != b"\0":
            place = find_bytes(file, _PAGE, place + 1, size)
            if place < 0:
                break
            continue
        if after > size or len(body) < segments:
            break
        if page[5] & _FIRST:
            # The first pages of what is heard or seen together come before all others.
            if not links or links[-1]["has_begun"]:
                links.append({"start": place, "contents": {}, "open": set(), "has_begun": False})
            links[-1]["contents"][page[14:18]] = read_at(file, after - sum(body), 8)
            links[-1]["open"].add(page[14:18])
        elif links:
            links[-1]["has_begun"] = True
        if links and page[5] & _LAST:
            links[-1]["open"].discard(page[14:18])
        place = after
    streams = []
    for link, after in zip(links, [*(link["start"] for link in links[1:]), size]):
        contents = list(link["contents"].values())
        is_plain = len(contents) == 1 and contents[0].startswith((b"\x01vorbis", b"OpusHead"))
        readers = ("libsndfile", "ffmpeg") if is_plain else ("ffmpeg",)
        streams.append(Stream(link["start"], after, readers, "ogg", is_cut=bool(link["open"])))
    return streams


def flac_streams(file, start, size):
    """Finds the streams of a FLAC file, as `ogg_streams` does."""
    found = []
    while start < size:
        end = find_bytes(file, _FLAC, start + 1, size)
        end = end if end >= 0 else size
        facts = int.from_bytes(read_at(file, start + 18, 8), "big")
        rate_hz, frames = facts >> 44, facts & ((1 << 36) - 1)
        # libsndfile takes a length that is not told, of a file that was written to a pipe, for an endless one.
        readers = ("libsndfile", "ffmpeg") if frames else ("ffmpeg",)
        found.append(Stream(start, end, readers, "flac", whole_s=told_s(frames / max(1, rate_hz))))
        start = end
    return found


def mp4_streams(file, start, size):
    """Finds the streams of an MP4, M4A, MOV or 3GP file, as `ogg_streams` does.

    Raises:
        AudioError: It is cut short before the index that tells where its samples are.
    """
    place, begins, has_index = start, [start], False
    while place + 8 <= size:
        header = read_at(file, place, 16)
        box_bytes, name = int.from_bytes(header[:4], "big"), header[4:8]
        if box_bytes == 1:
            box_bytes = int.from_bytes(header[8:16], "big")
        if name == b"ftyp" and place > start:
            begins.append(place)
        has_index = has_index or name == b"moov"
        if box_bytes < 8:
            break
        place += box_bytes
    if not has_index and place > size:
        raise AudioError("cut short: the index of its samples, which such files have at the end, is missing")
    return _parts(begins, size, "mov", ("ffmpeg",))


def matroska_streams(file, start, size):
    """Finds the streams of a Matroska or WebM file, as `ogg_streams` does."""
    place, begins, is_cut = start, [start], False
    while place < size:
        header = read_at(file, place, 12)
        name = int.from_bytes(header[:4], "big")
        if name not in (_EBML, _SEGMENT) or len(header) < 12:
            break
        if name == _EBML and place > start:
            begins.append(place)
        # The number of leading zeros tells how many bytes the size has.
        size_bytes = 9 - header[4].bit_length()
        content_bytes = int.from_bytes(header[4 : 4 + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
        if size_bytes > 8 or content_bytes == (1 << 7 * size_bytes) - 1:
            # Recorded live, without a size.
            place = find_bytes(file, _EBML.to_bytes(4, "big"), place + 1, size)
            if place < 0:
                break
            continue
        place += 4 + size_bytes + content_bytes
        is_cut = place > size
    streams = _parts(begins, size, "matroska", ("ffmpeg",))
    return [*streams[:-1], dataclasses.replace(streams[-1], is_cut=is_cut)]


def wavpack_streams(file, start, size):
    """Finds the streams of a WavPack file, as `ogg_streams` does."""
    place, begins, has_samples = start, [start], False
    while 0 <= place < size:
        header = read_at(file, place, 32)
        if header[:4] != b"wvpk" or len(header) < 32:
            place = find_bytes(file, b"wvpk", place + 1, size)
            continue
        first, count, flags = (int.from_bytes(header[at : at + 4], "little") for at in (16, 20, 24))
        # The first block of all channels.
        if count and not first and flags & 0x800:
            if has_samples:
                begins.append(place)
            has_samples = False
        has_samples = has_samples or bool(count and flags & 0x1000)
        place += 8 + max(24, int.from_bytes(header[4:8], "little"))
    return _parts(begins, size, "wv", ("ffmpeg",))


def au_streams(file, start, size):
    """Finds the streams of an AU file, as `ogg_streams` does."""

    def end(begin):
        header = read_at(file, begin, 12)
        return begin + int.from_bytes(header[4:8], "big") + int.from_bytes(header[8:12], "big")

    return _parts(_follow(file, start, size, b".snd", end), size, "au")


def caf_streams(file, start, size):
    """Finds the streams of a CAF file, as `ogg_streams` does."""

    def end(begin):
        place = begin + 8
        while place < size and (header := read_at(file, place, 12))[:4] != b"caff" and len(header) == 12:
            # Of samples up to the end the size is -1.
            place += 12 + int.from_bytes(header[4:], "big")
        return place

    return _parts(_follow(file, start, size, b"caff", end), size, "caf")


def w64_streams(file, start, size):
    """Finds the streams of a W64 file, as `ogg_streams` does."""

    def end(begin):
        return begin + int.from_bytes(read_at(file, begin + 16, 8), "little")

    return _parts(_follow(file, start, size, W64, end), size, "w64")


def _follow(file, start, size, magic, end):
    """Returns where files begin of which each follows the end of the one before; `end` gives it."""
    begins = [start]
    while begins[-1] < (place := end(begins[-1])) < size and read_at(file, place, len(magic)) == magic:
        begins.append(place)
    return begins


def _parts(begins, size, demuxer, readers=("libsndfile", "ffmpeg")):
    return [Stream(begin, end, readers, demuxer) for begin, end in zip(begins, [*begins[1:], size])]
