"""The card of a model to share, README.md: what it is, in words and, before them, in YAML that model hubs read."""

import dataclasses
import json
import os
import re

import jinja2

from wavegan_asmr import words
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.model_facts import UNKNOWN, sources_of
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.progress import clock

SOURCES = "SOURCES"
"""The file beside recordings that says where they come from and what their licences are."""

_MOST_SOURCES_BYTES = 1 << 20
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."),
    # It is text, not HTML.
    autoescape=False,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
# JSON is YAML.
_TEMPLATES.filters |= {"json": json.dumps, "number": lambda value: "" if value is None else f"{value:.4g}"}


def check_license(text):
    """Returns a licence as hubs write it.

    Args:
        text: String, such as "CC-BY-4.0", or "" where it is not stated.

    Raises:
        UserError: It is no identifier.
    """
    text = text.lower() or UNKNOWN
    if not _LICENSE.fullmatch(text):
        raise UserError(f"--license must be an identifier, such as cc-by-4.0 or mit. Received: {text[:80]!r}.")
    return text


def read_sources(data_dir):
    """Reads what stands beside recordings on where they come from.

    Args:
        data_dir: String, a folder of recordings, or one recording, of which its own lines alone are taken where the
            file has lines FILE: ... of single ones, see `model_facts.sources_of`.

    Returns:
        String, "" where there is nothing.

    Raises:
        UserError: The file is too large or cannot be read.
    """
    if not data_dir:
        return ""
    is_folder = os.path.isdir(data_dir)
    path = os.path.join(data_dir if is_folder else os.path.dirname(data_dir), SOURCES)
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_SOURCES_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
    if len(text) > _MOST_SOURCES_BYTES:
        raise UserError(f"{words.printable(path)} must be at most 1 MB of text; it goes into the card.")
    lines = text.decode("utf-8", "replace").splitlines()
    text = "\n".join(words.printable(line.expandtabs(4)) for line in lines).strip("\n")
    return text if is_folder else sources_of(text, words.printable(os.path.basename(data_dir)))


def write(generator, name, dtype, facts, sounds, picture):
    """Writes the card.

    Args:
        generator: `families.generators.Generator`.
        name: String, of the model.
        dtype: String, of the weights in the file.
        facts: `model_facts.Facts`.
        sounds: List of strings, files beside the card.
        picture: String, likewise.

    Returns:
        String, Markdown.
    """
    config = generator.config
    data_set = words.printable(os.path.basename(config.data_dir.rstrip(os.sep))).replace("`", "'")
    recordings = facts.recordings and {"count": facts.recordings, "length": clock(round(facts.seconds))}
    return _TEMPLATES.get_template("model_card.md.jinja").render(
        name=words.printable(name),
        name_in_shell=words.shell(name),
        dtype=dtype,
        tags=["audio", "audio-generation", "tensorflow", "keras", config.family],
        family_words=generator.family.words,
        config=config,
        channels=words.channels(config.data_num_channels),
        data_set=data_set,
        recordings=recordings,
        is_one=os.path.isfile(config.data_dir),
        facts=facts,
        trained=facts.trained_s and clock(round(facts.trained_s)),
        step=generator.step,
        parameters=generator.network.count_params(),
        settings=_settings(generator),
        sounds=sounds,
        picture=picture,
        labels=[f"`{words.printable(name).replace('`', '')}`" for name in config.label_names],
        faders=[f"`--{MEASURES[name].fader}`" for name in config.data_conditions],
    )


def _settings(generator):
    """Returns the settings that decide what was learned and are not the defaults: list of (name, value)."""
    config = generator.config
    return [
        (field.name, getattr(config, field.name))
        for field in dataclasses.fields(Config)
        if field.metadata["kind"] in ("model", "training")
        and not field.metadata["is_path"]
        and getattr(config, field.name) != field.default
    ]
