"""Loop points of WAV files and serial numbers of Ogg files, read back by hand and by other programs."""

import dataclasses
import shutil
import struct
import subprocess
import wave

import fakes
import numpy as np
import pytest
import soundfile
from players import level_db, loop_of_noise, play

from wavegan_asmr.rendering import blocks, containers, formats, models
from wavegan_asmr.rendering.encoding import Output

RATE_HZ = 16000
LOOP = ["--minutes=0.05", "--candidates=1", "--fade_out_s=0.5", "--loop"]
FRAMES = 3 * RATE_HZ


def chunks(path):
    """Chunks of a WAV or RF64 file by the sizes that it names, dict of name to bytes, in their order."""
    data = path.read_bytes()
    kind, size, form = struct.unpack("<4sI4s", data[:12])
    large = struct.unpack("<QQ", data[20:36]) if kind == b"RF64" else None
    assert form == b"WAVE" and (large[0] if large else size) == len(data) - 8
    found, place = {}, 12
    while place < len(data):
        name, size = struct.unpack("<4sI", data[place : place + 8])
        size = large[1] if large and name == b"data" else size
        found[name] = data[place + 8 : place + 8 + size]
        assert len(found[name]) == size
        place += 8 + size + size % 2
    assert place == len(data)
    return found


def check_loop(path, frames, rate_hz):
    found = chunks(path)
    assert list(found)[-1] == b"smpl"
    _, _, period_ns, note, _, _, _, loops, more = struct.unpack("<9I", found[b"smpl"][:36])
    assert (period_ns, note, loops, more) == (round(1e9 / rate_hz), 60, 1, 0)
    _, kind, start, end, fraction, count = struct.unpack("<6I", found[b"smpl"][36:])
    # Forwards, for ever, the last frame belongs to it.
    assert (kind, start, end, fraction, count) == (0, 0, frames - 1, 0, 0)


@pytest.fixture
def generate(run_here, monkeypatch):
    """Function: generate.py with models that need no training."""
    fakes.install(monkeypatch)

    def run(*arguments):
        process = run_here("generate.py", "./noise", *arguments)
        assert process.returncode == 0, process.stderr

    def run_again(*arguments):
        assert run_here("generate.py", "--from", *arguments).returncode == 0

    run.again = run_again
    return run


def test_a_loop_names_its_ends(generate, tmp_path):
    path, again = tmp_path / "loop.wav", tmp_path / "again.wav"
    generate(*LOOP, "--bits=24", "--out", path)
    check_loop(path, FRAMES, RATE_HZ)
    # Other readers: libsndfile's view of the loop, the samples of Python's.
    assert "Start :     0  End : 47999" in soundfile.info(path, verbose=True).extra_info
    with wave.open(str(path)) as file:
        assert (file.getnframes(), file.getsampwidth(), file.getframerate()) == (FRAMES, 3, RATE_HZ)
    assert play(path, RATE_HZ, 1).shape == (FRAMES, 1)
    assert subprocess.run(["sox", path, "-n", "stat"], capture_output=True, check=True)
    generate.again(tmp_path / "loop.json", "--out", again)
    assert again.read_bytes() == path.read_bytes()


def test_what_is_no_loop_has_none(generate, tmp_path):
    generate(*LOOP[:-1], "--out", tmp_path / "line.wav")
    assert b"smpl" not in chunks(tmp_path / "line.wav")
    generate(*LOOP, "--out", tmp_path / "loop.wav")
    for number, times in enumerate((["--start=1"], ["--end=2"], ["--start=1", "--end=2"])):
        generate.again(tmp_path / "loop.json", *times, "--out", tmp_path / f"{number}.wav")
        assert b"smpl" not in chunks(tmp_path / f"{number}.wav")


def test_a_loop_that_was_stopped_has_none(generate, monkeypatch, tmp_path):
    master = blocks.master

    def interrupt(composition, limit, number):
        if number == 1:
            raise KeyboardInterrupt
        return master(composition, limit, number)

    monkeypatch.setattr(blocks, "master", interrupt)
    path = tmp_path / "loop.wav"
    generate(*LOOP, "--minutes=0.2", "--keep_partial", "--out", path)
    assert 0 < soundfile.info(path).frames < 12 * RATE_HZ
    assert b"smpl" not in chunks(path)


@pytest.mark.parametrize("ending", [".wav", ".opus", ".m4a"])
def test_a_file_that_was_stopped_before_its_first_block(run_here, monkeypatch, tmp_path, ending):
    """Is not kept: most formats have none without samples."""

    def interrupt(composition, limit, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "Generator", fakes.generators())
    monkeypatch.setattr(blocks, "master", interrupt)
    process = run_here("generate.py", "./noise", *LOOP, "--keep_partial", "--out", tmp_path / f"loop{ending}")
    assert process.stderr.endswith("stopped\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most_bytes", [1000, 10**9], ids=["RF64", "WAV"])
# Chunks begin at even places.
@pytest.mark.parametrize("frames", [8000, 8001])
@pytest.mark.parametrize(("bits", "channels"), [(16, 2), (24, 1)])
def test_sizes(monkeypatch, tmp_path, most_bytes, frames, bits, channels):
    small = dataclasses.replace(formats.FORMATS[".wav"], most_bytes=most_bytes)
    monkeypatch.setitem(formats.FORMATS, ".wav", small)
    path = tmp_path / "a.wav"
    output = Output(str(path), 44100, channels, bits, frames)
    x = loop_of_noise(frames, 44100, channels)
    with output.open(output.mark_loop) as write:
        write(output.encode(0, x))
    check_loop(path, frames, 44100)
    assert path.read_bytes()[:4] == (b"RF64" if most_bytes == 1000 else b"RIFF")
    assert level_db(play(path, 44100, channels) - x) < -70
    np.testing.assert_array_equal(soundfile.read(path, always_2d=True)[0].shape, x.shape)


def test_a_loop_that_its_chunk_cannot_name(tmp_path):
    shutil.copyfile("/dev/null", tmp_path / "a.wav")
    containers.mark_loop(tmp_path / "a.wav", 2**32 + 1, 44100)
    assert (tmp_path / "a.wav").read_bytes() == b""


# Played round and round, every format goes on where it ends.


@pytest.mark.parametrize("ending", formats.FORMATS)
@pytest.mark.parametrize(("rate_hz", "channels", "frames"), [(16000, 1, 40000), (48000, 2, 48 * 1024)])
def test_the_seam_of_a_loop(tmp_path, ending, rate_hz, channels, frames):
    path = tmp_path / f"loop{ending}"
    x = loop_of_noise(frames, rate_hz, channels)
    output = Output(str(path), rate_hz, channels, frames=frames)
    with output.open(output.mark_loop) as write:
        write(output.encode(0, x))
    twice = np.concatenate([x, x])
    played = play(path, rate_hz, channels, passes=2)
    assert played.shape == twice.shape
    rest = played - twice
    snr_db = level_db(x) - level_db(rest)
    # In every 10 ms around the seam the sound is there, and as like the original as elsewhere.
    hop = rate_hz // 100
    for first in range(frames - 5 * hop, frames + 5 * hop, hop):
        part = slice(first, first + hop)
        assert abs(level_db(played[part]) - level_db(twice[part])) < (2 if snr_db < 50 else 0.01)
        assert level_db(twice[part]) - level_db(rest[part]) > snr_db - 10


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg", ".m4a"])
def test_ffmpeg_loops_a_file_itself(tmp_path, ending):
    """Which it cannot well with Opus and some MP3, whoever made them."""
    x = loop_of_noise(40000, 16000, 1)
    path = tmp_path / f"loop{ending}"
    output = Output(str(path), 16000, 1, frames=len(x))
    with output.open(output.mark_loop) as write:
        write(output.encode(0, x))
    line = ["ffmpeg", "-v", "error", "-stream_loop", "2", "-i", path, "-f", "f32le", "-"]
    played = np.frombuffer(subprocess.run(line, capture_output=True, check=True).stdout, "<f4")
    assert len(played) == 3 * len(x)
    assert level_db(played - np.tile(x[:, 0], 3)) < level_db(x) - 10


# Ogg.


def test_the_serial_number_of_an_ogg_file(tmp_path):
    """A stream with wrong checksums is not decoded."""
    x = loop_of_noise(100_000, 48000, 2)
    for name, codec in (("a.ogg", "VORBIS"), ("a.opus", "OPUS")):
        path = tmp_path / name
        soundfile.write(path, x, 48000, codec, format="OGG")
        before, samples = path.read_bytes(), play(path, 48000, 2)
        containers.set_serial(path, 0x01020304)
        after = path.read_bytes()
        assert len(after) == len(before) and after != before
        pages = [place for place in range(len(after)) if after.startswith(b"OggS\0", place)]
        assert {after[page + 14 : page + 18] for page in pages} == {b"\4\3\2\1"}
        np.testing.assert_array_equal(play(path, 48000, 2), samples)
        # Back again: the checksums are those of libsndfile.
        containers.set_serial(path, struct.unpack("<I", before[14:18])[0])
        assert path.read_bytes() == before


def test_different_sounds_have_different_serial_numbers(generate, tmp_path):
    """So that they may follow each other in one file."""
    serials = set()
    for seed in (0, 1):
        generate(*LOOP[:-1], f"--seed={seed}", "--out", tmp_path / f"{seed}.ogg")
        serials.add((tmp_path / f"{seed}.ogg").read_bytes()[14:18])
    assert len(serials) == 2
