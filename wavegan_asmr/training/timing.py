"""Timing on this machine, which only tells something while nothing else is timed."""

import contextlib
import os
import platform
import time

from wavegan_asmr.sound import cache_folder

_ROUNDS, _TIMED_S = 5, 0.25
_HOPELESS = 1.5
_EXTENSIONS = ("avx", "amx", "asimd", "sve", "bf16")


@contextlib.contextmanager
def alone():
    """Context in which no other process of this user times: it waits for them, and says so."""
    import filelock

    lock = filelock.FileLock(os.path.join(cache_folder.default_folder(), ".timing.lock"))
    try:
        os.makedirs(os.path.dirname(lock.lock_file), exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        print("waiting   while another process times what is fastest on this machine ...", flush=True)
        lock.acquire()
    except OSError:
        # Without a place for the lock, figures may be of a busy machine.
        pass
    try:
        yield
    finally:
        lock.release()


def fastest_of(runs):
    """Times functions in turn, so that what slows the machine down for a while slows all.

    Args:
        runs: Dict of name to function; the first run of each, which builds its graph, does not count.

    Returns:
        Dict of name to float, seconds of the fastest run of each.
    """
    for run in runs.values():
        run()
    seconds = {name: [] for name in runs}
    left_s = _TIMED_S
    for number in range(_ROUNDS):
        for name, run in runs.items():
            # What is hopeless is run once.
            if number and min(seconds[name]) > _HOPELESS * min(map(min, seconds.values())):
                continue
            start_s = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start_s)
            left_s -= seconds[name][-1]
        if left_s < 0:
            break
    return {name: min(found) for name, found in seconds.items()}


def processor():
    """Returns what this processor is, as far as the system tells: its name, instructions and cores."""
    model, extensions = platform.machine(), set()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    model = value.strip()
                elif name.strip() == "flags":
                    extensions.update(each for each in value.split() if each.startswith(_EXTENSIONS))
    except OSError:
        pass
    found = f" ({', '.join(sorted(extensions))})" if extensions else ""
    return f"{model}{found}, {os.cpu_count()} cores"
