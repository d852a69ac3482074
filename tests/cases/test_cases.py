"""Cases on this machine, with the real command line: done, failed, killed, stopped, watched, rendered."""

import os
import signal

import pytest
import soundfile
from case_commands import finish, has_steps, log_of, start, state_of, wait_until, write

from wavegan_asmr.cases import progress_files

STEPS = 3


def test_three_cases_of_which_one_fails(recordings, tmp_path):
    """The others go on; again, what is done is left alone; then each is rendered, and shown on a page."""
    long = {"train_max_steps": 300, "wavegan_genr_lr": 1000.0, "wavegan_disc_lr": 1000.0}
    write(tmp_path, {"rain": {"train_max_steps": STEPS}, "fire": {"train_max_steps": STEPS}, "broken": long})
    code, out, err = finish(start(tmp_path, "run", "cases.toml", "runs", "--tries=2"))
    assert code == 2 and err.strip().endswith("not done: broken; the same command tries them again.")
    assert [state_of(tmp_path, name).state for name in ("rain", "fire", "broken")] == ["done", "done", "failed"]
    broken = state_of(tmp_path, "broken")
    assert broken.tries == 2 and "diverged" in broken.reason
    assert "diverged" in out and "rain" in out

    log = (tmp_path / "runs" / "rain" / "training.log").read_bytes()
    code, _, _ = finish(start(tmp_path, "run", "cases.toml", "runs", "--tries=1"))
    assert code == 2 and (tmp_path / "runs" / "rain" / "training.log").read_bytes() == log

    code, out, _ = finish(start(tmp_path, "status", "runs"))
    row = next(line for line in out.splitlines() if "rain" in line)
    assert code == 0 and "done" in row and str(STEPS) in row

    code, out, err = finish(start(tmp_path, "render", "runs", "--minutes=0.05"))
    # Models of three steps may have nothing that is worth to be rendered; what went wrong is said of each.
    rendered = {name for name in ("rain", "fire") if (tmp_path / "runs" / "renders" / f"{name}.flac").exists()}
    assert all(name in rendered or f"{name} (" in err for name in ("rain", "fire"))
    assert code == 2 and "broken (it has learned nothing yet)" in err
    page = (tmp_path / "runs" / "index.html").read_text()
    assert all(f'src="renders/{name}.flac"' in page for name in rendered)
    for name in rendered:
        assert soundfile.info(tmp_path / "runs" / "renders" / f"{name}.flac").frames == 48000


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(recordings, tmp_path):
    write(tmp_path, {"rain": {"train_max_steps": 100_000}, "fire": {"train_max_steps": 100_000}})
    process = start(tmp_path, "run", "cases.toml", "runs")
    wait_until(lambda: has_steps(tmp_path, "rain") and has_steps(tmp_path, "fire"))
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and err.strip().endswith("stopped")
    for name in ("rain", "fire"):
        state = state_of(tmp_path, name)
        assert state.state == "stopped" and state.seconds > 0
        assert "stopped      step" in log_of(tmp_path, name)

    write(tmp_path, {"rain": {"train_max_steps": 1}, "fire": {"train_max_steps": 1}})
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs"))
    assert code == 0, err
    assert all("resuming  step" in log_of(tmp_path, name) for name in ("rain", "fire"))


@pytest.mark.slow
def test_a_command_that_is_killed_leaves_no_training_behind(recordings, tmp_path):
    write(tmp_path, {"rain": {"train_max_steps": 100_000}})
    process = start(tmp_path, "run", "cases.toml", "runs")
    wait_until(lambda: has_steps(tmp_path, "rain"))
    training = state_of(tmp_path, "rain").pid
    process.kill()
    finish(process)
    wait_until(lambda: not _is_running(training))
    assert "stopped      step" in log_of(tmp_path, "rain")
    _, out, _ = finish(start(tmp_path, "status", "runs"))
    assert "lost" in out

    write(tmp_path, {"rain": {"train_max_steps": 1}})
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs"))
    assert code == 0, err
    # The start that was killed counts: as a try, and in the budget.
    assert state_of(tmp_path, "rain").tries == 1


@pytest.mark.slow
def test_stop_ends_what_another_command_runs(recordings, tmp_path):
    write(tmp_path, {"rain": {"train_max_steps": 100_000}, "fire": {"train_max_steps": 100_000, "cpus": 2}})
    process = start(tmp_path, "run", "cases.toml", "runs")
    wait_until(lambda: has_steps(tmp_path, "rain"))
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs"))
    assert code == 2 and err.endswith("Ctrl-C, or: wavegan cases stop runs\n") and "another command runs" in err
    code, out, err = finish(start(tmp_path, "stop", "runs"))
    assert code == 0, err
    assert "stopped" in out
    code, _, err = finish(process)
    assert code == 2 and "not done: rain, fire" in err
    assert "stopped      step" in log_of(tmp_path, "rain")
    assert state_of(tmp_path, "fire").state == "waiting"


@pytest.mark.slow
def test_a_training_that_is_killed_goes_on(recordings, tmp_path):
    write(tmp_path, {"rain": {"train_max_steps": 40, "train_save_secs": 0.0}})
    process = start(tmp_path, "run", "cases.toml", "runs")
    folder = tmp_path / "runs" / "rain"
    wait_until(lambda: any(path.name.startswith("ckpt-") for path in folder.glob("ckpt-*.index")))
    os.kill(state_of(tmp_path, "rain").pid, signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 0, err
    state = state_of(tmp_path, "rain")
    assert state.state == "done" and state.tries == 1
    assert "resuming  step" in log_of(tmp_path, "rain")


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "needed: cases init DATA_DIR | run cases.toml RUNS | status RUNS | stop RUNS | render RUNS. Received: ''.",
        ),
        (["run", "cases.toml"], "needed: cases"),
        (["status", "runs", "--tries=2"], "--tries has no effect with cases status; leave it out."),
        (
            ["run", "cases.toml", "runs", "--runner=moon"],
            "--runner must be one of local, ray, slurm. Received: 'moon'.",
        ),
        (["run", "cases.toml", "runs", "--address=auto"], "--address has an effect with --runner ray only."),
        (["run", "cases.toml", "runs", "--slurm_options=time=1"], "--slurm_options has an effect with --runner slurm"),
        (["status", "nowhere"], "no cases in 'nowhere'"),
        (["init", "nowhere"], "no such folder of recordings"),
    ],
)
def test_mistakes(tmp_path, arguments, message):
    code, _, err = finish(start(tmp_path, *arguments))
    assert code == 2 and message in err and err.count("\n") == 1


def test_what_does_not_fit_is_listed(recordings, tmp_path):
    write(tmp_path, {"rain": {"cpus": 4000}, "fire": {"gpus": 60, "workers": 2}})
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs"))
    assert code == 2 and "[case.rain]: cpus is 4000, and this machine has" in err and "[case.fire]: gpus is 60" in err
    assert "[case.fire]: workers is 2, and this machine has 1" in err
    assert not (tmp_path / "runs").exists()


def test_progress_of_any_family_is_read_from_its_line(tmp_path):
    folder = tmp_path / "lstm"
    folder.mkdir()
    line = "step 12  bits a sample 7.977  held out 7.916  0.5 slices/s  2.45 s/step  2.3 GB  ETA 0:31"
    (folder / "training.log").write_text(f"data      /a\n{line}\n")
    progress = progress_files.read_progress(tmp_path, "lstm")
    assert progress.step == 12 and progress.state.state == "waiting"
    assert progress.shown == {
        "bits a sample": "7.977",
        "held out": "7.916",
        "slices/s": "0.5",
        "s/step": "2.45",
        "GB": "2.3",
        "ETA": "0:31",
    }
