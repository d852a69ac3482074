"""Slices a second, time to the first batch and decoding, against librosa for each file through tf.data."""

import functools
import os
import shutil
import tempfile
import time

import numpy as np
import scipy.signal
from absl import flags

import loader
from benchmarks import common, contestants
from benchmarks.common import Contestant
from benchmarks.sound_sets import SETS, SOURCE_RATE_HZ, write_set
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import files
from wavegan_asmr.sound.pcm_cache import PcmCache

USAGE = """How fast recordings become batches: this project, and librosa for each file through tf.data as the reference
implementation does it; and training with real data against training with constant data.

    python -m benchmarks.loader
    python -m benchmarks.loader --data_dir FOLDER
"""

SAMPLE_RATE_HZ = 16000
SLICE_LEN = 16384

_SOURCE_S = 30
flags.DEFINE_string("data_dir", "", "Folder of recordings to make the files of; default: noise with swells and clicks.")
flags.DEFINE_list("sets", [], f"Which files to measure, among {', '.join(SETS)}; default: all.")
flags.DEFINE_float("minutes", 20.0, "Minutes of each set of files.", lower_bound=0.05)
flags.DEFINE_integer("batch_size", 64, "Slices of a batch.", lower_bound=1)
flags.DEFINE_integer("shuffled", 4096, "Slices that the reference's loader shuffles.", lower_bound=1)
flags.DEFINE_integer("dim", 16, "Width of the networks that are trained.", lower_bound=1)
flags.DEFINE_enum("precision", "bfloat16", list(contestants.PRECISIONS), "Arithmetic of the training.")
flags.adopt_module_key_flags(common)

_COLD, _WARM, _REFERENCE = "project, cold", "project, warm", "librosa, tf.data"
_DECODE, _LIBROSA = "project", "librosa.load"
_REAL, _CONSTANT = "real data", "constant data"


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    names = common.names("sets", SETS)
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    with tempfile.TemporaryDirectory() as folder:
        source = _source(values.data_dir)
        sets = {}
        for name in names:
            common.say(f"loader: writing {values.minutes:g} minutes as {name}")
            sets[name] = write_set(os.path.join(folder, name), source, 60 * values.minutes, *SETS[name])
        cache_dir = os.path.join(folder, "cache")
        loading = {name: _race_loading(name, data_dir, cache_dir) for name, data_dir in sets.items()}
        decoding = {name: _race_decoding(name, data_dir) for name, data_dir in sets.items()}
        training = _race_training(sets[names[0]], cache_dir)
    share = common.ratio(training[_REAL], training[_CONSTANT])
    facts = {
        "seconds_of_sound": 60 * values.minutes,
        "batch_size": values.batch_size,
        "loading": loading,
        "decoding": decoding,
        "training": training,
        "training_share": share,
    }
    training_rows = [[name, outcome.median(), outcome.best()] for name, outcome in training.items()]
    tables = [
        common.table(_LOADING_HEADER, [_loading_row(name, outcomes) for name, outcomes in loading.items()]),
        common.table(_DECODING_HEADER, [_decoding_row(name, outcomes) for name, outcomes in decoding.items()]),
        common.table(["training with", "s / iteration", "best"], training_rows),
        f"Training with real data reaches {share:.1%} of the speed with constant data.",
    ]
    common.report("loader", "Loader", machine, facts, tables, _draw(loading), values.results_dir)


def project_batches(data_dir, cache_dir, batch_size):
    """The project's batches of a folder: a `tf.data.Dataset`."""
    recordings, _ = loader.open_recordings(data_dir, SAMPLE_RATE_HZ, 1, cache_dir=cache_dir)
    return loader.make_dataset(loader.Slices(recordings, SLICE_LEN), batch_size)


def reference_batches(data_dir, batch_size, shuffled):
    """Batches of a folder by librosa through tf.data, with the reference implementation's settings for training.

    Whole files are decoded again in every epoch, four at a time, framed from a random offset, and their slices
    shuffled; 256 batches are read ahead.
    """
    import librosa
    import tensorflow as tf

    names, _ = loader.find_files(data_dir)

    def decode(path):
        x, _ = librosa.load(path.decode(), sr=SAMPLE_RATE_HZ, mono=True)
        return x

    def load(path):
        x = tf.numpy_function(decode, [path], tf.float32)
        x.set_shape([None])
        return x[tf.random.uniform([], 0, SLICE_LEN, tf.int32) :]

    def cut(x):
        return tf.data.Dataset.from_tensor_slices(tf.signal.frame(x, SLICE_LEN, SLICE_LEN, pad_end=False)[..., None])

    paths = tf.data.Dataset.from_tensor_slices([os.path.join(data_dir, name) for name in names])
    slices = paths.shuffle(len(names)).repeat().map(load, num_parallel_calls=4).flat_map(cut)
    return slices.shuffle(shuffled).batch(batch_size, drop_remainder=True).prefetch(256)


def loading_turns(batches, batch_size, cold_files=(), cold_cache=None):
    """Turns that open a data set: the figures "first_batch_s" and, from then on, "slices_per_s".

    Args:
        batches: Function without arguments that makes a `tf.data.Dataset`.
        batch_size: Integer.
        cold_files: Paths that are not to be in memory at first.
        cold_cache: Path of a folder that is not to be there at first, or None.
    """
    start_tensorflow()

    def turn(least_s):
        if cold_cache:
            shutil.rmtree(cold_cache, ignore_errors=True)
        for path in cold_files:
            _drop_from_memory(path)
        start_s = time.perf_counter()
        iterator = iter(batches())
        next(iterator)
        first_s = time.perf_counter()
        count = 0
        while count == 0 or time.perf_counter() - first_s < least_s:
            next(iterator)
            count += 1
        slices_per_s = count * batch_size / (time.perf_counter() - first_s)
        return {"first_batch_s": first_s - start_s, "slices_per_s": slices_per_s}

    return turn


def decode_with_project(paths, folder):
    """Turns of decoding files one after the other into a new cache."""

    def decode():
        shutil.rmtree(folder, ignore_errors=True)
        cache = PcmCache(folder, SAMPLE_RATE_HZ, 1)
        for path in paths:
            cache.put(path, files.probe(path))

    return common.timed(decode)


def decode_with_librosa(paths):
    """Turns of decoding files one after the other with librosa."""
    import librosa

    def decode():
        for path in paths:
            librosa.load(path, sr=SAMPLE_RATE_HZ, mono=True)

    return common.timed(decode)


def training_turns(dim, batch_size, precision, batches=None):
    """Turns of training; the first iteration of each, whose batches were read ahead meanwhile, does not count."""
    return contestants.project_training(SLICE_LEN, dim, batch_size, precision, batches, untimed=1)


def _source(data_dir):
    """What the files are made of: float32 `[frames, 2]` at 44.1 kHz."""
    if not data_dir:
        return _synthetic()
    names, _ = loader.find_files(data_dir)
    blocks = []
    for path in (os.path.join(data_dir, name) for name in names):
        try:
            blocks.extend(files.convert(files.decode(path), files.probe(path).sample_rate_hz, SOURCE_RATE_HZ, 2))
        except files.AudioError as error:
            common.say(f"loader: {path} left out: {error}")
    if not blocks:
        raise UserError(f"no usable recording. Received: --data_dir {data_dir!r}.")
    return np.concatenate(blocks)


def _synthetic():
    """Coloured noise that swells, with clicks."""
    random = np.random.default_rng(0)
    frames = _SOURCE_S * SOURCE_RATE_HZ
    bed = scipy.signal.lfilter([0.05], [1, -0.95], random.standard_normal([frames, 2]), axis=0)
    swell = 1 + 0.5 * np.sin(2 * np.pi * 0.3 * np.arange(frames) / SOURCE_RATE_HZ)
    clicks = 0.5 * random.standard_normal([frames, 2]) * (random.random([frames, 1]) < 1e-4)
    return np.clip(swell[:, None] * bed + clicks, -1, 1).astype(np.float32)


def _race_loading(name, data_dir, cache_dir):
    values = flags.FLAGS
    size = values.batch_size
    cold_dir = os.path.join(cache_dir, "cold")
    paths = _paths(data_dir)
    cold = functools.partial(project_batches, data_dir, cold_dir, size)
    warm = functools.partial(project_batches, data_dir, os.path.join(cache_dir, "warm"), size)
    reference = functools.partial(reference_batches, data_dir, size, values.shuffled)
    settings = {
        _COLD: {"batches": cold, "cold_files": paths, "cold_cache": cold_dir},
        _WARM: {"batches": warm},
        _REFERENCE: {"batches": reference},
    }
    racing = [Contestant(each, loading_turns, {"batch_size": size} | more) for each, more in settings.items()]
    return common.race(racing, values.rounds, values.turn_s, f"loader, {name}")


def _race_decoding(name, data_dir):
    paths = _paths(data_dir)
    racing = [
        Contestant(_DECODE, decode_with_project, {"paths": paths, "folder": os.path.join(data_dir, ".decoded")}),
        Contestant(_LIBROSA, decode_with_librosa, {"paths": paths}),
    ]
    return common.race(racing, flags.FLAGS.rounds, 0.0, f"decoding, {name}")


def _race_training(data_dir, cache_dir):
    values = flags.FLAGS
    settings = {"dim": values.dim, "batch_size": values.batch_size, "precision": values.precision}
    real = functools.partial(project_batches, data_dir, os.path.join(cache_dir, "warm"), values.batch_size)
    racing = [
        Contestant(_REAL, training_turns, settings | {"batches": real}),
        Contestant(_CONSTANT, training_turns, settings),
    ]
    return common.race(racing, values.rounds, values.turn_s, "training with data")


def _paths(data_dir):
    names, _ = loader.find_files(data_dir)
    return [os.path.join(data_dir, name) for name in names]


def _drop_from_memory(path):
    """Asks the system to forget what it keeps of a file in memory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        # What is not on the disk yet cannot be forgotten.
        os.fsync(handle)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


_LOADING_HEADER = (
    "files",
    "slices / s",
    "librosa, tf.data",
    "ratio",
    "first batch, cold, s",
    "first batch, warm, s",
    "first batch, librosa, s",
)
_DECODING_HEADER = ("files", "project, x real time a core", "librosa.load", "ratio")


def _loading_row(name, outcomes):
    rates = [outcomes[each].median("slices_per_s") for each in (_WARM, _REFERENCE)]
    # Slices a second are better the more, so the ratio is upside down.
    faster = common.ratio(outcomes[_REFERENCE], outcomes[_WARM], "slices_per_s")
    return [name, *rates, faster, *(outcomes[each].median("first_batch_s") for each in (_COLD, _WARM, _REFERENCE))]


def _decoding_row(name, outcomes):
    seconds = 60 * flags.FLAGS.minutes
    speeds = [seconds / outcomes[each].median() for each in (_DECODE, _LIBROSA)]
    return [name, *speeds, common.ratio(outcomes[_DECODE], outcomes[_LIBROSA])]


def _draw(loading):
    series = {
        name: [outcomes[name].median("slices_per_s") for outcomes in loading.values()] for name in (_WARM, _REFERENCE)
    }
    return common.bars(list(loading), series, "slices a second", "Loader (more is better)", is_log=True)


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
