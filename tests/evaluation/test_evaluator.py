"""Evaluation through the command line and through the Evaluator: anchors, verdicts, history, the best checkpoint."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import types

import numpy as np
import pytest
import scipy.signal
import soundfile
import tensorflow as tf
from conftest import TINY
from processes import check_mistake, read_until, stop, tiny_settings, wait_until
from sounds import cut, fire
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import anchors, results
from wavegan_asmr.evaluation.evaluator import PAIRS, Evaluator
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.sound import features
from wavegan_asmr.train_dir import BEST, Best, TrainDir
from wavegan_asmr.training import loop

RATE_HZ, SLICE_LEN = 8000, 4096
N = 100
"""Slices: not many more than the embedding has dimensions."""


def record_fire(folder, seconds=30, seeds=(0, 1)):
    """Writes a recording of a fire for each seed; returns the folder."""
    folder.mkdir()
    for seed in seeds:
        soundfile.write(folder / f"fire-{seed}.wav", fire(seconds, RATE_HZ, seed), RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training on fires with the checkpoints 0, 1 and 2, which no test changes."""
    folder = tmp_path_factory.mktemp("trained")
    settings = tiny_settings(
        folder,
        data_dir=str(record_fire(folder / "fires")),
        data_sample_rate=RATE_HZ,
        train_max_steps=2,
        train_save_secs=0,
    )
    loop.train(folder / "train", settings)
    return folder / "train"


@pytest.fixture
def train_dir(trained, tmp_path):
    """A copy of `trained` to change."""
    return TrainDir(shutil.copytree(trained, tmp_path / "train"))


@pytest.fixture(scope="module")
def evaluator(trained):
    """An `Evaluator` of N slices that records nothing."""
    train_dir = TrainDir(trained)
    return Evaluator(train_dir, train_dir.read_config(), N)


def generator_of(clips):
    """A generator that makes the next of the clips for each latent vector that it has not seen before."""
    places = {}

    def generate(z):
        return np.stack([clips[places.setdefault(row.tobytes(), len(places))] for row in z])

    return generate


def frechet_row(result):
    return next(row for row in result.rows if row.metric == "frechet_distance")


def lines_of(train_dir):
    return [json.loads(line) for line in open(train_dir.join("metrics.jsonl"), encoding="utf-8")]


# Verdicts on sounds whose fault is known.


@functools.cache
def unheard():
    """Slices of a fire that no recording holds: what the best of generators would make."""
    return cut(fire(60, RATE_HZ, seed=9), N, SLICE_LEN)


def white(samples=SLICE_LEN):
    return 0.05 * np.random.default_rng(0).standard_normal([N, samples, 1]).astype(np.float32)


def sines(hz=440):
    phases = np.random.default_rng(0).uniform(0, 6, [N, 1, 1])
    times = np.arange(SLICE_LEN)[:, None] / RATE_HZ
    return (0.1 * np.sin(2 * np.pi * hz * times + phases)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: np.zeros([N, SLICE_LEN, 1], np.float32), "silent"),
        (sines, "single tone or metallic comb"),
        (lambda: np.tile(white(256), [1, SLICE_LEN // 256, 1]), "single tone or metallic comb"),
        (white, "noise without structure"),
        (lambda: np.repeat(unheard()[:1], N, axis=0), "collapsed to few sounds"),
        (unheard, "healthy"),
    ],
    ids="silence sines comb noise repeated unheard".split(),
)
def test_verdict(evaluator, make, expected):
    result = evaluator.evaluate(generator_of(make()), 0)
    names = [name for name, _ in result.verdicts]
    assert expected in names
    assert ("healthy" in names) == (expected == "healthy")
    for _, rule in result.verdicts:
        assert re.search(r"\d", rule)


def wide(seed):
    """A fire with another one on either side: float32 `[frames, 2]`."""
    middle, left, right = (fire(30, RATE_HZ, 10 * seed + k) for k in range(3))
    return np.stack([middle + left, middle + right], axis=1) / 2


@pytest.fixture(scope="module")
def stereo_evaluator(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stereo")
    for seed in (0, 1):
        soundfile.write(folder / f"{seed}.wav", wide(seed), RATE_HZ)
    train_dir = TrainDir(shutil.copytree(trained, folder / "train"))
    config = dataclasses.replace(train_dir.read_config(), data_dir=str(folder), data_num_channels=2)
    return Evaluator(train_dir, config, N)


def narrowed(x):
    """A hundredth of the side is left."""
    side = (x - x[:, :, ::-1]) / 2
    return x - 0.9 * side


def dulled(x):
    sos = scipy.signal.butter(8, 1500, fs=RATE_HZ, output="sos")
    return scipy.signal.sosfilt(sos, x, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x, "healthy"),
        (narrowed, "image collapsed"),
        (lambda x: np.repeat(x.mean(axis=2, keepdims=True), 2, axis=2), "image collapsed"),
        (dulled, "dull"),
    ],
    ids="unheard narrow mono dull".split(),
)
def test_verdict_of_two_channels(stereo_evaluator, change, expected):
    x = wide(2)
    starts = np.random.default_rng(0).integers(len(x) - SLICE_LEN, size=N)
    clips = change(np.stack([x[start : start + SLICE_LEN] for start in starts]))
    result = stereo_evaluator.evaluate(generator_of(clips), 0)
    assert [name for name, _ in result.verdicts] == [expected]


def test_copies_of_the_recordings_are_found(evaluator, trained):
    sides = anchors.open_sides(TrainDir(trained).read_config()).sides
    copies = np.concatenate([sides[0].read(0, N // 2), sides[1].read(0, N // 2)])
    result = evaluator.evaluate(generator_of(copies), 0)
    assert [verdict for verdict, _ in result.verdicts] == ["copies training data"]
    assert result.value("copies") == 1
    assert len(result.pairs) == PAIRS
    for distance, generated, real in result.pairs:
        assert distance == pytest.approx(0, abs=1e-3)
        np.testing.assert_array_equal(generated, real)


# The table.


def test_floor_value_ceiling(evaluator):
    """Real sounds with a little noise lie between real ones and noise, the further the more of it."""
    noise = 0.002 * np.random.default_rng(0).standard_normal(unheard().shape).astype(np.float32)
    distances = []
    for share in (0.2, 0.5, 1):
        row = frechet_row(evaluator.evaluate(generator_of(unheard() + share * noise), 0))
        assert row.floor < row.value < min(row.noise, row.matched_noise)
        assert 0 < row.error < row.value
        assert row.held_out >= 0
        distances.append(row.value)
    assert distances == sorted(distances)


def test_a_checkpoint_is_measured_alike_again(evaluator, trained):
    generator = Generator(TrainDir(trained), 2)
    first, second = (evaluator.evaluate(lambda z: generator.clips(z, len(z)), 2) for _ in range(2))
    assert first.rows == second.rows
    assert all(np.isfinite([row.value, row.floor, row.noise, row.matched_noise]).all() for row in first.rows)


def test_a_generator_that_has_diverged(evaluator):
    with pytest.raises(UserError, match="not numbers"):
        evaluator.evaluate(lambda z: np.full([len(z), SLICE_LEN, 1], np.nan, np.float32), 0)


# The history.


def test_record(train_dir):
    evaluator = Evaluator(train_dir, train_dir.read_config(), N)
    for step in (1, 2):
        result = evaluator.evaluate(generator_of(unheard() / step), step)
        evaluator.record(result)
        assert [line for line in lines_of(train_dir) if line["step"] == step] == [
            {
                "metric": row.metric,
                "value": row.value,
                "error": row.error,
                "step": step,
                "checkpoint": f"ckpt-{step}",
                "n": N,
                "embedding_version": features.EMBEDDING_VERSION,
                "evaluation": evaluator.digest,
                "seconds": lines_of(train_dir)[-1]["seconds"],
            }
            for row in result.rows
        ]
    history = results.read_history(train_dir.path)
    assert history.keys() == {row.metric for row in result.rows}
    assert [step for step, _, _ in history["rms_db"]] == [1, 2]
    assert history["rms_db"][-1][1] == result.value("rms_db")
    accumulator = EventAccumulator(train_dir.join("eval"), size_guidance={"tensors": 0})
    accumulator.Reload()
    for row in result.rows:
        assert [event.step for event in accumulator.Tensors(f"eval/{row.metric}")] == [1, 2]


# The best checkpoint.


def record(evaluator, step, frechet):
    """Records a result with some Fréchet distance."""
    row = results.Row("frechet_distance", frechet, None, 1.0, None, 2.0, 2.0, "", True)
    fields = "train_dir checkpoint n embedding_version sample_rate_hz config verdicts clips pairs".split()
    result = results.Result(step=step, rows=[row], evaluation=evaluator.digest, **dict.fromkeys(fields, 1))
    return evaluator.record(result)


def test_the_best_is_never_overwritten_by_a_worse_one(train_dir):
    def evaluator():
        return Evaluator(train_dir, train_dir.read_config(), N)

    with pytest.raises(UserError, match="no best checkpoint yet"):
        Generator(train_dir, BEST)
    assert record(evaluator(), 1, 50.0)
    assert not record(evaluator(), 2, 60.0)
    weights = Generator(TrainDir(train_dir.join(BEST)), 1).network.get_weights()
    # The training has gone on without it.
    train_dir.save(tf.train.Checkpoint(), 3, keep=1)
    assert train_dir.steps() == [3]
    assert not record(evaluator(), 3, 55.0)
    generator = Generator(train_dir, BEST)
    assert generator.step == 1
    for kept, expected in zip(generator.network.get_weights(), weights):
        np.testing.assert_array_equal(kept, expected)
    assert record(evaluator(), 3, 45.0)
    assert TrainDir(train_dir.join(BEST)).steps() == [3]
    assert train_dir.read_best().frechet_distance == 45


def test_the_best_is_measured_again_by_another_evaluation(train_dir, tmp_path):
    config = train_dir.read_config()
    assert record(Evaluator(train_dir, config, N), 1, 1e-3)
    other = Evaluator(train_dir, config, N, data_dir=record_fire(tmp_path / "others", seeds=(3,)))
    generator = Generator(train_dir, 1)
    own = frechet_row(other.evaluate(lambda z: generator.clips(z, len(z)), 1)).value
    assert own > 1
    assert not record(other, 2, 1.01 * own)
    assert dataclasses.asdict(train_dir.read_best()) == {
        "step": 1,
        "frechet_distance": pytest.approx(own, rel=1e-6),
        "evaluation": other.digest,
    }
    assert record(other, 2, 0.99 * own)
    assert train_dir.read_best().step == 2


def test_a_best_that_cannot_be_read_is_replaced(train_dir, capsys):
    config = train_dir.read_config()
    assert record(Evaluator(train_dir, config, N), 1, 1e-3)
    for path in TrainDir(train_dir.join(BEST)).checkpoint_files(1):
        with open(path, "r+b") as file:
            file.truncate(50)
    assert record(Evaluator(train_dir, config, N + 1), 2, 1e6)
    assert "best/ is left out" in capsys.readouterr().err
    assert Generator(train_dir, BEST).step == 2


# The command line.


def test_evaluate_every_checkpoint(command, train_dir):
    # What killed processes of earlier versions left.
    os.makedirs(train_dir.join("report", ".pairs-abcdefgh"))
    output = command("evaluate.py", train_dir, "--all", f"--eval_n={N}").stdout
    assert re.findall(r"^step (\d) of ", output, re.MULTILINE) == ["0", "1", "2"]
    assert output.count("\nverdict   ") >= 3
    assert len(re.findall(r"^took +[\d.]+ s, of which [\d.]+ s to generate$", output, re.MULTILINE)) == 3
    assert f"report    {train_dir.join('report', 'index.html')}" in output
    assert sorted(os.listdir(train_dir.join("report"))) == ["index.html", "pairs"]
    history = results.read_history(train_dir.path)["frechet_distance"]
    assert [step for step, _, _ in history] == [0, 1, 2]
    for line in lines_of(train_dir):
        assert f" {line['metric']} " in output
    best = min(history, key=lambda measured: measured[1])
    assert train_dir.read_best().step == best[0]
    assert f"best      step {best[0]}, " in output
    # One line for each checkpoint below all tables.
    assert [line.split()[1] for line in output.splitlines()[-3:]] == ["0", "1", "2"]


def test_checkpoint_best(command, train_dir, run_here):
    train_dir.keep_best(Best(1, 1.0))
    output = run_here("evaluate.py", train_dir, "--checkpoint=best", f"--eval_n={N}", "--eval_anchors").stdout
    assert output.startswith("step 1 of ")
    assert " coloured noise re-cut quilted shaped noise what it says " in " ".join(output.split())
    assert "\nimitations  re-cut and quilted are " in output
    assert "step 1: " in run_here("preview.py", train_dir, "--checkpoint=best", "--preview_n=1").stdout
    assert "step 1: " in run_here("train_wavegan.py", "infer", train_dir, "--checkpoint=best").stdout


def test_compare(command, train_dir, tmp_path):
    other = shutil.copytree(train_dir.path, tmp_path / "other")
    folder = record_fire(tmp_path / "fires", seeds=(4,))
    arguments = ["--compare", train_dir, other, "--checkpoint=1", f"--data_dir={folder}", f"--eval_n={N}"]
    header, *rows = command("evaluate.py", *arguments).stdout.splitlines()[-3:]
    assert header.split()[:3] == ["TRAIN_DIR", "step", "frechet_distance"]
    assert [row.split()[:2] for row in rows] == [[str(train_dir), "1"], [str(other), "1"]]
    assert rows[0].split()[2:] == rows[1].split()[2:]


def test_watch(start_command, train_dir):
    process = start_command("evaluate.py", train_dir, "--watch", f"--eval_n={N}")
    output = read_until(process, "waiting for checkpoints")
    shutil.copy(train_dir.checkpoint_path(2) + ".data-00000-of-00001", train_dir.join("ckpt-7.data-00000-of-00001"))
    shutil.copy(train_dir.checkpoint_path(2) + ".index", train_dir.join("ckpt-7.index"))
    output += read_until(process, "took ") + stop(process)
    assert re.findall(r"^step (\d) of ", output, re.MULTILINE) == ["2", "7"]
    history = results.read_history(train_dir.path)["frechet_distance"]
    assert [step for step, _, _ in history] == [2, 7]
    assert history[0][1] == pytest.approx(history[1][1])


def test_ctrl_c_is_no_success(start_command, train_dir):
    # It is made when the recordings have been measured.
    shutil.rmtree(train_dir.join("eval"), ignore_errors=True)
    process = start_command("evaluate.py", train_dir, "--eval_n=2000")
    wait_until(lambda: os.path.exists(train_dir.join("eval")), process)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 130 and output.endswith("stopped\n") and "Traceback" not in output, output


def test_recordings_may_move(train_dir, tmp_path, evaluator):
    config = train_dir.read_config()
    moved = dataclasses.replace(config, data_dir=str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"not where .*: --data_dir FOLDER\. Received: '.*gone'\."):
        Evaluator(train_dir, moved, N)
    assert Evaluator(train_dir, moved, N, data_dir=config.data_dir).digest == evaluator.digest


# During training.


def evaluated_steps(output):
    return re.findall(r"^evaluated step (\d+): Fréchet distance [\d.e+]+ \(recordings .*; (.*)$", output, re.MULTILINE)


def test_training_stops_when_it_is_no_better(command, train_dir):
    # No learning: a second evaluation measures the same.
    still = {"wavegan_genr_lr": 0.0, "wavegan_disc_lr": 0.0, "train_ema": 0.0}
    train_dir.write_config(dataclasses.replace(train_dir.read_config(), **still))
    flags = ["--train_eval_secs=0.001", "--train_patience=3"]
    first = command("train_wavegan.py", "train", train_dir, *flags, "--train_max_steps=4").stdout
    assert evaluated_steps(first) == [("3", "the best so far"), ("4", "no better for 1 of 3 evaluations")]
    assert "done      step 4, saved to" in first and "best      step 3, Fréchet distance " in first
    assert train_dir.read_best().step == 3

    second = command("train_wavegan.py", "train", train_dir, *flags, "--train_max_steps=100").stdout
    assert evaluated_steps(second) == [(str(step), f"no better for {step - 3} of 3 evaluations") for step in (5, 6)]
    assert "done      step 6, no better for 3 evaluations, saved to" in second
    assert train_dir.read_best().step == 3 and train_dir.steps()[-1] == 6
    third = command("train_wavegan.py", "train", train_dir, *flags).stdout
    assert "done      step 6, no better for 3 evaluations" in third and not evaluated_steps(third)


def test_a_signal_ends_without_another_evaluation(start_command, train_dir):
    process = start_command("train_wavegan.py", "train", train_dir, "--train_eval_secs=1000")
    read_until(process, " slices/s ")
    output = stop(process)
    assert not evaluated_steps(output) and "best      none" in output


# Mistakes.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("evaluate.py", "evaluate TRAIN_DIR|--compare"),
        ("evaluate.py a b", "--compare|'a b'"),
        ("evaluate.py {t} --eval_n=0", "--eval_n|0"),
        ("evaluate.py {t} --eval_n=85", "too few slices|more than 85|85"),
        ("evaluate.py {t} --checkpoint=last", "newest, best or a step|'last'"),
        ("evaluate.py {t} --checkpoint=9", "no checkpoint of step 9|[0, 1, 2]"),
        ("evaluate.py {t} --checkpoint=best", "no best checkpoint yet|evaluate TRAIN_DIR"),
        ("evaluate.py {t} --checkpoint=1 --all", "--checkpoint, --all and --watch"),
        ("evaluate.py {t} --compare --watch", "--compare|--watch"),
        ("evaluate.py nowhere", "config.json|nowhere"),
        ("evaluate.py --compare {t} nowhere", "config.json|nowhere"),
        ("evaluate.py empty", "no checkpoint yet|empty"),
        ("evaluate.py {t} --data_dir=nowhere", "no such folder|nowhere"),
        ("evaluate.py {t} --data_dir=none", "no usable recording"),
        ("evaluate.py {t} --data_dir=low", "lower rate|low.wav of 4000 Hz for a model of 8000 Hz"),
        ("evaluate.py {t} --data_dir=short", "shorter than a slice of 4096"),
        ("evaluate.py {t} --data_dir=one", "too few slices|two recordings|one.wav"),
        ("evaluate.py {t} --data_dir=few", "too few slices|holds 1 |more than 85|--data_dir FOLDER"),
        ("train_wavegan.py train {t} --train_patience=3", "--train_patience|--train_eval_secs 600"),
        ("train_wavegan.py train {t} --train_eval_secs=-1", "--train_eval_secs|-1"),
    ],
)
def test_mistake(run_here, trained, tmp_path, monkeypatch, line, words):
    recordings = types.SimpleNamespace(low=(4000, 60000), short=(RATE_HZ, 100), one=(RATE_HZ, SLICE_LEN + 9))
    for name, (rate_hz, frames) in vars(recordings).items():
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / f"{name}.wav", 0.1 * np.sin(np.arange(frames)), rate_hz)
    (tmp_path / "few").mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / "few" / name, 0.1 * np.sin(np.arange(SLICE_LEN)), RATE_HZ)
    (tmp_path / "none").mkdir()
    TrainDir(tmp_path / "empty").create()
    TrainDir(tmp_path / "empty").write_config(Config())
    monkeypatch.chdir(tmp_path)
    check_mistake(run_here(*line.format(t=trained).split()), *words.split("|"))


def test_too_few_recordings_are_said_before_training(run_here, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    soundfile.write(folder / "one.wav", fire(1, RATE_HZ), RATE_HZ)
    flags = [*TINY, f"--data_sample_rate={RATE_HZ}", f"--data_dir={folder}", "--train_eval_secs=10"]
    process = run_here("train_wavegan.py", "train", tmp_path / "train", *flags)
    assert process.returncode == 2
    last = process.stderr.splitlines()[-1]
    assert "too few slices" in last and last.endswith("To train without evaluations, leave out --train_eval_secs.")
    assert TrainDir(tmp_path / "train").steps() == []
