"""From trained models to a finished file: the command line of generate.py."""

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import types

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import ROOT
from processes import tiny_settings, wait_until

from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.rendering import blocks, formats, levelling
from wavegan_asmr.rendering.encoding import Output
from wavegan_asmr.rendering.writing import Seams
from wavegan_asmr.sound import repetition
from wavegan_asmr.train_dir import Best, TrainDir
from wavegan_asmr.training import loop

RATES_HZ = {"rain": 16000, "waves": 8000}
SLICE_LEN = 4096
SLICE_S = SLICE_LEN / RATES_HZ["rain"]
SECONDS = 20
LENGTH = f"--minutes={SECONDS / 60}"
FRAMES = SECONDS * RATES_HZ["rain"]
QUICK_LOOP = ["--candidates=2", "--fade_out_s=1"]
QUICK = [*QUICK_LOOP, "--fade_in_s=1"]

MEASURE_MEMORY = """
import sys

import fakes

from wavegan_asmr import progress
from wavegan_asmr.rendering import models, render
from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings

models.Generator = fakes.generators(data_slice_len=1 << 16, data_sample_rate=8000)
output = OutputSettings(out=sys.argv[1], overwrite=True)
peaks = []
for minutes in (5, 60):
    render.render(["noise"], output, RenderSettings(candidates=2, seconds=60.0 * minutes))
    peaks.append(progress.peak_memory_bytes())
print(peaks[1] - peaks[0])
"""


def trainer_of(train_dir):
    """Trainer of a `TrainDir`, and the step of its newest checkpoint, which is restored."""
    config = train_dir.read_config()
    trainer = family_of(config).make_trainer(config, tf.distribute.OneDeviceStrategy("/cpu:0"))
    return trainer, train_dir.restore(trainer.checkpoint)


def amplify(path, factor):
    """Multiplies the last kernel of the generator of a TRAIN_DIR, in its newest checkpoint."""
    train_dir = TrainDir(path)
    trainer, step = trainer_of(train_dir)
    for part in (trainer.generator, trainer.ema):
        kernel = [each for each in part.trainable_variables if each.path.endswith("kernel")][-1]
        kernel.assign(kernel.value * factor)
    train_dir.save(trainer.checkpoint, step, keep=1)


def level(path):
    """RMS of what a TRAIN_DIR generates."""
    generator = Generator(TrainDir(path))
    z = np.random.default_rng(0).uniform(-1, 1, [64, 4]).astype(np.float32)
    return float(np.sqrt(np.mean(np.square(generator.generate(z)))))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of two trained models, "rain" and "waves", which no test changes."""
    folder = tmp_path_factory.mktemp("models")
    for seed, (name, rate_hz) in enumerate(RATES_HZ.items()):
        more = {"train_max_steps": 2, "train_seed": seed, "data_sample_rate": rate_hz, "train_keep": 1}
        loop.train(folder / name, tiny_settings(folder, **more))
        # A model that was hardly trained is almost silent.
        amplify(folder / name, 0.1 / level(folder / name))
        assert level(folder / name) > 0.01
    return folder


@pytest.fixture
def rain(models):
    return models / "rain"


@pytest.fixture
def rain_copy(models, tmp_path):
    """A copy of a model to change."""
    return shutil.copytree(models / "rain", tmp_path / "rain")


@pytest.fixture
def generate(run_here, tmp_path):
    """Function: generate.py in this process; returns the path of the file."""

    def run(*arguments, name="asmr.wav"):
        process = run_here("generate.py", *arguments, "--out", tmp_path / name)
        assert process.returncode == 0, process.stderr
        return tmp_path / name

    return run


@pytest.fixture
def mistake(run_here):
    """Function: generate.py must end with 2 and one line about a mistake, which is returned."""

    def run(*arguments):
        process = run_here("generate.py", *arguments)
        assert process.returncode == 2, process.stderr
        assert "Traceback" not in process.stderr and process.stderr.count("generate.py: ") == 1
        last = process.stderr.splitlines()[-1]
        assert last.startswith("generate.py: ")
        return last

    return run


@contextlib.contextmanager
def stdout_into(path):
    """Context in which all that is written to stdout goes to a file."""
    saved = os.dup(1)
    with open(path, "wb") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)


def read(path, dtype="int16"):
    return soundfile.read(path, dtype=dtype, always_2d=True)[0]


def read_manifest(path):
    return json.loads(path.with_suffix(".json").read_text())


def probe(path):
    """Rate, channels and seconds of a file as ffprobe tells them."""
    line = "ffprobe -v error -show_entries stream=sample_rate,channels:format=duration -of json".split()
    found = json.loads(subprocess.run([*line, path], capture_output=True, check=True).stdout)
    stream = found["streams"][0]
    return int(stream["sample_rate"]), stream["channels"], float(found["format"]["duration"])


def visible(folder):
    """Names of the files that a user sees."""
    return {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}


# Files.


@pytest.mark.parametrize(
    ("extension", "flags", "rate_hz", "channels", "subtype"),
    [
        (".wav", [], 16000, 1, "PCM_16"),
        (".wav", ["--bits=24", "--stereo=0.5"], 16000, 2, "PCM_24"),
        (".flac", ["--sample_rate=44100"], 44100, 1, "PCM_16"),
        (".FLAC", ["--bits=24"], 16000, 1, "PCM_24"),
        (".ogg", ["--stereo=1"], 16000, 2, "VORBIS"),
        (".opus", ["--sample_rate=48000"], 48000, 1, "OPUS"),
        (".mp3", ["--sample_rate=44100", "--stereo=0"], 44100, 2, "MPEG_LAYER_III"),
    ],
)
def test_formats(generate, rain, extension, flags, rate_hz, channels, subtype):
    path = generate(rain, LENGTH, *QUICK, *flags, name=f"asmr{extension}")
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (rate_hz, channels, subtype)
    assert info.duration == pytest.approx(SECONDS, abs=0 if "PCM" in subtype else 0.1)
    assert probe(path) == (rate_hz, channels, pytest.approx(SECONDS, abs=0.1))
    x = read(path, "float32")
    assert np.isfinite(x).all() and np.abs(x).max() < 10 ** (-3 / 20)
    seconds = x[: len(x) // rate_hz * rate_hz].reshape(-1, rate_hz * channels)[1 : SECONDS - 1]
    assert (np.abs(20 * np.log10(seconds.std(axis=1)) + 30) < 10).all()
    assert visible(path.parent) == {path.name, "asmr.json", "asmr.png"}


def test_what_a_user_sees(command, generate, rain, tmp_path):
    """The real command line; what it writes is what the same command writes elsewhere."""
    process = command("generate.py", rain, LENGTH, *QUICK, "--out", "rain.flac", "--seed=3", cwd=tmp_path)
    assert process.stdout == ""
    assert [line.split()[0] for line in process.stderr.splitlines()] == ["pilot", "done"], process.stderr
    for text in ("rain.flac: 0:20", "target -30", "ceiling -3", "pieces left out", "x real time"):
        assert text in process.stderr.splitlines()[-1]
    assert visible(tmp_path) == {"rain.flac", "rain.json", "rain.png"}
    again = generate(rain, LENGTH, *QUICK, "--seed=3", name="again.flac")
    assert again.read_bytes() == (tmp_path / "rain.flac").read_bytes()
    assert read_manifest(again)["pieces"] == read_manifest(tmp_path / "rain.flac")["pieces"]
    other = generate(rain, LENGTH, *QUICK, "--seed=4", name="other.flac")
    assert (read(other) != read(again)).any()


@pytest.mark.parametrize("flags", [[], ["--latents=walk", "--align"], ["--stereo=0.7"]])
def test_the_same_command_writes_the_same_bytes(generate, rain, flags):
    first, second = (generate(rain, LENGTH, *QUICK, *flags, name=f"{name}.wav") for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert read_manifest(first)["pieces"] == read_manifest(second)["pieces"]


# A length that is a whole number of neither the blocks nor the columns of the picture.
@pytest.mark.parametrize("seconds", [0.5, 2.3, 6.6, 12.3, (131072 + 100) / 16000])
def test_any_length(generate, rain, seconds):
    path = generate(rain, f"--minutes={seconds / 60!r}", *QUICK)
    assert soundfile.info(path).frames == round(seconds * 16000)
    assert np.abs(read(path)).max() > 100


def test_no_fades(generate, rain):
    path = generate(rain, LENGTH, "--fade_s=0", "--fade_in_s=0", "--fade_out_s=0")
    x = read(path)
    assert len(x) == FRAMES and x[:100].any() and x[-100:].any()


# Level.


@pytest.mark.parametrize("flags", [[], ["--stereo=1"], ["--lufs=-20", "--peak_dbtp=-1"], ["--sample_rate=44100"]])
def test_loudness(generate, rain, flags):
    path = generate(rain, "--minutes=1", *QUICK, *flags)
    settings = read_manifest(path)["settings"]
    x, rate_hz = soundfile.read(path)
    assert pyloudnorm.Meter(rate_hz).integrated_loudness(x) == pytest.approx(settings["lufs"], abs=1)
    assert read_manifest(path)["result"]["lufs"] == pytest.approx(settings["lufs"], abs=1)


@pytest.mark.parametrize(
    "flags", [["--layout=mix"], ["--layout=mix", "--gains_db=0,-12"], ["--stretch_s=6", "--model_fade_s=1"]]
)
def test_loudness_of_several_models(generate, models, flags):
    path = generate(models / "rain", models / "waves", "--minutes=1", *QUICK, *flags)
    x, rate_hz = soundfile.read(path)
    assert pyloudnorm.Meter(rate_hz).integrated_loudness(x) == pytest.approx(-30, abs=1)


@pytest.mark.parametrize("ceiling_db", [-3, -12])
def test_true_peak_is_below_the_ceiling(generate, rain, ceiling_db):
    path = generate(rain, LENGTH, *QUICK, "--lufs=-8", f"--peak_dbtp={ceiling_db}")
    x, _ = soundfile.read(path)
    peak_db = 20 * np.log10(np.abs(scipy.signal.resample_poly(x, 4, 1)).max())
    assert ceiling_db - 1 < peak_db <= ceiling_db + 0.05
    assert read_manifest(path)["result"]["true_peak_db"] == pytest.approx(peak_db, abs=0.1)


def test_gains_of_models(generate, models):
    """In a mix, the second model is as much below the first as asked."""
    manifest = read_manifest(generate(models / "rain", models / "waves", LENGTH, *QUICK, "--layout=mix"))
    other = generate(models / "rain", models / "waves", LENGTH, *QUICK, "--layout=mix", "--gains_db=0,-6", name="b.wav")
    differences = np.subtract(read_manifest(other)["line_gains_db"], manifest["line_gains_db"])
    assert differences == pytest.approx([0, -6], abs=0.01)


def decoded_by_soundfile(path):
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def decoded_by_ffmpeg(path):
    line = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "pipe:1"]
    samples = subprocess.run(line, capture_output=True, check=True).stdout
    return np.frombuffer(samples, "<f4").reshape(-1, probe(path)[1])


# At -10 LUFS the limiter holds many peaks, which codecs overshoot.
@pytest.mark.parametrize("flags", [["--lufs=-30"], ["--lufs=-10", "--peak_dbtp=-4", "--stereo=1"]])
@pytest.mark.parametrize(
    ("name", "rate_hz", "decode"),
    [
        ("asmr.ogg", 16000, decoded_by_soundfile),
        ("asmr.mp3", 44100, decoded_by_soundfile),
        ("asmr.mp3", 16000, decoded_by_ffmpeg),
        ("asmr.opus", 16000, decoded_by_ffmpeg),
        ("asmr.m4a", 44100, decoded_by_ffmpeg),
    ],
)
def test_figures_of_a_lossy_file_are_those_of_its_decoded_sound(run_here, rain, tmp_path, name, rate_hz, decode, flags):
    path = tmp_path / name
    process = run_here("generate.py", rain, LENGTH, *QUICK, *flags, f"--sample_rate={rate_hz}", "--out", path)
    assert process.returncode == 0, process.stderr
    x = decode(path)
    # ffmpeg decodes Opus at 48 kHz, where the curve has more points and the K-weighting another slope.
    is_finer = decode is decoded_by_ffmpeg and path.suffix == ".opus"
    decoded_rate_hz, tolerance_db = (48000, 1) if is_finer else (rate_hz, 0.2)
    peak_db = 20 * np.log10(np.abs(scipy.signal.resample_poly(x, 4, 1)).max())
    lufs = pyloudnorm.Meter(decoded_rate_hz).integrated_loudness(x)
    manifest = read_manifest(path)
    settings, result = manifest["settings"], manifest["result"]
    assert peak_db <= settings["peak_dbtp"] + 0.1
    assert result["true_peak_db"] == pytest.approx(peak_db, abs=tolerance_db)
    assert result["lufs"] == pytest.approx(lufs, abs=tolerance_db)
    assert f"{result['lufs']:.1f} LUFS" in process.stderr and f"{result['true_peak_db']:.1f} dBTP" in process.stderr
    if "--lufs=-30" in flags:
        assert lufs == pytest.approx(-30, abs=1)
        assert "warning" not in process.stderr
    else:
        assert peak_db > settings["peak_dbtp"] - 3
        assert "softer than --lufs=-10, since its peaks are held" in process.stderr


def test_a_lossy_file_above_the_ceiling_is_told(run_here, monkeypatch, rain, tmp_path):
    """Where the codec overshoots by more than on the seconds on which it was measured."""
    monkeypatch.setattr(levelling, "measure_codec", lambda *arguments: (0.0, -1.0))
    flags = ["--lufs=-8", "--peak_dbtp=-3", "--out", tmp_path / "asmr.ogg"]
    process = run_here("generate.py", rain, LENGTH, *QUICK, *flags)
    assert process.returncode == 0
    above_db = read_manifest(tmp_path / "asmr.ogg")["result"]["true_peak_db"] + 3
    assert above_db > 1
    assert f"its true peak is {above_db:.1f} dB above the ceiling" in process.stderr
    assert f"--peak_dbtp={-3 - above_db - 0.1:.1f}" in process.stderr


def test_ctrl_c_while_a_lossy_file_is_checked(run_here, monkeypatch, rain, tmp_path):
    decode = Output.decode

    def interrupt(output, file):
        # What the codec does to a sound is measured in memory.
        if not isinstance(file, str):
            yield from decode(output, file)
            return
        yield np.zeros([1000, 1], np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr(Output, "decode", interrupt)
    line = ["generate.py", rain, LENGTH, *QUICK, "--out", tmp_path / "asmr.ogg"]
    assert run_here(*line).stderr.endswith("stopped\n")
    assert not list(tmp_path.iterdir())
    assert run_here(*line, "--keep_partial").returncode == 0
    assert soundfile.info(tmp_path / "asmr.ogg").duration == pytest.approx(SECONDS, abs=0.1)


# The startle guard.


@pytest.mark.parametrize(
    ("flags", "skip_s"),
    [
        (["--max_jump_db=2"], 1),
        (["--max_jump_db=2", "--latents=walk", "--walk_s=2", "--stereo=0.5"], 1),
        (["--max_jump_db=2", "--layout=mix"], 1),
        (["--max_jump_db=2", "--stretch_s=6", "--model_fade_s=1", "--gains_db=0,-15"], 1),
        (["--max_jump_db=2", "--loop"], 0),
        (["--max_jump_db=2", "--fade_in_s=0"], 0),
    ],
    ids="random walk mix sequence loop no-fade-in".split(),
)
def test_largest_rise_of_the_finished_file(run_here, models, tmp_path, flags, skip_s):
    """Measured on the file by pyloudnorm's filter, by the definition in docs/generating.md."""
    names = [models / "rain", models / "waves"] if {"--layout=mix", "--stretch_s=6"} & {*flags} else [models / "rain"]
    path = tmp_path / "asmr.wav"
    quick = QUICK_LOOP if "--loop" in flags else QUICK
    process = run_here("generate.py", *names, "--minutes=0.75", *quick, *flags, "--out", path)
    assert process.returncode == 0, process.stderr
    x, rate_hz = soundfile.read(path, always_2d=True)
    if "--loop" in flags:
        x = np.concatenate([x, x[: 6 * rate_hz]])
    for stage in pyloudnorm.Meter(rate_hz)._filters.values():
        x = scipy.signal.lfilter(stage.b, stage.a, x, axis=0)
    x = x[skip_s * rate_hz :]
    hops = (x[: len(x) // 1600 * 1600] ** 2).reshape(-1, 1600, x.shape[1]).mean(axis=1).sum(axis=1)
    loudness = 10 * np.log10(np.convolve(hops, np.ones(30) / 30, "valid"))
    rise_db = max(loudness[t] - loudness[max(0, t - 30) : t].min() for t in range(1, len(loudness)))
    assert 0 < rise_db <= 2 + 0.1
    result = read_manifest(path)["result"]
    assert result["largest_rise_db"] == pytest.approx(rise_db, abs=0.05)
    assert f"largest rise {result['largest_rise_db']:.1f} dB (at most 2)" in process.stderr


# The manifest and the picture.


def test_manifest_and_picture(generate, models):
    names = [models / "rain", models / "waves"]
    path = generate(*names, LENGTH, *QUICK, "--layout=mix", "--seed=7")
    manifest = read_manifest(path)
    settings = manifest["settings"]
    assert (settings["seed"], settings["layout"], settings["candidates"], settings["lufs"]) == (7, "mix", 2, -30)
    assert (manifest["sample_rate_hz"], manifest["channels"], manifest["frames"]) == (16000, 1, FRAMES)
    assert [model["train_dir"] for model in manifest["models"]] == list(map(str, names))
    assert [model["step"] for model in manifest["models"]] == [2, 2]
    digests = {model["digest"] for model in manifest["models"]}
    assert len(digests) == 2 and all(len(digest) == 64 for digest in digests)
    assert manifest["result"]["seconds"] == SECONDS
    starts = [piece["start"] for piece in manifest["pieces"]]
    assert starts == sorted(starts) and starts[-1] < FRAMES
    for piece in manifest["pieces"]:
        assert {"line", "index", "start", "start_s", "gains_db", "skip", "turn"} <= piece.keys()
        assert piece["start_s"] == pytest.approx(piece["start"] / 16000, abs=1e-3)
    for line in range(2):
        own = [piece for piece in manifest["pieces"] if piece["line"] == line]
        assert len({piece["index"] for piece in own}) == len(own)
        hops = {b["start"] - a["start"] for a, b in itertools.pairwise(own)}
        piece_len = SLICE_LEN * (1 + line)
        assert hops == {piece_len - SLICE_LEN // 4}
    picture = path.with_suffix(".png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 800 and height > 400


# What the manifest promises.


def quietest_lufs(x, rate_hz):
    """Of 3 s, one every 100 ms, by pyloudnorm's filter."""
    for stage in pyloudnorm.Meter(rate_hz)._filters.values():
        x = stage.passband_gain * scipy.signal.lfilter(stage.b, stage.a, x, axis=0)
    hop = rate_hz // 10
    hops = (x[: len(x) // hop * hop] ** 2).reshape(-1, hop, x.shape[1]).mean(axis=1).sum(axis=1)
    return -0.691 + 10 * np.log10(np.convolve(hops, np.ones(30) / 30, "valid"))


@pytest.mark.parametrize("flags", [["--fade_in_s=2", "--fade_out_s=3", "--candidates=2"], [*QUICK_LOOP, "--loop"]])
def test_the_quietest_3_seconds_between_the_fades(generate, rain, flags):
    path = generate(rain, LENGTH, *flags)
    x, rate_hz = soundfile.read(path, always_2d=True)
    every = quietest_lufs(x, rate_hz)
    expected = every.min() if "--loop" in flags else every[20:-30].min()
    assert read_manifest(path)["result"]["quietest_lufs"] == pytest.approx(expected, abs=0.05)
    assert "--loop" in flags or expected > every.min() + 1


def test_there_is_no_quietest_stretch_of_a_short_file(generate, rain):
    path = generate(rain, f"--minutes={4 / 60}", *QUICK)
    assert read_manifest(path)["result"]["quietest_lufs"] is None


@pytest.mark.parametrize("fade", [0, 2000])
def test_seams_that_are_heard_are_told(fade):
    """Of pieces that are as loud as each other, and of those that are not, joined without care."""
    random, length = np.random.default_rng(0), 12000
    starts = range(1000, 120_000, length)
    seams, heard = Seams(16000, fade), Seams(16000, fade)
    for _ in range(30):
        x = random.normal(0, 0.1, [130_000, 2]).astype(np.float32)
        seams.add(x, list(starts))
        for start in list(starts)[::2]:
            x[start + fade // 2 : start + fade // 2 + length] *= 0.1
        heard.add(x, list(starts))
    even, figures = seams.figures(), heard.figures()
    assert even["seam_change_db"] == pytest.approx(even["other_change_db"], abs=0.3)
    assert figures["seam_change_db"] > figures["other_change_db"] + 5
    assert Seams(16000, fade).figures() == {"seam_change_db": None, "other_change_db": None}


@pytest.mark.parametrize("layout", ["sequence", "mix"])
def test_seams_are_measured(generate, models, layout):
    path = generate(models / "rain", models / "waves", "--minutes=1", *QUICK, f"--layout={layout}")
    result = read_manifest(path)["result"]
    assert 0 < result["other_change_db"] < 20 and 0 < result["seam_change_db"] < 20


@pytest.mark.parametrize(
    "name",
    [
        "asmr.wav",
        "asmr.opus",
        *(pytest.param(f"asmr.{each}", marks=pytest.mark.slow) for each in ("flac", "ogg", "mp3", "m4a")),
    ],
)
def test_how_much_comes_again(run_here, rain, tmp_path, name):
    """What `wavegan repeats` says of the finished file."""
    line = ["generate.py", rain, LENGTH, *QUICK, "--measure_repeats", "--sample_rate=48000", "--out", tmp_path / name]
    process = run_here(*line)
    assert process.returncode == 0, process.stderr
    found = repetition.measure(tmp_path / name)
    result = read_manifest(tmp_path / name)["result"]
    assert result["repeats"] == {f"{length:g}": share for length, share in found.shares.items()}
    assert result["longest_repeat_s"] == found.longest_s
    assert result["repeats_in_2_s"] == found.periodic
    said = [line for line in process.stderr.splitlines() if line.startswith("repeats   of it comes again: ")]
    assert len(said) == 1 and f"{found.shares[0.5]:.1%} in stretches of 0.5 s" in said[0]


def test_nothing_else_changes_where_it_is_measured(generate, rain):
    path = generate(rain, f"--minutes={3 / 60}", *QUICK, "--measure_repeats")
    assert read_manifest(path)["result"]["repeats"] is None
    plain = generate(rain, f"--minutes={3 / 60}", *QUICK, name="plain.wav")
    assert plain.read_bytes() == path.read_bytes()


def test_repeats_are_told_of_a_file_only(mistake, rain, generate):
    assert "--measure_repeats tells it in the manifest" in mistake(rain, LENGTH, "--measure_repeats", "--out=-")
    path = generate(rain, LENGTH, *QUICK)
    assert "--measure_repeats has no effect" in mistake("--from", path, "--measure_repeats", "--out", "b.wav")


def test_ctrl_c_while_it_is_measured(run_here, monkeypatch, rain, tmp_path):
    def interrupt(path, advance):
        raise KeyboardInterrupt

    monkeypatch.setattr(repetition, "measure", interrupt)
    line = ["generate.py", rain, LENGTH, *QUICK, "--measure_repeats", "--out", tmp_path / "asmr.wav"]
    assert run_here(*line).stderr.endswith("stopped\n")
    assert not list(tmp_path.iterdir())
    assert run_here(*line, "--keep_partial").returncode == 0
    assert read_manifest(tmp_path / "asmr.wav")["result"]["repeats"] is None


# A stretch again.

TWO = ["--model_fade_s=1", "--stretch_s=4"]


@pytest.mark.parametrize(
    ("names", "flags"),
    [
        ("rain", []),
        ("rain", ["--stereo=0.8", "--bits=24"]),
        ("rain waves", ["--layout=mix", "--gains_db=0,-6"]),
        ("rain waves", TWO),
        ("rain waves", [*TWO, "--loop", "--stereo=1"]),
        ("rain", ["--loop"]),
        ("rain", ["--latents=walk", "--walk_s=5", "--align"]),
        ("waves", ["--lufs=-8", "--sample_rate=16000", "--max_jump_db=1"]),
        ("rain", ["--precision=mixed_bfloat16"]),
    ],
    ids="mono stereo mix sequence sequence-loop loop walk limited bfloat16".split(),
)
def test_a_stretch_again(generate, models, names, flags):
    quick = QUICK_LOOP if "--loop" in flags else QUICK
    long = generate(*(models / name for name in names.split()), LENGTH, *quick, *flags)
    whole = read(long, "int32")
    assert len(whole) == FRAMES
    # Over the seam of two blocks; from the beginning; to the end; all.
    for number, (start, end) in enumerate([("7.25", "0:00:09.5"), (None, "0:01"), ("0:18.5", None), (None, None)]):
        times = [f"--{name}={text}" for name, text in (("start", start), ("end", end)) if text]
        stretch = generate("--from", long.with_suffix(".json"), *times, name=f"stretch{number}.wav")
        first = {"7.25": 116000, "0:18.5": 296000}.get(start, 0)
        last = {"0:00:09.5": 152000, "0:01": 16000}.get(end, FRAMES)
        np.testing.assert_array_equal(read(stretch, "int32"), whole[first:last])
        assert soundfile.info(stretch).subtype == soundfile.info(long).subtype


def test_a_stretch_in_another_format(generate, rain):
    long = generate(rain, LENGTH, *QUICK)
    stretch = generate("--from", long.with_suffix(".json"), "--start=3", "--end=9", name="stretch.ogg")
    expected = read(long, "float32")[48000:144000]
    x = read(stretch, "float32")[: len(expected)]
    assert x.shape == expected.shape
    assert np.corrcoef(x[:, 0], expected[:, 0])[0, 1] > 0.7


# Checkpoints.


@pytest.fixture
def with_best(rain_copy):
    """A model with checkpoints of steps 2 and 3, of which the first is the best."""
    train_dir = TrainDir(rain_copy)
    train_dir.keep_best(Best(2, 1.0))
    trainer, _ = trainer_of(train_dir)
    kernel = trainer.ema.trainable_variables[0]
    kernel.assign(-kernel.value)
    train_dir.save(trainer.checkpoint, 3, keep=5)
    return rain_copy


def test_checkpoint(command, generate, with_best, tmp_path):
    """The real command line, and then the same stretch of the best one, which only best/ has kept."""
    newest = generate(with_best, LENGTH, *QUICK, name="newest.wav")
    command("generate.py", with_best, LENGTH, *QUICK, "--checkpoint=best", "--out=best.wav", cwd=tmp_path)
    second = generate(with_best, LENGTH, *QUICK, "--checkpoint=2", name="second.wav")
    assert read_manifest(newest)["models"][0]["step"] == 3
    best = tmp_path / "best.wav"
    assert read_manifest(best)["models"][0] == read_manifest(second)["models"][0]
    assert read_manifest(best)["models"][0]["train_dir"] == str(with_best)
    assert best.read_bytes() == second.read_bytes() != newest.read_bytes()
    for path in with_best.glob("ckpt-2.*"):
        path.unlink()
    command("generate.py", "--from=best.json", "--start=3", "--end=5", "--out=stretch.wav", cwd=tmp_path)
    np.testing.assert_array_equal(read(tmp_path / "stretch.wav"), read(best)[48000:80000])


def test_checkpoint_that_is_not_there(mistake, rain, tmp_path):
    out = [LENGTH, "--out", tmp_path / "a.wav"]
    assert "no best checkpoint yet" in mistake(rain, "--checkpoint=best", *out)
    assert "no checkpoint of step 7" in mistake(rain, "--checkpoint=7", *out)
    assert "--checkpoint must be newest, best or a step. Received: 'last'" in mistake(rain, "--checkpoint=last", *out)


# Loops.


@pytest.mark.parametrize("flags", [["--fade_out_s=4"], ["--fade_out_s=4", "--stereo=1"], ["--fade_out_s=0.05"]])
def test_a_loop_has_no_seam(generate, rain, flags):
    path = generate(rain, LENGTH, "--candidates=2", "--loop", *flags)
    x = read(path, "float32")
    assert len(x) == FRAMES
    rolled, seam = np.roll(x, FRAMES // 2, axis=0), FRAMES // 2
    steps = np.abs(np.diff(rolled, axis=0))
    assert steps[seam - 10 : seam + 10].max() <= steps.max(axis=0).min()
    windows = rolled.reshape(40, -1, x.shape[1])
    levels_db = 20 * np.log10(np.sqrt(np.mean(windows**2, axis=(1, 2))))
    others = np.delete(levels_db, [18, 19, 20, 21])
    assert others.min() - 1 < levels_db[18:22].min() and levels_db[18:22].max() < others.max() + 1


# stdout.


def test_stdout_has_the_samples_of_the_file(generate, run_here, rain, tmp_path):
    path = generate(rain, LENGTH, *QUICK, "--stereo=1")
    for bits, dtype in ((16, "<i2"), (24, None)):
        with stdout_into(tmp_path / "raw"):
            process = run_here("generate.py", rain, LENGTH, *QUICK, "--stereo=1", f"--bits={bits}", "--out=-")
        assert process.returncode == 0, process.stderr
        raw = (tmp_path / "raw").read_bytes()
        assert len(raw) == FRAMES * 2 * bits // 8
        if dtype:
            np.testing.assert_array_equal(np.frombuffer(raw, dtype).reshape(-1, 2), read(path))
        else:
            wide = np.frombuffer(raw, np.uint8).reshape(-1, 3)
            samples = np.pad(wide, [[0, 0], [1, 0]]).view("<i4").reshape(-1, 2)
            assert np.abs(samples / 2**31 - read(path) / 2**15).max() < 4 / 2**15
    assert visible(tmp_path) == {"asmr.wav", "asmr.json", "asmr.png", "raw"}


@pytest.mark.parametrize(("bits", "codec"), [(16, "pcm_s16le"), (24, "pcm_s24le")])
def test_stdout_as_wav_into_ffmpeg(run_here, rain, tmp_path, bits, codec):
    flags = ["--out=-", "--stdout_format=wav", f"--bits={bits}", "--stereo=0"]
    with stdout_into(tmp_path / "pipe.wav"):
        assert run_here("generate.py", rain, LENGTH, *QUICK, *flags).returncode == 0
    data = (tmp_path / "pipe.wav").read_bytes()
    line = "ffmpeg -v error -i pipe:0 -f wav -c:a".split()
    process = subprocess.run([*line, codec, "pipe:1"], input=data, capture_output=True, check=True)
    converted = process.stdout[process.stdout.index(b"data") + 8 :]
    assert converted == data[44:]
    assert len(converted) == FRAMES * 2 * bits // 8


def test_stdout_as_raw_samples_into_ffmpeg(rain, tmp_path):
    """Two real processes, as a user pipes them."""
    render = f"{sys.executable} {ROOT / 'generate.py'} {rain} {LENGTH} --out=- --candidates=1"
    encode = f"ffmpeg -v error -f s16le -ar 16000 -ac 1 -i pipe:0 {tmp_path / 'night.flac'}"
    process = subprocess.run(["bash", "-c", f"set -o pipefail; {render} | {encode}"], capture_output=True, timeout=300)
    assert process.returncode == 0, process.stderr
    assert len(read(tmp_path / "night.flac")) == FRAMES


def test_stdout_without_end_into_head(rain):
    script = f"{sys.executable} {ROOT / 'generate.py'} {rain} --out=- --candidates=1 | head -c 100000"
    process = subprocess.run(["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, timeout=300)
    assert process.returncode == 128 + signal.SIGPIPE, process.stderr
    assert len(process.stdout) == 100000
    assert np.frombuffer(process.stdout, "<i2").astype(float).std() > 100
    assert b"Traceback" not in process.stderr and b"Exception" not in process.stderr


# Ends before the end.


@pytest.fixture
def start_night(start_command, rain, tmp_path):
    """Function: begins a file of hours in the background; returns the process once it writes."""

    def start(*flags):
        folder = tmp_path / "night"
        folder.mkdir()
        night = ["--hours=24", "--candidates=1", "--out", folder / "night.wav", *flags]
        process = start_command("generate.py", rain, *night)
        wait_until(lambda: any(path.stat().st_size > 1e6 for path in folder.glob(".night.wav.*")), process)
        return process

    return start


def test_kill_leaves_nothing_under_the_name(start_night, tmp_path):
    process = start_night()
    process.kill()
    process.wait()
    assert visible(tmp_path / "night") == set()


def test_ctrl_c_leaves_nothing(start_night, tmp_path):
    process = start_night()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 130, output
    assert output.endswith("stopped\n") and "Traceback" not in output
    assert not list((tmp_path / "night").iterdir())


def test_ctrl_c_keeps_what_is_there(start_night, generate, rain, tmp_path):
    process = start_night("--keep_partial")
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0 and "stopped" in output, output
    assert {path.name for path in (tmp_path / "night").iterdir()} == {"night.wav", "night.json", "night.png"}
    path = tmp_path / "night" / "night.wav"
    whole, manifest = read(path), read_manifest(path)
    assert len(whole) > 16000 and manifest["result"]["seconds"] == len(whole) / 16000
    assert probe(path) == (16000, 1, pytest.approx(len(whole) / 16000, abs=0.1))
    stretch = generate("--from", path.with_suffix(".json"), "--start=1", "--end=1.5", name="stretch.wav")
    np.testing.assert_array_equal(read(stretch), whole[16000:24000])


def test_the_file_is_closed_after_its_last_block(run_here, monkeypatch, rain, tmp_path):
    """Not while the writing thread still writes, which libsndfile does not survive."""
    real_open, real_master, events = Output.open, blocks.master, []

    @contextlib.contextmanager
    def slow_open(self, *arguments):
        with real_open(self, *arguments) as write:

            def slow_write(samples):
                events.append("begin")
                wait_until(lambda: interrupted)
                write(samples)
                events.append("end")

            yield slow_write
            raise AssertionError("the interrupt was lost")

    interrupted = []

    def interrupt(composition, limit, number):
        if number == 2:
            interrupted.append(True)
            raise KeyboardInterrupt
        return real_master(composition, limit, number)

    class Recorder(soundfile.SoundFile):
        def close(self):
            events.append("close")
            super().close()

    monkeypatch.setattr(Output, "open", slow_open)
    monkeypatch.setattr(blocks, "master", interrupt)
    monkeypatch.setattr(soundfile, "SoundFile", Recorder)
    process = run_here("generate.py", rain, "--minutes=1", *QUICK, "--out", tmp_path / "asmr.wav")
    assert process.returncode == 130 and process.stderr.endswith("stopped\n")
    assert "begin" in events and "begin" not in events[events.index("close") :]
    assert events[: events.index("close")].count("begin") == events[: events.index("close")].count("end")


# Size and memory.


@pytest.mark.parametrize(("channels", "bits"), [(1, 16), (2, 24)])
def test_rf64_from_4_gb_on(channels, bits):
    frames = (2**32 - 2**16) // (channels * bits // 8)
    assert Output("night.wav", 48000, channels, bits, frames).container == "WAV"
    assert Output("night.wav", 48000, channels, bits, frames + 1).container == "RF64"
    assert Output("night.flac", 48000, channels, bits, frames + 1).container == "FLAC"


def test_rf64_is_written(monkeypatch, tmp_path):
    small = dataclasses.replace(formats.FORMATS[".wav"], most_bytes=1000)
    monkeypatch.setitem(formats.FORMATS, ".wav", small)
    output = Output(str(tmp_path / "night.wav"), 16000, 1, 16, 16000)
    x = np.random.default_rng(0).normal(0, 0.1, [16000, 1])
    with output.open() as write:
        write(output.encode(0, x))
    assert (tmp_path / "night.wav").read_bytes()[:4] == b"RF64"
    assert np.abs(read(tmp_path / "night.wav", "float64") - x).max() < 2 / 2**15
    assert probe(tmp_path / "night.wav") == (16000, 1, pytest.approx(1))


def test_memory_does_not_grow_with_the_length(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY, tmp_path / "asmr.flac"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{os.path.dirname(__file__)}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert int(process.stdout) < 50e6
    assert soundfile.info(tmp_path / "asmr.flac").duration == 3600


# Mistakes.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "--out"),
        ("{rain} --minutes=1", "--out"),
        ("--minutes=1 --out={tmp}/a.wav", "TRAIN_DIR"),
        ("{rain} --out={tmp}/a.wav", "--minutes or --hours"),
        ("{rain} --loop --out=-", "--loop needs a length"),
        ("{rain} --minutes=1 --out={tmp}/a.xyz", "'{tmp}/a.xyz'|.flac"),
        ("{rain} --minutes=1 --out={tmp}/a", "'{tmp}/a'|.flac"),
        ("{rain} --minutes=1 --out={tmp}/a.opus --sample_rate=44100", ".opus|44100|48000|--sample_rate"),
        ("{rain} --minutes=1 --out={tmp}/a.mp3 --sample_rate=96000", ".mp3|96000|48000|--sample_rate"),
        ("{rain} --minutes=1 --out={tmp}/a.flac --sample_rate=700000", "FLAC|700000"),
        ("{rain} --minutes=1 --out={tmp}/none/a.wav", "folder|{tmp}/none/a.wav"),
        ("{rain} --minutes=1 --out={tmp}/there.wav", "'{tmp}/there.wav'|--overwrite"),
        ("{tmp} --minutes=1 --out={tmp}/a.wav", "{tmp}|not a training directory"),
        ("{tmp}/none --minutes=1 --out={tmp}/a.wav", "{tmp}/none|not a training directory"),
        ("{rain} --minutes=-1 --out={tmp}/a.wav", "minutes|-1"),
        ("{rain} --minutes=nan --out={tmp}/a.wav", "minutes|nan"),
        ("{rain} --minutes=1 --gains_db=0,-6 --out={tmp}/a.wav", "--gains_db|1|'0,-6'"),
        ("{rain} {waves} --minutes=1 --gains_db=-6 --out={tmp}/a.wav", "--gains_db|2|'-6'"),
        ("{rain} {waves} --minutes=1 --gains_db=0,x --out={tmp}/a.wav", "--gains_db|'0,x'"),
        ("{rain} {waves} --minutes=1 --stretch_s=4 --model_fade_s=3 --out={tmp}/a.wav", "--stretch_s|--model_fade_s"),
        ("{rain} --minutes=1 --fade_s=0.2 --out={tmp}/a.wav", "--fade_s|4096 frames"),
        ("{rain} --minutes=1 --fade_s={slice_s} --latents=walk --out={tmp}/a.wav", "--fade_s|4096 frames"),
        ("{rain} --minutes=1 --fade_s=9 --latents=walk --out={tmp}/a.wav", "--fade_s|4096 frames"),
        ("{rain} --minutes=0.002 --out={tmp}/a.wav", "--minutes"),
        ("{rain} --minutes=1 --start=1 --out={tmp}/a.wav", "--from"),
        ("--from={tmp}/none.json --out={tmp}/a.wav", "--from|{tmp}/none.json"),
        ("--from={tmp}/there.wav --out={tmp}/a.wav", "--from|{tmp}/there.wav"),
        ("--from={tmp}/other.json --out={tmp}/a.wav", "--from|{tmp}/other.json"),
        ("{rain} --from={tmp}/other.json --out={tmp}/a.wav", "--from|{rain}"),
        ("--from={tmp}/other.json --seed=3 --out={tmp}/a.wav", "--from|--seed|3"),
        # Without effect.
        ("{rain} --minutes=1 --bits=24 --out={tmp}/a.ogg", "--bits|.wav or .flac|{tmp}/a.ogg"),
        ("{rain} --minutes=1 --stdout_format=wav --out={tmp}/a.wav", "--stdout_format|--out -|{tmp}/a.wav"),
        ("{rain} --minutes=1 --keep_partial --out=-", "--keep_partial|--out -"),
        ("{rain} --minutes=1 --stretch_s=9 --out={tmp}/a.wav", "--stretch_s|one model"),
        ("{rain} --minutes=1 --model_fade_s=9 --out={tmp}/a.wav", "--model_fade_s|one model"),
        ("{rain} --minutes=1 --layout=mix --out={tmp}/a.wav", "--layout|one model"),
        ("{rain} --minutes=1 --gains_db=-6 --out={tmp}/a.wav", "--gains_db|one model"),
        ("{rain} {waves} --minutes=1 --layout=mix --stretch_s=9 --out={tmp}/a.wav", "--stretch_s|--layout sequence"),
        ("{rain} --minutes=1 --walk_s=9 --out={tmp}/a.wav", "--walk_s|--latents walk"),
        ("{rain} --minutes=1 --loop --fade_in_s=9 --out={tmp}/a.wav", "--fade_in_s|--loop"),
        ("{rain} --minutes=1 --fade_s=0 --align --out={tmp}/a.wav", "--align|--fade_s 0"),
        ("{rain} --minutes=1 --fade_s=0 --fade_shape=linear --out={tmp}/a.wav", "--fade_shape|--fade_s 0"),
        # Of absurd sizes.
        ("{rain} --hours=1e8 --out={tmp}/a.wav", "--hours|100000000.0|100000 h"),
        ("{rain} --minutes=1e300 --out={tmp}/a.wav", "--minutes|1e+300|6000000 min"),
        ("{rain} --hours=99999 --out={tmp}/a.flac --sample_rate=600000", "FLAC ends at 68719476735 frames"),
        ("{rain} --minutes=1 --fade_s=1e300 --out={tmp}/a.wav", "--fade_s|1e+300"),
        ("{rain} --fade_in_s=9e8 --out=-", "a fade of|GB|--fade_in_s"),
        ("{rain} {waves} --stretch_s=9e8 --model_fade_s=4e8 --out=-", "a fade of|GB|--model_fade_s"),
        ("--from={tmp}/other.json --start=1e308 --out={tmp}/a.wav", "--start|'1e308'"),
    ],
)
def test_mistake(mistake, models, tmp_path, line, words):
    (tmp_path / "there.wav").write_bytes(b"there")
    (tmp_path / "other.json").write_text('{"frames": 1, "pieces": []}')
    places = {"rain": models / "rain", "waves": models / "waves", "tmp": tmp_path, "slice_s": SLICE_S}
    last = mistake(*line.format(**places).split())
    for word in words.format(**places).split("|"):
        assert word in last
    assert (tmp_path / "there.wav").read_bytes() == b"there"
    assert visible(tmp_path) == {"there.wav", "other.json"}


def test_no_checkpoint(mistake, rain_copy, tmp_path):
    for path in rain_copy.glob("ckpt-*"):
        path.unlink()
    assert f"no checkpoint yet in '{rain_copy}'" in mistake(rain_copy, LENGTH, "--out", tmp_path / "a.wav")


@pytest.mark.parametrize(("factor", "words"), [(0.0, "silent"), (np.nan, "not numbers")])
def test_useless_model(mistake, rain_copy, tmp_path, factor, words):
    amplify(rain_copy, factor)
    last = mistake(rain_copy, LENGTH, "--out", tmp_path / "a.wav")
    assert words in last and str(rain_copy) in last
    assert visible(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "flags", "megabytes"), [("a.wav", [], 118), ("a.flac", ["--bits=24"], 175), ("a.mp3", [], 146)]
)
def test_disk_too_small(mistake, monkeypatch, rain, tmp_path, name, flags, megabytes):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=100_000_000))
    last = mistake(rain, "--hours=1", *flags, "--out", tmp_path / name)
    assert f"{megabytes} MB" in last and "100 MB" in last and name in last


def test_overwrite(generate, mistake, rain, tmp_path):
    path = generate(rain, "--minutes=0.05", *QUICK)
    before = path.read_bytes()
    assert "--overwrite" in mistake(rain, "--minutes=0.05", *QUICK, "--seed=1", "--out", path)
    assert path.read_bytes() == before
    generate(rain, "--minutes=0.05", *QUICK, "--seed=1", "--overwrite")
    assert path.read_bytes() != before


@pytest.fixture
def manifest(generate, rain_copy):
    """Path of the manifest of a file of three seconds."""
    return generate(rain_copy, "--minutes=0.05", *QUICK, name="long.wav").with_suffix(".json")


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["--start=2", "--end=1"], "--start and --end|2.0 s to 1.0 s"),
        (["--start=1", "--end=1"], "--start and --end|1.0 s"),
        (["--start=4"], "--start and --end|3.0 s|4.0 s"),
        (["--end=0:04"], "--start and --end|3.0 s|4.0 s"),
        (["--start=soon"], "--start|'soon'"),
        (["--start=1:2:3:4"], "--start|'1:2:3:4'"),
        (["--end=-1"], "--end|'-1'"),
        (["--end="], "--end|''"),
        (["--end=nan"], "--end|'nan'"),
        (["--end=inf"], "--end|'inf'"),
    ],
)
def test_bad_times(mistake, manifest, tmp_path, times, words):
    last = mistake("--from", manifest, *times, "--out", tmp_path / "a.wav")
    for word in words.split("|"):
        assert word in last
    assert not (tmp_path / "a.wav").exists()


def test_checkpoint_of_a_manifest_has_gone_or_changed(mistake, manifest, rain_copy, tmp_path):
    stretch = ["--from", manifest, "--end=1", "--out", tmp_path / "a.wav"]
    amplify(rain_copy, 1.1)
    last = mistake(*stretch)
    assert f"step 2 in '{rain_copy}' is not the one that was rendered" in last
    for path in rain_copy.glob("ckpt-2.*"):
        path.rename(path.with_name(path.name.replace("2", "3", 1)))
    assert "no checkpoint of step 2" in mistake(*stretch)
    shutil.rmtree(rain_copy)
    assert str(rain_copy) in mistake(*stretch)
    assert not (tmp_path / "a.wav").exists()


def test_errors_of_outputs_name_the_format():
    with pytest.raises(UserError, match=r"FLAC ends at 68719476735 frames.*WAV"):
        Output("night.flac", 48000, 1, 16, 2**36)
