"""Drums of five kinds, one-shots with a label each, for `benchmarks.quality --sets drums`.

    apt-get install hydrogen-drumkits
    python -m benchmarks.drums recordings/drums
    python -m benchmarks.drums recordings/drums-stereo 44100 2

Hits of the kits that the drum machine Hydrogen comes with, as KIND_NUMBER.wav, cut to the first 0.75 s: kick, snare,
hihat, tom and cymbal, by the names that the kits give their instruments. Their licences are in
/usr/share/doc/hydrogen-drumkits/copyright.
"""

import os
import re
import sys
import xml.etree.ElementTree

import numpy as np
import soundfile
import soxr

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

KITS = "/usr/share/hydrogen/data/drumkits"
RATE_HZ, CHANNELS = 16000, 1
SECONDS = 0.75
KINDS = {
    "kick": r"kick|bass ?drum|^bd\b",
    "snare": r"snare|^sd\b",
    "hihat": r"hi-?hat|hat\b|^hh\b",
    "tom": r"tom\b|tom ?\d|^t\d\b",
    "cymbal": r"crash|ride|splash|china|cymbal",
}
"""Kind -> pattern of the names of instruments; one that more than one finds is none."""


def main(arguments):
    """Writes the recordings; returns the exit code."""
    try:
        folder, rest = arguments[:1], arguments[1:]
        if not folder or not (rest == [] or (len(rest) == 2 and rest[0].isdecimal() and rest[1] in ("1", "2"))):
            raise UserError(
                f"needed: python -m benchmarks.drums FOLDER [HZ CHANNELS]. Received: {' '.join(arguments)!r}."
            )
        counts = cut(folder[0], *map(int, rest))
    except UserError as error:
        print(f"drums: {error}", file=sys.stderr)
        return 2
    print(f"{words.printable(arguments[0])}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
    return 0


def cut(folder, rate_hz=RATE_HZ, channels=CHANNELS):
    """Cuts the hits.

    Args:
        folder: Path-like; it is made.
        rate_hz: Integer.
        channels: Integer, 1 or 2.

    Returns:
        Dict of kind to how many there are.

    Raises:
        UserError: There are no kits, or a file cannot be read or written.
    """
    if not os.path.isdir(KITS):
        raise UserError(f"no kits in {KITS}. Install them with: apt-get install hydrogen-drumkits")
    counts = dict.fromkeys(KINDS, 0)
    try:
        os.makedirs(folder, exist_ok=True)
        for kind, path in sorted(_hits()):
            x, own_hz = soundfile.read(path, dtype="float32", always_2d=True)
            x = x.mean(axis=1) if channels == 1 else np.broadcast_to(x, [len(x), 2])
            x = soxr.resample(x, own_hz, rate_hz)[: round(SECONDS * rate_hz)]
            peak = np.abs(x).max(initial=0)
            if not peak:
                continue
            soundfile.write(os.path.join(folder, f"{kind}_{counts[kind]:03d}.wav"), 0.5 / peak * x, rate_hz)
            counts[kind] += 1
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{words.reason(error)}. Received: {folder!r}.") from error
    return counts


def _hits():
    """Pairs of a kind and the path of a hit, a set."""
    found = set()
    for kit in os.listdir(KITS):
        tree = xml.etree.ElementTree.parse(os.path.join(KITS, kit, "drumkit.xml"))
        for instrument in _children(tree.getroot(), "instrument"):
            name = next((each.text or "" for each in _children(instrument, "name")), "")
            kinds = [kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE)]
            if len(kinds) == 1:
                paths = (os.path.join(KITS, kit, each.text) for each in _children(instrument, "filename") if each.text)
                found |= {(kinds[0], path) for path in paths if os.path.exists(path)}
    return found


def _children(element, name):
    """Elements of a name below another, whatever namespace they are in."""
    return [each for each in element.iter() if each.tag.rpartition("}")[2] == name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
