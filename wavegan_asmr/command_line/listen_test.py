"""`wavegan listen-test`."""

import dataclasses
import os

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting

USAGE = """A blind listening test: a page on which listeners rate excerpts of sounds, and what their ratings come to.

    wavegan listen-test recording=rain.ogg model=night.flac recut=cut.flac --out test
    wavegan listen-test A.wav B.wav --out test --trials 6 --seconds 5 --seed 1
    wavegan listen-test --analyse results/*.json

Sounds are files of any format, each called NAME=FILE or by its file. Listeners open test/index.html, from the folder or
from any web server, and send the file that it saves at the end.
"""


@dataclasses.dataclass(frozen=True)
class ListenTestSettings(Settings):
    """How a listening test is made."""

    out: str = setting("", "The folder that is made.", is_path=True)
    trials: int = setting(10, "Trials, in each of which all sounds are rated.", at_least=1, at_most=100)
    seconds: float = setting(10.0, "Length of an excerpt.", unit="s", at_least=1, at_most=60)
    seed: int = setting(0, "Seed of the places of the excerpts and of the order.", at_least=0, at_most=2**31 - 1)
    control: bool = setting(
        True, "Add a trial in which all sounds are the same, which shows how exactly a listener rates."
    )
    analyse: bool = setting(False, "Analyse the files that listeners have saved, instead of making a test.")


SETTINGS = (ListenTestSettings,)


def main(arguments, flags):
    settings = flags.read(ListenTestSettings)
    if settings.analyse:
        others = [name for name in flags.given(ListenTestSettings) if name != "analyse"]
        if others:
            raise UserError(f"--analyse takes files alone; leave out {words.flags(others)}.")
        if not arguments or not all(arguments):
            raise UserError(f"--analyse takes one or more results of listeners. Received: {' '.join(arguments)!r}.")
        from wavegan_asmr.listening_tests import analysis, results

        print(analysis.describe(results.read(arguments)), flush=True)
        return
    if not settings.out:
        raise UserError("--out is missing: the folder that is made, as --out test.")
    sounds = _name(arguments)
    from wavegan_asmr.listening_tests import making

    making.make(sounds, settings.out, settings.trials, settings.seconds, settings.seed, settings.control)


def _name(arguments):
    """Returns the sounds, a dict of a name to a path."""
    sounds = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        # A name of a file may hold an equals sign, too.
        if not equals or os.path.isfile(argument):
            path, name = argument, os.path.splitext(os.path.basename(argument))[0]
        name = words.printable(name).strip()
        if not os.path.isfile(path):
            raise UserError(f"a sound must be NAME=FILE or FILE, and its file must be there. Received: {argument!r}.")
        if not name or len(name) > 100:
            raise UserError(f"a name must have 1 to 100 characters; give one, NAME=FILE. Received: {argument!r}.")
        if name in sounds:
            raise UserError(f"names must differ; give one, NAME=FILE. Received: {name!r} twice.")
        sounds[name] = path
    return sounds
