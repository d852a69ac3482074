"""Settings: types, ranges, absurd values, JSON."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation.settings import EvaluationSettings
from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings
from wavegan_asmr.settings import Settings, absolute_paths, check_effects, rule, setting


@dataclasses.dataclass(frozen=True)
class Odd(Settings):
    count: int = setting(1, "Count.", at_least=1)
    level_db: float | None = setting(None, "Level.", unit="dB", below=0)
    place: str = setting("", "Place.", is_path=True)
    gains: tuple[float, ...] = setting((), "Gains.", at_most=6)
    kind: str = setting("a", "Kind.", choices=("a", "b"))
    of_a: bool = setting(False, "Of a.", only_with=("kind", ("a",)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 0}, "--count must be at least 1. Received: 0."),
        ({"count": True}, "--count must be a whole number. Received: True."),
        ({"count": 1.0}, "--count must be a whole number. Received: 1.0."),
        ({"count": 10**400}, "--count must be at most 1000000000 in size. Received: "),
        ({"count": 10**5000}, "--count must be at most 1000000000 in size. Received: a number of thousands of digits."),
        ({"level_db": 0}, "--level_db must be below 0 dB. Received: 0.0."),
        ({"level_db": float("nan")}, "--level_db must be a number. Received: nan."),
        ({"level_db": -float("inf")}, "--level_db must be a number. Received: -inf."),
        ({"level_db": -(10**400)}, "--level_db must be at most 1000000000 in size. Received: "),
        ({"level_db": -1e300}, "--level_db must be at most 1000000000 in size. Received: -1e+300."),
        ({"level_db": "-3"}, "--level_db must be a number. Received: '-3'."),
        ({"place": "a\0b"}, "--place must not hold a zero byte. Received: 'a\\x00b'."),
        ({"place": None}, "--place must be text. Received: None."),
        ({"gains": 3}, "--gains must be a list of numbers, as 0,-6. Received: 3."),
        ({"gains": [0, 7]}, "--gains must be at most 6. Received: 7.0."),
        ({"kind": "c"}, "--kind must be one of a, b. Received: 'c'."),
        ({"kind": "c" * 5000}, "--kind must be one of a, b. Received: 'ccc"),
    ],
)
def test_rules(values, words):
    with pytest.raises(UserError) as caught:
        Odd(**values)
    text = str(caught.value)
    assert text.startswith(words) and len(text) < 250 and "\n" not in text


def test_values_get_their_type():
    odd = Odd(level_db=-3, gains=[0, 6])
    assert odd == Odd(level_db=-3.0, gains=(0.0, 6.0))
    assert type(odd.level_db) is float and type(odd.gains) is tuple
    assert Odd.from_json(odd.to_json()) == odd
    assert Odd.from_json("{}") == Odd()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"count": "3"}', "count: expected int, got str. Received: '3'."),
        ('{"gains": [0, "x"]}', "gains[1]: expected float, got str. Received: 'x'."),
        ('{"count": 0}', "--count must be at least 1. Received: 0."),
        ('{"level_db": NaN}', "--level_db must be a number. Received: nan."),
        ('{"other": 1}', "unknown setting other; it was written by another version"),
        ("[]", "not a JSON object"),
        ("{", "not valid JSON: "),
        ("[" * 100_000, "not valid JSON: "),
    ],
)
def test_json_that_breaks_a_rule_names_the_field(text, words):
    with pytest.raises(UserError) as caught:
        Odd.from_json(text)
    assert str(caught.value).startswith(words)


def test_what_has_no_effect_is_refused():
    check_effects(Odd(kind="a", of_a=True), {"of_a", "kind"})
    check_effects(Odd(kind="b"), {"kind"})
    with pytest.raises(UserError, match=r"--of_a has an effect with --kind a only. Received: --kind b; leave one"):
        check_effects(Odd(kind="b", of_a=True), {"of_a", "kind"})


def test_paths_are_remembered_as_absolute_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = absolute_paths(Odd, {"place": "x", "count": 3})
    assert given == {"place": str(tmp_path / "x"), "count": 3}
    assert absolute_paths(Odd, {"place": ""}) == {"place": ""}


ABSURD = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 10**400, -(10**400), 2**63, 1e308]),
    st.text(),
    st.none(),
    st.booleans(),
    st.lists(st.floats()),
)


@pytest.mark.parametrize("kind", [Config, RenderSettings, OutputSettings, EvaluationSettings])
@given(data=st.data())
def test_any_value_is_taken_or_refused_in_a_line(kind, data):
    field = data.draw(st.sampled_from(dataclasses.fields(kind)))
    value = data.draw(ABSURD)
    try:
        settings = kind(**{field.name: value})
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
        return
    taken = getattr(settings, field.name)
    # What is taken can be stored, and is finite.
    assert kind.from_json(json.dumps(json.loads(settings.to_json()), allow_nan=False)) == settings
    assert not isinstance(taken, float) or abs(taken) <= 10**9


def test_every_setting_says_what_it_is():
    for kind in (Config, RenderSettings, OutputSettings, EvaluationSettings):
        for field in dataclasses.fields(kind):
            assert field.metadata["text"].endswith("."), field.name
            assert isinstance(rule(field), str)
