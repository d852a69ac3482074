"""Finding and decoding recordings, the cache, and the stream of slices."""

import contextlib
import errno
import itertools
import os
import pathlib
import resource
import signal
import subprocess
import tempfile

import numpy as np
import pytest
import scipy.stats
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import loader
from loader import LeftOut, Recording, Slices
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files
from wavegan_asmr.sound.levels import LevelMeter
from wavegan_asmr.sound.pcm_cache import Pcm

UNIT = 2**-20
"""A sample of a ramp is its index, counted from 1, times this: exact in float32."""

SLICE_LEN = 32
LENGTHS = [300, 40, 1000, 32]
"""Frames of the recordings of `ramps`."""


def store(path, x, source_rate_hz=16000):
    """Writes samples `[frames, channels]` as the cache does: `Recording`."""
    np.asarray(x, "<f4").tofile(path)
    meter = LevelMeter(16000, x.shape[1])
    meter.add(np.asarray(x, np.float32))
    pcm = Pcm(str(path), len(x), x.shape[1], source_rate_hz, x.shape[1], "", meter.read(), ())
    return Recording(path.name, pcm, str(path))


def make_ramps(folder, lengths, channels=1):
    """Recordings whose samples count on from one recording to the next, so that a sample tells where it is."""
    folder = pathlib.Path(folder)
    ends = np.cumsum(lengths)
    return [
        store(folder / f"{end}.f32", np.repeat(np.arange(end - n + 1, end + 1)[:, None] * UNIT, channels, axis=1))
        for n, end in zip(lengths, ends)
    ]


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    """Four recordings, 1372 frames in all, 1249 offsets of slices of `SLICE_LEN`."""
    return make_ramps(tmp_path_factory.mktemp("ramps"), LENGTHS)


def places(batch):
    """The index in the ramps, from 0, of each slice's first sample."""
    return np.round(batch[:, 0, 0] / UNIT).astype(int) - 1


def count_decoding(monkeypatch):
    """List that receives the name of each file that is decoded from here on."""
    decoded, decode = [], files.decode

    def counting(path, notes=None):
        decoded.append(os.path.basename(path))
        return decode(path, notes)

    monkeypatch.setattr(files, "decode", counting)
    return decoded


def samples(recording):
    x = np.empty([recording.pcm.frames, recording.pcm.channels], np.float32)
    recording.pcm.read_into(x, 0)
    return x


# Files.


def test_find_files_searches_folders_but_not_hidden_ones(tmp_path):
    names = [
        "b.wav",
        "a/deep/er/x.flac",
        "a/UPPER.WAV",
        "a.Mp3",
        "Z.ogg",
        "note.txt",
        "wav",
        ".hidden.wav",
        ".git/x.wav",
    ]
    for name in [*names, "a/.cache/x.wav", "folder.wav/inside.m4a"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, left_out = loader.find_files(tmp_path)
    expected = ["Z.ogg", "a.Mp3", "a/UPPER.WAV", "a/deep/er/x.flac", "b.wav", "folder.wav/inside.m4a"]
    assert (found, left_out) == (expected, [])


def test_find_files_ends_on_a_loop_of_links(tmp_path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "x.wav").touch()
    (tmp_path / "data" / "sub" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "y.wav").touch()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "outside")
    assert loader.find_files(tmp_path / "data") == (["linked/y.wav", "sub/x.wav"], [])


def test_find_files_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    """Also where a folder can be reached by two names."""
    for name in "abc":
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "x.wav").touch()
    (tmp_path / "data" / "d").symlink_to("b")
    (tmp_path / "data" / "A").symlink_to("c")
    walk, found = os.walk, []
    for reverse in (False, True):

        def ordered_walk(*arguments, reverse=reverse, **options):
            for folder, subfolders, names in walk(*arguments, **options):
                subfolders.sort(reverse=reverse)
                yield folder, subfolders, sorted(names, reverse=reverse)

        monkeypatch.setattr(os, "walk", ordered_walk)
        found.append(loader.find_files(tmp_path / "data"))
    assert found[0] == found[1]


@contextlib.contextmanager
def ordinary_user():
    """Context in which permissions count, also for a superuser."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        os.setegid(65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)


@pytest.mark.parametrize("closed", ["sub", "."])
def test_folder_that_may_not_be_read(closed):
    """It is left out with its name, or an error where it is the whole folder."""
    with tempfile.TemporaryDirectory() as root:
        data_dir = pathlib.Path(root, "data")
        (data_dir / closed).mkdir(parents=True)
        for path in (data_dir / "y.wav", data_dir / closed / "x.wav"):
            path.touch()
        os.chmod(root, 0o755)
        (data_dir / closed).chmod(0)
        try:
            with ordinary_user():
                if closed == ".":
                    with pytest.raises(UserError, match=r"--data_dir cannot be read \(folder: Permission denied\)"):
                        loader.find_files(data_dir)
                else:
                    expected = (["y.wav"], [LeftOut("sub", "folder: Permission denied")])
                    assert loader.find_files(data_dir) == expected
        finally:
            (data_dir / closed).chmod(0o755)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such folder of recordings"),
        ("file", "no usable recording .*: data: empty file"),
        ("pipe", "must be a folder of recordings, or one recording"),
        ({}, "no usable recording .*WAV, FLAC.*: the folder holds nothing"),
        ({"a.txt": b"text", "b.TXT": b"", "c": b"", ".x.wav": b""}, r": the folder holds 2 \.txt, 1 without an ending"),
        ({"x.wav": b"text", "note.txt": b""}, r"1 \.txt, 1 \.wav; x\.wav: not readable as audio"),
        ({"x.wav": b"text", "sub/y.wav": b""}, r"holds 2 \.wav; sub/y\.wav: empty file \(and 1 more\)"),
    ],
)
def test_nothing_to_open(tmp_path, content, message):
    data_dir = tmp_path / "data"
    if content == "file":
        data_dir.touch()
    elif content == "pipe":
        os.mkfifo(data_dir)
    elif content is not None:
        data_dir.mkdir()
        for name, text in content.items():
            (data_dir / name).parent.mkdir(exist_ok=True)
            (data_dir / name).write_bytes(text)
    with pytest.raises(UserError, match=message) as raised:
        loader.open_recordings(data_dir)
    assert f"--data_dir '{data_dir}'" in str(raised.value) or f": '{data_dir}'" in str(raised.value)


def test_one_recording_in_place_of_a_folder(recordings):
    (alone,), left_out = loader.open_recordings(recordings / "rain.wav")
    among = {each.name: each for each in loader.open_recordings(recordings)[0]}["rain.wav"]
    assert (alone.name, alone.path, left_out) == ("rain.wav", str(recordings / "rain.wav"), [])
    assert alone.pcm == among.pcm


def test_bad_files_are_left_out_with_their_reasons(recordings):
    (recordings / "empty.wav").touch()
    (recordings / "gone.wav").symlink_to("nowhere")
    (recordings / "text.mp3").write_text("text")
    whole = (recordings / "birds.flac").read_bytes()
    (recordings / "cut.flac").write_bytes(whole[: len(whole) // 2])
    used, left_out = loader.open_recordings(recordings)
    assert [recording.name for recording in used] == ["birds.flac", "cut.flac", "rain.wav"]
    reasons = {item.name: item.reason for item in left_out}
    assert list(reasons) == ["empty.wav", "gone.wav", "text.mp3"]
    assert reasons["empty.wav"] == "empty file" and reasons["gone.wav"] == "No such file or directory"
    assert "not readable as audio" in reasons["text.mp3"]


def test_what_is_used_in_part_is_said(recordings, tmp_path, monkeypatch):
    """When it is decoded, and again when it comes from the cache; names are one line, whatever they hold."""
    whole = (recordings / "rain.wav").read_bytes()
    name = b"caf\xe9\n  recordings  5.wav"
    with open(os.path.join(os.fsencode(recordings), name), "wb") as file:
        file.write(whole[: 44 + 2 * 16000])
    expected = [r"only 1.0 of 4.0 s of caf\xe9\n  recordings  5.wav"]
    decoded = count_decoding(monkeypatch)
    for _ in range(2):
        used, left_out = loader.open_recordings(recordings)
        assert [recording.notes for recording in used] == [[], expected, []] and left_out == []
        text = loader.table(used, [], Slices(used, 4096), 16000)
        assert text.splitlines()[-1] == f"  used in part     {expected[0]}" and text.count("\n  recordings ") == 0
    assert len(decoded) == 3


def test_fast_wav_says_what_is_used_in_part(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise(2), 16000)
    os.truncate(tmp_path / "x.wav", 44 + 2 * 24000)
    (recording,), _ = loader.open_recordings(tmp_path, fast_wav=True)
    assert recording.notes == ["only 24000 of 32000 samples of x.wav"]
    assert recording.pcm.frames == 24000


def test_digest_is_of_the_file(recordings):
    for _ in range(2):
        for recording in loader.open_recordings(recordings)[0]:
            expected = subprocess.run(["sha256sum", recording.path], capture_output=True, check=True).stdout.split()[0]
            assert recording.pcm.digest == expected.decode()


def test_opened_recordings_hold_the_converted_samples(recordings, noise):
    (birds, rain), left_out = loader.open_recordings(recordings, sample_rate_hz=16000)
    assert left_out == []
    np.testing.assert_allclose(samples(rain), noise(4), rtol=0, atol=2**-15)
    assert rain.pcm.peak == np.abs(samples(rain)).max()
    assert (birds.pcm.frames, birds.pcm.channels) == (48000, 1)
    assert (birds.pcm.source_rate_hz, birds.pcm.source_channels) == (44100, 2)


# The cache.


def test_second_opening_decodes_nothing(recordings, monkeypatch):
    first = loader.open_recordings(recordings)

    def fail(path, notes=None):
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(files, "decode", fail)
    monkeypatch.setattr(files, "probe", fail)
    assert loader.open_recordings(recordings) == first


@pytest.mark.parametrize(
    ("change", "decoded_again"),
    [
        ("nothing", []),
        ("time", ["rain.wav"]),
        ("size", ["rain.wav"]),
        ("name", ["snow.wav"]),
        ("rate", ["birds.flac", "rain.wav"]),
        ("channels", ["birds.flac", "rain.wav"]),
        ("another cache", ["birds.flac", "rain.wav"]),
    ],
)
def test_cache_is_used_while_everything_is_the_same(recordings, tmp_path, noise, monkeypatch, change, decoded_again):
    loader.open_recordings(recordings)
    decoded, rain = count_decoding(monkeypatch), recordings / "rain.wav"
    time_ns = rain.stat().st_mtime_ns
    if change == "time":
        os.utime(rain, ns=(time_ns, time_ns + 1_000_000))
    elif change == "size":
        soundfile.write(rain, noise(5), 16000)
        os.utime(rain, ns=(time_ns, time_ns))
    elif change == "name":
        rain.rename(recordings / "snow.wav")
    options = {
        "rate": {"sample_rate_hz": 8000},
        "channels": {"channels": 2},
        "another cache": {"cache_dir": tmp_path / "other"},
    }.get(change, {})
    used, left_out = loader.open_recordings(recordings, **options)
    assert (sorted(decoded), left_out) == (decoded_again, [])
    assert all(recording.pcm.channels == options.get("channels", 1) for recording in used)
    seconds = {"birds.flac": 3, "rain.wav": 5 if change == "size" else 4, "snow.wav": 4}
    rate_hz = options.get("sample_rate_hz", 16000)
    assert all(recording.pcm.frames == rate_hz * seconds[recording.name] for recording in used)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".json", None),
        (".json", b""),
        (".json", b'{"frames": 64'),
        (".json", b"null"),
        (".json", b'{"frames": 64000}'),
        (".json", b"\xff\x00"),
        (".f32", None),
        (".f32", b""),
        (".f32", b"\0" * 1000),
    ],
)
def test_half_written_entry_is_not_used(recordings, monkeypatch, tmp_path, suffix, content):
    (recordings / "birds.flac").unlink()
    (rain,), _ = loader.open_recordings(recordings, cache_dir=tmp_path / "kept")
    expected = samples(rain)
    (file,) = (tmp_path / "kept").rglob("*" + suffix)
    file.unlink() if content is None else file.write_bytes(content)
    decoded = count_decoding(monkeypatch)
    (again,), _ = loader.open_recordings(recordings, cache_dir=tmp_path / "kept")
    assert decoded == ["rain.wav"] and again == rain
    np.testing.assert_array_equal(samples(again), expected)


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EIO"])
def test_disk_error_names_the_flag(recordings, tmp_path, monkeypatch, number):
    def fail(handle):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="--data_cache_dir") as raised:
        loader.open_recordings(recordings, cache_dir=tmp_path / "kept")
    assert str(tmp_path / "kept") in str(raised.value)
    assert ("the disk is full. Make room there" in str(raised.value)) == (number == "ENOSPC")
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == []


def test_cache_that_outgrows_the_disk(recordings, tmp_path):
    """A real error of the system while samples are written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match="--data_cache_dir"):
            loader.open_recordings(recordings, cache_dir=tmp_path / "kept")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("is_known", [False, True])
def test_recording_that_may_not_be_read(is_known):
    """It is no fault of the cache."""
    with tempfile.TemporaryDirectory() as root:
        data_dir, cache = pathlib.Path(root, "data"), pathlib.Path(root, "kept")
        data_dir.mkdir()
        cache.mkdir()
        for path in (root, cache):
            os.chmod(path, 0o777)
        for name in ("open.wav", "closed.wav"):
            soundfile.write(data_dir / name, np.sin(np.arange(20000)), 16000)
        (data_dir / "closed.wav").chmod(0)
        with ordinary_user(), pytest.MonkeyPatch.context() as patch:
            if is_known:
                patch.setattr(files, "probe", lambda path: files.AudioInfo(16000, 1, 20000))
            used, left_out = loader.open_recordings(data_dir, cache_dir=cache)
    assert [recording.name for recording in used] == ["open.wav"]
    assert left_out == [LeftOut("closed.wav", "Permission denied")]


def test_recording_that_goes_away_while_it_is_decoded(recordings, monkeypatch):
    decode = files.decode

    def vanishing(path, notes=None):
        yield from decode(path, notes)
        if path.endswith("rain.wav"):
            os.unlink(path)

    monkeypatch.setattr(files, "decode", vanishing)
    used, left_out = loader.open_recordings(recordings)
    assert [recording.name for recording in used] == ["birds.flac"]
    assert left_out == [LeftOut("rain.wav", "No such file or directory")]


def test_cache_folder_that_is_a_file(recordings, tmp_path):
    (tmp_path / "kept").touch()
    with pytest.raises(UserError, match="--data_cache_dir"):
        loader.open_recordings(recordings, cache_dir=tmp_path / "kept")


def test_file_that_changes_while_it_is_decoded(recordings, monkeypatch, tmp_path):
    decode = files.decode

    def changing(path, notes=None):
        yield from decode(path, notes)
        if path.endswith("rain.wav"):
            os.utime(path, ns=(1, 1))

    monkeypatch.setattr(files, "decode", changing)
    used, left_out = loader.open_recordings(recordings, cache_dir=tmp_path / "kept")
    assert [recording.name for recording in used] == ["birds.flac"]
    assert left_out == [LeftOut("rain.wav", "changed while it was being read")]
    assert len(list((tmp_path / "kept").rglob("*.f32"))) == 1


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_fast_wav_gives_the_same_samples(tmp_path, noise, subtype, channels):
    path = tmp_path / "data" / "x.wav"
    path.parent.mkdir()
    soundfile.write(path, noise(1, channels=channels), 16000, subtype)
    (recording,), _ = loader.open_recordings(path.parent, channels=channels, fast_wav=True)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(samples(recording), expected)


def test_fast_wav_leaves_out_what_it_cannot_read(recordings, noise):
    soundfile.write(recordings / "fast.wav", noise(1, 44100), 44100)
    (rain,), left_out = loader.open_recordings(recordings, fast_wav=True)
    assert rain.name == "rain.wav"
    reasons = {item.name: item.reason for item in left_out}
    assert sorted(reasons) == ["birds.flac", "fast.wav"]
    assert "--data_fast_wav cannot read it" in reasons["birds.flac"]
    assert reasons["fast.wav"] == "--data_fast_wav does not resample 44100 Hz to 16000 Hz"


@pytest.mark.parametrize("fast_wav", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_recording_with_samples_that_are_not_numbers_is_left_out(recordings, noise, fast_wav, value):
    x = noise(1)
    x[100] = value
    soundfile.write(recordings / "bad.wav", x, 16000, "FLOAT")
    used, left_out = loader.open_recordings(recordings, fast_wav=fast_wav)
    assert "bad.wav" not in [recording.name for recording in used]
    assert "not finite" in {item.name: item.reason for item in left_out}["bad.wav"]


# The stream of slices.


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    first=st.integers(0, 2**45),
    count=st.integers(1, 120),
    data=st.data(),
    options=st.sampled_from([{}, {"pad_end": True}, {"overlap_ratio": 0.75}, {"first_slice": True}, {"balance": 5}]),
)
def test_slice_is_a_function_of_seed_and_number(ramps, seed, first, count, data, options):
    """However the stream is cut, in whatever order it is read, by whatever instance."""
    together = Slices(ramps, SLICE_LEN, seed=seed, **options).read(first, count)
    assert together.shape == (count, SLICE_LEN, 1)
    slices = Slices(ramps, SLICE_LEN, seed=seed, **options)
    cuts = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=4))})
    parts = data.draw(st.permutations(list(itertools.pairwise(cuts))))
    for start, end in parts:
        np.testing.assert_array_equal(slices.read(first + start, end - start), together[start:end])


def test_seeds_and_epochs_differ(ramps):
    n = Slices(ramps, SLICE_LEN).per_epoch
    streams = [places(Slices(ramps, SLICE_LEN, seed=seed).read(epoch * n, n)) for seed in (0, 1) for epoch in (0, 1)]
    assert len({stream.tobytes() for stream in streams}) == 4


def test_workers_share_the_stream(ramps):
    """Batch k of worker w is batch k * workers + w of the stream, also when it begins later."""
    slices, workers, batch_size, first = Slices(ramps, SLICE_LEN, seed=3), 3, 4, 5
    stream = slices.read(0, 100).reshape(25, batch_size, SLICE_LEN, 1)
    for worker in range(workers):
        dataset = loader.make_dataset(slices, batch_size, first, worker, workers)
        assert dataset.element_spec.shape == (batch_size, SLICE_LEN, 1)
        batches = np.stack(list(dataset.take(3).as_numpy_iterator()))
        np.testing.assert_array_equal(batches, stream[first * workers + worker :: workers][:3])


@pytest.mark.parametrize("channels", [1, 2])
def test_slices_are_pieces_of_one_recording(tmp_path, channels):
    recordings = make_ramps(tmp_path, LENGTHS, channels)
    batch = Slices(recordings, SLICE_LEN).read(0, 200)
    expected = (places(batch)[:, None, None] + 1 + np.arange(SLICE_LEN)[None, :, None]) * UNIT
    np.testing.assert_array_equal(batch, np.broadcast_to(expected, batch.shape).astype(np.float32))
    ends = np.cumsum(LENGTHS)
    recording = np.searchsorted(ends, places(batch), side="right")
    assert (places(batch) + SLICE_LEN <= ends[recording]).all()


@pytest.mark.parametrize(
    ("pad_end", "overlap_ratio", "balance"),
    [(False, 0, 0), (False, 0.7, 0), (True, 0, 0), (False, 0.7, 8)],
    ids=["plain", "overlap", "pad_end", "balanced"],
)
def test_every_offset_is_equally_likely(ramps, pad_end, overlap_ratio, balance):
    """So long recordings weigh in proportion to their offsets, and nothing else is ever read."""
    slices = Slices(ramps, SLICE_LEN, overlap_ratio, pad_end=pad_end, seed=1, balance=balance)
    starts = np.cumsum([0, *LENGTHS[:-1]])
    offsets = [start + np.arange(n if pad_end else n - SLICE_LEN + 1) for start, n in zip(starts, LENGTHS)]
    counts = np.zeros(sum(LENGTHS), int)
    epochs = 40_000 // slices.per_epoch
    for epoch in range(epochs):
        np.add.at(counts, places(slices.read(epoch * slices.per_epoch, slices.per_epoch)), 1)
    allowed = np.concatenate(offsets)
    assert counts.sum() == counts[allowed].sum()
    assert scipy.stats.chisquare(counts[allowed]).pvalue > 1e-4
    by_recording = [counts[offset].sum() for offset in offsets]
    expected = [counts.sum() * len(offset) / len(allowed) for offset in offsets]
    assert scipy.stats.chisquare(by_recording, expected).pvalue > 1e-4


@pytest.mark.parametrize("balance", [0, 3])
@pytest.mark.parametrize("position", range(3))
def test_every_offset_is_equally_likely_at_any_place_of_an_epoch(tmp_path, position, balance):
    """The order within an epoch is random too."""
    slices = Slices(make_ramps(tmp_path, [200]), SLICE_LEN, balance=balance)
    batches = [slices.read(epoch * slices.per_epoch + position, 1) for epoch in range(5000)]
    counts = np.bincount(places(np.concatenate(batches)), minlength=169)
    assert len(counts) == 169 and scipy.stats.chisquare(counts).pvalue > 1e-4


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(SLICE_LEN, 400), min_size=1, max_size=5),
    overlap_ratio=st.sampled_from([0, 0.5, 0.9]),
    epoch=st.integers(0, 10**6),
)
def test_an_epoch_takes_one_offset_from_each_stratum(lengths, overlap_ratio, epoch):
    """Its slices, sorted, lie one in each of as many equal parts of all offsets; no part is wider than a hop."""
    with tempfile.TemporaryDirectory() as folder:
        slices = Slices(make_ramps(folder, lengths), SLICE_LEN, overlap_ratio)
        n = slices.per_epoch
        found = np.sort(places(slices.read(epoch * n, n)))
    hop = round(SLICE_LEN * (1 - overlap_ratio))
    assert n == sum(int(np.ceil((length - SLICE_LEN + 1) / hop)) for length in lengths)
    recording = np.searchsorted(np.cumsum(lengths), found, side="right")
    positions = found - recording * (SLICE_LEN - 1)
    width = sum(length - SLICE_LEN + 1 for length in lengths) / n
    assert width <= hop
    parts = np.arange(n)
    assert (positions >= np.floor(parts * width)).all() and (positions < (parts + 1) * width).all()
    assert np.diff(positions, prepend=0).max() <= 2 * hop


@settings(max_examples=20, deadline=None)
@given(hands=st.integers(1, 6), size=st.integers(1, 12), missing=st.integers(0, 5), seed=st.integers(0, 2**32))
def test_balanced_slices_are_of_all_levels(hands, size, missing, seed):
    """Of so many in a row there is one of each of as many ranges of levels, where an epoch divides evenly."""
    n = max(1, hands * size - missing)
    powers = 10 ** np.random.default_rng(seed).normal(-3, 1, n)
    with tempfile.TemporaryDirectory() as folder:
        x = [np.full([SLICE_LEN, 1], np.sqrt(power)) for power in powers]
        recordings = [store(pathlib.Path(folder) / str(k), each) for k, each in enumerate(x)]
        slices = Slices(recordings, SLICE_LEN, seed=seed, balance=size)
        found = np.mean(slices.read(0, n) ** 2, axis=(1, 2))
    np.testing.assert_allclose(np.sort(found), np.sort(powers), rtol=1e-5)
    if n == hands * size:
        ranks = np.argsort(np.argsort(found)).reshape(hands, size)
        np.testing.assert_array_equal(np.sort(ranks // hands, axis=1), np.tile(np.arange(size), [hands, 1]))


@pytest.mark.parametrize(("overlap_ratio", "times"), [(0, 1), (0.5, 2), (0.75, 4), (0.9375, 16)])
def test_overlap_multiplies_the_slices(tmp_path, overlap_ratio, times):
    recordings = make_ramps(tmp_path, [SLICE_LEN * 100 + SLICE_LEN - 1])
    assert Slices(recordings, SLICE_LEN, overlap_ratio).per_epoch == 100 * times


@pytest.mark.parametrize("overlap_ratio", [0, 0.5])
def test_first_slice_is_each_recording_once_an_epoch(ramps, overlap_ratio):
    slices = Slices(ramps, SLICE_LEN, overlap_ratio, first_slice=True)
    assert slices.per_epoch == len(LENGTHS)
    for epoch in range(10):
        found = places(slices.read(epoch * len(LENGTHS), len(LENGTHS)))
        assert sorted(found) == [0, *np.cumsum(LENGTHS)[:-1]]


def test_pad_end_reaches_every_offset_and_fills_with_zeros(tmp_path):
    recordings = make_ramps(tmp_path, [50, 10])
    slices = Slices(recordings, SLICE_LEN, pad_end=True)
    assert slices.too_short == 0
    batch = slices.read(0, 3000)
    found = places(batch)
    assert set(found) == set(range(60))
    index = found[:, None] + np.arange(SLICE_LEN)
    inside = index < np.where(found < 50, 50, 60)[:, None]
    np.testing.assert_array_equal(batch[:, :, 0], np.where(inside, (index + 1) * UNIT, 0).astype(np.float32))


def test_short_recordings_are_counted(tmp_path):
    slices = Slices(make_ramps(tmp_path, [SLICE_LEN - 1, SLICE_LEN, 5]), SLICE_LEN)
    assert slices.too_short == 2 and set(places(slices.read(0, 20))) == {SLICE_LEN - 1}


def test_all_too_short(tmp_path):
    with pytest.raises(UserError) as raised:
        Slices(make_ramps(tmp_path, [20, SLICE_LEN - 1]), SLICE_LEN)
    for part in ["--data_pad_end", "--data_first_slice", "--data_slice_len", f"{SLICE_LEN} samples", "longest has 31"]:
        assert part in str(raised.value)


def test_normalize_scales_each_recording_to_its_peak(tmp_path, noise):
    signals = [noise(0.01) * 0.3, noise(0.01, seed=1) * 2, np.zeros([160, 1], np.float32)]
    recordings = [store(tmp_path / str(i), x) for i, x in enumerate(signals)]
    options = {"slice_len": 160, "first_slice": True}
    raw = {x.tobytes() for x in Slices(recordings, **options).read(0, 3)}
    assert raw == {x.tobytes() for x in signals}
    scaled = Slices(recordings, **options, normalize=True).read(0, 3)
    assert sorted(np.round(np.abs(scaled).max(axis=(1, 2)), 6)) == [0, 1, 1]
    for signal_, peak in [(x, np.abs(x).max()) for x in signals[:2]]:
        assert np.abs(scaled - signal_ / peak).max(axis=(1, 2)).min() < 1e-6


def level_signal():
    """Noise of changing loudness, whose slices all differ: float32 `[600, 2]`."""
    loudness = np.repeat([1e-4, 0.1, 1e-4, 0.02, 0.3, 1e-4], 100)[:, None]
    return (loudness * np.random.default_rng(5).uniform(-1, 1, [600, 2])).astype(np.float32)


def loud_offsets(x, min_level_db, pad_end, gain=1.0):
    """The offsets whose slice has at least this RMS, one by one."""
    padded = np.concatenate([gain * x.astype(np.float64), np.zeros([SLICE_LEN - 1, x.shape[1]])])
    offsets = range(len(x) if pad_end else len(x) - SLICE_LEN + 1)
    rms = np.array([np.sqrt(np.mean(np.square(padded[offset : offset + SLICE_LEN]))) for offset in offsets])
    with np.errstate(divide="ignore"):
        return np.flatnonzero(20 * np.log10(rms) >= min_level_db)


@pytest.mark.parametrize("min_level_db", [-200, -60, -40, -25, -16])
@pytest.mark.parametrize(("pad_end", "normalize"), [(False, False), (True, False), (False, True)])
def test_min_level_allows_what_is_loud_enough(tmp_path, min_level_db, pad_end, normalize):
    x = level_signal()
    recordings = [store(tmp_path / "x", x)]
    gain = 1 / np.abs(x).max() if normalize else 1.0
    allowed = loud_offsets(x, min_level_db, pad_end, gain)
    slices = Slices(recordings, SLICE_LEN, 0.5, pad_end=pad_end, normalize=normalize, min_level_db=min_level_db)
    everything = Slices(recordings, SLICE_LEN, 0.5, pad_end=pad_end, normalize=normalize)
    offset_of = {sample: offset for offset, sample in enumerate((x * np.float32(gain))[:, 0].tolist())}
    counts = np.zeros(len(x), int)
    np.add.at(counts, [offset_of[sample] for sample in slices.read(0, 12_000)[:, 0, 0].tolist()], 1)
    assert set(np.flatnonzero(counts)) == set(allowed)
    assert scipy.stats.chisquare(counts[allowed]).pvalue > 1e-4
    assert slices.silent_per_epoch == everything.per_epoch - slices.per_epoch
    text = loader.table(recordings, [], slices, 16000)
    assert ("silent slices" in text) == (slices.silent_per_epoch > 0)
    assert f"{slices.silent_per_epoch} an epoch left out" in text or not slices.silent_per_epoch


def test_min_level_of_a_long_recording(tmp_path):
    """Loud and silent parts on both sides of 2^20 frames, where reading goes on in another block."""
    frames, loud = (1 << 20) + 5000, [(100, 1000), ((1 << 20) - 500, (1 << 20) + 700), ((1 << 20) + 3000, None)]
    x = np.zeros([frames, 1], np.float32)
    for start, end in loud:
        x[start:end] = 0.5
    slices = Slices([store(tmp_path / "x", x)], SLICE_LEN, min_level_db=20 * np.log10(0.5 * 0.999))
    _, offsets = slices.locate(np.arange(100_000))
    expected = [range(start, (end or frames) - SLICE_LEN + 1) for start, end in loud]
    assert set(offsets) == set().union(*expected)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), min_level_db=st.floats(-12, -9))
def test_min_level_never_makes_an_epoch_longer(seed, min_level_db):
    """Not even where the level crosses the limit all the time."""
    x = np.random.default_rng(seed).standard_normal([1000, 1]).astype(np.float32) * 0.3
    with tempfile.TemporaryDirectory() as folder:
        recordings = [store(pathlib.Path(folder, "x"), x)]
        everything = Slices(recordings, SLICE_LEN).per_epoch
        try:
            slices = Slices(recordings, SLICE_LEN, min_level_db=min_level_db)
        except UserError:
            assert not len(loud_offsets(x, min_level_db, False))
            return
    assert slices.per_epoch + slices.silent_per_epoch == everything


def test_all_silent(tmp_path):
    with pytest.raises(UserError, match=r"--data_min_level_db. Received: -20"):
        Slices([store(tmp_path / "x", level_signal() * 0.01)], SLICE_LEN, min_level_db=-20)


@pytest.mark.parametrize("damage", [os.unlink, lambda path: os.truncate(path, 100)], ids=["deleted", "truncated"])
def test_cache_that_goes_away_while_training(tmp_path, damage):
    (recording,) = make_ramps(tmp_path, [100])
    slices = Slices([recording], 100)
    assert slices.read(0, 2).shape == (2, 100, 1) and slices.error is None
    damage(recording.pcm.path)
    with pytest.raises(UserError, match=r"decoded recordings have gone: .*100\.f32.*Run again") as raised:
        slices.read(2, 2)
    assert slices.error is raised.value


# The table.


def square_wave(frames, channels):
    return np.tile(0.5 * (-1.0) ** np.arange(frames)[:, None], channels)


def test_table(tmp_path):
    recordings = [
        store(tmp_path / "a", square_wave(16000 * 90, 2), source_rate_hz=44100),
        store(tmp_path / "b", square_wave(16000 * 60, 2), source_rate_hz=8000),
        store(tmp_path / "c", square_wave(100, 2) / 10, source_rate_hz=44100),
    ]
    left_out = [LeftOut(f"bad{i}.wav", f"reason {i}") for i in range(12)]
    slices = Slices(recordings, 16384)
    for most, shown in ((10, 10), (None, 12)):
        rows = loader.table(recordings, left_out, slices, 16000, most).splitlines()
        rows = [tuple(part.strip() for part in row.strip().split("  ", 1)) for row in rows]
        assert rows[:6] == [
            ("recordings", "3, 2.5 min"),
            ("sample rates", "8000 Hz, 44100 Hz -> 16000 Hz"),
            ("channels", "2 -> 2"),
            ("levels", "RMS -26 to -6 dB, peak -6 dB"),
            ("slices an epoch", f"{slices.per_epoch} of 1.02 s"),
            ("too short", "1 recordings left out"),
        ]
        assert rows[6 : 6 + shown] == [("left out", f"bad{i}.wav: reason {i}") for i in range(shown)]
        more = [("left out", "and 2 more; wavegan check FOLDER lists all")] if most else []
        assert rows[6 + shown :] == more


@pytest.mark.parametrize(("seconds", "text"), [(60, "60.0 s"), (600, "10.0 min"), (9000, "2.50 h")])
def test_table_tells_the_length(tmp_path, seconds, text):
    recordings = [store(tmp_path / "a", np.ones([seconds, 1]))]
    assert f"1, {text}" in loader.table(recordings, [], Slices(recordings, 10), sample_rate_hz=1)


def test_real_table(recordings):
    (recordings / "empty.wav").touch()
    used, left_out = loader.open_recordings(recordings)
    text = loader.table(used, left_out, Slices(used, 4096), 16000)
    for part in ["2, 7.0 s", "16000 Hz, 44100 Hz -> 16000 Hz", "1, 2 -> 1", "empty.wav: empty file"]:
        assert part in text
