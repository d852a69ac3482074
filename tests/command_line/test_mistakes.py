"""Every mistake of a user: exit code 2 and one line on stderr that names what is wrong."""

import contextlib
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import typing

import numpy as np
import pytest
import soundfile
from conftest import REFERENCE, ROOT, TINY
from processes import check_mistake, flip_bytes, tiny_settings

from wavegan_asmr import config, settings
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop

SCRIPTS = ["train_wavegan.py", "preview.py", "backup.py"]
VERBS = ["train", "preview", "incept", "infer", "import"]
"""Of train_wavegan.py."""
NEWEST_DATA, NEWEST_INDEX = "ckpt-2.data-00000-of-00001", "ckpt-2.index"

WITHOUT_TENSORBOARD = """
import runpy
import sys

sys.modules["tensorboard"] = None
sys.path.insert(0, {root!r})
runpy.run_path({script!r}, run_name="__main__")
"""
INTERRUPTED_IN_A_FINALIZER = """
import os
import signal
import sys
import time

sys.path.insert(0, {root!r})
from wavegan_asmr.command_line import run


class Handle:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        while True:
            time.sleep(0.1)


def main():
    handle = Handle()
    del handle
    print("the finalizer was left")
    time.sleep(60)
    print("never stopped")


run.run(main, "finalizer")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Path of a finished training with the checkpoints 0, 1 and 2, which no test changes."""
    folder = tmp_path_factory.mktemp("trained")
    loop.train(folder / "train", tiny_settings(folder, train_max_steps=2, train_save_secs=0))
    return folder / "train"


@pytest.fixture
def train_dir(trained, tmp_path):
    """A copy of `trained` to change."""
    return shutil.copytree(trained, tmp_path / "train")


@contextlib.contextmanager
def full_disk(largest_file):
    """Context in which no file can grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Settings, one by one.


def out_of_range():
    for field in dataclasses.fields(Config):
        rules = field.metadata
        if typing.get_origin(field.type) is tuple:
            # A list is refused for one of its numbers, which is what the line names.
            continue
        if rules["at_least"] is not None:
            yield field.name, rules["at_least"] - 1
        if rules["at_most"] is not None:
            yield field.name, rules["at_most"] + 1
        elif field.type in (int, float):
            yield field.name, field.type(settings.LARGEST + 1)
        if rules["below"] is not None:
            yield field.name, rules["below"]
        if allowed := settings.choices(field):
            yield field.name, type(allowed[0])("12345")


def of_another_type():
    for field in dataclasses.fields(Config):
        if typing.get_origin(field.type) is tuple:
            yield from [(field.name, None), (field.name, 12), (field.name, "1,2")]
            continue
        yield field.name, []
        if field.default is not None:
            yield field.name, None
        if field.type is not str:
            yield field.name, "1"
        if field.type is int:
            yield from [(field.name, True), (field.name, 1.5)]
        if field.type in (float, float | None):
            yield from [(field.name, float("nan")), (field.name, float("inf"))]
        if field.type is bool:
            yield field.name, 1


@pytest.mark.parametrize(("name", "value"), [*out_of_range(), *of_another_type()])
def test_setting_breaks_its_rule(name, value):
    with pytest.raises(UserError) as raised:
        Config(**{name: value})
    annotation = Config.__annotations__[name]
    is_number = type(value) is int and annotation in (float, float | None)
    value = float(value) if is_number else value
    assert re.match(rf"--{name} must be .*\. Received: {re.escape(repr(value))}\.$", str(raised.value))


def changes(kinds):
    """Names of the settings of some kinds, with another allowed value than the default."""
    others = {"data_sample_rate": 8000, "data_min_level_db": -6.0}
    by_type = {bool: True, str: "other", int: 12, float: 0.25, float | None: 0.25, tuple[int, ...]: (1, 3)}
    for field in dataclasses.fields(Config):
        choices = [choice for choice in settings.choices(field) or () if choice != field.default]
        if typing.get_origin(field.type) is tuple:
            choices = [tuple(choices[:1])] if choices else []
        if field.metadata["kind"] in kinds:
            yield field.name, choices[0] if choices else others.get(field.name, by_type[field.type])


@pytest.mark.parametrize(("name", "value"), changes(["model", "training"]))
def test_fixed_setting_changes(name, value):
    stored = Config()
    with pytest.raises(UserError) as raised:
        config.merge(stored, {name: value}, ("model", "training"))
    for text in (f"--{name} ", f"stored {getattr(stored, name)!r}", f"received {value!r}", "--train_init_from"):
        assert text in str(raised.value)


@pytest.mark.parametrize(("name", "value"), changes(["run"]))
def test_run_setting_may_change(name, value):
    assert getattr(config.merge(Config(), {name: value}, ("model", "training")), name) == value
    assert config.merge(Config(**{name: value}), {}, ("model", "training")) == Config()


@pytest.mark.parametrize(("name", "value"), changes(["machine"]))
def test_machine_setting_may_change_and_is_remembered(name, value):
    assert getattr(config.merge(Config(), {name: value}, ("model", "training")), name) == value
    assert config.merge(Config(**{name: value}), {}, ("model", "training")) == Config(**{name: value})


# Command lines that fail before TensorFlow is imported.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train_wavegan.py", "train, preview, incept, infer, import"),
        ("train_wavegan.py paint t", "train, preview, incept, infer, import|'paint t'"),
        ("train_wavegan.py train", "TRAIN_DIR"),
        ("train_wavegan.py preview", "TRAIN_DIR"),
        ("train_wavegan.py infer", "TRAIN_DIR"),
        ("train_wavegan.py import t", "TRAIN_DIR REFERENCE_DIR|'t'"),
        ("train_wavegan.py import", "TRAIN_DIR REFERENCE_DIR"),
        ("train_wavegan.py train t extra", "TRAIN_DIR|'t extra'"),
        ("train_wavegan.py infer t extra", "TRAIN_DIR|'t extra'"),
        ("train_wavegan.py import t r extra", "TRAIN_DIR REFERENCE_DIR|'t r extra'"),
        ("train_wavegan.py train t --wavegan_depth=3", "wavegan_depth|--help"),
        ("train_wavegan.py train t --train_batch_size=many", "--train_batch_size|many|--help"),
        ("train_wavegan.py train t --wavegan_gp_lambda=x", "--wavegan_gp_lambda|x"),
        ("train_wavegan.py train t --data_normalize=maybe", "--data_normalize|maybe"),
        ("train_wavegan.py train t --data_dir", "--data_dir"),
        ("train_wavegan.py train t --preview_n=3", "--preview_n is not a flag of train; preview takes it."),
        ("train_wavegan.py preview t --train_keep=3", "--train_keep is not a flag of preview; train, check take it."),
        ("preview.py t --notrain_ema", "ema"),
        ("backup.py t 1 --watch", "--watch is not a flag of backup; preview, evaluate, incept, cases take it."),
        ("preview.py", "TRAIN_DIR"),
        ("preview.py a b", "TRAIN_DIR|'a b'"),
        ("preview.py t --preview_n=0", "--preview_n|0"),
        ("preview.py t --checkpoint=-1", "--checkpoint|-1"),
        ("preview.py t --checkpoint=last", "--checkpoint|'last'|newest, best or a step"),
        ("train_wavegan.py infer t --checkpoint=", "--checkpoint|''|newest, best or a step"),
        ("preview.py t --checkpoint=2 --all", "--checkpoint, --all and --watch"),
        ("preview.py t --checkpoint=best --watch", "--checkpoint, --all and --watch"),
        ("train_wavegan.py preview t --all --watch", "--checkpoint, --all and --watch"),
        ("backup.py", "TRAIN_DIR MINUTES|--once"),
        ("backup.py t", "TRAIN_DIR MINUTES|--once"),
        ("backup.py t 1 2", "TRAIN_DIR MINUTES|'t 1 2'"),
        ("backup.py t 1 --keep=-1", "--keep|-1"),
        ("backup.py t soon", "MINUTES|'soon'"),
        ("backup.py t 0", "MINUTES|'0'"),
        ("backup.py t -- -1", "MINUTES|'-1'"),
        ("backup.py t -1", "1"),
        ("backup.py t nan", "MINUTES|'nan'"),
        ("backup.py t inf", "MINUTES|'inf'"),
        ("backup.py t 1e300", "MINUTES|'1e300'"),
    ],
)
def test_command_line(command, tmp_path, line, words):
    check_mistake(command(*line.split(), check=False, cwd=tmp_path), *words.split("|"))
    assert not list(tmp_path.iterdir())


# Mistakes that are found later.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train_wavegan.py train t", "--data_dir is missing"),
        ("train_wavegan.py train t --data_dir nowhere", "no such folder|--data_dir|nowhere"),
        ("train_wavegan.py train t --data_dir silence.txt", "--data_dir|folder|silence.txt"),
        ("train_wavegan.py train t --data_dir empty", "no usable recording|holds nothing|empty"),
        ("train_wavegan.py train t --data_dir texts", "holds 1 .wav|poem.wav: not readable as audio|texts"),
        ("train_wavegan.py train t --data_dir clicks", "shorter than a slice of 16384|--data_pad_end|has 100"),
        ("train_wavegan.py train t --data_dir clicks --dry_run", "shorter than a slice of 16384|--data_slice_len"),
        ("train_wavegan.py train t --data_dir zeros", "nothing can be learned from digital silence|zeros"),
        ("train_wavegan.py train t --data_dir hush --data_min_level_db=-60", "--data_min_level_db|-60"),
        ("train_wavegan.py train t --data_dir clicks --data_slice_len=5000", "--data_slice_len|16384|5000"),
        ("train_wavegan.py train t --data_dir clicks --wavegan_loss=gan", "--wavegan_loss|wgan-gp|'gan'"),
        ("train_wavegan.py train t --data_dir clicks --train_batch_size=0", "--train_batch_size|at least 1|0"),
        ("train_wavegan.py train t --data_dir clicks --train_ema=1", "--train_ema|below 1|1.0"),
        (
            "train_wavegan.py train t --data_dir clicks --wavegan_genr_noise_relative",
            "--wavegan_genr_noise_relative needs --wavegan_genr_noise|Received",
        ),
        (
            "train_wavegan.py train t --data_dir clicks --wavegan_genr_noise_pulses",
            "--wavegan_genr_noise_pulses needs --wavegan_genr_noise|Received|--nowavegan_genr_noise_pulses",
        ),
        ("train_wavegan.py train t --data_dir clicks --train_init_from nowhere", "config.json|nowhere"),
        ("train_wavegan.py train silence.txt --data_dir clicks", "TRAIN_DIR|file|silence.txt"),
        ("train_wavegan.py train silence.txt/t --data_dir clicks", "TRAIN_DIR|file|silence.txt"),
        ("train_wavegan.py train /proc/t --data_dir clicks", "TRAIN_DIR|written|/proc/t"),
        ("train_wavegan.py infer nowhere", "config.json|nowhere"),
        ("train_wavegan.py infer silence.txt", "config.json|silence.txt"),
        ("train_wavegan.py import t nowhere", "reference|args.txt|nowhere"),
        ("train_wavegan.py import t texts", "reference|args.txt|texts"),
        ("train_wavegan.py preview nowhere", "config.json|nowhere"),
        ("preview.py empty", "config.json|empty|train_wavegan.py train TRAIN_DIR --data_dir FOLDER"),
        ("preview.py nowhere --watch", "config.json|nowhere"),
        ("preview.py nowhere --all", "config.json|nowhere"),
        ("preview.py silence.txt", "config.json|silence.txt"),
        ("backup.py nowhere 5", "config.json|nowhere"),
        ("backup.py empty --once", "config.json|empty"),
    ],
)
def test_folders(run_here, tmp_path, monkeypatch, line, words):
    for name in ("empty", "texts", "clicks", "zeros", "hush"):
        (tmp_path / name).mkdir()
    (tmp_path / "silence.txt").write_text("...")
    (tmp_path / "texts" / "poem.wav").write_text("the rain in the gutter\n" * 50)
    soundfile.write(tmp_path / "clicks" / "click.wav", 0.5 * np.sin(np.arange(100)), 16000)
    soundfile.write(tmp_path / "zeros" / "zeros.wav", np.zeros(20000), 16000)
    soundfile.write(tmp_path / "hush" / "hush.wav", 1e-4 * np.sin(np.arange(20000)), 16000)
    monkeypatch.chdir(tmp_path)
    check_mistake(run_here(*line.split()), *words.split("|"))
    assert not list(tmp_path.glob("t/*"))  # glob finds .lock too


def test_missing_data_dir_in_a_process(command, tmp_path):
    check_mistake(command("train_wavegan.py", "train", tmp_path / "train", check=False), "--data_dir is missing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"wavegan_dim": 1,', "not valid JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b'{"wavegan_depth": 1}', "unknown setting wavegan_depth|another version"),
        (b'{"wavegan_dim": "1"}', "wavegan_dim: expected int, got str"),
        (b'{"wavegan_dim": 0}', "--wavegan_dim must be at least 1|0"),
        (b'{"wavegan_loss": null}', "wavegan_loss: expected str, got null"),
        (b'{"train_save_secs": NaN}', "--train_save_secs must be|nan"),
    ],
)
@pytest.mark.parametrize(
    "line", ["train_wavegan.py train {}", "train_wavegan.py infer {}", "preview.py {}", "backup.py {} --once"]
)
def test_damaged_config(run_here, tmp_path, line, text, words):
    (tmp_path / "config.json").write_bytes(text)
    check_mistake(run_here(*line.format(tmp_path).split()), tmp_path / "config.json", *words.split("|"))


@pytest.mark.parametrize("line", ["preview.py {}", "preview.py {} --all", "train_wavegan.py infer {}"])
def test_no_checkpoint_yet(run_here, tmp_path, line):
    TrainDir(tmp_path).write_config(Config())
    check_mistake(run_here(*line.format(tmp_path).split()), "no checkpoint yet", tmp_path)


@pytest.mark.parametrize("line", ["preview.py {} --checkpoint=7", "train_wavegan.py infer {} --checkpoint=7"])
def test_step_without_checkpoint(run_here, trained, line):
    check_mistake(run_here(*line.format(trained).split()), "no checkpoint of step 7", "[0, 1, 2]")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--wavegan_dim=2", "--wavegan_dim|stored 1|received 2"),
        ("--nowavegan_genr_pp --wavegan_batchnorm", "--wavegan_batchnorm|stored False|received True"),
        ("--data_sample_rate=8000", "--data_sample_rate|stored 16000|received 8000"),
        ("--data_dir=/elsewhere", "no such folder|--data_dir|/elsewhere"),
        ("--data_dir=", "--data_dir must name a file or folder, or be left out. Received: ''."),
        ("--train_seed=1", "--train_seed|stored 0|received 1"),
        ("--wavegan_genr_lr=0.5", "--wavegan_genr_lr|stored 0.0001|received 0.5"),
    ],
)
def test_resume_with_other_settings(run_here, trained, flag, words):
    before = (trained / "config.json").read_bytes()
    check_mistake(run_here("train_wavegan.py", "train", trained, *flag.split()), *words.split("|"))
    assert (trained / "config.json").read_bytes() == before


def test_train_init_from_with_another_model(run_here, trained, tmp_path):
    line = ["train", tmp_path / "new", "--data_dir", tmp_path, "--train_init_from", trained, "--wavegan_dim=2"]
    check_mistake(run_here("train_wavegan.py", *line), "--wavegan_dim", "stored 1", "received 2")


# Damaged checkpoints.


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (NEWEST_DATA, flip_bytes),
        (NEWEST_DATA, cut),
        (NEWEST_DATA, empty),
        (NEWEST_INDEX, flip_bytes),
        (NEWEST_INDEX, cut),
        (NEWEST_INDEX, empty),
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "train_wavegan.py train {} --train_max_steps=1",
        "train_wavegan.py infer {}",
        "preview.py {} --preview_n=1",
        "backup.py {} --once",
    ],
)
def test_damaged_newest_checkpoint(run_here, train_dir, line, name, damage):
    damage(train_dir / name)
    process = run_here(*line.format(train_dir).split())
    assert process.returncode == 0
    assert process.stderr.count("\n") == 1
    assert "the checkpoint of step 2 is damaged and left out" in process.stderr
    assert "step 1" in process.stdout


@pytest.mark.parametrize("line", ["train {}", "preview {}", "infer {}"])
def test_all_checkpoints_damaged(run_here, train_dir, line):
    for path in train_dir.glob("ckpt-*.data*"):
        flip_bytes(path)
    process = run_here("train_wavegan.py", *line.format(train_dir).split())
    check_mistake(process, "no checkpoint in", train_dir, "backup/", lines=4)


def test_damaged_checkpoint_that_was_asked_for(run_here, train_dir):
    flip_bytes(train_dir / NEWEST_DATA)
    check_mistake(run_here("preview.py", train_dir, "--checkpoint=2"), "can be read", lines=2)


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_damaged_latents(run_here, train_dir, content):
    (train_dir / "preview" / "z.npy").write_bytes(content)
    check_mistake(run_here("preview.py", train_dir), "z.npy cannot be read", "Delete it")


def test_latents_of_another_model(run_here, train_dir):
    np.save(train_dir / "preview" / "z.npy", np.zeros([3, 5], np.float32))
    check_mistake(run_here("preview.py", train_dir), "z.npy", "[n, 4]", "[3, 5]")


# Import.


@pytest.fixture
def reference(tmp_path):
    """A copy of a training of the reference, to damage."""
    return shutil.copytree(REFERENCE / "tf1_run", tmp_path / "reference")


def test_import_into_a_used_folder(run_here, train_dir, reference):
    check_mistake(run_here("train_wavegan.py", "import", train_dir, reference), train_dir, "new folder")


@pytest.mark.parametrize("damage", [cut, empty, flip_bytes, pathlib.Path.unlink])
@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_import_of_a_damaged_checkpoint(run_here, reference, tmp_path, ending, damage):
    damage(reference / f"model.ckpt-783.{ending}")
    check_mistake(run_here("train_wavegan.py", "import", tmp_path / "train", reference), reference)
    assert not (tmp_path / "train").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("wavegan_dim,2", "wavegan_dim,3", "weights of z_project|[100, 512]|[100, 768]"),
        ("wavegan_dim,2", "wavegan_dim,wide", "args.txt|wavegan_dim|'wide'"),
        ("wavegan_dim,2", "wavegan_dim,0", "wavegan_dim|at least 1|0"),
        ("wavegan_batchnorm,False", "wavegan_batchnorm,True", "model.ckpt-783|batchnorm"),
        ("data_slice_len,16384", "data_slice_len,32768", "weights of z_project|[100, 512]|[100, 1024]"),
    ],
)
def test_import_with_other_arguments(run_here, reference, tmp_path, old, new, words):
    text = (reference / "args.txt").read_text()
    (reference / "args.txt").write_text(text.replace(old, new))
    check_mistake(run_here("train_wavegan.py", "import", tmp_path / "train", reference), *words.split("|"))
    assert not (tmp_path / "train").exists()


def test_import_of_checkpoints_of_another_program(run_here, reference, train_dir, tmp_path):
    shutil.copy(reference / "args.txt", train_dir)
    (train_dir / "config.json").unlink()
    check_mistake(run_here("train_wavegan.py", "import", tmp_path / "new", train_dir), train_dir / "ckpt-2")


# A full disk.


def test_full_disk_while_saving(run_here, tmp_path):
    # Wide, so that checkpoints are larger than what is written before.
    settings = tiny_settings(tmp_path, wavegan_dim=8, train_max_steps=1)
    train_dir = TrainDir(tmp_path / "train")
    loop.train(train_dir.path, settings)
    size = os.path.getsize(train_dir.checkpoint_files(1)[0])
    with full_disk(size - 1):
        process = run_here("train_wavegan.py", "train", train_dir, "--train_max_steps=3", "--train_save_secs=0")
    check_mistake(process, "cannot save the checkpoint of step 2", "The checkpoint of step 1 is whole", "make room")
    assert train_dir.steps() == [0, 1] and train_dir.damage(1) is None
    assert not list(tmp_path.glob("train/.saving*"))
    resumed = run_here("train_wavegan.py", "train", train_dir, "--train_max_steps=2")
    assert resumed.returncode == 0 and "resuming  step 1" in resumed.stdout
    assert train_dir.damage(2) is None


@pytest.mark.parametrize(
    ("line", "largest_file", "words"),
    [
        (
            "train_wavegan.py train {} --train_max_steps=3 --data_cache_dir={new}",
            10_000,
            "--data_cache_dir|larger than the disk",
        ),
        ("train_wavegan.py train {} --train_max_steps=3 --data_cache_dir={cache}", 10_000, "{}"),
        (
            "train_wavegan.py train {}/new --data_dir={data} {tiny} --data_cache_dir={cache}",
            900,
            "{}/new|larger than the disk",
        ),
        ("preview.py {}", 10_000, "cannot write previews"),
        ("preview.py {} --preview_n=1", 20_000, "cannot write previews"),
        ("preview.py {} --preview_n=1000", 10_000, "cannot write"),
        ("train_wavegan.py infer {}", 10_000, "cannot write|{}/infer"),
        ("backup.py {} --once", 10_000, "cannot write the backup"),
    ],
)
def test_full_disk(run_here, trained, train_dir, tmp_path, line, largest_file, words):
    with full_disk(largest_file):
        folders = {"data": trained.parent / "recordings", "cache": trained.parent / "cache", "new": tmp_path / "cache"}
        process = run_here(*line.format(train_dir, tiny=" ".join(TINY), **folders).split())
    check_mistake(process, *words.format(train_dir).split("|"))
    assert TrainDir(train_dir).damage(2) is None
    assert not [path for path in train_dir.rglob(".*") if path.name != ".lock"]


# Folders of somebody else.


@pytest.fixture
def read_only(trained):
    """A copy of `trained` that everybody may read, and nobody but root may change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(trained, pathlib.Path(folder) / "train")
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        os.chmod(folder, 0o755)
        yield copy
        for path in [copy, *copy.rglob("*/")]:
            path.chmod(0o755)


@contextlib.contextmanager
def without_privileges():
    """Context in which root is an ordinary user."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train_wavegan.py train {0}/new --data_dir {0}", "TRAIN_DIR cannot be written: Permission denied|{}/new"),
        ("train_wavegan.py train {} --train_max_steps=3", "TRAIN_DIR cannot be written: Permission denied|{}"),
        ("train_wavegan.py import {}/new {reference}", "TRAIN_DIR cannot be written: Permission denied|{}/new"),
        ("train_wavegan.py infer {}", "cannot write|Permission denied|{}"),
        ("preview.py {}", "cannot write previews: Permission denied|{}/preview"),
        ("preview.py {} --preview_n=40", "cannot write|Permission denied|{}/preview"),
        ("backup.py {} --once", "cannot write the backup: Permission denied|{}/backup"),
    ],
)
def test_folder_that_cannot_be_written(run_here, read_only, line, words):
    with without_privileges():
        process = run_here(*line.format(read_only, reference=REFERENCE / "tf1_run").split())
    check_mistake(process, *words.format(read_only).split("|"))


# The machine.


@pytest.mark.parametrize("script", ["preview.py", "train_wavegan.py"])
def test_tensorboard_is_missing(trained, tmp_path, script):
    train_dir = shutil.copytree(trained, tmp_path / "train")
    code = WITHOUT_TENSORBOARD.format(root=str(ROOT), script=str(ROOT / script))
    arguments = [train_dir] if script == "preview.py" else ["train", train_dir, "--train_max_steps=3"]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert process.returncode == 2, process.stderr
    assert process.stderr.count("\n") == 1
    assert "pip install tensorboard" in process.stderr


@pytest.mark.parametrize(("name", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_stopped_in_a_finalizer(name, exit_code):
    # Python ignores whatever a finalizer raises, and Ctrl-C raises wherever it hits.
    code = INTERRUPTED_IN_A_FINALIZER.format(root=str(ROOT), name=name)
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (process.returncode, process.stdout) == (exit_code, "the finalizer was left\n"), process.stderr
    assert process.stderr == "stopped\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_reader_of_the_output_has_gone(script):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.run(
        [sys.executable, ROOT / script, "--help"], stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=300
    )
    os.close(write_end)
    assert (process.returncode, process.stderr) == (0, "")


def test_reader_takes_one_line():
    line = f"set -o pipefail; {sys.executable} {ROOT / 'train_wavegan.py'} --help | head -1"
    process = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("WaveGAN")


# Help.

OF_RUNS = ["dry_run", "workers", "worker", "workers_wait_secs", "mode", "pause", "iteration"]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("train_wavegan.py train", [*(field.name for field in settings.settable(Config)), *OF_RUNS]),
        ("train_wavegan.py preview", ["preview_n", "label", "checkpoint", "all", "watch"]),
        ("train_wavegan.py infer", ["checkpoint"]),
        ("train_wavegan.py import", []),
        ("preview.py", ["preview_n", "label", "checkpoint", "all", "watch"]),
        ("evaluate.py", ["data_dir", "eval_anchors", "eval_n", "compare", "checkpoint", "all", "watch"]),
        ("backup.py", ["keep", "once"]),
    ],
)
def test_help(line, names):
    script, *verb = line.split()
    process = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / script, *verb, "--help"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0
    usage, head, described = process.stdout.partition(f"\nFlags of {line}:\n")
    assert head and f"wavegan {(verb or [script.removesuffix('.py')])[0]} " in usage
    shown = re.findall(r"^  --(?:\[no\])?(\w+)$", described, re.MULTILINE)
    assert sorted(shown) == sorted(names)
    check_light(process.stderr)


def test_help_without_a_verb():
    process = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / "train_wavegan.py", "--help"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0
    assert re.findall(r"^    train_wavegan.py (\w+) ", process.stdout, re.MULTILINE) == VERBS
    assert "train_wavegan.py VERB --help" in process.stdout
    check_light(process.stderr)


def check_light(import_times):
    """Checks that Python imported nothing that takes long."""
    imported = set(re.findall(r"\| +([\w.]+)$", import_times, re.MULTILINE))
    assert "absl.flags" in imported
    assert not imported & {"tensorflow", "keras", "librosa", "matplotlib", "soundfile"}
