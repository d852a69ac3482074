"""A folder of checkpoints: each is whole or not there, and a damaged one is left out.

TensorFlow is imported only by what needs it.
"""

import contextlib
import os
import re
import sys

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.tensorflow_paths import plain_folder

_ENDINGS = ("data-00000-of-00001", "index")
_CHECKPOINT = re.compile(rf"ckpt-(0|[1-9][0-9]*)\.({'|'.join(_ENDINGS)})")


class CheckpointFolder:
    """A folder of checkpoints.

    Args:
        path: Path-like; it need not exist yet.

    Raises:
        UserError: The path is empty.
    """

    def __init__(self, path):
        # It would come to the current folder.
        if not os.fspath(path):
            raise UserError("TRAIN_DIR must name a folder. Received: ''.")
        self.path = os.path.abspath(path)

    def __str__(self):
        return words.printable(self.path)

    def join(self, *names):
        """Returns a path below the directory."""
        return os.path.join(self.path, *names)

    def steps(self):
        """Returns the steps of the whole checkpoints, oldest first."""
        endings = {}
        for _, step, ending in self._files():
            endings.setdefault(step, set()).add(ending)
        return sorted(step for step, found in endings.items() if len(found) == len(_ENDINGS))

    def _files(self):
        """Returns what files of checkpoints are there, whole or not: list of (path, step, ending)."""
        try:
            with os.scandir(self.path) as entries:
                matches = [_CHECKPOINT.fullmatch(entry.name) for entry in entries if entry.is_file()]
        except OSError:
            return []
        return [(self.join(match[0]), int(match[1]), match[2]) for match in matches if match]

    def checkpoint_path(self, step):
        """Returns the path of the checkpoint of a step, as TensorFlow names it (without ending)."""
        return self.join(f"ckpt-{step}")

    def checkpoint_files(self, step):
        """Returns the paths of the files of a checkpoint, the index last: it makes a checkpoint whole."""
        return [f"{self.checkpoint_path(step)}.{ending}" for ending in _ENDINGS]

    def mark_newest(self):
        """Writes the `checkpoint` file, which tells TensorFlow's own tools what checkpoints there are."""
        steps = self.steps()
        lines = [f'model_checkpoint_path: "ckpt-{steps[-1]}"']
        lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in steps]
        storage.write_text(self.join("checkpoint"), "\n".join(lines) + "\n")

    def save(self, checkpoint, step, keep):
        """Saves a checkpoint under its final name once it is whole, and deletes old ones.

        Args:
            checkpoint: `tf.train.Checkpoint`.
            step: Integer.
            keep: Integer >= 1, checkpoints to keep.

        Raises:
            UserError: It cannot be written (disk full, say); earlier checkpoints are as they were.
        """
        import tensorflow as tf

        try:
            with storage.temporary_folder(self.join("saving")) as temporary:
                with plain_folder(temporary) as folder:
                    checkpoint.write(os.path.join(folder, f"ckpt-{step}"))
                for path in self.checkpoint_files(step):
                    written = os.path.join(temporary, os.path.basename(path))
                    with open(written, "rb") as file:
                        os.fsync(file.fileno())
                    os.replace(written, path)
            self.mark_newest()
        except (tf.errors.OpError, OSError) as error:
            newest = self.steps()
            kept = f"The checkpoint of step {newest[-1]} is whole" if newest else "There is no earlier checkpoint"
            raise UserError(
                f"cannot save the checkpoint of step {step} in {self.path!r}: {words.reason(error)}. {kept}; make room "
                "and run the same command again to go on."
            ) from error
        self.keep_only(self.steps()[-keep:])
        self.mark_newest()

    def keep_only(self, steps):
        """Deletes all files of checkpoints of other steps, their indices first."""
        for path, step, _ in sorted(self._files(), key=lambda found: found[2], reverse=True):
            if step not in steps:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def set_aside(self, step):
        """Renames a damaged checkpoint, so that its step can be saved again."""
        for path in reversed(self.checkpoint_files(step)):
            os.replace(path, self.join(f"damaged-{os.path.basename(path)}"))

    def restore(self, checkpoint, step=None, partly=False):
        """Restores the newest checkpoint that can be read, or the one of a step.

        A damaged checkpoint is named on stderr, and the one before it is taken.

        Args:
            checkpoint: `tf.train.Checkpoint`; all it holds is restored, the file may hold more.
            step: Integer or None for the newest.
            partly: Boolean, leave alone what the file does not hold.

        Returns:
            Integer, the step restored.

        Raises:
            UserError: There is no such checkpoint, or none can be read.
        """
        import tensorflow as tf

        steps = self.steps()
        if not steps:
            raise UserError(f"no checkpoint yet in {self.path!r}. Train first, or wait for the first save.")
        if step is not None and step not in steps:
            raise UserError(f"no checkpoint of step {step}. Received: {step}; there are {steps}.")
        damaged = set()
        # A training may save and delete meanwhile, so look again each time.
        while candidates := [each for each in self.steps() if each not in damaged and step in (None, each)]:
            candidate = candidates[-1]
            try:
                with plain_folder(self.path) as folder:
                    status = checkpoint.read(os.path.join(folder, f"ckpt-{candidate}"))
                    if not partly:
                        status.assert_existing_objects_matched()
                    status.expect_partial()
                return candidate
            except (tf.errors.OpError, AssertionError, LookupError, ValueError, RuntimeError) as error:
                damaged.add(candidate)
                if candidate in self.steps():
                    reason = words.reason(error)
                    print(f"the checkpoint of step {candidate} is damaged and left out: {reason}", file=sys.stderr)
        raise UserError(f"no checkpoint in {self.path!r} can be read; restore one from backup/.")

    def damage(self, step):
        """Reads all of a checkpoint; returns what is wrong with it, or None."""
        import tensorflow as tf

        try:
            with plain_folder(self.path) as folder:
                reader = tf.train.load_checkpoint(os.path.join(folder, f"ckpt-{step}"))
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
        except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
            return words.reason(error)
        return None
