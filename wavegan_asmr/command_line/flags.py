"""From settings to flags and back: absl's parser, for the settings of the verb that was chosen."""

import dataclasses
import textwrap

from absl import flags

from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, rule, settable, setting, type_of

_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool, str: flags.DEFINE_string}
_WIDTH, _INDENT = 100, 6


@dataclasses.dataclass(frozen=True)
class HelpSettings(Settings):
    """What every verb takes."""

    help: bool = setting(False, "Show this and stop.")


class Flags:
    """The flags of a verb, as they were given.

    Args:
        groups: Tuple of subclasses of `Settings`, or of pairs of one and a tuple of the names of its fields that are
            flags.
    """

    def __init__(self, groups):
        self._values = flags.FlagValues()
        self._groups = {}
        for group in (*groups, HelpSettings):
            kind, names = group if isinstance(group, tuple) else (group, None)
            chosen = [field for field in settable(kind) if names is None or field.name in names]
            self._groups[kind] = chosen
            for field in chosen:
                self._define(field)

    def _define(self, field):
        kind, _, is_tuple = type_of(field)
        if is_tuple:
            flags.DEFINE_list(flag_name(field), None, field.metadata["text"], flag_values=self._values)
        else:
            _DEFINE[kind](flag_name(field), None, field.metadata["text"], flag_values=self._values)

    def parse(self, arguments):
        """Parses a command line.

        Args:
            arguments: List of strings, without the program's name.

        Returns:
            List of strings, what is no flag.

        Raises:
            absl.flags.Error: A flag is unknown, or a value is of another type.
        """
        return self._values(["", *arguments])[1:]

    @property
    def names(self):
        """The names of all flags but --help."""
        return [flag_name(field) for field in self._shown()]

    def given(self, kind=None):
        """Returns the settings that were named on the command line, of one class or of all: dict of name to value."""
        groups = self._groups if kind is None else [kind]
        fields = [field for each in groups for field in self._groups[each]]
        values = {field.name: self._values[flag_name(field)] for field in fields}
        return {f.name: _convert(f, values[f.name].value) for f in fields if values[f.name].present}

    def read(self, kind):
        """Returns the settings of a class, those that were given over its defaults.

        Raises:
            UserError: A value breaks a rule.
        """
        return kind(**self.given(kind))

    def describe(self):
        """Returns the flags with their help, text of several lines."""
        return "\n".join(line for field in self._shown() for line in _describe(field))

    def _shown(self):
        return [field for kind, fields in self._groups.items() if kind is not HelpSettings for field in fields]


def _convert(field, value):
    """Returns the value of a flag in its setting's type."""
    kind, _, is_tuple = type_of(field)
    if field.metadata["is_path"] and not value:
        raise UserError(f"--{flag_name(field)} must name a file or folder, or be left out. Received: {value!r}.")
    if not is_tuple:
        return value
    try:
        return tuple(map(kind, value))
    except ValueError as error:
        raise UserError(f"--{field.name} must be numbers, as 0,-6. Received: {','.join(value)!r}.") from error


def flag_name(field):
    """Returns the name of a setting's flag: its field's, less the underscore that a name reserved by Python needs."""
    return field.name.rstrip("_")


def default(field):
    """Returns the default of a setting as a user would write it, "" where there is none."""
    if type_of(field)[2]:
        return ",".join(map(str, field.default))
    return "" if field.default is None else str(field.default)


def table(kind, chosen=None):
    """Returns the rows of settings for docs/flags.md, a list of Markdown lines.

    Args:
        kind: Subclass of `Settings`.
        chosen: Function of a field to whether it has a row, or None for all.
    """
    rows = []
    for field in settable(kind):
        if chosen is None or chosen(field):
            shown = f"`{default(field)}`" if default(field) else ""
            rows.append(f"| `--{flag_name(field)}` | {shown} | {rule(field)} | {field.metadata['text']} |")
    return rows


def _describe(field):
    kind, _, _ = type_of(field)
    name = f"--[no]{field.name}" if kind is bool else f"--{flag_name(field)}"
    facts = [rule(field)] + ([f"default: {default(field)}"] if default(field) and kind is not bool else [])
    if kind is bool and field.default:
        facts.append("default: true")
    text = field.metadata["text"] + (f" ({'; '.join(filter(None, facts))})" if any(facts) else "")
    yield f"  {name}"
    yield from textwrap.wrap(text, _WIDTH - _INDENT, initial_indent=" " * _INDENT, subsequent_indent=" " * _INDENT)
