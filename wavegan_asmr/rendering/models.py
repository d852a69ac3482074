"""Trained generators, and what a manifest keeps to find the same ones again."""

import dataclasses

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import BEST, TrainDir

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
        return cls(str(generator.train_dir), generator.step, generator.digest)


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


def load_again(identity, precision):
    """Loads what an `Identity` names: from the TRAIN_DIR, or from its best/ where it is kept longer.

    Args:
        identity: `Identity`.
        precision: String, Keras dtype policy.

    Returns:
        `families.generators.Generator`.

    Raises:
        UserError: The checkpoint has gone or changed.
    """
    path, step = identity.train_dir, identity.step
    best = TrainDir(path).read_best()
    is_only_best = best and best.step == step not in TrainDir(path).steps()
    generator = load(path, precision, BEST if is_only_best else step)
    if generator.digest != identity.digest:
        raise UserError(
            f"the checkpoint of step {step} in {path!r} is not the one that was rendered; put it back from a backup."
        )
    return generator
