"""What a setting is: declared once as a field of a dataclass, from which come its flag, its check, its JSON, its docs.

    @dataclasses.dataclass(frozen=True)
    class ToneSettings(Settings):
        pitch_hz: float = setting(440.0, "Pitch of the tone.", unit="Hz", at_least=20, at_most=20000)

A setting is a whole number, a number, text, true or false, one of these or None, or a tuple of numbers or of texts.
Each has a kind, which decides what may change where it is stored:

    model     shapes what is trained; never changes
    training  decides what is learned; never changes once training has begun
    machine   suits the machine or the user, and is remembered; may be given anew
    run       how one run behaves; given at every start, and not remembered
    found     follows from the recordings; it is stored, and no flag
"""

import dataclasses
import json
import math
import os
import typing

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.storage import shorten
from wavegan_asmr.words import printable

KINDS = ("model", "training", "machine", "run", "found")

LARGEST = 10**9
"""No number is larger, unless its setting says so: larger ones are slips of the hand, and overflow further in."""

_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def setting(
    default,
    text,
    kind="run",
    unit="",
    at_least=None,
    at_most=None,
    below=None,
    choices=None,
    only_with=None,
    is_path=False,
):
    """Declares a field of `Settings`.

    Args:
        default: Value, of the field's type.
        text: String, what it does, for --help and the docs.
        kind: One of `KINDS`.
        unit: String, such as "Hz".
        at_least, at_most, below: Numbers or None, the range.
        choices: Tuple of values, or a function that returns it (of a registry, say), or None.
        only_with: Pair of the name of another setting and a tuple of those of its values with which this one has an
            effect, or None.
        is_path: Boolean, text that names a file or folder.

    Returns:
        `dataclasses.Field`.
    """
    metadata = {
        "text": text,
        "kind": kind,
        "unit": unit,
        "at_least": at_least,
        "at_most": at_most,
        "below": below,
        "choices": choices,
        "only_with": only_with,
        "is_path": is_path,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all dataclasses of settings.

    Raises:
        UserError: A value is of the wrong type or out of its range; names the flag and the value.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, check(field, getattr(self, field.name)))

    def to_json(self):
        """Returns the settings as the text of a JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """Reads what `to_json` returned; a setting that the text lacks has its default.

        Args:
            text: String.

        Returns:
            An instance of the class.

        Raises:
            UserError: The text is not JSON, names an unknown setting, or a value breaks a rule.
        """
        return storage.parse_json(text, cls, forbid_unknown=True)


def check(field, value):
    """Checks the value of a setting.

    Args:
        field: `dataclasses.Field` of `setting`.
        value: Any value.

    Returns:
        The value in the field's type.

    Raises:
        UserError: It is of another type, not finite, or out of its range.
    """
    kind, is_optional, is_tuple = type_of(field)
    if value is None and is_optional:
        return None
    if is_tuple:
        if not isinstance(value, list | tuple):
            what = "words, as a,b" if kind is str else "numbers, as 0,-6"
            raise UserError(f"--{field.name} must be a list of {what}. Received: {shorten(value)}.")
        return tuple(_check_one(field, kind, each) for each in value)
    return _check_one(field, kind, value)


def check_effects(settings, given):
    """Refuses settings that were given and have no effect beside the others.

    Args:
        settings: `Settings`.
        given: Collection of the names of those that were given.

    Raises:
        UserError: One goes only with another value of another setting.
    """
    for field in dataclasses.fields(settings):
        if field.name not in given or not field.metadata["only_with"]:
            continue
        other, values = field.metadata["only_with"]
        if getattr(settings, other) not in values:
            wanted = " or ".join(f"--{other} {value}" if value is not True else f"--{other}" for value in values)
            received = printable(str(getattr(settings, other)))
            raise UserError(
                f"--{field.name} has an effect with {wanted} only. Received: --{other} {received}; leave one of them "
                "out."
            )


def absolute_paths(kind, given):
    """Returns given settings with paths as absolute ones, since they are remembered.

    Args:
        kind: Subclass of `Settings`.
        given: Dict of name to value.
    """
    paths = {field.name for field in dataclasses.fields(kind) if field.metadata["is_path"]}
    return {name: os.path.abspath(value) if name in paths and value else value for name, value in given.items()}


def settable(kind):
    """Returns the fields of a subclass of `Settings` that a user sets, a list: all but those that are found."""
    return [field for field in dataclasses.fields(kind) if field.metadata["kind"] != "found"]


def type_of(field):
    """Returns the type of a setting's values, whether None is allowed, and whether it is a tuple of them."""
    options = typing.get_args(field.type) or (field.type,)
    is_tuple = typing.get_origin(field.type) is tuple
    return options[0], type(None) in options, is_tuple


def choices(field):
    """Returns the values that a setting may have, or None where it has no such list."""
    found = field.metadata["choices"]
    return tuple(found()) if callable(found) else found


def rule(field):
    """Says the range and the unit of a setting in words, or returns an empty string."""
    metadata = field.metadata
    if allowed := choices(field):
        return "one of " + ", ".join(map(str, allowed))
    words = {"at_least": "at least", "at_most": "at most", "below": "below"}
    found = ", ".join(f"{word} {metadata[key]}" for key, word in words.items() if metadata[key] is not None)
    return " ".join(filter(None, [found, metadata["unit"]]))


def _check_one(field, kind, value):
    metadata, allowed = field.metadata, choices(field)
    if kind is float and type(value) is int and abs(value) <= LARGEST:
        value = float(value)
    received = f"Received: {shorten(value)}."
    # A whole number that is too large for a float is refused below.
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (type(value) is float and not math.isfinite(value)):
        raise UserError(f"--{field.name} must be {_TYPE_WORDS[kind]}. {received}")
    if (
        (allowed and value not in allowed)
        or (metadata["at_least"] is not None and value < metadata["at_least"])
        or (metadata["at_most"] is not None and value > metadata["at_most"])
        or (metadata["below"] is not None and value >= metadata["below"])
    ):
        raise UserError(f"--{field.name} must be {rule(field)}. {received}")
    if kind in (int, float) and abs(value) > max(LARGEST, metadata["at_most"] or 0):
        raise UserError(f"--{field.name} must be at most {LARGEST} in size. {received}")
    if kind is str and "\0" in value:
        raise UserError(f"--{field.name} must not hold a zero byte. {received}")
    return value
