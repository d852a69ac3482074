"""Which checkpoints of a training a verb works on."""

import dataclasses

from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting
from wavegan_asmr.train_dir import BEST


@dataclasses.dataclass(frozen=True)
class CheckpointSettings(Settings):
    """Which one, or which ones."""

    checkpoint: str = setting("newest", "newest, best (kept by evaluate) or a step.")
    all: bool = setting(False, "Every checkpoint instead of the newest.")
    watch: bool = setting(False, "Go on with each new checkpoint until Ctrl-C.")


@dataclasses.dataclass(frozen=True)
class EverySettings(CheckpointSettings):
    """Every one, if no other is asked for."""

    checkpoint: str | None = setting(None, "newest, best (kept by evaluate) or a step; default: every checkpoint.")


ONE = (CheckpointSettings, ("checkpoint",))
"""The flag of verbs that work on one checkpoint."""


def read(flags, kind=CheckpointSettings):
    """Returns the checkpoints that flags ask for: the keyword arguments of `TrainDir.choose`.

    Args:
        flags: `Flags`, with some of a kind of settings.
        kind: `CheckpointSettings` or `EverySettings`.

    Raises:
        UserError: It is no checkpoint, or flags exclude each other.
    """
    settings, given = flags.read(kind), flags.given(kind)
    if ("checkpoint" in given) + settings.all + settings.watch > 1:
        raise UserError("--checkpoint, --all and --watch exclude each other; give one of them.")
    is_named = settings.checkpoint is not None
    checkpoint = parse(settings.checkpoint) if is_named else None
    return {"checkpoint": checkpoint, "every": settings.all or not is_named, "watch": settings.watch}


def parse(text):
    """Reads the value of --checkpoint.

    Args:
        text: String: "newest", "best" or a step.

    Returns:
        None, `BEST` or an integer, as `families.generators.Generator` takes it.

    Raises:
        UserError: It is none of them.
    """
    if text == BEST:
        return BEST
    if text == "newest":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise UserError(f"--checkpoint must be newest, best or a step. Received: {text[:80]!r}.")
    return int(text)
