"""TensorBoard's curves of evaluations: none goes back, and none is lost."""

import types

import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from wavegan_asmr.evaluation import curves
from wavegan_asmr.evaluation.results import Row


def record(folder, step, evaluation="a", **values):
    rows = [Row(metric, value, None, None, None, None, None, "", True) for metric, value in values.items()]
    facts = {"checkpoint": "", "n": 100, "embedding_version": 1, "evaluation": evaluation, "rows": rows}
    curves.record(folder, types.SimpleNamespace(step=step, **facts))


def drawn(folder):
    """Dict of tag to a list of (step, value), as TensorBoard loads them."""
    accumulator = EventAccumulator(str(folder / "eval"), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto).item()) for event in accumulator.Tensors(tag)]
        for tag in accumulator.Tags()["tensors"]
    }


def test_a_step_that_is_measured_again_is_drawn_in_its_place(tmp_path):
    for step in (10, 20, 30):
        record(tmp_path, step, m=float(step), other=1.0)
    record(tmp_path, 20, score=5.0)
    assert len(list((tmp_path / "eval").iterdir())) == 4
    record(tmp_path, 20, m=7.0, other=2.0)
    expected = {
        "eval/m": [(10, 10), (20, 7), (30, 30)],
        "eval/other": [(10, 1), (20, 2), (30, 1)],
        "eval/score": [(20, 5)],
    }
    assert drawn(tmp_path) == expected
    # What does not compare with the others is no part of a curve that is drawn anew.
    record(tmp_path, 10, evaluation="b", m=9.0)
    assert drawn(tmp_path) == expected
    record(tmp_path, 40, m=3.0)
    assert drawn(tmp_path)["eval/m"] == [*expected["eval/m"], (40, 3)]
