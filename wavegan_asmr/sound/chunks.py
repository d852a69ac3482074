"""WAV and AIFF: where the samples lie, whatever the sizes in the header say.

Programs that write to a pipe, recorders that lose their power and files of more than 4 GB leave sizes that are 0, too
large, or have wrapped. Where a size is no size, the samples reach to the end of the file.
"""

import struct

from wavegan_asmr.sound import mpeg
from wavegan_asmr.sound.streams import AudioError, Raw, Stream, check_rate, read_at, told_s

WAV, AIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64"), (b"FORM",)
"""What WAV files and AIFF files begin with."""

_MOST_CHUNKS = 10_000
"""Of one file: more are no header."""

_MARGIN_BYTES = 1 << 16
_UNKNOWN_BYTES = (0x7F000000, 0x7FFF0000, 0xFFFF0000, (1 << 63) - _MARGIN_BYTES, (1 << 64) - _MARGIN_BYTES)
"""Programs that do not know a size yet write one of these, or a little more."""

_TAGS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICS")
"""What names begin with that some programs append, which are no chunk and no sound."""

_STEP_BYTES = 1 << 18

_EXTENSIBLE, _MPEG = 0xFFFE, (0x50, 0x55)
_WAV_SUBTYPES = {
    (1, 1): "PCM_U8",
    (1, 2): "PCM_16",
    (1, 3): "PCM_24",
    (1, 4): "PCM_32",
    (3, 4): "FLOAT",
    (3, 8): "DOUBLE",
    (6, 1): "ALAW",
    (7, 1): "ULAW",
}
"""Of the number of the encoding and the bytes of a sample."""

_AIFF_PCM = ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")
_AIFF_OTHER = {b"fl32": ("FLOAT", 4), b"fl64": ("DOUBLE", 8), b"alaw": ("ALAW", 1), b"ulaw": ("ULAW", 1)}
"""Of the name of the encoding in lower case: libsndfile's name and the bytes of a sample."""


def wav_streams(file, start, size):
    """Finds the streams of a WAV file (WAV, RIFX, RF64, BW64).

    Args:
        file: Binary file.
        start: Integer, offset at which it begins.
        size: Integer, bytes of the file.

    Returns:
        List of `Stream`; several where files were joined end to end.

    Raises:
        AudioError: Its header is damaged or cut short.
    """
    return _joined(_wav, file, start, size)


def aiff_streams(file, start, size):
    """Finds the streams of an AIFF or AIFC file, as `wav_streams` does."""
    return _joined(_aiff, file, start, size)


def _joined(read, file, start, size):
    found = []
    while start < size:
        try:
            streams, start = read(file, start, size)
        except AudioError:
            if not found:
                raise
            break
        found.extend(streams)
    return found


def _wav(file, start, size):
    """Returns the streams of the WAV file at `start`, and where it ends."""
    magic = read_at(file, start, 4)
    order = ">" if magic == b"RIFX" else "<"
    header = _header(file, start + 12, size, order, b"fmt ", b"data")
    form = read_at(file, header[b"fmt "][0], 40)
    encoding, channels, rate_hz, _, frame_bytes, bits = struct.unpack(order + "HHIIHH", form[:16].ljust(16, b"\0"))
    if encoding == _EXTENSIBLE:
        encoding = int.from_bytes(form[24:26], "little" if order == "<" else "big")
    place, promised = header[b"data"]
    if magic in (b"RF64", b"BW64") and promised == 0xFFFFFFFF and b"ds64" in header:
        promised = int.from_bytes(read_at(file, header[b"ds64"][0] + 8, 8), "little")
        stop, missing = _reach(file, place, promised, size, order, WAV, bits=64)
    else:
        stop, missing = _reach(file, place, promised, size, order, WAV)
    end, last = _behind(file, place, stop, size, order, WAV)
    if encoding in _MPEG:
        found = mpeg.streams(file, place, stop)
    else:
        # 24 bits may lie in four bytes.
        width = frame_bytes // channels if channels and frame_bytes % channels == 0 else -(-bits // 8)
        subtype, endian = _WAV_SUBTYPES.get((encoding, width)), "LITTLE" if order == "<" else "BIG"
        raw = Raw(place, stop, check_rate(rate_hz), channels, subtype, endian, channels * width)
        found = [_stream("wav", start, end, raw, missing + _rest_bytes(file, last, end))]
    return found, end


def _aiff(file, start, size):
    header = _header(file, start + 12, size, ">", b"COMM", b"SSND")
    form = read_at(file, header[b"COMM"][0], 22).ljust(22, b"\0")
    # A float of 80 bits.
    channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", form[:18])
    rate_hz = round(mantissa * 2.0 ** (min(exponent, 16446) - 16446))
    encoding = form[18:22].lower() if read_at(file, start + 8, 4) == b"AIFC" else b"none"
    width = -(-bits // 8)
    if encoding in _AIFF_OTHER:
        subtype, width = _AIFF_OTHER[encoding]
    elif encoding in (b"none", b"sowt", b"twos", b"in24", b"in32") and 1 <= width <= 4:
        subtype = _AIFF_PCM[width - 1]
    else:
        subtype = None
    place, promised = header[b"SSND"]
    skipped = 8 + int.from_bytes(read_at(file, place, 4), "big")
    stop, missing = _reach(file, place + skipped, promised - skipped, size, ">", AIFF)
    end, last = _behind(file, place, stop, size, ">", AIFF)
    endian = "LITTLE" if encoding == b"sowt" else "BIG"
    raw = Raw(place + skipped, stop, check_rate(rate_hz), channels, subtype, endian, channels * width)
    return [_stream("aiff", start, end, raw, missing + _rest_bytes(file, last, end))], end


def _stream(demuxer, start, end, raw, missing):
    if raw.subtype is None or not raw.frame_bytes:
        return Stream(start, end, demuxer=demuxer, is_cut=missing > 0)
    whole_s = (raw.frames + missing // raw.frame_bytes) / raw.sample_rate_hz
    return Stream(start, end, demuxer=demuxer, raw=raw, whole_s=told_s(whole_s))


def _chunks(file, place, size, order):
    """Yields the name, the place of the content and the bytes of each chunk, as long as they look like chunks."""
    for _ in range(_MOST_CHUNKS):
        header = read_at(file, place, 8)
        if place + 8 > size or not all(0x20 <= byte < 0x7F for byte in header[:4]):
            return
        (chunk_bytes,) = struct.unpack(order + "I", header[4:])
        yield header[:4], place + 8, chunk_bytes
        place += 8 + chunk_bytes + chunk_bytes % 2


def _header(file, place, size, order, form, samples):
    """Returns a dict of name to (place, bytes) of the chunks, up to where both of those that are needed are found."""
    found = {}
    for name, content_at, chunk_bytes in _chunks(file, place, size, order):
        found.setdefault(name, (content_at, chunk_bytes))
        if form in found and samples in found:
            return found
    missing = "the samples" if form in found else "the format of the samples"
    raise AudioError(f"damaged or cut short: {missing} cannot be found in it")


def _reach(file, place, promised, size, order, magics, bits=32):
    """Returns the offset at which samples end, and how many bytes of them are missing.

    Args:
        file: Binary file.
        place: Integer, offset of the first sample.
        promised: Integer, bytes of samples as the header has it.
        size: Integer, bytes of the file.
        order: String, byte order as `struct` has it.
        magics: Tuple of bytes, what another file behind this one begins with.
        bits: Integer, of the size in the header.
    """
    there = max(0, size - place)
    if promised <= 0:
        end, last = _behind(file, place, place, size, order, magics)
        return (place if end < size or last >= size else size), 0
    if promised <= there:
        return place + promised + ((there - promised) >> bits << bits), 0
    is_unknown = any(least <= promised <= least + _MARGIN_BYTES for least in _UNKNOWN_BYTES)
    return size, 0 if is_unknown else promised - there


def _behind(file, place, stop, size, order, magics):
    """Returns where another file begins behind this one (`size` if none does), and where the chunks in between end."""
    last = stop
    for padded in (stop + (stop - place) % 2, stop):
        for name, content_at, chunk_bytes in _chunks(file, padded, size, order):
            if name in magics:
                return content_at - 8, content_at - 8
            if content_at + chunk_bytes <= size:
                last = max(last, content_at + chunk_bytes + chunk_bytes % 2)
    return size, last


def _rest_bytes(file, last, size):
    """Returns how many bytes lie behind the last chunk that may be sound: no names and no padding."""
    if read_at(file, last, 8).startswith(_TAGS):
        return 0
    for place in range(last, size, _STEP_BYTES):
        if read_at(file, place, _STEP_BYTES).strip(b"\0"):
            return size - last
    return 0
