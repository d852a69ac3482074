"""The page of a listening test: markup, style and script in one file, which may do nothing but play clips beside it.

What it knows of the test stands in it as JSON:

    {"test", "seed", "seconds", "trials": [[NAME of a clip, ...], ...], "key": BASE64}

with {"sounds": [name, ...], "trials": [[index of a sound, ...], ...]} in the key: a glance at the source does not tell
what is what, and it is no secret.
"""

import base64
import hashlib
import importlib.resources
import json

import jinja2

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."), autoescape=True, undefined=jinja2.StrictUndefined
)


def build(test, seed, seconds, names, trials):
    """Makes the page.

    Args:
        test: String, what tells it from others.
        seed: Integer.
        seconds: Float, the length of a clip.
        names: List of strings, of the sounds.
        trials: List of `making.Trial`.

    Returns:
        String, HTML.
    """
    key = json.dumps({"sounds": names, "trials": [trial.sounds for trial in trials]})
    known = {
        "test": test,
        "seed": seed,
        "seconds": seconds,
        "trials": [trial.clips for trial in trials],
        "key": base64.b64encode(key.encode()).decode(),
    }
    style, script = _read("page.css"), _read("page.js")
    return _TEMPLATES.get_template("page.html.jinja").render(
        known=json.dumps(known),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        trials=len(trials),
        sounds=len(names),
        minutes=max(1, round(2 * len(trials) * len(names) * seconds / 60)),
    )


def _read(name):
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text):
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
