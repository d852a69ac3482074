"""A classifier of slices: a small convolutional network on log-mel spectrograms, its training and its files.

    classifier.json      labels, sample rate, slice length, channels, accuracy on the test set
    weights.npz          the network's weights by name
    probabilities.npz    what it says of real slices: test and train, float32 [n, labels] each
    confusion.png        a matrix of the test set

The network is built in code from classifier.json, and weights are plain arrays: nothing in the folder is executed.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import time
import zipfile

import keras
import numpy as np

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import Meter, StatusLine, Timer, clock
from wavegan_asmr.sound import plots

_BATCH = 64
_MAX_EPOCHS, _LEAST_BATCHES = 40, 20
# An epoch may be 20 batches, too few for the default of 0.99.
_MOMENTUM = 0.9
_LEARNING_RATE, _STOP_AFTER, _LEAST_GAIN = 2e-3, 10, 1e-3
_MOST_VALIDATED, _MOST_TRAIN_PROBABILITIES = 2000, 5000
_SHIFT, _GAIN_DB, _NOISE_DB = 0.1, (-6, 6), (-80, -40)


class Classifier:
    """A network from slices to probabilities of labels, untrained at first.

    Args:
        labels: List of at least two strings.
        sample_rate_hz: Integer.
        slice_len: Integer, samples.
        channels: Integer.

    Attributes:
        network: `keras.Model` from float32 `[n, slice_len, channels]` to float32 `[n, labels]`, probabilities.
    """

    def __init__(self, labels, sample_rate_hz, slice_len, channels):
        self.labels = labels
        self.sample_rate_hz, self.slice_len, self.channels = sample_rate_hz, slice_len, channels
        self.network = build_network(len(labels), sample_rate_hz, slice_len, channels)

    @property
    def digest(self):
        """Digest of labels and weights, a string."""
        weights = [weight.numpy().tobytes() for weight in self.network.weights]
        return hashlib.sha256(b"".join([json.dumps(self.labels).encode(), *weights])).hexdigest()

    def probabilities(self, x):
        """Returns the probabilities of labels, float32 `[n, labels]`, for float32 `[n, slice_len, channels]`."""
        batches = [self.network.predict_on_batch(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
        return np.concatenate(batches)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A classifier as its folder keeps it.

    Attributes:
        classifier: `Classifier`.
        test_accuracy: Float in [0, 1].
        test, train: float32 `[n, labels]`, probabilities of real slices in random order.
    """

    classifier: Classifier
    test_accuracy: float
    test: np.ndarray
    train: np.ndarray


def build_network(labels, sample_rate_hz, slice_len, channels):
    """Builds the network: 64 mel bands (window of 32 to 64 ms, a quarter of it a hop), four convolutions, softmax.

    Args:
        labels: Integer, how many.
        sample_rate_hz: Integer.
        slice_len: Integer, samples.
        channels: Integer.

    Returns:
        `keras.Model`, see `Classifier`.
    """
    layers = keras.layers
    # A power of two of at least 32 ms, in four hops; short slices at high rates have less.
    window_len = min(1 << (sample_rate_hz * 32 // 1000 - 1).bit_length(), slice_len // 8)
    log_mel = layers.MelSpectrogram(
        fft_length=window_len,
        sequence_stride=window_len // 4,
        sampling_rate=sample_rate_hz,
        num_mel_bins=64,
        mag_exp=2.0,
        min_power=1e-5,
        # It would be relative to the loudest slice of the batch.
        top_db=1e3,
        name="log_mel",
    )
    audio_in = keras.Input([slice_len, channels])
    x = keras.ops.stack([log_mel(audio_in[:, :, channel]) for channel in range(channels)], axis=-1)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="level")(x)
    for number, filters in enumerate((16, 32, 64, 128)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"norm_{number}")(x)
        x = layers.MaxPooling2D(2, padding="same")(layers.ReLU()(x))
    # The mean hears textures, the maximum events.
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(0.3)(x)
    return keras.Model(audio_in, layers.Dense(labels, activation="softmax", name="labels")(x))


def train(folder, config, labelled):
    """Trains a classifier, tests it, writes its files and prints its accuracy for each label.

    Args:
        folder: Path-like; it is made if it is not there.
        config: `Config` of the labelled recordings; it also says the seed and --train_max_secs.
        labelled: `labelling.Labelled`.

    Returns:
        `Trained`.

    Raises:
        OSError: The folder cannot be written.
    """
    start_s = time.monotonic()
    # Whether it can be written is better known before the training than after it.
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    labels = labelled.labels
    sizes = (part.per_epoch for part in (labelled.train, labelled.validation, labelled.test))
    print(f"labels    {len(labels)}: {', '.join(labels[:20])}{', ...' if len(labels) > 20 else ''}")
    print("slices    {} to learn from, {} to validate, {} to test on".format(*sizes), flush=True)
    keras.utils.set_random_seed(config.train_seed)
    classifier = Classifier(labels, config.data_sample_rate, config.data_slice_len, config.data_num_channels)
    _fit(classifier, labelled.train, labelled.validation, config.train_seed, config.train_max_secs)

    probabilities, truth = _classify(classifier, labelled.test, "test slices")
    counts = np.zeros([len(labels), len(labels)], np.int64)
    np.add.at(counts, (truth, probabilities.argmax(axis=1)), 1)
    of_train, _ = _classify(classifier, labelled.train, "training slices", _MOST_TRAIN_PROBABILITIES)
    # They come label by label, and the splits of an inception score must be alike.
    shuffled = [np.random.default_rng(config.train_seed).permutation(each) for each in (probabilities, of_train)]
    trained = Trained(classifier, float(counts.trace() / counts.sum()), *shuffled)
    save(folder, trained, counts)
    width = max(map(len, labels))
    for label, row, right in zip(labels, counts, counts.diagonal()):
        print(f"  {label:<{width}}  {right / row.sum():6.1%}  {right} of {row.sum()}")
    print(f"accuracy  {trained.test_accuracy:.2%} of {counts.sum()} test slices, {time.monotonic() - start_s:.0f} s")
    print(f"saved to  {os.path.abspath(folder)}, matrix in {os.path.join(folder, 'confusion.png')}")
    return trained


def save(folder, trained, counts):
    """Writes the files of a classifier; classifier.json comes last and makes it whole.

    Args:
        folder: Path-like.
        trained: `Trained`.
        counts: int64 `[labels, labels]`, test slices by true and by predicted label.
    """
    classifier = trained.classifier
    path = os.path.join(folder, "classifier.json")
    if os.path.exists(path):
        os.unlink(path)
    with _replacing(folder, "weights.npz") as file:
        np.savez(file, **{weight.path: weight.numpy() for weight in classifier.network.weights})
    with _replacing(folder, "probabilities.npz") as file:
        np.savez(file, test=trained.test, train=trained.train)
    title = f"{trained.test_accuracy:.1%} of {counts.sum()} test slices"
    with _replacing(folder, "confusion.png") as file:
        file.write(plots.png(plots.confusion_matrix(counts, classifier.labels, title)))
    facts = {
        "labels": classifier.labels,
        "sample_rate_hz": classifier.sample_rate_hz,
        "slice_len": classifier.slice_len,
        "channels": classifier.channels,
        "test_accuracy": trained.test_accuracy,
        "test_accuracies": dict(zip(classifier.labels, (counts.diagonal() / counts.sum(axis=1)).tolist())),
    }
    with _replacing(folder, "classifier.json") as file:
        file.write((json.dumps(facts, indent=2) + "\n").encode())


def load(folder):
    """Loads a classifier.

    Args:
        folder: Path-like.

    Returns:
        `Trained`.

    Raises:
        UserError: There is none, or its files are damaged.
    """
    try:
        with open(os.path.join(folder, "classifier.json"), encoding="utf-8") as file:
            facts = json.load(file)
        classifier = Classifier(*(facts[name] for name in ("labels", "sample_rate_hz", "slice_len", "channels")))
        with np.load(os.path.join(folder, "weights.npz"), allow_pickle=False) as weights:
            for weight in classifier.network.weights:
                weight.assign(weights[weight.path])
        with np.load(os.path.join(folder, "probabilities.npz"), allow_pickle=False) as probabilities:
            real = [np.reshape(probabilities[name], [-1, len(classifier.labels)]) for name in ("test", "train")]
        return Trained(classifier, float(facts["test_accuracy"]), *real)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"no classifier in {os.fspath(folder)!r}: {os.path.basename(error.filename)} is missing. Train one with: "
            "classifier.py train FOLDER --data_dir LABELLED"
        ) from error
    except (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the classifier in {os.fspath(folder)!r} is damaged: {' '.join(str(error).split())[:200]}. "
            "Train it again with classifier.py train."
        ) from error


def augment(x, random):
    """Shifts, amplifies and disturbs slices at random, as recordings of the same sound differ.

    Each is moved by up to a tenth of its length (zeros come in), by up to 6 dB, and gets white noise of -80 to -40 dB
    relative to full scale.

    Args:
        x: float32 `[n, samples, channels]`.
        random: `numpy.random.Generator`.

    Returns:
        float32 `[n, samples, channels]`.
    """
    n, samples, _ = x.shape
    most = int(_SHIFT * samples)
    padded = np.pad(x, [[0, 0], [most, most], [0, 0]])
    shifted = np.stack(
        [clip[start : start + samples] for clip, start in zip(padded, random.integers(2 * most + 1, size=n))]
    )
    gains, noises = (10 ** (random.uniform(*range_db, [n, 1, 1]) / 20) for range_db in (_GAIN_DB, _NOISE_DB))
    return (gains * shifted + noises * random.standard_normal(x.shape)).astype(np.float32)


@contextlib.contextmanager
def _replacing(folder, name):
    with storage.replace_atomically(os.path.join(folder, name)) as temporary, open(temporary, "wb") as file:
        yield file


def _fit(classifier, train_part, validation, seed, max_s):
    """Trains until the loss on the validation part no longer falls, and takes the weights of its lowest."""
    start_s = time.monotonic()
    network = classifier.network
    per_epoch = max(_LEAST_BATCHES, -(-train_part.per_epoch // _BATCH))
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, _MAX_EPOCHS * per_epoch)
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    best_loss, best_weights, worse = np.inf, network.get_weights(), 0
    line = StatusLine(sys.stderr)
    timer, news = Timer(line.interval_s), ""
    try:
        for number in range(_MAX_EPOCHS * per_epoch):
            x, y = train_part.read(number * _BATCH, _BATCH)
            loss = network.train_on_batch(augment(x, np.random.default_rng([seed, number])), y)
            epoch, place = divmod(number + 1, per_epoch)
            elapsed_s = time.monotonic() - start_s
            is_over = 0 < max_s <= elapsed_s
            if timer.is_due():
                left_s = elapsed_s * (_MAX_EPOCHS * per_epoch / (number + 1) - 1)
                left_s = min(left_s, max_s - elapsed_s) if max_s else left_s
                line.show(f"epoch {epoch}  loss {float(loss):.3f}{news}  ETA {clock(max(0, left_s))} at most")
            if place and not is_over:
                continue
            validation_loss, accuracy = _validate(classifier, validation)
            news = f"  validation loss {validation_loss:.3f}, accuracy {accuracy:.1%}"
            if validation_loss < best_loss - _LEAST_GAIN:
                best_loss, best_weights, worse = validation_loss, network.get_weights(), 0
            else:
                worse += 1
            if is_over or worse == _STOP_AFTER:
                break
    finally:
        line.close()
    network.set_weights(best_weights)
    print(
        f"learned   {epoch} epochs in {time.monotonic() - start_s:.0f} s, validation loss {best_loss:.3f}", flush=True
    )


def _validate(classifier, validation):
    """Cross entropy and accuracy of one epoch."""
    losses, right = [], []
    for x, label in validation.batches(_BATCH, _MOST_VALIDATED):
        probabilities = classifier.probabilities(x)
        losses.extend(-np.log(np.maximum(probabilities[:, label], 1e-7)))
        right.extend(probabilities.argmax(axis=1) == label)
    return float(np.mean(losses)), float(np.mean(right))


def _classify(classifier, part, what, most=None):
    """Classifies the slices of one epoch: float32 `[n, labels]`, and int64 `[n]`, places of their labels."""
    probabilities, truth = [], []
    with Meter(f"classifying {what}", min(part.per_epoch, most or part.per_epoch)) as meter:
        for x, label in part.batches(_BATCH, most):
            probabilities.append(classifier.probabilities(x))
            truth.extend([label] * len(x))
            meter.advance(len(x))
    return np.concatenate(probabilities), np.array(truth)
