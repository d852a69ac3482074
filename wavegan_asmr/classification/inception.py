"""The inception score of the checkpoints of a training, beside that of sounds of known score."""

import dataclasses
import hashlib
import os

import numpy as np

from wavegan_asmr import storage, words
from wavegan_asmr.classification import files
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import by_label, curves, distances
from wavegan_asmr.evaluation.results import Result, Row
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.progress import Meter
from wavegan_asmr.sound import plots
from wavegan_asmr.sound.features import EMBEDDING_VERSION
from wavegan_asmr.train_dir import TrainDir

_BATCH = 16
_INPUTS, _NOISE = 0x15C1, 0x15C2
_NOISE_SLICES, _NOISE_RMS = 1024, 0.1


def incept(path, settings, **chosen):
    """Scores checkpoints: prints a table, appends to metrics.jsonl and to TensorBoard.

    Args:
        path: Path-like, TRAIN_DIR.
        settings: `InceptionSettings`.
        chosen: The checkpoints, see `TrainDir.choose`.

    Raises:
        UserError: There is no configuration, checkpoint or classifier, or the classifier is of another sample rate,
            slice length or number of channels than the model.
    """
    folder, n, splits = settings.incept_classifier, settings.incept_n, settings.incept_k
    if splits > n:
        raise UserError(f"--incept_k must be at most --incept_n, a slice a split. Received: {splits} and {n}.")
    train_dir = TrainDir(path)
    config = train_dir.read_config()
    trained = files.load(folder)
    _check_fit(trained.classifier, config)
    if not (chosen.get("watch") or train_dir.steps()):
        Generator(train_dir)
    place = words.printable(os.path.abspath(folder))
    print(f"classifier {place}: {len(trained.classifier.labels)} labels, ", end="")
    print(f"test accuracy {trained.test_accuracy:.1%}")
    print(f"  {'':<18}  score  error  slices")
    anchors = {name: _score(name, each, splits) for name, each in _anchors(trained).items()}
    # Scores of another classifier do not compare.
    evaluation = hashlib.sha256(f"{trained.classifier.digest} {n} {splits}".encode()).hexdigest()
    scores = {}
    for each in train_dir.choose(**chosen):
        generator = Generator(train_dir, each)
        step = generator.step
        probabilities, asked = _classify_generated(generator, trained.classifier, n)
        scores[step] = _score(f"step {step}", probabilities, splits)
        _record(train_dir, config, step, n, evaluation, scores[step], anchors)
        if config.label_names:
            _confuse(train_dir, config, step, trained.classifier.labels, probabilities, asked)
        if chosen.get("watch"):
            _print_best(scores)
    _print_best(scores)


def _print_best(scores):
    if not scores:
        # A training has deleted its checkpoints meanwhile.
        return
    best = max(scores, key=lambda step: scores[step][0])
    print(f"best      step {best}, {scores[best][0]:.2f}", flush=True)


def _check_fit(classifier, config):
    for what, of_classifier, of_model in (
        ("sample rate, Hz", classifier.sample_rate_hz, config.data_sample_rate),
        ("slice length, samples", classifier.slice_len, config.data_slice_len),
        ("channels", classifier.channels, config.data_num_channels),
    ):
        if of_classifier != of_model:
            raise UserError(
                f"the classifier does not fit the model. Received: {what}: {of_classifier} of the classifier, "
                f"{of_model} of the model. Train another with classifier.py train."
            )


def _anchors(trained):
    """Probabilities of sounds of known score: dict of name to float32 `[n, labels]`."""
    classifier = trained.classifier
    shape = [_NOISE_SLICES, classifier.slice_len, classifier.channels]
    silence = classifier.probabilities(np.zeros([1, *shape[1:]], np.float32))
    noise = []
    with Meter("classifying noise", _NOISE_SLICES) as meter:
        for k in range(_NOISE_SLICES):
            x = _NOISE_RMS * np.random.default_rng([_NOISE, k]).standard_normal([1, *shape[1:]])
            noise.append(classifier.probabilities(np.clip(x, -1, 1).astype(np.float32)))
            meter.advance(1)
    if not (np.isfinite(silence).all() and np.isfinite(noise).all()):
        raise UserError("the classifier's weights are damaged: what it says is no number. Train it again.")
    return {
        "real test set": trained.test,
        "real training set": trained.train,
        "silence": np.repeat(silence, _NOISE_SLICES, axis=0),
        "white noise": np.concatenate(noise),
    }


def _classify_generated(generator, classifier, n):
    """Classifies n generated slices, of the same inputs for each checkpoint.

    Returns:
        float32 `[n, labels]`, and of a model with labels the places of those that were asked for, int64 `[n]`.
    """
    random, step = np.random.default_rng([generator.config.train_seed, _INPUTS]), generator.step
    probabilities, asked = [], []
    with Meter(f"step {step}: generating", n) as meter:
        for first in range(0, n, _BATCH):
            inputs = generator.draw(random, min(_BATCH, n - first))
            clips = generator.clips(inputs, _BATCH)
            if not np.isfinite(clips).all():
                raise UserError(f"the generator of step {step} makes samples that are not numbers: it has diverged.")
            probabilities.append(classifier.probabilities(clips))
            if generator.config.label_names:
                asked.extend(by_label.labels_of(inputs, generator.config))
            meter.advance(len(inputs))
    return np.concatenate(probabilities), np.array(asked)


def _confuse(train_dir, config, step, labels, probabilities, asked):
    """Says how often the classifier hears the label that was asked for, and draws a matrix into TRAIN_DIR/eval."""
    unknown = [name for name in config.label_names if name not in labels]
    if unknown:
        print(f"labels    the classifier does not know {words.printable(unknown[0])!r}, so they are not compared")
        return
    counts = np.zeros([len(labels), len(labels)], np.int64)
    places = np.array([labels.index(name) for name in config.label_names])
    np.add.at(counts, (places[asked], probabilities.argmax(axis=1)), 1)
    title = f"step {step}: {counts.trace() / counts.sum():.1%} of {counts.sum()} slices as asked"
    path = train_dir.join("eval", f"confusion-{step}.png")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with storage.replacing(path) as file:
        file.write(plots.png(plots.confusion_matrix(counts, labels, title)))
    worst = min(places, key=lambda place: counts[place, place] / max(1, counts[place].sum()))
    right = counts[worst, worst] / max(1, counts[worst].sum())
    print(
        f"labels    {title}; least {words.printable(labels[worst])}, {right:.1%}; {words.printable(path)}", flush=True
    )


def _score(name, probabilities, splits):
    """Prints and returns a score and its standard deviation over the splits."""
    score, error = distances.inception_score(probabilities, min(splits, len(probabilities)))
    print(f"  {name:<18}  {score:5.2f}  {error:5.2f}  {len(probabilities):6}", flush=True)
    return score, error


def _record(train_dir, config, step, n, evaluation, score, anchors):
    row = Row(
        "inception_score",
        *score,
        floor=anchors["real test set"][0],
        held_out=None,
        noise=anchors["white noise"][0],
        matched_noise=None,
        meaning="how clearly and how evenly the classifier hears its labels",
        lower_is_better=False,
    )
    result = Result(
        train_dir=train_dir.path,
        step=step,
        checkpoint=f"ckpt-{step}",
        n=n,
        embedding_version=EMBEDDING_VERSION,
        sample_rate_hz=config.data_sample_rate,
        config=dataclasses.asdict(config),
        rows=[row],
        verdicts=[],
        clips={},
        pairs=[],
        evaluation=evaluation,
    )
    curves.record(train_dir.path, result)
