"""Measurements of the recordings are kept, by name, and made anew where they are of no use."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import soundfile
from damage import damage_bytes, damage_json
from sounds import fire

from wavegan_asmr.config import Config
from wavegan_asmr.evaluation import evaluator, imitations, metrics, reference, tables
from wavegan_asmr.evaluation.evaluator import Evaluator
from wavegan_asmr.evaluation.imitations import IMITATIONS
from wavegan_asmr.evaluation.metrics import Metric
from wavegan_asmr.train_dir import TrainDir

RATE_HZ, SLICE_LEN = 8000, 4096
N = 100
"""Slices: not many more than the embedding has dimensions."""


@pytest.fixture
def fires(tmp_path):
    """A folder of two recordings."""
    folder = tmp_path / "fires"
    folder.mkdir()
    for seed in (0, 1):
        soundfile.write(folder / f"fire-{seed}.wav", fire(30, RATE_HZ, seed), RATE_HZ)
    return folder


@pytest.fixture
def config(fires):
    return Config(data_dir=str(fires), data_sample_rate=RATE_HZ, data_slice_len=SLICE_LEN)


@pytest.fixture
def train_dir(tmp_path):
    return TrainDir(tmp_path / "train")


@pytest.fixture
def measured(monkeypatch):
    """List of how many slices were measured, one number a source of sounds."""
    found, original = [], reference.measure

    def measure(read, n, *arguments):
        found.append(n)
        return original(read, n, *arguments)

    for module in (reference, evaluator):
        monkeypatch.setattr(module, "measure", measure)
    return found


def evaluate(train_dir, config, with_imitations=False):
    """Evaluates silence; returns the digest and the result."""
    evaluator = Evaluator(train_dir, config, N, with_imitations=with_imitations)
    return evaluator.digest, evaluator.evaluate(lambda z: np.zeros([len(z), SLICE_LEN, 1], np.float32), 0)


def cache_of(train_dir):
    return train_dir.join("eval", f"recordings-{N}.npz")


def anchors_of(result):
    return [(row.metric, row.floor, row.held_out, row.noise, row.matched_noise) for row in result.rows]


def test_recordings_are_measured_once(train_dir, config, fires, measured):
    def anchors_now():
        measured.clear()
        digest, result = evaluate(train_dir, config)
        return digest, anchors_of(result)

    first = anchors_now()
    assert len(measured) > 1
    assert anchors_now() == first
    assert measured == [N]
    soundfile.write(fires / "fire-1.wav", fire(30, RATE_HZ, seed=5), RATE_HZ)
    second = anchors_now()
    assert len(measured) > 1
    assert second[0] != first[0] and second[1] != first[1]
    with open(cache_of(train_dir), "r+b") as file:
        file.truncate(1000)
    assert anchors_now() == second
    assert len(measured) > 1


def test_a_new_metric_over_an_old_cache(train_dir, config, monkeypatch, measured):
    """It comes first, so that anchors by position would all be those of another."""
    _, before = evaluate(train_dir, config)
    new = Metric(
        "twice the level",
        "2 L",
        lambda x: (2 * float(x.slices.facts["rms_db"].mean()), None),
        good="high",
        lower_is_better=False,
        is_compared=True,
    )
    monkeypatch.setattr(metrics, "METRICS", {"level_twice": new} | metrics.METRICS)
    measured.clear()
    _, after = evaluate(train_dir, config)
    assert len(measured) > 1
    first, *others = after.rows
    assert others == before.rows
    level = next(row for row in others if row.metric == "rms_db")
    for name in ("value", "floor", "held_out", "noise", "matched_noise"):
        assert getattr(first, name) == 2 * getattr(level, name)
    assert (first.metric, first.error, first.meaning, first.lower_is_better) == (
        "level_twice", None, "twice the level", False,
    )  # fmt: skip
    assert "  level_twice " in tables.result_table(after)
    assert tables.comparison_table([after]).split()[:4] == ["TRAIN_DIR", "step", "level_twice", "frechet_distance"]
    assert metrics.table()[0] == "| `level_twice` | twice the level | 2 L | high |"
    # Fewer metrics, in another order, are served by what is kept.
    monkeypatch.setattr(metrics, "METRICS", dict(reversed(list(metrics.METRICS.items())[1:])))
    measured.clear()
    _, fewer = evaluate(train_dir, config)
    assert measured == [N]
    assert fewer.rows == others[::-1]


def test_a_cache_of_the_version_by_position(train_dir, config, measured):
    digest, before = evaluate(train_dir, config)
    path = cache_of(train_dir)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "facts"}
    np.savez(path, digest=digest, anchors=np.ones([len(before.rows), 4]), **arrays)
    measured.clear()
    assert evaluate(train_dir, config)[1].rows == before.rows
    assert len(measured) > 1


def rewrite_facts(path, change):
    """Changes the part of the cache that is JSON, in place, by a function of it."""
    with np.load(path) as file:
        arrays = dict(file)
    facts = json.loads(str(arrays.pop("facts")))
    change(facts)
    np.savez(path, facts=json.dumps(facts), **arrays)


def test_imitations_are_measured_once_and_where_asked_for(train_dir, config, measured):
    digest, before = evaluate(train_dir, config)
    assert before.imitations == [] and "re-cut" not in tables.result_table(before)
    measured.clear()
    asked, after = evaluate(train_dir, config, with_imitations=True)
    # As many slices as of the model; what results compare by is the same.
    assert measured == [N] * (len(IMITATIONS) + 1) and asked == digest
    assert anchors_of(after) == anchors_of(before)
    assert after.imitations == list(IMITATIONS) == ["re-cut", "quilted", "shaped noise"]
    rows = {row.metric: row for row in after.rows}
    assert all(np.isfinite(list(row.imitations.values())).all() for row in after.rows)
    frechet = rows["frechet_distance"]
    assert max(frechet.imitations.values()) < frechet.matched_noise
    assert frechet.imitations["quilted"] < 3 * frechet.floor < 0.5 * frechet.matched_noise
    header, *lines = tables.result_table(after).splitlines()
    assert header.split("coloured noise")[1].split("what")[0].split() == ["re-cut", "quilted", "shaped", "noise"]
    beside = [f"{value:.4g}" for value in frechet.imitations.values()]
    assert lines[0].split()[-3 - len(frechet.meaning.split()) :][:3] == beside
    # Once measured they are shown, asked for or not, also of what was found earlier.
    measured.clear()
    for asked in (False, True):
        assert evaluate(train_dir, config, asked)[1].rows == after.rows
    assert measured == [N, N]
    found = reference.read_anchors(cache_of(train_dir), digest)
    assert {metric: each.imitations for metric, each in found.items()} == {
        metric: row.imitations for metric, row in rows.items()
    }


def test_imitations_of_another_version_are_measured_anew(train_dir, config, measured):
    digest, expected = evaluate(train_dir, config, with_imitations=True)

    def older(facts):
        facts["imitations_version"] = imitations.VERSION - 1
        for each in facts["anchors"].values():
            each["imitations"] = dict.fromkeys(IMITATIONS, 7.0)

    def without_any(facts):
        del facts["imitations_version"]
        for each in facts["anchors"].values():
            del each["imitations"]

    def with_one_gone(facts):
        for each in facts["anchors"].values():
            del each["imitations"]["quilted"]

    def with_one_of_a_metric_gone(facts):
        del facts["anchors"]["ndb"]["imitations"]["quilted"]

    path = pathlib.Path(cache_of(train_dir))
    whole = path.read_bytes()
    for change in (without_any, with_one_gone, with_one_of_a_metric_gone, older):
        path.write_bytes(whole)
        rewrite_facts(path, change)
        anchors = reference.read_anchors(path, digest)
        assert anchors.keys() == metrics.METRICS.keys() and not any(each.imitations for each in anchors.values())
    measured.clear()
    assert evaluate(train_dir, config)[1].imitations == []
    assert measured == [N]
    assert evaluate(train_dir, config, with_imitations=True)[1].rows == expected.rows
    # The recordings themselves are not measured again.
    assert measured == [N] * (len(IMITATIONS) + 2)


def test_sounds_of_their_own_are_not_cut_up(train_dir, config, tmp_path, measured):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for seed in range(2 * N):
        soundfile.write(folder / f"{seed}.wav", fire(0.6, RATE_HZ, seed), RATE_HZ)
    config = dataclasses.replace(config, data_dir=str(folder), data_first_slice=True)
    _, result = evaluate(train_dir, config, with_imitations=True)
    assert result.imitations == []


class Executed(Exception):
    pass


class Bomb:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return _raise, ()


def _raise():
    raise Executed


def test_a_damaged_cache_is_as_good_as_none(train_dir, config, monkeypatch):
    digest, _ = evaluate(train_dir, config)
    path = cache_of(train_dir)

    def with_imitations(facts):
        for each in facts["anchors"].values():
            each["imitations"] = dict.fromkeys(IMITATIONS, 7.0)

    rewrite_facts(path, with_imitations)
    with open(path, "rb") as file:
        whole = file.read()
    with np.load(path) as file:
        arrays = dict(file)

    def damage(seed):
        """Damages the archive, or one array in it."""
        random = np.random.default_rng(seed)
        if seed % 2:
            with open(path, "wb") as file:
                file.write(damage_bytes(whole, seed))
            return
        name = sorted(arrays)[random.integers(len(arrays))]
        x, changed = arrays[name], dict(arrays)
        if name == "facts":
            odd = [damage_json(str(x), seed), x.astype("S"), np.float64(7), np.array(Bomb(), object)]
        else:
            odd = [x[..., :-1], x[None], x.astype(np.int32), x.astype(np.float32), x * np.nan, x[:0], str(x.shape)]
        changed[name] = odd[random.integers(len(odd))]
        if random.random() < 0.1:
            del changed[name]
        np.savez(path, **changed)

    used = Evaluator(train_dir, config, N)._reference
    monkeypatch.setattr(reference, "_measure_reference", lambda *arguments: None)
    monkeypatch.setattr(reference, "_write", lambda *arguments: None)
    recordings, kept = None, 0
    for seed in range(200):
        damage(seed)
        found = reference.open_reference(path, digest, recordings, config, N)
        if found:
            kept += 1
            assert found.anchors.keys() == used.anchors.keys()
            for name in arrays.keys() - {"facts"}:
                assert getattr(found, name).dtype == getattr(used, name).dtype
                assert np.isfinite(getattr(found, name)).all()
            for beside in found.anchors.values():
                values = beside.floor, beside.held_out, beside.noise, beside.matched_noise, *beside.imitations.values()
                assert np.isfinite([value for value in values if value is not None]).all()
                assert beside.imitations.keys() in (set(), set(IMITATIONS))
    assert kept < 60
