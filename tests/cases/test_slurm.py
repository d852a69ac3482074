"""Cases as jobs of a real SLURM, whose daemons are started for these tests: done, preempted, left, stopped."""

import os
import shutil
import signal
import socket
import subprocess

import pytest
from case_commands import finish, has_steps, log_of, parents, start, state_of, wait_for_watch, wait_until, write
from processes import free_ports

from wavegan_asmr.cases import cases_file
from wavegan_asmr.cases.slurm_cluster import SlurmRunner

pytestmark = pytest.mark.slow

_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/node.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""One machine of two cores; cgroups, which containers rarely have, are left out."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A SLURM of this machine alone; returns the environment of its commands."""
    # Sockets' paths may not be long.
    folder = tmp_path_factory.mktemp("s")
    for name in ("controller", "node"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    conf = _CONF.format(host=socket.gethostname(), ports=free_ports(2), folder=folder)
    (folder / "slurm.conf").write_text(conf)
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    names = [f"--{flag}={folder}/munge.{name}" for flag, name in munge.items()]
    daemons = []
    try:
        for command in (["munged", "--foreground", "--force", *names], ["slurmctld", "-D"], ["slurmd", "-D"]):
            program = shutil.which(command[0], path=os.environ["PATH"] + ":/usr/sbin")
            daemons.append(
                subprocess.Popen(
                    [program, *command[1:]], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
                )
            )
        wait_until(lambda: "idle" in subprocess.run(["sinfo"], env=environment, capture_output=True, text=True).stdout)
        yield environment
    finally:
        subprocess.run(["scancel", "--full", "--signal=KILL", "--user=root"], env=environment)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=30)


@pytest.fixture
def in_slurm(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])


NAMES = ("rain", "fire", "wind")
RUN = ("run", "cases.toml", "runs", "--runner=slurm")


def test_three_cases(in_slurm, recordings, tmp_path):
    """More than fit at once; one is preempted, is queued again, and goes on."""
    write(tmp_path, {name: {"train_max_steps": 300} for name in NAMES})
    process = start(tmp_path, *RUN, "--slurm_options=partition=main,time=20")
    wait_until(lambda: has_steps(tmp_path, "rain"))
    job = state_of(tmp_path, "rain").job
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True).stdout
    assert "JobName=rain" in shown and "TimeLimit=00:20:00" in shown and "NumCPUs=1" in shown
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    code, out, err = finish(process)
    assert code == 0, err + out
    for name in NAMES:
        assert state_of(tmp_path, name).state == "done"
        assert ("resuming  step" in log_of(tmp_path, name)) == (name == "rain")


def test_ctrl_c_leaves_them_running_and_another_command_stops_them(in_slurm, recordings, tmp_path):
    write(tmp_path, {"rain": {"train_max_steps": 1_000_000}})
    process = start(tmp_path, *RUN)
    wait_until(lambda: has_steps(tmp_path, "rain"))
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 0, err
    assert "the cases go on; to stop them: wavegan cases stop runs" in out
    before = state_of(tmp_path, "rain")
    # The same command finds them.
    process = start(tmp_path, *RUN)
    wait_for_watch(process)
    code, _, err = finish(start(tmp_path, "stop", "runs"))
    assert code == 0, err
    finish(process)
    after = state_of(tmp_path, "rain")
    assert after.job == before.job and after.state == "stopped"
    assert "stopped      step" in log_of(tmp_path, "rain")


def test_a_job_that_is_lost_is_submitted_again(recordings, tmp_path):
    """By submitit's local jobs: what a cluster says of lost ones needs its accounting."""
    write(tmp_path, {"rain": {"train_max_steps": 300, "train_save_secs": 0.5}})
    runs, killed = tmp_path / "runs", []
    runs.mkdir()

    def watch():
        if has_steps(tmp_path, "rain") and not killed:
            killed.append(state_of(tmp_path, "rain").job)
            task, job = parents(state_of(tmp_path, "rain").pid)[:2]
            assert str(job) == killed[0]
            os.kill(job, signal.SIGKILL)
            os.kill(task, signal.SIGKILL)

    cases = cases_file.read(tmp_path / "cases.toml", runs)
    assert SlurmRunner(runs, 2, {}, cluster="local").run(cases, watch)
    state = state_of(tmp_path, "rain")
    assert state.state == "done" and state.job != killed[0] and state.tries == 1
    assert "resuming  step" in log_of(tmp_path, "rain")


def test_mistakes(recordings, tmp_path):
    write(tmp_path, {"rain": {}})
    for options, message in (
        ("--slurm_options=time=soon", "--slurm_options time is in whole minutes. Received: 'soon'."),
        ("--slurm_options=fast", "--slurm_options are NAME=VALUE,NAME=VALUE. Received: 'fast'."),
    ):
        code, _, err = finish(start(tmp_path, *RUN, options))
        assert code == 2 and message in err and err.count("\n") == 1
