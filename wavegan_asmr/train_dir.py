"""The training directory as a contract: config.json and checkpoints; what builds networks of them is in `families`.

    config.json             every setting, written by `train`, read by every other verb
    recordings.json         digests of the recordings that were learned from
    forms.json              the forms of convolutions that are fastest on this machine
    checkpoint, ckpt-*      resumable state: both networks, both optimisers, averaged generator, step
    events.out.tfevents.*   TensorBoard
    preview/                z.npy (fixed inputs of the generator), real.wav, STEP.wav, STEP.png
    infer/                  the generator alone, a SavedModel
    backup/                 copies by `backup`, each a training directory
    best/                   the best checkpoint by Fréchet distance, a training directory, and best.json, its score
    eval/, metrics.jsonl    what `evaluate` measured
    report/                 the same to look at and listen to
    .lock, .best.lock       held by the training, and by whoever replaces the best checkpoint; readers need none

A model to share is such a directory with generator.safetensors in place of checkpoints: what generates takes it.

A checkpoint maps names of variables to values, `generator/upconv_0/kernel`, not the object graph of a library,
so it outlives changes of code. TensorFlow is imported only by what needs it.
"""

import contextlib
import dataclasses
import filecmp
import functools
import json
import math
import os
import re
import shutil
import tempfile
import time

from wavegan_asmr import storage, words
from wavegan_asmr.checkpoint_folder import CheckpointFolder
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError

BEST = "best"
"""In place of a step: the best checkpoint."""

SHARED = "generator.safetensors"
"""The file that makes a folder a shared model."""

_POLL_S = 2.0
_COPIED = (
    "config.json",
    "recordings.json",
    "forms.json",
    os.path.join("preview", "z.npy"),
    os.path.join("preview", "real.wav"),
)
_FOLDERS = ("", "preview", "best", "eval", "report", "backup")
_TEMPORARY = re.compile(
    r"\.(saving|best|infer|pairs|checkpoint|(config|recordings|forms|best)\.json|index\.html|z\.npy|real\.wav"
    r"|recordings-[0-9]+\.npz|confusion-[0-9]+\.png|[0-9]+(-[^/]*)?(\.wav|\.png)?)\.[0-9a-f]{8}"
)
"""Temporaries of `storage` for what is written in these folders."""

_EARLIER = re.compile(r"\.(infer|pairs)-[a-z0-9_]{8}")
_EARLIER_SAVING = re.compile(r"\.saving-[a-z0-9_]{8}")
"""Temporary folders of earlier versions."""

_delete_folder = functools.partial(shutil.rmtree, ignore_errors=True)


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


class TrainDir(CheckpointFolder):
    """A training directory.

    Args:
        path: Path-like; it need not exist yet.
    """

    def create(self):
        """Makes the directory.

        Raises:
            UserError: It is a file or a shared model, or cannot be written.
        """
        self.refuse_shared()
        preview = self.join("preview")
        try:
            os.makedirs(self.path, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(preview)
            # A training that is refused may delete it at this moment; os.makedirs would take that for a file.
            with contextlib.suppress(FileNotFoundError):
                os.listdir(preview)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"TRAIN_DIR must be a folder. Received a file: {error.filename!r}.") from error
        except OSError as error:
            raise UserError(f"TRAIN_DIR cannot be written: {words.reason(error)}. Received: {self.path!r}.") from error

    @contextlib.contextmanager
    def lock(self):
        """Context in which no other training can use the directory.

        A training that was refused before it wrote its config.json leaves an empty folder.

        Raises:
            UserError: Another training does.
        """
        path = self.join(".lock")
        with storage.hold(path, f"another training is running in {self.path!r}; stop it first."):
            try:
                # A training that was refused may have deleted what was made before.
                self.create()
                yield
            finally:
                if not self.has_config:
                    with contextlib.suppress(OSError):
                        os.rmdir(self.join("preview"))
                    # Last: whoever gets a new lock makes the folder anew.
                    with contextlib.suppress(OSError):
                        os.unlink(path)

    @property
    def is_shared(self):
        """Whether it is a shared model: a generator without what training needs."""
        return os.path.isfile(self.join(SHARED))

    def refuse_shared(self):
        """Refuses a shared model where a training is needed.

        Raises:
            UserError: It is one.
        """
        if self.is_shared:
            raise UserError(
                f"{self.path!r} is a shared model, a generator alone: it can be neither trained nor fine-tuned nor "
                "backed up. Name a TRAIN_DIR."
            )

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
            raise UserError(f"{words.printable(self.join('config.json'))}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = words.reason(error)
            raise UserError(f"{words.printable(self.join('config.json'))} cannot be read: {reason}") from error

    def write_config(self, config):
        """Writes config.json."""
        storage.write_text(self.join("config.json"), config.to_json())

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
        best, before = TrainDir(self.join(BEST)), None
        while True:
            try:
                stored = storage.read_json(best.join("best.json"), Best)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                path = words.printable(best.join("best.json"))
                raise UserError(f"{path} cannot be read: {words.reason(error)}.") from error
            except UserError as error:
                raise UserError(f"{error}; delete {best.path!r} and evaluate again.") from error
            if stored.step in best.steps():
                return stored
            # Another process may have replaced it since it was read.
            if stored == before:
                return None
            before = stored

    def keep_best(self, candidate, measure_again=None):
        """Copies a checkpoint to best/ in place of the one there, if it scores better.

        Processes that do so at the same time take turns. A crash leaves the one there or the new one: best.json says
        which, and is replaced at once.

        Args:
            candidate: `Best`, its step that of a checkpoint of this directory.
            measure_again: Function of the `Best` there, whose score is of another evaluation, to its score in that of
                the candidate, a float, or to None where it cannot be used; or None where there is only one evaluation.

        Returns:
            Boolean, False where the one there is as good, where the checkpoint is damaged or the training has deleted
            it, or where this is a shared model; best/ is as it was then.

        Raises:
            UserError: It cannot be written; or best.json is damaged.
        """
        import filelock

        if self.is_shared:
            return False
        best = TrainDir(self.join(BEST))
        try:
            with filelock.FileLock(self.join(".best.lock")):
                there = self.read_best()
                score = there and there.frechet_distance
                if there and there.evaluation != candidate.evaluation and measure_again:
                    score = measure_again(there)
                    if score is not None:
                        self._mark_best(Best(there.step, score, candidate.evaluation))
                if score is not None and score <= candidate.frechet_distance:
                    return False
                return self._replace_best(candidate, best, there)
        except OSError as error:
            raise UserError(
                f"cannot keep the best checkpoint: {words.reason(error)}. Received: {best.path!r}."
            ) from error

    def _replace_best(self, candidate, best, there):
        """Copies a checkpoint to the `TrainDir` best in place of that of `there`, a `Best` or None, see `keep_best`."""
        with storage.temporary_folder(best.path) as folder:
            try:
                if self.copy_checkpoint(candidate.step, folder):
                    return False
            except FileNotFoundError:
                return False
            copy = TrainDir(folder)
            os.makedirs(best.join("preview"), exist_ok=True)
            for name in filter(lambda name: os.path.exists(copy.join(name)), _COPIED):
                os.replace(copy.join(name), best.join(name))
            pairs = [*zip(copy.checkpoint_files(candidate.step), best.checkpoint_files(candidate.step))]
            is_same_step = there and there.step == candidate.step
            if not (is_same_step and all(filecmp.cmp(*pair, shallow=False) for pair in pairs)):
                if is_same_step:
                    # Two files are not replaced at once: until both are, there is none.
                    os.unlink(best.join("best.json"))
                for pair in pairs:
                    os.replace(*pair)
        self._mark_best(candidate)
        best.keep_only([candidate.step])
        best.mark_newest()
        return True

    def _mark_best(self, stored):
        """Writes best.json: which checkpoint in best/ is the best."""
        storage.write_text(self.join(BEST, "best.json"), json.dumps(dataclasses.asdict(stored)))

    def sweep(self):
        """Deletes what a killed training left half-written or half-deleted, and the rest as `sweep_temporaries`."""
        self.keep_only(self.steps())
        _sweep(self.path, _EARLIER_SAVING, _delete_folder)
        self.sweep_temporaries()

    def sweep_temporaries(self):
        """Deletes what killed processes were about to write in the directory; that of the living stays."""
        for folder in map(self.join, _FOLDERS):
            _sweep(folder, _TEMPORARY, storage.delete_temporary)
            _sweep(folder, _EARLIER, _delete_folder)

    def choose(self, checkpoint=None, every=False, watch=False):
        """Yields the checkpoints to work on, one by one as they come.

        Args:
            checkpoint: Integer, `BEST` or None for the newest: the one to work on, unless `every`.
            every: Boolean, every checkpoint that is there, oldest first.
            watch: Boolean, go on with those that come, without end: with each if `every`, else with the newest.

        Yields:
            Integer, `BEST` or None for the newest, as `checkpoint`.

        Raises:
            UserError: Checkpoints of a shared model are waited for.
        """
        if watch and self.is_shared:
            raise UserError(f"{self.path!r} is a shared model, to which no checkpoints come; leave out --watch.")
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


def _sweep(folder, names, delete):
    """Deletes what is in a folder under some names, a regular expression; `delete` is a function of a path."""
    with contextlib.suppress(OSError):
        for name in filter(names.fullmatch, os.listdir(folder)):
            delete(os.path.join(folder, name))


def variables_by_name(variables):
    """Returns what a checkpoint stores: a dict of name ("upconv_0/kernel") to `tf.Variable`."""
    named = {variable.path: variable.value for variable in variables}
    assert len(named) == len(variables), "two variables of one name would share a value"
    return named
