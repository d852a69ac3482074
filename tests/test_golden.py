"""What an earlier version wrote goes on working, to the bit; tests/golden holds it, and says how it came about."""

import hashlib
import json
import re
import shutil
import sys

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(GOLDEN))
import processor  # noqa: E402

DIGESTS = json.loads((GOLDEN / "digests.json").read_text())
IS_SAME_PROCESSOR = processor.identity() == DIGESTS["processor"]
TRAININGS = ("paper", "asmr", "finetuned", "stereo")
SAMPLES_TOLERANCE, WEIGHTS_TOLERANCE = 1e-6, 1e-4
"""On other processors, which round sums in another order. Adam takes gradients that rounding has turned around for
whole updates: with the instructions of AVX2 in place of AVX512 weights differ by up to 1e-5 after twenty steps."""

FRESH = {
    "paper": "--data_slice_len=4096 --wavegan_dim=1 --wavegan_latent_dim=8 --train_batch_size=4",
    "asmr": "--preset=asmr-16k --wavegan_genr_noise_bits=32 --data_slice_len=4096 --wavegan_dim=1 --train_batch_size=4",
    "finetuned": "--train_init_from={golden}/asmr --train_batch_size=4",
    "stereo": "--preset=asmr --wavegan_genr_likeness=0 --nowavegan_genr_noise_pulses --data_slice_len=8192 "
    "--wavegan_dim=1 --train_batch_size=4",
}
"""Flags of each training when it was begun."""

RECORDINGS = dict.fromkeys(TRAININGS, "recordings") | {"stereo": "stereo_recordings"}

QUIET = "--train_save_secs=100000 --train_summary_secs=100000 --train_forms=table".split()


@pytest.fixture
def command(run_here):
    """Function: runs a script in this process, which must end well."""

    def run(*arguments):
        process = run_here(*arguments)
        assert process.returncode == 0, process.stderr
        return process

    return run


@pytest.fixture
def golden(tmp_path):
    """A copy of tests/golden whose paths lead to itself."""
    folder = shutil.copytree(GOLDEN, tmp_path / "golden")
    for path in [*folder.glob("*/config.json"), *folder.glob("*/best/config.json"), folder / "night.json"]:
        path.write_text(path.read_text().replace('"/golden', f'"{folder}'))
    return folder


def tensors(folder, step):
    """Dict of name to array of a checkpoint."""
    reader = tf.train.load_checkpoint(str(folder / f"ckpt-{step}"))
    end = "/.ATTRIBUTES/VARIABLE_VALUE"
    names = sorted(name for name in reader.get_variable_to_shape_map() if name.endswith(end))
    return {name.removesuffix(end): reader.get_tensor(name) for name in names}


def of_training(arrays, name):
    """Those of `NAME/...` in an npz file, dict of the rest of the name to array."""
    return {each.removeprefix(f"{name}/"): arrays[each] for each in arrays if each.startswith(f"{name}/")}


def digest(arrays):
    total = hashlib.sha256()
    for name, array in arrays.items():
        total.update(name.encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def check_samples(found, golden, name):
    """Compares integer samples, of which `golden` are those written before."""
    if IS_SAME_PROCESSOR:
        assert hashlib.sha256(np.ascontiguousarray(found).tobytes()).hexdigest() == DIGESTS[name]
    np.testing.assert_allclose(found / 2**31, golden / 2**31, atol=SAMPLES_TOLERANCE)


def check_weights(found, before, expected):
    """Compares the tensors of a checkpoint with those written before, dict of name to array, and with their digest."""
    assert set(found) == set(before)
    for name, array in before.items():
        np.testing.assert_allclose(found[name], array, atol=WEIGHTS_TOLERANCE, rtol=0.01, err_msg=name)
    if IS_SAME_PROCESSOR:
        assert digest(found) == expected


@pytest.mark.parametrize("name", TRAININGS)
def test_a_new_training_learns_the_same(name, golden, tmp_path, command):
    flags = FRESH[name].format(golden=golden).split()
    command(
        "train_wavegan.py", "train", tmp_path / "new", f"--data_dir={golden / RECORDINGS[name]}", *flags, *QUIET,
        "--train_precision=float32", "--train_max_steps=20",
    )  # fmt: skip
    before = of_training(np.load(golden / "learned.npz"), name) or tensors(golden / name, 20)
    check_weights(tensors(tmp_path / "new", 20), before, DIGESTS["weights"][name]["20"])


@pytest.mark.parametrize("name", TRAININGS)
def test_an_old_training_goes_on_the_same(name, golden, command):
    process = command("train_wavegan.py", "train", golden / name, "--train_max_steps=24", *QUIET)
    assert "resuming  step 20" in process.stdout
    before = of_training(np.load(golden / "resumed.npz"), name)
    check_weights(tensors(golden / name, 24), before, DIGESTS["weights"][name]["24"])


def test_an_old_training_is_previewed_the_same(golden, command):
    command("preview.py", golden / "asmr")
    samples, _ = soundfile.read(golden / "asmr" / "preview" / "00000020.wav", dtype="int16", always_2d=True)
    if IS_SAME_PROCESSOR:
        assert hashlib.sha256(samples.tobytes()).hexdigest() == DIGESTS["preview"]
    assert len(samples) == 32 * (4096 + 8000) - 8000


def test_an_old_training_is_evaluated(golden, command):
    """The history of an older embedding stays, and what does not depend on the embedding is the same."""
    lines = (golden / "asmr" / "metrics.jsonl").read_text()
    process = command("evaluate.py", golden / "asmr", "--eval_n=200", "--checkpoint=best")
    former = {line["metric"]: line["value"] for line in map(json.loads, lines.splitlines())}
    of_the_embedding = {"frechet_distance", "kernel_distance", "ndb"}
    expected = {name: value for name, value in former.items() if name not in {*of_the_embedding, "inception_score"}}
    expected |= json.loads((golden / "evaluated.json").read_text())
    assert of_the_embedding < expected.keys()
    for metric, value in expected.items():
        shown = re.search(rf"^  {metric} +(\S+)", process.stdout, re.M)
        # Printed with four digits.
        assert float(shown[1]) == pytest.approx(value, rel=1e-3, abs=1e-6), metric
    now = (golden / "asmr" / "metrics.jsonl").read_text()
    assert now.startswith(lines) and len(now) > len(lines)
    assert {json.loads(line)["embedding_version"] for line in now[len(lines) :].splitlines()} == {2}


def test_an_old_classifier_scores_the_same(golden, command):
    process = command(
        "train_wavegan.py", "incept", golden / "asmr", f"--incept_classifier={golden / 'classifier'}",
        "--incept_n=40", "--incept_k=4",
    )  # fmt: skip
    assert re.search(r"real test set +1\.84 +0\.08 +10", process.stdout)
    assert re.search(r"step 20 +1\.01 ", process.stdout)


def test_a_new_file_is_the_same(golden, tmp_path, command):
    command(
        "generate.py", golden / "asmr", golden / "finetuned", "--minutes=0.1", "--bits=24", "--stretch_s=2",
        "--model_fade_s=0.5", "--max_left_out=0.9", "--out", tmp_path / "night.flac",
    )  # fmt: skip
    samples, _ = soundfile.read(tmp_path / "night.flac", dtype="int32", always_2d=True)
    before, _ = soundfile.read(golden / "night.flac", dtype="int32", always_2d=True)
    check_samples(samples, before, "night")


def test_an_old_manifest_is_rendered_the_same(golden, tmp_path, command):
    command("generate.py", "--from", golden / "night.json", "--out", tmp_path / "again.flac")
    samples, _ = soundfile.read(tmp_path / "again.flac", dtype="int32", always_2d=True)
    before, _ = soundfile.read(golden / "night.flac", dtype="int32", always_2d=True)
    check_samples(samples, before, "night")
