"""Models that come with the project, found by their names: the folders of models/ beside the package.

A clone of the project has them; what is installed from a wheel has none. A path that exists beats a name, and what
holds a slash or a dot is a path.
"""

import difflib
import os
import re

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models")

_NAME = re.compile(r"[^./]+")
_MOST_NAMED = 12


def find_all():
    """Returns the models that are there, a dict of name to path, by name."""
    try:
        names = sorted(os.listdir(FOLDER))
    except OSError:
        return {}
    paths = {name: os.path.join(FOLDER, name) for name in names if _NAME.fullmatch(name)}
    return {name: path for name, path in paths.items() if TrainDir(path).is_shared and TrainDir(path).has_config}


def find(text):
    """Finds a trained model that a user has named: a path, or the name of a model that comes with the project.

    Args:
        text: String.

    Returns:
        String, a path: `text` itself where it is one.

    Raises:
        UserError: There is no model of that name; or a path of that name is no training directory and hides the model.
    """
    if os.path.lexists(text):
        if text in (models := find_all()) and not TrainDir(text).has_config:
            raise UserError(
                f"a path beats a name, and {os.path.abspath(text)!r} is no training directory; for the model give its "
                f"path, {words.shell(models[text])}. Received: {text!r}."
            )
        return text
    if not _NAME.fullmatch(text):
        return text
    if text in (models := find_all()):
        return models[text]
    try:
        TrainDir(text).read_config()
    except UserError as error:
        raise UserError(f"{error}; {_what_there_is(text, models)}") from error
    return text


def find_writable(text):
    """Finds a trained model as `find` does, for what is written into it: previews, say.

    A model that comes with the project stays as it is: it is copied into the current folder, under its name. The copy
    is a path, which beats the name from then on, and the same model.

    Args:
        text: String.

    Returns:
        String, a path.

    Raises:
        UserError: See `find`; or the copy cannot be made.
    """
    path = find(text)
    if path == text:
        return path
    copy = os.path.abspath(text)
    try:
        with storage.temporary_folder(copy) as temporary:
            new = os.path.join(temporary, "new")
            os.mkdir(new)
            for name in os.listdir(path):
                if os.path.isfile(os.path.join(path, name)):
                    storage.copy(os.path.join(path, name), new)
            # Unlike a file, a folder that has come into being meanwhile is not replaced unless it is empty.
            os.rename(new, copy)
    except OSError as error:
        raise UserError(
            f"the model {text} cannot be copied into the current folder: {words.reason(error)}. Received: {copy!r}."
        ) from error
    print(f"model     {words.printable(path)} is copied to {words.printable(copy)}", flush=True)
    return copy


def describe_none(name="NAME"):
    """Says, where no model comes with this installation, how to get one of a name."""
    return (
        f"no models come with this installation; fetch one, wavegan pull https://... {words.shell(f'./{name}')}, or "
        "take a clone of the project, which has them in models/"
    )


def _what_there_is(text, models):
    """Says which models there are by name, a dict, those with a name like a text first."""
    if not models:
        return describe_none(text)
    near = difflib.get_close_matches(text.lower(), models, n=3, cutoff=0.5)
    shown = [*near, *(name for name in models if name not in near)]
    listed = ", ".join(map(words.printable, shown[:_MOST_NAMED])) + (", ..." if len(shown) > _MOST_NAMED else "")
    guess = f" (did you mean {words.printable(near[0])}?)" if near else ""
    return f"nor is there a model of that name{guess}; there are: {listed}"
