"""Finding the verb and its flags; what is refused."""

import dataclasses
import importlib

import pytest
from absl import flags as absl_flags

from wavegan_asmr.command_line import main
from wavegan_asmr.command_line.flags import Flags
from wavegan_asmr.command_line.main import VERBS, dispatch
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting


@pytest.fixture
def called(monkeypatch):
    """What `main` of a verb was called with, instead of doing it: list of (verb, arguments, given flags)."""
    calls = []
    for verb, (module, _) in VERBS.items():
        module = importlib.import_module(f"wavegan_asmr.command_line.{module}")
        monkeypatch.setattr(
            module, "main", lambda arguments, flags, verb=verb: calls.append((verb, arguments, flags.given()))
        )
    return calls


@pytest.mark.parametrize(
    ("line", "verb", "arguments", "given"),
    [
        ("train ./train --data_dir asmr/", "train", ["./train"], {"data_dir": "asmr/"}),
        ("--data_dir asmr/ train ./train", "train", ["./train"], {"data_dir": "asmr/"}),
        ("--data_dir=asmr/ --train_keep 3 train ./train", "train", ["./train"], {"data_dir": "asmr/", "train_keep": 3}),
        ("--data_dir train train ./train", "train", ["./train"], {"data_dir": "train"}),
        ("--data_dir preview train ./train", "train", ["./train"], {"data_dir": "preview"}),
        ("generate train preview --minutes 1", "generate", ["train", "preview"], {"minutes": 1.0}),
        ("--out - generate train", "generate", ["train"], {"out": "-"}),
        ("evaluate --compare a b", "evaluate", ["a", "b"], {"compare": True}),
        ("preview ./train --noall -- --odd", "preview", ["./train", "--odd"], {"all": False}),
        ("classify train folder --data_dir x", "classify", ["train", "folder"], {"data_dir": "x"}),
        ("generate --from a.json --out b.wav", "generate", [], {"from_": "a.json", "out": "b.wav"}),
        ("generate a b --gains_db 0,-6.5", "generate", ["a", "b"], {"gains_db": (0.0, -6.5)}),
    ],
)  # fmt: skip
def test_the_verb_is_found(called, line, verb, arguments, given):
    dispatch(line.split(), VERBS, "wavegan")
    assert called == [(verb, arguments, given)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "the first argument must be one of train, check, .*. Received: ''"),
        ("fly ./train", "the first argument must be one of train, .*. Received: 'fly ./train'"),
        ("./train train", "the first argument must be one of train, .*. Received: './train train'"),
        ("train ./train --checkpoint 18", "--checkpoint is not a flag of train; preview, generate, .* take it"),
        ("generate ./train --noall", "--noall is not a flag of generate; preview, evaluate take it"),
        ("train ./train --no_such", "Unknown command line flag 'no_such'"),
        ("train ./train --train_keep many", "train_keep.*many"),
        ("train ./train --data_dir", "data_dir"),
        ("--bits 24 preview ./train", "--bits is not a flag of preview; generate takes it"),
    ],
)
def test_mistakes_name_what_is_wrong(called, line, words):
    with pytest.raises(UserError, match=words) as caught:
        dispatch(line.split(), VERBS, "wavegan")
    assert "\n" not in str(caught.value) and not called


def test_a_script_of_some_verbs_has_no_others(called):
    with pytest.raises(UserError, match=r"must be one of train, preview. Received: 'generate a'"):
        dispatch(["generate", "a"], ("train", "preview"), "train_wavegan.py")


@pytest.mark.parametrize("word", ["--help", "-h", "--helpfull"])
def test_help_lists_verbs_and_flags(called, capsys, word):
    dispatch([word], VERBS, "wavegan")
    overview = capsys.readouterr().out
    assert all(f"wavegan {verb} " in overview for verb in VERBS)
    assert len(overview.splitlines()) <= 24
    for verb in VERBS:
        dispatch([verb, word], VERBS, "wavegan")
        shown = capsys.readouterr().out
        names = Flags(importlib.import_module(f"wavegan_asmr.command_line.{VERBS[verb][0]}").SETTINGS).names
        assert all(f"--{name}" in shown or f"--[no]{name}" in shown for name in names)
    assert not called


def test_verbs_share_a_process_and_leave_no_flags(called):
    before = set(absl_flags.FLAGS)
    for verb in VERBS:
        dispatch([verb, "x"], VERBS, "wavegan")
    dispatch(["train", "--train_keep=7", "x"], VERBS, "wavegan")
    dispatch(["train", "x"], VERBS, "wavegan")
    assert [verb for verb, _, _ in called] == [*VERBS, "train", "train"]
    # Nothing of one call is left in the next.
    assert called[-2][2] == {"train_keep": 7} and called[-1][2] == {}
    assert set(absl_flags.FLAGS) == before


def test_a_setting_is_one_line(monkeypatch, capsys):
    """A setting that is declared has its flag, its check, its help and its row in the docs."""

    @dataclasses.dataclass(frozen=True)
    class ToneSettings(Settings):
        pitch_hz: float = setting(440.0, "Pitch.", unit="Hz", at_least=20, at_most=20000)

    train = importlib.import_module("wavegan_asmr.command_line.train")
    monkeypatch.setattr(train, "SETTINGS", (*train.SETTINGS, ToneSettings))
    found = []
    monkeypatch.setattr(train, "main", lambda arguments, flags: found.append(flags.read(ToneSettings)))
    dispatch(["train", "--pitch_hz=880", "x"], VERBS, "wavegan")
    assert found == [ToneSettings(880.0)]
    with pytest.raises(UserError, match=r"--pitch_hz must be at least 20, at most 20000 Hz. Received: 19.0"):
        dispatch(["train", "--pitch_hz=19", "x"], VERBS, "wavegan")
    main.call("train", ["--help"], "wavegan train")
    assert "--pitch_hz\n      Pitch. (at least 20, at most 20000 Hz; default: 440.0)\n" in capsys.readouterr().out
