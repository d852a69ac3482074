"""What is known of a model to share beside its weights and settings, kept in its facts.json.

The card and the tables of models are made of it.
"""

import dataclasses
import json
import math
import os
import re

from wavegan_asmr import storage, words
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

FILE = "facts.json"

UNKNOWN = "unknown"
"""The licence of a model whose licence was not stated, as hubs have it."""

_LARGEST = 1e30
_SOURCE = re.compile(r"([^:]*\.\w+):\s+([^,]+?),\s*([^,]+?)(?:,\s*(.*\S))?\s*")
"""A line of SOURCES on one recording: FILE: AUTHOR, LICENCE, and what else there is to say."""

_OF_ONE = re.compile(r"([^:]*\.\w+):\s")


@dataclasses.dataclass(frozen=True)
class Metric:
    """What an evaluation has found, beside the same of known sounds.

    Attributes:
        metric: String, "frechet_distance", ...
        value: Float, of the generated slices.
        floor: Float or None, of real slices against other real slices.
        noise: Float or None, of white noise.
        meaning: String, what it says.
    """

    metric: str
    value: float
    floor: float | None = None
    noise: float | None = None
    meaning: str = ""

    def __post_init__(self):
        for value in filter(None, (self.value, self.floor, self.noise)):
            _check_range(self.metric, value, -_LARGEST)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What facts.json says.

    Attributes:
        license: String, of the model, see `model_card.check_license`.
        sources: String, lines on where the recordings come from, see `model_card.read_sources`.
        recordings: Integer, how many, or None where that is not known.
        seconds: Float, their length.
        trained_s: Float, for how long it was trained, or None where that is not known.
        n: Integer, generated slices that the metrics are of.
        metrics: List of `Metric`; empty where it was not evaluated.
        verdicts: List of pairs of strings, the name of a verdict and the rule that fired; empty where it is not known.

    Raises:
        UserError: A value is out of its range.
    """

    license: str = UNKNOWN
    sources: str = ""
    recordings: int | None = None
    seconds: float = 0.0
    trained_s: float | None = None
    n: int = 0
    metrics: list[Metric] = dataclasses.field(default_factory=list)
    verdicts: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        for name in ("recordings", "seconds", "trained_s", "n"):
            if (value := getattr(self, name)) is not None:
                _check_range(name, value, 0)

    def find(self, name):
        """Returns the `Metric` of a name, or None."""
        return next((each for each in self.metrics if each.metric == name), None)

    def write(self, folder):
        """Writes facts.json into a folder.

        Raises:
            OSError: It cannot be written.
        """
        storage.write_text(os.path.join(folder, FILE), json.dumps(dataclasses.asdict(self), indent=1) + "\n")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a recording comes from.

    Attributes:
        recording: String, its file.
        author, license: Strings.
        more: String, what else is said of it, or "".
    """

    recording: str
    author: str
    license: str
    more: str = ""


@dataclasses.dataclass(frozen=True)
class Described:
    """A model to share, without its weights.

    Attributes:
        name: String, of its folder.
        config: `Config`.
        facts: `Facts`; of a model of an earlier version, which has none, those of which nothing is known.
        bytes: Integer, of its files.
    """

    name: str
    config: Config
    facts: Facts
    bytes: int

    @property
    def sound(self):
        """What it makes, in words: "44.1 kHz stereo"."""
        return f"{self.config.data_sample_rate / 1000:g} kHz {words.channels(self.config.data_num_channels)}"

    @property
    def size(self):
        """How large it is, in words."""
        return f"{self.bytes / 1e6:.1f} MB"


def describe(path):
    """Reads what is known of a model to share.

    Args:
        path: Path-like.

    Returns:
        `Described`.

    Raises:
        UserError: A file cannot be read or is damaged; names it.
    """
    train_dir = TrainDir(path)
    config = train_dir.read_config()
    try:
        facts = storage.read_json(train_dir.join(FILE), Facts)
    except FileNotFoundError:
        facts = Facts()
    except OSError as error:
        raise UserError(f"{words.printable(train_dir.join(FILE))} cannot be read: {words.reason(error)}.") from error
    files = filter(os.path.isfile, map(train_dir.join, os.listdir(train_dir.path)))
    return Described(os.path.basename(train_dir.path), config, facts, sum(map(os.path.getsize, files)))


def parse_sources(text):
    """Returns what lines of SOURCES say of one recording each, a list of `Source`; other lines are left out.

    Args:
        text: String, lines such as "rain.ogg: A. Recordist, CC BY 4.0, https://example.org/rain".
    """
    matches = map(_SOURCE.fullmatch, text.splitlines())
    return [Source(match[1].strip(), match[2], match[3], match[4] or "") for match in matches if match]


def sources_of(text, recording):
    """Returns of the lines of SOURCES those on one recording, or, where none is, those that are on no single one.

    Args:
        text: String.
        recording: String, the name of its file.
    """
    lines = text.splitlines()
    named = [match and match[1].strip() for match in map(_OF_ONE.match, lines)]
    wanted = recording if recording in named else None
    return "\n".join(line for line, name in zip(lines, named) if name == wanted).strip("\n")


def _check_range(name, value, least):
    if not (math.isfinite(value) and least <= value <= _LARGEST):
        raise UserError(f"{name} must be from {least:g} to {_LARGEST:g}. Received: {value}.")
