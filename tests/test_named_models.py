"""Models by name: where verbs find them, what they write, and what comes of names that are none."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
import safetensors.numpy
from conftest import ROOT

from wavegan_asmr import named_models, storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.shared_model import share

GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of two models to share, which no test changes."""
    folder = tmp_path_factory.mktemp("made")
    share(GOLDEN / "asmr", folder / "rain", sounds=1)
    # One that says of itself that it is another.
    other = shutil.copytree(folder / "rain", folder / "night rain") / "generator.safetensors"
    weights = safetensors.numpy.load_file(other)
    safetensors.numpy.save_file(weights, other, {"step": "20", "digest": "another"})
    return folder


@pytest.fixture
def models(made, tmp_path, monkeypatch):
    """The folder in which models are found by name; the current folder is another one."""
    folder = shutil.copytree(made, tmp_path / "clone" / "models")
    monkeypatch.setattr(named_models, "FOLDER", str(folder))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_names_and_paths(models, tmp_path):
    assert named_models.find("rain") == str(models / "rain")
    assert named_models.find("night rain") == str(models / "night rain")
    for path in ("./rain", "rain/", "../clone/models/rain", "rain.v2", "..", ""):
        assert named_models.find(path) == path
    # A training beats the model of its name, and what only begins like one does not.
    shutil.copytree(GOLDEN / "asmr", "rain")
    assert named_models.find("rain") == "rain"
    os.mkdir("night")
    assert named_models.find("night rain") == str(models / "night rain")


def test_what_is_no_model_has_no_name(models):
    (models / "empty").mkdir()
    (models / "README.md").write_text("")
    shutil.copytree(models / "rain", models / "rain.partial")
    shutil.copytree(models / "rain", models / "torn")
    (models / "torn" / "config.json").unlink()
    shutil.copytree(GOLDEN / "asmr", models / "training")
    assert list(named_models.find_all()) == ["night rain", "rain"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rian", r"nor is there a model of that name \(did you mean rain\?\); there are: rain, night rain"),
        ("Rain", r"\(did you mean rain\?\)"),
        ("volcano", r"nor is there a model of that name; there are: night rain, rain"),
    ],
)
def test_an_unknown_name(models, tmp_path, name, said):
    with pytest.raises(UserError, match=said) as caught:
        named_models.find(name)
    assert str(caught.value).startswith(f"no config.json in '{tmp_path / 'here' / name}': not a training directory.")
    assert "\n" not in str(caught.value)


def test_an_installation_without_models(tmp_path, monkeypatch, verb):
    monkeypatch.setattr(named_models, "FOLDER", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    said = r"no models come with this installation; fetch one, wavegan pull https://\.\.\. '\./a b', or take a clone"
    with pytest.raises(UserError, match=said):
        verb("generate", "a b", "--minutes", 1, "--out", "a.wav")
    assert "no models come with this installation; fetch one" in verb("models")


def test_a_folder_that_hides_a_model(models, tmp_path):
    os.mkdir("rain")
    with pytest.raises(UserError, match=rf"a path beats a name, and '{tmp_path}/here/rain' is no tr.*{models}/rain\."):
        named_models.find("rain")


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("generate rain --minutes=1 --out=a.wav", "rendering.render.render"),
        ("generate --from=a.json --train_dir=rain --out=a.wav", "rendering.render.render_again"),
        ("export rain --format=litert --out=a.tflite", "exchange.export.export"),
        ("export rain --format=web --out=a.html", "player.page.write"),
        ("play rain --noopen", "player.page.build"),
        ("push rain there", "exchange.push.push"),
    ],
)
def test_verbs_that_read(models, monkeypatch, verb, line, function):
    received = []

    def receive(*arguments, **options):
        received.extend(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(f"wavegan_asmr.{function}", receive)
    # What goes on until it is stopped takes it as its end.
    with contextlib.suppress(KeyboardInterrupt):
        verb(*line.split())
    path = str(models / "rain")
    assert path in received or [path] in received
    assert not os.listdir()


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("preview rain", "rendering.preview.preview"),
        ("evaluate rain --data_dir=asmr", "evaluation.tables.evaluate_all"),
        ("infer rain", "exchange.export.infer"),
        ("incept rain --incept_classifier=x", "classification.inception.incept"),
    ],
)
def test_verbs_that_write(models, tmp_path, monkeypatch, verb, line, function):
    received, copy = [], str(tmp_path / "here" / "rain")
    monkeypatch.setattr(f"wavegan_asmr.{function}", lambda *arguments, **options: received.extend(arguments))
    assert f"model     {models}/rain is copied to {copy}\n" in verb(*line.split())
    assert copy in received or [copy] in received
    assert contents(tmp_path / "here" / "rain") == contents(models / "rain")


def test_without_recordings_nothing_is_copied(models, verb):
    with pytest.raises(UserError, match=r"--data_dir FOLDER\. Received: 'rain'"):
        verb("evaluate", "rain")
    assert not os.listdir()


def test_what_is_made_of_a_model_goes_into_a_copy(models, made, tmp_path, verb):
    for name in ("preview", "eval"):
        # What someone has made of it by its path is not copied.
        (models / "rain" / name).mkdir()
    said = verb("preview", "rain", "--preview_n", 2)
    assert f"{tmp_path}/here/rain/preview/00000020.wav" in said
    assert not contents(models / "rain" / "preview") and not (tmp_path / "here" / "rain" / "eval").exists()
    # From now on the copy, the same model, is what the name stands for.
    before = contents(tmp_path / "here")
    said = verb("infer", "rain")
    assert "copied" not in said and f"{tmp_path}/here/rain/infer" in said
    assert before.items() <= contents(tmp_path / "here").items()
    shutil.rmtree(models / "rain" / "preview"), shutil.rmtree(models / "rain" / "eval")
    assert contents(models) == contents(made)


def test_a_copy_is_whole_or_not_there(models, tmp_path, monkeypatch):
    copy, left = storage.copy, [2]

    def fill_disk(path, folder):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", path)
        copy(path, folder)

    monkeypatch.setattr(storage, "copy", fill_disk)
    said = rf"the model rain cannot be copied .*: the disk is full\. Received: '{tmp_path}/here/rain'"
    with pytest.raises(UserError, match=said):
        named_models.find_writable("rain")
    assert not os.listdir()

    def begin_training(path, folder):
        os.makedirs("rain/preview", exist_ok=True)

    monkeypatch.setattr(storage, "copy", begin_training)
    with pytest.raises(UserError, match="the model rain cannot be copied"):
        named_models.find_writable("rain")
    assert os.listdir() == ["rain"] and os.listdir("rain") == ["preview"]


def test_manifests_find_a_model_by_name_again(models, made, tmp_path, monkeypatch, run_here):
    def run(*arguments):
        return run_here("generate.py", *arguments, "--overwrite")

    flags = ["--minutes", "0.02", "--max_left_out", "0.9", "--candidates", "1"]
    process = run("rain", *flags, "--out", "a.wav")
    assert process.returncode == 0 and f"pilot     {models}/rain:" in process.stderr
    assert contents(models) == contents(made)
    again = ["--from", "a.json", "--out", "b.wav"]
    # Another clone, in which it has another name.
    monkeypatch.setattr(named_models, "FOLDER", str(models.rename(tmp_path / "moved")))
    os.rename(tmp_path / "moved" / "rain", tmp_path / "moved" / "brook")
    process = run(*again)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "here" / "a.wav").read_bytes() == (tmp_path / "here" / "b.wav").read_bytes()
    # A model of the name that is another one is no help.
    shutil.rmtree(tmp_path / "moved" / "brook")
    os.rename(tmp_path / "moved" / "night rain", tmp_path / "moved" / "rain")
    process = run(*again)
    assert process.returncode == 2
    assert f"a.json: models[0]: no training directory in '{models}/rain'; if it has moved" in process.stderr


def test_the_folder_is_the_one_beside_the_package(made, tmp_path):
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "wavegan_asmr", clone / "wavegan_asmr", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(made / "rain", clone / "models" / "brook")
    shutil.copytree(made / "rain", tmp_path / "models" / "lake")

    def run(*arguments):
        line = [sys.executable, "-m", "wavegan_asmr", *arguments]
        environment = os.environ | {"PYTHONPATH": str(clone)}
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    listed = run("models")
    assert listed.returncode == 0 and "brook" in listed.stdout and "lake" not in listed.stdout
    unknown = run("generate", "lake", "--minutes", "1", "--out", "lake.wav")
    assert unknown.returncode == 2 and unknown.stderr.count("\n") == 1 and "there are: brook" in unknown.stderr
