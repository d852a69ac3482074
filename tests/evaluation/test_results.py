"""metrics.jsonl: what compares, and what is left out."""

import json
import resource
import types

import numpy as np
import pytest
from conftest import ROOT
from damage import ODD, damage_bytes, damage_json

from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import drawing, results

GOLDEN = (ROOT / "tests" / "golden" / "asmr" / results.FILE).read_text()


def history_line(step, value, n=100, evaluation="a", version=1):
    facts = {"checkpoint": "", "n": n, "embedding_version": version, "evaluation": evaluation, "seconds": 0}
    return json.dumps({"metric": "m", "value": value, "error": None, "step": step} | facts) + "\n"


def test_history_holds_what_compares(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert results.read_history(tmp_path) == {}
    path.write_text(history_line(2, 5.0) + history_line(1, 7.0) + history_line(2, 6.0) + '{"metric": "m", "va\n[]\n7\n')
    assert results.read_history(tmp_path) == {"m": [(1, 7, None), (2, 6, None)]}
    with open(path, "a") as file:
        file.write(history_line(3, 1.0, n=1000) + history_line(3, 2.0, evaluation="b"))
    assert results.read_history(tmp_path) == {"m": [(1, 7, None), (2, 6, None)]}
    assert results.read_history(tmp_path, "b") == {"m": [(3, 2, None)]}
    with open(path, "a") as file:
        file.write(history_line(4, 2.5, evaluation="b"))
    assert results.read_history(tmp_path) == {"m": [(3, 2, None), (4, 2.5, None)]}
    with open(path, "a") as file:
        file.write(history_line(1, 9.0, version=2))
    assert results.read_history(tmp_path) == {"m": [(1, 9, None)]}


def test_a_full_disk_is_said_and_what_it_tore_does_no_harm(tmp_path):
    row = results.Row("m", 7.0, None, None, None, None, None, "", True)
    facts = {"checkpoint": "", "n": 100, "embedding_version": 1, "evaluation": "a", "rows": [row]}
    result = types.SimpleNamespace(step=1, **facts)
    results.append_history(tmp_path, result)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / results.FILE).stat().st_size + 20, hard))
    result.step = 2
    try:
        with pytest.raises(UserError, match=r"cannot write .*: the file is larger .*Received: '.*metrics\.jsonl'\."):
            results.append_history(tmp_path, result)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    result.step = 3
    results.append_history(tmp_path, result)
    assert results.read_history(tmp_path) == {"m": [(1, 7, None), (3, 7, None)]}


def fits(name, odd):
    """Whether a field of a line may have a value."""
    if name in ("evaluation", "checkpoint", "metric"):
        return type(odd) is str and (name != "metric" or odd not in ("", "\0"))
    if name in ("value", "error", "seconds"):
        is_number = type(odd) in (int, float) and abs(odd) <= 1e30 and (odd >= 0 or name == "value")
        return is_number or (odd is None and name == "error")
    return type(odd) is int and (name == "n") <= odd <= 2**53


@pytest.mark.parametrize("name", "metric value error step n embedding_version evaluation checkpoint seconds".split())
def test_a_line_with_a_wrong_value_is_left_out(tmp_path, name):
    whole, counted = json.loads(history_line(1, 7.0)), 0
    for odd in ODD:
        (tmp_path / results.FILE).write_text(json.dumps(whole | {name: odd}))
        history = results.read_history(tmp_path)
        assert bool(history) == fits(name, odd), odd
        counted += bool(history)
        for [(step, value, error)] in history.values():
            assert (type(step), type(value)) == (int, float)
            assert error is None or type(error) is float
    assert 0 < counted < len(ODD) - 5


def test_damaged_lines_leave_the_others(tmp_path):
    lines = GOLDEN.splitlines()
    (tmp_path / results.FILE).write_text(GOLDEN)
    whole = results.read_history(tmp_path)
    assert len(whole) == len(lines)
    lost = 0
    for seed in range(300):
        place = seed % len(lines)
        damaged = [*lines[:place], damage_json(lines[place], seed), *lines[place + 1 :]]
        (tmp_path / results.FILE).write_text("\n".join(damaged), "utf-8", "surrogateescape")
        history = results.read_history(tmp_path)
        name = json.loads(lines[place])["metric"]
        assert all(history[metric] == points for metric, points in whole.items() if metric != name)
        lost += name not in history
        for metric, points in history.items():
            drawing.curve(metric, points, None, 20)
    assert 60 < lost < 300


def test_a_damaged_file_is_read_as_far_as_it_is_whole(tmp_path):
    for seed in range(200):
        (tmp_path / results.FILE).write_bytes(damage_bytes(GOLDEN.encode(), seed))
        for metric, points in results.read_history(tmp_path).items():
            drawing.curve(metric, points, None, 20)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / results.FILE).mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl cannot be read"):
        results.read_history(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_cannot_be_read_again_is_not_written(tmp_path, value):
    row = results.Row("m", value, None, 1.0, None, 2.0, 2.0, "", True)
    fields = "train_dir sample_rate_hz config verdicts clips pairs".split()
    facts = {"step": 1, "checkpoint": "ckpt-1", "n": 100, "embedding_version": 1}
    with pytest.raises(UserError, match=r"value of m must be from -1e\+30 to 1e\+30\. Received: "):
        results.append_history(tmp_path, results.Result(rows=[row], **facts, **dict.fromkeys(fields)))
    assert not (tmp_path / results.FILE).exists()
