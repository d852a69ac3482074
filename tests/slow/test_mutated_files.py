"""Thousands of damaged sound files through the real `wavegan check`: no traceback, no hang, no flood of memory."""

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from damage import damage_bytes

pytestmark = pytest.mark.slow

FILES, FOLDERS = 2016, 18
SECONDS_A_FOLDER, MOST_BYTES = 300, 1e9

MEASURED = """
import resource, subprocess, sys

process = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
sys.exit(process.returncode)
"""
"""Runs a command, and prints its peak memory in kilobytes."""

FORMATS = {
    "wav": [],
    "flac": [],
    "ogg": ["-c:a", "libvorbis"],
    "opus": ["-c:a", "libopus"],
    "mp3": [],
    "m4a": [],
    "aiff": [],
    "wv": [],
    "mka": ["-c:a", "libvorbis"],
}
"""Ending, and how ffmpeg is told what to write."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Dict of ending to the bytes of a healthy file, a chirp of stereo."""
    folder = tmp_path_factory.mktemp("whole")
    t = np.arange(24000) / 16000
    chirp = 0.5 * np.sin(2 * np.pi * (200 * t + 800 * t**2))
    soundfile.write(folder / "chirp.wav", np.stack([chirp, -chirp], 1), 16000)
    for ending, flags in FORMATS.items():
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-i", folder / "chirp.wav", *flags, folder / f"x.{ending}"], check=True
        )
    return {ending: (folder / f"x.{ending}").read_bytes() for ending in FORMATS}


def count_of(pattern, text):
    return int(re.search(pattern, text)[1])


@pytest.mark.parametrize("number", range(FOLDERS))
def test_check(whole, tmp_path, number):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "whole.wav").write_bytes(whole["wav"])
    count = FILES // FOLDERS
    for seed in range(number * count, (number + 1) * count):
        ending = list(FORMATS)[seed % len(FORMATS)]
        (folder / f"{seed}.{ending}").write_bytes(damage_bytes(whole[ending], seed))
    process = subprocess.run(
        [sys.executable, "-c", MEASURED, sys.executable, "-m", "wavegan_asmr", "check", folder, "--data_pad_end"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_A_FOLDER,
    )
    *text, peak_kb = process.stdout.splitlines()
    assert process.returncode == 0, process.stdout
    assert 1024 * int(peak_kb) < MOST_BYTES
    # Whatever is printed is a row of our table: libraries print nothing, and nothing is raised.
    assert not [line for line in text if not re.match(r"  [a-z ]{1,16} |data |decod|note ", line)], process.stdout
    used, left_out = count_of(r"recordings +(\d+),", process.stdout), len(re.findall("left out", process.stdout))
    assert used + left_out == count + 1 and used > count / 3
