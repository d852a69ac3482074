"""Encoders: what other programs decode is what was written, to the frame; what fails is told."""

import errno
import io
import os
import signal
import struct

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import sounds
from players import level_db, loop_of_noise, play

from wavegan_asmr.rendering import encoders
from wavegan_asmr.rendering.encoding import Output
from wavegan_asmr.rendering.formats import FORMATS
from wavegan_asmr.rendering.tags import Tags

LOSSY = [ending for ending, each in FORMATS.items() if not each.is_pcm]
LOWEST_SNR_DB = 10
"""Of a decoded noise; where samples are shifted by one it is below 5."""


def write(path, x, rate_hz, blocks=1 << 17, bits=16):
    """Writes samples as `generate` does; returns the `Output`."""
    output = Output(str(path), rate_hz, x.shape[1], bits, len(x), tags=Tags("ASMR", "WaveGAN", "seed=0"))
    with output.open() as write_samples:
        for number, first in enumerate(range(0, len(x), blocks)):
            write_samples(output.encode(number, x[first : first + blocks]))
    return output


def snr_db(x, decoded):
    return level_db(x) - level_db(x - decoded)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("rate_hz", "channels", "frames"), [(16000, 1, 48001), (48000, 2, 48 * 1024), (8000, 2, 8191), (44100, 1, 44099)]
)
def test_ffmpeg_decodes_the_frames_that_were_written(tmp_path, ending, rate_hz, channels, frames):
    if ending == ".opus" and rate_hz == 44100:
        pytest.skip("no rate of Opus")
    x = loop_of_noise(frames, rate_hz, channels)
    path = tmp_path / f"a{ending}"
    output = write(path, x, rate_hz)
    for decoded in (play(path, rate_hz, channels), np.concatenate(list(output.decode(str(path))))):
        assert decoded.shape == x.shape
        assert snr_db(x, decoded) > (LOWEST_SNR_DB if ending in LOSSY else 70)


@pytest.mark.parametrize("rate_hz", FORMATS[".m4a"].rates_hz)
def test_every_rate_of_m4a(tmp_path, rate_hz):
    x = loop_of_noise(rate_hz // 2 + 1, rate_hz, 1)
    write(tmp_path / "a.m4a", x, rate_hz)
    decoded = play(tmp_path / "a.m4a", rate_hz, 1)
    assert decoded.shape == x.shape and snr_db(x, decoded) > LOWEST_SNR_DB


def test_the_shortest_m4a(tmp_path):
    """In every place within a packet."""
    for frames in (1024, 1025, 1500, 2047, 2048):
        x = loop_of_noise(frames, 16000, 1)
        write(tmp_path / "a.m4a", x, 16000)
        assert play(tmp_path / "a.m4a", 16000, 1).shape == x.shape


@pytest.mark.parametrize("ending", FORMATS)
def test_the_same_samples_are_the_same_bytes(tmp_path, ending):
    x = loop_of_noise(40000, 16000, 2)
    for name, blocks in (("a", 1 << 14), ("b", 1 << 14), ("blocks", 1 << 13)):
        write(tmp_path / f"{name}{ending}", x, 16000, blocks)
    files = {name: (tmp_path / f"{name}{ending}").read_bytes() for name in ("a", "b", "blocks")}
    assert files["a"] == files["b"]
    if ending == ".m4a":
        # Dither is drawn by block.
        assert files["a"] == files["blocks"]


def test_what_a_codec_does_is_measured_at_any_rate():
    """In seconds of samples at once, which Vorbis would put on the stack."""
    rate_hz = FORMATS[".ogg"].most_rate_hz
    x = np.random.default_rng(0).normal(0, 0.1, [20 * rate_hz, 1]).astype(np.float32)
    decoded = Output("a.ogg", rate_hz, 1, frames=len(x)).round_trip(x)
    assert decoded.shape == x.shape and snr_db(x, decoded) > 5


# At all places within a packet.
@pytest.mark.parametrize("more", [0, 1, 100, 700, 1023])
def test_where_an_m4a_begins(tmp_path, more):
    """By its edit list, which players follow that decode more than ffmpeg; the beginning is no worse than the rest."""
    x = loop_of_noise(32 * 1024 + more, 16000, 1)
    output = write(tmp_path / "a.m4a", x, 16000)
    data = (tmp_path / "a.m4a").read_bytes()
    _, entries, frames, delay = struct.unpack(">4I", data[data.index(b"elst") + 4 :][:16])
    assert (entries, frames) == (1, len(x))
    packets = data[data.index(b"stsz") + 12 :]
    assert struct.unpack(">I", packets[:4])[0] * 1024 == delay + len(x)
    assert struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0] == 16000
    decoded = np.concatenate(list(output.decode(str(tmp_path / "a.m4a"))))
    assert snr_db(x[:512], decoded[:512]) > snr_db(x, decoded)
    assert b"Lav" not in data


def test_m4a_sounds_like_the_recording(tmp_path):
    """Loudness, octave bands and the stereo image, also of what is wider than any codec likes."""
    rate_hz = 44100
    fire = np.stack([sounds.fire(8, rate_hz, seed) for seed in range(2)], axis=1)
    white = np.random.default_rng(0).normal(0, 0.05, fire.shape).astype(np.float32)
    for x, lowest_snr_db in ((fire, 15), (white, 10)):
        output = write(tmp_path / "a.m4a", x, rate_hz)
        decoded = np.concatenate(list(output.decode(str(tmp_path / "a.m4a"))))
        assert snr_db(x, decoded) > lowest_snr_db
        meter = pyloudnorm.Meter(rate_hz)
        # `generate` makes up for it, see levelling.measure_codec.
        assert meter.integrated_loudness(decoded) == pytest.approx(meter.integrated_loudness(x), abs=0.4)
        frequencies, powers = scipy.signal.welch(np.stack([x[:, 0], decoded[:, 0]]), rate_hz, nperseg=4096)
        for low in 63 * 2.0 ** np.arange(8):
            band = (frequencies >= low) & (frequencies < 2 * low)
            assert abs(np.diff(10 * np.log10(powers[:, band].mean(axis=1)))[0]) < 1.5, low
        images = [np.corrcoef(each.T)[0, 1] for each in (x, decoded)]
        assert images[0] == pytest.approx(images[1], abs=0.03)
    # Less than half of what 16 bits take.
    size = os.path.getsize(tmp_path / "a.m4a")
    assert size < 8 * output.bytes / 8 < white.size * 2


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", "$_$ 'q\"", "夜"])
@pytest.mark.parametrize("ending", FORMATS)
def test_names(tmp_path, name, ending):
    x = loop_of_noise(8000, 16000, 1)
    path = os.path.join(tmp_path, f"{name}{ending}")
    output = write(path, x, 16000)
    assert sum(map(len, output.decode(path))) == 8000
    assert os.listdir(os.fsencode(tmp_path)) == [os.fsencode(f"{name}{ending}")]


# What fails.


class Full(io.BytesIO):
    """A file on a disk with room for some bytes."""

    def __init__(self, room):
        super().__init__()
        self._room = room

    def write(self, data):
        if self.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def encode(ending, file, x, rate_hz=16000):
    kind = FORMATS[ending]
    form = (kind.container, kind.codec or "PCM_16", rate_hz, x.shape[1], len(x), Tags("t", "a", "c"))
    with encoders.encode(kind.library, file, *form, **kind.encoder) as write_samples:
        for first in range(0, len(x), 1 << 14):
            write_samples(x[first : first + (1 << 14)])


@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk(capfd, ending):
    """Wherever it happens, in the last byte too, which libsndfile itself overlooks."""
    x = loop_of_noise(80000, 16000, 1)
    whole = io.BytesIO()
    encode(ending, whole, x)
    size = len(whole.getvalue())
    for room in (10, size // 2, size - 300, size - 1):
        with pytest.raises(OSError, match="No space left") as raised:
            encode(ending, Full(room), x)
        assert raised.value.errno == errno.ENOSPC, room
    fits = Full(size)
    encode(ending, fits, x)
    assert len(fits.getvalue()) == size
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", FORMATS)
def test_ctrl_c_while_a_file_is_written(capfd, ending):
    """Is not lost in the library, and leaves the file whole."""

    class Interrupting(io.BytesIO):
        is_interrupted = False

        def write(self, data):
            if self.tell() > 10000 and not self.is_interrupted:
                self.is_interrupted = True
                signal.raise_signal(signal.SIGINT)
            return super().write(data)

    x, file = loop_of_noise(80000, 16000, 1), Interrupting()
    with pytest.raises(KeyboardInterrupt):
        encode(ending, file, x)
    assert file.is_interrupted
    decoded = encoders.decode(FORMATS[ending].library, io.BytesIO(file.getvalue()))
    assert sum(map(len, decoded)) >= 1 << 14
    assert capfd.readouterr().err == ""
