"""A cache of decoded recordings: raw float32 PCM files that are read by offset.

Decoding and resampling are done once. An entry is two files, named by a digest of everything that decides its
content (path, size and modification time of the recording, rate, channels, decoder): the samples, and a JSON
text that is written last, so an entry without it is not there. Entries are never changed, so a training keeps
its data while recordings change.
"""

import dataclasses
import hashlib
import json
import os
import warnings

import numpy as np
import scipy.io.wavfile

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files
from wavegan_asmr.sound.files import AudioError

# scipy warns of chunks that are not samples, such as names and dates; float files always have one.
warnings.filterwarnings("ignore", category=scipy.io.wavfile.WavFileWarning)

_FORMAT = 1
"""Raised when the same recording would give other samples, so that old entries are left alone."""


class CacheError(Exception):
    """The cache cannot be written; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class Pcm:
    """A decoded recording.

    Attributes:
        path: String, the file of interleaved little-endian float32 samples.
        frames: Integer, samples a channel.
        channels: Integer.
        peak: Float, the largest absolute sample.
        source_rate_hz: Integer, of the recording.
        source_channels: Integer, of the recording.
    """

    path: str
    frames: int
    channels: int
    peak: float
    source_rate_hz: int
    source_channels: int

    def read_into(self, array, offset):
        """Reads samples; what lies behind the end is zero.

        Args:
            array: float32 array `[frames, channels]`, contiguous, that is filled.
            offset: Integer, the first frame, >= 0.

        Raises:
            OSError: The cache's file is gone or shorter than it was.
        """
        wanted = max(0, min(len(array), self.frames - offset))
        array[wanted:] = 0
        frame_bytes = 4 * self.channels
        handle = os.open(self.path, os.O_RDONLY)
        try:
            done = os.preadv(handle, [array[:wanted]], offset * frame_bytes) if wanted else 0
        finally:
            os.close(handle)
        if done != wanted * frame_bytes:
            raise OSError(f"{self.path} is shorter than it was")


class PcmCache:
    """Decoded recordings at one rate and number of channels.

    Args:
        folder: Path-like, made if it is not there.
        sample_rate_hz: Integer.
        channels: Integer.
        fast_wav: Boolean, decode with scipy, which reads WAV files at `sample_rate_hz` only.
    """

    def __init__(self, folder, sample_rate_hz, channels, fast_wav=False):
        self.folder = os.fspath(folder)
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.fast_wav = fast_wav

    def get(self, path):
        """Returns the `Pcm` of a recording, or None where it has to be decoded first.

        Raises:
            OSError: The recording is not there or may not be read.
        """
        entry = self._entry(path)
        try:
            pcm = storage.read_json(entry + ".json", Pcm, path=entry + ".f32")
            whole = os.path.getsize(pcm.path) == 4 * pcm.frames * pcm.channels
        except (OSError, UserError):
            return None
        return pcm if whole else None

    def put(self, path, info, advance=lambda frames: None):
        """Decodes a recording into the cache.

        Args:
            path: Path-like.
            info: `files.AudioInfo` of it.
            advance: Function, called with the source frames decoded since the last call.

        Returns:
            `Pcm`.

        Raises:
            AudioError: The recording cannot be used.
            CacheError: The cache cannot be written.
        """
        entry = self._entry(path)
        try:
            os.makedirs(os.path.dirname(entry), exist_ok=True)
            with storage.replacing(entry + ".f32") as file:
                frames, peak = _write(file, self._decode(path, info, advance))
                if self._entry(path) != entry:
                    raise AudioError("changed while it was being read")
                file.flush()
            facts = {
                "frames": frames,
                "channels": self.channels,
                "peak": peak,
                "source_rate_hz": info.sample_rate_hz,
                "source_channels": info.channels,
            }
            with storage.replace_atomically(entry + ".json") as temporary, open(temporary, "w") as file:
                json.dump(facts, file)
                file.flush()
        except OSError as error:
            raise CacheError(error.strerror or str(error)) from error
        return Pcm(path=entry + ".f32", **facts)

    def _entry(self, path):
        path = os.path.realpath(path)
        status = os.stat(path)
        decides = [
            _FORMAT,
            path,
            status.st_size,
            status.st_mtime_ns,
            self.sample_rate_hz,
            self.channels,
            self.fast_wav,
        ]
        digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
        return os.path.join(self.folder, digest[:2], digest)

    def _decode(self, path, info, advance):
        def blocks():
            try:
                for block in [_read_fast_wav(path, self.sample_rate_hz)] if self.fast_wav else files.decode(path):
                    advance(len(block))
                    yield block
            except OSError as error:
                raise AudioError(error.strerror or str(error)) from error

        return files.convert(blocks(), info.sample_rate_hz, self.sample_rate_hz, self.channels)


def _write(file, blocks):
    """Writes blocks of samples; returns how many frames, and the largest absolute sample."""
    frames, peak = 0, 0.0
    for block in blocks:
        frames += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0)))
        file.write(np.ascontiguousarray(block, "<f4"))
    if not frames:
        raise AudioError("holds no samples")
    return frames, peak


def _read_fast_wav(path, sample_rate_hz):
    """Reads a whole WAV file with scipy: float32 `[frames, channels]`."""
    try:
        rate_hz, x = scipy.io.wavfile.read(path)
    except ValueError as error:
        raise AudioError(f"--data_fast_wav cannot read it ({error})") from error
    if rate_hz != sample_rate_hz:
        raise AudioError(f"--data_fast_wav does not resample {rate_hz} Hz to {sample_rate_hz} Hz")
    if x.dtype == np.uint8:
        x = (x.astype(np.float32) - 128) / 128
    elif np.issubdtype(x.dtype, np.integer):
        x = x.astype(np.float32) / -float(np.iinfo(x.dtype).min)
    return files.check_finite(x.astype(np.float32).reshape(len(x), -1))
