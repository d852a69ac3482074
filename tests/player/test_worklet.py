"""What happens in the audio thread: limiter, faders, fades, queues that run dry, and the recorder."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

RUNNER = pathlib.Path(__file__).parent / "worklet.mjs"
RATE_HZ, BLOCK = 8000, 128
CEILING = 10 ** (-3 / 20)


def run(kind, **arguments):
    """Runs a part of the worklet; see the runner."""
    text = json.dumps({"kind": kind, "rateHz": RATE_HZ} | arguments)
    process = subprocess.run(["node", RUNNER], input=text, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def noise(frames, rms=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, rms, [2, frames]).astype(np.float32)


def limited(x):
    """Both sides of what the limiter makes of `[2, frames]`."""
    return np.array(run("limiter", left=x[0].tolist(), right=x[1].tolist()))


def delay_of_limiter():
    click = np.zeros([2, 4 * BLOCK], np.float32)
    click[:, 0] = 0.5
    (place,) = np.flatnonzero(limited(click)[0])
    return place


def test_the_limiter_leaves_alone_what_is_not_loud():
    x = noise(RATE_HZ).clip(-CEILING, CEILING)
    delay = delay_of_limiter()
    # Milliseconds in which it can look ahead.
    assert 5 <= 1000 * delay / RATE_HZ <= 20
    np.testing.assert_array_equal(limited(x)[:, delay:], x[:, :-delay])


def test_the_limiter_keeps_every_sample_below_the_ceiling():
    x = noise(2 * RATE_HZ, rms=0.05)
    random = np.random.default_rng(1)
    for place in random.integers(0, x.shape[1], 40):
        x[random.integers(2), place] = random.uniform(-4, 4)
    x[:, 12000:12400] *= 40
    assert np.abs(limited(x)).max() <= CEILING * (1 + 1e-6)


def test_the_limiter_is_smooth_and_holds_both_sides_together():
    delay = delay_of_limiter()
    x = np.full([2, 2 * RATE_HZ], 0.01, np.float32)
    x[1] *= 2
    # A peak of the left side alone.
    x[0, RATE_HZ] = 1.0
    y = limited(x)
    gains = y[:, delay:] / x[:, : -delay or None]
    np.testing.assert_allclose(gains[0], gains[1], rtol=1e-5)
    peak = RATE_HZ
    assert gains[0, peak] == pytest.approx(CEILING, rel=1e-5)
    # Nothing before it could be known, no jump on the way down, no corner, and slower on the way up.
    np.testing.assert_allclose(gains[0, : peak - delay - 1], 1, atol=1e-6)
    down, up = np.diff(gains[0, peak - delay - 1 : peak + 1]), np.diff(gains[0, peak:])
    assert (down <= 1e-7).all() and np.abs(down).max() < 3 * (1 - CEILING) / delay
    assert np.abs(np.diff(down)).max() < 12 * (1 - CEILING) / delay**2
    assert up.max() < np.abs(down).max() / 3
    assert gains[0, -1] > 1 - 0.1 * (1 - CEILING)


def test_a_fader_glides_and_arrives():
    ones = [1.0] * (4 * RATE_HZ // BLOCK * BLOCK)
    left, right = np.array(run("fader", left=ones, right=ones, gain=0.5, later=0.0))
    half = len(ones) // 2 // BLOCK * BLOCK + BLOCK
    assert (left[: half - BLOCK] == 0.5).all() and (left == right).all()
    assert np.abs(np.diff(left)).max() < 0.01 and left[half + RATE_HZ // 10] < 0.05
    assert (left[half + RATE_HZ :] == 0).all()


def test_fades_begin_and_end_flat_and_go_on_from_where_they_are():
    frames = 40 * BLOCK
    script = {0: ["in", 10 * BLOCK], 20 * BLOCK: ["out", 10 * BLOCK], 25 * BLOCK: ["in", 10 * BLOCK]}
    found = run("fade", frames=frames, script=script | {38 * BLOCK: ["out", 0]})
    gains, silent = np.array(found["gains"]), found["silent"]
    assert gains[0] < 1e-4 and (gains[10 * BLOCK : 20 * BLOCK] == 1).all()
    assert np.abs(np.diff(gains[: 38 * BLOCK])).max() < 2 / (10 * BLOCK)
    assert 0 < gains[25 * BLOCK - 1] < 1 and (gains[30 * BLOCK : 38 * BLOCK] == 1).all()
    assert (gains[38 * BLOCK + 1 :] == 0).all()
    assert silent == [False] * 38 + [True] * 2


def chunk(x, stretch=0):
    return {"stretch": stretch, "left": x[0].tolist(), "right": x[1].tolist()}


def play(blocks, chunks):
    found = run("line", blocks=blocks, chunks=chunks)
    return np.array(found["sides"]), found


EDGE = round(0.02 * RATE_HZ)


def test_a_line_plays_what_it_was_sent():
    x = noise(100 * BLOCK)
    sound, found = play(60, {0: [chunk(x[:, :9000]), chunk(x[:, 9000:9100])], 10: [chunk(x[:, 9100:])]})
    # From its first frame on, but for an edge that keeps it from clicking.
    np.testing.assert_array_equal(sound[:, EDGE:], np.float32(x[:, EDGE : 60 * BLOCK]))
    assert np.abs(sound[:, :EDGE]).max() <= np.abs(x[:, :EDGE]).max() and np.abs(sound[:, 0]).max() < 0.05
    assert found["ends"][-1] == [100 * BLOCK - 60 * BLOCK, 0] and found["filled"] == 3
    # Told once each time that there is news.
    assert found["told"] == [{"type": "taken", "stretch": 0, "frames": (k + 1) * BLOCK} for k in range(60)]


def test_a_line_that_runs_dry_fades_out_and_comes_back_with_enough():
    x, more = np.full([2, 20 * BLOCK], 0.5, np.float32), np.full([2, RATE_HZ], 0.5, np.float32)
    # Too little to begin with; then enough; it runs dry; a little, which is not enough; and enough.
    chunks = {0: [chunk(x)], 5: [chunk(more)], 120: [chunk(x)], 140: [chunk(more)]}
    sound, found = play(200, chunks)
    first = 5 * BLOCK
    assert (sound[:, :first] == 0).all()
    assert np.abs(np.diff(sound, axis=1)).max() < 0.5 / EDGE * 1.01
    played = np.flatnonzero(sound[0])
    # All of it but what is too short for another block and its edge.
    last = played[np.flatnonzero(np.diff(played) > 1)[0]]
    assert 20 * BLOCK + RATE_HZ - EDGE - 2 * BLOCK <= last - first <= 20 * BLOCK + RATE_HZ
    assert (sound[:, last + 1 : 140 * BLOCK] == 0).all()
    assert (sound[:, 140 * BLOCK + EDGE : 180 * BLOCK] == 0.5).all()
    underruns = [count for _, count in found["ends"]]
    assert underruns[last // BLOCK - 3] == 0 and underruns[139] == 1 and underruns[199] == 1


def test_a_new_stretch_takes_the_place_of_the_old_one_under_a_cross_fade():
    old, new = noise(6 * RATE_HZ), noise(4 * RATE_HZ, seed=1)
    begin = 10
    chunks = {0: [chunk(old)], begin: [chunk(new[:, :RATE_HZ], 1)], 30: [chunk(new[:, RATE_HZ:], 1)]}
    blocks = 260
    sound, found = play(blocks, chunks)
    # A second of the new one is not enough.
    np.testing.assert_array_equal(sound[:, EDGE : 30 * BLOCK], old[:, EDGE : 30 * BLOCK])
    cross = int(1.5 * RATE_HZ)
    after = 30 * BLOCK + cross + BLOCK
    np.testing.assert_array_equal(sound[:, after:], new[:, after - 30 * BLOCK : blocks * BLOCK - 30 * BLOCK])
    share = (np.arange(cross) + 1) / cross * np.pi / 2
    expected = old[:, 30 * BLOCK :][:, :cross] * np.cos(share) + new[:, :cross] * np.sin(share)
    np.testing.assert_allclose(sound[:, 30 * BLOCK :][:, :cross], expected, atol=1e-5)
    # From the new stretch's announcement on its own frames are counted, none until it sounds.
    told = [(each["stretch"], each["frames"]) for each in found["told"]]
    assert told == [(0, (k + 1) * BLOCK) for k in range(begin)] + [(1, (k + 1) * BLOCK) for k in range(blocks - 30)]
    assert found["ends"][-1][1] == 0


def test_another_stretch_before_the_first_frame_leaves_nothing_of_the_old_one():
    old, new = noise(2 * RATE_HZ), noise(2 * RATE_HZ, seed=1)
    sound, _ = play(20, {0: [chunk(old), chunk(new, 1)]})
    np.testing.assert_array_equal(sound[:, EDGE:], new[:, EDGE : 20 * BLOCK])


def record(x, frames, finish_at=None):
    parts = run("recorder", left=x[0].tolist(), right=x[1].tolist(), frames=frames, finishAt=finish_at)
    return [np.array(samples, np.int64).reshape(-1, 2) for samples, _ in parts], [is_last for _, is_last in parts]


def test_the_recorder_takes_so_many_frames_and_no_more():
    x = noise(4 * RATE_HZ // BLOCK * BLOCK)
    parts, last = record(x, 2 * RATE_HZ + 77)
    assert [len(part) for part in parts] == [RATE_HZ, RATE_HZ, 77] and last == [False, False, True]
    recorded = np.concatenate(parts).T
    error = recorded - 32767 * x[:, : recorded.shape[1]]
    assert np.abs(error).max() <= 1.51
    # Triangular dither and rounding: 1/6 + 1/12, and nothing of the sound in it.
    assert error.var() == pytest.approx(0.25, rel=0.05) and abs(error.mean()) < 0.02
    assert abs(np.corrcoef(error.ravel(), x[:, : recorded.shape[1]].ravel())[0, 1]) < 0.03
    again, _ = record(x, 2 * RATE_HZ + 77)
    np.testing.assert_array_equal(np.concatenate(again).T, recorded)


def test_the_recorder_is_stopped_early_and_keeps_what_there_is():
    parts, last = record(noise(2 * RATE_HZ // BLOCK * BLOCK), RATE_HZ * 60, finish_at=10 * BLOCK)
    assert [len(part) for part in parts] == [10 * BLOCK] and last == [True]
    parts, last = record(noise(RATE_HZ // BLOCK * BLOCK), RATE_HZ, finish_at=0)
    assert [len(part) for part in parts] == [0] and last == [True]


def test_the_recorder_stays_in_range():
    x = np.repeat(np.float32([[1.5], [-1.5]]), 8 * BLOCK, axis=1)
    (part,), _ = record(x, 5 * BLOCK)
    assert (part[:, 0] == 32767).all() and (part[:, 1] == -32768).all()
