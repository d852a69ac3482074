"""Why not cut the recordings into pieces and play them round and round? A long file of each way, measured."""

import contextlib
import dataclasses
import itertools
import os
import tempfile

import numpy as np
import soundfile
from absl import flags

from benchmarks import common
from wavegan_asmr import storage, words
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.presets import PRESETS
from wavegan_asmr.sound import features

USAGE = """Makes long files of recordings without a model, looped, cut up and cross-faded, quilted, and noise of their
statistics, and with models, by generate.py; and measures how much of each comes again, how far it is from the
recordings, and how much it rises.

    python -m benchmarks.sceptic --data_dir FOLDER --minutes 60
    python -m benchmarks.sceptic --data_dir FOLDER --minutes 60 --models A,B --sounds_dir sceptic/
"""

_EDGE_S = 5.0
"""At both ends of a file, which fades there; nothing of it is measured but what comes again."""
_SEED = 0x5CE9

flags.DEFINE_string("data_dir", "", "Folder of the recordings, or one.")
flags.DEFINE_float("minutes", 60.0, "Minutes of each file.", lower_bound=0.5)
flags.DEFINE_list("models", [], "TRAIN_DIRs that have learned the recordings; default: none.")
flags.DEFINE_string("sounds_dir", "", "Folder in which the files stay, to listen to; default: they do not.")
flags.DEFINE_integer("eval_n", 400, "Slices of each file.", lower_bound=features.EMBEDDING_DIM + 1)
flags.declare_key_flag("results_dir")


@dataclasses.dataclass(frozen=True)
class Figures:
    """What was measured of a file.

    Attributes:
        repeats: Dict of seconds, as text, to the share that comes again in stretches at least so long.
        repeats_in_2_s: Float, the share that comes again within 2 s already.
        frechet_distance: Float, of slices from anywhere in it, as loud as the recordings, from recorded slices.
        largest_rise_db: Float, of the short-term loudness within 3 s, see `LoudnessMeter.largest_rise`.
    """

    repeats: dict
    repeats_in_2_s: float
    frechet_distance: float
    largest_rise_db: float


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    if not values.data_dir:
        raise UserError("--data_dir is missing: a folder of recordings, as --data_dir recordings/")
    config = common.config_of_all(values.models) if values.models else Config(preset="asmr", **PRESETS["asmr"])
    machine = common.machine_facts()
    with contextlib.ExitStack() as stack:
        folder = values.sounds_dir or stack.enter_context(tempfile.TemporaryDirectory())
        os.makedirs(folder, exist_ok=True)
        settings = {"config": config, "data_dir": values.data_dir}
        common.say("sceptic: making sounds without a model")
        paths = common.call(_write_all, **settings, seconds=60 * values.minutes, folder=folder)
        for number, model in enumerate(values.models, 1):
            common.say(f"sceptic: rendering {model}")
            name = os.path.basename(os.path.normpath(model))
            paths[model] = os.path.join(folder, f"model {number}, {name}.flac")
            flags_of_file = [f"--minutes={values.minutes}", f"--out={paths[model]}", "--overwrite"]
            common.run_command(["generate.py", model, *flags_of_file])
        figures = {}
        for name, path in paths.items():
            common.say(f"sceptic: measuring {name}")
            figures[name] = common.call(_measure, **settings, path=path, n=values.eval_n)
        floor = common.call(_floor, **settings, n=values.eval_n)
    lengths = next(iter(figures.values())).repeats
    header = ["", *(f"{length} s" for length in lengths), "in 2 s", "Fréchet distance", "largest rise, dB"]
    rows = []
    for name, each in figures.items():
        shares = (f"{share:.1%}" for share in (*each.repeats.values(), each.repeats_in_2_s))
        rows.append([name, *shares, each.frechet_distance, each.largest_rise_db])
    rows.append(["recorded slices", *[None] * (len(lengths) + 1), floor, None])
    facts = {"minutes": values.minutes, "n": values.eval_n, "figures": figures, "floor": floor}
    table = common.table(header, rows)
    common.report("sceptic", "The sceptic", machine, facts, [table], _draw(figures), values.results_dir)


def _write_all(config, data_dir, seconds, folder):
    """Writes a file of each way without a model: dict of its name to its path."""
    start_tensorflow(use_gpus=False)
    from wavegan_asmr.evaluation.cutting import fade_of, stitch
    from wavegan_asmr.evaluation.imitations import IMITATIONS

    rate_hz, fade = config.data_sample_rate, fade_of(config.data_slice_len)
    recordings, whole = _open(config, data_dir)
    streams = {"loop": itertools.cycle(_read(each) for each in recordings)}
    streams |= {name: make(whole, rate_hz, _SEED).pieces(0) for name, make in IMITATIONS.items()}
    paths = {}
    for name, pieces in streams.items():
        paths[name] = os.path.join(folder, f"{name}.flac")
        left = round(seconds * rate_hz)
        try:
            with (
                storage.replace_atomically(paths[name]) as temporary,
                soundfile.SoundFile(temporary, "w", rate_hz, config.data_num_channels, "PCM_16", format="FLAC") as file,
            ):
                for x in stitch(pieces, fade):
                    file.write(np.clip(x[:left], -1, 1))
                    left -= len(x)
                    if left <= 0:
                        break
        except (OSError, soundfile.LibsndfileError) as error:
            raise UserError(f"{words.printable(paths[name])} cannot be written: {words.reason(error)}.") from error
    return paths


def _open(config, data_dir):
    """Returns the decoded recordings, a list of `loader.Recording`, and `loader.Slices` of all of them."""
    import loader
    from wavegan_asmr.evaluation import anchors

    recordings, _ = loader.open_configured(config, data_dir)
    whole = anchors.open_sides(config, data_dir).whole
    if not whole:
        raise UserError("models of one sound each (--data_first_slice) make no stream to compare.")
    return recordings, whole


def _read(recording):
    x = np.empty([recording.pcm.frames, recording.pcm.channels], np.float32)
    recording.pcm.read_into(x, 0)
    return x


def _measure(config, data_dir, path, n):
    """Returns the `Figures` of a file."""
    start_tensorflow(use_gpus=False)
    from wavegan_asmr.evaluation.distances import frechet_distance
    from wavegan_asmr.rendering.loudness import LoudnessMeter
    from wavegan_asmr.sound import repetition

    found = repetition.measure(path)
    side = _sides(config, data_dir)[0]
    real = [side.read(number, 1)[0] for number in range(min(n, side.offsets))]
    with soundfile.SoundFile(path) as file:
        meter = LoudnessMeter(file.samplerate, file.channels)
        for block in file.blocks(1 << 18, dtype="float32", always_2d=True):
            meter.add(block)
        edge = round(_EDGE_S * file.samplerate)
        starts = np.random.default_rng(_SEED).integers(edge, file.frames - edge - config.data_slice_len, n)
        slices = []
        for start in starts:
            file.seek(start)
            slices.append(file.read(config.data_slice_len, dtype="float32", always_2d=True))
    gain = np.sqrt(_power(real) / max(_power(slices), 1e-12))
    slices = [np.float32(gain) * x for x in slices]
    return Figures(
        repeats={f"{length:g}": share for length, share in found.shares.items()},
        repeats_in_2_s=found.periodic,
        frechet_distance=frechet_distance(_embed(slices, config), _embed(real, config)),
        largest_rise_db=meter.largest_rise(_EDGE_S),
    )


def _floor(config, data_dir, n):
    """Returns the Fréchet distance of recorded slices from others."""
    start_tensorflow(use_gpus=False)
    from wavegan_asmr.evaluation.distances import frechet_distance

    sides = ([side.read(number, 1)[0] for number in range(min(n, side.offsets))] for side in _sides(config, data_dir))
    return frechet_distance(*(_embed(each, config) for each in sides))


def _sides(config, data_dir):
    from wavegan_asmr.evaluation import anchors

    return anchors.open_sides(config, data_dir).sides


def _power(slices):
    return np.mean([np.mean(np.square(x)) for x in slices])


def _embed(slices, config):
    return np.concatenate([features.embed(x[None], config.data_sample_rate) for x in slices])


def _draw(figures):
    """How much comes again, by the length of stretches."""
    lengths = next(iter(figures.values())).repeats
    names = {name: os.path.basename(os.path.normpath(name)) for name in figures}
    series = {names[name]: [100 * share for share in each.repeats.values()] for name, each in figures.items()}
    return common.bars([f"{length} s" for length in lengths], series, "%", "What comes again, in stretches of")


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
