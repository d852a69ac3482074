"""What ratings come to, against SciPy and by hand; and files of strangers."""

import copy
import json

import numpy as np
import pytest
import scipy.stats

from wavegan_asmr.errors import UserError
from wavegan_asmr.listening_tests import analysis, results

SOUNDS = ["recording", "model", "recut"]


def make(listener, ratings, control=None):
    """A result as the page saves it: ratings `[trials, sounds, scales]`, the order of sounds another one each trial."""
    trials = []
    for number, trial in enumerate(ratings):
        order = np.roll(range(len(SOUNDS)), number)
        clips = [(SOUNDS[k], f"clip{number}{k}", *trial[k]) for k in order]
        trials.append({"is_control": False, "seconds": 12.5, "ratings": clips})
    if control:
        clips = [("model", f"control{k}", *each) for k, each in enumerate(control)]
        trials.insert(1, {"is_control": True, "seconds": 9, "ratings": clips})
    for trial in trials:
        names = ("sound", "clip", "quality", "naturalness")
        trial["ratings"] = [dict(zip(names, map(plain, each))) | {"plays": 1} for each in trial["ratings"]]
    times = {"begun": "2026-01-01T00:00:00.000Z", "ended": "2026-01-01T00:10:00.000Z"}
    facts = {"format": "wavegan listening test 1", "test": "0123456789abcdef", "seed": 7, "listener": listener}
    return facts | times | {"sounds": SOUNDS, "trials": trials}


def plain(value):
    return value if isinstance(value, str) else int(value)


@pytest.fixture
def save(tmp_path):
    """Function: writes results, and returns their paths."""

    def write(*found):
        paths = [tmp_path / f"{k}.json" for k in range(len(found))]
        for path, each in zip(paths, found):
            path.write_text(each if isinstance(each, str) else json.dumps(each))
        return paths

    return write


@pytest.fixture(scope="module")
def ratings():
    """Of six listeners, each with a level of their own: `[listeners, trials, sounds, scales]`."""
    random = np.random.default_rng(0)
    level = np.array([70, 45, 52])[:, None] + random.normal(0, 12, [6, 1, 1, 1])
    return np.clip(np.round(level + random.normal(0, 9, [6, 5, 3, 2])), 0, 100).astype(int)


@pytest.fixture
def read(save, ratings):
    control = [(50, 50), (53, 50), (41, 50)]
    return results.read(save(*(make(f"listener{k}", each, control) for k, each in enumerate(ratings))))


def test_means_with_intervals_over_listeners(read, ratings):
    found = analysis.means(read)
    assert [(each.sound, each.scale) for each in found] == [(s, c) for c in analysis.SCALES for s in SOUNDS]
    by_listener = ratings.mean(axis=1)
    for each in found:
        own = by_listener[:, SOUNDS.index(each.sound), analysis.SCALES.index(each.scale)]
        assert each.value == pytest.approx(own.mean())
        other = scipy.stats.bootstrap([own], np.mean, n_resamples=20000, method="percentile", rng=1).confidence_interval
        assert (each.low, each.high) == pytest.approx((other.low, other.high), abs=0.6)


def test_preferences_with_sign_tests(read, ratings):
    found = analysis.preferences(read)
    assert len(found) == 3 * 2
    for each in found:
        a, b = (
            ratings[:, :, SOUNDS.index(sound), analysis.SCALES.index(each.scale)] for sound in (each.first, each.second)
        )
        wins, losses = (a > b).sum(), (a < b).sum()
        assert (each.wins, each.losses, each.ties) == (wins, losses, (a == b).sum())
        # Twice the lower tail of coins, by hand.
        tail = scipy.stats.binom.cdf(min(wins, losses), wins + losses, 0.5)
        assert each.p == pytest.approx(min(1, 2 * tail))
        assert each.share == wins / (wins + losses)
    assert any(each.ties for each in found) and found[0].p < 0.001


def test_the_verb_prints_all_of_it(verb, save):
    """Two listeners whose figures are plain."""
    first = make(
        "anna", [[(80, 90), (40, 30), (60, 60)], [(70, 80), (70, 20), (50, 50)]], [(50, 50), (54, 50), (50, 50)]
    )
    second = make(
        "ben", [[(60, 70), (40, 30), (60, 60)], [(50, 60), (30, 20), (90, 50)]], [(50, 60), (90, 60), (50, 80)]
    )
    lines = verb("listen-test", "--analyse", *save(first, second)).splitlines()
    assert lines == [
        "test      0123456789abcdef, seed 7: 2 listeners, 2 trials of 3 sounds each",
        "",
        "sound      quality             naturalness",
        "recording  65.0 [55.0, 75.0]   75.0 [65.0, 85.0]",
        "model      45.0 [35.0, 55.0]   25.0 [25.0, 25.0]",
        "recut      65.0 [55.0, 75.0]   55.0 [55.0, 55.0]",
        "",
        "preferred             scale        share  trials  ties  p",
        "recording over model  quality      100 %       3     1  0.25",
        "recording over model  naturalness  100 %       4     0  0.12",
        "recording over recut  quality       67 %       3     1  1",
        "recording over recut  naturalness  100 %       4     0  0.12",
        "model over recut      quality       25 %       4     0  0.62",
        "model over recut      naturalness    0 %       4     0  0.12",
        "",
        "control   the same sound was rated 16.0 apart; the most, 30.0, by listener ben",
    ]


def test_one_listener_has_no_interval(verb, save):
    same = [[(50, 50)] * 3]
    lines = verb("listen-test", "--analyse", *save(make("anna", same))).splitlines()
    assert lines[0].endswith("1 listener, 1 trial of 3 sounds each")
    assert lines[3] == "recording  50.0                50.0"
    assert lines[8].split() == ["recording", "over", "model", "quality", "0", "1", "1"]
    assert not lines[-1].startswith("control")


def changed(*path, value):
    """A result of which a place has another value, or none."""
    result = make("anna", [[(80, 90), (40, 30), (60, 60)]], [(50, 50)] * 3)
    place = result
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return result


DAMAGED = [
    ("", "not valid JSON"),
    ("[1]", "not a JSON object"),
    ("[" * 100_000, "not valid JSON"),
    ('{"format": "\\ud800"}', "0.json: "),
    (changed("format", value="other"), "format: must be 'wavegan listening test 1'. Received: 'other'"),
    (changed("format", value=None), "missing required field format"),
    (changed("trials", value=[]), "trials: there is none"),
    (changed("trials", 0, "is_control", value=True), "trials: there is none"),
    (changed("trials", 1, "is_control", value=False), r"trials\[1\]: does not rate each sound once"),
    (changed("trials", 0, "ratings", value=[]), r"trials\[0\]: does not rate each sound once"),
    (changed("trials", 0, "ratings", 0, "sound", value="model"), "does not rate each sound once"),
    (changed("trials", 0, "ratings", 0, "sound", value="else"), "does not rate each sound once"),
    (
        changed("trials", 0, "ratings", 0, "quality", value=101),
        r"trials\[0\].ratings\[0\].quality: .*100. Received: 101",
    ),
    (changed("trials", 0, "ratings", 0, "quality", value=-1), "quality"),
    (changed("trials", 0, "ratings", 0, "quality", value=50.5), "quality"),
    (changed("trials", 0, "ratings", 0, "quality", value=True), "quality"),
    (changed("trials", 0, "ratings", 0, "naturalness", value="50"), "naturalness"),
    (changed("trials", 0, "ratings", 0, "naturalness", value=None), "naturalness"),
    (changed("trials", 0, "ratings", 0, "quality", value=10**30), "quality"),
    (changed("sounds", value=["recording", "model", "model"]), "sounds: must be two or more, all different"),
    (changed("sounds", value=["model"]), "sounds: must be two or more"),
    (changed("listener", value=7), "listener"),
    (changed("seed", value="7"), "seed"),
]


@pytest.mark.parametrize(("damaged", "message"), DAMAGED)
def test_damaged_files_are_one_line(verb, save, damaged, message):
    (path,) = save(damaged)
    with pytest.raises(UserError, match=message) as caught:
        verb("listen-test", "--analyse", path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_results_of_different_tests_do_not_go_together(verb, save):
    first = make("anna", [[(80, 90), (40, 30), (60, 60)]])
    for field, value, message in (
        (
            "test",
            "fedcba9876543210",
            "must be of one test.*1.json of test 'fedcba9876543210' beside '0123456789abcdef'",
        ),
        ("seed", 8, "1.json says something else of the test than .*0.json"),
        ("listener", "anna", "1.json is of the same listener as .*0.json"),
    ):
        second = copy.deepcopy(first) | {"listener": "ben"} | {field: value}
        with pytest.raises(UserError, match=message):
            verb("listen-test", "--analyse", *save(first, second))
    second = make("ben", [[(80, 90), (40, 30), (60, 60)]] * 2)
    with pytest.raises(UserError, match="says something else of the test"):
        verb("listen-test", "--analyse", *save(first, second))


def test_names_of_strangers_do_not_reach_the_terminal(verb, save):
    text = json.dumps(make("a\x1b[2Jb", [[(80, 90), (40, 30), (60, 60)]], [(1, 2)] * 3)).replace(
        "recut", "\\u001b[31m\\n"
    )
    printed = verb("listen-test", "--analyse", *save(text))
    assert "\x1b" not in printed and "\\x1b[31m\\n" in printed and "a\\x1b[2Jb" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one or more results of listeners"),
        (["none.json"], "'none.json', which is none"),
        (["."], "'.', which is none"),
        (["x.json", "--seed=1", "--out=x"], "leave out --out or --seed"),
    ],
)
def test_mistakes(verb, arguments, message):
    with pytest.raises(UserError, match=message):
        verb("listen-test", "--analyse", *arguments)
