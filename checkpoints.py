"""Which checkpoints of a training a script works on: the flags, and the loop over them."""

import time

from absl import flags

import cli
from errors import UserError

_POLL_S = 2.0

_FLAGS = {
    "checkpoint": (flags.DEFINE_string, "newest", "newest, best (kept by evaluate.py) or a step."),
    "all": (flags.DEFINE_bool, False, "Every checkpoint instead of the newest."),
    "watch": (flags.DEFINE_bool, False, "Go on with each new checkpoint until Ctrl-C."),
}


def define_flags(*names):
    """Defines those named of --checkpoint, --all and --watch, as key flags of the main script."""
    for name in names:
        define, default, text = _FLAGS[name]
        cli.define_flag(define, name, default, text)


def read_flag():
    """Returns what --checkpoint asks for, as `TrainDir.load_generator` takes it.

    Raises:
        UserError: It is no checkpoint, or --all or --watch ask for something else.
    """
    from train_dir import parse_checkpoint

    values = flags.FLAGS
    if values["checkpoint"].present + values.all + values.watch > 1:
        raise UserError("--checkpoint, --all and --watch exclude each other; give one of them.")
    return parse_checkpoint(values.checkpoint)


def iterate(train_dir, checkpoint=None, every=False, watch=False):
    """Yields the checkpoints to work on, one by one as they come, as `TrainDir.load_generator` takes them.

    Args:
        train_dir: `TrainDir`.
        checkpoint: None for the newest, `train_dir.BEST` or a step.
        every: Boolean, every checkpoint that is there, oldest first.
        watch: Boolean, the newest, and each new one without end.
    """
    if every:
        for step in train_dir.steps() or [None]:
            # A training may have deleted it meanwhile.
            if step is None or step in train_dir.steps():
                yield step
        return
    seen = train_dir.steps()[-1:]
    if seen or not watch:
        yield checkpoint
    if watch:
        print("waiting for checkpoints; Ctrl-C ends", flush=True)
    while watch:
        time.sleep(_POLL_S)
        newest = train_dir.steps()[-1:]
        if newest and newest != seen:
            seen = newest
            yield None
