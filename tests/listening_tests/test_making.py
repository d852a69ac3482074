"""The folder of a listening test: clips that are alike in all but what they sound like, and tell nothing else."""

import base64
import json
import re

import numpy as np
import pyloudnorm
import pytest
import soundfile
import yaml

from wavegan_asmr.errors import UserError
from wavegan_asmr.listening_tests import making

ODD = 'a "b" <i>c</i> \\ \u00fc\u96e8\U0001f3a7, </script>: #'
RATE_HZ = 48000


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Three sounds that differ in rate, channels, level and format; a tone in each tells where in it one is."""
    folder = tmp_path_factory.mktemp("sounds")
    random = np.random.default_rng(0)
    paths = []
    for name, rate_hz, channels, gain in (
        ("a.ogg", 44100, 2, 0.3),
        ("b.flac", 16000, 1, 0.01),
        ("c.wav", 96000, 1, 0.1),
    ):
        times = np.arange(12 * rate_hz) / rate_hz
        # From 500 to 2900 Hz.
        sweep = np.sin(2 * np.pi * (500 + 100 * times) * times)
        x = gain * (sweep[:, None] + 0.01 * random.standard_normal([len(times), channels]))
        soundfile.write(folder / name, x, rate_hz)
        paths.append(folder / name)
    return dict(zip(["recording", ODD, "model"], paths))


@pytest.fixture(scope="module")
def made(sounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    making.make(sounds, out, trials=4, seconds=2.0, seed=5)
    return out


def known(out):
    """What the page knows, and its key, read as a stranger would."""
    text = (out / "index.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="test">(.*?)</script>', text)
    test = json.loads(data)
    return test, json.loads(base64.b64decode(test["key"]))


def place_of(x):
    """Where in the sweep the middle of a clip is, in s, by its frequency there."""
    middle = x[len(x) // 2 - 2048 : len(x) // 2 + 2048, 0] * np.hanning(4096)
    return (np.abs(np.fft.rfft(middle, 1 << 16)).argmax() * RATE_HZ / (1 << 16) - 500) / 200


def test_clips_are_alike_in_length_rate_channels_and_loudness(made):
    paths = sorted((made / "clips").iterdir())
    assert len(paths) == 5 * 3 and len({path.stat().st_size for path in paths}) == 1
    for path in paths:
        x, rate_hz = soundfile.read(path)
        assert rate_hz == RATE_HZ and x.shape == (2 * RATE_HZ, 2)
        assert pyloudnorm.Meter(rate_hz).integrated_loudness(x) == pytest.approx(-23, abs=0.05)
        # From nothing to nothing within a tenth of a second.
        assert not x[[0, -1]].round(3).any()
        edge, inner = (np.abs(part).max() for part in (x[:480], x[4800:9600]))
        assert edge < 0.25 * inner


def test_what_is_what_is_in_the_key_alone(made, sounds):
    test, key = known(made)
    assert key["sounds"] == list(sounds)
    assert [sorted(trial) for trial in key["trials"] if len(set(trial)) > 1] == 4 * [[0, 1, 2]]
    assert len({tuple(trial) for trial in key["trials"]}) > 2
    page = (made / "index.html").read_text().replace(test["key"], "")
    assert not any(word in page for word in ("recording", "a.ogg", "b.flac", "c.wav", "<i>c", "model"))
    names = [name for trial in test["trials"] for name in trial]
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in names)
    assert {f"{name}.wav" for name in names} == {path.name for path in (made / "clips").iterdir()}
    # One sound has two sides, and one nothing above 8 kHz.
    for trial, order in zip(test["trials"], key["trials"]):
        for name, sound in zip(trial, order):
            x, _ = soundfile.read(made / "clips" / f"{name}.wav")
            power = np.abs(np.fft.rfft(x[:, 0] * np.hanning(len(x)))) ** 2
            is_wide = power[2 * 9000 :].sum() > 1e-6 * power.sum()
            assert ((x[:, 0] != x[:, 1]).any(), is_wide) == {0: (True, True), 1: (False, False), 2: (False, True)}[
                sound
            ]


def test_excerpts_are_spread_over_each_sound(made):
    test, key = known(made)
    control = [len(set(order)) == 1 for order in key["trials"]].index(True)
    read = {name: soundfile.read(made / "clips" / f"{name}.wav")[0] for trial in test["trials"] for name in trial}
    first, *others = (read[name] for name in test["trials"][control])
    assert all((other == first).all() for other in others)
    for sound in range(3):
        heard = [trial[order.index(sound)] for trial, order in zip(test["trials"], key["trials"]) if sound in order]
        places = sorted(place_of(read[name]) for name in heard)
        assert places[0] >= 1 and places[-1] <= 11
        # One in each part of the 10 s in which an excerpt may begin.
        parts = [int((place - 1) / 10 * len(places)) for place in places]
        assert parts == list(range(len(places)))


def test_the_same_seed_is_the_same_folder(made, sounds, tmp_path):
    def content(out):
        return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    making.make(sounds, tmp_path / "again", 4, 2.0, 5)
    assert content(tmp_path / "again") == content(made)
    making.make(sounds, tmp_path / "other", 4, 2.0, 6)
    assert known(tmp_path / "other")[0]["test"] != known(made)[0]["test"]
    assert not {path.name for path in (tmp_path / "other" / "clips").iterdir()} & {
        path.name for path in (made / "clips").iterdir()
    }


def test_a_configuration_of_webmushra(made, sounds, tmp_path):
    config = yaml.safe_load((made / "mushra.yaml").read_text())
    test, key = known(made)
    (random, *pages), finish = config["pages"]
    assert random == "random" and finish["type"] == "finish" and len(pages) == 4
    shown = []
    for page in pages:
        assert page["type"] == "mushra"
        # What goes into markup as it is.
        assert re.fullmatch(r"2-[\w.-]+ 3-model", " ".join(page["stimuli"]))
        shown.append([page["reference"], *page["stimuli"].values()])
    trials = [
        [f"configs/clips/{name}.wav" for _, name in sorted(zip(order, trial))]
        for order, trial in zip(key["trials"], test["trials"])
        if len(set(order)) > 1
    ]
    assert shown == trials
    others = {name: path for name, path in sounds.items() if name != "recording"}
    making.make(others, tmp_path / "out", 1, 1.0, 0, has_control=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clips", "index.html"]
    assert len(list((tmp_path / "out" / "clips").iterdir())) == 2


def test_all_are_softer_where_one_has_high_peaks(tmp_path):
    clicks = np.zeros(3 * 16000)
    clicks[::4000] = 0.5
    soundfile.write(tmp_path / "clicks.wav", clicks, 16000)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.05, 48000), 16000)
    making.make({name: tmp_path / f"{name}.wav" for name in ("clicks", "noise")}, tmp_path / "out", 2, 1.0)
    read = [soundfile.read(path)[0] for path in (tmp_path / "out" / "clips").iterdir()]
    loudness = [pyloudnorm.Meter(RATE_HZ).integrated_loudness(x) for x in read]
    assert np.ptp(loudness) < 0.3 and loudness[0] < -25
    assert 20 * np.log10(max(np.abs(x).max() for x in read)) == pytest.approx(-1, abs=0.1)


MISTAKES = [
    (["a.wav"], [], "2 to 8 sounds. Received: 1"),
    ([], [], "2 to 8 sounds. Received: 0"),
    ([f"{k}=a.wav" for k in range(9)], [], "2 to 8 sounds. Received: 9"),
    (["a.wav", "none.wav"], [], "none.wav"),
    (["a.wav", "x=none.wav"], [], "x=none.wav"),
    (["a.wav", "a.wav"], [], "'a' twice"),
    (["a.wav", "=b.wav"], [], "1 to 100 characters"),
    (["a.wav", f"{101 * 'x'}=b.wav"], [], "1 to 100 characters"),
    (["a.wav", "text.wav"], [], "text.wav"),
    (["a.wav", "empty.wav"], [], "empty.wav"),
    (["a.wav", "six.wav"], [], "six.wav must have one or two channels.*Received: 6"),
    (["a.wav", "short.wav"], [], r"short.wav is shorter than an excerpt, --seconds 2;.*Received: 1.0 s"),
    (["a.wav", "silent.wav"], [], "silent.wav is silent"),
    (["a.wav", "b.wav"], ["--seconds", "0.5"], "--seconds must be at least 1"),
    (["a.wav", "b.wav"], ["--trials", "100", "--seconds", "60"], "at most 30 minutes of sound.*Received: 202.0"),
    (["a.wav", "b.wav"], ["--out", "a.wav"], "--out must be a folder that is not there yet. Received: 'a.wav'"),
    (["a.wav", "b.wav"], ["--out", "."], "--out must be a folder that is not there yet"),
    (["a.wav", "b.wav"], ["--out", "none/out"], "--out is in a folder that is not there"),
    (["a.wav", "b.wav"], ["--out", ""], "--out must name"),
]


@pytest.mark.parametrize(("arguments", "more", "message"), MISTAKES)
def test_mistakes_are_one_line_and_leave_nothing(verb, tmp_path, monkeypatch, arguments, more, message):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(0, 0.1, [3 * 8000, 6])
    soundfile.write("a.wav", noise[:, 0], 8000)
    soundfile.write("b.wav", noise[:, 1], 8000)
    soundfile.write("six.wav", noise, 8000)
    soundfile.write("short.wav", noise[:8000, 0], 8000)
    soundfile.write("silent.wav", 0 * noise[:, 0], 8000)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as caught:
        verb("listen-test", *arguments, "--out=out", "--seconds=2", *more)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_verb_names_sounds_by_their_files(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * 8000)
    for name in ("a=b.wav", "rain.flac", "plain.wav"):
        soundfile.write(name, noise, 8000)
    printed = verb(
        "listen-test", "a=b.wav", "rain.flac", "x <y>=plain.wav", "--out=out/", "--seconds=1", "--control=false"
    )
    assert printed.startswith("test      out/index.html: 10 trials; 0.5 min of sound at -")
    assert known(tmp_path / "out")[1]["sounds"] == ["a=b", "rain", "x <y>"]


def test_what_is_missing_of_the_verb(verb):
    with pytest.raises(UserError, match="--out is missing"):
        verb("listen-test", "a.wav", "b.wav")
