"""Times real time of the generator alone and of finished files, where the time goes, and memory against length."""

import collections
import concurrent.futures
import dataclasses
import json
import os
import sys
import tempfile
import threading
import time

from absl import flags

from benchmarks import common, contestants, topology
from wavegan_asmr.command_line.run import start_tensorflow

USAGE = """Times real time (16 kHz) of the generator alone and of rendering a finished FLAC of an untrained model with
generate.py, where its time goes, and its peak memory against length.

    python -m benchmarks.generate
    python -m benchmarks.generate --minutes 1,10,60,600 --contestants project-bfloat16
"""

SAMPLE_RATE_HZ = 16000

_SLICE_LEN = 16384
_SAMPLING_S = 0.005
_SHOWN_PLACES = 12
_SEED = 0
_MAIN, _OTHERS = "main", "others"
_PACKAGE = "wavegan_asmr"

flags.DEFINE_list("dims", ["16", "64"], "Widths of the networks.")
flags.DEFINE_list("batches", ["16", "64"], "Slices of a batch.")
flags.DEFINE_list("contestants", [], f"Which to measure, among {', '.join(contestants.NAMES)}; default: all.")
flags.DEFINE_list("minutes", ["1", "10", "60"], "Lengths of the finished files.")
flags.adopt_module_key_flags(common)

_GENERATOR_HEADER = (
    "batch, dim",
    "implementation",
    "x real time",
    "x textbook float32",
    "x textbook bfloat16",
    "x PyTorch's better",
    "GFLOP/s",
    "matmul peak, GFLOP/s",
    "share",
    "peak memory, GB",
)
_FILE_HEADER = ("dim", "precision", "minutes", "x real time", "x real time, whole command", "peak memory, GB")


def main(arguments):
    common.no_arguments(arguments)
    values = flags.FLAGS
    dims, minutes = common.integers("dims", at_least=1), common.integers("minutes", at_least=1)
    cases = [topology.Work(_SLICE_LEN, dim, size) for dim in dims for size in common.integers("batches", at_least=1)]
    names = common.names("contestants", contestants.NAMES)
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    precisions = [name.removeprefix("project-") for name in names if name.startswith("project-")]
    names = contestants.with_pytorch(names, [_SLICE_LEN])
    generators = [(case, *_race(case, names)) for case in cases]
    files, places = [], []
    with tempfile.TemporaryDirectory() as folder:
        for dim in dims:
            train_dir = os.path.join(folder, f"dim-{dim}")
            common.call(make_train_dir, path=train_dir, dim=dim)
            for precision in precisions:
                files += [render(train_dir, dim, precision, length) for length in minutes]
                common.say(f"generate: where the time goes, dim {dim}, {precision}")
                settings = {"train_dir": train_dir, "settings": files[-1].settings}
                places += [Place(dim, precision, *each) for each in common.call(sample_rendering, **settings)]
    facts = {
        "generators": [
            {"case": case, "flop": case.generator, "outcomes": outcomes, "peaks": peaks}
            for case, outcomes, peaks in generators
        ],
        "files": files,
        "places": places,
    }
    file_rows = [
        [each.dim, each.precision, each.minutes, each.speed, each.whole_speed, each.peak_memory_bytes / 1e9]
        for each in files
    ]
    place_rows = [[each.dim, each.precision, each.thread, each.place, f"{each.share:.0%}"] for each in places]
    tables = [
        common.table(_GENERATOR_HEADER, [row for result in generators for row in _generator_rows(*result)]),
        common.table(_FILE_HEADER, file_rows),
        common.table(["dim", "precision", "thread", "where", "share of the rendering"], place_rows),
    ]
    common.report("generate", "Generation", machine, facts, tables, _draw(generators, names), values.results_dir)


@dataclasses.dataclass(frozen=True)
class RenderedFile:
    """A finished file.

    Attributes:
        dim, minutes: Integers.
        precision: String, see `contestants.PRECISIONS`.
        speed: Float, times real time of the rendering, as generate.py says.
        whole_speed: Float, times real time of the whole command with its start.
        peak_memory_bytes: Integer.
        settings: Dict, those of its manifest.
    """

    dim: int
    precision: str
    minutes: int
    speed: float
    whole_speed: float
    peak_memory_bytes: int
    settings: dict


@dataclasses.dataclass(frozen=True)
class Place:
    """A function that a thread of a rendering was seen in.

    Attributes:
        dim: Integer.
        precision, thread, place: Strings.
        share: Float, of the time.
    """

    dim: int
    precision: str
    thread: str
    place: str
    share: float


def make_train_dir(path, dim):
    """Makes the TRAIN_DIR of a training that has not begun; in a process of its own."""
    start_tensorflow()
    from wavegan_asmr.config import Config
    from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
    from wavegan_asmr.train_dir import TrainDir
    from wavegan_asmr.training.loop import choose_strategy

    train_dir = TrainDir(path)
    config = Config(data_slice_len=_SLICE_LEN, wavegan_dim=dim, train_seed=_SEED, train_precision="float32")
    train_dir.create()
    train_dir.write_config(config)
    train_dir.save(WaveGANTrainer(config, choose_strategy()).checkpoint, 0, keep=1)


def render(train_dir, dim, precision, minutes):
    """Renders a FLAC with generate.py: a `RenderedFile`."""
    out = f"{train_dir}-{precision}-{minutes}.flac"
    common.say(f"generate: rendering {minutes} minutes, dim {dim}, {precision}")
    policy = contestants.PRECISIONS[precision]
    seconds, peak_memory_bytes = common.run_command(
        ["generate.py", train_dir, "--minutes", minutes, "--out", out, "--precision", policy]
    )
    with open(f"{os.path.splitext(out)[0]}.json", encoding="utf-8") as file:
        manifest = json.load(file)
    os.unlink(out)
    result = manifest["result"]
    return RenderedFile(
        dim,
        precision,
        minutes,
        speed=result["seconds"] / result["wall_s"],
        whole_speed=60 * minutes / seconds,
        peak_memory_bytes=peak_memory_bytes,
        settings=manifest["settings"],
    )


def sample_rendering(train_dir, settings):
    """Renders a FLAC and looks every few milliseconds where its threads are; in a process of its own.

    Args:
        train_dir: Path-like.
        settings: Dict, those of a manifest.

    Returns:
        List of (thread, place, share of the time), the most frequent first: the innermost function of the project in
        the thread that leads and in the others, which may work at the same time.
    """
    start_tensorflow()
    from wavegan_asmr import storage
    from wavegan_asmr.rendering import render
    from wavegan_asmr.rendering.settings import OutputSettings, RenderSettings

    out = f"{train_dir}-sampled.flac"
    settings = storage.parse_json(json.dumps(settings), RenderSettings)
    arguments = [train_dir], OutputSettings(out=out, overwrite=True), settings
    seen, samples = collections.Counter(), 0
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=_MAIN) as pool:
        done = pool.submit(render.render, *arguments)
        while not done.done():
            time.sleep(_SAMPLING_S)
            samples += 1
            threads = {thread.ident: thread.name for thread in threading.enumerate()}
            del threads[threading.get_ident()]
            for ident, frame in sys._current_frames().items():
                if ident in threads and (place := _place(frame)):
                    seen[_MAIN if threads[ident].startswith(_MAIN) else _OTHERS, place] += 1
        done.result()
    os.unlink(out)
    return [(*key, count / samples) for key, count in seen.most_common(_SHOWN_PLACES)]


def _place(frame):
    """The innermost function of the project in a stack, or None."""
    while frame:
        path = os.path.relpath(frame.f_code.co_filename, common.ROOT)
        folder = os.path.dirname(path)
        if folder == "" or folder.split(os.sep)[0] == _PACKAGE:
            module = os.path.splitext(path)[0].removeprefix(_PACKAGE + os.sep).replace(os.sep, ".")
            return f"{module}.{frame.f_code.co_qualname}".replace(".<locals>", "")
        frame = frame.f_back
    return None


def _race(case, names):
    values = flags.FLAGS
    settings = dataclasses.asdict(case)
    label = f"generator, batch {case.batch_size}, dim {case.dim}"
    return contestants.race(contestants.generation, names, settings, values.rounds, values.turn_s, label)


def _speed(case, outcome):
    """Times real time of a generator, or None."""
    seconds = outcome.median()
    return seconds and case.batch_size * case.slice_len / SAMPLE_RATE_HZ / seconds


def _generator_rows(case, outcomes, peaks):
    for name, outcome in outcomes.items():
        if outcome.failure:
            continue
        speed, peak = case.generator / outcome.median(), peaks[name.split("-")[1]]
        yield [
            f"{case.batch_size}, {case.dim}",
            name,
            _speed(case, outcome),
            common.ratio(outcome, outcomes.get("textbook-float32")),
            common.ratio(outcome, outcomes.get("textbook-bfloat16")),
            common.ratio(outcome, contestants.better_pytorch(outcomes)),
            speed / 1e9,
            peak / 1e9,
            f"{speed / peak:.0%}",
            outcome.peak_memory_bytes / 1e9,
        ]


def _draw(generators, names):
    series = {name: [_speed(case, outcomes[name]) for case, outcomes, _ in generators] for name in names}
    groups = [f"{case.batch_size}, {case.dim}" for case, _, _ in generators]
    return common.bars(groups, series, "times real time", "Generator, by batch, dim (more is better)", is_log=True)


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
