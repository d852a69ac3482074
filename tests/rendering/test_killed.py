"""What kill -9 leaves of a rendering goes with the next start."""

import os
import subprocess
import sys

import fakes
import pytest
from conftest import ROOT

from wavegan_asmr.rendering import models

RENDER = """
import sys

import fakes

from wavegan_asmr.rendering import blocks, models, overview, render
from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings


def wait(*arguments):
    print("waiting", flush=True)
    sys.stdin.read()


def master(composition, limit, number, real=blocks.master):
    return wait() if number == 3 else real(composition, limit, number)


models.Generator = fakes.generators()
if sys.argv[2] == "sound":
    blocks.master = master
else:
    overview.plots.png = wait
render.render(["noise"], OutputSettings(out=sys.argv[1]), RenderSettings(candidates=1, seconds=30.0))
"""


@pytest.mark.parametrize("killed_while", ["sound", "picture"])
def test_leftovers_of_killed_processes_go_with_the_next_start(run_here, monkeypatch, tmp_path, killed_while):
    monkeypatch.setattr(models, "Generator", fakes.generators())
    (tmp_path / ".night.wav.notes").touch()
    # matplotlib would look for fonts anew.
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    with subprocess.Popen(
        [sys.executable, "-c", RENDER, "night.wav", killed_while],
        env=environment | {"PYTHONPATH": f"{ROOT}:{os.path.dirname(__file__)}"},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout.readline() == b"waiting\n"
        process.kill()
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".night")} - {".night.wav.notes"}
    assert len(left) == 1, left
    process = run_here("generate.py", "./noise", "--minutes=0.02", "--out", tmp_path / "night.wav", "--overwrite")
    assert process.returncode == 0, process.stderr
    assert {path.name for path in tmp_path.iterdir()} == {".night.wav.notes", "night.wav", "night.json", "night.png"}
