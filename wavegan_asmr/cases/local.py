"""Cases on this machine: as many at once as fit into its cores, memory and GPUs."""

import os
import shutil
import subprocess
import threading

from wavegan_asmr.cases.progress_files import DONE, read_state
from wavegan_asmr.cases.runner import Runner
from wavegan_asmr.cases.running import Stop, run_case
from wavegan_asmr.progress import machine_memory_bytes

_POLL_S = 0.2


class LocalRunner(Runner):
    """Runs cases as processes of this one, see `Runner`."""

    def __init__(self, runs, tries):
        super().__init__(runs, tries)
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
        self._memory_gb = machine_memory_bytes() / 1e9
        self._gpus = list(range(_count_gpus()))
        self._changed = threading.Condition()

    def _misfits(self, case):
        wanted = case.resources
        for name, needed, there in (
            ("cpus", wanted.cpus, len(self._cores)),
            ("memory_gb", wanted.memory_gb, self._memory_gb),
            ("gpus", wanted.gpus, len(self._gpus)),
            ("workers", wanted.workers, 1),
        ):
            if needed > there:
                yield f"{name} is {needed:g}, and this machine has {there:.4g}"

    def run(self, cases, watch):
        stop, threads = Stop(self._runs), []
        free = {"cores": list(self._cores), "gpus": list(self._gpus), "memory_gb": self._memory_gb}
        waiting = [case for case in cases if read_state(os.path.join(self._runs, case.name)).state != DONE]
        try:
            while any(thread.is_alive() for thread in threads) or (waiting and not stop.is_set()):
                for case in [each for each in waiting if _fits(each.resources, free)]:
                    # What came first may have taken the room of this one.
                    if _fits(case.resources, free):
                        waiting.remove(case)
                        threads.append(self._begin(case, free, stop))
                watch()
                with self._changed:
                    self._changed.wait(_POLL_S)
        except BaseException:
            stop.set()
            for thread in threads:
                thread.join()
            raise
        return True

    def _begin(self, case, free, stop):
        """Starts a thread that runs a case, and then gives back what it has taken."""
        wanted = case.resources
        cores = [free["cores"].pop(0) for _ in range(wanted.cpus)]
        gpus = [free["gpus"].pop(0) for _ in range(wanted.gpus)]
        free["memory_gb"] -= wanted.memory_gb

        def run():
            try:
                run_case(case, self._runs, self._tries, stop, cores, gpus)
            finally:
                with self._changed:
                    free["cores"] += cores
                    free["gpus"] += gpus
                    free["memory_gb"] += wanted.memory_gb
                    self._changed.notify()

        thread = threading.Thread(target=run, name=case.name)
        thread.start()
        return thread


def _fits(wanted, free):
    return (
        wanted.cpus <= len(free["cores"]) and wanted.gpus <= len(free["gpus"]) and wanted.memory_gb <= free["memory_gb"]
    )


def _count_gpus():
    """GPUs as their driver's own program lists them: TensorFlow would start them in this process."""
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listed.stdout.count("GPU ") if listed.returncode == 0 else 0
