"""Benchmarks: what they compare is the same, they count the work right, and each runs as a command."""

import collections
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT
from processes import wait_until

import wavegan
from benchmarks import common, contestants, held_out, instruments, presets, sound_sets, textbook, topology
from wavegan_asmr.config import SLICE_LENS, Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
from wavegan_asmr.networks import layers

QUICK = ["--rounds=1", "--turn_s=0"]
SMALL_CASE = ["--dims=1", "--batches=2"]
PARTS = ("training", "held_out")


@pytest.fixture
def benchmark(tmp_path):
    """Function: runs a benchmark as a user does; returns the finished process and the JSON it wrote."""

    def run(name, *arguments, written_as=None, **environment):
        out = tmp_path / "results"
        process = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *QUICK, f"--results_dir={out}", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=ROOT,
            env=os.environ | environment,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        name = written_as or name
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        written = json.loads((out / f"{name}.json").read_text())
        assert written["benchmark"] == name
        assert written["machine"]["cores"] == len(os.sched_getaffinity(0))
        assert written["machine"]["libraries"]["tensorflow"] == tf.__version__
        return process, written

    return run


@pytest.fixture
def without_torch(tmp_path):
    """Environment in which PyTorch cannot be imported, whether it is installed or not."""
    folder = tmp_path / "without_torch"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ModuleNotFoundError('no torch')\n")
    return {"PYTHONPATH": str(folder)}


def table_rows(text):
    """Cells of the rows of all Markdown tables in a text."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def make_pair(slice_len, dim=2, batch_size=3):
    """The project's trainer and the textbook's, without phase shuffle, with the same weights."""
    config = Config(
        data_slice_len=slice_len,
        wavegan_dim=dim,
        train_batch_size=batch_size,
        wavegan_disc_phaseshuffle=0,
        train_precision="float32",
    )
    trainer = WaveGANTrainer(config, tf.distribute.OneDeviceStrategy("/cpu:0"))
    gan = textbook.WGAN(slice_len, dim, batch_size, phaseshuffle=0)
    gan.generator.set_weights(trainer.generator.get_weights())
    gan.discriminator.set_weights(trainer.discriminator.get_weights())
    return trainer, gan


@pytest.mark.parametrize("slice_len", [4096, 8192])
def test_textbook_networks_are_the_projects(slice_len):
    trainer, gan = make_pair(slice_len)
    random = np.random.default_rng(0)
    z = random.uniform(-1, 1, [3, 100]).astype(np.float32)
    real = random.uniform(-1, 1, [3, slice_len, 1]).astype(np.float32)
    alpha = random.random([3, 1, 1], np.float32)
    seeds = tf.zeros([3, 2], tf.int32)
    np.testing.assert_allclose(gan.generator(z), trainer.generator(z), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        gan.discriminator(real)[:, 0], trainer.discriminator([tf.constant(real), seeds[:1]]), rtol=1e-4, atol=1e-6
    )

    theirs = gan.train_discriminator(real, z, alpha)
    ours = trainer.strategy.run(trainer.update_discriminator, [tf.constant(real), z, alpha, seeds])
    # Adam's first step has the size of the rate whatever the gradient, and would enlarge rounding.
    gan.discriminator.set_weights(trainer.discriminator.get_weights())
    theirs |= gan.train_generator(z)
    ours |= trainer.strategy.run(trainer.update_generator, [z, seeds[0]])
    assert set(theirs) == set(ours) - {"wasserstein"}
    for name, value in theirs.items():
        np.testing.assert_allclose(value, ours[name], rtol=1e-4, atol=1e-7, err_msg=name)


def test_textbook_phase_shuffle_is_the_projects():
    x = tf.random.stateless_normal([2, 9, 3], [0, 1])
    shuffle = textbook.PhaseShuffle(2)
    expected = {shift: layers.shift_phase(x, tf.fill([2], shift), 2).numpy() for shift in range(-2, 3)}
    seen = set()
    for _ in range(100):
        shuffled = shuffle(x, training=True).numpy()
        seen |= {shift for shift, each in expected.items() if np.array_equal(each, shuffled)}
    assert seen == set(expected)
    np.testing.assert_array_equal(shuffle(x, training=False), x)


def test_topology_is_that_of_the_networks():
    assert {slice_len: tuple(topology.strides(slice_len)) for slice_len in SLICE_LENS} == wavegan.STRIDES
    for slice_len in SLICE_LENS:
        assert topology.widths(slice_len, 3) == [3 * each for each in wavegan.channel_multipliers(slice_len)]


@pytest.mark.parametrize("is_by_rote", [False, True], ids=["needed", "by rote"])
@pytest.mark.parametrize("slice_len", [4096, 8192])
def test_work_is_that_of_the_graph(slice_len, is_by_rote, monkeypatch):
    """The formula counts the multiply-adds of the operations that TensorFlow would run, and a few logits more."""
    if not is_by_rote:
        monkeypatch.setattr(keras.layers.LeakyReLU, "call", lambda self, x: layers.leaky_relu(x, 0.2))
    work = topology.Work(slice_len, dim=2, batch_size=3)
    gan = textbook.WGAN(slice_len, work.dim, work.batch_size)
    graph = gan.train_step.get_concrete_function(tf.TensorSpec([work.batch_size, slice_len, 1])).graph
    counted = sum(flop(op, work.batch_size) for op in needed_operations(graph))
    # Nobody reads the logits of the penalties, nor those of all updates but the last, nor what they depend on last.
    unread = 2 * 5 + 2 * 4
    expected = work.iteration_by_rote if is_by_rote else work.iteration
    assert counted == expected - unread * work.discriminator_last


def needed_operations(graph):
    """Operations of a function that its results and its updates of variables depend on."""
    waiting = [output.op for output in graph.outputs] + [op for op in graph.get_operations() if "Assign" in op.type]
    found = set()
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return found


def flop(op, batch_size):
    """Floating-point operations of a convolution, a gradient of one or a matrix product, by their shapes."""

    def shape(tensor):
        return [batch_size if size is None else size for size in tensor.shape]

    if op.type == "MatMul":
        rows, inner = shape(op.inputs[0])[:: -1 if op.get_attr("transpose_a") else 1]
        return 2 * rows * inner * shape(op.inputs[1])[0 if op.get_attr("transpose_b") else 1]
    if op.type == "Conv2D":
        small, kernel = shape(op.outputs[0]), shape(op.inputs[1])
    elif op.type == "Conv2DBackpropInput":
        small, kernel = shape(op.inputs[2]), shape(op.inputs[1])
    elif op.type == "Conv2DBackpropFilter":
        small, kernel = shape(op.inputs[2]), shape(op.outputs[0])
    else:
        return 0
    # Each position and channel of the shorter side meets every tap and channel of the kernel.
    return 2 * int(np.prod(small[:-1]) * np.prod(kernel))


def test_train_step_without_pytorch(benchmark, without_torch):
    process, written = benchmark("train_step", *SMALL_CASE, "--slice_lens=4096", **without_torch)
    assert len(re.findall(r"PyTorch is not installed: pip install -e '\.\[bench\]'", process.stderr)) == 1
    (case,) = written["cases"]
    assert case["case"] == {"slice_len": 4096, "dim": 1, "batch_size": 2}
    assert list(case["outcomes"]) == [name for name in contestants.NAMES if "pytorch" not in name]
    header, _, *rows = table_rows(process.stdout)
    assert [row[1] for row in rows] == list(case["outcomes"])
    column = header.index("x textbook float32")
    assert [row[column] for row in rows if row[1] == "textbook-float32"] == ["1"]
    for outcome in case["outcomes"].values():
        assert outcome["failure"] is None
        assert len(outcome["figures"]["seconds"]) == 1
        assert 2e8 < outcome["peak_memory_bytes"] < 4e9
    assert all(peak > 1e9 for peak in case["peaks"].values())


def test_train_step_with_pytorch_where_it_is_installed(benchmark):
    """The networks are checked first: a difference ends the benchmark. Large cases are left out."""
    chosen = ["project-float32", "pytorch-float32"]
    arguments = ["--dims=1,64", "--batches=2", "--slice_lens=8192", "--most_tflop=0.01"]
    process, written = benchmark("train_step", *arguments, f"--contestants={','.join(chosen)}")
    is_installed = "torch" in written["machine"]["libraries"]
    (case,) = written["cases"]
    assert list(case["outcomes"]) == (chosen if is_installed else chosen[:1])
    assert ("PyTorch is not installed" in process.stderr) != is_installed
    assert case["case"]["dim"] == 1
    assert re.search(r"2, 64, 8192 left out: 0\.\d+ TFLOP", process.stderr)


@pytest.fixture
def other_checkout(tmp_path):
    """A copy of what a checkout runs."""
    tracked = subprocess.check_output(["git", "ls-files", "*.py"], cwd=ROOT, text=True).split()
    for path in (each for each in tracked if not each.startswith(("tests/", "benchmarks/", "docs/"))):
        (tmp_path / "other" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / "other" / path)
    return tmp_path / "other"


@pytest.mark.slow
def test_presets_against_another_checkout(benchmark, other_checkout):
    arguments = ["--presets=asmr", "--slice_lens=4096", "--precision=float32", f"--against={other_checkout}"]
    process, written = benchmark("train_step", *arguments, written_as="presets")
    (case,) = written["cases"]
    header, _, *rows = table_rows(process.stdout)
    assert [tuple(row[1:3]) for row in rows] == list(itertools.product(presets.VARIANTS, ("project", "against")))
    assert [row[header.index("units")] for row in rows if row[1:3] == ["networks alone", "against"]] == ["1.00"]
    assert all(outcome["figures"]["seconds"][0] > 0 for outcome in case["outcomes"].values())


def test_the_other_checkout_is_what_is_measured(other_checkout, tmp_path):
    (other_checkout / "wavegan_asmr" / "training" / "loop.py").write_text("raise OSError('not this one')\n")
    case = ["--presets=asmr", "--slice_lens=4096", "--precision=float32", f"--against={other_checkout}"]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.train_step", *case, *QUICK, f"--results_dir={tmp_path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert process.returncode == 2 and process.stderr.splitlines()[-1].endswith("against, whole: not this one")


@pytest.mark.parametrize(
    "name, formats, files", [("long-ogg", "OGG", 1), ("short-wav", "WAV", 2), ("mp3", ("MP3", "MPEG"), 1)]
)
def test_sets_hold_the_sound(tmp_path, noise, name, formats, files):
    source = noise(2, 44100, 2)
    folder = sound_sets.write_set(tmp_path / name, source, 6.0, *sound_sets.SETS[name])
    paths = [os.path.join(folder, each) for each in sorted(os.listdir(folder))]
    assert len(paths) == files
    assert {soundfile.info(path).format in formats for path in paths} == {True}
    x = np.concatenate([soundfile.read(path)[0] for path in paths])
    assert abs(len(x) - 6 * 44100) < 3000
    assert np.std(x) == pytest.approx(np.std(source), rel=0.1)


def test_loader(benchmark, recordings):
    arguments = ["--minutes=0.1", "--batch_size=2", "--shuffled=8", "--dim=1", "--sets=short-wav"]
    process, written = benchmark("loader", *arguments, f"--data_dir={recordings}")
    sets = ["short-wav"]
    assert list(written["loading"]) == list(written["decoding"]) == sets
    for outcomes in written["loading"].values():
        for outcome in outcomes.values():
            assert outcome["figures"]["slices_per_s"][0] > 0
            assert outcome["figures"]["first_batch_s"][0] > 0
    assert [row[0] for row in table_rows(process.stdout) if row[0] in sets] == 2 * sets
    constant, real = (written["training"][f"{kind} data"]["figures"]["seconds"][0] for kind in ("constant", "real"))
    assert written["training_share"] == pytest.approx(constant / real)


def test_generate(benchmark):
    chosen = ["project-float32", "textbook-float32"]
    process, written = benchmark("generate", *SMALL_CASE, "--minutes=1", f"--contestants={','.join(chosen)}")
    (case,) = written["generators"]
    assert list(case["outcomes"]) == chosen
    (file,) = written["files"]
    assert (file["dim"], file["precision"], file["minutes"]) == (1, "float32", 1)
    assert file["speed"] > file["whole_speed"] > 0
    assert 2e8 < file["peak_memory_bytes"] < 4e9
    places = {place["place"]: place["share"] for place in written["places"]}
    assert all(0 < share <= 1 for share in places.values())
    assert any(place.startswith("rendering.") for place in places)
    assert places.keys() <= {row[3] for row in table_rows(process.stdout) if len(row) == 5}


@pytest.mark.slow
def test_runtimes(benchmark):
    process, written = benchmark("runtimes", "--dims=1", "--sounds=16 kHz mono")
    (outcomes,) = written["outcomes"].values()
    assert {row[1] for row in table_rows(process.stdout)[2:]} == set(outcomes)
    assert len(outcomes) == 3 * len({1, os.cpu_count()}) + 3
    assert not any(outcome["failure"] for outcome in outcomes.values())
    assert all(outcome["figures"]["seconds"][0] > 0 for outcome in outcomes.values())
    assert written["lengths_s"] == {"16 kHz mono, 1": 1.024}


def test_startup(benchmark):
    process, written = benchmark("startup")
    scripts = {path.name for path in ROOT.glob("*.py") if "\n    run_script(" in path.read_text()}
    assert set(written["seconds"]) == scripts
    assert {row[0] for row in table_rows(process.stdout)[2:]} == scripts


def test_precision_goes_on_where_it_stopped(benchmark, tmp_path, recordings):
    arguments = [f"--data_dir={recordings}", f"--runs={tmp_path / 'runs'}", "--seeds=3", "--steps=2", "--dim=1"]
    arguments += ["--batch_size=2", "--slice_len=4096", "--eval_n=130"]
    process, written = benchmark("precision", *arguments)
    runs = written["runs"]
    assert [(run["precision"], run["seed"]) for run in runs] == [("float32", 3), ("bfloat16", 3)]
    for run in runs:
        history = (tmp_path / "runs" / f"{run['precision']}-3" / "metrics.jsonl").read_text().splitlines()
        values = {line["metric"]: line["value"] for line in map(json.loads, history)}
        assert run["metrics"] == {name: values[name] for name in run["metrics"]}
        assert {"D_loss", "G_loss", "penalty"} <= set(run["losses"])
        config = json.loads((tmp_path / "runs" / f"{run['precision']}-3" / "config.json").read_text())
        assert config["train_precision"] == contestants.PRECISIONS[run["precision"]]
    again, written_again = benchmark("precision", *arguments)
    assert written_again["runs"] == runs
    assert "frechet_distance" in process.stderr
    assert "frechet_distance" not in again.stderr


def test_quality(benchmark, tmp_path):
    """A file is divided in time, a folder by files; what is trained and measured is not done again."""
    data_dir, runs = tmp_path / "data", tmp_path / "runs"
    (data_dir / "asmr").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 0.1, [10 * 16000, 1])
    soundfile.write(data_dir / "asmr" / "waves.ogg", noise, 16000)
    small = "--wavegan_dim=1 --train_batch_size=2 --train_precision=float32 --data_slice_len=4096"
    arguments = [f"--data_dir={data_dir}", f"--runs={runs}", "--sets=waves", "--seeds=3", "--minutes=0.02"]
    arguments += [f"--variant=first={small}", f"--variant=second={small} --wavegan_genr_noise"]
    arguments += ["--eval_n=100", "--at_once=2"]
    process, written = benchmark("quality", *arguments)
    lengths = [soundfile.info(runs / "recordings" / "waves" / part / "waves.wav").frames for part in PARTS]
    assert lengths == [128000, 32000]
    assert [run["variant"] for run in written["runs"]] == ["first", "second"]
    for run in written["runs"]:
        config = json.loads((runs / f"waves-{run['variant']}-3" / "config.json").read_text())
        assert config["data_dir"] == str(runs / "recordings" / "waves" / "training")
        assert (config["train_seed"], config["wavegan_genr_noise"]) == (3, run["variant"] == "second")
        value, real = run["measured"]["frechet_distance"]
        assert value > real > 0
        assert run["measured"]["memorisation"][0] > 0 and 0 <= run["measured"]["faulty"][0] <= 1
    rows = {row[0]: row[1:] for row in table_rows(process.stdout)}
    assert len(rows["Fréchet distance"]) == 3
    assert (runs / "waves.png").read_bytes().startswith(b"\x89PNG")
    again, written_again = benchmark("quality", *arguments)
    assert written_again["runs"] == written["runs"]
    assert "training" not in again.stderr


def test_quality_holds_out_files(tmp_path):
    (tmp_path / "digits").mkdir()
    for number in range(12):
        (tmp_path / "digits" / f"{number:02d}.wav").write_bytes(bytes([number]))
    parts = held_out.hold_out("digits", tmp_path, tmp_path / "runs")
    names = [sorted(os.listdir(part)) for part in parts]
    assert names[1] == ["00.wav", "06.wav"]
    assert sorted(names[0] + names[1]) == sorted(os.listdir(tmp_path / "digits"))


def test_contestants_that_fail(capfd):
    """One that may fail is left out, whether it raises or its process dies; one that may not ends the race."""
    good = common.Contestant("good", common.timed, {"step": time.monotonic})
    raising = common.Contestant("raising", json.loads, {"s": "{"}, may_fail=True)
    dying = common.Contestant("dying", os._exit, {"status": 7}, may_fail=True)
    outcomes = common.race([raising, good, dying], 3, 0.0, "test")
    assert len(outcomes["good"].figures["seconds"]) == 3
    assert outcomes["raising"].median() is outcomes["dying"].median() is None
    assert "property name" in outcomes["raising"].failure
    assert "ended with 7" in outcomes["dying"].failure
    assert capfd.readouterr().err.count("left out") == 2
    with pytest.raises(UserError, match=r"needed: .*ended with 7"):
        common.race([good, common.Contestant("needed", os._exit, {"status": 7})], 1, 0.0, "test")


def test_ratio_is_the_median_over_rounds():
    """Where the machine slows down for a while, contestants of the same round have it in common."""
    ours, theirs = common.Outcome({"seconds": [1, 10, 2]}), common.Outcome({"seconds": [3, 30, 8]})
    assert common.ratio(ours, theirs) == 3
    assert common.ratio(ours, None) is None
    assert common.ratio(ours, common.Outcome()) is None


def test_timed_repeats_a_step_for_a_turn():
    calls = []
    assert common.timed(lambda: calls.append(0), untimed=2)(0)["seconds"] > 0
    assert len(calls) == 3
    common.timed(lambda: calls.append(0))(0.05)
    assert len(calls) > 10


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train_step", "--dims=big"], "--dims must be whole numbers from 1"),
        (["train_step", "--slice_lens=100"], "--slice_lens must be among 4096"),
        (["train_step", "--presets=asmr", "--against=/nowhere"], "--against must be a checkout of this project"),
        (["train_step", "--against=/nowhere"], "--against has an effect with --presets only"),
        (["generate", "--contestants=jax"], "--contestants must be among project-float32"),
        (["loader", "--data_dir=/nowhere"], "no such folder"),
        (["precision", "--runs=runs"], "--data_dir is missing"),
        (["quality", "--runs=runs"], "--data_dir is missing"),
        (["quality", "--data_dir=/nowhere", "--runs=/tmp", "--variant=a b=c"], "--variant must be NAME=FLAGS"),
        (["quality", "--data_dir=/nowhere", "--runs=/tmp", "--sets=sea"], "--sets must be among waves"),
        (["startup", "now"], "takes flags only"),
    ],
)
def test_mistakes(arguments, words, tmp_path):
    name, *rest = arguments
    process = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *rest, f"--results_dir={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert process.returncode == 2
    assert words in process.stderr.splitlines()[-1]
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "out").exists()


def test_stopping_leaves_no_process(tmp_path):
    arguments = [*SMALL_CASE, "--slice_lens=4096", "--contestants=project-float32", "--rounds=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.train_step", *arguments, f"--results_dir={tmp_path}"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    for line in process.stderr:
        if "round" in line:
            break
    process.send_signal(signal.SIGTERM)
    assert "stopped" in process.stderr.read()
    assert process.wait() == 128 + signal.SIGTERM

    def is_group_gone():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(is_group_gone)


def test_the_piano_is_a_midi_file():
    """Read as the standard says: every note that begins ends, and nothing comes after."""
    notes = instruments.notes(np.random.default_rng(0), instruments.INSTRUMENTS["piano"])
    data = instruments.midi_file(notes, 0)
    assert data[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1]) + (960).to_bytes(2, "big")
    assert data[14:18] == b"MTrk" and int.from_bytes(data[18:22], "big") == len(data) - 22
    place, ticks, sounding, begun = 22, 0, collections.Counter(), []
    while place < len(data):
        delta = 0
        while True:
            delta, byte, place = delta << 7 | data[place] & 0x7F, data[place], place + 1
            if byte < 0x80:
                break
        ticks += delta
        if data[place] == 0xFF:
            place += 3 + data[place + 2]
            continue
        if data[place] == 0xC0:
            assert (ticks, data[place + 1]) == (0, 0)
            place += 2
            continue
        kind, pitch, _ = data[place : place + 3]
        sounding[pitch] += {0x90: 1, 0x80: -1}[kind]
        begun += [(ticks / 960, pitch)] if kind == 0x90 else []
        place += 3
    assert not +sounding and data[-3:] == b"\xff\x2f\x00"
    assert begun == sorted((round(start * 960) / 960, pitch) for start, _, pitch, _ in notes)
    assert 100 < begun[-1][0] < instruments.SECONDS
