"""Trained generators, and what a manifest keeps to find the same ones again."""

import contextlib
import dataclasses
import os

from wavegan_asmr import named_models, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import generator_file
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import BEST, SHARED, TrainDir

_MOST_CHANNELS = 2


@dataclasses.dataclass(frozen=True)
class Identity:
    """What identifies a checkpoint.

    Attributes:
        train_dir: String.
        step: Integer.
        digest: String, of the weights.
    """

    train_dir: str
    step: int
    digest: str

    @classmethod
    def of(cls, generator):
        """Returns the identity of a `families.generators.Generator`."""
        return cls(generator.train_dir.path, generator.step, generator.digest)


def load(path, precision, checkpoint=None):
    """Loads a checkpoint.

    Args:
        path: Path-like, TRAIN_DIR.
        precision: String, Keras dtype policy.
        checkpoint: Integer, `BEST` or None for the newest.

    Returns:
        `families.generators.Generator`.

    Raises:
        UserError: There is none, or it makes more than two channels.
    """
    generator = Generator(TrainDir(path), checkpoint, precision)
    channels = generator.config.data_num_channels
    if channels > _MOST_CHANNELS:
        raise UserError(f"a model must have one or two channels. Received: {generator.train_dir} has {channels}.")
    return generator


def load_again(identities, precision, source, moved=()):
    """Loads what a manifest names: from the TRAIN_DIRs, or from their best/ where it is kept longer.

    Where there is no such TRAIN_DIR any more, a model that comes with the project is taken if it is the same.

    Args:
        identities: Sequence of `Identity`.
        precision: String, Keras dtype policy.
        source: String, the manifest, for messages.
        moved: Sequence of path-likes, where the TRAIN_DIRs are now, in the manifest's order: all of them, or those that
            are no longer where they were.

    Returns:
        List of `families.generators.Generator`.

    Raises:
        UserError: A checkpoint has gone or changed; names the manifest, the TRAIN_DIR and the step.
    """
    places = _places(identities, moved)
    return [
        _load_again(each, places[each.train_dir], precision, f"{words.printable(source)}: models[{number}]")
        for number, each in enumerate(identities)
    ]


def _places(identities, moved):
    """Returns where TRAIN_DIRs are now, a dict of path to path."""
    gone = [path for path in dict.fromkeys(each.train_dir for each in identities) if not TrainDir(path).has_config]
    places = {each.train_dir: (each.train_dir in gone and _find_named(each)) or each.train_dir for each in identities}
    if not moved:
        return places
    for wanted in (list(places), gone):
        if len(moved) == len(wanted):
            return places | dict(zip(wanted, moved))
    wanted = " and ".join(map(repr, gone or places))
    raise UserError(f"--train_dir must name what is now in place of {wanted}. Received: {', '.join(map(repr, moved))}.")


def _find_named(identity):
    """Returns the path of the model that comes with the project and is the same, or None; a clone may have moved."""
    for path in named_models.find_all().values():
        with contextlib.suppress(UserError):
            if generator_file.read_facts(os.path.join(path, SHARED)) == (identity.step, identity.digest):
                return path
    return None


def _load_again(identity, path, precision, model):
    """Loads one; `model` says which of which manifest it is."""
    step, train_dir = identity.step, TrainDir(path)
    try:
        best = train_dir.read_best()
        is_only_best = best and best.step == step not in train_dir.steps()
        generator = load(path, precision, BEST if is_only_best else step)
    except UserError as error:
        if train_dir.has_config:
            raise UserError(f"{model}: {error}") from error
        raise UserError(
            f"{model}: no training directory in {train_dir.path!r}; if it has moved, name it as it is now with "
            "--train_dir."
        ) from error
    if generator.digest != identity.digest:
        raise UserError(
            f"{model}: the checkpoint of step {step} in {path!r} is not the one that was rendered; put it back from a "
            "backup, or name another place with --train_dir."
        )
    return generator
