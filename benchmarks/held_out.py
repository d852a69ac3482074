"""Recordings of which a part is held out from a training, and what the training is worth against that part."""

import dataclasses
import os
import shutil
import tempfile
import time

import numpy as np
import soundfile

from wavegan_asmr import storage
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import plots
from wavegan_asmr.train_dir import TrainDir


@dataclasses.dataclass(frozen=True)
class SoundSet:
    """Recordings of the protocol.

    Attributes:
        source: String, below --data_dir: a file, of which the end is held out, or a folder, of which some files are.
        flags: Tuple of flags of train_wavegan.py.
        is_labelled: Boolean, whether a classifier can hear what each recording is.
    """

    source: str
    flags: tuple = ()
    is_labelled: bool = False


_ONE_SHOTS = ("--data_first_slice", "--data_pad_end")

SETS = {
    **{name: SoundSet(f"asmr/{name}.ogg") for name in ("waves", "rain", "fireplace", "birds", "storm")},
    "digits": SoundSet("digits", ("--data_sample_rate=8000", "--data_slice_len=8192", *_ONE_SHOTS), is_labelled=True),
    "drums": SoundSet("drums", _ONE_SHOTS, is_labelled=True),
    "piano": SoundSet("asmr/piano.flac"),
}
"""Names of --sets."""

HELD_OUT_SHARE = 0.2
"""Share of a recording, its end, that is held out."""

HELD_OUT_EVERY = 6
"""One in so many files of a folder is held out."""

VERSION = 4
"""Raised with every change of `measure`: what different versions found does not compare."""

_FAULT_QUANTILE, _FAULT_MARGIN = 0.99, 0.25
_CLIPPED_MOST = 1e-3
_DRAWN = 6
_BATCH, _SPLITS = 64, 10
_BITS_BATCH, _BITS_N = 4, 32
_LATENTS = 0x9A11


def hold_out(name, data_dir, runs):
    """Divides recordings in two, once.

    Args:
        name: String, of `SETS`.
        data_dir, runs: Path-likes, see the flags.

    Returns:
        Paths of two folders, for the training and held out.

    Raises:
        UserError: There are no such recordings.
    """
    source = os.path.join(data_dir, SETS[name].source)
    target = os.path.join(runs, "recordings", name)
    parts = os.path.join(target, "training"), os.path.join(target, "held_out")
    if os.path.isdir(target):
        return parts
    if not os.path.exists(source):
        raise UserError(f"no such recordings: {source!r}. Received: --data_dir {os.fspath(data_dir)!r}.")
    with tempfile.TemporaryDirectory(dir=_made(os.path.dirname(target))) as temporary:
        made = os.path.join(temporary, name)
        training, held_out = (_made(os.path.join(made, os.path.basename(part))) for part in parts)
        if os.path.isdir(source):
            for number, file in enumerate(sorted(os.listdir(source))):
                is_held_out = number % HELD_OUT_EVERY == 0
                shutil.copy(os.path.join(source, file), held_out if is_held_out else training)
        else:
            x, rate_hz = soundfile.read(source, dtype="float32", always_2d=True)
            end = int((1 - HELD_OUT_SHARE) * len(x))
            for folder, part in ((training, x[:end]), (held_out, x[end:])):
                soundfile.write(os.path.join(folder, f"{name}.wav"), part, rate_hz, subtype="FLOAT")
        os.rename(made, target)
    return parts


def measure(train_dir, held_out, eval_n, classifier):
    """Measures the newest checkpoint of a training against recordings that it has not heard.

    Args:
        train_dir: Path-like.
        held_out: Path-like, folder of recordings.
        eval_n: Integer, generated slices.
        classifier: Path-like or None, folder of a classifier for the inception score.

    Returns:
        Dict of metric to a pair: the value of generated slices, and that of the recordings of the training in their
        place, or None. Beside those of evaluate.py: "steps"; "memorisation" and "copies" tell how near slices are to
        the training's, in units of the distance of held-out ones, which stand beside; "faulty", the share of slices
        that are silent, clipped (a thousandth of the samples), or whose autocorrelation is 0.25 above the 99th
        percentile of the held-out recordings'; "made_a_second", seconds of sound; "held_out_bits" and "training_bits" a
        sample, where the model has them; "inception_score"; "label_accuracy", of a model with labels the share of
        slices that the classifier hears as they were asked for, beside its accuracy on recordings that it has not
        heard.
    """
    start_tensorflow(use_gpus=False)
    import loader
    from wavegan_asmr.classification import files
    from wavegan_asmr.evaluation import by_label, distances, measuring, metrics
    from wavegan_asmr.families.autoregressive.family import Autoregressive
    from wavegan_asmr.families.generators import Generator

    generator = Generator(TrainDir(train_dir))
    config = generator.config

    def measure_recordings(folder):
        recordings, _ = loader.open_recordings(folder, config.data_sample_rate, config.data_num_channels)
        slices = loader.Slices.from_config(recordings, config)
        return measuring.measure(slices.read, min(eval_n, slices.offsets), config.data_sample_rate)

    random = np.random.default_rng([config.train_seed, _LATENTS])
    inputs = generator.draw(random, eval_n)
    # The first batch builds the graph.
    generator.generate(inputs[:_BATCH])
    start_s = time.perf_counter()
    clips = np.concatenate([generator.generate(inputs[i : i + _BATCH]) for i in range(0, eval_n, _BATCH)])
    made_a_second = eval_n * config.slice_s / (time.perf_counter() - start_s)
    generated = measuring.measure(lambda first, count: clips[first : first + count], eval_n, config.data_sample_rate)
    training, held = measure_recordings(config.data_dir), measure_recordings(held_out)
    own, _ = measuring.nearest(held.log_mels, training.log_mels)
    most = np.quantile(held.facts["autocorrelation"], _FAULT_QUANTILE) + _FAULT_MARGIN

    def describe(x, to_training):
        values = metrics.compute(metrics.Comparison(x, held.embeddings, [to_training], own))
        is_clipped, repeats = x.facts["clipped"] > _CLIPPED_MOST, x.facts["autocorrelation"] > most
        faulty = np.mean((x.facts["silent"] > 0) | is_clipped | repeats)
        return {metric: value for metric, (value, _) in values.items()} | {"faulty": float(faulty)}

    beside = describe(training, own)
    to_training, _ = measuring.nearest(generated.log_mels, training.log_mels)
    found = {metric: (value, beside[metric]) for metric, value in describe(generated, to_training).items()}
    found["steps"] = generator.step, None
    found["made_a_second"] = made_a_second, None
    if isinstance(generator.family, Autoregressive):
        found["held_out_bits"] = _bits(generator, held_out), None
        found["training_bits"] = _bits(generator, config.data_dir), None
    if classifier:
        trained = files.load(classifier)
        probabilities = np.concatenate(
            [trained.classifier.probabilities(clips[i : i + _BATCH]) for i in range(0, eval_n, _BATCH)]
        )
        score, real = (distances.inception_score(x, _SPLITS)[0] for x in (probabilities, trained.test))
        found["inception_score"] = score, real
        if config.label_names:
            heard = np.array(trained.classifier.labels)[probabilities.argmax(axis=1)]
            asked = np.array(config.label_names)[by_label.labels_of(inputs, config)]
            found["label_accuracy"] = float(np.mean(heard == asked)), trained.test_accuracy
    return found


def _bits(generator, folder):
    """Bits a sample of recordings."""
    import loader
    from wavegan_asmr.families.autoregressive.network import bits_a_sample

    config, network = generator.config, generator.network.get_layer("audio").network
    recordings, _ = loader.open_recordings(folder, config.data_sample_rate, config.data_num_channels)
    slices = loader.Slices.from_config(recordings, config)
    found = [float(bits_a_sample(network, slices.read(first, _BITS_BATCH))) for first in range(0, _BITS_N, _BITS_BATCH)]
    return float(np.mean(found))


def draw(train_dirs, held_out, title, path):
    """Draws slices of the held-out recordings above those of trainings.

    Args:
        train_dirs: Dict of label to path.
        held_out: Path-like, folder of recordings.
        title: String.
        path: Path-like, of the PNG.
    """
    start_tensorflow(use_gpus=False)
    import loader
    from wavegan_asmr.families.generators import Generator, fixed_inputs

    rows = []
    for label, train_dir in train_dirs.items():
        generator = Generator(TrainDir(train_dir))
        config, inputs = generator.config, fixed_inputs(generator.train_dir, _DRAWN)
        rows.append((f"{label}, step {generator.step}", generator.clips(inputs, _DRAWN)))
    recordings, _ = loader.open_recordings(held_out, config.data_sample_rate, config.data_num_channels)
    real = loader.Slices.from_config(recordings, config).read(0, _DRAWN)
    figure = plots.grid([("held out", real), *rows], config.data_sample_rate, title)
    with storage.replace_atomically(path) as temporary, open(temporary, "wb") as file:
        file.write(plots.png(figure))


def _made(folder):
    os.makedirs(folder, exist_ok=True)
    return folder
