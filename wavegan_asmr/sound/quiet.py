"""Silence of C libraries: mpg123, inside libsndfile, speaks on stderr, without the name of a file."""

import contextlib
import ctypes
import threading


class _Silence:
    """The C library's own `stderr`, taken away while any thread asks for silence; Python does not use it."""

    def __init__(self):
        self._lock, self._threads = threading.Lock(), 0
        libc = ctypes.CDLL(None)
        # Elsewhere than in glibc it is no variable, or has another name.
        self._stderr = ctypes.c_void_p.in_dll(libc, "stderr") if hasattr(libc, "gnu_get_libc_version") else None
        if self._stderr is not None:
            libc.fopen.restype = ctypes.c_void_p
            self._loud, self._nowhere = self._stderr.value, libc.fopen(b"/dev/null", b"w")

    @contextlib.contextmanager
    def __call__(self):
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, threads):
        with self._lock:
            self._threads += threads
            if self._stderr is not None and self._nowhere:
                self._stderr.value = self._nowhere if self._threads else self._loud


quiet = _Silence()
"""Context in which C libraries say nothing on stderr, in any thread; what Python writes there is not touched."""
