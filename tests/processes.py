"""Commands that run: reading, waiting, stopping, what their mistakes look like, and what damages their files."""

import re
import signal
import socket
import threading
import time

import numpy as np
import soundfile
from conftest import TINY


def read_until(process, text, timeout_s=300):
    """Reads what a process prints up to a line with a text; returns all of it."""
    output = ""
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            output += line
            if text in line:
                return output
    finally:
        timer.cancel()
    raise AssertionError(f"{text!r} was never printed:\n{output}")


def wait_until(condition, process=None, timeout_s=300):
    """Waits for a condition while a process runs."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        if process and process.poll() is not None:
            raise AssertionError(process.stdout.read())
        time.sleep(0.002)


def stop(process, number=signal.SIGINT):
    """Sends a signal; returns what the process printed until it ended with exit code 0."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return output


def check_mistake(process, *words, lines=1):
    """Checks that a process ended with one line about a mistake that holds the words."""
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.count("\n") == lines, process.stderr
    last = process.stderr.splitlines()[-1]
    assert re.match(r"\w+\.py: ", last)
    for word in words:
        assert str(word) in last


def flip_bytes(path):
    """Damages all of a file but its length."""
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def tiny_settings(folder, **more):
    """The flags TINY as settings, and recordings in a folder."""
    (folder / "recordings").mkdir(exist_ok=True)
    soundfile.write(folder / "recordings" / "rain.wav", np.random.default_rng(0).normal(0, 0.1, 64000), 16000)
    named = dict(flag.removeprefix("--").split("=") for flag in TINY)
    paths = {"data_dir": str(folder / "recordings"), "data_cache_dir": str(folder / "cache")}
    return {name: int(value) if value.isdecimal() else value for name, value in named.items()} | paths | more


def free_ports(count):
    """Ports of loopback that nobody listens at."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def free_addresses(count):
    """The same as addresses, HOST:PORT."""
    return [f"127.0.0.1:{port}" for port in free_ports(count)]
