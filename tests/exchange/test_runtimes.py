"""Generators in ONNX and LiteRT make the same sound in runtimes that are not TensorFlow."""

import json
import os
import re
import shutil
import sys

import numpy as np
import pytest
from conftest import ROOT
from random_generators import SHAPES, Trained, random_inputs, random_network, share
from tensorflow.lite.tools import flatbuffer_utils

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import export as exporting
from wavegan_asmr.exchange import exporters, litert, onnx_model, plain_model
from wavegan_asmr.families import FAMILIES
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir

QUICK = (
    "batchnorm",
    "even kernel",
    "noise",
    "even post-filter, stereo",
    "labels",
    "labels and a measure, bands, post-filter",
    "labels and measures, batchnorm",
    "measures",
    "all",
)


def here(folder):
    """What is in a folder, but for the cache that conftest puts there, in which libraries leave files of their own."""
    return sorted(set(os.listdir(folder)) - {"cache"})


def run_onnx(path, inputs):
    import onnxruntime

    return onnxruntime.InferenceSession(path).run(None, inputs)[0]


def run_litert(path, inputs):
    from ai_edge_litert.interpreter import Interpreter

    generate = Interpreter(str(path)).get_signature_runner("serving_default")
    clips = [{name: x[i : i + 1] for name, x in inputs.items()} for i in range(len(inputs["z"]))]
    return np.concatenate([generate(**clip)["audio"] for clip in clips])


RUNTIMES = {"onnx": (onnx_model, run_onnx), "litert": (litert, run_litert)}


@pytest.mark.parametrize("format_", RUNTIMES)
@pytest.mark.parametrize(
    "shape", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in SHAPES]
)
def test_the_same_sound(format_, shape, tmp_path):
    generator, path = Trained(random_network(**SHAPES[shape])), tmp_path / "model"
    module, run = RUNTIMES[format_]
    drawn = random_inputs(generator, 2)
    inputs = plain_model.split(generator, drawn)
    expected = generator.network(drawn, training=False).numpy()
    assert expected.std() > 0.02, "silence is the same in any case"
    module.write(generator, path, "float32")
    np.testing.assert_allclose(run(path, inputs), expected, atol=2e-5)
    # Every noise matters, and all that is listened to.
    for name in set(inputs) - {"z", "given"}:
        assert np.abs(run(path, inputs | {name: -inputs[name]}) - expected).max() > 1e-3
    if "given" in inputs:
        for change in np.eye(inputs["given"].shape[1], dtype=np.float32):
            other = {"given": np.where(change, 1 - inputs["given"], inputs["given"]).astype(np.float32)}
            assert np.abs(run(path, inputs | other) - expected).max() > 1e-3


@pytest.mark.parametrize("format_", RUNTIMES)
def test_smaller_weights(format_, tmp_path):
    generator = Trained(random_network(slice_len=4096, dim=16, noise=True, relative_noise=True, labels=3, measures=1))
    drawn = random_inputs(generator, 1)
    inputs, expected = plain_model.split(generator, drawn), generator.generate(drawn)
    module, run = RUNTIMES[format_]
    sizes, errors = [], []
    for precision in ("float32", "float16", "int8"):
        module.write(generator, tmp_path / precision, precision)
        sizes.append(os.path.getsize(tmp_path / precision))
        errors.append(np.abs(run(tmp_path / precision, inputs) - expected).mean() / np.abs(expected).mean())
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.35 * sizes[0]
    assert errors[0] < 1e-5 < errors[1] < 2e-3 < errors[2] < 0.1


@pytest.fixture
def train_dir(tmp_path):
    return shutil.copytree(ROOT / "tests" / "golden" / "asmr", tmp_path / "train")


def test_what_a_file_says_of_itself(train_dir, tmp_path, verb):
    import onnx

    printed = verb("export", train_dir, "--format=onnx", f"--out={tmp_path / 'a.onnx'}", "--precision=float16")
    assert "step 20: " in printed and "dB below the sound" in printed
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == onnx_model.OPSET
    facts = {each.key: each.value for each in model.metadata_props}
    stored = json.loads((train_dir / "config.json").read_text())
    config = json.loads(facts["config"])
    assert facts["step"] == "20" and facts["sample_rate_hz"] == str(stored["data_sample_rate"])
    assert config["wavegan_dim"] == stored["wavegan_dim"] and config["data_dir"] == ""
    assert {node.op_type for node in model.graph.node} <= set(
        "Add Cast Clip Conv MatMul Mul ReduceMean Relu Reshape Sqrt Tanh Transpose".split()
    )

    verb("export", train_dir, "--format=litert", f"--out={tmp_path / 'a.tflite'}")
    model = flatbuffer_utils.read_model(str(tmp_path / "a.tflite"))
    (place,) = [each.buffer for each in model.metadata if each.name == litert.METADATA.encode()]
    assert json.loads(bytes(model.buffers[place].data))["digest"] == facts["digest"]


def test_mistakes(train_dir, tmp_path, verb):
    out = f"--out={tmp_path / 'a.onnx'}"
    for arguments, words in (
        ([train_dir, out], "--format is missing: one of onnx, litert, saved_model, web"),
        ([train_dir, "--format=onnx"], "--out is missing"),
        ([train_dir, train_dir, "--format=onnx", out], "--format onnx takes one TRAIN_DIR"),
        ([train_dir, "--format=litert", out], r"--format litert must end in \.tflite\. Received: '.*a\.onnx'"),
        (
            [train_dir, "--format=onnx", f"--out={tmp_path / 'none' / 'a.onnx'}"],
            "--out is in a folder that is not there",
        ),
        ([train_dir, "--format=saved_model", f"--out={train_dir}"], "must be a new folder.*holds other files"),
        ([train_dir, "--format=saved_model", f"--out={tmp_path / 'a'}", "--precision=int8"], "one of float32. Rec"),
        ([train_dir, "--format=web", f"--out={tmp_path / 'a.html'}", "--precision=int8"], "--precision has no effect"),
        ([tmp_path, "--format=onnx", out], "config.json"),
    ):
        with pytest.raises(UserError, match=words):
            verb("export", *arguments)
    assert here(tmp_path) == ["train"]


def test_a_file_is_replaced_where_that_is_asked_for(train_dir, tmp_path, verb):
    for name, out, there in (("onnx", "a.onnx", "is there"), ("saved_model", "a", "holds a SavedModel")):
        arguments = [train_dir, f"--format={name}", f"--out={tmp_path / out}"]
        verb("export", *arguments)
        with pytest.raises(UserError, match=f"{there} already; give another --out, or --overwrite"):
            verb("export", *arguments)
        verb("export", *arguments, "--overwrite")
    assert here(tmp_path) == ["a", "a.onnx", "train"]


@pytest.mark.parametrize("format_", RUNTIMES)
@pytest.mark.parametrize("family", [each for each in FAMILIES if each != "wavegan"])
def test_what_has_no_plain_operations_is_refused(format_, family, tmp_path, train_dir, monkeypatch):
    generator = Trained(random_network(slice_len=4096), family=FAMILIES[family])
    monkeypatch.setattr(exporting, "Generator", lambda train_dir, checkpoint: generator)
    ending = exporters.EXPORTERS[format_].ending
    with pytest.raises(UserError, match=f"--family {family} cannot be exported to other runtimes: .*saved_model"):
        exporting.export(train_dir, tmp_path / f"a{ending}", format_)
    assert here(tmp_path) == ["train"]


def test_what_sounds_otherwise_is_not_written(train_dir, tmp_path, monkeypatch):
    def add_a_tone(path, inputs):
        sound = run_onnx(path, inputs)
        return sound + 1e-3 * np.abs(sound).max()

    monkeypatch.setattr(onnx_model, "run", add_a_tone)
    with pytest.raises(UserError, match=r"the exported model differs from TensorFlow by .* dB are needed with"):
        exporting.export(train_dir, tmp_path / "a.onnx", "onnx")
    assert here(tmp_path) == ["train"]


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_what_is_not_installed_is_named(train_dir, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=rf"--format onnx needs {missing}: pip install 'wavegan\[onnx\]'"):
        exporting.export(train_dir, tmp_path / "a.onnx", "onnx")
    assert here(tmp_path) == ["train"]


def run_example(place, and_then=None):
    """Runs the example of the docs that names a file, and another one behind it; returns its variables."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "exporting.md").read_text(), re.DOTALL)
    names = {}
    for words in (place, and_then) if and_then else (place,):
        (example,) = [each for each in examples if words in each]
        exec(example, names)
    return names


@pytest.mark.parametrize(
    ("name", "place"), [("onnx", "rain.onnx"), ("litert", "rain.tflite"), ("saved_model", "rain_model")]
)
def test_the_examples_of_the_docs_run(name, place, train_dir, tmp_path, verb, monkeypatch):
    verb("export", train_dir, f"--format={name}", f"--out={tmp_path / place}")
    monkeypatch.chdir(tmp_path)
    names = run_example(place)
    slice_len = json.loads((train_dir / "config.json").read_text())["data_slice_len"]
    audio = np.asarray(names["audio"])
    assert audio.shape[1:] == (slice_len, 1) and 0 < audio.std() < 1


def test_the_docs_tell_how_to_make_the_very_sound_of_tensorflow(train_dir, tmp_path, verb, monkeypatch):
    verb("export", train_dir, "--format=onnx", f"--out={tmp_path / 'rain.onnx'}")
    monkeypatch.chdir(tmp_path)
    names = run_example("rain.onnx", and_then="noise.draw")
    expected = Generator(TrainDir(train_dir)).generate(names["inputs"]["z"])
    np.testing.assert_allclose(names["audio"], expected, atol=1e-6)
    other = run_example("rain.onnx")
    expected = Generator(TrainDir(train_dir)).generate(other["inputs"]["z"])
    assert np.abs(other["audio"] - expected).max() > 1e-4, "noise makes no difference"


def test_a_model_that_listens(tmp_path, verb, monkeypatch):
    config = Config(
        data_slice_len=4096,
        wavegan_dim=2,
        wavegan_latent_dim=10,
        wavegan_genr_noise=True,
        label_names=("fire", "rain"),
        label_shares=(0.5, 0.5),
        data_conditions=("brightness", "level"),
    )
    share(tmp_path / "model", config)
    for name, place in (("onnx", "rain.onnx"), ("litert", "rain.tflite"), ("saved_model", "rain_model")):
        assert "dB below the sound" in verb(
            "export", tmp_path / "model", f"--format={name}", f"--out={tmp_path / place}"
        )
    monkeypatch.chdir(tmp_path)
    names = run_example("rain.onnx", "nearly as loud")
    assert names["inputs"]["z"].shape == (1, 10)
    np.testing.assert_array_equal(names["inputs"]["given"], np.array([[0, 1, 0.5, 0.9]], np.float32))
    names = run_example("rain.onnx", "noise.draw")
    generator = Generator(TrainDir(tmp_path / "model"))
    drawn = np.concatenate([names["inputs"]["z"], names["inputs"]["given"]], axis=1)
    np.testing.assert_allclose(names["audio"], generator.generate(drawn), atol=1e-6)
