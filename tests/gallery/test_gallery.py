"""The folder of a gallery, made by the real command line of models with random weights."""

import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile
from cases_to_show import STEP, make_model, make_training, time_of, write_sweep

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import model_facts
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.gallery import making, sounds
from wavegan_asmr.train_dir import TrainDir

ODD = 'a "b" <i>c & {{ 1 }} \u96e8'


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Folder of cases, two trainings in runs/ and a stereo model, and of their recordings in asmr/."""
    folder = tmp_path_factory.mktemp("shown")
    for name in ("asmr", "runs", "where/training", "where/held_out"):
        (folder / name).mkdir(parents=True)
    write_sweep(folder / "asmr" / "rain.wav", 60, 44100, 2)
    write_sweep(folder / "asmr" / "birds.flac", 30, 22050, 2, gain=0.02)
    (folder / "asmr" / "SOURCES").write_text("rain.wav: A. <b>Recordist</b>, CC BY 4.0\nbirds.flac: B. Other, CC0\n")
    write_sweep(folder / "where" / "training" / "fire.wav", 40, 16000)
    write_sweep(folder / "where" / "held_out" / "end.wav", 10, 16000)
    make_training(folder / "runs" / "rain", folder / "asmr" / "rain.wav", 1, wavegan_loss="hinge")
    make_training(folder / "runs" / "fire", folder / "where" / "training", 2, data_sample_rate=8000)
    model = make_model(folder / "birds", 3, data_sample_rate=22050, data_num_channels=2)
    model_facts.Facts(
        license="cc-by-4.0",
        sources="birds: B. Elsewhere",
        recordings=2,
        seconds=90.0,
        trained_s=120.0,
        n=500,
        metrics=[model_facts.Metric("frechet_distance", 123.0, 41.0, 1234.0, "difference in all")],
    ).write(model)
    return folder


@pytest.fixture(scope="module")
def made(shown, tmp_path_factory):
    """A gallery of all of them."""
    out = tmp_path_factory.mktemp("made") / "out"
    making.make([shown / "runs", shown / "birds"], out, data_dir=shown / "asmr")
    return out


@pytest.fixture
def rain(shown):
    return shown / "runs" / "rain"


@pytest.fixture
def quick(monkeypatch):
    """Makes sounds short, where nobody hears them."""
    monkeypatch.setattr(making, "_SECONDS", 2.0)


def section_of(out, name):
    """The text of a case on the page, as a reader sees it."""
    (section,) = re.findall(rf'<section id="{name}".*?</section>', (out / "index.html").read_text(), re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


def hear(out, name, kind, ending="opus"):
    x, rate_hz = soundfile.read(out / "media" / f"{name}-{kind}.{ending}", always_2d=True)
    assert rate_hz == 48000
    return x


def test_what_is_in_the_folder(made, shown):
    kinds = [f"{kind}.{ending}" for kind in ("generated", "recorded") for ending in ("opus", "webp")]
    files = {f"{name}-{kind}" for name in ("rain", "fire", "birds") for kind in kinds}
    assert {path.name for path in (made / "media").iterdir()} == files
    assert {path.name for path in made.iterdir()} == {"index.html", "media"}
    page = (made / "index.html").read_text()
    assert re.findall(r'<section id="(\w+)"', page) == ["fire", "rain", "birds"]
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) == {f"media/{name}" for name in files} | {"data:,"}
    assert str(shown) not in page and "<script" not in page and "<b>Recordist" not in page


@pytest.mark.parametrize(("name", "channels", "seconds"), [("rain", 2, 20), ("birds", 2, 20), ("fire", 1, 10)])
def test_both_sounds_are_alike_in_rate_channels_and_loudness(made, name, channels, seconds):
    recorded, generated = (hear(made, name, kind) for kind in ("recorded", "generated"))
    assert recorded.shape == (48000 * seconds, channels) and generated.shape == (48000 * 20, channels)
    loudness = [pyloudnorm.Meter(48000).integrated_loudness(x) for x in (recorded, generated)]
    assert abs(loudness[0] - loudness[1]) < 0.3 and -35 < loudness[0] < -22.8
    assert all(np.abs(x).max() < 1 for x in (recorded, generated))


def test_another_program_reads_them(made):
    path = made / "media" / "rain-generated.opus"
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration:stream=codec_name,channels", "-of", "json"]
    said = json.loads(subprocess.run([*command, path], capture_output=True, check=True).stdout)
    assert said["streams"][0] == {"codec_name": "opus", "channels": 2}
    assert float(said["format"]["duration"]) == pytest.approx(20, abs=0.02)
    assert path.stat().st_size < 230_000


def test_recordings_are_heard_in_their_middle(made):
    # Of 60 s from 20 on, of 30 s from 5 on; of 10 s, which were held out, all.
    for name, first_s in (("rain", 20), ("birds", 5), ("fire", 0)):
        x = hear(made, name, "recorded")
        for at_s in (2, 8):
            assert time_of(x, 48000, at_s) == pytest.approx(first_s + at_s, abs=0.05)


def test_models_are_heard_as_generate_makes_them(made, rain, tmp_path, verb):
    out = tmp_path / "rain.wav"
    verb("generate", rain, "--minutes", 20 / 60, "--fade_in_s=0", "--fade_out_s=0", "--out", out)
    wanted, _ = soundfile.read(out, always_2d=True)
    # But for the dither.
    assert np.abs(sounds.generate(Generator(TrainDir(rain)), 20.0) - wanted).max() < 1e-4
    heard = scipy.signal.resample_poly(hear(made, "rain", "generated")[:, 0], 1, 3)
    assert np.corrcoef(wanted[:, 0], heard)[0, 1] > 0.7


def test_what_the_page_says(made):
    rain, fire, birds = (section_of(made, name) for name in ("rain", "fire", "birds"))
    assert rain.startswith("rain 16 kHz mono · step 200 · 30 min of training · wavegan, ")
    assert "rain.wav, 0:20 to 0:40" in rain and "heard" not in rain
    assert "A. <b>Recordist</b>, CC BY 4.0" in rain and "B. Other" not in rain
    assert "wavegan_loss hinge" in rain and "not measured" in rain and "preset paper" in rain
    assert "end.wav, 0:00 to 0:10, which the model has not heard" in fire
    assert "author and licence not stated" in fire
    assert "22.05 kHz stereo · step 103 · 2 min of training · 2 recordings, 1:30" in birds
    assert "B. Other, CC0" in birds and "Elsewhere" not in birds and "Model cc-by-4.0" in birds
    assert "Figures of 500 generated slices: Fréchet distance 123 , recordings 41, noise 1,234" in birds


def test_the_same_again_is_the_same_to_the_byte(quick, shown, tmp_path, verb):
    """And over what is there only when that is asked for."""
    out = tmp_path / "out"
    paths = [shown / "runs" / "fire", shown / "birds"]
    arguments = [*paths, "--out", out, "--data_dir", shown / "asmr"]
    printed = verb("gallery", *arguments).splitlines()
    assert printed[0] == "case      fire, 1 of 2" and re.match(r"case      birds, 2 of 2, ETA \d+:\d\d", printed[2])
    assert printed[1].startswith("note      fire: author and licence of its recordings are not stated")
    assert re.fullmatch(rf"page      {out}/index.html: 2 cases, \d\.\d MB", printed[-1])
    making.make(paths, tmp_path / "again", data_dir=shown / "asmr")
    assert content(out) == content(tmp_path / "again")
    with pytest.raises(UserError, match="holds a gallery already; give another --out, or --overwrite"):
        verb("gallery", *arguments)
    verb("gallery", shown / "birds", "--out", out, "--overwrite", "--format", "flac")
    assert {path.name for path in (out / "media").iterdir()} == {"birds-generated.flac", "birds-generated.webp"}
    text = section_of(out, "birds")
    assert "No recording at hand" in text and "B. Elsewhere" in text


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ["wav", "mp3", "m4a", "ogg"])
def test_other_formats(tmp_path, ending):
    random = np.random.default_rng(0)
    x = random.normal(0, 0.1, [48000, 2]).astype(np.float32)
    path = tmp_path / f"x.{ending}"
    sounds.write(str(path), x, 48000)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "2", "-"], capture_output=True, check=True
    ).stdout
    y = np.frombuffer(decoded, np.float32).reshape(-1, 2)
    assert abs(len(y) - len(x)) < 3000
    assert np.std(y[:40000]) == pytest.approx(np.std(x[:40000]), rel=0.1)


def test_names_are_text(quick, rain, tmp_path, verb):
    folder = tmp_path / "two" / ODD
    shutil.copytree(rain, folder)
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | {"data_dir": ""}))
    out = tmp_path / "out"
    verb("gallery", folder, "--out", out)
    assert section_of(out, "a-b-i-c-1").startswith(ODD)
    page = (out / "index.html").read_text()
    assert "<i>c" not in page and f'alt="Spectrogram of {html.escape(ODD).replace("&quot;", "&#34;")}, gen' in page


def test_what_cannot_be_shown_is_named_and_the_others_are_made(quick, rain, tmp_path, verb):
    runs = tmp_path / "runs"
    shutil.copytree(rain, runs / "rain")
    for name in ("damaged", "empty"):
        shutil.copytree(rain, runs / name)
    (runs / "damaged" / "config.json").write_text("{")
    for path in (runs / "empty").glob("ckpt-*"):
        path.unlink()
    (runs / "waiting").mkdir()
    (runs / "waiting" / "case.json").write_text("{}")
    (runs / "renders").mkdir()
    with pytest.raises(UserError) as caught:
        verb("gallery", runs, "--out", tmp_path / "out")
    said = str(caught.value)
    assert said.startswith("left out: damaged (") and "\n" not in said
    assert all(f"; {name} (no " in said for name in ("empty", "waiting")) and "rain (" not in said
    page = (tmp_path / "out" / "index.html").read_text()
    assert re.findall(r'<section id="(\w+)"', page) == ["rain"]

    shutil.rmtree(runs / "rain")
    with pytest.raises(UserError, match="nothing to show: damaged"):
        verb("gallery", runs, "--out", tmp_path / "none")
    assert not {"none", ".none"} & {path.name[:5] for path in tmp_path.iterdir()}


def test_an_interruption_leaves_what_was_there(quick, shown, tmp_path, verb, monkeypatch):
    out = tmp_path / "out"
    (out / "media").mkdir(parents=True)
    (out / "index.html").write_text("before")
    real, calls = sounds.generate, []

    def generate(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(sounds, "generate", generate)
    with pytest.raises(KeyboardInterrupt):
        verb("gallery", shown / "runs", "--out", out, "--overwrite")
    assert (out / "index.html").read_text() == "before" and not os.listdir(out / "media")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out.")]


def test_recordings_that_are_of_no_use(quick, rain, tmp_path, verb):
    asmr = tmp_path / "asmr"
    asmr.mkdir()
    for name, write, message in (
        ("silent", lambda path: soundfile.write(path, np.zeros(30 * 8000), 8000), "is silent where an excerpt"),
        ("six", lambda path: soundfile.write(path, np.ones([8000, 6]), 8000), "must have one or two channels"),
        ("none", lambda path: path.write_text("no sound"), "there is no recording that can be read"),
    ):
        write(asmr / "rain.wav")
        printed = verb("gallery", rain, "--out", tmp_path / name, "--data_dir", asmr)
        assert "note      rain: no recording: " in printed and message in printed
        assert "No recording at hand" in section_of(tmp_path / name, "rain")


MISTAKES = [
    ([], "gallery takes TRAIN_DIRs"),
    (["none"], "nor is there a model|no models come with|which is no folder"),
    (["./none"], "'./none', which is no folder"),
    (["text"], "'text', which is no folder"),
    (["empty"], "no training and no shared model is in 'empty'"),
    (["rain", "--out="], "--out must name a file or folder"),
    (["rain", "--out=text"], "--out must be a folder. Received a file or a link: 'text'"),
    (["rain", "--out=rain"], "--out must be a new folder, or a gallery. Received: 'rain', which holds other files"),
    (["rain", "--out=none/out"], "--out is in a folder that is not there. Received: 'none/out'"),
    (["rain", "--data_dir=none"], "no such folder of recordings. Received: --data_dir 'none'"),
    (["rain", "--format=xyz"], "--format must be one of wav, flac"),
    (["rain", "--checkpoint=7"], r"nothing to show: rain \(no checkpoint of step 7"),
    (["rain", "--checkpoint=best"], r"nothing to show: rain \(no best checkpoint yet"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_are_one_line_and_leave_nothing(verb, rain, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(rain, "rain")
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    more = [] if any(each.startswith("--out") for each in arguments) else ["--out=out"]
    with pytest.raises(UserError, match=message) as caught:
        verb("gallery", *arguments, *more)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_out_is_needed(verb):
    with pytest.raises(UserError, match="--out is missing"):
        verb("gallery", "rain")


def test_a_model_has_one_checkpoint_which_is_its_best(quick, shown, tmp_path, verb):
    verb("gallery", shown / "birds", "--out", tmp_path / "out", "--checkpoint", "best")
    assert f"step {100 + 3}" in section_of(tmp_path / "out", "birds") and STEP != 103


@pytest.mark.slow
def test_cases_are_evaluated_where_that_is_asked_for(quick, tmp_path, verb):
    random = np.random.default_rng(0)
    for name, seconds in (("rain", 40), ("short", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", random.normal(0, 0.1, round(seconds * 16000)), 16000)
        make_training(tmp_path / "runs" / name, tmp_path / f"{name}.wav")
    printed = verb("gallery", tmp_path / "runs", "--out", tmp_path / "out", "--evaluate")
    assert "note      short: not evaluated: too few slices" in printed
    assert "not measured" in section_of(tmp_path / "out", "short")
    rain = section_of(tmp_path / "out", "rain")
    (line,) = [
        json.loads(line)
        for line in (tmp_path / "runs" / "rain" / "metrics.jsonl").read_text().splitlines()
        if '"frechet_distance"' in line
    ]
    assert line["step"] == STEP and line["n"] == 1000
    assert f"Figures of 1,000 generated slices: Fréchet distance {line['value']:,.0f} , recordings" in rain
    # What is kept serves the next time.
    verb("gallery", tmp_path / "runs" / "rain", "--out", tmp_path / "again")
    assert "Figures of 1,000 generated slices" in section_of(tmp_path / "again", "rain")
    assert len((tmp_path / "runs" / "rain" / "metrics.jsonl").read_text().split('"frechet_distance"')) == 2
