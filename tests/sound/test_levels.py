"""Levels of recordings against what is computed of all samples at once, and what the table says of those that cannot
teach."""

import itertools
import re
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import loader
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound.levels import LevelMeter

RATE_HZ = 1000
"""Silence counts from a hundred samples on."""


def silent_share(x, least):
    """Share of samples in runs of zeros that are long enough, run by run."""
    runs = [(still, len(list(run))) for still, run in itertools.groupby((x == 0).all(axis=1).tolist())]
    return sum(length for still, length in runs if still and length >= least) / len(x)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    channels=st.integers(1, 3),
    frames=st.integers(1, 1500),
    cuts=st.lists(st.integers(0, 1500), max_size=6),
    runs=st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 400)), max_size=4),
)
def test_levels_do_not_depend_on_blocks(seed, channels, frames, cuts, runs):
    random = np.random.default_rng(seed)
    x = (0.1 + 0.3 * random.standard_normal([frames, channels])).astype(np.float32)
    for start, length in runs:
        x[start : start + length] = 0
    meter = LevelMeter(RATE_HZ, channels)
    for block in np.split(x, sorted(min(cut, frames) for cut in cuts)):
        meter.add(block)
    levels, exact = meter.read(), x.astype(np.float64)
    means = exact.mean(axis=0)
    assert levels.peak == np.abs(x).max()
    assert levels.rms == pytest.approx(np.sqrt(exact.var(axis=0).mean()), abs=1e-7)
    assert levels.offset == pytest.approx(means[np.abs(means).argmax()], abs=1e-9)
    assert levels.silent == pytest.approx(silent_share(x, RATE_HZ // 10))


def noise(seconds=2.0, rate_hz=16000, level=0.1, channels=1):
    x = np.random.default_rng(0).standard_normal([int(seconds * rate_hz), channels])
    return np.clip(level * x, -1, 1)


def cut_to_zero(x, start, stop):
    x[int(start * len(x)) : int(stop * len(x))] = 0
    return x


UNITS, MEAN, SILENCE, QUIET, CLIPPED = "where a model", "an offset", "digital silence", "below -70 dB", "clipped"


@pytest.mark.parametrize(
    ("x", "rate_hz", "subtype", "said"),
    [
        (noise(), 16000, "PCM_16", []),
        (0.05 * np.sin(np.arange(44100)[:, None] / 9), 44100, "PCM_16", []),
        (noise() * 32768, 16000, "FLOAT", [UNITS]),
        (noise(rate_hz=44100, channels=2) * 32768, 44100, "FLOAT", [UNITS]),
        (0.5 + noise(level=0.05), 16000, "PCM_16", [MEAN]),
        (-0.02 + noise(level=0.02), 44100, "PCM_24", [MEAN]),
        (cut_to_zero(noise(), 0.3, 0.6), 16000, "PCM_16", [SILENCE]),
        (cut_to_zero(noise(channels=2, rate_hz=44100), 0.7, 1), 44100, "PCM_16", [SILENCE]),
        (noise(level=1e-4), 16000, "PCM_24", [QUIET]),
        (0.5 + noise(level=1e-4), 16000, "PCM_24", [QUIET, MEAN]),
        (noise(level=0.6), 16000, "PCM_16", [CLIPPED]),
    ],
)
def test_what_cannot_teach_is_said_with_what_helps(tmp_path, x, rate_hz, subtype, said):
    """The command that is printed does what it says: of what it writes nothing is said."""
    data_dir = tmp_path / "the rain"
    data_dir.mkdir()
    soundfile.write(data_dir / "it's $1.wav", x, rate_hz, subtype)
    notes = notes_of(data_dir)
    assert [next(each for each in (UNITS, MEAN, SILENCE, QUIET, CLIPPED) if each in note) for note in notes] == said
    assert all("it's $1.wav: " in note for note in notes)
    flags = dict.fromkeys(re.findall(r"--data_(\w+)", " ".join(notes)))
    options = {"normalize": True, "min_level_db": -70}
    assert notes_of(data_dir, **{name: options[name] for name in flags}) == [n for n in notes if "--data" not in n]
    for note in notes:
        if "ffmpeg" in note:
            command = note[note.index("ffmpeg") :].replace("ffmpeg", "ffmpeg -loglevel error", 1)
            (tmp_path / "new").mkdir()
            subprocess.run(["bash", "-c", command.replace("NEW.wav", "new/x.wav")], cwd=tmp_path, check=True)
            kind = next(each for each in (UNITS, MEAN, CLIPPED) if each in note)
            assert kind == CLIPPED or not [note for note in notes_of(tmp_path / "new") if kind in note]


def notes_of(data_dir, **options):
    """The notes of the table."""
    used, left_out = loader.open_recordings(data_dir)
    text = loader.table(used, left_out, loader.Slices(used, 4096, **options), 16000)
    return re.findall("^  note  +(.*)$", text, re.MULTILINE)


def test_row_of_levels(tmp_path):
    """A full-scale sine has an RMS of -3 dB."""
    sine = np.sin(np.arange(32000) * 0.3)
    for name, gain in {"a": 0.5, "b": 0.005, "c": 0}.items():
        soundfile.write(tmp_path / f"{name}.wav", gain * sine, 16000, "PCM_24")
    used, _ = loader.open_recordings(tmp_path)
    text = loader.table(used, [], loader.Slices(used, 4096), 16000)
    assert "  levels           RMS -49 to -9 dB, peak -6 dB\n" in text


def test_few_recordings_are_named(tmp_path):
    for number in range(5):
        soundfile.write(tmp_path / f"{number}.wav", noise() + 0.5, 16000)
    (note,) = notes_of(tmp_path)
    assert note.startswith("0.wav, 1.wav, 2.wav and 2 more: an offset of 0.5,")


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_nothing_but_silence_is_a_mistake(tmp_path, rate_hz):
    soundfile.write(tmp_path / "a.wav", np.zeros(rate_hz // 20), rate_hz)
    soundfile.write(tmp_path / "b.flac", np.zeros([rate_hz, 2]), rate_hz)
    with pytest.raises(UserError, match=r"digital silence, .* in 2 recordings\. Received: --data_dir"):
        loader.open_recordings(tmp_path)
    soundfile.write(tmp_path / "c.wav", np.full(rate_hz, 0.25), rate_hz)
    assert [MEAN in note or SILENCE in note for note in notes_of(tmp_path)] == [True, True]


@pytest.mark.filterwarnings("error")
def test_samples_that_are_too_large_to_be_mixed(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(), 16000)
    soundfile.write(tmp_path / "huge.wav", np.full([1000, 2], 3e38, np.float32), 16000, "FLOAT")
    used, left_out = loader.open_recordings(tmp_path)
    assert [each.name for each in used] == ["a.wav"]
    assert left_out == [loader.LeftOut("huge.wav", "holds samples that are too large")]
