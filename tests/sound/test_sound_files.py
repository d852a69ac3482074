"""Audio files of other programs, damaged files, resampling and writing."""

import subprocess
import wave

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from wavegan_asmr.sound import files, wav
from wavegan_asmr.sound.files import AudioError

BASES_HZ = [220, 330, 550, 80, 770, 880]
"""Of each channel; the fourth is the bass channel of 5.1, which lossy formats low-pass."""

LAYOUTS = [(8000, 1), (22050, 2), (44100, 1), (44100, 2), (48000, 6), (96000, 2)]
"""Sample rates and channels."""

LOSSLESS = {
    "wav 8": ("wav", 2**-7, "-c:a pcm_u8", "-b 8 -e unsigned-integer"),
    "wav 16": ("wav", 2**-15, "-c:a pcm_s16le", "-b 16"),
    "wav 24": ("wav", 2**-23, "-c:a pcm_s24le", "-b 24"),
    "wav 32": ("wav", 2**-24, "-c:a pcm_s32le", "-b 32"),
    "wav float": ("wav", 2**-24, "-c:a pcm_f32le", "-b 32 -e floating-point"),
    "flac 16": ("flac", 2**-15, "-sample_fmt s16", "-b 16"),
    "flac 24": ("flac", 2**-23, "-sample_fmt s32", "-b 24"),
    "aiff 16": ("aiff", 2**-15, "", "-b 16"),
}
"""Extension, largest error of a sample, flags of ffmpeg, flags of sox."""

LOSSY = {
    "vorbis": ("ogg", "-c:a libvorbis -q:a 5"),
    "opus": ("opus", "-c:a libopus"),
    "mp3": ("mp3", "-c:a libmp3lame"),
    "m4a": ("m4a", "-c:a aac -b:a 256k"),
}
"""Extension and flags of ffmpeg."""


def sines(sample_rate_hz, channels, seconds=0.5):
    """Two sines in each channel: float32 `[frames, channels]`."""
    time = np.arange(int(sample_rate_hz * seconds))[:, None] / sample_rate_hz * 2 * np.pi
    base = np.array(BASES_HZ[:channels])
    return (0.3 * np.sin(time * base) + 0.2 * np.sin(time * base * 1.5 + 1)).astype(np.float32)


def encode(program, path, x, sample_rate_hz, flags="", pipe_format=""):
    """Has another program write a file, through a pipe where `pipe_format` is given."""
    rate, channels = str(sample_rate_hz), str(x.shape[1])
    if program == "ffmpeg":
        source = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", rate, "-ac", channels, "-i", "-", *flags.split()]
        target = ["-f", pipe_format, "-"] if pipe_format else ["-y", str(path)]
    else:
        source = ["sox", "-D", "-t", "f32", "-r", rate, "-c", channels, "-", *flags.split()]
        target = ["-t", pipe_format, "-"] if pipe_format else [str(path)]
    process = subprocess.run(source + target, input=x.tobytes(), stdout=subprocess.PIPE, check=True)
    if pipe_format:
        path.write_bytes(process.stdout)


def read(path):
    """Probes and decodes as the loader does, a whole file: `AudioInfo` and float32 `[frames, channels]`."""
    info = files.probe(path)
    notes = []
    blocks = list(files.decode(path, notes))
    assert notes == []
    assert all(block.dtype == np.float32 and block.ndim == 2 for block in blocks)
    return info, np.concatenate(blocks)


def aligned_correlation(x, y):
    """Largest correlation of two signals over small shifts: decoders skip the delay of the encoder."""
    n = min(len(x), len(y)) - 32
    return max(np.corrcoef(x[16 : 16 + n], y[shift : shift + n])[0, 1] for shift in range(33))


@pytest.mark.parametrize("program", ["ffmpeg", "sox"])
@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize(("sample_rate_hz", "channels"), LAYOUTS)
def test_lossless_file_of_another_program(tmp_path, program, name, sample_rate_hz, channels):
    extension, error, *flags = LOSSLESS[name]
    x = sines(sample_rate_hz, channels)
    encode(program, tmp_path / f"x.{extension}", x, sample_rate_hz, flags[program == "sox"])
    info, y = read(tmp_path / f"x.{extension}")
    assert info == files.AudioInfo(sample_rate_hz, channels, len(x))
    np.testing.assert_allclose(y, x, rtol=0, atol=error)


@pytest.mark.parametrize(
    ("name", "sample_rate_hz", "channels"),
    # MP3 has two channels at most.
    [(name, *layout) for name in LOSSY for layout in LAYOUTS if not (name == "mp3" and layout[1] > 2)],
)
def test_lossy_file_of_another_program(tmp_path, name, sample_rate_hz, channels):
    """Vorbis and Opus order six channels in their own way, so each is compared with its best match."""
    extension, flags = LOSSY[name]
    encode("ffmpeg", tmp_path / f"x.{extension}", sines(sample_rate_hz, channels), sample_rate_hz, flags)
    info, y = read(tmp_path / f"x.{extension}")
    coded = {"opus": {22050: 24000, 44100: 48000, 96000: 48000}, "mp3": {96000: 48000}}
    rate_hz = coded.get(name, {}).get(sample_rate_hz, sample_rate_hz)
    x = sines(rate_hz, channels)
    assert info == files.AudioInfo(rate_hz, channels, len(x))
    # AAC ends with a whole block of 1024 samples.
    assert 0 <= len(y) - len(x) < (1024 if name == "m4a" else 1)
    likeness = np.array([[aligned_correlation(x[:, i], y[:, j]) for j in range(channels)] for i in range(channels)])
    assert (likeness.max(axis=1) > 0.95).all()
    assert sorted(likeness.argmax(axis=1)) == list(range(channels))


def test_sox_writes_vorbis(tmp_path):
    x = sines(44100, 2)
    encode("sox", tmp_path / "x.ogg", x, 44100)
    info, y = read(tmp_path / "x.ogg")
    assert info == files.AudioInfo(44100, 2, len(x)) and len(y) == len(x)
    assert all(aligned_correlation(x[:, c], y[:, c]) > 0.95 for c in range(2))


def test_long_file_comes_in_blocks(tmp_path, noise):
    frames = 2 * files.BLOCK_FRAMES + 5
    soundfile.write(tmp_path / "x.wav", noise(frames / 8000, 8000), 8000, "FLOAT")
    blocks = list(files.decode(tmp_path / "x.wav"))
    assert [len(block) for block in blocks] == [files.BLOCK_FRAMES, files.BLOCK_FRAMES, 5]
    np.testing.assert_array_equal(np.concatenate(blocks), noise(frames / 8000, 8000))


@pytest.mark.parametrize(
    ("program", "pipe_format"),
    [("ffmpeg", "wav"), ("sox", "wav"), ("ffmpeg", "flac"), ("sox", "flac"), ("sox", "aiff")],
)
def test_file_written_to_a_pipe_is_whole(tmp_path, program, pipe_format):
    """The program could not go back to write the length into the header."""
    x = sines(44100, 2)
    encode(program, tmp_path / f"x.{pipe_format}", x, 44100, "-b 16" if program == "sox" else "", pipe_format)
    info, y = read(tmp_path / f"x.{pipe_format}")
    assert info == files.AudioInfo(44100, 2, None if pipe_format == "flac" else len(x))
    np.testing.assert_allclose(y, x, rtol=0, atol=2**-15)


@pytest.mark.parametrize("bit_rate", ["-b:a 128k", "-q:a 4"])
def test_mp3_without_a_length_is_whole(tmp_path, bit_rate):
    """Many MP3 files begin without the frame that tells the length, at constant and at variable bit rate."""
    x = sines(44100, 2, seconds=3)
    encode("ffmpeg", tmp_path / "x.mp3", x, 44100, f"-c:a libmp3lame -write_xing 0 {bit_rate}")
    _, y = read(tmp_path / "x.mp3")
    assert len(x) <= len(y) <= len(x) + 3 * 1152
    # Without that frame no decoder knows the encoder's delay, 1105 samples here.
    assert all(aligned_correlation(x[:, c], y[1105 - 16 :, c]) > 0.95 for c in range(2))


@pytest.mark.parametrize("extension", sorted(files.EXTENSIONS))
@pytest.mark.parametrize("content", [b"", b"Dear diary, today I recorded nothing.\n" * 100], ids=["empty", "text"])
def test_file_that_is_no_audio(tmp_path, extension, content):
    (tmp_path / f"x{extension}").write_bytes(content)
    with pytest.raises(AudioError, match="not readable as audio: it is text" if content else "empty file"):
        files.probe(tmp_path / f"x{extension}")


def test_wav_without_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros([0, 1]), 8000)
    with pytest.raises(AudioError, match="no samples"):
        files.probe(tmp_path / "x.wav")


def test_film_without_sound(tmp_path):
    film = "ffmpeg -v error -f lavfi -i color=size=16x16:duration=0.2 -c:v mpeg4".split()
    subprocess.run([*film, tmp_path / "x.mp4"], check=True)
    with pytest.raises(AudioError, match="holds no audio"):
        files.probe(tmp_path / "x.mp4")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path, value):
    x = sines(8000, 1)
    x[1234] = value
    soundfile.write(tmp_path / "x.wav", x, 8000, "FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        list(files.decode(tmp_path / "x.wav"))


@settings(max_examples=60, deadline=None)
@given(
    rates=st.tuples(*[st.sampled_from([8000, 11025, 16000, 44100, 48000])] * 2),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
    mixing=st.sampled_from([(1, 1), (2, 2), (2, 1), (6, 1), (1, 2)]),
)
def test_conversion_is_independent_of_blocks(rates, cuts, mixing):
    """It equals the mix, resampled at once."""
    x = np.random.default_rng(0).uniform(-1, 1, [3000, mixing[0]]).astype(np.float32)
    y = np.concatenate(list(files.convert(np.split(x, sorted(cuts)), *rates, mixing[1])))
    mixed = x if mixing[0] == mixing[1] else np.repeat(x.mean(axis=1, keepdims=True), mixing[1], axis=1)
    np.testing.assert_allclose(y, soxr.resample(mixed, *rates), rtol=0, atol=1e-6)


def test_low_rate_does_not_become_a_huge_block():
    """A second of 1 kHz is 192,000 samples of 192 kHz."""
    x = np.sin(np.arange(20000) / 50).astype(np.float32)[:, None]
    blocks = list(files.convert([x], 1000, 192000, 2))
    assert max(map(len, blocks)) <= files.BLOCK_FRAMES
    np.testing.assert_array_equal(np.concatenate(blocks)[:, :1], soxr.resample(x, 1000, 192000))


def test_mixing_channels():
    x = np.array([[0.0, 0.3, 0.9], [-1.0, 1.0, 0.6]], np.float32)
    np.testing.assert_allclose(files.mix_channels(x, 1), [[0.4], [0.2]], atol=1e-7)
    np.testing.assert_array_equal(files.mix_channels(x[:, 1:2], 2), np.float32([[0.3, 0.3], [1, 1]]))
    np.testing.assert_array_equal(files.mix_channels(x, 3), x)


@pytest.mark.parametrize("new_rate_hz", [16000, 44100])
def test_six_channels_cannot_become_two(new_rate_hz):
    with pytest.raises(AudioError, match="6 channels, which cannot become 2"):
        list(files.convert([np.zeros([10, 6], np.float32)], 44100, new_rate_hz, 2))


@pytest.mark.parametrize("sample_rate_hz", [8000, 22050, 44100, 48000, 96000])
def test_sine_stays_a_sine(sample_rate_hz):
    """After resampling to 16 kHz, all but a millionth of the energy is at its frequency."""
    time = np.arange(2 * sample_rate_hz) / sample_rate_hz
    x = 0.5 * np.sin(2 * np.pi * 1000 * time)[:, None].astype(np.float32)
    (y,) = np.concatenate(list(files.convert([x], sample_rate_hz, 16000, 1))).T
    assert len(y) == 32000
    power = np.abs(np.fft.rfft(y[8000:24000] * np.hanning(16000))) ** 2
    assert power.argmax() == 1000
    assert power[995:1006].sum() > (1 - 1e-6) * power.sum()
    assert abs(y[8000:24000].std() - 0.5 / np.sqrt(2)) < 1e-4


def test_frequencies_above_the_new_range_are_removed():
    x = 0.5 * np.sin(2 * np.pi * 10000 * np.arange(44100) / 44100)[:, None].astype(np.float32)
    y = np.concatenate(list(files.convert([x], 44100, 16000, 1)))
    assert np.abs(y[2000:-2000]).max() < 1e-4


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=50))
def test_int16_is_scaled_truncated_and_clipped(values):
    expected = [max(-32767, min(32767, int(np.float32(value) * np.float32(32767)))) for value in values]
    x = wav.to_int16(np.array(values, np.float32))
    assert x.dtype == np.int16 and x.tolist() == expected


@pytest.mark.parametrize(("n", "clip_len", "channels"), [(1, 50, 1), (3, 1000, 2), (7, 30, 6)])
@pytest.mark.parametrize("sample_rate_hz", [8000, 11025])
def test_clips_round_trip(tmp_path, noise, n, clip_len, channels, sample_rate_hz):
    clips = noise(n * clip_len, 1, channels).reshape(n, clip_len, channels)
    wav.write_clips(tmp_path / "x.wav", clips, sample_rate_hz)
    read_back = wav.read_clips(tmp_path / "x.wav", clip_len)
    assert read_back.shape == clips.shape
    np.testing.assert_allclose(read_back, np.trunc(clips * np.float32(32767)) / 32768, atol=1e-7)
    info, pause = soundfile.info(tmp_path / "x.wav"), sample_rate_hz // 2
    assert (info.samplerate, info.channels, info.subtype) == (sample_rate_hz, channels, "PCM_16")
    assert info.frames == n * clip_len + (n - 1) * pause
    x, _ = soundfile.read(tmp_path / "x.wav")
    assert n == 1 or not x[clip_len : clip_len + pause].any()


def test_clips_of_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        wav.read_clips(tmp_path / "x.wav", 100)


def test_wav_that_cannot_be_written_whole(tmp_path, monkeypatch):
    wav.write_wav(tmp_path / "x.wav", sines(8000, 1), 8000)
    before = (tmp_path / "x.wav").read_bytes()
    monkeypatch.setattr(wave.Wave_write, "writeframes", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        wav.write_wav(tmp_path / "x.wav", sines(8000, 2), 8000)
    assert (tmp_path / "x.wav").read_bytes() == before and len(list(tmp_path.iterdir())) == 1
