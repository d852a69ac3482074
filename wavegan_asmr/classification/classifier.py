"""The training of a classifier of slices."""

import os
import sys
import tempfile
import time

import keras
import numpy as np

from wavegan_asmr import words
from wavegan_asmr.classification import files
from wavegan_asmr.classification.files import Trained
from wavegan_asmr.classification.network import Classifier
from wavegan_asmr.progress import Meter, StatusLine, Timer, clock

_BATCH = 64
_MAX_EPOCHS, _LEAST_BATCHES = 40, 20
_LEARNING_RATE, _STOP_AFTER, _LEAST_GAIN = 2e-3, 10, 1e-3
_MOST_VALIDATED, _MOST_TRAIN_PROBABILITIES = 2000, 5000
_SHIFT, _GAIN_DB, _NOISE_DB = 0.1, (-6, 6), (-80, -40)


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
    shown = [words.printable(label) for label in labels]
    print(f"labels    {len(labels)}: {', '.join(shown[:20])}{', ...' if len(labels) > 20 else ''}")
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
    files.save(folder, trained, counts)
    width = max(map(len, shown))
    for label, row, right in zip(shown, counts, counts.diagonal()):
        print(f"  {label:<{width}}  {right / row.sum():6.1%}  {right} of {row.sum()}")
    print(f"accuracy  {trained.test_accuracy:.2%} of {counts.sum()} test slices, {time.monotonic() - start_s:.0f} s")
    place, matrix = os.path.abspath(folder), os.path.join(folder, "confusion.png")
    print(f"saved to  {words.printable(place)}, matrix in {words.printable(matrix)}")
    return trained


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
