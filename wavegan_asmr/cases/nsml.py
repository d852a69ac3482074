"""A training as a session of the platform NSML: its recordings, checkpoints, metrics, and what its commands ask for.

The platform has a module of its name, which is there and imported on its machines alone.
"""

import os

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

DEFAULT_TRAIN_DIR = "train"
"""TRAIN_DIR of sessions that name none: the platform may begin them with its own flags alone."""

_BATCH = 16
"""Clips that are made at once."""


def find_platform():
    """Returns the module of the platform, or None outside of it."""
    try:
        import nsml
    except ImportError:
        return None
    # The package that stands in for it on other machines says that it does.
    return nsml if getattr(nsml, "IS_ON_NSML", False) else None


def recordings_of(platform):
    """Returns the folder of recordings of a session, or None where it was begun without a data set.

    Args:
        platform: Module, see `find_platform`.
    """
    return os.path.join(platform.DATASET_PATH, "train") if platform.HAS_DATASET else None


class Session:
    """A session of the platform; the training tells it of checkpoints and metrics, see `training.loop.train`.

    Args:
        platform: Module, see `find_platform`.
        train_dir: `TrainDir`.
    """

    def __init__(self, platform, train_dir):
        self._platform = platform
        self._train_dir = train_dir
        self._generator = None

    def begin(self, config):
        """Binds what the platform calls, and where it has something to load, waits until it has.

        To fork a session, the platform loads a checkpoint; to submit one, it also infers. Nothing of the data set may
        be read before.

        Args:
            config: Settings with `mode`, `pause` and `iteration`, those that the platform began the session with.

        Raises:
            UserError: Nothing was loaded, or nothing would be.
        """
        if config.mode == "test" and not config.pause:
            raise UserError("--mode test infers from a checkpoint that NSML loads with --pause 1. Received: --pause 0.")
        nsml = self._platform
        nsml.bind(save=self.save, load=self.load, infer=self.infer)
        if not config.pause:
            return
        # The platform evaluates its commands in this scope, and looks there for its module and its settings.
        nsml.paused(scope=locals())
        if not self._train_dir.steps():
            raise UserError(f"NSML has loaded no checkpoint. Received: --pause 1 --iteration {config.iteration!r}.")

    def saved(self, step):
        """Has the platform save the checkpoint of a step, which is the newest one, under the name of the step."""
        self._platform.save(str(step))

    def shown(self, step, metrics):
        """Reports metrics of a step, a dict of name to float."""
        named = {f"train__{name}": float(value) for name, value in metrics.items()}
        self._platform.report(summary=True, step=step, **named)

    def save(self, folder):
        """Writes the newest checkpoint into a folder, with what makes it a TRAIN_DIR.

        Args:
            folder: Path-like.

        Raises:
            UserError: There is none, or it cannot be read.
        """
        steps = self._train_dir.steps()
        if not steps:
            raise UserError(f"no checkpoint yet in {self._train_dir.path!r} for NSML to save.")
        _copy(self._train_dir, steps[-1], folder)

    def load(self, folder):
        """Puts what `save` wrote in the place of the training in TRAIN_DIR.

        Args:
            folder: Path-like.

        Raises:
            UserError: It is no TRAIN_DIR or damaged, or a training is running.
        """
        source = TrainDir(folder)
        steps = source.steps()
        if not steps or not source.has_config:
            raise UserError(f"NSML loads a checkpoint that is not of this project. Received: {source.path!r}.")
        self._train_dir.create()
        with self._train_dir.lock():
            _copy(source, steps[-1], self._train_dir.path)
            self._train_dir.keep_only(steps[-1:])
            self._train_dir.mark_newest()
        self._generator = None
        print(f"loaded    step {steps[-1]}, by NSML", flush=True)

    def infer(self, latents):
        """Makes sounds of latents, with the newest checkpoint.

        Args:
            latents: Array `[n, *shape]`, or nested lists, what a generator of the family takes (see
                `Family.input_spec`): for GANs `[n, latent_dim]`.

        Returns:
            float32 array `[n, samples, channels]` in [-1, 1].

        Raises:
            UserError: They have another shape or are not finite, or there is no checkpoint.
        """
        import numpy as np

        from wavegan_asmr.families.generators import Generator

        if not self._generator or self._train_dir.steps()[-1:] != [self._generator.step]:
            self._generator = Generator(self._train_dir)
        shape, dtype = self._generator.family.input_spec(self._generator.config)
        wanted = f"[n{''.join(f', {size}' for size in shape)}]"
        try:
            inputs = np.asarray(latents, dtype)
        except (TypeError, ValueError) as error:
            raise UserError(f"latents must be numbers {wanted}. Received: {words.reason(error)}.") from error
        if inputs.shape[1:] != tuple(shape) or inputs.ndim != 1 + len(shape) or not len(inputs):
            raise UserError(f"latents must be {wanted}. Received: {list(inputs.shape)}.")
        if not np.isfinite(inputs).all():
            raise UserError("latents must be finite numbers.")
        return self._generator.clips(inputs, _BATCH)


def _copy(source, step, folder):
    """Copies a checkpoint of a `TrainDir` into a folder."""
    if damage := source.copy_checkpoint(step, folder):
        raise UserError(f"the checkpoint of step {step} in {source.path!r} is damaged: {damage}.")
