"""The page of a gallery: markup and style in one file, which may do nothing but show and play what lies beside it."""

import contextlib
import dataclasses

import jinja2

from wavegan_asmr import words
from wavegan_asmr.config import Config, preset_of, preset_settings
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import drawing, metrics
from wavegan_asmr.exchange.model_facts import UNKNOWN
from wavegan_asmr.gallery import pictures
from wavegan_asmr.presets import FROM_RECORDINGS
from wavegan_asmr.progress import clock
from wavegan_asmr.rendering import excerpts
from wavegan_asmr.training import recordings

_MINUTE_S = 60.0

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"number": drawing.number, "measured": drawing.measured}


def build(exhibits):
    """Makes the page.

    Args:
        exhibits: List of what `describe` returned.

    Returns:
        String, HTML.
    """
    return _TEMPLATES.get_template("page.html.jinja").render(
        exhibits=exhibits, width=pictures.WIDTH, height=pictures.HEIGHT
    )


def describe(exhibit, files):
    """Returns what the page shows of a case.

    Args:
        exhibit: `making.Exhibit`.
        files: Dict of "generated" and, where there is one, "recorded" to {"sound", "picture"}, addresses.

    Returns:
        Dict, see page.html.jinja.
    """
    case, config, found = exhibit.case, exhibit.generator.config, exhibit.figures
    compared = {name for name, metric in metrics.METRICS.items() if metric.is_compared}
    rows = found.rows if found else []
    recorded = exhibit.recorded
    return {
        "id": case.file,
        "title": case.title,
        "facts": _facts(exhibit),
        "files": files,
        "recorded": recorded,
        "seconds": len(exhibit.generated) / excerpts.RATE_HZ,
        "step": exhibit.generator.step,
        "highest_khz": exhibit.highest_hz / 1000,
        "figures": found,
        "rows": [row for row in rows if row.metric in compared],
        "other_rows": [row for row in rows if row.metric not in compared],
        "preset": preset_of(config),
        "settings": differing_settings(exhibit.generator),
        "license": exhibit.facts and exhibit.facts.license != UNKNOWN and exhibit.facts.license,
        "is_shared": exhibit.facts is not None,
        "sources": (recorded and recorded.sources) or (exhibit.facts and exhibit.facts.sources) or "",
    }


def differing_settings(generator):
    """Returns the settings that decide what was learned and are not those of the preset.

    Args:
        generator: `families.generators.Generator`.

    Returns:
        List of (name, value as text).
    """
    config, family = generator.config, generator.family
    usual = Config(**family.defaults | preset_settings(preset_of(config), config.data_slice_len))
    of_recordings = FROM_RECORDINGS.get(preset_of(config), ())
    usual = dataclasses.replace(usual, **{name: getattr(config, name) for name in of_recordings})
    # Some presets need other settings than their own to go with a family.
    with contextlib.suppress(UserError):
        usual = family.settle(usual, {})
    return [
        (field.name, _text(getattr(config, field.name)))
        for field in dataclasses.fields(Config)
        if field.name not in ("preset", "family")
        and field.metadata["kind"] in ("model", "training")
        and not field.metadata["is_path"]
        and getattr(config, field.name) not in (None, getattr(usual, field.name))
    ]


def _facts(exhibit):
    """Returns what a case is, a list of strings, the most telling first."""
    config, generator = exhibit.generator.config, exhibit.generator
    found = [
        f"{config.data_sample_rate / 1000:g} kHz {words.channels(config.data_num_channels)}",
        f"step {generator.step:,}",
    ]
    if exhibit.trained_s is not None:
        found.append(f"{_duration(exhibit.trained_s)} of training")
    count, seconds = _recordings(exhibit)
    if count:
        found.append(f"{count:,} recording{'s' * (count != 1)}, {clock(round(seconds))}")
    found.append(f"{generator.family.name}, {generator.network.count_params():,} weights")
    return found


def _recordings(exhibit):
    """Returns how many recordings a case has learned from, None where that is not known, and their seconds."""
    if exhibit.facts:
        return exhibit.facts.recordings, exhibit.facts.seconds
    try:
        lengths_s = recordings.lengths(exhibit.case.train_dir.path)
    except (OSError, UserError):
        return None, 0.0
    return len(lengths_s), sum(lengths_s)


def _duration(seconds):
    """Says a time of training."""
    minutes = seconds / _MINUTE_S
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 600 else f"{minutes / 60:.0f} h"


def _text(value):
    return words.printable(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
