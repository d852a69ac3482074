"""A cache of decoded recordings: raw float32 PCM files that are read by offset.

Decoding and resampling are done once. An entry is two files, named by a digest of everything that decides its
content (path, size and modification time of the recording, rate, channels, decoder): the samples, and a JSON
text that is written last, so an entry without it is not there. Entries are never changed, so a training keeps
its data while recordings change.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import warnings

import numpy as np
import scipy.io.wavfile

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files
from wavegan_asmr.sound.cache_folder import FACTS, SAMPLES
from wavegan_asmr.sound.contents import find_streams
from wavegan_asmr.sound.files import AudioError
from wavegan_asmr.sound.levels import LevelMeter, Levels

# scipy warns of chunks that are not samples, such as names and dates; float files always have one.
warnings.filterwarnings("ignore", category=scipy.io.wavfile.WavFileWarning)

_FORMAT = 2
"""Raised when the same recording would give other samples or facts, so that old entries are left alone."""


class CacheError(Exception):
    """The cache cannot be written; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class Pcm:
    """A decoded recording.

    Attributes:
        path: String, the file of interleaved little-endian float32 samples.
        frames: Integer, samples a channel.
        channels: Integer.
        source_rate_hz: Integer, of the recording.
        source_channels: Integer, of the recording.
        digest: String, SHA-256 of the bytes of the recording's file.
        levels: `Levels`.
        notes: Tuple of strings, what of the recording is not used, such as "only 3.0 of 6.0 s".
    """

    path: str
    frames: int
    channels: int
    source_rate_hz: int
    source_channels: int
    digest: str
    levels: Levels
    notes: tuple[str, ...]

    @property
    def peak(self):
        """Float, the largest absolute sample."""
        return self.levels.peak

    def mark_used(self):
        """Notes that it is still used, for `cache_folder.prune`."""
        # Where the cache belongs to another user, that is not ours to say.
        with contextlib.suppress(OSError):
            os.utime(self.path.removesuffix(SAMPLES) + FACTS)

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
        self._real_folder = functools.cache(os.path.realpath)

    def get(self, path):
        """Returns the `Pcm` of a recording, or None where it has to be decoded first.

        Raises:
            OSError: The recording is not there or may not be read.
        """
        entry = self._entry(path)
        try:
            pcm = storage.read_json(entry + FACTS, Pcm, path=entry + SAMPLES)
            if os.path.getsize(pcm.path) != 4 * pcm.frames * pcm.channels:
                return None
        except (OSError, UserError):
            return None
        pcm.mark_used()
        return pcm

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
        notes, meter = [], LevelMeter(self.sample_rate_hz, self.channels)
        with _reading():
            entry, digest = self._entry(path), storage.digest_of(path)
        try:
            os.makedirs(os.path.dirname(entry), exist_ok=True)
            # Samples near the largest float32 overflow when they are mixed.
            with storage.replacing(entry + SAMPLES) as file, np.errstate(over="ignore", invalid="ignore"):
                for block in self._decode(path, info, advance, notes, meter):
                    meter.add(block)
                    file.write(np.ascontiguousarray(block, "<f4"))
                if not meter.frames:
                    raise AudioError("holds no samples")
                with _reading():
                    if self._entry(path) != entry:
                        raise AudioError("changed while it was being read")
                levels = meter.read()
                if not math.isfinite(levels.rms):
                    raise AudioError("holds samples that are too large")
            pcm = Pcm(
                path=entry + SAMPLES,
                frames=meter.frames,
                channels=self.channels,
                source_rate_hz=info.sample_rate_hz,
                source_channels=info.channels,
                digest=digest,
                levels=levels,
                notes=tuple(notes),
            )
            facts = dataclasses.asdict(pcm)
            del facts["path"]
            storage.write_text(entry + FACTS, json.dumps(facts))
        except OSError as error:
            raise CacheError(words.reason(error)) from error
        return pcm

    def _entry(self, path):
        path, status = self._real_path(os.fspath(path)), os.stat(path)
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

    def _real_path(self, path):
        folder, name = os.path.split(path)
        # Asks for each folder once: of thousands of files this is most of the time.
        return os.path.realpath(path) if os.path.islink(path) else os.path.join(self._real_folder(folder), name)

    def _decode(self, path, info, advance, notes, meter):
        def blocks():
            with _reading():
                for block in self._read(path, notes):
                    advance(len(block))
                    meter.add_source(block)
                    yield block

        return files.convert(blocks(), info.sample_rate_hz, self.sample_rate_hz, self.channels)

    def _read(self, path, notes):
        if not self.fast_wav:
            return files.decode(path, notes)
        x = _read_fast_wav(path, self.sample_rate_hz)
        whole = sum(round((stream.whole_s or 0) * self.sample_rate_hz) for stream in find_streams(path))
        if len(x) < whole:
            notes.append(f"only {len(x)} of {whole} samples")
        return [x]


@contextlib.contextmanager
def _reading():
    """Context in which errors of the system are those of a recording, not of the cache."""
    try:
        yield
    except OSError as error:
        raise AudioError(words.reason(error)) from error


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
