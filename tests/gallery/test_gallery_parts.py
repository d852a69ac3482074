"""The parts of a gallery: which cases, which recordings, which figures, and what the pictures show."""

import io
import json
import math

import matplotlib.pyplot
import numpy as np
import pytest
import soundfile
from cases_to_show import config_of, time_of, write_sweep

from wavegan_asmr.evaluation import metrics, results, verdicts
from wavegan_asmr.exchange import model_facts
from wavegan_asmr.gallery import cases, figures, pictures, recordings
from wavegan_asmr.train_dir import TrainDir


def make_case(folder, name="rain"):
    """A case of which nothing but its folder is there."""
    path = folder / "runs" / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text("{}")
    return cases.Case(TrainDir(path), name, name)


def test_cases_are_told_apart(tmp_path):
    for name in ("a/runs/rain", "b/runs/rain", "b/runs/Rain!", "b/runs/.hidden", "b/runs/fire"):
        make_case(tmp_path / name, "x")
        (tmp_path / name / "config.json").write_text("{}")
    found = cases.find([tmp_path / "a" / "runs", tmp_path / "b" / "runs", tmp_path / "a" / "runs" / "rain"])
    assert [case.title for case in found] == ["a/runs/rain", "Rain!", "fire", "b/runs/rain"]
    assert [case.file for case in found] == ["a-runs-rain", "rain", "fire", "b-runs-rain"]
    assert [case.name for case in found] == ["rain", "Rain!", "fire", "rain"]
    (twice, other) = cases.find([make_case(tmp_path, "x?").train_dir.path, make_case(tmp_path, "x!").train_dir.path])
    assert (twice.file, other.file) == ("x", "x-2")


def test_recordings_by_name_then_by_content_then_where_they_were(tmp_path):
    case, place = make_case(tmp_path), tmp_path / "place"
    for name in ("rain", "other"):
        (place / name).mkdir(parents=True)
        write_sweep(place / name / "x.wav", 1, 8000, gain=0.1 if name == "rain" else 0.2)
    config = config_of(data_dir=str(place / "other"))
    assert recordings.find(case, config, place).path == str(place / "rain")
    assert recordings.find(case, config).path == str(place / "other")

    (place / "rain").rename(place / "renamed")
    assert recordings.find(case, config, place) == recordings.Place(str(place / "other"), False, None)
    digest = recordings._digest(str(place / "renamed" / "x.wav"))
    contents = {"recordings": [{"digest": digest, "seconds": 1.0}]}
    with open(case.train_dir.join("recordings.json"), "w") as file:
        json.dump(contents, file)
    renamed = str(place / "renamed")
    assert recordings.find(case, config, place) == recordings.Place(renamed, None, renamed)
    # A folder, or a recording, of the name itself.
    (place / "rain.ogg.txt").touch()
    soundfile.write(place / "rain.FLAC", np.zeros(8000), 8000)
    assert recordings.find(case, config, place).path == str(place / "rain.FLAC")
    assert recordings.find(case, config, place / "rain.FLAC").path == str(place / "rain.FLAC")
    assert recordings.find(case, config_of(data_dir=str(tmp_path / "gone"))) is None
    assert recordings.find(case, config_of()) is None


def test_what_is_held_out_is_preferred(tmp_path):
    case = make_case(tmp_path)
    for name in ("rain/training", "rain/held_out", "apart"):
        (tmp_path / name).mkdir(parents=True)
    training, held_out = (str(tmp_path / "rain" / name) for name in ("training", "held_out"))
    assert recordings.find(case, config_of(data_dir=training)) == recordings.Place(held_out, True, None)
    assert recordings.find(case, config_of(), tmp_path) == recordings.Place(held_out, True, training)
    config = config_of(data_dir=training, autoregressive_held_out_dir=str(tmp_path / "apart"))
    assert recordings.find(case, config) == recordings.Place(str(tmp_path / "apart"), True, None)


def test_the_middle_of_the_longest_recording(tmp_path):
    write_sweep(tmp_path / "a.wav", 8, 44100, 2)
    write_sweep(tmp_path / "b.flac", 14, 22050)
    (tmp_path / "c.wav").write_text("no sound")
    place = recordings.Place(str(tmp_path), False, None)
    excerpt = recordings.cut(place, 4.0, 2)
    assert excerpt.label == "b.flac, 0:05 to 0:09" and excerpt.sample_rate_hz == 22050
    assert excerpt.samples.shape == (4 * 48000, 2) and excerpt.is_held_out is False
    assert time_of(excerpt.samples, 48000, 2) == pytest.approx(7, abs=0.05)
    # A model of one channel beside a recording of two.
    alone = recordings.Place(str(tmp_path / "a.wav"), None, None)
    assert recordings.cut(alone, 20.0, 1).samples.shape == (8 * 48000, 2)


def test_many_short_recordings_one_after_the_other(tmp_path):
    for number in range(40):
        soundfile.write(tmp_path / f"{number:02d}.wav", np.full(4000, (number + 1) / 100), 8000)
    excerpt = recordings.cut(recordings.Place(str(tmp_path), None, None), 4.0, 1)
    assert excerpt.label == "8 of 40 recordings, one after the other"
    assert excerpt.samples.shape == (4 * 48000, 1)
    heard = excerpt.samples.reshape(8, 24000)[:, 12000]
    np.testing.assert_allclose(heard, np.arange(1, 41, 5) / 100, atol=1e-3)


@pytest.mark.parametrize(
    ("where", "text", "wanted"),
    [
        ("rain", "x.wav: A, CC0\ny.wav: B, MIT", "x.wav: A, CC0"),
        ("rain", "all by C", "all by C"),
        ("rain/held_out", "x.wav: A, CC0", "x.wav: A, CC0"),
        ("rain", "y.wav: B, MIT", ""),
        (".", "of others", ""),
    ],
)
def test_authors_and_licences(tmp_path, where, text, wanted):
    held_out = tmp_path / "rain" / "held_out"
    held_out.mkdir(parents=True)
    soundfile.write(held_out / "x.wav", np.ones(8000) / 2, 8000)
    (tmp_path / where / "SOURCES").write_text(text)
    assert recordings.cut(recordings.Place(str(held_out), True, None), 1.0, 1).sources == wanted


def make_rows(**values):
    """Rows of a healthy model, but for the values of some metrics; their recordings' own value is 1."""
    return [
        results.Row(name, values.get(name, 1.0), None, 1.0, None, 300.0, 100.0, "", None) for name in metrics.METRICS
    ]


def test_verdicts_of_what_is_kept():
    assert [name for name, _ in verdicts.judge_kept(make_rows(copies=0.0))] == ["healthy"]
    assert [name for name, _ in verdicts.judge_kept(make_rows(copies=0.5))] == ["copies training data"]
    # Rows of a version that knew fewer metrics.
    assert verdicts.judge_kept(make_rows()[:2]) == []
    without_floors = [results.Row("rms_db", 1.0, None, None, None, None, None, "", None)]
    assert verdicts.judge_kept(without_floors) == []


@pytest.mark.parametrize(("frechet", "name"), [(24.0, "healthy"), (26.0, "no fault found")])
def test_whether_it_is_noise_is_left_open_where_it_may_be(frechet, name):
    """Against distances of Gaussians: nearer to noise than to the recordings is only what is open."""
    (verdict,) = verdicts.judge_kept(make_rows(copies=0.0, frechet_distance=frechet))
    assert verdict[0] == name
    # In a space where all three lie on a line, noise 100 away, a model between them is as far from noise as this.
    to_noise = (math.sqrt(100.0) - math.sqrt(frechet)) ** 2
    judged = verdicts.judge(make_rows(copies=0.0, frechet_distance=frechet), {"noise": to_noise})
    assert (judged[0][0] == "noise without structure") == (name == "no fault found")


def test_figures_of_the_checkpoint_or_else_of_the_best_or_of_the_last(tmp_path):
    train_dir = make_case(tmp_path).train_dir
    assert figures.find(train_dir, 100) is None
    (tmp_path / "runs" / "rain" / "eval").mkdir()
    anchor = {"floor": 1.0, "held_out": None, "noise": 30.0, "matched_noise": 9.0}
    stored = json.dumps({"digest": "this", "anchors": dict.fromkeys(metrics.METRICS, anchor)})
    np.savez(train_dir.join("eval", "recordings-200.npz"), facts=stored)

    def evaluate(step, value):
        lines = [
            results.Line(metric=name, value=value, error=None, step=step, n=200, embedding_version=2, evaluation="this")
            for name in metrics.METRICS
        ]
        with open(train_dir.join("metrics.jsonl"), "a") as file:
            file.writelines(json.dumps(vars(line)) + "\n" for line in lines)

    for step, value in ((100, 5.0), (200, 2.0), (300, 3.0)):
        evaluate(step, value)
    assert [(found.step, found.rows[0].value, found.n) for found in [figures.find(train_dir, 100)]] == [(100, 5.0, 200)]
    assert figures.find(train_dir, 400).step == 300
    best = tmp_path / "runs" / "rain" / "best"
    best.mkdir()
    for ending in ("index", "data-00000-of-00001"):
        (best / f"ckpt-200.{ending}").touch()
    (best / "best.json").write_text(json.dumps({"step": 200, "frechet_distance": 2.0}))
    assert figures.find(train_dir, 400).step == 200


def test_figures_of_a_shared_model(tmp_path):
    train_dir = make_case(tmp_path).train_dir
    kept = [model_facts.Metric(name, 1.0, 1.0, 300.0, "") for name in metrics.METRICS if name != "copies"]
    kept.append(model_facts.Metric("copies", 0.5, 0.0, 0.0, "copies"))
    found = figures.find(train_dir, 7, model_facts.Facts(n=9, metrics=kept))
    assert (found.step, found.n, found.verdicts[0][0]) == (7, 9, "copies training data") and not found.is_healthy
    said = [("dull", "the highs")]
    assert figures.find(train_dir, 7, model_facts.Facts(n=9, metrics=kept, verdicts=said)).verdicts == said
    assert figures.find(train_dir, 7, model_facts.Facts()) is None


def test_pictures_have_one_scale():
    """A tone, and the same 40 dB softer and half as long: how bright, how high and how long they are."""
    times = np.arange(4 * 48000) / 48000
    loud = np.sin(2 * np.pi * 5000 * times)[:, None].astype(np.float32)
    drawn = pictures.draw([loud, loud[:96000] / 100], 48000, 20000)
    shown = [matplotlib.pyplot.imread(io.BytesIO(data), "webp")[..., :3].astype(float) for data in drawn]
    colours = matplotlib.colormaps["magma"]([1.0, 0.5])[:, :3] * 255
    for image, colour in zip(shown, colours):
        assert image.shape == (pictures.HEIGHT, pictures.WIDTH, 3)
        row = image[:, 180].sum(axis=1).argmax()
        # 5 of 20 kHz from the bottom.
        assert row == pytest.approx(pictures.HEIGHT * 0.75, abs=2)
        # Hues of a thin line bleed.
        assert image[row, 180].mean() == pytest.approx(colour.mean(), abs=12)
        assert image[: pictures.HEIGHT // 2, 100:200].mean() < 10
    assert shown[0][:, 540].max() > 200 and shown[1][:, 540].max() < 20


def test_pictures_are_small_even_of_noise():
    x = np.random.default_rng(0).normal(0, 0.1, [20 * 48000, 2]).astype(np.float32)
    (data,) = pictures.draw([x], 48000, 24000)
    assert 2000 < len(data) < 40_000
