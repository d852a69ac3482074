"""Sets of sound files for the benchmark of the loader."""

import os

import numpy as np
import soundfile

SOURCE_RATE_HZ = 44100

SETS = {"long-ogg": (".ogg", None), "short-wav": (".wav", 3.0), "mp3": (".mp3", 120.0)}
"""Name of a set -> ending of its files, and their seconds, None for all of it in one."""

_WRITTEN_FRAMES = 1 << 18


def write_set(folder, source, seconds, extension, file_s):
    """Writes a sound, repeated, into one file or several.

    Args:
        folder: Path-like, made.
        source: float32 `[frames, 2]` at 44.1 kHz.
        seconds: Float, in all.
        extension: String, of the files.
        file_s: Float, seconds of a file, or None for one file.

    Returns:
        `folder`.
    """
    os.makedirs(folder)
    file_s = min(file_s or seconds, seconds)
    for number in range(round(seconds / file_s)):
        path = os.path.join(folder, f"{number:05d}{extension}")
        start, frames = int(number * file_s * SOURCE_RATE_HZ), int(file_s * SOURCE_RATE_HZ)
        # libsndfile's Vorbis encoder needs stack for all that is written at once.
        with soundfile.SoundFile(path, "w", SOURCE_RATE_HZ, 2) as file:
            for first in range(start, start + frames, _WRITTEN_FRAMES):
                places = np.arange(first, min(first + _WRITTEN_FRAMES, start + frames))
                file.write(source[places % len(source)])
    return folder
