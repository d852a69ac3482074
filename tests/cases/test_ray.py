"""Cases on a Ray cluster of two machines, simulated on this one, of which workers and machines are killed."""

import os
import signal

import pytest
from case_commands import finish, has_steps, log_of, parents, start, state_of, wait_for_watch, wait_until, write

STEPS = {"train_max_steps": 600, "train_save_secs": 1.0}
NAMES = ("rain", "fire", "wind")

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of a head without cores, and two machines of two cores; ends what is left in the end."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        cluster.machines = [cluster.add_node(num_cpus=2, memory=8 * 10**9) for _ in range(2)]
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def test_a_worker_and_a_machine_are_killed(cluster, recordings, tmp_path):
    """All cases end, and say that they resumed."""
    # None ends before the last one has begun.
    write(tmp_path, dict.fromkeys(NAMES, STEPS | {"train_max_steps": 3000}))
    process = start(tmp_path, "run", "cases.toml", "runs", "--runner=ray", f"--address={cluster.address}")
    wait_until(lambda: all(has_steps(tmp_path, name) for name in NAMES))
    raylets = [machine.all_processes["raylet"][0].process.pid for machine in cluster.machines]
    on = {name: next(i for i in range(2) if raylets[i] in parents(state_of(tmp_path, name).pid)) for name in NAMES}
    # One machine has two of three cases, the other one: its worker is killed, and then the other machine.
    lone = next(name for name in NAMES if list(on.values()).count(on[name]) == 1)
    machine = 1 - on[lone]
    os.kill(parents(state_of(tmp_path, lone).pid)[0], signal.SIGKILL)
    cluster.remove_node(cluster.machines[machine], allow_graceful=False)
    code, out, err = finish(process)
    assert code == 0, err + out
    for name in NAMES:
        state = state_of(tmp_path, name)
        assert state.state == "done"
        assert "resuming  step" in log_of(tmp_path, name)
        # Where the other machine had what owns the tasks, one more start is lost.
        assert state.tries in (1, 2)


def test_ctrl_c_leaves_them_running_and_another_command_stops_them(cluster, recordings, tmp_path):
    broken = {"train_max_steps": 300, "wavegan_genr_lr": 1000.0, "wavegan_disc_lr": 1000.0}
    write(tmp_path, {"rain": {"train_max_steps": 1_000_000}, "broken": broken})
    arguments = ("run", "cases.toml", "runs", "--runner=ray", f"--address={cluster.address}", "--tries=1")
    process = start(tmp_path, *arguments)
    wait_until(lambda: has_steps(tmp_path, "rain"))
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 0, err
    assert "the cases go on; to stop them: wavegan cases stop runs" in out
    before = state_of(tmp_path, "rain")
    # The same command finds them.
    process = start(tmp_path, *arguments)
    wait_for_watch(process)
    wait_until(lambda: state_of(tmp_path, "broken").state == "failed")
    assert state_of(tmp_path, "rain") == before
    code, _, err = finish(start(tmp_path, "stop", "runs"))
    assert code == 0, err
    code, _, err = finish(process)
    assert code == 2 and "not done: rain, broken" in err
    assert state_of(tmp_path, "rain").state == "stopped" and "stopped      step" in log_of(tmp_path, "rain")


def test_a_case_of_two_machines_of_which_one_is_killed(cluster, recordings, tmp_path):
    write(tmp_path, {"rain": STEPS | {"workers": 2, "cpus": 2, "train_batch_size": 4}})
    process = start(tmp_path, "run", "cases.toml", "runs", "--runner=ray", f"--address={cluster.address}")
    wait_until(lambda: has_steps(tmp_path, "rain"))
    cluster.add_node(num_cpus=2, memory=8 * 10**9)
    cluster.remove_node(cluster.machines[1], allow_graceful=False)
    code, out, err = finish(process)
    assert code == 0, err + out
    assert state_of(tmp_path, "rain").state == "done"
    log = (tmp_path / "runs" / "rain" / "training.log").read_text()
    assert log.count("workers   2, of which this is the chief") >= 2 and "resuming  step" in log
    last = (tmp_path / "runs" / "rain" / "worker1.log").read_text().strip().splitlines()[-1]
    assert last == f"ended     with the chief, step {STEPS['train_max_steps']}"


def test_what_fits_no_machine_is_listed(cluster, recordings, tmp_path):
    write(tmp_path, {"rain": {"cpus": 3}, "fire": {}})
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs", "--runner=ray", f"--address={cluster.address}"))
    assert code == 2 and "[case.rain]: cpus 3, memory_gb 3, gpus 0: no machine of the cluster has them" in err
    assert "[case.fire]" not in err


def test_without_a_cluster(recordings, tmp_path):
    write(tmp_path, {"rain": {}})
    code, _, err = finish(start(tmp_path, "run", "cases.toml", "runs", "--runner=ray", "--address=127.0.0.1:1"))
    assert code == 2 and "no Ray cluster" in err and "Begin one with: ray start --head" in err and err.count("\n") == 1
