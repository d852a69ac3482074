"""What comes again in a sound: copies, whatever has become of them; not what sounds alike."""

import subprocess

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr

from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files, repetition

RATE_HZ = 16000


def colored(seconds, seed=0):
    """Noise with a spectrum that falls, and a slow course, as rain and waves have."""
    random = np.random.default_rng(seed)
    x = scipy.signal.lfilter([1], [1, -0.9], random.normal(0, 0.02, int(seconds * RATE_HZ)))
    knots = np.arange(0, len(x) + 8000, 8000)
    swell = np.interp(np.arange(len(x)), knots, random.uniform(0.3, 1, len(knots)))
    return (x * swell).astype(np.float32)


def recut(x, seconds, seed=0):
    """Random slices of 1.5 s, each at a level of its own, under cross-fades of a quarter: and where each is from."""
    random = np.random.default_rng(seed)
    length, fade = 24000, 6000
    weights = np.ones(length)
    weights[:fade] = np.sin(np.linspace(0, np.pi / 2, fade))
    weights[-fade:] = weights[:fade][::-1]
    out = np.zeros(int(seconds * RATE_HZ) + length)
    for start in range(0, len(out) - length, length - fade):
        first = random.integers(len(x) - length)
        out[start : start + length] += weights * x[first : first + length] * random.uniform(0.4, 1.5)
    return out[: int(seconds * RATE_HZ)].astype(np.float32)


def measure(x):
    return repetition.measure_blocks(x[i : i + 50_000, None] for i in range(0, len(x), 50_000))


def test_a_loop_comes_again_in_all_lengths():
    found = measure(np.tile(colored(11), 3))
    assert all(share == 1 for share in found.shares.values())
    assert found.again_s - found.first_s == pytest.approx(11, abs=0.05) or found.longest_s > 10


@pytest.mark.parametrize("kind", ["white", "colored", "tone", "chord", "pulses"])
def test_what_sounds_alike_does_not_come_again(kind):
    times, random = np.arange(40 * RATE_HZ) / RATE_HZ, np.random.default_rng(0)
    air = random.normal(0, 0.001, len(times))
    sounds = {
        "white": random.normal(0, 0.1, len(times)),
        "colored": colored(40),
        "tone": 0.1 * np.sin(2 * np.pi * 440 * times) + air,
        "chord": sum(0.05 * np.sin(2 * np.pi * hz * times) for hz in (50, 150, 220, 277, 330)) + air,
        # A machine: bursts of noise at a steady beat, each another one.
        "pulses": random.normal(0, 0.1, len(times)) * (times % 0.5 < 0.1) + air,
    }
    found = measure(sounds[kind].astype(np.float32))
    assert not any(found.shares.values())
    assert (found.longest_s, found.first_s, found.again_s) == (0, 0, 0)


def test_a_loop_that_is_played_for_long_comes_again_as_a_whole():
    """However often a stretch is there, it is followed from one copy to the next."""
    found = measure(np.tile(colored(7), 30))
    assert all(share == 1 for share in found.shares.values())
    assert found.longest_s > 50 and found.periodic == 0


def test_as_much_comes_again_as_was_put_in_twice():
    """Each slice of 1.5 s of a recording used once or twice, in any order: the share is known."""
    random = np.random.default_rng(0)
    x, length, count = colored(150), 24000, 100
    order = random.permutation([*range(count), *range(count // 2)])
    found = measure(np.concatenate([x[each * length : (each + 1) * length] for each in order]))
    # Half of the slices are there twice, two in three of what sounds; half a second over a joint is not the same.
    assert 0.4 < found.shares[0.5] <= 2 / 3 + 0.05
    assert found.shares[4.0] == 0


@pytest.mark.parametrize("kind", ["hum", "clock", "short loop"])
def test_what_comes_again_at_once_is_told_apart(kind):
    times, random = np.arange(60 * RATE_HZ) / RATE_HZ, np.random.default_rng(0)
    air = random.normal(0, 0.001, len(times)).astype(np.float32)
    if kind == "hum":
        x = (0.1 * scipy.signal.sawtooth(2 * np.pi * 50 * times)).astype(np.float32) + air
    elif kind == "clock":
        # The same tick each time.
        tick = (random.normal(0, 0.2, 800) * np.exp(-np.arange(800) / 150)).astype(np.float32)
        x = air
        for start in range(0, len(x) - 800, 9819):
            x[start : start + 800] += tick
    else:
        x = np.tile(colored(1.2), 50)
    found = measure(x)
    assert found.periodic > 0.7
    # The last stretch has but half of the sound around it.
    assert found.shares[0.5] < 0.02


def test_less_than_all_of_a_long_sound_is_looked_for(monkeypatch):
    """What is drawn at random tells the share of all."""
    x = recut(colored(40), 120)
    all_of_it = measure(x)
    monkeypatch.setattr(repetition, "_MOST_QUERIES", 100)
    part = measure(x)
    assert part.shares[0.5] == pytest.approx(all_of_it.shares[0.5], abs=0.15)
    assert 100 * part.shares[0.5] == pytest.approx(round(100 * part.shares[0.5]))
    assert part.seconds == all_of_it.seconds


@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_of_any_rate(tmp_path, rate_hz):
    """Half of the bands of a sound of 8 kHz are empty."""
    x = soxr.resample(np.tile(colored(11), 3), RATE_HZ, rate_hz)
    soundfile.write(tmp_path / "x.wav", x, rate_hz)
    assert all(share > 0.95 for share in repetition.measure(tmp_path / "x.wav").shares.values())


def test_a_stretch_is_found_where_it_is():
    """3 s of it, softer, dull, and not a whole number of frames later."""
    x = colored(60)
    first, later, length = 7 * RATE_HZ, 41 * RATE_HZ + 333, 3 * RATE_HZ
    x[later : later + length] = 0.2 * scipy.signal.lfilter([1, 0.6], [1], x[first : first + length])
    found = measure(x)
    assert found.shares[8.0] == 0 == found.shares[4.0]
    assert found.shares[2.0] == pytest.approx(2 * 3 / 60, abs=0.04)
    assert found.first_s == pytest.approx(7, abs=0.35)
    assert found.again_s - found.first_s == pytest.approx((later - first) / RATE_HZ, abs=0.05)


def test_a_recording_that_is_cut_into_pieces_comes_again_and_again():
    """The more the longer it goes on, but in no longer stretches than the pieces are."""
    x = colored(20)
    short, long = (measure(recut(x, seconds)) for seconds in (20, 120))
    assert short.shares[0.5] < 0.75 * long.shares[0.5]
    assert long.shares[0.5] > 0.8 and long.shares[1.0] > 0.4 and long.shares[4.0] == 0


def test_it_comes_again_in_another_format(tmp_path):
    """At another rate, in stereo, as MP3 of 128 kbit/s."""
    x = recut(colored(20), 60)
    stereo = soxr.resample(x, RATE_HZ, 44100)[:, None] * [1.0, 0.7]
    soundfile.write(tmp_path / "x.wav", stereo, 44100)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", "x.wav", "-b:a", "128k", "x.mp3"], cwd=tmp_path, check=True)
    plain = measure(x).shares
    done = []
    for name in ("x.wav", "x.mp3"):
        shares = repetition.measure(tmp_path / name, done.append).shares
        assert shares[0.5] == pytest.approx(plain[0.5], abs=0.05)
        assert shares[1.0] == pytest.approx(plain[1.0], abs=0.05)
    assert sum(done) == pytest.approx(2 * 2 * 60, rel=0.02)


def test_silence_and_short_sounds():
    x = np.zeros(30 * RATE_HZ, np.float32)
    assert measure(x).seconds == 0
    x[: 5 * RATE_HZ] = x[20 * RATE_HZ : 25 * RATE_HZ] = colored(5)
    found = measure(x)
    assert found.seconds == pytest.approx(10, abs=1.1)
    assert found.shares[2.0] == pytest.approx(1, abs=0.2)
    with pytest.raises(files.AudioError, match="at least 4 s"):
        measure(colored(2))


def test_the_verb(verb, tmp_path):
    soundfile.write(tmp_path / "loop.flac", np.tile(colored(6), 2), RATE_HZ)
    soundfile.write(tmp_path / "rain.wav", colored(12), RATE_HZ)
    printed = verb("repeats", tmp_path / "loop.flac", tmp_path / "rain.wav").splitlines()
    rows = [line.split() for line in printed if line.endswith((".flac", ".wav"))]
    # What the last half second would be has no whole one after it.
    assert all(float(share.rstrip("%")) > 90 for share in rows[0][1:5]) and rows[0][5] == "0.0%"
    assert rows[1][1:-1] == ["0.0%"] * 6
    assert any("the longest: 5." in line for line in printed)


@pytest.mark.parametrize(
    "content, message", [(None, "which is none"), (b"text", "x.wav"), (b"", "x.wav"), ("short", "at least 4 s")]
)
def test_mistakes_of_the_verb(verb, tmp_path, content, message):
    path = tmp_path / "x.wav"
    if content == "short":
        soundfile.write(path, colored(1), RATE_HZ)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        verb("repeats", path)
