"""Cases on a Ray cluster, all of whose machines see the folder of the TRAIN_DIRs and have this package."""

import logging
import os
import re
import signal
import socket
import threading

from wavegan_asmr.cases.progress_files import DONE, FAILED, STOPPED, read_state
from wavegan_asmr.cases.remote import begin, update, watch_until
from wavegan_asmr.cases.runner import Runner
from wavegan_asmr.cases.running import Stop, follow_case, run_case
from wavegan_asmr.errors import UserError
from wavegan_asmr.training.team import is_reachable

_NAMESPACE = "wavegan"


class RayRunner(Runner):
    """Runs cases as tasks of Ray; those whose worker or machine is lost are tried again on another one.

    Args:
        runs, tries: See `Runner`; a task that was lost is begun as often.
        address: String, of the cluster, see `ray.init`.

    Raises:
        UserError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, runs, tries, address):
        # Nobody has agreed to be counted.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ImportError as error:
            raise UserError("--runner ray needs Ray: pip install 'wavegan[ray]'.") from error
        self._ray = ray
        super().__init__(runs, tries)
        self._name = f"cases {self._runs}"
        handler = signal.getsignal(signal.SIGTERM)
        try:
            # Ray would try for minutes.
            if re.fullmatch(r"[^:/]+:\d+", address) and not is_reachable(address):
                raise ConnectionError("nothing listens there")
            ray.init(address=address, namespace=_NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(
                f"no Ray cluster: {reason}. Received: --address {address!r}. Begin one with: ray start --head"
            ) from error
        # Ray's ends the process on the spot.
        signal.signal(signal.SIGTERM, handler)

    def _misfits(self, case):
        nodes, wanted = [node["Resources"] for node in self._ray.nodes() if node["Alive"]], _resources(case)
        if not any(all(node.get(name, 0) >= needed for name, needed in wanted.items()) for node in nodes):
            resources = case.resources
            yield (
                f"cpus {resources.cpus}, memory_gb {resources.memory_gb:g}, gpus {resources.gpus}: no machine of the "
                "cluster has them"
            )

    def run(self, cases, watch):
        if not self._find_keeper():
            chosen = begin(self._runs, cases)
            if not chosen:
                return True
            keeper = self._ray.remote(_Keeper)
            # It needs next to nothing, and must find room wherever there is some.
            keeper = keeper.options(name=self._name, lifetime="detached", num_cpus=0, max_restarts=-1)
            self._ray.get(keeper.remote(chosen, self._runs, self._tries).is_ready.remote())
        return watch_until(lambda: not self._find_keeper(), watch)

    def _find_keeper(self):
        try:
            return self._ray.get_actor(self._name)
        except ValueError:
            return None


class _Keeper:
    """Actor that owns the tasks of cases, so that they go on when the command that began them has ended."""

    def __init__(self, cases, runs, tries):
        self._runs, self._tries = runs, tries
        # After the loss of its own machine it begins again with those that have not ended.
        ended = (DONE, FAILED, STOPPED)
        waiting = [case for case in cases if read_state(os.path.join(runs, case.name)).state not in ended]
        threads = [threading.Thread(target=self._run, args=[case], daemon=True) for case in waiting]
        for thread in threads:
            thread.start()
        threading.Thread(target=self._end, args=[threads], daemon=True).start()

    def is_ready(self):
        """Returns True: what is asked has begun."""
        return True

    def _run(self, case):
        """Has a case run to its end; a try of which a worker or its machine is lost is followed by another."""
        import ray

        for left in reversed(range(self._tries)):
            group = ray.util.placement_group([_resources(case)] * case.resources.workers, strategy="SPREAD")
            tasks = []
            try:
                ray.get(group.ready())
                workers = ray.get([_place(group, _address, i) for i in range(case.resources.workers)])
                tasks = [_place(group, _work, i, case, self._runs, self._tries, workers) for i in range(len(workers))]
                ray.get(tasks)
                return
            except ray.exceptions.RayError as error:
                if not left:
                    update(self._runs, case, state=FAILED, reason=str(error).splitlines()[0])
            finally:
                for task in tasks:
                    ray.cancel(task, force=True)
                ray.util.remove_placement_group(group)

    def _end(self, threads):
        """Ends this actor when all cases have ended."""
        import ray

        for thread in threads:
            thread.join()
        ray.kill(ray.get_runtime_context().current_actor, no_restart=True)


def _place(group, function, worker, *arguments):
    """Starts a task on the machine of a worker; returns what stands for its result."""
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=worker)
    wanted = group.bundle_specs[worker] if arguments else {}
    task = ray.remote(function).options(
        num_cpus=wanted.get("CPU", 0),
        num_gpus=wanted.get("GPU", 0),
        memory=wanted.get("memory"),
        max_retries=0,
        scheduling_strategy=place,
    )
    return task.remote(worker, *arguments)


def _address(worker):
    """An address of this machine whose port is free now, HOST:PORT."""
    import ray

    host = ray.util.get_node_ip_address()
    with socket.create_server((host, 0)) as server:
        return f"{host}:{server.getsockname()[1]}"


def _work(worker, case, runs, tries, workers):
    """Does what a worker of a case does, the only one or one of several."""
    several = workers if len(workers) > 1 else ()
    if worker:
        follow_case(case, runs, Stop(runs), several, worker)
    else:
        run_case(case, runs, tries, Stop(runs), workers=several)


def _resources(case):
    """What a worker of a case takes, by Ray's names."""
    wanted = case.resources
    needed = {"CPU": wanted.cpus, "GPU": wanted.gpus, "memory": int(wanted.memory_gb * 1e9)}
    return {name: amount for name, amount in needed.items() if amount}
