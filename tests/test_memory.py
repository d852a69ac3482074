"""How freed memory is handled."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from wavegan_asmr import memory

if sys.argv[1] == "kept":
    memory.keep_freed()
np.ones(3_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(3_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_kept_memory_does_not_fault_again():
    def count_faults(how):
        process = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        return int(process.stdout)

    given_back, kept = count_faults("given back"), count_faults("kept")
    # 24 MB are 6,000 pages; the system may make larger ones.
    assert kept < 100 and kept < given_back / 2
