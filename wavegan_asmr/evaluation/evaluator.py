"""Measures a checkpoint against recordings: the table, its history, and the best checkpoint.

Every metric stands beside the same metric of real slices against other real slices (floor) and of noise against real
slices (ceiling), all of them against the same side of the recordings, see `anchors.open_sides`.
"""

import dataclasses
import functools
import hashlib
import json
import sys

import numpy as np

from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import anchors, by_label, distances, metrics, verdicts
from wavegan_asmr.evaluation.measuring import measure, nearest, one_thread
from wavegan_asmr.evaluation.metrics import Comparison
from wavegan_asmr.evaluation.reference import matched_noise, open_reference
from wavegan_asmr.evaluation.results import Result, Row
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.progress import Meter
from wavegan_asmr.sound import features
from wavegan_asmr.train_dir import BEST, Best, TrainDir

CLIPS = 8
"""Clips of each kind for the report."""

PAIRS = 10
"""Closest pairs of generated and real slices for the report."""

_INPUTS = 0xE7A1


class Evaluator:
    """Measures checkpoints of a training against recordings, which it measures once.

    Args:
        train_dir: `TrainDir`; it keeps the measurements of the recordings for the next time.
        config: `Config`.
        n: Integer, generated slices; real ones are as many where there are.
        data_dir: Path-like, folder of recordings, or None for that of the config.
        with_imitations: Boolean, also measure imitations of the recordings, see `open_reference`.
        show_progress: Boolean, show on stderr how far it is.

    Attributes:
        digest: String, of all that decides a result but the checkpoint.

    Raises:
        UserError: There are too few slices or no recordings, see `anchors.open_sides`.
    """

    def __init__(self, train_dir, config, n, data_dir=None, with_imitations=False, show_progress=False):
        if n <= features.EMBEDDING_DIM:
            raise UserError(
                f"too few slices: the Fréchet distance needs more than {features.EMBEDDING_DIM}. Received: {n}."
            )
        self.train_dir, self.config, self.n = train_dir, config, n
        self._show_progress = show_progress
        self._recordings = anchors.open_sides(config, data_dir, show_progress)
        fewest = min(side.offsets for side in self._recordings.sides)
        if fewest <= features.EMBEDDING_DIM:
            raise UserError(
                f"too few slices: half of the recordings holds {fewest} different ones, and the Fréchet distance needs "
                f"more than {features.EMBEDDING_DIM}. Evaluate against more recordings: --data_dir FOLDER"
            )
        self.digest = self._digest()
        path = train_dir.join("eval", f"recordings-{n}.npz")
        self._reference = open_reference(path, self.digest, self._recordings, config, n, with_imitations, show_progress)

    @one_thread
    def evaluate(self, generate, step, checkpoint=None):
        """Measures a generator.

        Args:
            generate: Function of inputs `[m, ...]`, see `families.family.Family`, to clips float32
                `[m, samples, channels]`.
            step: Integer, its training step.
            checkpoint: String, its name, or None for that of the step.

        Returns:
            `Result`.

        Raises:
            UserError: The generator makes samples that are not numbers.
        """
        reference = self._reference
        read = functools.partial(self._generate, generate)
        with Meter("measuring generated slices", self.n, is_shown=self._show_progress) as meter:
            generated = measure(read, self.n, self.config.data_sample_rate, meter.advance)
        to_real = [nearest(generated.log_mels, real) for real in (reference.log_mels, reference.other_log_mels)]
        distances_to_real = [distance for distance, _ in to_real]
        values = metrics.compute(Comparison(generated, reference.embeddings, distances_to_real, reference.distances))
        rows = [
            Row(
                name,
                *values[name],
                **vars(reference.anchors[name]),
                meaning=metric.words,
                lower_is_better=metric.lower_is_better,
            )
            for name, metric in metrics.METRICS.items()
        ]
        frechet_to_noise = {
            "white noise": distances.frechet_distance(generated.embeddings, reference.white),
            "noise of the recordings' spectrum": distances.frechet_distance(generated.embeddings, reference.matched),
        }
        return Result(
            train_dir=self.train_dir.path,
            step=step,
            checkpoint=checkpoint or f"ckpt-{step}",
            n=self.n,
            embedding_version=features.EMBEDDING_VERSION,
            sample_rate_hz=self.config.data_sample_rate,
            config=dataclasses.asdict(self.config),
            rows=rows,
            verdicts=verdicts.judge(rows, frechet_to_noise),
            clips={
                "real": self._recordings.sides[0].read(0, CLIPS),
                "generated": read(0, CLIPS),
                "noise": matched_noise(reference.power, self.config)(0, CLIPS),
            },
            pairs=self._closest_pairs(to_real, read),
            evaluation=self.digest,
            by_label=self._compare_labels(generated.embeddings),
        )

    def _compare_labels(self, embeddings):
        """Figures of each label, a list of `by_label.LabelFigures`, where both sides have labels."""
        side, real = self._recordings.sides[0], self._reference.embeddings
        if not side.label_names:
            return []
        asked = by_label.labels_of(self._inputs, self.config)
        return by_label.compare(embeddings, asked, real, side.labels(0, len(real)), side.label_names)

    def record(self, result):
        """Appends a result to metrics.jsonl and TensorBoard, and keeps the checkpoint if it is the best so far.

        Args:
            result: `Result` of this evaluator, of a checkpoint that is still there.

        Returns:
            Boolean, whether it is the best so far, by Fréchet distance, and is kept in best/.
        """
        from wavegan_asmr.evaluation import curves

        curves.record(self.train_dir.path, result)
        candidate = Best(result.step, result.value("frechet_distance"), self.digest)
        return self.train_dir.keep_best(candidate, self._measure_best)

    def _measure_best(self, best):
        """Returns the Fréchet distance of the checkpoint in best/, a `Best`, or None where it cannot be used.

        It was measured against other recordings or with another n, and does not compare.
        """
        try:
            generator = Generator(TrainDir(self.train_dir.join(BEST)), best.step)
            read = functools.partial(self._generate, generator.generate)
            embeddings = measure(read, self.n, self.config.data_sample_rate).embeddings
        except UserError as error:
            print(f"the checkpoint in best/ is left out: {error}", file=sys.stderr)
            return None
        return distances.frechet_distance(embeddings, self._reference.embeddings)

    def _generate(self, generate, first, count):
        clips = generate(self._inputs[first : first + count])
        if not np.isfinite(clips).all():
            raise UserError("the generator makes samples that are not numbers: its training has diverged.")
        return clips

    @functools.cached_property
    def _inputs(self):
        # The same for every checkpoint: they differ by their weights alone.
        random = np.random.default_rng([self.config.train_seed, _INPUTS])
        return family_of(self.config).draw(self.config, random, self.n)

    def _closest_pairs(self, to_real, read):
        """The closest pairs of generated and real slices: list of (distance, generated, real)."""
        pairs = [
            (distance, i, side, j)
            for side, neighbours in zip(self._recordings.sides, to_real)
            for i, (distance, j) in enumerate(zip(*neighbours))
        ]
        pairs.sort(key=lambda pair: pair[0])
        unit = metrics.unit_of(self._reference.distances)
        return [(float(d / unit), read(i, 1)[0], side.read(int(j), 1)[0]) for d, i, side, j in pairs[:PAIRS]]

    def _digest(self):
        """Digest of all that decides the measurements of the recordings."""
        settings = {name: value for name, value in dataclasses.asdict(self.config).items() if name.startswith("data_")}
        # Labels and measures change nothing in what recordings sound like.
        for name in ("data_dir", "data_cache_dir", "data_labels", "data_conditions"):
            del settings[name]
        decides = [features.EMBEDDING_VERSION, self.n, self.config.train_seed, settings, self._recordings.identity]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
