"""The 16-bit WAV files that this project writes, and reads back."""

import os
import wave

import numpy as np

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files

_MOST_CLIP_FRAMES = 1 << 30
"""More frames than clips are written of: a header that lies would take all memory."""

_MOST_BYTES = 2**32 - 2**16
"""Of samples, whose size has 32 bits in the header."""


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

    Raises:
        OSError: It cannot be written.
        UserError: It is too long for a WAV file.
    """
    samples = to_int16(x)
    if samples.nbytes > _MOST_BYTES:
        raise UserError(
            f"a WAV file ends at 4 GB; take fewer clips. Received: {samples.nbytes / 1e9:.1f} GB for "
            f"{os.fspath(path)!r}."
        )
    with storage.replacing(path) as file, wave.open(file, "wb") as sound:
        sound.setparams((samples.shape[1], samples.itemsize, sample_rate_hz, len(samples), "NONE", None))
        sound.writeframes(samples)


def write_clips(path, clips, sample_rate_hz):
    """Writes clips one after the other into a 16-bit WAV file, half a second of silence between them.

    Args:
        path: Path-like.
        clips: float32 array `[n, samples, channels]` in [-1, 1].
        sample_rate_hz: Integer.
    """
    write_wav(path, in_a_row(clips, sample_rate_hz), sample_rate_hz)


def in_a_row(clips, sample_rate_hz):
    """Returns clips `[n, samples, channels]` with half a second of silence between them, `[frames, channels]`."""
    pause = np.zeros([len(clips), sample_rate_hz // 2, clips.shape[2]], np.float32)
    samples = np.concatenate([clips, pause], axis=1).reshape(-1, clips.shape[2])
    return samples[: len(samples) - sample_rate_hz // 2]


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
