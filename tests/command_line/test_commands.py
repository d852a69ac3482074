"""The command lines of the README, as a user types them."""

import json
import re
import shutil
import signal
import subprocess
import sys
import types

import matplotlib.image
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import REFERENCE, ROOT, TINY
from processes import flip_bytes, read_until, stop, wait_until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wavegan_asmr.config import Config, model_settings
from wavegan_asmr.exchange import export
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.presets import PRESETS
from wavegan_asmr.rendering.preview import preview
from wavegan_asmr.rendering.settings import PreviewSettings
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop

RATE_HZ, SLICE_LEN = 8000, 4096
STEPS = [2, 3, 4]
"""Checkpoints of the fixture `trained`."""

LOAD_SAVED_MODEL = """
import sys
import numpy as np
import tensorflow as tf

generate = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
np.savez(sys.argv[3], **generate(z=tf.constant(np.load(sys.argv[2]))))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished training that no test changes: its folder `path`, and what it printed as `output`."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "recordings").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE_HZ)
    soundfile.write(folder / "recordings" / "rain.wav", noise, RATE_HZ)
    flags = [f"--data_dir={folder / 'recordings'}", f"--data_cache_dir={folder / 'cache'}", *TINY]
    flags += [f"--data_sample_rate={RATE_HZ}", "--train_max_steps=4", "--train_save_secs=0", "--train_keep=3"]
    process = subprocess.run(
        [sys.executable, ROOT / "train_wavegan.py", "train", folder / "train", *flags],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return types.SimpleNamespace(path=folder / "train", output=process.stdout)


@pytest.fixture
def train_dir(trained, tmp_path):
    """A copy of `trained` to change."""
    return shutil.copytree(trained.path, tmp_path / "train")


def preview_here(path, n):
    """Previews the newest checkpoint in this process."""
    preview(path, PreviewSettings(preview_n=n))


@pytest.fixture
def start_training(start_command, recordings, tmp_path):
    """Function: begins or resumes an endless training in the background, with more flags; returns its process."""

    def start(*flags):
        return start_command("train_wavegan.py", "train", tmp_path / "train", "--data_dir", recordings, *TINY, *flags)

    return start


def events(folder):
    """Dict of TensorBoard tag to its plugin and steps."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        tag: (
            accumulator.SummaryMetadata(tag).plugin_data.plugin_name,
            [event.step for event in accumulator.Tensors(tag)],
        )
        for tag in accumulator.Tags()["tensors"]
    }


def tensors(path, step):
    """Dict of name to array of a checkpoint."""
    reader = tf.train.load_checkpoint(TrainDir(path).checkpoint_path(step))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
    return {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): reader.get_tensor(name) for name in names}


def read_preview(path, step):
    """int16 clips `[n, samples]` of a preview's WAV file, which has half a second of silence between them."""
    samples, rate_hz = soundfile.read(path / "preview" / f"{step:08d}.wav", dtype="int16")
    assert rate_hz == TrainDir(path).read_config().data_sample_rate
    pause = rate_hz // 2
    clip_len = TrainDir(path).read_config().data_slice_len
    n, rest = divmod(len(samples) + pause, clip_len + pause)
    assert rest == 0
    rows = np.pad(samples, [0, pause]).reshape(n, clip_len + pause)
    assert (rows[:, clip_len:] == 0).all()
    return rows[:, :clip_len]


def unpack(saved):
    return saved["audio"], saved["audio_int16"]


# Training.


@pytest.mark.parametrize(
    "text",
    [
        "device    /job:",
        " cores), float32",
        "generator 1,723 parameters",
        "critic    1,219 parameters, sees 255 ms at a time",
        "recordings       1, 4.0 s",
        "sample rates     8000 Hz -> 8000 Hz",
        "slices an epoch  7 of 0.512 s",
        "tensorboard --logdir {}",
        "python preview.py {}",
        "python train_wavegan.py train {}",
        "done      step 4",
    ],
)
def test_train_prints(trained, text):
    assert text.format(trained.path) in trained.output


def test_train_dir_holds_what_the_next_commands_need(trained):
    names = {path.name for path in trained.path.iterdir()}
    checkpoints = {f"ckpt-{step}.{end}" for step in STEPS for end in ("index", "data-00000-of-00001")}
    assert {name for name in names if name.startswith("ckpt-")} == checkpoints
    assert {"config.json", "checkpoint", "preview"} < names
    assert any(name.startswith("events.out.tfevents.") for name in names)
    assert not [name for name in names if name.startswith(".saving")]
    assert tf.train.latest_checkpoint(trained.path) == str(trained.path / "ckpt-4")
    config = json.loads((trained.path / "config.json").read_text())
    assert config["data_sample_rate"] == RATE_HZ and config["wavegan_dim"] == 1
    assert config["data_dir"] == str(trained.path.parent / "recordings")
    assert config["wavegan_genr_lr"] == 1e-4


def test_train_keeps_as_many_checkpoints_as_asked(trained):
    assert TrainDir(trained.path).steps() == STEPS
    assert [TrainDir(trained.path).damage(step) for step in STEPS] == [None] * 3
    assert tensors(trained.path, 4)["step"] == 4


def test_events(trained):
    found = events(trained.path)
    scalars = "D_loss G_loss wasserstein penalty D_gradient_norm G_gradient_norm slices_per_second".split()
    # On a slow machine a line is due before the last step.
    assert {(kind, steps[-1]) for kind, steps in map(found.get, scalars)} == {("scalars", 4)}
    for kind in ("real", "fake", "fixed_latents"):
        assert found[f"audio/{kind}"] == ("audio", [0])
        assert found[f"rms/{kind}"] == ("scalars", [0])
        assert found[f"rms_histogram/{kind}"] == ("histograms", [0])
    assert found["spectrograms"] == ("images", [0])
    assert found["config"] == ("text", [0])


def test_dry_run_writes_nothing(command, recordings, tmp_path):
    flags = ["--data_dir", recordings, *TINY, "--dry_run"]
    output = command("train_wavegan.py", "train", tmp_path / "train", *flags).stdout
    settings, end = json.JSONDecoder().raw_decode(output)
    assert settings["wavegan_dim"] == 1 and settings["train_batch_size"] == 2
    assert settings.keys() == vars(Config()).keys()
    assert "recordings       2, 7.0 s" in output[end:]
    assert not (tmp_path / "train").exists()


@pytest.mark.parametrize(
    ("preset", "slice_len", "settled"),
    [
        ("asmr-16k", 4096, {}),
        ("oneshots", 4096, {}),
        # What most of the recordings have, 4 s of 7; and short slices have fewer bands.
        ("asmr", 8192, {"data_sample_rate": 16000, "data_num_channels": 1, "wavegan_bands": 2}),
    ],
)
def test_preset_is_a_set_of_flags_that_flags_override(command, recordings, tmp_path, preset, slice_len, settled):
    train, flags = tmp_path / "train", ["--data_dir", recordings, *TINY, f"--data_slice_len={slice_len}"]
    command(
        "train_wavegan.py", "train", train, *flags, f"--preset={preset}", "--train_batch_size=4", "--train_max_steps=1"
    )
    stored = vars(TrainDir(train).read_config())
    given = {flag.split("=")[0][2:] for flag in flags[2:]} | {"train_batch_size"}
    expected = {name: value for name, value in (PRESETS[preset] | settled).items() if name not in given}
    assert {name: stored[name] for name in expected} == expected
    assert (stored["preset"], stored["wavegan_genr_noise"]) == (preset, True)
    assert (stored["wavegan_dim"], stored["train_batch_size"]) == (1, 4)
    # What is exported has the noise of the generator it comes from.
    z = tf.random.stateless_uniform([3, stored["wavegan_latent_dim"]], [1, 2], -1, 1)
    audio, _ = unpack(tf.saved_model.load(export.infer(train)).signatures["serving_default"](z=z))
    np.testing.assert_allclose(audio, Generator(TrainDir(train)).network(z), atol=1e-6)
    output = command("train_wavegan.py", "train", train, "--train_max_steps=2").stdout
    assert "resuming  step 1" in output
    for path, name, words in (
        (train, "paper", f"--preset cannot change in a TRAIN_DIR that has begun: stored '{preset}', received 'paper'"),
        (tmp_path / "new", "best", "--preset must be one of paper, asmr, asmr-16k, oneshots. Received: 'best'"),
    ):
        process = command("train_wavegan.py", "train", path, *flags, f"--preset={name}", check=False)
        assert process.returncode == 2 and words in process.stderr


def test_resume_until_the_seconds_are_over(command, train_dir):
    output = command("train_wavegan.py", "train", train_dir, "--train_max_secs=4").stdout
    assert "resuming  step 4" in output and "done " in output
    step = TrainDir(train_dir).steps()[-1]
    assert step > 4 and f"done      step {step}," in output


def test_train_init_from(command, trained, recordings, tmp_path):
    new = tmp_path / "new"
    flags = ["--train_batch_size=2", "--wavegan_disc_nupdates=1", "--train_max_steps=1", "--train_seed=5"]
    output = command(
        "train_wavegan.py", "train", new, "--data_dir", recordings, "--train_init_from", trained.path, *flags
    ).stdout
    assert f"weights   of step 4 of {trained.path}" in output
    assert TrainDir(new).steps() == [0, 1]
    assert model_settings(TrainDir(new).read_config()) == model_settings(TrainDir(trained.path).read_config())
    before, after = tensors(trained.path, 4), tensors(new, 0)
    assert after["step"] == 0
    taken = [name for name in before if name.split("/")[0] in ("generator", "discriminator")]
    assert len(taken) > 10
    for name in taken:
        np.testing.assert_array_equal(after[name], before[name], name)
        if name.startswith("generator/"):
            np.testing.assert_array_equal(after[name.replace("generator", "ema", 1)], before[name], name)


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends(start_training, tmp_path, number):
    process = start_training("--train_save_secs=1")
    train_dir = TrainDir(tmp_path / "train")
    wait_until(lambda: len(train_dir.steps()) > 1, process)
    output = stop(process, number)
    step = train_dir.steps()[-1]
    assert f"stopped      step {step}," in output
    assert f"\nstep {step} " in output
    assert train_dir.damage(step) is None
    assert tensors(train_dir.path, step)["step"] == step


def test_one_training_at_a_time(start_training, command, tmp_path):
    process = start_training()
    read_until(process, "resume ")
    second = command("train_wavegan.py", "train", tmp_path / "train", check=False)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1 and "another training" in second.stderr
    assert process.poll() is None


def test_killed_while_saving(start_training, tmp_path, capsys):
    train_dir, newest, halves = TrainDir(tmp_path / "train"), 0, set()

    def unfinished():
        return set((tmp_path / "train").glob(".saving.*"))

    for attempt in range(5):
        process = start_training("--train_save_secs=0")
        output = read_until(process, "resume ")
        assert "damaged" not in output
        if attempt:
            assert f"resuming  step {newest}\n" in output
        assert not halves & unfinished()
        wait_until(lambda before=newest: train_dir.steps()[-1:] > [before + 1] and unfinished(), process)
        process.kill()
        process.wait()
        newest, halves = train_dir.steps()[-1], unfinished()
        assert train_dir.damage(newest) is None

    loop.train(train_dir.path, {"train_max_steps": newest + 1})
    output = capsys.readouterr().out
    assert f"resuming  step {newest}\n" in output and f"done      step {newest + 1}," in output
    assert not unfinished()


def test_a_start_deletes_halves_of_checkpoints(train_dir):
    # What a kill leaves between the two moves of a save, and between the two deletions of an old checkpoint.
    for step in (1, 9):
        (train_dir / f"ckpt-{step}.data-00000-of-00001").write_bytes(b"half")
    (train_dir / ".saving-a1b2c3d4").mkdir()
    loop.train(train_dir, {"train_max_steps": 4})
    assert TrainDir(train_dir).steps() == STEPS
    assert not (train_dir / ".saving-a1b2c3d4").exists()
    assert sorted(path.name for path in train_dir.glob("ckpt-*.data*")) == [
        f"ckpt-{step}.data-00000-of-00001" for step in STEPS
    ]


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(train_dir, capsys):
    flip_bytes(train_dir / "ckpt-4.data-00000-of-00001")
    loop.train(train_dir, {"train_max_steps": 4, "train_save_secs": 1000.0})
    captured = capsys.readouterr()
    assert "resuming  step 3" in captured.out and "step 4 is damaged" in captured.err
    assert TrainDir(train_dir).damage(4) is None


# Preview.


@pytest.mark.parametrize(
    ("line", "steps", "n"),
    [
        ("preview.py {}", [4], 32),
        ("preview.py {} --all --preview_n=2", STEPS, 2),
        ("train_wavegan.py preview {} --checkpoint=2 --preview_n=9", [2], 9),
    ],
)
def test_preview(command, train_dir, line, steps, n):
    output = command(*line.format(train_dir).split()).stdout
    folder = train_dir / "preview"
    assert sorted(path.stem for path in folder.glob("0*.wav")) == [f"{step:08d}" for step in steps]
    for step in steps:
        assert f"step {step}: {folder / f'{step:08d}'}.wav" in output
        assert soundfile.info(folder / f"{step:08d}.wav").subtype == "PCM_16"
        clips = read_preview(train_dir, step)
        assert clips.shape == (n, SLICE_LEN)
        assert clips.any(axis=1).all()
        height, width, _ = matplotlib.image.imread(folder / f"{step:08d}.png").shape
        assert 300 < height < 3000 and 300 < width < 3000
    found = events(folder)
    assert found["preview/audio"] == ("audio", steps)
    assert found["preview/spectrograms"] == ("images", steps)


def test_preview_renders_the_same_latents_again(train_dir):
    wav = train_dir / "preview" / "00000004.wav"
    latents = np.load(train_dir / "preview" / "z.npy")
    assert latents.shape == (32, 4)
    preview_here(train_dir, n=3)
    first, few = wav.read_bytes(), read_preview(train_dir, 4)
    preview_here(train_dir, n=3)
    assert wav.read_bytes() == first
    preview_here(train_dir, n=40)
    assert len(read_preview(train_dir, 4)) == 40
    np.testing.assert_array_equal(read_preview(train_dir, 4)[:3], few)
    np.testing.assert_array_equal(np.load(train_dir / "preview" / "z.npy")[:32], latents)


def test_preview_watches_a_training(start_training, start_command, tmp_path):
    process = start_training("--train_save_secs=1")
    read_until(process, "resume ")
    watch = start_command("preview.py", tmp_path / "train", "--watch", "--preview_n=2")
    output = "".join(read_until(watch, "(RMS: ") for _ in range(2)) + stop(watch, signal.SIGINT)
    assert "Ctrl-C" in output
    rendered = re.findall(r"^step (\d+): (.*\.wav), (.*\.png) ", output, re.MULTILINE)
    assert len({step for step, _, _ in rendered}) == len(rendered) >= 2
    for step, wav, png in rendered:
        assert len(read_preview(tmp_path / "train", int(step))) == 2
        assert wav.endswith(f"/{int(step):08d}.wav") and matplotlib.image.imread(png).size
    stop(process)


# Backup.


def test_backup_beside_a_training(start_training, start_command, tmp_path):
    train_dir, folder = TrainDir(tmp_path / "train"), tmp_path / "train" / "backup"
    process = start_training("--train_save_secs=1", "--train_keep=1")
    wait_until(lambda: train_dir.steps()[-1:] > [0], process)
    backup = start_command("backup.py", train_dir, "0.02", "--keep=2")
    read_until(backup, " -> ")
    first = int(next(folder.iterdir()).name)
    wait_until(lambda: len(list(folder.iterdir())) >= 2 and not (folder / str(first)).exists(), backup)
    output = stop(backup, signal.SIGTERM)
    stop(process)

    assert output.count(" -> ") >= 2
    backups = sorted(int(path.name) for path in folder.iterdir())
    assert len(backups) == 2
    assert not set(backups) & set(train_dir.steps())
    for step in backups:
        copy = folder / str(step)
        assert TrainDir(copy).steps() == [step] and TrainDir(copy).damage(step) is None
        preview_here(copy, n=1)
        assert (copy / "preview" / f"{step:08d}.png").exists()
    loop.train(copy, {"train_max_steps": step + 1})
    assert TrainDir(copy).steps()[-1] == step + 1


def test_backup_leaves_out_a_damaged_checkpoint(command, train_dir):
    flip_bytes(train_dir / "ckpt-4.data-00000-of-00001")
    process = command("backup.py", train_dir, "--once")
    assert "the checkpoint of step 4 is damaged" in process.stderr
    assert f"step 3 -> {train_dir / 'backup' / '3'}" in process.stdout
    assert [path.name for path in (train_dir / "backup").iterdir()] == ["3"]
    assert TrainDir(train_dir / "backup" / "3").damage(3) is None
    for name in ("config.json", "preview/z.npy", "preview/real.wav"):
        assert (train_dir / "backup" / "3" / name).read_bytes() == (train_dir / name).read_bytes()


# SavedModel.


def test_infer(command, train_dir, tmp_path):
    command("train_wavegan.py", "infer", train_dir, "--checkpoint=2")
    assert (train_dir / "infer" / "step").read_text() == "2\n"
    output = command("train_wavegan.py", "infer", train_dir).stdout
    assert f"step 4: {train_dir / 'infer'}" in output
    assert (train_dir / "infer" / "step").read_text() == "4\n"
    assert not list(train_dir.glob(".infer.*")) and not (train_dir / "infer" / "old").exists()

    away = tmp_path / "away"
    away.mkdir()
    shutil.move(train_dir / "infer", away / "model")
    arguments = ["model", train_dir / "preview" / "z.npy", "generated.npz"]
    # -I keeps the project's folder off the path.
    subprocess.run([sys.executable, "-I", "-c", LOAD_SAVED_MODEL, *arguments], cwd=away, check=True, timeout=300)
    audio, audio_int16 = unpack(np.load(away / "generated.npz"))
    assert audio.shape == audio_int16.shape == (32, SLICE_LEN, 1)
    assert audio.dtype == np.float32 and audio_int16.dtype == np.int16
    np.testing.assert_array_equal(audio_int16, np.clip(audio * np.float32(32767), -32767, 32767).astype(np.int16))
    preview_here(train_dir, n=32)
    np.testing.assert_array_equal(audio_int16[:, :, 0], read_preview(train_dir, 4))


# A training of the reference.


def test_import_of_a_reference_training(command, recordings, tmp_path, capsys):
    train_dir = tmp_path / "train"
    output = command("train_wavegan.py", "import", train_dir, REFERENCE / "tf1_run").stdout
    assert "step 783 of" in output and f"train_wavegan.py train {train_dir} --data_dir" in output
    config = TrainDir(train_dir).read_config()
    assert (config.wavegan_dim, config.train_batch_size, config.data_pad_end, config.data_dir) == (2, 4, True, "")
    assert TrainDir(train_dir).steps() == [783]

    expected = np.load(REFERENCE / "tf1_run" / "expected_G_z.npz")
    assert expected["global_step"] == 783
    generate = tf.saved_model.load(export.infer(train_dir)).signatures["serving_default"]
    audio, audio_int16 = unpack(generate(z=tf.constant(expected["z"], tf.float32)))
    np.testing.assert_allclose(audio, expected["G_z"].reshape(audio.shape), atol=1e-4)
    difference = audio_int16.numpy().astype(int) - expected["G_z_int16"].reshape(audio.shape)
    assert abs(difference).max() <= 4

    preview_here(train_dir, n=2)
    assert "step 783" in capsys.readouterr().out
    assert read_preview(train_dir, 783).shape == (2, 16384)

    flags = ["--data_dir", recordings, "--train_max_steps=784"]
    output = command("train_wavegan.py", "train", train_dir, *flags).stdout
    assert "resuming  step 783" in output and "done      step 784" in output
    assert TrainDir(train_dir).steps() == [783, 784]
    assert TrainDir(train_dir).read_config().data_dir == str(recordings)
