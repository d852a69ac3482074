"""Trainings on the platform NSML, against a stand-in of its module: run, fork, submit, what leaves and what comes."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY
from processes import check_mistake, flip_bytes, free_addresses

from wavegan_asmr.cases import nsml
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir

STAND_IN = pathlib.Path(__file__).parent / "nsml_stand_in"
ARGS = ("train", "./train", *TINY)
LATENTS = np.random.default_rng(0).uniform(-1, 1, [3, 4]).tolist()


class Platform:
    """The platform's commands, each a session that is begun as its documents say.

    Args:
        folder: Folder of the platform, with the data set "asmr".
        start: Function of the arguments of the entry, the folder where it runs, and variables of its environment.
    """

    def __init__(self, folder, start):
        self._start, self._count = start, 0
        self.storage = folder / "storage"
        self.dataset = folder / "asmr"
        self.storage.mkdir(parents=True)

    def run(self, *args):
        return self._begin("run", args)

    def fork(self, session, *args, checkpoint=None):
        iteration = () if checkpoint is None else ("--iteration", str(checkpoint))
        return self._begin("fork", [*args, "--pause", "1", *iteration], session)

    def submit(self, session, checkpoint):
        return self._begin("submit", ["--mode", "test", "--pause", "1", "--iteration", str(checkpoint)], session)

    def app(self, session):
        """The folder where a session runs."""
        return self.storage.parent / f"app{session}"

    def checkpoint(self, session, name):
        """What `nsml model pull` brings."""
        return self.storage / str(session) / str(name)

    def told(self, session, what=None):
        """What a session has told the platform, in its order."""
        lines = (self.storage / f"{session}.jsonl").read_text().splitlines()
        return [each for each in map(json.loads, lines) if what in (None, each["what"])]

    def _begin(self, command, args, parent=None):
        self._count += 1
        session = {"name": str(self._count), "storage": str(self.storage), "dataset": str(self.dataset)}
        app = self.app(self._count)
        app.mkdir()
        told = json.dumps(session | {"command": command, "parent": parent})
        return str(self._count), self._start(args, app, {"NSML_STAND_IN": told, "PYTHONPATH": str(STAND_IN)})


@pytest.fixture
def dataset(tmp_path, recordings):
    """A data set as the platform has it: recordings to train with, latents to test with."""
    shutil.copytree(recordings, tmp_path / "nsml" / "asmr" / "train")
    (tmp_path / "nsml" / "asmr" / "test").mkdir()
    (tmp_path / "nsml" / "asmr" / "test" / "test_data").write_text(json.dumps(LATENTS))
    return tmp_path / "nsml" / "asmr"


@pytest.fixture
def platform(dataset, run_here, monkeypatch):
    """The platform, whose sessions run in this process."""

    def start(args, app, environment):
        monkeypatch.chdir(app)
        monkeypatch.setenv("NSML_STAND_IN", environment["NSML_STAND_IN"])
        monkeypatch.syspath_prepend(STAND_IN)
        monkeypatch.delitem(sys.modules, "nsml", raising=False)
        try:
            return run_here("train_wavegan.py", *args)
        finally:
            sys.modules.pop("nsml", None)

    return Platform(dataset.parent, start)


def done(begun):
    """The name of a session that ended well."""
    session, process = begun
    assert process.returncode == 0, process.stdout + process.stderr
    return session


def values(folder, step):
    """All variables of a checkpoint by name, read by TensorFlow's own tool."""
    reader = tf.train.load_checkpoint(str(pathlib.Path(folder) / f"ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same(one, other):
    assert one.keys() == other.keys() and len(one) > 10
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def scalars(folder):
    """What TensorBoard shows of a training: dict of step to dict of tag to value."""
    found = {}
    for path in pathlib.Path(folder).glob("events.out.tfevents.*"):
        for event in map(tf.compat.v1.Event.FromString, (each.numpy() for each in tf.data.TFRecordDataset(str(path)))):
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars":
                    found.setdefault(event.step, {})[value.tag] = float(tf.make_ndarray(value.tensor))
    return found


def whats(told):
    """What was told, less the reports, which come by time."""
    return [each["what"] for each in told if each["what"] != "report"]


def test_run_fork_and_submit(platform):
    """A fork ends with the bits of a training that was never cut short; a submission hears what it learned."""
    run = done(platform.run(*ARGS, "--train_max_steps=2"))
    assert whats(platform.told(run)) == ["bind", "save", "save"]
    pulled = platform.checkpoint(run, 2)
    assert_same(values(pulled, 2), values(platform.app(run) / "train", 2))
    assert {"config.json", "recordings.json", "preview"} <= {path.name for path in pulled.iterdir()}
    assert (pulled / "preview" / "z.npy").exists()

    *_, report = platform.told(run, "report")
    reported = {name.removeprefix("train__"): value for name, value in report.items() if name.startswith("train__")}
    assert report["summary"] is True and report["step"] == 2 and {"D_loss", "G_loss"} <= reported.keys()
    shown = scalars(platform.app(run) / "train")[2]
    assert reported == pytest.approx({name: shown[name] for name in reported}, rel=1e-6)

    # The entry gets what is new and the platform's own flags; no session finds what another left on its disk.
    shutil.rmtree(platform.app(run))
    fork = done(platform.fork(run, "--train_max_steps=4", checkpoint=2))
    assert whats(platform.told(fork)) == ["bind", "paused", "load", "save"]
    whole = platform.app(done(platform.run(*ARGS, "--train_max_steps=4"))) / "train"
    assert_same(values(platform.checkpoint(fork, 4), 4), values(whole, 4))

    submitted = done(platform.submit(fork, 4))
    assert whats(platform.told(submitted)) == ["bind", "paused", "load", "submit"]
    (answer,) = platform.told(submitted, "submit")
    heard = Generator(TrainDir(whole)).generate(np.array(LATENTS, np.float32))
    np.testing.assert_allclose(answer["answer"], heard, atol=1e-6)


def upload(project, app):
    """Copies what the platform would: all of a project but what .nsmlignore names."""
    names = [line.rstrip("/") for line in (project / ".nsmlignore").read_text().split()]
    shutil.copytree(project, app, ignore=shutil.ignore_patterns(*names), dirs_exist_ok=True)


@pytest.mark.slow
def test_what_is_uploaded_is_enough(dataset):
    """Sessions as processes, from the files that leave this machine; a fork goes on from the last checkpoint."""

    def start(args, app, environment):
        upload(ROOT, app)
        line = [sys.executable, "train_wavegan.py", *args]
        return subprocess.run(line, cwd=app, env=os.environ | environment, capture_output=True, text=True)

    platform = Platform(dataset.parent, start)
    run = done(platform.run(*ARGS, "--train_max_steps=3", "--mode", "train", "--pause", "0"))
    app = platform.app(run)
    assert not {"tests", "docs", ".git", ".venv"} & {path.name for path in app.iterdir()}
    assert (app / "requirements.txt").read_text().splitlines()[0] == "#nsml: python:3.11"
    upload(ROOT, sent := dataset.parent / "sent")
    assert {path.name for path in sent.iterdir() if path.is_dir()} == {"wavegan_asmr"}
    assert sum(path.stat().st_size for path in sent.rglob("*") if path.is_file()) < 2e6
    session, process = platform.fork(run, *ARGS, "--train_max_steps=5")
    assert "loaded    step 3, by NSML\n" in process.stdout and "resuming  step 3\n" in process.stdout
    assert done((session, process)) and platform.checkpoint(session, 5).is_dir()
    process = platform.submit(session, 5)[1]
    assert process.returncode == 0 and process.stderr == ""


@pytest.mark.slow
def test_of_several_workers_the_chief_has_the_session(dataset):
    addresses = ",".join(free_addresses(2))

    def start(args, app, environment):
        environment = os.environ | environment
        line = [sys.executable, str(ROOT / "train_wavegan.py"), *args]
        return subprocess.Popen(line, cwd=app, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    platform = Platform(dataset.parent, start)
    args = [*ARGS, "--train_max_steps=3", f"--workers={addresses}"]
    processes = [platform.run(*args, f"--worker={worker}")[1] for worker in range(2)]
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()
    assert whats(platform.told("1"))[:2] == ["bind", "save"]
    assert not (platform.storage / "2.jsonl").exists()


def test_outside_the_platform(recordings, run_here, monkeypatch, tmp_path):
    """Its flags are refused, its module is left alone: here that of other machines, whose functions all fail."""
    for flags in (["--mode", "train"], ["--pause=0"], ["--mode=test", "--pause=1", "--iteration=3"]):
        process = run_here("train_wavegan.py", *flags)
        check_mistake(process, f"{flags[0].partition('=')[0]} is of sessions on NSML, which this is none. Received: ")
    monkeypatch.syspath_prepend(STAND_IN)
    monkeypatch.delenv("NSML_STAND_IN", raising=False)
    monkeypatch.delitem(sys.modules, "nsml", raising=False)
    train = ["train", tmp_path / "train", "--data_dir", recordings, *TINY, "--train_max_steps=1"]
    try:
        check_mistake(run_here("train_wavegan.py", *train, "--pause=1"), "--pause is of sessions on NSML")
        assert run_here("train_wavegan.py", *train).returncode == 0
    finally:
        del sys.modules["nsml"]
    check_mistake(run_here("train_wavegan.py", "train"), "train takes TRAIN_DIR. Received: ''.")


class Module:
    """The platform's module, of which these tests need one function."""

    def __init__(self, loads=None):
        self._loads = loads

    def bind(self, save, load, infer):
        self._load = load

    def paused(self, scope):
        if self._loads:
            self._load(self._loads)


def settings(**values):
    return types.SimpleNamespace(**{"mode": "train", "pause": 0, "iteration": ""} | values)


def test_what_is_refused(tmp_path):
    golden = shutil.copytree(ROOT / "tests" / "golden" / "asmr", tmp_path / "asmr")
    empty = tmp_path / "empty"
    empty.mkdir()

    def begin(loads=None, **values):
        nsml.Session(Module(loads), TrainDir(tmp_path / "train")).begin(settings(**values))

    with pytest.raises(UserError, match=r"--mode test infers from .* with --pause 1\. Received: --pause 0\."):
        begin(mode="test")
    with pytest.raises(UserError, match=r"NSML has loaded no checkpoint\. Received: --pause 1 --iteration '7'\."):
        begin(pause=1, iteration="7")
    with pytest.raises(UserError, match=r"a checkpoint that is not of this project\. Received: '.*empty'\."):
        begin(empty, pause=1)
    with pytest.raises(UserError, match=r"no checkpoint yet in '.*train' for NSML to save\."):
        nsml.Session(Module(), TrainDir(tmp_path / "train")).save(empty)
    flip_bytes(golden / "ckpt-20.data-00000-of-00001")
    with pytest.raises(UserError, match=r"the checkpoint of step 20 in '.*asmr' is damaged: "):
        begin(golden, pause=1)


def test_what_is_loaded_takes_the_place_of_what_was_there(tmp_path):
    golden = ROOT / "tests" / "golden"
    train = shutil.copytree(golden / "asmr", tmp_path / "train")
    for path in train.glob("ckpt-20.*"):
        path.rename(train / path.name.replace("20", "90"))
    nsml.Session(Module(golden / "paper"), TrainDir(train)).begin(settings(pause=1))
    assert TrainDir(train).steps() == [20]
    assert_same(values(train, 20), values(golden / "paper", 20))
    assert TrainDir(train).read_config() == TrainDir(golden / "paper").read_config()


def test_latents(tmp_path):
    session = nsml.Session(Module(), TrainDir(ROOT / "tests" / "golden" / "paper"))
    latent_dim = TrainDir(ROOT / "tests" / "golden" / "paper").read_config().wavegan_latent_dim
    assert session.infer(np.zeros([2, latent_dim])).shape[0] == 2
    for latents, received in (
        (np.zeros(latent_dim), rf"\[{latent_dim}\]"),
        (np.zeros([2, latent_dim + 1]), rf"\[2, {latent_dim + 1}\]"),
        (np.zeros([0, latent_dim]), rf"\[0, {latent_dim}\]"),
    ):
        with pytest.raises(UserError, match=rf"latents must be \[n, {latent_dim}\]\. Received: {received}\."):
            session.infer(latents)
    with pytest.raises(UserError, match="latents must be finite numbers"):
        session.infer(np.full([1, latent_dim], np.nan))
    with pytest.raises(UserError, match=rf"latents must be numbers \[n, {latent_dim}\]\. Received: "):
        session.infer([["loud"] * latent_dim])
