"""Which processor this is: on the same one, the same code computes the same bits."""

import hashlib
import os


def identity():
    """Returns a digest of the kind of processor and the number of its cores, a string."""
    kinds = ("vendor_id", "cpu family", "model\t", "stepping", "flags")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        lines = sorted({" ".join(line.split()) for line in file if line.startswith(kinds)})
    return hashlib.sha256("\n".join([str(os.cpu_count()), *lines]).encode()).hexdigest()[:16]
