"""cases.toml: which trainings, with which settings, and what each takes of a machine.

    [defaults]
    preset = "asmr"
    train_max_secs = 600.0

    [case.rain]
    data_dir = "asmr/rain"

    [case.fire]
    data_dir = "asmr/fire.ogg"
    train_seed = 1
    cpus = 2

Keys are the names of the flags of `train`, and those of `Resources`. Paths are relative to the folder of the file. A
case without train_max_steps, train_max_secs or train_patience trains for an hour.
"""

import dataclasses
import difflib
import json
import os
import re
import tomllib

import loader
from wavegan_asmr import storage, words
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, check, settable, setting
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training.settling import resolve_config

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[^\W.][\w.-]{0,99}")
REMEMBERED = "cases.json"
"""File in the folder of the TRAIN_DIRs."""

DEFAULT_SECS = 3600.0
"""Budget of a case that has none: it would never end."""

_BUDGETS = ("train_max_steps", "train_max_secs", "train_patience")


@dataclasses.dataclass(frozen=True)
class Resources(Settings):
    """What a case takes of a machine, or of each of its workers."""

    cpus: int = setting(1, "Cores.", at_least=1, at_most=4096)
    memory_gb: float = setting(3.0, "Memory.", unit="GB", at_least=0.1, at_most=100_000)
    gpus: int = setting(0, "GPUs.", at_least=0, at_most=64)
    workers: int = setting(
        1, "Machines that train it together, where the runner can place them.", at_least=1, at_most=999
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        name: String, of its folder.
        given: Dict of setting name to value, those of the file.
        resources: `Resources`.
    """

    name: str
    given: dict
    resources: Resources


def read(path, runs):
    """Reads a file of cases, and checks all of it.

    Args:
        path: Path-like.
        runs: Path-like, the folder of their TRAIN_DIRs, some of which may have begun.

    Returns:
        List of `Case`, in the order of the file.

    Raises:
        UserError: It cannot be read, or lists all mistakes that are in it.
    """
    tables = _parse(path)
    folder, mistakes, cases = os.path.dirname(os.path.abspath(path)), [], []
    defaults = tables.pop("defaults", {})
    named = tables.pop("case", {})
    mistakes += [f"[{name}]: there are [defaults] and [case.NAME]" for name in tables]
    if not isinstance(defaults, dict) or not isinstance(named, dict):
        mistakes.append("defaults and case must be tables, [defaults] and [case.NAME]")
    elif not named:
        mistakes.append("there is no case; begin one with [case.NAME]")
    else:
        known, wrong = _check_keys(defaults, folder)
        mistakes += [f"[defaults]: {each}" for each in wrong]
        for name, values in named.items():
            case, wrong = _check_case(name, values, known, folder, runs)
            mistakes += [f"[case.{name}]: {each}" for each in wrong]
            cases.append(case)
    if mistakes:
        count = f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}"
        raise UserError("\n  ".join([f"{count} in {words.printable(path)}:", *mistakes]))
    return cases


def remember(runs, cases):
    """Writes cases into the folder of their TRAIN_DIRs, where other commands find them."""
    text = json.dumps([dataclasses.asdict(case) for case in cases], indent=2) + "\n"
    storage.write_text(os.path.join(runs, REMEMBERED), text)


def recall(runs):
    """Reads the cases of a folder.

    Args:
        runs: Path-like.

    Returns:
        List of `Case`.

    Raises:
        UserError: There are none, or the file is damaged.
    """
    path = os.path.join(runs, REMEMBERED)
    try:
        with open(path, encoding="utf-8") as file:
            remembered = json.load(file)
        cases = [Case(each["name"], each["given"], Resources(**each["resources"])) for each in remembered]
    except FileNotFoundError as error:
        raise UserError(
            f"no cases in {os.fspath(runs)!r}. Begin them with: wavegan cases run cases.toml RUNS"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(
            f"{words.printable(path)} is damaged: {error}. Run the cases again to have it made anew."
        ) from error
    wrong = [case.name for case in cases if not isinstance(case.name, str) or not _NAME.fullmatch(case.name)]
    if wrong:
        raise UserError(f"{words.printable(path)} is damaged: {wrong[0]!r} is no name of a case.")
    return cases


def draft(data_dir):
    """Returns the text of a file with a case for each folder of recordings, or for each recording.

    Args:
        data_dir: Path-like.

    Raises:
        UserError: There are no recordings.
    """
    data_dir = os.path.abspath(data_dir)
    names, _ = loader.find_files(data_dir)
    if not names:
        raise UserError(f"no recordings. Received: {data_dir!r}.")
    folders = sorted({name.split(os.sep)[0] for name in names if os.sep in name})
    lines = ["[defaults]", 'preset = "asmr"']
    taken = set()
    for each in folders or names:
        name = _free_name(each if folders else os.path.splitext(each)[0], taken)
        key = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
        # JSON's strings are TOML's.
        lines += ["", f"[case.{key}]", f"data_dir = {json.dumps(loader.path_of(data_dir, each), ensure_ascii=False)}"]
    return "\n".join(lines) + "\n"


def _free_name(text, taken):
    """A name for a folder, of a text, that is not taken yet."""
    base = name = re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80] or "case"
    number = 2
    while name.lower() in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name.lower())
    return name


def _parse(path):
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{words.printable(path)} is not TOML: {error}.") from error


def _check_keys(values, folder):
    """Checks names and values of one table; returns those that are right, and what is wrong with the others."""
    kinds = {field.name: field for kind in (Config, Resources) for field in settable(kind)}
    right, wrong = {}, []
    for name, value in values.items():
        if name not in kinds:
            (near,) = difflib.get_close_matches(name, kinds, 1) or [None]
            wrong.append(f"{name} is no setting" + (f"; {near} is" if near else ""))
            continue
        try:
            right[name] = check(kinds[name], value)
        except UserError as error:
            wrong.append(str(error).removeprefix("--"))
        else:
            if kinds[name].metadata["is_path"] and right[name]:
                right[name] = os.path.join(folder, right[name])
    return right, wrong


def _check_case(name, values, defaults, folder, runs):
    """Checks a case as `train` would; returns the `Case`, and what is wrong with it."""
    if not _NAME.fullmatch(name):
        return None, ["a name is a folder's: letters, digits, - and _, and . within"]
    if not isinstance(values, dict):
        return None, ["must be a table"]
    own, wrong = _check_keys(values, folder)
    given = defaults | own
    if not any(given.get(budget) for budget in _BUDGETS):
        given["train_max_secs"] = DEFAULT_SECS
    of_resources = {field.name for field in dataclasses.fields(Resources)}
    resources = Resources(**{name: given.pop(name) for name in of_resources & set(given)})
    case = Case(name, given, resources)
    if wrong:
        return case, wrong
    try:
        config = resolve_config(TrainDir(os.path.join(runs, name)), given)
        if not loader.find_files(config.data_dir)[0]:
            wrong.append(f"no recordings. Received: data_dir {config.data_dir!r}.")
    except UserError as error:
        wrong.append(str(error))
    return case, wrong
