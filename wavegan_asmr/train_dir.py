"""The training directory as a contract: config.json and checkpoints; what builds networks of them is in `families`.

    config.json             every setting, written by `train`, read by every other verb
    checkpoint, ckpt-*      resumable state: both networks, both optimisers, averaged generator, step
    events.out.tfevents.*   TensorBoard
    preview/                z.npy (fixed inputs of the generator), real.wav, STEP.wav, STEP.png
    infer/                  the generator alone, a SavedModel
    backup/                 copies by `backup`, each a training directory
    best/                   the best checkpoint by Fréchet distance, a training directory, and best.json, its score
    eval/, metrics.jsonl    what `evaluate` measured
    report/                 the same to look at and listen to

A checkpoint maps names of variables to values, `generator/upconv_0/kernel`, not the object graph of a library,
so it outlives changes of code. TensorFlow is imported only by what needs it.
"""

import contextlib
import dataclasses
import json
import math
import os
import re
import shutil
import sys
import tempfile
import time

from wavegan_asmr import storage
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError

BEST = "best"
"""In place of a step: the best checkpoint."""

_POLL_S = 2.0
_CHECKPOINT = re.compile(r"ckpt-(\d+)\.index")
_COPIED = ("config.json", os.path.join("preview", "z.npy"), os.path.join("preview", "real.wav"))


@dataclasses.dataclass(frozen=True)
class Best:
    """What best.json says of the best checkpoint.

    Attributes:
        step: Integer.
        frechet_distance: Float, its score.
        evaluation: String, digest of what the score depends on, see `evaluation.results.Result`.
    """

    step: int
    frechet_distance: float
    evaluation: str = ""

    def __post_init__(self):
        if not math.isfinite(self.frechet_distance) or self.step < 0:
            raise UserError(f"step and frechet_distance must be finite. Received: {self}.")


class TrainDir:
    """A training directory.

    Args:
        path: Path-like; it need not exist yet.
    """

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def __str__(self):
        return self.path

    def join(self, *names):
        """Returns a path below the directory."""
        return os.path.join(self.path, *names)

    def create(self):
        """Makes the directory.

        Raises:
            UserError: It is a file, or cannot be written.
        """
        try:
            os.makedirs(self.join("preview"), exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"TRAIN_DIR must be a folder. Received a file: {error.filename!r}.") from error
        except OSError as error:
            raise UserError(f"TRAIN_DIR cannot be written: {error.strerror}. Received: {self.path!r}.") from error

    @contextlib.contextmanager
    def lock(self):
        """Context in which no other training can use the directory.

        A training that was refused before it wrote its config.json leaves an empty folder.

        Raises:
            UserError: Another training does.
        """
        import filelock

        lock = filelock.FileLock(self.join(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise UserError(f"another training is running in {self.path!r}; stop it first.") from error
        try:
            yield
        finally:
            if not self.has_config:
                with contextlib.suppress(OSError):
                    os.unlink(lock.lock_file)
                    os.rmdir(self.join("preview"))
            lock.release()

    @property
    def has_config(self):
        """Whether config.json is there."""
        return os.path.exists(self.join("config.json"))

    def read_config(self):
        """Reads config.json.

        Returns:
            `Config`.

        Raises:
            UserError: It is not there or not valid.
        """
        try:
            with open(self.join("config.json"), encoding="utf-8") as file:
                return Config.from_json(file.read())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"no config.json in {self.path!r}: not a training directory. "
                "Begin one with: train_wavegan.py train TRAIN_DIR --data_dir FOLDER"
            ) from error
        except UserError as error:
            raise UserError(f"{self.join('config.json')}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.join('config.json')} cannot be read: {error}") from error

    def write_config(self, config):
        """Writes config.json."""
        storage.write_text(self.join("config.json"), config.to_json())

    def steps(self):
        """Returns the steps of the whole checkpoints, oldest first."""
        try:
            names = set(os.listdir(self.path))
        except OSError:
            return []
        steps = (int(match[1]) for match in map(_CHECKPOINT.fullmatch, names) if match)
        return sorted(step for step in steps if f"ckpt-{step}.data-00000-of-00001" in names)

    def checkpoint_path(self, step):
        """Returns the path of the checkpoint of a step, as TensorFlow names it (without ending)."""
        return self.join(f"ckpt-{step}")

    def checkpoint_files(self, step):
        """Returns the paths of the files of a checkpoint, the index last: it makes a checkpoint whole."""
        path = self.checkpoint_path(step)
        return [f"{path}.data-00000-of-00001", f"{path}.index"]

    def mark_newest(self):
        """Writes the `checkpoint` file, which tells TensorFlow's own tools what checkpoints there are."""
        import tensorflow as tf

        names = [f"ckpt-{step}" for step in self.steps()]
        tf.compat.v1.train.update_checkpoint_state(self.path, names[-1], names)

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

        temporary = None
        try:
            temporary = tempfile.mkdtemp(dir=self.path, prefix=".saving-")
            checkpoint.write(os.path.join(temporary, f"ckpt-{step}"))
            for path in self.checkpoint_files(step):
                written = os.path.join(temporary, os.path.basename(path))
                with open(written, "rb") as file:
                    os.fsync(file.fileno())
                os.replace(written, path)
            self.mark_newest()
        except (tf.errors.OpError, OSError) as error:
            reason = error.message if isinstance(error, tf.errors.OpError) else error.strerror
            newest = self.steps()
            kept = f"The checkpoint of step {newest[-1]} is whole" if newest else "There is no earlier checkpoint"
            raise UserError(
                f"cannot save the checkpoint of step {step} in {self.path!r}: {reason}. {kept}; make room and run "
                "the same command again to go on."
            ) from error
        finally:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
        for old in self.steps()[:-keep]:
            self._delete(old)
        self.mark_newest()

    def _delete(self, step):
        for path in reversed(self.checkpoint_files(step)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def copy_checkpoint(self, step, folder):
        """Copies a checkpoint into a folder, with what makes it a training directory.

        Args:
            step: Integer.
            folder: Path-like, made if it is not there.

        Returns:
            String, what is wrong with the copy (see `damage`), or None.

        Raises:
            FileNotFoundError: The training deleted the checkpoint meanwhile.
            OSError: It cannot be written.
        """
        os.makedirs(os.path.join(folder, "preview"), exist_ok=True)
        for path in self.checkpoint_files(step):
            storage.copy(path, folder)
        for name in _COPIED:
            with contextlib.suppress(FileNotFoundError):
                storage.copy(self.join(name), os.path.dirname(os.path.join(folder, name)))
        copy = TrainDir(folder)
        copy.mark_newest()
        return copy.damage(step)

    def read_best(self):
        """Returns what `keep_best` stored, a `Best`, or None where there is no best checkpoint.

        Raises:
            UserError: best.json is damaged.
        """
        best = TrainDir(self.join(BEST))
        try:
            stored = storage.read_json(best.join("best.json"), Best)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"{best.join('best.json')} cannot be read: {error.strerror}.") from error
        except UserError as error:
            raise UserError(f"{error}; delete {best.path!r} and evaluate again.") from error
        return stored if stored.step in best.steps() else None

    def keep_best(self, stored):
        """Copies a checkpoint to best/ in place of the one there.

        A crash leaves the one there or the new one: best.json says which, and is replaced at once.

        Args:
            stored: `Best`, its step that of a checkpoint of this directory.

        Returns:
            Boolean, False where the checkpoint is damaged or the training has deleted it; best/ is as it was then.

        Raises:
            OSError: It cannot be written.
        """
        step, best = stored.step, TrainDir(self.join(BEST))
        try:
            if self.copy_checkpoint(step, best.path):
                best._delete(step)
                return False
        except FileNotFoundError:
            return False
        self.mark_best(stored)
        for other in set(best.steps()) - {step}:
            best._delete(other)
        best.mark_newest()
        return True

    def mark_best(self, stored):
        """Writes best.json, a `Best`: which checkpoint in best/ is the best."""
        storage.write_text(self.join(BEST, "best.json"), json.dumps(dataclasses.asdict(stored)))

    def sweep(self):
        """Deletes what a killed training left half-written or half-deleted."""
        whole = {path for step in self.steps() for path in self.checkpoint_files(step)}
        for name in os.listdir(self.path):
            if name.startswith(".saving-"):
                shutil.rmtree(self.join(name), ignore_errors=True)
            elif name.startswith("ckpt-") and self.join(name) not in whole:
                os.unlink(self.join(name))

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
                status = checkpoint.read(self.checkpoint_path(candidate))
                if not partly:
                    status.assert_existing_objects_matched()
                status.expect_partial()
                return candidate
            except (tf.errors.OpError, AssertionError, LookupError, ValueError, RuntimeError) as error:
                damaged.add(candidate)
                if candidate in self.steps():
                    reason = " ".join(str(error).split())[:200]
                    print(f"the checkpoint of step {candidate} is damaged and left out: {reason}", file=sys.stderr)
        raise UserError(f"no checkpoint in {self.path!r} can be read; restore one from backup/.")

    def damage(self, step):
        """Reads all of a checkpoint; returns what is wrong with it, or None."""
        import tensorflow as tf

        try:
            reader = tf.train.load_checkpoint(self.checkpoint_path(step))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
            return " ".join(str(error).split())[:200]
        return None

    def choose(self, checkpoint=None, every=False, watch=False):
        """Yields the checkpoints to work on, one by one as they come.

        Args:
            checkpoint: Integer, `BEST` or None for the newest: the one to work on, unless `every`.
            every: Boolean, every checkpoint that is there, oldest first.
            watch: Boolean, go on with those that come, without end: with each if `every`, else with the newest.

        Yields:
            Integer, `BEST` or None for the newest, as `checkpoint`.
        """
        seen = set(self.steps())
        if every:
            for step in sorted(seen):
                # A training may have deleted it meanwhile.
                if step in self.steps():
                    yield step
        if (seen and not every) or not (seen or watch):
            yield checkpoint
        if watch:
            print("waiting for checkpoints; Ctrl-C ends", flush=True)
        while watch:
            time.sleep(_POLL_S)
            new = [step for step in self.steps() if step not in seen]
            seen.update(new)
            yield from new if every else [None] * bool(new)


def variables_by_name(variables):
    """Returns what a checkpoint stores: a dict of name ("upconv_0/kernel") to `tf.Variable`."""
    named = {variable.path: variable.value for variable in variables}
    assert len(named) == len(variables), "two variables of one name would share a value"
    return named
