"""Trained generators: from a TRAIN_DIR or a shared model to clips, whatever the family."""

import functools
import hashlib
import os

import numpy as np
import tensorflow as tf

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of, generator_file
from wavegan_asmr.train_dir import BEST, SHARED, TrainDir, variables_by_name

_FIXED = 0x7A


class Generator:
    """A trained generator, the averaged one where there is one.

    Args:
        train_dir: `TrainDir`, or one that is a shared model.
        checkpoint: Integer, `BEST`, or None for the newest that can be read; of a shared model the only one.
        precision: String, Keras dtype policy.

    Attributes:
        train_dir: `TrainDir`.
        config: `Config`.
        family: `families.family.Family`.
        network: `keras.Model`, see `Family.build_generator`.
        step: Integer, of the checkpoint.

    Raises:
        UserError: There is no such checkpoint, or config.json is missing; or the file of a shared model is damaged.
    """

    def __init__(self, train_dir, checkpoint=None, precision="float32"):
        self.train_dir = train_dir
        if train_dir.is_shared:
            self._load_shared(checkpoint, precision)
        elif checkpoint == BEST:
            self._load_best(precision)
        else:
            self._load(train_dir, checkpoint, precision)

    def _load_best(self, precision):
        best = self.train_dir.read_best()
        if not best:
            raise UserError(
                f"no best checkpoint yet in {self.train_dir.path!r}. Evaluate first: wavegan evaluate TRAIN_DIR"
            )
        while True:
            try:
                self._load(TrainDir(self.train_dir.join(BEST)), best.step, precision)
                return
            except UserError:
                # Another process may have replaced it since it was looked up.
                before, best = best, self.train_dir.read_best()
                if best in (None, before):
                    raise

    def _load_shared(self, checkpoint, precision):
        """Builds the network of a shared model, and reads its weights."""
        path = self.train_dir.join(SHARED)
        self.step, digest = generator_file.read_facts(path)
        if checkpoint not in (None, self.step):
            raise UserError(
                f"{self.train_dir} is a shared model, which holds step {self.step} alone; leave out --checkpoint. "
                f"Received: {checkpoint}."
            )
        self._build(self.train_dir, precision)
        generator_file.read_into(path, self.network)
        if self.digest != digest:
            raise UserError(f"{words.printable(path)} is damaged: its weights are not those that were shared.")

    def _build(self, source, precision):
        """Builds the network of a `TrainDir`."""
        self.config = source.read_config()
        self.family = family_of(self.config)
        self.family.check_memory(self.config)
        self.network = self.family.build_generator(self.config, precision)

    def _load(self, source, checkpoint, precision):
        """Builds the network of a `TrainDir`, and restores a checkpoint of it."""
        self._build(source, precision)
        part = self.family.generator_part(self.config)
        variables = {part: variables_by_name(self.network.variables)}
        self.step = source.restore(tf.train.Checkpoint(**variables), checkpoint)

    @functools.cached_property
    def digest(self):
        """Digest of the weights, a string: what identifies the checkpoint, wherever it lies."""
        digest = hashlib.sha256()
        for weight in self.network.get_weights():
            digest.update(np.ascontiguousarray(weight))
        return digest.hexdigest()

    def draw(self, random, n, truncation=1.0, temperature=1.0):
        """Draws inputs at random, see `Family.draw`."""
        return self.family.draw(self.config, random, n, truncation, temperature)

    @functools.cached_property
    def _graph(self):
        return tf.function(lambda inputs: self.network(inputs, training=False))

    def generate(self, inputs):
        """Makes clips of one batch by a graph that is built once a batch size.

        Args:
            inputs: Array `[n, *shape]`, see `Family.input_spec`.

        Returns:
            float32 array `[n, samples, channels]`.
        """
        return self._graph(tf.constant(inputs)).numpy()

    def clips(self, inputs, batch_size):
        """Makes clips of many inputs, see `generate_clips`."""
        return generate_clips(self.network, inputs, batch_size)


def generate_clips(network, inputs, batch_size):
    """Makes clips of many inputs, a batch at a time.

    Args:
        network: `keras.Model`, see `Family.build_generator`.
        inputs: Array `[n, *shape]`, see `Family.input_spec`.
        batch_size: Integer, which bounds the memory it takes.

    Returns:
        float32 array `[n, samples, channels]`.
    """
    batches = [inputs[i : i + batch_size] for i in range(0, len(inputs), batch_size)]
    return np.concatenate([network(batch, training=False).numpy() for batch in batches])


def fixed_inputs(train_dir, n):
    """Returns the first n fixed inputs of a TRAIN_DIR, array `[n, *shape]`; preview/z.npy keeps them.

    Args:
        train_dir: `TrainDir`.
        n: Integer.

    Raises:
        UserError: z.npy belongs to another model or is damaged.
    """
    path, config = train_dir.join("preview", "z.npy"), train_dir.read_config()
    family = family_of(config)
    shape, dtype = family.input_spec(config)
    try:
        inputs = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        inputs = np.zeros([0, *shape], dtype)
    except Exception as error:
        # NumPy reads the header as Python, so a damaged one may raise anything.
        raise UserError(
            f"{words.printable(path)} cannot be read: {words.reason(error)}. Delete it to have it made again."
        ) from error
    is_array = isinstance(inputs, np.ndarray)
    if not is_array or inputs.shape[1:] != tuple(shape) or inputs.ndim != 1 + len(shape):
        received = list(inputs.shape) if is_array else "an archive"
        wanted = f"[n{''.join(f', {size}' for size in shape)}]"
        raise UserError(f"{words.printable(path)} must be {wanted}. Received: {received}.")
    if inputs.dtype.kind != np.dtype(dtype).kind or not np.isfinite(inputs).all():
        raise UserError(
            f"{words.printable(path)} must hold finite numbers, {dtype}. Received: {inputs.dtype}. Delete it to have "
            "it made again."
        )
    if len(inputs) < n:
        # Row k depends on the seed and k alone, so more rows leave the first as they are.
        more = family.draw(config, np.random.default_rng([config.train_seed, _FIXED]), n)
        inputs = np.concatenate([inputs, more[len(inputs) :]])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with storage.replacing(path) as file:
            np.save(file, inputs, allow_pickle=False)
    return inputs[:n].astype(dtype)
