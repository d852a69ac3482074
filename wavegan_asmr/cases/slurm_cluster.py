"""Cases as jobs of SLURM, by submitit; all machines see the folder of the TRAIN_DIRs."""

import math
import os
import shutil
import threading

from wavegan_asmr.cases.progress_files import DONE, FAILED, STOPPED, read_state
from wavegan_asmr.cases.remote import begin, update, watch_until
from wavegan_asmr.cases.runner import Runner
from wavegan_asmr.cases.running import Stop, run_case
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import Timer

_JOBS = ".slurm"
"""Folder in that of the TRAIN_DIRs: what submitit keeps of its jobs."""
_POLL_S = 0.2
_ASKED_S = 5.0
"""Between two questions about jobs."""
_START_MIN, _LEAST_MIN = 30, 60
"""Beside its budget a case takes time to begin."""
_MOST_REQUEUES = 1000
_SAVING_S = 120
"""Before the end of its time a job is asked to save."""


class SlurmRunner(Runner):
    """Submits a job for each case; one whose time is over, or that is preempted, saves and is queued again.

    Args:
        runs, tries: See `Runner`; a job that was lost is submitted as often.
        options: Dict of string to string, options of sbatch; `time` is in minutes.
        cluster: String, "slurm"; or "local", processes of this machine.

    Raises:
        UserError: submitit is not installed, there is no SLURM, or time is no number.
    """

    def __init__(self, runs, tries, options, cluster="slurm"):
        try:
            import submitit
        except ImportError as error:
            raise UserError("--runner slurm needs submitit: pip install 'wavegan[slurm]'.") from error
        if cluster == "slurm" and not shutil.which("sbatch"):
            raise UserError("--runner slurm needs SLURM's sbatch, which is not there; run it where jobs are submitted.")
        super().__init__(runs, tries)
        self._options = dict(options)
        time = self._options.pop("time", "0")
        if not time.isdigit():
            raise UserError(f"--slurm_options time is in whole minutes. Received: {time!r}.")
        self._time_min = int(time)
        self._executor = submitit.AutoExecutor(
            folder=os.path.join(self._runs, _JOBS), cluster=cluster, slurm_max_num_timeout=_MOST_REQUEUES
        )
        self._job_class = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}[cluster]

    def _misfits(self, case):
        # The rest is for SLURM to say.
        if case.resources.workers > 1:
            yield f"workers is {case.resources.workers}: they are placed by --runner ray alone"

    def run(self, cases, watch):
        jobs = {}
        for case in begin(self._runs, cases, is_known=self._is_known):
            jobs[case.name] = self._submit(case)
        for case in cases:
            job = read_state(os.path.join(self._runs, case.name)).job
            if case.name not in jobs and self._is_known(job):
                jobs[case.name] = self._job(job)
        submitted = dict.fromkeys(jobs, 1)
        is_due = Timer(_ASKED_S).is_due

        def is_over():
            for case in [case for case in cases if case.name in jobs] if is_due() else ():
                if not jobs[case.name].done():
                    continue
                state = read_state(os.path.join(self._runs, case.name)).state
                if state in (DONE, FAILED, STOPPED):
                    del jobs[case.name]
                elif submitted[case.name] < self._tries:
                    submitted[case.name] += 1
                    jobs[case.name] = self._submit(case)
                else:
                    reason = f"its job {jobs[case.name].job_id} has ended: {jobs[case.name].state}"
                    update(self._runs, case, state=FAILED, reason=reason)
                    del jobs[case.name]
            return not jobs

        return watch_until(is_over, watch)

    def _submit(self, case):
        """Submits a case; returns its job."""
        wanted = case.resources
        budget_min = math.ceil(case.given.get("train_max_secs", 0) / 60)
        self._executor.update_parameters(
            name=case.name,
            cpus_per_task=wanted.cpus,
            mem_gb=wanted.memory_gb,
            gpus_per_node=wanted.gpus,
            timeout_min=self._time_min or max(_LEAST_MIN, budget_min + _START_MIN),
            slurm_signal_delay_s=_SAVING_S,
            slurm_additional_parameters=self._options,
        )
        job = self._executor.submit(CaseJob(case, self._runs, self._tries))
        update(self._runs, case, job=job.job_id)
        return job

    def _job(self, number):
        """The job of a number, which another command may have submitted."""
        return self._job_class(self._executor.folder, number)

    def _is_known(self, number):
        return bool(number) and not self._job(number).done()


class CaseJob:
    """What a job does; what submitit calls before the time of a job is over is `checkpoint`.

    Args:
        case: `cases_file.Case`.
        runs: Path-like.
        tries: Integer.
    """

    def __init__(self, case, runs, tries):
        self._arguments = (case, runs, tries)

    def __call__(self):
        self._stop = Stop(self._arguments[1])
        self._thread = threading.Thread(target=run_case, args=(*self._arguments, self._stop))
        self._thread.start()
        # Signals come to this thread, between two waits.
        while self._thread.is_alive():
            self._thread.join(_POLL_S)

    def checkpoint(self):
        """Saves and ends the training; returns what goes on with it."""
        import submitit

        self._stop.set()
        self._thread.join()
        return submitit.helpers.DelayedSubmission(CaseJob(*self._arguments))
