"""The loop: what it remembers, divergence."""

import dataclasses

import numpy as np
import pytest
from conftest import SMALL

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop


def test_divergence_stops_and_keeps_the_last_good_checkpoint(recordings, tmp_path, monkeypatch):
    real_iterate, calls = loop._iterate, []

    def diverge(trainer, batches, slices):
        calls.append(real_iterate(trainer, batches, slices))
        if len(calls) == 3:
            for variable in trainer.generator.trainable_variables:
                variable.assign(variable.value * np.nan)
        return calls[-1]

    monkeypatch.setattr(loop, "_iterate", diverge)
    settings = SMALL | {"data_dir": str(recordings), "train_save_secs": 0.0, "train_summary_secs": 1e6}
    with pytest.raises(UserError, match=r"diverged: \w+ is nan at step 4.*step 3 is whole.*lr"):
        loop.train(tmp_path / "train", settings)


def test_settings_of_the_machine_are_remembered(recordings, tmp_path):
    """Given at one start, they hold at the next; a budget holds for one run."""
    path, begun = tmp_path / "train", SMALL | {"data_dir": str(recordings), "train_save_secs": 0.0, "train_keep": 3}
    anew = {"train_keep": 2, "train_summary_secs": 50.0, "data_cache_dir": str(tmp_path / "other")}
    kinds = {field.name: field.metadata["kind"] for field in dataclasses.fields(Config)}
    assert {kinds[name] for name in ("train_save_secs", *anew)} == {"machine"}
    for steps, given, keep, is_rewritten in ((1, begun, 3, True), (2, anew, 2, True), (4, {}, 2, False)):
        before = (path / "config.json").read_bytes() if steps > 1 else b""
        loop.train(path, given | {"train_max_steps": steps})
        assert ((path / "config.json").read_bytes() != before) == is_rewritten
        stored = TrainDir(path).read_config()
        expected = begun | (anew if steps > 1 else {})
        assert {name: getattr(stored, name) for name in expected} == expected
        assert TrainDir(path).steps() == list(range(steps + 1))[-keep:]
