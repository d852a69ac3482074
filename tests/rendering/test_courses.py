"""What is asked of models over time: how it is written, and what comes of it."""

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import courses
from wavegan_asmr.rendering.inputs import PILOT
from wavegan_asmr.rendering.settings import RenderSettings

NAMES = ("rain", "waves", "a, b: c")
CONFIG = Config(
    wavegan_latent_dim=2,
    label_names=NAMES,
    label_shares=(0.2, 0.5, 0.3),
    data_conditions=("brightness", "level"),
)


@pytest.mark.parametrize(
    "text, weights",
    [
        ("rain", [1, 0, 0]),
        (" waves ", [0, 1, 0]),
        ("a, b: c", [0, 0, 1]),
        ("#2", [0, 0, 1]),
        ("rain:0.7,waves:0.3", [0.7, 0.3, 0]),
        ("rain:3, #1", [0.75, 0.25, 0]),
        ("rain:1,waves:0", [1, 0, 0]),
    ],
)
def test_a_label_or_a_mix_is_held(text, weights):
    course = courses.read_labels(text, NAMES)
    assert not course.is_moving
    np.testing.assert_allclose(course.at(123.4), weights)


def test_stations_are_spread_over_the_length_or_have_times():
    course = courses.read_labels("rain; waves; rain", NAMES, seconds=60)
    assert course.is_moving
    np.testing.assert_allclose(course.at(15), [0.5, 0.5, 0])
    np.testing.assert_allclose(course.at(99), [1, 0, 0])
    course = courses.read_labels("10=rain; 20=rain:0.5,waves:0.5", NAMES)
    np.testing.assert_allclose(course.at(0), [1, 0, 0])
    np.testing.assert_allclose(course.at(15), [0.75, 0.25, 0])


@pytest.mark.parametrize(
    "text, message",
    [
        ("snow", r"#0 rain, #1 waves, #2 a, b: c\. Received: 'snow'"),
        ("#3", "Received: '#3'"),
        ("rain:-1", "a weight of at least 0"),
        ("rain:nan", "a weight of at least 0"),
        ("rain:0,waves:0", "a weight above 0"),
        ("rain;waves", "needs a length, or times"),
        ("5=rain;waves", "no station a time, or each one"),
        ("5=rain;1=waves", "no station a time, or each one"),
        ("-1=rain", "times from 0"),
        (";", "must name a label"),
        ("", "Received: ''"),
    ],
)
def test_labels_that_are_none_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        courses.read_labels(text, NAMES)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=8, unique_by=lambda p: p[0]))
def test_a_fader_at_times_goes_straight_between_them(points):
    points.sort()
    course = courses.read_fader("intensity", ",".join(f"{time!r}:{value!r}" for time, value in points))
    times, values = zip(*points)
    for time in (0, times[0], times[-1] / 3, times[-1] + 1):
        np.testing.assert_allclose(course.at(time), [np.interp(time, times, values)])


@pytest.mark.parametrize("text", ["1.1", "-0.1", "nan", "loud", "1:0.5,1:0.6", "2:0.5,1:0.6", "0:2", "1:2:3", ":", ","])
def test_a_fader_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="--intensity must be 0 to 1, or that at rising times"):
        courses.read_fader("intensity", text)


def steering(**settings):
    return courses.Steering(CONFIG, courses.resolve(RenderSettings(**settings)), "model")


def test_what_is_asked_for_takes_its_place_in_the_input():
    x = np.arange(7, dtype=np.float32)
    assert steering().set(x, 0) is x
    held = steering(label="waves", intensity="0.25")
    assert not held.is_moving
    assert held.set(x, 0).tolist() == [0, 1, 0, 1, 0, 5, 0.25]
    assert x.tolist() == list(range(7))
    moving = steering(brightness="0:0,100:1", seconds=100.0).of_pieces(hop_s=2.0)
    # The second half of the indices is of the same pieces, those of the pilot of all times.
    for index in (25, PILOT // 2 + 25):
        assert moving(x, index).tolist() == [0, 1, 2, 3, 4, 0.5, 6]
    pilot = sorted(moving(x, PILOT + k)[5] for k in range(64))
    np.testing.assert_allclose(pilot, np.linspace(0, 1, 64), atol=0.05)


def test_models_that_do_not_listen_are_named():
    plain = Config()
    for settings, message in (
        (RenderSettings(label="rain"), "--label needs a model that has learned labels, and old has none"),
        (RenderSettings(intensity="1"), "--intensity needs a model that .* --data_conditions level, and old has not"),
    ):
        with pytest.raises(UserError, match=message):
            courses.Steering(plain, settings, "old")


def test_a_curve_from_a_file(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("seconds,value\n0,0.1\n\n60; 0.9\n")
    settings = courses.resolve(RenderSettings(intensity=str(path), seconds=10.0))
    assert settings.intensity == "0:0.100,60:0.900"
    # What a manifest keeps is read without the file.
    path.unlink()
    assert courses.resolve(settings) == settings
    path.write_text("0,0.1\n1,much\n")
    with pytest.raises(UserError, match=r"line 2, must be two numbers: seconds, value. Received: '1 much'"):
        courses.resolve(RenderSettings(intensity=str(path)))
    path.write_text("0,0.1\n1,7\n")
    with pytest.raises(UserError, match="must hold rising seconds and values 0 to 1"):
        courses.resolve(RenderSettings(intensity=str(path)))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="--intensity must be 0 to 1, that at times, a file"):
        courses.resolve(RenderSettings(intensity=str(path)))


def test_the_course_of_a_recording(tmp_path):
    """Of one that grows louder, and again where it is too short; of what is no recording."""
    path = tmp_path / "louder.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, [8000 * 12, 2])
    soundfile.write(path, noise * np.linspace(0.01, 1, len(noise))[:, None], 8000)
    settings = courses.resolve(RenderSettings(intensity=str(path), seconds=20.0))
    course = courses.read_fader("intensity", settings.intensity)
    first = [course.at(time)[0] for time in range(11)]
    np.testing.assert_allclose(first, np.linspace(0, 1, 11), atol=1e-3)
    np.testing.assert_allclose([course.at(11 + time)[0] for time in range(9)], first[:9])
    soundfile.write(path, noise[:8000], 8000)
    with pytest.raises(UserError, match=r"cannot follow a recording that is shorter than 2.5 s"):
        courses.resolve(RenderSettings(intensity=str(path)))
    for name in ("gone.wav", "gone.csv"):
        with pytest.raises(UserError, match=rf"--brightness must be .*No such file.*{name}"):
            courses.resolve(RenderSettings(brightness=str(tmp_path / name)))
    (tmp_path / "text.wav").write_text("none")
    with pytest.raises(UserError, match="cannot follow a recording"):
        courses.resolve(dataclasses.replace(settings, intensity=str(tmp_path / "text.wav")))
