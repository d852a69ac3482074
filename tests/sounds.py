"""Sounds made on the spot that are as hard to imitate as recordings."""

import subprocess

import numpy as np
import scipy.signal
import soundfile


def fire(seconds, sample_rate_hz, seed=0):
    """A rumbling bed of slowly changing level, with crackles that begin at once and die away: float32 `[frames]`."""
    random = np.random.default_rng([seed, 1])
    frames = int(seconds * sample_rate_hz)
    bed = scipy.signal.lfilter([0.02], [1, -0.97], random.standard_normal(frames))
    knots = np.arange(0, frames + sample_rate_hz, sample_rate_hz // 2)
    swell_db = np.interp(np.arange(frames), knots, random.uniform(-3, 3, len(knots)))
    crackles = np.zeros(frames)
    starts = random.random(frames) < 12 / sample_rate_hz
    crackles[starts] = random.lognormal(0, 0.7, starts.sum())
    times = np.arange(int(0.06 * sample_rate_hz)) / sample_rate_hz
    ring = random.standard_normal(len(times)) * np.exp(-times / 0.01)
    x = 10 ** (swell_db / 20) * bed + 0.05 * scipy.signal.oaconvolve(crackles, ring)[:frames]
    return np.clip(0.5 * x, -1, 1).astype(np.float32)


def plucks(path, seconds, sample_rate_hz):
    """Has sox play a guitar string again and again, with echo; returns the samples, float32 `[frames]`."""
    notes = ["synth", "0.5", "pluck", "A3", "repeat", str(int(2 * seconds)), "echo", "0.8", "0.7", "90", "0.4"]
    subprocess.run(["sox", "-R", "-n", "-r", str(sample_rate_hz), "-b", "16", path, *notes], check=True)
    x, _ = soundfile.read(path, dtype="float32")
    return x[: int(seconds * sample_rate_hz)]


def cut(x, n, samples, seed=0):
    """Cuts n slices at random offsets: float32 `[n, samples, 1]`."""
    starts = np.random.default_rng([seed, 2]).integers(len(x) - samples, size=n)
    return np.stack([x[start : start + samples] for start in starts])[:, :, None]
