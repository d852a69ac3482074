"""Recordings as people have them: joined, cut short, misnamed, with headers that lie, damaged; and what is no sound."""

import concurrent.futures
import dataclasses
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from damage import damage_bytes

from wavegan_asmr.sound import files
from wavegan_asmr.sound.contents import find_streams
from wavegan_asmr.sound.files import AudioError
from wavegan_asmr.sound.quiet import quiet
from wavegan_asmr.sound.sndfile import SndfileReader

RATE_HZ, SECONDS = 44100, 3

FORMATS = {
    "wav": "",
    "aiff": "",
    "au": "",
    "caf": "",
    "w64": "",
    "flac": "",
    "ogg": "-c:a libvorbis -q:a 6",
    "opus": "-c:a libopus -b:a 192k",
    "oga": "-c:a flac -f ogg",
    "mp3": "-b:a 192k",
    "m4a": "-c:a aac -b:a 192k",
    "mka": "-c:a flac",
    "webm": "-c:a libopus -b:a 192k",
    "wv": "",
}
"""Ending, and flags of ffmpeg."""

OTHERS = {
    "mp2": "-b:a 256k",
    "tta": "",
    "ac3": "-b:a 256k",
    "aac": "-b:a 192k",
    "mov": "-c:a pcm_s16be",
    "mkv": "-c:a libvorbis -q:a 6",
    "wma": "-b:a 192k",
    "3gp": "-c:a aac -b:a 192k -f 3gp",
    "m4b": "-c:a alac -f ipod",
    "ts": "-c:a mp2 -b:a 256k -f mpegts",
    "avi": "-c:a libmp3lame -b:a 192k",
    "flv": "-c:a libmp3lame -b:a 192k",
}


def chirp(first_hz, last_hz):
    """A tone that rises on the left and falls on the right: float32 `[frames, 2]`."""
    t = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    sweep = (last_hz - first_hz) / 2 / SECONDS * t**2
    phases = np.stack([first_hz * t + sweep, last_hz * t - sweep], axis=1)
    return (0.4 * np.sin(2 * np.pi * phases)).astype(np.float32)


def ffmpeg(*arguments):
    process = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return process.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of two chirps, a and b, in every format."""
    folder = tmp_path_factory.mktemp("made")
    for name, first_hz, last_hz in (("a", 200, 6000), ("b", 500, 3000)):
        source = folder / f"{name}.wav"
        soundfile.write(source, chirp(first_hz, last_hz), RATE_HZ, "PCM_16")
        kinds = {**FORMATS, **(OTHERS if name == "a" else {})}
        del kinds["wav"]
        outputs = [word for ending, flags in kinds.items() for word in [*flags.split(), folder / f"{name}.{ending}"]]
        ffmpeg("-i", source, *outputs)
    ffmpeg("-i", folder / "a.wav", "-c:a", "libmp3lame", "-write_xing", "0", folder / "bare.mp3")
    ffmpeg("-i", folder / "a.wav", "-c:a", "libmp3lame", "-f", "wav", folder / "wrapped.wav")
    ffmpeg("-i", folder / "a.wav", "-ar", "48000", "-ac", "1", "-c:a", "libvorbis", folder / "mono.ogg")
    ffmpeg("-i", folder / "a.wav", "-movflags", "faststart", "-b:a", "192k", folder / "fast.m4a")
    ffmpeg("-i", folder / "a.wav", "-rf64", "always", folder / "large.wav")
    return folder


def read(path):
    """Returns the samples, float32 `[frames, channels]`, and the notes."""
    notes = []
    return np.concatenate(list(files.decode(path, notes))), notes


def decoded_by_ffmpeg(path, rate_hz=RATE_HZ):
    """Returns what the program ffmpeg reads from a file of two channels."""
    pcm = ffmpeg("-i", path, "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-ar", rate_hz, "-")
    return np.frombuffer(pcm, np.float32).reshape(-1, 2)


def assert_alike(x, expected):
    """Holds decoded samples to others; decoders differ in rounding, and in how much of the last block they give."""
    assert abs(len(x) - len(expected)) <= 3000 and len(x) > RATE_HZ
    n = min(len(x), len(expected))
    np.testing.assert_allclose(x[:n], expected[:n], rtol=0, atol=3e-3)


def rate_of(ending):
    return 48000 if ending in ("opus", "webm") else RATE_HZ


# What is there.


@pytest.mark.parametrize("ending", FORMATS)
def test_joined_files_are_used_to_the_end(made, tmp_path, ending):
    first, second = made / f"a.{ending}", made / f"b.{ending}"
    path = tmp_path / f"joined.{ending}"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    x, notes = read(path)
    parts = [read(part)[0] for part in (first, second)]
    np.testing.assert_array_equal(x, np.concatenate(parts))
    assert notes == []
    assert abs(files.probe(path).frames - len(x)) < 0.05 * len(x)
    for part, name in zip(parts, (first, second)):
        assert_alike(part, decoded_by_ffmpeg(name, rate_of(ending)))


def test_mp3_of_three_songs_with_tags(made, tmp_path):
    """One of them has no frame that tells its length; all have tags in front and behind."""
    tag = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    songs = [made / "a.mp3", made / "bare.mp3", made / "b.mp3"]
    path = tmp_path / "songs.mp3"
    path.write_bytes(b"".join(tag + song.read_bytes() + b"TAG" + bytes(125) for song in songs))
    x, notes = read(path)
    np.testing.assert_array_equal(x, np.concatenate([read(song)[0] for song in songs]))
    assert notes == []


@pytest.mark.parametrize(("first", "second"), [("a.ogg", "mono.ogg"), ("a.ogg", "a.opus")])
def test_links_that_do_not_fit_are_told_of(made, tmp_path, first, second):
    path = tmp_path / "radio.ogg"
    path.write_bytes((made / first).read_bytes() + (made / second).read_bytes())
    x, notes = read(path)
    np.testing.assert_array_equal(x, read(made / first)[0])
    assert notes == ["only 3.0 of 6.0 s"]


@pytest.mark.parametrize("ending", OTHERS)
def test_what_libsndfile_does_not_read(made, ending):
    x, notes = read(made / f"a.{ending}")
    assert_alike(x, decoded_by_ffmpeg(made / f"a.{ending}"))
    assert notes == []
    info = files.probe(made / f"a.{ending}")
    assert (info.sample_rate_hz, info.channels) == (RATE_HZ, 2) and abs(info.frames - len(x)) < 0.05 * len(x)


@pytest.mark.parametrize(
    ("name", "misnamed"),
    [
        ("a.m4a", "x.wav"),
        ("bare.mp3", "x.wav"),
        ("a.mp3", "x.m4a"),
        ("a.wav", "x.mp3"),
        ("a.wv", "x.flac"),
        ("a.oga", "x.ogg"),
        ("a.mka", "x.mp3"),
        ("a.aiff", "x"),
        ("a.flac", "x.au"),
    ],
)
def test_content_counts_not_the_name(made, tmp_path, name, misnamed):
    (tmp_path / misnamed).write_bytes((made / name).read_bytes())
    np.testing.assert_array_equal(read(tmp_path / misnamed)[0], read(made / name)[0])
    assert files.probe(tmp_path / misnamed) == files.probe(made / name)


def test_mp3_in_a_wav_wrapper(made):
    x, notes = read(made / "wrapped.wav")
    assert_alike(x, decoded_by_ffmpeg(made / "wrapped.wav"))
    assert notes == []


def test_film_and_its_first_sound(made, tmp_path):
    film = ["-f", "lavfi", "-i", "testsrc=size=32x32:duration=4"]
    sounds = ["-i", made / "a.wav", "-i", made / "b.wav", "-map", "0", "-map", "1", "-map", "2"]
    ffmpeg(*film, *sounds, "-c:v", "mpeg4", "-c:a", "flac", tmp_path / "x.mkv")
    x, notes = read(tmp_path / "x.mkv")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0])
    assert notes == []


def test_names_and_tags_that_are_not_text(made, tmp_path):
    for ending, flags in {"mp3": [], "mka": [], "ogg": ["-c:a", "libvorbis"], "wav": []}.items():
        path = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n$_$." + ending.encode())
        command = [b"ffmpeg", b"-v", b"error", b"-i", os.fsencode(made / "a.wav"), b"-metadata", b"title=caf\xe9"]
        subprocess.run([*command, *flags, path], check=True)
        x, notes = read(os.fsdecode(path))
        assert x.shape[0] >= SECONDS * RATE_HZ and notes == []
        assert files.probe(os.fsdecode(path)).channels == 2


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("wma", "wmav2"), ("caf", "alac"), ("m4a", "aac"), ("mp3", "libmp3lame"), ("ogg", "libvorbis")],
)
def test_whole_file_of_a_low_rate_has_no_note(tmp_path, ending, codec):
    """Blocks are long there, and some containers count whole ones."""
    soundfile.write(tmp_path / "x.wav", chirp(100, 3000)[:20000, :1], 8000)
    ffmpeg("-i", tmp_path / "x.wav", "-c:a", codec, tmp_path / f"x.{ending}")
    x, notes = read(tmp_path / f"x.{ending}")
    assert abs(len(x) - 20000) < 1500 and notes == []


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "m4a", "mka", "aiff", "aac"])
def test_tag_in_front_of_any_kind(made, tmp_path, ending):
    (tmp_path / "x").write_bytes(b"ID3\x03\0\0\0\0\x01\0" + bytes(128) + (made / f"a.{ending}").read_bytes())
    x, notes = read(tmp_path / "x")
    np.testing.assert_array_equal(x, read(made / f"a.{ending}")[0])
    assert notes == []


# Headers that lie.


def with_wav_size(made, size):
    data = (made / "a.wav").read_bytes()
    place = data.index(b"data") + 4
    return data[:place] + struct.pack("<I", size % (1 << 32)) + data[place + 4 :]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (SECONDS * RATE_HZ * 4 + 16, []),
        (0xFFFFFFFF, []),
        (0xFFFFFFFF - 36, []),
        (0x7FFFFFFF, []),
        (0x7FFFF000, []),
        (0x80000000, []),
        (SECONDS * RATE_HZ * 8, ["only 3.0 of 6.0 s"]),
        (3_000_000_000, ["only 3.0 of 17006.8 s"]),
    ],
)
def test_wav_whose_size_is_wrong(made, tmp_path, size, expected):
    (tmp_path / "x.wav").write_bytes(with_wav_size(made, size))
    x, notes = read(tmp_path / "x.wav")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0])
    assert notes == expected and files.probe(tmp_path / "x.wav").frames == len(x)


def test_wav_whose_size_is_too_small(made, tmp_path):
    """What lies behind may be anything: it is not taken for samples, and told of."""
    (tmp_path / "x.wav").write_bytes(with_wav_size(made, SECONDS * RATE_HZ * 2))
    x, notes = read(tmp_path / "x.wav")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0][: len(x)])
    assert len(x) == SECONDS * RATE_HZ // 2 and notes == ["only 1.5 of 3.0 s"]


@pytest.mark.parametrize("behind", [b"LIST\x0a\0\0\0INFOabcdef", b"TAG" + bytes(125), bytes(40000)])
def test_what_lies_behind_the_samples_is_no_sound(made, tmp_path, behind):
    (tmp_path / "x.wav").write_bytes((made / "a.wav").read_bytes() + behind)
    x, notes = read(tmp_path / "x.wav")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0])
    assert notes == []


def test_wav_without_samples_but_with_tags(made, tmp_path):
    data = with_wav_size(made, 0)
    (tmp_path / "x.wav").write_bytes(data[: data.index(b"data") + 8] + b"LIST\x04\0\0\0INFO")
    with pytest.raises(AudioError, match="no samples"):
        files.probe(tmp_path / "x.wav")


@pytest.mark.parametrize("size", [0, SECONDS * RATE_HZ * 4 + 8 + 16, 0xFFFFFFFF, 0x7F000008])
def test_aiff_whose_size_is_wrong(made, tmp_path, size):
    data = (made / "a.aiff").read_bytes()
    place = data.index(b"SSND") + 4
    (tmp_path / "x.aiff").write_bytes(data[:place] + struct.pack(">I", size) + data[place + 4 :])
    x, notes = read(tmp_path / "x.aiff")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0])
    assert notes == []


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("is_unfinished", [False, True])
def test_large_wav(made, tmp_path, magic, is_unfinished):
    data = (made / "large.wav").read_bytes()
    place = data.index(b"ds64") + 16
    data = data[:place] + bytes(8) + data[place + 8 :] if is_unfinished else data
    (tmp_path / "x.wav").write_bytes(magic + data[4:])
    x, notes = read(tmp_path / "x.wav")
    np.testing.assert_array_equal(x, read(made / "a.wav")[0])
    assert notes == []


def test_wav_of_more_than_4_gb(tmp_path):
    """Its size has wrapped; the file is sparse, and has a ramp at its end."""
    frames = (1 << 30) + RATE_HZ
    ramp = np.arange(-1000, 1000, dtype="<i2").repeat(2)
    form = struct.pack("<IHHIIHH", 16, 1, 2, RATE_HZ, 4 * RATE_HZ, 4, 16)
    size = struct.pack("<I", 4 * frames % (1 << 32))
    with open(tmp_path / "x.wav", "wb") as file:
        file.write(b"RIFF" + size + b"WAVEfmt " + form + b"data" + size)
        file.seek(44 + 4 * frames - ramp.nbytes)
        file.write(ramp.tobytes())
    assert files.probe(tmp_path / "x.wav") == files.AudioInfo(RATE_HZ, 2, frames)
    assert next(files.decode(tmp_path / "x.wav")).shape == (files.BLOCK_FRAMES, 2)
    (stream,) = find_streams(tmp_path / "x.wav")
    assert abs(stream.whole_s - frames / RATE_HZ) < 1e-3
    # To decode all of it would take as long as all other tests of this file.
    start = stream.raw.stop - ramp.nbytes
    end = dataclasses.replace(stream, start=start, raw=dataclasses.replace(stream.raw, start=start))
    with SndfileReader(tmp_path / "x.wav", end) as reader:
        (x,) = reader.blocks()
    np.testing.assert_array_equal(x.ravel(), ramp / np.float32(32768))


@pytest.mark.parametrize("rate_hz", [1, 2, 8, 999, 1_000_001, 0xFFFFFFFF])
@pytest.mark.parametrize("ending", ["wav", "aiff", "au", "flac"])
def test_rate_that_no_recording_has(made, tmp_path, ending, rate_hz):
    data = bytearray((made / f"a.{ending}").read_bytes())
    if ending == "wav":
        data[24:28] = struct.pack("<I", rate_hz)
    elif ending == "aiff":
        shift = 64 - rate_hz.bit_length()
        place = data.index(b"COMM") + 16
        data[place : place + 10] = struct.pack(">HQ", 16446 - shift, rate_hz << shift)
    elif ending == "au":
        data[16:20] = struct.pack(">I", rate_hz)
    else:
        facts = int.from_bytes(data[18:26], "big")
        data[18:26] = (facts % (1 << 44) | (rate_hz % (1 << 20)) << 44).to_bytes(8, "big")
    (tmp_path / f"x.{ending}").write_bytes(data)
    for use in (files.probe, lambda path: list(files.decode(path))):
        with pytest.raises(AudioError, match=r"a sample rate of .* outside 1 kHz to 1 MHz|is damaged"):
            use(tmp_path / f"x.{ending}")


def test_many_channels_come_in_small_blocks(tmp_path):
    x = np.arange(5000 * 1000).reshape(5000, 1000) % 30000 / np.float32(32768)
    soundfile.write(tmp_path / "x.wav", x, RATE_HZ, "PCM_16")
    blocks = list(files.decode(tmp_path / "x.wav"))
    assert max(block.nbytes for block in blocks) <= 1 << 23
    np.testing.assert_array_equal(np.concatenate(blocks), x)


def test_length_that_is_not_told(made, tmp_path):
    """A browser's recording has none, and an OGG file may end anywhere."""
    ffmpeg("-i", made / "a.wav", "-c:a", "libopus", "-f", "webm", "-live", "1", tmp_path / "x.webm")
    assert files.probe(tmp_path / "x.webm") == files.AudioInfo(48000, 2, None)
    x, notes = read(tmp_path / "x.webm")
    assert len(x) == SECONDS * 48000 and notes == []
    data = (made / "a.ogg").read_bytes()
    (tmp_path / "x.ogg").write_bytes(data[: data.rindex(b"OggS")])
    x, notes = read(tmp_path / "x.ogg")
    assert files.probe(tmp_path / "x.ogg").frames in (None, len(x))
    assert notes == [f"only the first {len(x) / RATE_HZ:.1f} s"]


@pytest.mark.parametrize("frames", [1000, (1 << 36) - 1])
def test_flac_whose_length_is_wrong(made, tmp_path, frames):
    long = np.tile(chirp(100, 9000), [10, 1])
    soundfile.write(tmp_path / "x.flac", long, RATE_HZ, "PCM_16")
    data = bytearray((tmp_path / "x.flac").read_bytes())
    facts = int.from_bytes(data[18:26], "big")
    data[18:26] = (facts >> 36 << 36 | frames).to_bytes(8, "big")
    (tmp_path / "x.flac").write_bytes(data)
    x, notes = read(tmp_path / "x.flac")
    assert len(x) == len(long) and notes == []
    np.testing.assert_allclose(x, long, rtol=0, atol=2**-15)


# Damage.


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.caf", "a.w64", "a.flac", "a.mp3", "fast.m4a", "a.wv"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_file_cut_short_is_used_up_to_the_cut(made, tmp_path, name, kept):
    whole, path = (made / name).read_bytes(), tmp_path / name
    path.write_bytes(whole[: int(kept * len(whole))])
    x, notes = read(path)
    complete, _ = read(made / name)
    assert (kept - 0.2) * len(complete) < len(x) <= (kept + 0.02) * len(complete)
    # The last frames of a cut MP3 lack what lies behind the cut.
    np.testing.assert_allclose(x[:-3000], complete[: len(x) - 3000], rtol=0, atol=1e-4)
    (note,) = notes
    used, of = re.fullmatch(r"only ([\d.]+) of ([\d.]+) s", note).groups()
    assert float(used) == round(len(x) / RATE_HZ, 1) and float(of) == SECONDS


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.oga", "a.mka"])
def test_container_cut_short_is_used_up_to_the_cut(made, tmp_path, name):
    whole, path = (made / name).read_bytes(), tmp_path / name
    path.write_bytes(whole[: int(0.7 * len(whole))])
    x, notes = read(path)
    complete, _ = read(made / name)
    assert 0.3 * len(complete) < len(x) < 0.8 * len(complete)
    np.testing.assert_allclose(x[:-5000], complete[: len(x) - 5000], rtol=0, atol=1e-4)
    assert re.fullmatch(r"only the first [12]\.\d s|only [12]\.\d of 3\.0 s", *notes)


def test_m4a_cut_short_before_its_index(made, tmp_path):
    whole = (made / "a.m4a").read_bytes()
    (tmp_path / "x.m4a").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match="cut short: the index of its samples"):
        files.probe(tmp_path / "x.m4a")


@pytest.mark.parametrize("ending", ["wav", "aiff", "ogg", "flac", "mp3", "mka", "wv"])
def test_file_cut_short_in_its_header(made, tmp_path, ending):
    (tmp_path / f"x.{ending}").write_bytes((made / f"a.{ending}").read_bytes()[:30])
    with pytest.raises(AudioError, match=r"cut short|damaged|not known"):
        files.probe(tmp_path / f"x.{ending}")


@pytest.mark.parametrize("ending", ["flac", "mp3", "ogg", "opus", "m4a", "wv"])
def test_damage_in_the_middle(made, tmp_path, ending):
    """What lies before it is right, and the note tells how much is lost."""
    data = bytearray((made / f"a.{ending}").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    (tmp_path / f"x.{ending}").write_bytes(data)
    x, notes = read(tmp_path / f"x.{ending}")
    complete, _ = read(made / f"a.{ending}")
    n = len(complete) // 4
    np.testing.assert_allclose(x[:n], complete[:n], rtol=0, atol=1e-4)
    lost_s = (len(complete) - len(x)) / rate_of(ending)
    assert lost_s < 0.06 or re.fullmatch(r"only [12]\.\d+ of 3\.\d+ s", *notes)


def test_libraries_say_nothing(made, tmp_path, capfd):
    """In threads; what Python itself writes to stderr is not touched, and libraries speak again afterwards."""
    data = bytearray((made / "a.mp3").read_bytes())
    for place in range(3000, len(data), 777):
        data[place] ^= 0x55
    paths = []
    for number in range(8):
        paths.append(tmp_path / f"{number}.mp3")
        paths[-1].write_bytes(data[: len(data) - 1000 * number])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, paths))
    with quiet():
        print("I am heard", file=sys.stderr, flush=True)
    assert capfd.readouterr().err == "I am heard\n"
    assert all(len(x) > RATE_HZ for x, _ in results)
    with soundfile.SoundFile(paths[-1]) as file:
        file.read()
    assert capfd.readouterr().err


# What is no sound.


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">', "an HTML page"),
        (b"Dear diary, today I recorded nothing.\n" * 9, "text"),
        ("Grüße aus Köln, und nichts zu hören.".encode("latin-1") * 9, "text"),
        ("Grüße aus Köln, und nichts zu hören.".encode("utf-16"), "text"),
        (bytes(100_000), "nothing but zeros"),
        (np.random.default_rng(1).bytes(300_000), "its format is not known"),
        (b"\x01", "its format is not known"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04" + bytes(50), "a ZIP archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"ID3\x03\0\0\0\0\x7f\x7f" + bytes(200), "ends before its sound begins"),
    ],
)
@pytest.mark.parametrize("ending", ["mp3", "wav", "m4a"])
def test_reason_is_true(tmp_path, ending, content, reason):
    (tmp_path / f"x.{ending}").write_bytes(content)
    for use in (files.probe, lambda path: list(files.decode(path))):
        with pytest.raises(AudioError, match=reason):
            use(tmp_path / f"x.{ending}")


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="is a folder"):
        files.probe(tmp_path / "folder.wav")
    with pytest.raises(AudioError, match="is no file"):
        files.probe(tmp_path / "pipe.wav")
    with pytest.raises(FileNotFoundError):
        files.probe(tmp_path / "gone.wav")


def test_playlist_is_not_followed(made, tmp_path):
    """FFmpeg knows lists of files, and would open what they name."""
    (tmp_path / "x.wav").write_text(f"ffconcat version 1.0\nfile {made / 'a.wav'}\n")
    (tmp_path / "y.mp3").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{made / 'a.mp3'}\n")
    for name in ("x.wav", "y.mp3"):
        with pytest.raises(AudioError, match=r"it is text|a list of other files"):
            files.probe(tmp_path / name)


READER = """
import concurrent.futures, faulthandler, re, sys
from wavegan_asmr.sound import files

faulthandler.dump_traceback_later(200, exit=True)

def use(path):
    try:
        info, notes = files.probe(path), []
        blocks = files.convert(files.decode(path, notes), info.sample_rate_hz, 16000, 1)
        frames = sum(map(len, blocks))
        assert all(note.startswith("only ") for note in notes), notes
        return frames > 0
    except files.AudioError as error:
        assert str(error) and "\\n" not in str(error)
        return False

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(use, sys.argv[1:])), re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""
"""Reads files in threads; prints how many could be used, and the peak memory in kilobytes, which `getrusage` would have
inherited from the process that starts this one."""


def test_damaged_files_neither_crash_nor_hang(made, tmp_path):
    endings = [*FORMATS, *OTHERS]
    whole = {ending: (made / f"a.{ending}").read_bytes() for ending in endings}
    paths = []
    for seed in range(8 * len(endings)):
        ending = endings[seed % len(endings)]
        paths.append(tmp_path / f"{seed}.{ending}")
        paths[-1].write_bytes(damage_bytes(whole[ending], seed))
    process = subprocess.run([sys.executable, "-c", READER, *paths], capture_output=True, text=True, cwd=ROOT)
    assert (process.returncode, process.stderr) == (0, "")
    used, peak_kb = map(int, process.stdout.split())
    assert used > len(paths) / 3
    assert peak_kb < 300_000
