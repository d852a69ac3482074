"""The command `wavegan`: which verb, its flags, and what its mistakes come to."""

import importlib
import os
import sys

from absl import flags

from wavegan_asmr.command_line import run
from wavegan_asmr.command_line.flags import Flags
from wavegan_asmr.errors import UserError

VERBS = {
    "train": ("train", "train, or go on with a training"),
    "check": ("check", "what a folder of recordings holds, and whether it can be trained on"),
    "preview": ("preview", "sounds and pictures of what a training has learned, also while it runs"),
    "generate": ("generate", "one or more trained models -> one finished sound file"),
    "models": ("models", "the models that come with the project, which verbs know by name"),
    "play": ("play", "a page in the browser that plays trained models for ever"),
    "evaluate": ("evaluate", "how good a model is, what is wrong, whether it copies; the best checkpoint"),
    "repeats": ("repeats", "how much of a long sound file comes again"),
    "listen-test": ("listen_test", "a page for blind listening tests, and what listeners' ratings come to"),
    "classify": ("classify", "train a classifier of labelled sounds"),
    "incept": ("incept", "inception score of each checkpoint, by that classifier"),
    "share": ("share", "make of a training a model to share: its generator and a card"),
    "push": ("push", "copy a training, runs or a shared model to a folder, S3, Google Cloud or Hugging Face"),
    "pull": ("pull", "fetch what was pushed, also from a web server"),
    "export": ("export", "a trained generator for other programs: ONNX, LiteRT, SavedModel, or a page that plays"),
    "infer": ("infer", "write the generator as a SavedModel, TRAIN_DIR/infer"),
    "import": ("import_reference", "take over a training of the TensorFlow 1 reference"),
    "cases": ("cases", "many trainings at once, and a page of what they make"),
    "gallery": ("gallery", "a page of recordings and what models make of them, side by side"),
    "backup": ("backup", "copy the newest checkpoint, again and again"),
}
"""Verb -> its module here, and what it does."""

_HEAD = "WaveGAN: a few minutes of recordings in, hours of sound like them out."


def main():
    """The console script `wavegan`, and `python -m wavegan_asmr`."""
    run.run(lambda: dispatch(sys.argv[1:], VERBS, "wavegan"), "wavegan")


def run_script(*verbs, takes_verb=False):
    """Runs one of the scripts at the top level.

    Args:
        verbs: Strings, the verbs of the script, see `VERBS`.
        takes_verb: Boolean, whether the verb is the first argument; else the script has one verb.
    """
    name = os.path.basename(sys.argv[0])
    if takes_verb:
        run.run(lambda: dispatch(sys.argv[1:], verbs, name), name)
    else:
        run.run(lambda: call(verbs[0], sys.argv[1:], name), name)


def dispatch(arguments, verbs, program):
    """Finds the verb among the arguments and calls it; flags may stand before it.

    Args:
        arguments: List of strings.
        verbs: Collection of strings, those that are allowed.
        program: String, its name, for help.

    Raises:
        UserError: There is no verb, or its flags are wrong.
    """
    refused = None
    for verb in arguments:
        if verb not in verbs:
            continue
        # What follows a flag may be its value, as in --data_dir train: only the verb's own flags tell.
        try:
            positional = _flags_of(verb).parse(arguments)
        except flags.Error:
            refused = refused or verb
            continue
        if positional[:1] == [verb]:
            call(verb, arguments, f"{program} {verb}", has_verb=True)
            return
    if refused:
        # Says which flag is wrong.
        call(refused, arguments, f"{program} {refused}", has_verb=True)
    if "train" in verbs and _begins_session(arguments):
        call("train", arguments, f"{program} train")
        return
    if any(argument in ("--help", "-help", "-h", "--helpfull", "--helpshort", "-?") for argument in arguments):
        run.show(_overview(verbs, program))
        return
    try:
        positional = flags.FlagValues()(["", *arguments], known_only=True)[1:]
    except flags.Error:
        positional = arguments
    words = " ".join(each for each in positional if not each.startswith("-"))
    raise UserError(f"the first argument must be one of {', '.join(verbs)}. Received: {words!r}.")


def call(verb, arguments, program, has_verb=False):
    """Parses the flags of a verb and calls it.

    Args:
        verb: String, see `VERBS`.
        arguments: List of strings.
        program: String, how it was called, for help.
        has_verb: Boolean, whether the first of the arguments that are no flags is the verb.

    Raises:
        UserError: The flags are wrong, or the verb raises it.
    """
    module, values = _module(verb), _flags_of(verb)
    try:
        positional = values.parse(["--help" if each in ("-h", "--helpfull") else each for each in arguments])
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown(verb, error)) from error
    except flags.Error as error:
        raise UserError(f"{' '.join(str(error).split())} (--help lists the flags)") from error
    if values.given().get("help"):
        run.show(f"{module.USAGE.rstrip()}\n\nFlags of {program}:\n{values.describe()}")
        return
    module.main(positional[1:] if has_verb else positional, values)


def _begins_session(arguments):
    """Whether a platform may have given the arguments, which has flags of its own and knows of no verb."""
    names = {each.lstrip("-").partition("=")[0] for each in arguments if each.startswith("-")}
    return not names.isdisjoint(Flags((_module("train").NsmlSettings,)).names)


def _module(verb):
    return importlib.import_module(f"wavegan_asmr.command_line.{VERBS[verb][0]}")


def _flags_of(verb):
    return Flags(_module(verb).SETTINGS)


def _unknown(verb, error):
    """Says of a flag that a verb does not have which verbs have it."""
    name = error.flagname
    having = [each for each in VERBS if {name, name.removeprefix("no")} & set(_flags_of(each).names)]
    if having:
        takes = "take" if len(having) > 1 else "takes"
        return (
            f"--{name} is not a flag of {verb}; {', '.join(having)} {takes} it. Leave it out (--help lists the flags)."
        )
    return f"{' '.join(str(error).split())} (--help lists the flags)"


def _overview(verbs, program):
    width = max(map(len, verbs))
    lines = [f"    {program} {verb:<{width}}  {VERBS[verb][1]}" for verb in verbs]
    return "\n".join([_HEAD, "", *lines, "", f"The flags of a verb: {program} VERB --help"])
