"""The sample rate and the channels that most of some recordings have, by their headers alone."""

from wavegan_asmr.sound import files

_HIGHEST_HZ = 44100
"""Holds all that is heard: a higher one only costs as many more samples."""

_UNKNOWN_S = 60.0
"""What a recording counts whose length its header does not tell."""


def find_layout(paths, advance=lambda count: None):
    """Finds the rate and the channels that suit recordings.

    Args:
        paths: List of path-likes, files of which those that cannot be read do not count.
        advance: Function, called with the number of files read since the last call.

    Returns:
        Integers, or None twice where no recording can be read: the highest sample rate that recordings of at least half
        of the seconds have, at most 44100 Hz; and 2 where those of at least half of the seconds have two channels, else
        1.
    """
    found = []
    for path in paths:
        advance(1)
        try:
            info = files.probe(path)
        except (files.AudioError, OSError):
            # Why it cannot be used is told where it would be decoded.
            continue
        seconds = _UNKNOWN_S if info.frames is None else info.frames / info.sample_rate_hz
        found.append((info.sample_rate_hz, info.channels, seconds))
    if not found:
        return None, None
    half = sum(seconds for *_, seconds in found) / 2
    rates = {rate for rate, *_ in found}
    rate = max(each for each in rates if sum(s for rate, _, s in found if rate >= each) >= half)
    is_stereo = sum(s for _, channels, s in found if channels == 2) >= half
    return min(rate, _HIGHEST_HZ), 2 if is_stereo else 1
