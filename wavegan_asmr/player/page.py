"""The page that plays trained models for ever: one HTML file, which works from anywhere and without a network.

It is built from player/, all but the models, which are put in here:

    <script type="application/json" id="models">[HEADER, ...]</script>
    <script type="text/plain" class="weights" id="weights-0">BASE64</script>         one a model, float16

HEADER is what `packing.pack` says of a model; "sha256", the digest of its weights as they stand here; and where a model
begins with something that is held "begin", {label, measures}: a weight a label, or null, and a place or null a measure.
"""

import base64
import dataclasses
import hashlib
import importlib.resources
import json

import numpy as np

from wavegan_asmr import output_place, storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.player import packing
from wavegan_asmr.rendering.courses import FADERS, Steering
from wavegan_asmr.train_dir import TrainDir

ENDING = ".html"

_PLACE = b"<!-- models -->"


def write(paths, out, checkpoint=None, overwrite=False, asked=None):
    """Writes the page into a file.

    Args:
        paths: List of path-likes, TRAIN_DIRs or shared models, in the order in which the page shows them.
        out: Path-like, the file, which ends in .html.
        checkpoint: Integer, `BEST` or None for the newest, of each model.
        overwrite: Boolean, whether the file may be replaced.
        asked: `RenderSettings`, whose labels and faders the models begin with, or None.

    Raises:
        UserError: There is no such checkpoint, a model cannot be played in a page or does not listen to what is asked,
            or the file cannot be made.
        OSError: It cannot be written.
    """
    if not str(out).lower().endswith(ENDING):
        raise UserError(f"the page must be a file that ends in {ENDING}. Received: {str(out)!r}.")
    # Before the models, which take their time.
    output_place.check(str(out), 0, overwrite)
    page = build(paths, checkpoint, asked)
    with storage.replacing(out) as file:
        file.write(page)
    print(f"page      {words.printable(out)}: {len(page) / 1e6:.1f} MB", flush=True)


def build(paths, checkpoint=None, asked=None):
    """Makes the page.

    Args:
        paths, checkpoint, asked: See `write`.

    Returns:
        Bytes.

    Raises:
        UserError: There is no such checkpoint, or a model cannot be played in a page or does not listen to what is
            asked.
    """
    # Before the models, which take their time.
    begins = [_begin(path, asked) if asked else {} for path in paths]
    packed = [_pack(path, checkpoint) for path in paths]
    return fill([(header | begin, weights) for (header, weights), begin in zip(packed, begins)])


def _begin(path, asked):
    """Returns what a model begins with, part of its header."""
    for fader in FADERS:
        text = getattr(asked, fader)
        if text and not _is_place(text):
            raise UserError(
                f"--{fader} of a page must be a number from 0 to 1, which is held. Received: {text[:100]!r}."
            )
    config = TrainDir(path).read_config()
    # With a length, so that labels without times are read, and refused here.
    steering = Steering(config, dataclasses.replace(asked, seconds=1.0), path)
    if steering.is_moving:
        raise UserError(f"--label of a page must be one label or mix, which is held. Received: {asked.label[:100]!r}.")
    nothing = np.full(config.wavegan_latent_dim + config.given_dim, np.nan)
    places = [None if np.isnan(each) else each for each in steering.set(nothing, 0).tolist()]
    given, labels = places[config.wavegan_latent_dim :], len(config.label_names)
    if set(given) <= {None}:
        return {}
    return {"begin": {"label": given[:labels] if asked.label else None, "measures": given[labels:]}}


def _is_place(text):
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _pack(path, checkpoint):
    generator = Generator(TrainDir(path), checkpoint)
    print(f"packing   {words.printable(path)}, step {generator.step}", flush=True)
    return packing.pack(generator)


def fill(models):
    """Puts models into the page.

    Args:
        models: List of pairs of a header and weights, see `packing.pack`.

    Returns:
        Bytes.
    """
    names = _distinct([header["name"] for header, _ in models])
    headers = [
        header | {"name": name, "sha256": hashlib.sha256(weights).hexdigest()}
        for name, (header, weights) in zip(names, models)
    ]
    # A name must not end the element.
    text = json.dumps(headers, allow_nan=False).replace("<", "\\u003c")
    elements = [f'<script type="application/json" id="models">{text}</script>'.encode()]
    for number, (_, weights) in enumerate(models):
        head = f'<script type="text/plain" class="weights" id="weights-{number}">'.encode()
        elements.append(head + base64.b64encode(weights) + b"</script>")
    before, after = _read().split(_PLACE)
    return before + b"\n".join(elements) + after


def _read():
    """Returns the page without models."""
    return importlib.resources.files(__package__).joinpath("player.html").read_bytes()


def _distinct(names):
    """Returns names of which those that come again are numbered: rain, fire, rain 2."""
    return [name if name not in names[:k] else f"{name} {names[: k + 1].count(name)}" for k, name in enumerate(names)]
