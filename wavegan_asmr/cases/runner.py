"""What all runners of cases have in common, whichever machines they use."""

import os

from wavegan_asmr.errors import UserError


class Runner:
    """Runs cases.

    Args:
        runs: Path-like, the folder of the TRAIN_DIRs.
        tries: Integer, see `running.run_case`.
    """

    def __init__(self, runs, tries):
        self._runs, self._tries = os.path.abspath(runs), tries

    def check(self, cases):
        """Checks that each case fits.

        Args:
            cases: List of `cases_file.Case`.

        Raises:
            UserError: Some do not; all are listed.
        """
        mistakes = [f"[case.{case.name}]: {each}" for case in cases for each in self._misfits(case)]
        if mistakes:
            raise UserError("\n  ".join(["cases that do not fit:", *mistakes]))

    def run(self, cases, watch):
        """Runs cases until all have ended; those that are done, or wait or run elsewhere already, are left alone.

        Args:
            cases: List of `cases_file.Case`.
            watch: Function without arguments, called again and again meanwhile.

        Returns:
            Boolean, False where Ctrl-C has left them running, as a runner on other machines does.

        Raises:
            KeyboardInterrupt: All have been stopped, and saved, by a runner on this machine.
        """
        raise NotImplementedError(f"{type(self).__name__} has no run")

    def _misfits(self, case):
        """Yields why a case does not fit, strings."""
        raise NotImplementedError(f"{type(self).__name__} has no _misfits")
