"""MP3 (and MPEG layers I and II): the frames of a file, counted without decoding.

An encoder that can go back writes a first frame that tells how many follow. Files that were joined end to end have
several of those; files that are cut short hold fewer frames than it tells; many files have none.
"""

import dataclasses
import functools
import re

from wavegan_asmr.sound.streams import Stream, read_at, told_s

_LEAST_FRAMES = 3
"""That follow each other where sound is found behind something else: fewer are chance."""

_SEARCHED_BYTES = 1 << 17
"""How far into a file the first frame is looked for."""

_STEP_BYTES, _HEAD_BYTES = 1 << 20, 256
"""What is read at once, and what is looked at of a frame."""

_RATES_HZ = (44100, 48000, 32000)
_KBIT_S = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of version (2 is 2.5 as well) and layer."""

_HEADER = re.compile(rb"\xff(?=[\xe0-\xff][\x10-\xef])")
"""What may be the header of a frame."""

_INFO = (b"Xing", b"Info", b"VBRI")
"""In the frame that tells how many follow."""


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What the frames of a stream have in common.

    Attributes:
        version: Integer, 3 for MPEG-1, 2 for MPEG-2, 0 for MPEG-2.5.
        layer: Integer, 1 to 3.
        rate_hz: Integer.
        is_mono: Boolean.
    """

    version: int
    layer: int
    rate_hz: int
    is_mono: bool

    @property
    def samples(self):
        """Integer, samples of a frame."""
        return 384 if self.layer == 1 else 576 if self.layer == 3 and self.version != 3 else 1152

    @functools.cached_property
    def sizes(self):
        """Dict of the first three bytes of a header to the bytes of its frame."""
        sizes = {}
        for second in range(256):
            index, rate_index, padding = second >> 4, (second >> 2) & 3, (second >> 1) & 1
            if index in (0, 15) or rate_index == 3 or self.rate_hz != _rate_hz(self.version, rate_index):
                continue
            bits_s = 1000 * _KBIT_S[1 if self.version == 3 else 2, self.layer][index]
            size = self.samples // 8 * bits_s // self.rate_hz + padding
            if self.layer == 1:
                size = (12 * bits_s // self.rate_hz + padding) * 4
            first = 0xE0 | self.version << 3 | (4 - self.layer) << 1
            # With a checksum and without.
            sizes[bytes([0xFF, first, second])] = sizes[bytes([0xFF, first | 1, second])] = size
        return sizes


def _rate_hz(version, index):
    return _RATES_HZ[index] >> {3: 0, 2: 1, 0: 2}[version]


_kind = functools.cache(_Kind)


def _kind_of(head):
    """Returns the `_Kind` of the frame that some bytes begin with, or None."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer, rate_index = (head[1] >> 3) & 3, 4 - ((head[1] >> 1) & 3), (head[2] >> 2) & 3
    if version == 1 or layer == 4 or rate_index == 3 or head[2] >> 4 in (0, 15):
        return None
    return _kind(version, layer, _rate_hz(version, rate_index), head[3] >> 6 == 3)


class _Bytes:
    """A stretch of a file, a large step of which is held at a time."""

    def __init__(self, file, stop):
        self._file, self.stop = file, stop
        self.held, self.start, self._has_info = b"", 0, False

    def head(self, place, size=_HEAD_BYTES):
        """Returns the bytes at an offset, fewer at the end."""
        at = place - self.start
        if at < 0 or at + size > len(self.held):
            self.start, at = place, 0
            self.held = read_at(self._file, place, max(0, min(max(size, _STEP_BYTES), self.stop - place)))
            self._has_info = any(name in self.held for name in _INFO)
        return self.held[at : at + size]

    def run(self, place, kind, most):
        """Walks frames of a kind; returns how many whole ones follow each other, and the offset behind them.

        A frame that tells how many follow ends the run, unless it is the first.
        """
        count, sizes, is_mono = 0, kind.sizes, kind.is_mono
        while count < most:
            self.head(place)
            held, at, has_info = self.held, place - self.start, self._has_info
            is_last = self.start + len(held) >= self.stop
            last = len(held) - (4 if is_last else _HEAD_BYTES)
            while at <= last and count < most:
                size = sizes.get(held[at : at + 3]) if (held[at + 3] >= 0xC0) == is_mono else None
                if size is None or (has_info and count and _info_at(held[at : at + _HEAD_BYTES])):
                    return count, self.start + at
                at += size
                count += 1
            place = self.start + at
            if place > self.stop:
                return count - 1, place - size
            if is_last:
                break
        return count, place

    def is_run(self, place):
        """Whether enough frames of one kind follow each other to be no chance, or some do up to the end."""
        kind = _kind_of(self.head(place))
        if kind is None:
            return False
        count, end = self.run(place, kind, _LEAST_FRAMES)
        return count == _LEAST_FRAMES or (count > 0 and (end >= self.stop or _kind_of(self.head(end)) is kind))

    def next_run(self, place, stop):
        """Returns the offset of the first frame that others follow, or None."""
        while place < stop:
            held = self.head(place, min(_STEP_BYTES, stop - place))
            for found in _HEADER.finditer(held):
                if self.is_run(place + found.start()):
                    return place + found.start()
            if len(held) < 4:
                break
            # A header may lie across two steps.
            place += len(held) - 3
        return None


@dataclasses.dataclass
class _Run:
    """A stream while its frames are counted.

    Attributes:
        start: Integer, offset of its first byte.
        kind: `_Kind`.
        promised: Integer, how many frames its first one tells of, or 0.
        trimmed: Integer, samples of silence that the encoder added and told of.
        has_info: Boolean, its first frame tells how many follow.
        is_broken: Boolean, something that is no frame lies in it.
        count: Integer, frames.
    """

    start: int
    kind: _Kind
    promised: int = 0
    trimmed: int = 0
    has_info: bool = False
    is_broken: bool = False
    count: int = 0

    def stream(self, stop):
        """Returns it as a `Stream` that ends at an offset."""
        is_whole = self.has_info and not self.is_broken and self.count >= self.promised
        whole = max(self.count, self.promised) * self.kind.samples - self.trimmed
        # Only where the first frame is right does libsndfile read to the end, and without a warning.
        readers = ("libsndfile", "ffmpeg") if is_whole else ("ffmpeg", "libsndfile")
        return Stream(self.start, stop, readers, "mp3", whole_s=told_s(whole / self.kind.rate_hz))


def streams(file, start, stop):
    """Finds the streams of MPEG audio in a stretch of a file.

    Args:
        file: Binary file.
        start: Integer, offset of the first byte.
        stop: Integer, offset behind the last byte.

    Returns:
        List of `Stream`, empty where it is no MPEG audio.
    """
    data = _Bytes(file, stop)
    runs, place, begins, is_broken = [], start, start, False
    while place < stop:
        head = data.head(place)
        if skipped := tag_bytes(head):
            if head[:3] == b"ID3" and begins is None:
                begins = place
            place += skipped
            continue
        kind, run = _kind_of(head), runs[-1] if runs else None
        is_next = run is not None and kind is run.kind and begins is None
        if kind is None or (not is_next and not data.is_run(place)):
            place, is_broken = data.next_run(place + 1, stop if runs else min(stop, place + _SEARCHED_BYTES)), True
            if place is None:
                break
            continue
        info_at = _info_at(head) if kind.layer == 3 else 0
        if is_next and not info_at and run.promised and run.count >= run.promised:
            count, after = data.run(place, kind, _LEAST_FRAMES)
            if count < _LEAST_FRAMES:
                # Encoders differ by one or two in how they count.
                place = after if count else stop
                continue
            is_next = False
        if not is_next or info_at:
            run = _Run(place if begins is None else begins, kind, is_broken=is_broken)
            runs.append(run)
            if info_at:
                run.has_info = True
                run.promised, run.trimmed = _read_info(head[info_at:], kind)
                place += kind.sizes[head[:3]]
        begins = None
        run.is_broken, is_broken = run.is_broken or is_broken, False
        count, after = data.run(place, kind, run.promised - run.count if run.promised else stop)
        run.count += count
        # The last frame may be cut short.
        place = after if count or info_at else stop
    runs = [run for run in runs if run.count]
    ends = [*(run.start for run in runs[1:]), stop]
    return [run.stream(end) for run, end in zip(runs, ends)]


def tag_bytes(head):
    """Returns how many bytes of names, dates and pictures begin with some bytes, or 0."""
    if head[:3] == b"ID3" and len(head) >= 10:
        # Seven bits a byte.
        return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0)))
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        return 32 + int.from_bytes(head[12:16], "little")
    return 128 if head[:3] == b"TAG" else 0


def _info_at(head):
    """Returns where in the first bytes of a frame it begins to tell how many follow, or 0."""
    return max(0, *(head[:44].find(name) for name in _INFO))


def _read_info(info, kind):
    """Returns how many frames follow (0 if that is not told) and how many samples of silence the encoder added."""
    if info[:4] == b"VBRI":
        return int.from_bytes(info[14:18], "big"), 0
    flags, place, count = info[7] if len(info) > 7 else 0, 8, 0
    if flags & 1:
        count = int.from_bytes(info[place : place + 4], "big")
    place += 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
    if info[place : place + 4] not in (b"LAME", b"Lavf", b"Lavc"):
        return count, 0
    both = int.from_bytes(info[place + 21 : place + 24], "big")
    return count, min((both >> 12) + (both & 0xFFF), count * kind.samples)
