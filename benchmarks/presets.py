"""An iteration of a preset and what its parts cost, of this checkout and of another one beside it."""

import dataclasses
import importlib
import os
import sys

from benchmarks import common
from benchmarks.common import Contestant, timed
from benchmarks.contestants import PRECISIONS, iterations
from wavegan_asmr.errors import UserError

WITHOUT = {
    "genr_texture": {"wavegan_genr_texture": 0.0},
    "genr_noise": {
        "wavegan_genr_noise": False,
        "wavegan_genr_noise_relative": False,
        "wavegan_genr_noise_pulses": False,
    },
    "disc_phaseshuffle": {"wavegan_disc_phaseshuffle": 0},
}
"""Parts of an iteration -> the settings that leave them out."""

WHOLE, ALONE = "whole", "networks alone"
VARIANTS = {
    WHOLE: {},
    **{f"without {part}": settings for part, settings in WITHOUT.items()},
    ALONE: {name: value for settings in WITHOUT.values() for name, value in settings.items()},
}
"""What is measured -> the settings that differ from the preset's."""

_OURS, _THEIRS = "project", "against"
_HEADER = (
    "preset, channels, slice",
    "what",
    "checkout",
    "s / iteration",
    "best",
    "x other",
    "units",
    "peak memory, GB",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        preset: String.
        channels, slice_len: Integers, or None for those that each checkout's preset has.
        precision: String, see `contestants.PRECISIONS`.
    """

    preset: str
    channels: int | None
    slice_len: int | None
    precision: str

    @property
    def name(self):
        return ", ".join([self.preset, *(str(each) if each else "its own" for each in (self.channels, self.slice_len))])


def race(case, checkout, rounds, turn_s):
    """Measures all `VARIANTS` of a case by turns.

    Args:
        case: `Case`.
        checkout: Path of another checkout of this project to measure too, or "".
        rounds, turn_s: See `common.race`.

    Returns:
        Dict of (checkout's name, variant) to `common.Outcome`.
    """
    settings = dataclasses.asdict(case)
    places = {_OURS: None} | ({_THEIRS: checkout} if checkout else {})
    racing = [
        Contestant(f"{name}, {variant}", training, settings | {"variant": variant, "checkout": place})
        for variant in VARIANTS
        for name, place in places.items()
    ]
    outcomes = common.race(racing, rounds, turn_s, f"train_step, {case.name}")
    return {tuple(name.split(", ")): outcome for name, outcome in outcomes.items()}


def table(results):
    """Returns the Markdown table of a dict of `Case` to what `race` returned.

    A unit is an iteration of the networks alone, of the other checkout where there is one.
    """
    rows = []
    for case, outcomes in results.items():
        unit = outcomes.get((_THEIRS, ALONE)) or outcomes[_OURS, ALONE]
        for (checkout, variant), outcome in outcomes.items():
            other = outcomes.get((_THEIRS, variant)) if checkout == _OURS else None
            units = common.ratio(unit, outcome)
            rows.append(
                [
                    case.name,
                    variant,
                    checkout,
                    f"{outcome.median():.3f}",
                    f"{outcome.best():.3f}",
                    common.ratio(outcome, other),
                    f"{units:.2f}",
                    outcome.peak_memory_bytes / 1e9,
                ]
            )
    return common.table(_HEADER, rows)


def draw(results):
    """Draws a dict of `Case` to what `race` returned: a `matplotlib.figure.Figure`."""
    groups = [f"{case.name}\n{variant}" for case in results for variant in VARIANTS]
    names = dict.fromkeys(name for outcomes in results.values() for name, _ in outcomes)
    series = {
        name: [outcomes[name, variant].median() for outcomes in results.values() for variant in VARIANTS]
        for name in names
    }
    return common.bars(groups, series, "seconds", "One iteration (less is better)")


def training(preset, channels, slice_len, precision, variant, checkout):
    """Turns of iterations of a preset with constant recordings, as `train` runs them; see `Case` and `race`."""
    make_trainer, config_module, choose_strategy = _import(checkout)
    settings = dict(config_module.PRESETS[preset])
    # A checkout without bands has no such function either.
    if slice_len and "wavegan_bands" in settings:
        settings = config_module.preset_settings(preset, slice_len)
    settings |= {"data_slice_len": slice_len} if slice_len else {}
    settings |= {"data_num_channels": channels} if channels else {}
    settings |= {"train_precision": PRECISIONS[precision]}
    # A checkout from before a part has no setting that leaves it out.
    known = {field.name for field in dataclasses.fields(config_module.Config)}
    settings |= {name: value for name, value in VARIANTS[variant].items() if name in known}
    config = config_module.Config(preset=preset, **settings)
    # Some iterations have a penalty, others not.
    return timed(iterations(make_trainer(config, choose_strategy())), repeats=config.wavegan_gp_every)


def _import(checkout):
    """Imports what trains from a checkout, or from this one.

    Returns:
        Function of a config and a strategy that makes a trainer, the module of the settings, and the function that
        chooses the strategy.
    """
    if checkout:
        for name in [name for name in sys.modules if name.split(".")[0] in ("wavegan_asmr", "wavegan", "loader")]:
            del sys.modules[name]
        sys.path.insert(0, os.path.abspath(checkout))
    if checkout and not os.path.isdir(os.path.join(checkout, "wavegan_asmr")):
        # From before there was a package.
        importlib.import_module("cli").start_tensorflow()
        trainer = importlib.import_module("trainer")
        return trainer.Trainer, importlib.import_module("config"), trainer.choose_strategy
    importlib.import_module("wavegan_asmr.command_line.run").start_tensorflow()
    loop = importlib.import_module("wavegan_asmr.training.loop")
    family_of = importlib.import_module("wavegan_asmr.families").family_of

    def make_trainer(config, strategy):
        return family_of(config).make_trainer(family_of(config).settle(config, {}), strategy)

    return make_trainer, importlib.import_module("wavegan_asmr.config"), loop.choose_strategy


def check_checkout(path):
    """Raises UserError unless a path is "" or a checkout of this project."""
    if path and not os.path.isfile(os.path.join(path, "train_wavegan.py")):
        raise UserError(f"--against must be a checkout of this project, with its train_wavegan.py. Received: {path!r}.")
