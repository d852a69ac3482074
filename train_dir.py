"""The training directory as a contract: config.json, checkpoints, the generator, fixed latents.

    config.json             every setting, written once by `train`, read by every other script
    checkpoint, ckpt-*      resumable state: both networks, both optimisers, averaged generator, step
    events.out.tfevents.*   TensorBoard
    preview/                z.npy (fixed latents), real.wav, STEP.wav, STEP.png
    infer/                  the generator alone, a SavedModel
    backup/                 copies by backup.py, each a training directory
    best/                   the best checkpoint by Fréchet distance, a training directory, and best.json, its score
    eval/, metrics.jsonl    what evaluate.py measured
    report/                 the same to look at and listen to

A checkpoint maps names of variables to values, `generator/upconv_0/kernel`, not the object graph of a library,
so it outlives changes of code. TensorFlow is imported only by what needs it.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import tempfile

import numpy as np

import audio
from config import Config
from errors import UserError

BEST = "best"
"""In place of a step: the best checkpoint."""

_CHECKPOINT = re.compile(r"ckpt-(\d+)\.index")
_COPIED = ("config.json", os.path.join("preview", "z.npy"), os.path.join("preview", "real.wav"))


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
        with open(self.join(".lock"), "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(f"another training is running in {self.path!r}; stop it first.") from error
            try:
                yield
            finally:
                if not self.has_config:
                    with contextlib.suppress(OSError):
                        os.unlink(file.name)
                        os.rmdir(self.join("preview"))

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
        path = self.join("config.json")
        with audio.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(config.to_json())

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
            _copy(path, folder)
        for name in _COPIED:
            with contextlib.suppress(FileNotFoundError):
                _copy(self.join(name), os.path.dirname(os.path.join(folder, name)))
        copy = TrainDir(folder)
        copy.mark_newest()
        return copy.damage(step)

    def read_best(self):
        """Returns what `keep_best` stored, a dict, or None where there is no best checkpoint."""
        try:
            with open(self.join(BEST, "best.json"), encoding="utf-8") as file:
                best = json.load(file)
            return best if TrainDir(self.join(BEST)).steps().count(best["step"]) else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def keep_best(self, step, facts):
        """Copies a checkpoint to best/ in place of the one there.

        A crash leaves the one there or the new one: best.json says which, and is replaced at once.

        Args:
            step: Integer, of a checkpoint of this directory.
            facts: Dict to store beside it.

        Returns:
            Boolean, False where the checkpoint is damaged or the training has deleted it; best/ is as it was then.

        Raises:
            OSError: It cannot be written.
        """
        best = TrainDir(self.join(BEST))
        try:
            if self.copy_checkpoint(step, best.path):
                best._delete(step)
                return False
        except FileNotFoundError:
            return False
        self.mark_best(step, facts)
        for other in set(best.steps()) - {step}:
            best._delete(other)
        best.mark_newest()
        return True

    def mark_best(self, step, facts):
        """Writes best.json: which checkpoint in best/ is the best, and facts to store beside it."""
        path = self.join(BEST, "best.json")
        with audio.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            json.dump({"step": step} | facts, file)

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

    def load_generator(self, step=None, dtype="float32"):
        """Loads the generator of a checkpoint, the averaged one where there is one.

        Args:
            step: Integer, `BEST`, or None for the newest that can be read.
            dtype: Keras dtype policy, see `wavegan.build_generator`.

        Returns:
            `keras.Model` (see `wavegan.build_generator`), and the step.

        Raises:
            UserError: There is no such checkpoint, or config.json is missing.
        """
        import tensorflow as tf

        if step == BEST:
            best = self.read_best()
            if not best:
                raise UserError(f"no best checkpoint yet in {self.path!r}. Evaluate first: evaluate.py TRAIN_DIR")
            return TrainDir(self.join(BEST)).load_generator(best["step"], dtype)
        config = self.read_config()
        generator = build_generator(config, dtype)
        name = "ema" if config.train_ema else "generator"
        step = self.restore(tf.train.Checkpoint(**{name: variables_by_name(generator.variables)}), step)
        return generator, step

    def latents(self, config, n):
        """Returns the first n fixed latent vectors, float32 `[n, latent_dim]`; z.npy keeps them.

        Raises:
            UserError: z.npy belongs to another latent dimension or is damaged.
        """
        path = self.join("preview", "z.npy")
        try:
            z = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            z = np.zeros([0, config.wavegan_latent_dim], np.float32)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path} cannot be read: {error}. Delete it to have it made again.") from error
        if z.ndim != 2 or z.shape[1] != config.wavegan_latent_dim:
            raise UserError(f"{path} must be [n, {config.wavegan_latent_dim}]. Received: {list(z.shape)}.")
        if len(z) < n:
            # Row k depends on the seed and k alone, so more rows leave the first as they are.
            random = np.random.default_rng([config.train_seed, 0x7A])
            more = random.uniform(-1, 1, [n, config.wavegan_latent_dim]).astype(np.float32)
            z = np.concatenate([z, more[len(z) :]])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with audio.replace_atomically(path) as temporary, open(temporary, "wb") as file:
                np.save(file, z, allow_pickle=False)
        return z[:n].astype(np.float32)


def parse_checkpoint(text):
    """Reads the value of --checkpoint.

    Args:
        text: String: "newest", "best" or a step.

    Returns:
        None, `BEST` or an integer, as `TrainDir.load_generator` takes it.

    Raises:
        UserError: It is none of them.
    """
    if text == BEST:
        return BEST
    if text == "newest":
        return None
    if not text.isdecimal():
        raise UserError(f"--checkpoint must be newest, best or a step. Received: {text!r}.")
    return int(text)


def variables_by_name(variables):
    """Returns what a checkpoint stores: a dict of name ("upconv_0/kernel") to `tf.Variable`."""
    named = {variable.path: variable.value for variable in variables}
    assert len(named) == len(variables), "two variables of one name would share a value"
    return named


def generate_clips(generator, z, batch_size):
    """Generates clips of many latent vectors, a batch at a time.

    Args:
        generator: `keras.Model`, see `wavegan.build_generator`.
        z: float32 `[n, latent_dim]`.
        batch_size: Integer, which bounds the memory it takes.

    Returns:
        float32 array `[n, samples, channels]`.
    """
    batches = [z[i : i + batch_size] for i in range(0, len(z), batch_size)]
    return np.concatenate([generator(batch, training=False).numpy() for batch in batches])


def build_generator(config, dtype="float32"):
    """Builds the generator of a `Config`; `dtype` is its Keras dtype policy."""
    import wavegan

    return wavegan.build_generator(
        slice_len=config.data_slice_len,
        channels=config.data_num_channels,
        latent_dim=config.wavegan_latent_dim,
        kernel_len=config.wavegan_kernel_len,
        dim=config.wavegan_dim,
        batchnorm=config.wavegan_batchnorm,
        upsample=config.wavegan_genr_upsample,
        noise=config.wavegan_genr_noise,
        relative_noise=config.wavegan_genr_noise_relative,
        post_filter_len=config.post_filter_len,
        dtype=dtype,
    )


def build_discriminator(config, dtype="float32"):
    """Builds the discriminator of a `Config`; `dtype` is its Keras dtype policy."""
    import wavegan

    return wavegan.build_discriminator(
        slice_len=config.data_slice_len,
        channels=config.data_num_channels,
        kernel_len=config.wavegan_kernel_len,
        dim=config.wavegan_dim,
        batchnorm=config.wavegan_batchnorm,
        phaseshuffle=config.wavegan_disc_phaseshuffle,
        phaseshuffle_per=config.wavegan_disc_phaseshuffle_per,
        dtype=dtype,
    )


def _copy(path, folder):
    with audio.replace_atomically(os.path.join(folder, os.path.basename(path))) as temporary:
        shutil.copyfile(path, temporary)
