"""Output formats: an entry of the registry is all that one needs."""

import subprocess
import sys

import fakes
import pytest
import soundfile
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import formats, models
from wavegan_asmr.rendering.formats import Format

HELP = """
import sys

from wavegan_asmr.command_line import main

sys.argv = ["wavegan", "generate", "--help"]
main.main()
print("loaded:", {"numpy", "tensorflow", "rich", "msgspec", "soundfile"} & set(sys.modules))
"""


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    monkeypatch.setattr(models, "Generator", fakes.generators())


@pytest.mark.parametrize(
    ("added", "flags", "subtype", "tolerance_db"),
    [
        (Format(".aiff", "AIFF", "16 or 24 bit", "AIFF"), ["--bits=24"], "PCM_24", 0.01),
        (Format(".au", "AU", "mu-law", "AU", "ULAW", has_tags=False, rates_hz=(16000,)), [], "ULAW", 1),
    ],
    ids=["pcm", "lossy"],
)
def test_a_format_is_one_entry(run_here, monkeypatch, tmp_path, added, flags, subtype, tolerance_db):
    monkeypatch.setitem(formats.FORMATS, added.ending, added)
    path = tmp_path / f"asmr{added.ending.upper()}"
    process = run_here("generate.py", "./noise", "--minutes=0.1", "--candidates=1", *flags, "--out", path)
    assert process.returncode == 0, process.stderr
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.frames) == (added.container, subtype, 96000)
    x, _ = soundfile.read(path)
    assert abs(x).max() > 0.01
    assert {each.name for each in tmp_path.glob("asmr*")} == {path.name, "asmr.json", "asmr.png"}
    process = run_here("generate.py", "./noise", "--minutes=0.1", "--out", tmp_path / "asmr.xyz")
    assert process.returncode == 2 and f", {added.ending}, or be - for stdout" in process.stderr
    rows = [f"| {added.ending} | {added.words} | {'16 kHz' if added.rates_hz else 'any'} |"]
    assert formats.table()[-1:] == rows and added.ending in formats.endings()


def test_limits_of_an_entry():
    added = Format(
        ".x", "X", "", "X", most_rate_hz=1000, fewest_frames=2, most_frames=10, most_bytes=100, large_container="X64"
    )
    added.check(1000, 10)
    with pytest.raises(
        UserError, match=r"\.x \(X\) takes sample rates up to 1000 Hz.*--sample_rate.*Received: 1001\.$"
    ):
        added.check(1001, 10)
    with pytest.raises(UserError, match=r"X ends at 10 frames; write a WAV file\. Received: 11\.$"):
        added.check(1000, 11)
    with pytest.raises(UserError, match=r"X begins at 2 frames; write a WAV file\. Received: 1\.$"):
        added.check(1000, 1)
    assert [added.container_of(size) for size in (100, 101)] == ["X", "X64"]
    assert Format(".x", "X", "", "X").container_of(10**15) == "X"


def test_table():
    lines = formats.table()
    assert len(lines) == 2 + len(formats.FORMATS)
    assert "| .flac | 16 or 24 bit | to 655,350 Hz |" in lines
    assert "| .m4a | AAC, 48 kbit/s a channel at 16 kHz, 132 at 44.1 kHz | 8, 11.025, 12," in "\n".join(lines)
    assert "| .opus | Opus, about 80 kbit/s a channel | 8, 12, 16, 24, 48 kHz |" in lines


@pytest.mark.parametrize("ending", [each.ending for each in formats.FORMATS.values() if not each.is_pcm])
def test_bits_are_of_pcm_only(run_here, tmp_path, ending):
    process = run_here("generate.py", "./noise", "--minutes=0.1", "--bits=24", "--out", tmp_path / f"a{ending}")
    assert process.returncode == 2
    assert "--bits has an effect with .wav or .flac and stdout only" in process.stderr


def test_help_names_the_endings_and_loads_nothing_heavy():
    process = subprocess.run([sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "The file: .wav, .flac, .ogg, .opus, .mp3 or .m4a; - for stdout" in process.stdout
    assert process.stdout.endswith("loaded: set()\n")
