"""What is asked of a model while it is rendered: labels or mixes of them, and faders; held, or over time.

    --label rain                         one label; '#0' is the first one, whatever its name
    --label rain:0.7,waves:0.3           a mix
    --label 'rain; waves; rain'          from one to the next, evenly over the length
    --label '0=rain; 600=waves'          at times, in seconds
    --intensity 0.7                      held
    --intensity '0:0.2, 600:0.9'         at times
    --intensity curve.csv                the same from a file, a line each: seconds, value
    --intensity recording.ogg            the course of another recording

What a setting names is read once, by `resolve`: a manifest keeps what it came to.
"""

import dataclasses
import itertools
import os
import re

import numpy as np

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.networks import conditioning
from wavegan_asmr.rendering.inputs import PILOT
from wavegan_asmr.settings import LARGEST
from wavegan_asmr.sound import files

FADERS = {measure.fader: name for name, measure in conditioning.MEASURES.items()}
"""Setting of rendering -> measure that it moves."""

_WINDOW_S, _HOP_S = 1.5, 1.0
"""Of the course of a recording."""
_CURVES = (".csv", ".txt", ".tsv")
_TURN = (5**0.5 - 1) / 2
"""Multiples of it, less their whole parts, fill 0 to 1 evenly."""


@dataclasses.dataclass(frozen=True)
class Course:
    """Values over time, straight from one to the next, held before the first and after the last.

    Attributes:
        times_s: float64 `[n]`, rising.
        values: float64 `[n, width]`.
    """

    times_s: np.ndarray
    values: np.ndarray

    @property
    def is_moving(self):
        """Whether it is more than one value."""
        return bool((self.values != self.values[0]).any())

    def at(self, time_s):
        """Returns the values at a time, float64 `[width]`."""
        return np.array([np.interp(time_s, self.times_s, each) for each in self.values.T])


class Steering:
    """Sets what is asked for in the inputs of a model.

    Args:
        config: `Config` of the model.
        settings: `RenderSettings`, see `resolve`.
        name: String, the model, for messages.

    Attributes:
        is_moving: Boolean, whether what is asked for changes over time.

    Raises:
        UserError: The model does not listen to what a setting asks for.
    """

    def __init__(self, config, settings, name):
        self._seconds = settings.seconds
        # Place in an input -> course.
        self._courses = {}
        first, labels = config.wavegan_latent_dim, len(config.label_names)
        if settings.label:
            if not labels:
                raise UserError(f"--label needs a model that has learned labels, and {words.printable(name)} has none.")
            self._courses[first, first + labels] = read_labels(settings.label, config.label_names, settings.seconds)
        for fader, measure in FADERS.items():
            text = getattr(settings, fader)
            if not text:
                continue
            if measure not in config.data_conditions:
                raise UserError(
                    f"--{fader} needs a model that has learned it, with --data_conditions {measure}, and "
                    f"{words.printable(name)} has not."
                )
            place = first + labels + config.data_conditions.index(measure)
            self._courses[place, place + 1] = read_fader(fader, text)
        self.is_moving = any(course.is_moving for course in self._courses.values())

    def set(self, x, time_s):
        """Returns an input, float32 `[dim]`, as it is asked for at a time."""
        if not self._courses:
            return x
        x = x.copy()
        for (first, last), course in self._courses.items():
            x[first:last] = course.at(time_s)
        return x

    def of_pieces(self, hop_s):
        """Returns a function of an input and the index of its piece to the input as it is asked for there.

        Args:
            hop_s: Float, seconds from piece to piece.
        """

        def steer(x, index):
            if index >= PILOT:
                # The pilot is of all times.
                return self.set(x, (index - PILOT) * _TURN % 1 * self._seconds)
            # The other half of the indices is of the same pieces, see `Voice`.
            return self.set(x, index % (PILOT // 2) * hop_s)

        return steer


def resolve(settings):
    """Reads the files that faders name.

    Args:
        settings: `RenderSettings`.

    Returns:
        `RenderSettings` whose faders are values at times.

    Raises:
        UserError: A file cannot be read.
    """
    asked = {fader: getattr(settings, fader) for fader in FADERS}
    found = {
        fader: _read_file(fader, text, FADERS[fader], settings.seconds)
        for fader, text in asked.items()
        if text and not _is_curve(text)
    }
    return dataclasses.replace(settings, **found)


def read_labels(text, names, seconds=0.0):
    """Reads what --label asks for.

    Args:
        text: String, see the module.
        names: Sequence of strings, the labels of the model.
        seconds: Float, the length over which stations without a time are spread; 0 for none.

    Returns:
        `Course` of weights that sum to 1, one a label.

    Raises:
        UserError: A label is not known, a weight or a time is not valid, or there is no length.
    """
    stations = [text] if text.strip() in names else [each for each in text.split(";") if each.strip()]
    times_s, mixes = [], []
    for station in stations:
        time, mix = _part_time(station, names)
        times_s.append(time)
        mixes.append(_read_mix(mix, names))
    if not mixes:
        raise UserError(f"--label must name a label. Received: {text!r}.")
    timed = [time for time in times_s if time is not None]
    if timed and (len(timed) < len(times_s) or timed != sorted(timed)):
        raise UserError(f"--label must give no station a time, or each one, rising: '0=rain; 600=waves'. {_got(text)}")
    if not timed:
        if len(mixes) > 1 and not seconds:
            raise UserError(f"--label needs a length, or times, as '0=rain; 600=waves'. {_got(text)}")
        timed = np.linspace(0, seconds, len(mixes))
    return Course(np.array(timed, float), np.array(mixes))


def read_fader(fader, text):
    """Reads what a fader is asked for.

    Args:
        fader: String, the name of the setting.
        text: String, a number in [0, 1], or such numbers at times: "0:0.2,600:0.9".

    Returns:
        `Course` of one value.

    Raises:
        UserError: It is neither.
    """
    points = [each.split(":") for each in text.split(",")]
    if len(points) == 1 and len(points[0]) == 1:
        points = [["0", *points[0]]]
    try:
        points = [(float(time), float(value)) for time, value in points]
    except ValueError:
        points = []
    return _course(points, f"--{fader} must be 0 to 1, or that at rising times, as 0:0.2,600:0.9. {_got(text)}")


def _course(points, rule):
    """Returns the `Course` of pairs of a time and a value; raises UserError with a rule that they break."""
    times_s = [time for time, _ in points]
    is_rising = all(first < second for first, second in itertools.pairwise(times_s))
    if not points or not is_rising or not all(0 <= time <= LARGEST and 0 <= value <= 1 for time, value in points):
        raise UserError(rule)
    return Course(np.array(times_s), np.array([[value] for _, value in points]))


def _got(text):
    return f"Received: {text[:100]!r}."


def _part_time(station, names):
    """Returns the time of a station, or None, and its mix."""
    head, found, rest = station.partition("=")
    if not found or station.strip() in names:
        return None, station
    try:
        time = float(head)
    except ValueError:
        return None, station
    if not 0 <= time <= LARGEST:
        raise UserError(f"--label must give times from 0 to {LARGEST} s. Received: {head.strip()!r}.")
    return time, rest


def _read_mix(text, names):
    """Returns the weights of a mix, a list of floats that sum to 1."""
    weights = np.zeros(len(names))
    for each in [text] if text.strip() in names else text.split(","):
        name, found, weight = each.rpartition(":")
        if each.strip() in names or not found:
            name, weight = each, "1"
        name = name.strip()
        try:
            share = float(weight)
        except ValueError:
            share = -1
        if not 0 <= share <= LARGEST:
            raise UserError(f"--label must give a label a weight of at least 0, as rain:0.7. Received: {each!r}.")
        weights[_find(name, names)] += share
    if not weights.sum():
        raise UserError(f"--label must give a label a weight above 0. {_got(text)}")
    return (weights / weights.sum()).tolist()


def _find(name, names):
    if name in names:
        return names.index(name)
    if (number := re.fullmatch(r"#(\d{1,9})", name)) and int(number[1]) < len(names):
        return int(number[1])
    known = ", ".join(f"#{place} {words.printable(each)}" for place, each in enumerate(names[:20]))
    more = f", ... {len(names)} in all" if len(names) > 20 else ""
    raise UserError(f"--label must be one that the model has learned: {known}{more}. Received: {name!r}.")


def _is_curve(text):
    return re.fullmatch(r"[\d.eE+:,\s-]+", text) and not os.path.exists(text)


def _read_file(fader, path, measure, seconds):
    """Returns the course that a file holds, as text."""
    try:
        is_curve = path.lower().endswith(_CURVES)
        course = _read_curve(fader, path) if is_curve else _measure(path, measure)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--{fader} must be 0 to 1, that at times, a file of such lines ({', '.join(_CURVES)}) or a recording: "
            f"{words.reason(error)}. {_got(path)}"
        ) from error
    except files.AudioError as error:
        raise UserError(f"--{fader} cannot follow a recording that {error}. {_got(path)}") from error
    times_s, values = course.times_s, course.values[:, 0]
    if times_s[-1] and seconds > times_s[-1]:
        # A recording that is shorter than what follows it begins again.
        times = int(np.ceil(seconds / (times_s[-1] + _HOP_S)))
        times_s = np.concatenate([times_s + number * (times_s[-1] + _HOP_S) for number in range(times)])
        values = np.tile(values, times)
    return ",".join(f"{time:g}:{value:.3f}" for time, value in zip(np.round(times_s, 3), values))


def _read_curve(fader, path):
    with open(path, encoding="utf-8-sig") as file:
        lines = [re.split(r"[,;\s]+", line.strip()) for line in file if line.strip()]
    points = []
    for number, line in enumerate(lines, 1):
        try:
            time, value = map(float, line)
        except ValueError as error:
            # The first line may name the columns.
            if number == 1:
                continue
            raise UserError(
                f"--{fader}: {words.printable(path)}, line {number}, must be two numbers: seconds, value. "
                f"Received: {' '.join(line)[:60]!r}."
            ) from error
        points.append((time, value))
    return _course(points, f"--{fader}: {words.printable(path)} must hold rising seconds and values 0 to 1.")


def _measure(path, measure):
    """Returns the `Course` of a measure of a recording: its places among all of that recording."""
    rate_hz = files.probe(path).sample_rate_hz
    window, hop = round(_WINDOW_S * rate_hz), round(_HOP_S * rate_hz)
    values, waiting = [], np.zeros([0, 1], np.float32)
    for block in files.decode(path):
        waiting = np.concatenate([waiting, block.mean(axis=1, keepdims=True)])
        while len(waiting) >= window:
            values.append(float(conditioning.measure(waiting[None, :window], [measure])[0, 0]))
            waiting = waiting[hop:]
    if len(values) < 2:
        raise files.AudioError(f"is shorter than {_WINDOW_S + _HOP_S:g} s")
    order = np.argsort(np.argsort(values)) / (len(values) - 1)
    return Course(np.arange(len(values)) * _HOP_S, order[:, None])
