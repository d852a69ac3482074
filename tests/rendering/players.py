"""Sound files as other programs play them, and sounds for it."""

import json
import subprocess

import numpy as np


def play(path, rate_hz, channels, passes=1):
    """Has ffmpeg play a file one or several times without a pause: float32 `[frames, channels]`."""
    files = [argument for _ in range(passes) for argument in ("-i", path)]
    joined = "".join(f"[{number}:a]" for number in range(passes)) + f"concat=n={passes}:v=0:a=1"
    line = ["ffmpeg", "-v", "error", *files, "-filter_complex", joined, "-f", "f32le", "-ar", str(rate_hz), "-"]
    process = subprocess.run(line, capture_output=True, check=True)
    assert not process.stderr
    return np.frombuffer(process.stdout, "<f4").reshape(-1, channels)


def read_tags(path):
    """Returns the tags of a file as ffprobe finds them: dict of names in small letters to strings."""
    line = ["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json", path]
    found = json.loads(subprocess.run(line, capture_output=True, check=True).stdout)
    # Ogg has the tags in its streams.
    tags = found["streams"][0].get("tags", {}) | found["format"].get("tags", {})
    return {name.lower(): text for name, text in tags.items()}


def loop_of_noise(frames, rate_hz, channels, seed=0):
    """A noise of falling spectrum without a seam, RMS 0.1: float32 `[frames, channels]`."""
    white = np.fft.rfft(np.random.default_rng(seed).normal(size=[frames, channels]), axis=0)
    frequencies = np.fft.rfftfreq(frames, 1 / rate_hz)[:, None]
    x = np.fft.irfft(white / np.maximum(frequencies, 300) ** 0.7, frames, axis=0)
    return (0.1 * x / x.std()).astype(np.float32)


def level_db(x):
    """The level of samples, in dB."""
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-12)
