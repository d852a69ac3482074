"""Drawings of metrics as numbers and words, of which the page's template makes SVG elements.

Places are in pixels of a drawing, from its upper left corner.
"""

import dataclasses
import math

from matplotlib.ticker import LogLocator, MaxNLocator

KINDS = {
    "white": "white noise",
    "coloured": "coloured noise",
    "held": "held-out recordings",
    "real": "recordings",
    "generated": "generated",
}
"""Dict of a kind of mark to its name; the later ones lie on top."""

_LOG_RATIO = 30
"""Positive numbers that differ by a larger factor are drawn on a logarithmic scale."""


@dataclasses.dataclass(frozen=True)
class Strip:
    """Where the value of a metric lies between recordings and noise.

    Attributes:
        width, height: Integers, of every strip.
        marks: Dict of a kind, see `KINDS`, to x.
        error: Pair of x, the ends of the bar of the standard error, or None where there is none.
        label: String, the same in words; empty where there is no mark.
    """

    width, height = 190, 24

    marks: dict
    error: tuple | None
    label: str


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric over the checkpoints that were measured.

    Attributes:
        width, height: Integers, of every curve.
        left, right, top, bottom: Integers, the edges of the area that has the points.
        value_ticks, step_ticks: Lists of (y, value) and of (x, step).
        levels: Dict of a kind, see `KINDS`, to the y of its line.
        best: Float, x of the best checkpoint, or None where that is not among the points.
        band: List of (x, y), the corners of the band of the standard error.
        points: List of (x, y, what it says in words), by step.
        label: String, the drawing in words.
    """

    width, height = 320, 190
    left, right, top, bottom = 46, 312, 10, 166

    value_ticks: list
    step_ticks: list
    levels: dict
    best: float | None
    band: list
    points: list
    label: str


def strip(row):
    """Draws where a value lies; row is a `results.Row`. Returns a `Strip`."""
    values = {
        "white": row.noise,
        "coloured": row.matched_noise,
        "held": row.held_out,
        "real": row.floor,
        "generated": row.value,
    }
    values = _only_numbers(values)
    axis = _Axis.of(values.values())
    x = axis.to_pixels(8, Strip.width - 8)
    error = None
    if "generated" in values and row.error:
        error = tuple(min(max(x(row.value + sign * row.error), 1), Strip.width - 1) for sign in (-1, 1))
    label = ", ".join(f"{KINDS[kind]} {number(value)}" for kind, value in reversed(values.items()))
    marks = {kind: x(value) for kind, value in values.items()}
    return Strip(marks, error, label + (", logarithmic" if axis.is_log else ""))


def curve(metric, history, row, best_step):
    """Draws a metric over the training.

    Args:
        metric: String.
        history: List of (step, value, error) by step, not empty, see `results.read_history`.
        row: `results.Row` of the metric, for the levels of recordings and noise, or None.
        best_step: Integer, that of the best checkpoint, or None.

    Returns:
        `Curve`.
    """
    levels = _only_numbers({"real": row.floor, "white": row.noise, "coloured": row.matched_noise} if row else {})
    steps = [step for step, _, _ in history]
    across = _Axis.of(steps, may_be_log=False)
    up = _Axis.of([*(value for _, value, _ in history), *levels.values()])
    x = across.to_pixels(Curve.left + 6, Curve.right - 6)
    y = up.to_pixels(Curve.bottom - 6, Curve.top + 6)
    band = [(step, value - (error or 0)) for step, value, error in history]
    band += [(step, value + (error or 0)) for step, value, error in reversed(history)]
    return Curve(
        value_ticks=[(y(value), value) for value in up.ticks()],
        step_ticks=[(x(step), step) for step in across.ticks(whole=True)],
        levels={kind: y(value) for kind, value in levels.items()},
        best=x(best_step) if best_step in steps else None,
        band=[(x(step), min(max(y(value), Curve.top), Curve.bottom)) for step, value in band],
        points=[(x(step), y(value), f"step {step}: {measured(value, error)}") for step, value, error in history],
        label=f"{metric} over {len(history)} checkpoints, at step {steps[-1]} {measured(*history[-1][1:])}",
    )


def number(value):
    """Formats a number to three digits; what is none, None or NaN, is a dash."""
    if not _is_number(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def measured(value, error):
    """Formats a value and its error, to the first digit of the error."""
    if not _is_number(value) or not _is_number(error) or not error:
        return number(value)
    if error < 1e-4:
        return f"{value:.3g} ± {error:.1g}"
    digits = max(0, -math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


@dataclasses.dataclass(frozen=True)
class _Axis:
    """A scale of a drawing, linear or logarithmic.

    Attributes:
        lowest, highest: Floats, its ends.
        is_log: Boolean.
    """

    lowest: float
    highest: float
    is_log: bool

    @classmethod
    def of(cls, values, may_be_log=True):
        """Returns the scale that holds all values."""
        lowest, highest = min(values, default=0), max(values, default=1)
        if may_be_log and lowest > 0 and highest > _LOG_RATIO * lowest:
            return cls(lowest, highest, True)
        # A single value lies in the middle.
        half = 0 if highest > lowest else abs(highest) / 2 or 0.5
        return cls(lowest - half, highest + half, False)

    def to_pixels(self, first, last):
        """Returns a function of a value to its place between two pixels."""
        scale = math.log if self.is_log else float
        lowest, highest = scale(self.lowest), scale(self.highest)

        def place(value):
            # What is below the axis lies at its end: on a logarithmic scale an error as large as the value would
            # reach down without end.
            return first + (last - first) * (scale(max(value, self.lowest)) - lowest) / (highest - lowest)

        return place

    def ticks(self, whole=False):
        """Returns round values on the axis; whole numbers if `whole`."""
        if self.is_log:
            locator = LogLocator(subs=(1,) if self.highest > 1000 * self.lowest else (1, 3))
        else:
            locator = MaxNLocator(4, integer=whole, steps=[1, 2, 5, 10])
        return [x for x in locator.tick_values(self.lowest, self.highest) if self.lowest <= x <= self.highest]


def _only_numbers(values):
    return {kind: value for kind, value in values.items() if _is_number(value)}


def _is_number(value):
    return value is not None and math.isfinite(value)
