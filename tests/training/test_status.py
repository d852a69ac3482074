"""What a training shows of itself."""

import re
import types

import pytest

from wavegan_asmr.config import Config
from wavegan_asmr.families import family_of
from wavegan_asmr.training import status


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: `now_s`."""
    held = types.SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(status.time, "monotonic", lambda: held.now_s)
    return held


def run(clock, capsys, step_s, steps=25, first=0, **settings):
    """Runs some steps, the first of which takes a minute; returns what was printed."""
    config = Config(**settings)
    shown = status.TrainingStatus(family_of(config), config, first, 0.0)
    for step in range(first + 1, first + steps + 1):
        clock.now_s += 60 if step == first + 1 else step_s
        shown.advise(step)
    return capsys.readouterr().out


def test_the_papers_steps_are_estimated_where_they_take_days(clock, capsys):
    # 200,000 steps of 2 s are 4.6 days.
    printed = run(clock, capsys, step_s=2.0)
    assert printed.count("\n") == 1
    assert re.search(r"200,000 steps, which take 5 days here; .* --preset asmr", printed)
    # Also where it is resumed: by the steps of this run.
    assert "take 5 days" in run(clock, capsys, step_s=2.0, first=1000)


def test_nothing_is_said_where_they_take_less_than_a_day_or_are_not_asked_for(clock, capsys):
    assert run(clock, capsys, step_s=0.4) == ""
    assert run(clock, capsys, step_s=2.0, steps=19) == ""
    assert run(clock, capsys, step_s=2.0, preset="asmr") == ""


def test_the_line_has_the_metrics_of_the_family(clock, capsys):
    config = Config(train_max_steps=10, train_batch_size=4, wavegan_disc_nupdates=5)
    shown = status.TrainingStatus(family_of(config), config, 0, 0.0)
    for loss in (1.0, 2.0):
        clock.now_s += 3
        shown.add({"D_loss": loss, "wasserstein": 0.5, "G_loss": -1.0, "penalty": 9.0})
    means = shown.show(2, {})
    printed = capsys.readouterr().out
    assert printed.startswith("step 2  D 1.500  G -1.000  W 0.500  6.7 slices/s  3.00 s/step  ")
    assert printed.endswith("ETA 0:24\n") and "texture" not in printed
    assert means["D_loss"] == 1.5 and means["penalty"] == 9.0 and means["slices_per_second"] == pytest.approx(20 / 3)
    assert not shown.has_news and shown.is_over(10) and not shown.is_over(9)


def test_slow_previews_are_advised_of_once(clock, capsys):
    config = Config(train_summary_secs=300)
    shown = status.TrainingStatus(family_of(config), config, 0, 0.0)
    # 4.096 s of sound: in a tenth of that nobody waits.
    shown.advise_of_previews(4, 0.4)
    assert capsys.readouterr().out == ""
    shown.advise_of_previews(4, 8.192)
    shown.advise_of_previews(4, 8.192)
    assert capsys.readouterr().out == (
        "note      previews of 4 clips of 1.02 s take 8.2 s, 0.5x real time; two every --train_summary_secs 300\n"
    )
