"""The 16-bit WAV files that this project writes, and reads back."""

import contextlib
import os

import numpy as np
import soundfile

from wavegan_asmr.sound import files
from wavegan_asmr.storage import replace_atomically

_MOST_CLIP_FRAMES = 1 << 30
"""More frames than clips are written of: a header that lies would take all memory."""


def to_int16(x):
    """Converts float samples to 16 bit as the reference does: x * 32767, truncated, clipped.

    Args:
        x: float array of any shape, nominally in [-1, 1].

    Returns:
        int16 array of the same shape.
    """
    return np.clip(np.asarray(x) * 32767.0, -32767, 32767).astype(np.int16)


def write_wav(path, x, sample_rate_hz):
    """Writes a 16-bit WAV file, whole or not at all.

    Args:
        path: Path-like.
        x: float32 array `[frames, channels]` in [-1, 1].
        sample_rate_hz: Integer.
    """
    with replace_atomically(path) as temporary, sndfile_writing():
        soundfile.write(temporary, to_int16(x), sample_rate_hz, "PCM_16", format="WAV")


@contextlib.contextmanager
def sndfile_writing():
    """Context in which a failure of libsndfile to write is an OSError, as of any other writing."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise OSError(error.code, error.error_string.rstrip(".")) from error


def write_clips(path, clips, sample_rate_hz):
    """Writes clips one after the other into a 16-bit WAV file, half a second of silence between them.

    Args:
        path: Path-like.
        clips: float32 array `[n, samples, channels]` in [-1, 1].
        sample_rate_hz: Integer.
    """
    pause = np.zeros([len(clips), sample_rate_hz // 2, clips.shape[2]], np.float32)
    samples = np.concatenate([clips, pause], axis=1).reshape(-1, clips.shape[2])
    write_wav(path, samples[: len(samples) - sample_rate_hz // 2], sample_rate_hz)


def read_clips(path, clip_len):
    """Reads back what `write_clips` wrote.

    Args:
        path: Path-like.
        clip_len: Integer, samples of a clip.

    Returns:
        float32 array `[n, clip_len, channels]`.

    Raises:
        AudioError: The file is not there, cannot be read, or holds something else.
    """
    if not os.path.exists(path):
        raise files.AudioError("no such file")
    with files.open_soundfile(os.fspath(path)) as file:
        if file.frames > _MOST_CLIP_FRAMES:
            raise files.AudioError(f"holds no clips of {clip_len} samples")
        x, pause_len = files.check_finite(file.read(dtype="float32", always_2d=True)), file.samplerate // 2
    n, rest = divmod(len(x) + pause_len, clip_len + pause_len)
    if n < 1 or rest:
        raise files.AudioError(f"holds no clips of {clip_len} samples")
    x = np.pad(x, [[0, pause_len], [0, 0]])
    return x.reshape(n, clip_len + pause_len, -1)[:, :clip_len]
