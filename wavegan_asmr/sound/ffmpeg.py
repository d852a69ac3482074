"""Reading with FFmpeg, by way of PyAV: what libsndfile does not read, and what is damaged."""

import itertools

import numpy as np

from wavegan_asmr.sound.streams import AudioError, NotReadError, Reader, Section, check_rate, frames_at_once, told_s

_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,mlp,mov,mp3,mpc,"
    "mpc8,mpeg,mpegts,mxf,nut,ogg,oma,rm,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)
"""What may be opened: FFmpeg knows lists of other files too, and would follow them."""

_TELLING, _ROUNDING = frozenset("mov matroska wv tta ape caf asf".split()), frozenset(["caf", "asf"])
"""Containers that tell how long they are, and those of them that count whole packets; of others FFmpeg guesses."""

_MOST_FAILURES = 10_000
"""Packets in a row that cannot be decoded: what comes then is no sound either, and each takes its time."""

_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31, np.dtype(np.int64): 2.0**63}


class FfmpegReader(Reader):
    """A stream, read with FFmpeg; what is damaged in it is left out, and what does not fit its first frame.

    It never gives up: nobody reads more.

    Args:
        path: Path-like.
        stream: `streams.Stream`.
    """

    def __init__(self, path, stream):
        # Brings all of FFmpeg, which few recordings need.
        import av

        self._error = av.FFmpegError
        self._source = Section(path, stream.start, stream.stop)
        self._container = None
        try:
            # Tags may be in any encoding.
            self._container = av.open(
                self._source,
                format=stream.demuxer,
                metadata_errors="replace",
                options={"format_whitelist": _CONTAINERS},
            )
            self._open(stream)
        except av.FFmpegError as error:
            self.close()
            raise NotReadError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _open(self, stream):
        if not self._container.streams.audio:
            raise AudioError("holds no audio")
        sound = next((sound for sound in self._container.streams.audio if sound.codec_context), None)
        if sound is None:
            raise NotReadError("no decoder")
        self._decoded = self._decode(sound)
        self._first = next(self._decoded, None)
        if self._first is None:
            raise NotReadError("no samples")
        self.sample_rate_hz = check_rate(self._first.sample_rate)
        self.channels = self._first.layout.nb_channels
        seconds, names = self._seconds(sound), set(self._container.format.name.split(","))
        self.whole_s = stream.whole_s
        if self.whole_s is None and seconds and names & _TELLING:
            most_added = self._first.samples / self.sample_rate_hz if names & _ROUNDING else 0
            self.whole_s = told_s(seconds - most_added)
        expected_s = stream.whole_s or seconds
        self.frames = round(expected_s * self.sample_rate_hz) if expected_s else None

    def _seconds(self, sound):
        """Returns how many seconds of a stream the container tells of, or FFmpeg guesses; None where neither does."""
        if sound.frames and sound.codec_context.name.startswith("pcm_"):
            seconds = sound.frames / self.sample_rate_hz
        elif sound.duration:
            seconds = float(sound.duration * sound.time_base)
        else:
            # That of a film is the one of its pictures.
            seconds = (self._container.duration or 0) / 1e6 if len(self._container.streams) == 1 else 0
        return told_s(seconds)

    def close(self):
        """Closes the file."""
        if self._container is not None:
            self._container.close()
        self._source.close()

    def blocks(self):
        """Yields float32 arrays `[frames, channels]`."""
        held, count, at_once = [], 0, frames_at_once(self.channels)
        for frame in itertools.chain([self._first], self._decoded):
            if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate_hz, self.channels):
                self.lost_s += frame.samples / max(1, frame.sample_rate)
                continue
            held.append(_samples(frame, self.channels))
            count += len(held[-1])
            if count >= at_once:
                x = np.concatenate(held)
                yield from np.split(x, range(at_once, len(x), at_once))
                held, count = [], 0
        if held:
            yield np.concatenate(held)
        if self._source.error:
            raise self._source.error

    def _decode(self, sound):
        """Yields `av.AudioFrame`; packets that cannot be decoded are left out."""
        packets, failures = self._container.demux(sound), 0
        while failures < _MOST_FAILURES:
            try:
                packet = next(packets, None)
            except self._error:
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
                failures = 0
            except self._error:
                failures += 1
                self.lost_s += float((packet.duration or 0) * (packet.time_base or 0))


def _samples(frame, channels):
    """Returns the samples of an `av.AudioFrame`: float32 `[frames, channels]`."""
    x = frame.to_ndarray()
    x = x.T if frame.format.is_planar else x.reshape(-1, channels)
    if x.dtype == np.uint8:
        return (x.astype(np.float32) - 128) / 128
    if x.dtype in _FULL_SCALE:
        return x.astype(np.float32) * np.float32(1 / _FULL_SCALE[x.dtype])
    return x.astype(np.float32)
