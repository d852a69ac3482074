"""Seconds of a training iteration, side by side."""

import dataclasses

from absl import flags

from benchmarks import common, contestants, presets, topology
from wavegan_asmr.errors import UserError
from wavegan_asmr.presets import PRESETS

USAGE = """Seconds of an iteration (5 updates of the discriminator, 1 of the generator, wgan-gp, phase shuffle 2)
of this project, a textbook Keras implementation and PyTorch, by turns.

    python -m benchmarks.train_step
    python -m benchmarks.train_step --dims 16,32,64 --batches 16,64 --slice_lens 16384,65536 --most_tflop 50

With --presets, what an iteration of these costs with all its parts and without each of them, in units of the networks
alone; with --against CHECKOUT the same of another checkout of this project, by turns.

    python -m benchmarks.train_step --presets asmr --against ../before
    python -m benchmarks.train_step --presets asmr-16k --channels 2 --slice_lens 65536 --against ../before
"""

flags.DEFINE_list("dims", ["16", "64"], "Widths of the networks.")
flags.DEFINE_list("batches", ["16", "64"], "Slices of a batch.")
flags.DEFINE_list("slice_lens", ["16384"], "Samples of a slice; with --presets by default those of the preset.")
flags.DEFINE_float("most_tflop", 2.0, "Leave out cases whose iteration takes more TFLOP.", lower_bound=0)
flags.DEFINE_list("contestants", [], f"Which to measure, among {', '.join(contestants.NAMES)}; default: all.")
flags.DEFINE_list("presets", [], f"Iterations of presets instead, among {', '.join(PRESETS)}.")
flags.DEFINE_list("channels", [], "With --presets: audio channels; default: those of the preset.")
flags.DEFINE_enum("precision", "bfloat16", list(contestants.PRECISIONS), "With --presets: their arithmetic.")
flags.DEFINE_string("against", "", "With --presets: another checkout of this project, which takes turns with this one.")
flags.adopt_module_key_flags(common)

_HEADER = (
    "batch, dim, slice",
    "implementation",
    "s / iteration",
    "best",
    "x textbook float32",
    "x textbook bfloat16",
    "x PyTorch's better",
    "GFLOP/s",
    "matmul peak, GFLOP/s",
    "share",
    "peak memory, GB",
)


def main(arguments):
    common.no_arguments(arguments)
    if flags.FLAGS.presets:
        _measure_presets()
    elif flags.FLAGS.against:
        raise UserError(
            "--against has an effect with --presets only, as --presets asmr; add it or leave --against out."
        )
    else:
        _measure_grid()


def _measure_presets():
    values = flags.FLAGS
    presets.check_checkout(values.against)
    cases = [
        presets.Case(preset, channels, slice_len, values.precision)
        for preset in common.names("presets", PRESETS)
        for channels in (common.integers("channels", at_least=1) if values.channels else [None])
        for slice_len in (common.slice_lens("slice_lens") if values["slice_lens"].present else [None])
    ]
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    results = {case: presets.race(case, values.against, values.rounds, values.turn_s) for case in cases}
    facts = [
        dataclasses.asdict(case) | {"outcomes": {", ".join(key): value for key, value in outcomes.items()}}
        for case, outcomes in results.items()
    ]
    common.report(
        "presets",
        f"Iterations of presets, {values.precision}",
        machine,
        {"against": bool(values.against), "cases": facts},
        [presets.table(results)],
        presets.draw(results),
        values.results_dir,
    )


def _measure_grid():
    values = flags.FLAGS
    cases = [
        topology.Work(slice_len, dim, batch_size)
        for slice_len in common.slice_lens("slice_lens")
        for batch_size in common.integers("batches", at_least=1)
        for dim in common.integers("dims", at_least=1)
    ]
    chosen = [case for case in cases if case.iteration <= 1e12 * values.most_tflop]
    for case in cases:
        if case not in chosen:
            common.say(f"{_name(case)} left out: {case.iteration / 1e12:.1f} TFLOP, --most_tflop {values.most_tflop:g}")
    names = common.names("contestants", contestants.NAMES)
    machine = common.machine_facts()
    common.warn_if_busy(machine)
    names = contestants.with_pytorch(names, {case.slice_len for case in chosen})
    results = [Result(case, *_race(case, names)) for case in chosen]
    common.report(
        "train_step",
        "Training iteration",
        machine,
        {"cases": [result.as_json() for result in results]},
        [common.table(_HEADER, [row for result in results for row in result.rows()])],
        _draw(results, names),
        values.results_dir,
    )


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of a case.

    Attributes:
        case: `topology.Work`.
        outcomes: Dict of name to `common.Outcome`.
        peaks: Dict of precision to FLOP a second of a matrix product.
    """

    case: topology.Work
    outcomes: dict
    peaks: dict

    def as_json(self):
        """Returns all of it as a dict."""
        flop = {"needed": self.case.iteration, "by_rote": self.case.iteration_by_rote}
        return dataclasses.asdict(self) | {"flop": flop}

    def rows(self):
        """Yields the rows of the table."""
        for name, outcome in self.outcomes.items():
            if outcome.failure:
                continue
            seconds, peak = outcome.median(), self.peaks[name.split("-")[1]]
            speed = self.case.iteration / seconds
            yield [
                _name(self.case),
                name,
                seconds,
                outcome.best(),
                common.ratio(outcome, self.outcomes.get("textbook-float32")),
                common.ratio(outcome, self.outcomes.get("textbook-bfloat16")),
                common.ratio(outcome, contestants.better_pytorch(self.outcomes)),
                speed / 1e9,
                peak / 1e9,
                f"{speed / peak:.0%}",
                outcome.peak_memory_bytes / 1e9,
            ]


def _race(case, names):
    values = flags.FLAGS
    settings = dataclasses.asdict(case)
    label = f"train_step, {_name(case)}"
    return contestants.race(contestants.training, names, settings, values.rounds, values.turn_s, label)


def _name(case):
    return f"{case.batch_size}, {case.dim}, {case.slice_len}"


def _draw(results, names):
    series = {name: [result.outcomes[name].median() for result in results] for name in names}
    groups = [_name(result.case) for result in results]
    return common.bars(groups, series, "seconds", "One iteration, by batch, dim, slice (less is better)", is_log=True)


if __name__ == "__main__":
    common.run_benchmark(main, USAGE)
