"""How the C library handles freed memory."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Of mallopt(3)."""
_MIB = 2**20
_KEPT = {_TRIM_THRESHOLD: 1024 * _MIB, _TOP_PAD: 64 * _MIB, _MMAP_THRESHOLD: 32 * _MIB}


def keep_freed():
    """Lets the C library keep freed memory for the next allocations, where it is glibc.

    An iteration frees and allocates the same hundreds of megabytes; given back to the system in between, every page
    comes again as a fault, a tenth of an iteration. TensorFlow lowers one of these limits whenever it opens a dataset,
    so this has to come after that.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for parameter, value in _KEPT.items():
            mallopt(parameter, value)
