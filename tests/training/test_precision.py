"""The choice of the arithmetic, and changing it."""

import json

import pytest
from conftest import TINY

from wavegan_asmr.config import Config
from wavegan_asmr.families import FAMILIES
from wavegan_asmr.training import precision


@pytest.mark.parametrize(
    ("forward_s", "iteration_s", "fastest"),
    [
        ([1.0, 0.9], [5.0, 3.0], "mixed_bfloat16"),
        ([1.0, 1.5], [5.0, 6.0], "float32"),
        # Emulated: an iteration would take minutes, so it is not even begun.
        ([1.0, 10.0], [5.0, None], "float32"),
    ],
)
def test_the_fastest_iteration_wins(forward_s, iteration_s, fastest, monkeypatch, capsys):
    def time_iteration(config, strategy):
        seconds = iteration_s[precision.CANDIDATES.index(config.train_precision)]
        assert seconds is not None
        return seconds

    monkeypatch.setattr(precision.timing, "fastest_of", lambda runs: dict(zip(runs, forward_s)))
    monkeypatch.setattr(FAMILIES["wavegan"], "forward", lambda config, each: None)
    monkeypatch.setattr(precision, "_time_iteration", time_iteration)
    assert precision.choose_precision(Config(), None) == fastest
    assert f"precision {fastest}: " in capsys.readouterr().out


def test_auto_is_settled_once_and_may_be_given_anew(tmp_path, recordings, command):
    train_dir = tmp_path / "train"

    def train(steps, *flags):
        process = command("train_wavegan.py", "train", train_dir, *flags, "--train_max_steps", steps)
        return process.stdout, json.loads((train_dir / "config.json").read_text())["train_precision"]

    tiny = [flag for flag in TINY if not flag.startswith("--train_precision")]
    first, chosen = train(1, "--data_dir", recordings, *tiny)
    assert chosen in precision.CANDIDATES
    assert f"precision {chosen}: an iteration takes" in first

    again, stored = train(2)
    assert stored == chosen and f", {chosen}\n" in again
    assert "an iteration takes" not in again
    # float16 keeps a loss scale in its checkpoints, which the others neither have nor need.
    for steps, given in enumerate(["mixed_float16", "mixed_bfloat16", "float32"], start=3):
        output, stored = train(steps, f"--train_precision={given}")
        assert stored == given
        assert f"resuming  step {steps - 1}\n" in output and f", {given}\n" in output
