"""Measures a checkpoint against recordings: the table, its history, and the best checkpoint.

Every metric stands beside the same metric of real slices against other real slices (floor) and of noise against real
slices (ceiling), all of them against the same side of the recordings, see `anchors.open_sides`.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
import zipfile

import numpy as np
from threadpoolctl import threadpool_limits

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import anchors, distances, results, verdicts
from wavegan_asmr.evaluation.results import Result, Row
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.progress import Meter
from wavegan_asmr.sound import features
from wavegan_asmr.train_dir import BEST, Best

CLIPS = 8
"""Clips of each kind for the report."""

PAIRS = 10
"""Closest pairs of generated and real slices for the report."""

_MEANINGS = {
    "frechet_distance": ("difference from the recordings in all; the one to follow", True),
    "kernel_distance": ("the same by another formula; 0 is no difference", True),
    "ndb": ("share of the recordings' kinds of sound that come too often or too rarely", True),
    "diversity": ("distance to the next of its own; far below the recordings': few sounds", None),
    "memorisation": ("distance to the nearest recorded slice; 1 is that of other recorded slices", None),
    "copies": ("share that are copies of recorded slices", None),
    "autocorrelation": ("largest at lags 50 to 4000; high: a tone or a comb", None),
    "autocorrelation_4k": ("largest at lags 64, 256, 1024, ...; high: a metallic comb", None),
    "fine_deviation_db": ("roughness of the fine spectrum; high: a comb", None),
    "fine_peak_db": ("lines of the fine spectrum; high: tones", None),
    "rms_db": ("level", None),
    "peak_db": ("highest sample", None),
    "clipped": ("share of samples at full scale", None),
    "silent": (f"share of slices below {features.SILENT_DB:.0f} dB", None),
    "dc": ("offset", None),
    "centroid_hz": ("brightness", None),
    "flatness": ("1: white noise, 0: a tone", None),
}
"""Dict of metric to what it says, and whether lower is better."""

_CHUNK_SAMPLES = 1 << 18
_NOISE_SLICES = 256
_INPUTS, _WHITE, _MATCHED = 0xE7A1, 0xE7A2, 0xE7A3
_SLICES_PER_BIN, _MOST_BINS = 20, 50
_LEAST_DEVIATION = 1.0
_COPY_QUANTILE, _COPY_RATIO = 0.01, 0.5

# The matrices are small: threads of BLAS would wait for each other, and for those that measure slices.
_one_thread = threadpool_limits.wrap(limits=1)


@dataclasses.dataclass(frozen=True)
class Measured:
    """Measurements of n slices.

    Attributes:
        embeddings: float64 `[n, dim]`, see `features.embed`.
        log_mels: float16 `[n, frames * bands]`, see `features.log_mel`.
        facts: Dict of float64 `[n]`, see `features.periodicity` and `features.health`.
    """

    embeddings: np.ndarray
    log_mels: np.ndarray
    facts: dict


@dataclasses.dataclass(frozen=True)
class _Reference:
    """What is known of the recordings, and of noise against them; all arrays, as the cache keeps them.

    Attributes:
        embeddings, log_mels: Of the one side, which everything is compared with.
        other_log_mels: Of the other side.
        distances: float64 `[n]`, from the slices of the other side to their nearest neighbours on the one side.
        white, matched: Embeddings of noise.
        power: See `anchors.mean_power`.
        anchors: float64 `[metrics, 4]`, floor, held out, white noise, matched noise; NaN where there is none.
    """

    embeddings: np.ndarray
    log_mels: np.ndarray
    other_log_mels: np.ndarray
    distances: np.ndarray
    white: np.ndarray
    matched: np.ndarray
    power: np.ndarray
    anchors: np.ndarray


class Evaluator:
    """Measures checkpoints of a training against recordings, which it measures once.

    Args:
        train_dir: `TrainDir`; it keeps the measurements of the recordings for the next time.
        config: `Config`.
        n: Integer, generated slices; real ones are as many where there are.
        data_dir: Path-like, folder of recordings, or None for that of the config.
        show_progress: Boolean, show on stderr how far it is.

    Attributes:
        digest: String, of all that decides a result but the checkpoint.

    Raises:
        UserError: There are too few slices or no recordings, see `anchors.open_sides`.
    """

    def __init__(self, train_dir, config, n, data_dir=None, show_progress=False):
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
        self._reference = _read_cache(path, self.digest)
        if not self._reference:
            self._reference = self._measure_reference()
            _write_cache(path, self.digest, self._reference)

    @_one_thread
    def evaluate(self, generate, step, checkpoint=None):
        """Measures a generator.

        Args:
            generate: Function of inputs (see `families.family.Family`) `[m, ...]` to clips float32 `[m, samples, channels]`.
            step: Integer, its training step.
            checkpoint: String, its name, or None for that of the step.

        Returns:
            `Result`.

        Raises:
            UserError: The generator makes samples that are not numbers.
        """
        reference = self._reference
        read = functools.partial(self._generate, generate)
        with self._meter("measuring generated slices", self.n) as advance:
            generated = measure(read, self.n, self.config.data_sample_rate, advance)
        to_real = [nearest(generated.log_mels, real) for real in (reference.log_mels, reference.other_log_mels)]
        values = compare(generated, reference.embeddings, [d for d, _ in to_real], reference.distances)
        error = distances.bootstrap_error(distances.frechet_distance, generated.embeddings, reference.embeddings)
        values["frechet_distance"] = values["frechet_distance"][0], error
        rows = [
            Row(metric, *values[metric], *(None if np.isnan(x) else float(x) for x in beside), *meaning)
            for (metric, meaning), beside in zip(_MEANINGS.items(), reference.anchors)
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
                "noise": self._noise(reference.power, _MATCHED)(0, CLIPS),
            },
            pairs=self._closest_pairs(to_real, read),
            evaluation=self.digest,
        )

    def record(self, result):
        """Appends a result to metrics.jsonl and TensorBoard, and keeps the checkpoint if it is the best so far.

        Args:
            result: `Result` of this evaluator, of a checkpoint that is still there.

        Returns:
            Boolean, whether it is the best so far, by Fréchet distance, and is kept in best/.
        """
        from wavegan_asmr import summaries

        results.append_history(self.train_dir.path, result)
        writer = summaries.create_writer(self.train_dir.join("eval"))
        summaries.write_scalars(writer, result.step, {f"eval/{row.metric}": row.value for row in result.rows})
        writer.close()
        score, best_score = result.value("frechet_distance"), self._best_score()
        if best_score is not None and best_score <= score:
            return False
        return self.train_dir.keep_best(Best(result.step, score, self.digest))

    def _best_score(self):
        """Returns the Fréchet distance of the checkpoint in best/, or None where there is none that can be used."""
        best = self.train_dir.read_best()
        if not best or best.evaluation == self.digest:
            return best and best.frechet_distance
        # It was measured against other recordings or with another n, and does not compare.
        try:
            generator = Generator(self.train_dir, BEST)
            read = functools.partial(self._generate, lambda inputs: generator.clips(inputs, len(inputs)))
            embeddings = measure(read, self.n, self.config.data_sample_rate).embeddings
        except UserError as error:
            print(f"the checkpoint in best/ is left out: {error}", file=sys.stderr)
            return None
        score = distances.frechet_distance(embeddings, self._reference.embeddings)
        self.train_dir.mark_best(Best(best.step, score, self.digest))
        return score

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

    @contextlib.contextmanager
    def _meter(self, label, total):
        """Context that gives a function to say that so many more are done."""
        with Meter(label, total, is_shown=self._show_progress) as meter:
            yield meter.advance

    def _noise(self, power, seed):
        return anchors.make_noise(power, self.config.data_slice_len, seed)

    def _closest_pairs(self, to_real, read):
        """The closest pairs of generated and real slices: list of (distance, generated, real)."""
        pairs = [
            (distance, i, side, j)
            for side, neighbours in zip(self._recordings.sides, to_real)
            for i, (distance, j) in enumerate(zip(*neighbours))
        ]
        pairs.sort(key=lambda pair: pair[0])
        unit = _unit(self._reference.distances)
        return [(float(d / unit), read(i, 1)[0], side.read(int(j), 1)[0]) for d, i, side, j in pairs[:PAIRS]]

    def _digest(self):
        """Digest of all that decides the measurements of the recordings."""
        settings = {name: value for name, value in dataclasses.asdict(self.config).items() if name.startswith("data_")}
        del settings["data_dir"], settings["data_cache_dir"]
        decides = [features.EMBEDDING_VERSION, self.n, self.config.train_seed, settings, self._recordings.identity]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]

    @_one_thread
    def _measure_reference(self):
        """Measures both sides of the recordings, held-out recordings, and noise: `_Reference`."""
        sides, held_out = self._recordings.sides, self._recordings.held_out
        if held_out and min(side.offsets for side in held_out) <= features.EMBEDDING_DIM:
            held_out = None
        power = anchors.mean_power(sides[0].read, min(self.n, sides[0].offsets))
        white, matched = self._noise(anchors.flat_power(power), _WHITE), self._noise(power, _MATCHED)
        slices = [*sides, *(held_out if held_out not in (None, sides) else ())]
        sources = [(side.read, min(self.n, side.offsets)) for side in slices]
        sources += [(noise, min(self.n, _NOISE_SLICES)) for noise in (white, matched)]
        with self._meter("measuring recorded slices and noise", sum(n for _, n in sources)) as advance:
            measured = [measure(read, n, self.config.data_sample_rate, advance) for read, n in sources]
        real, other, *held, white, matched = measured
        own, _ = nearest(other.log_mels, real.log_mels)

        def column(x, against):
            to_real, _ = nearest(x.log_mels, against.log_mels)
            values = compare(x, against.embeddings, [to_real], own)
            return [values[metric][0] for metric in _MEANINGS]

        floor = column(other, real)
        # Where each recording is on one side, the other side is held out already.
        held_out = column(held[1], held[0]) if held else floor if held_out else np.full(len(floor), np.nan)
        columns = [floor, held_out, column(white, real), column(matched, real)]
        return _Reference(
            embeddings=real.embeddings,
            log_mels=real.log_mels,
            other_log_mels=other.log_mels,
            distances=own,
            white=white.embeddings,
            matched=matched.embeddings,
            power=power,
            anchors=np.transpose(columns),
        )


@_one_thread
def measure(read, n, sample_rate_hz, advance=lambda count: None):
    """Measures slices, on all cores.

    Args:
        read: Source of sounds, see `anchors`; it is called from this thread only.
        n: Integer.
        sample_rate_hz: Integer.
        advance: Function, called with the number of slices read since the last call.

    Returns:
        `Measured`.
    """
    workers = os.cpu_count()
    chunk = max(1, _CHUNK_SAMPLES // read(0, 1).size)
    parts, waiting = [], collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for first in range(0, n, chunk):
            x = read(first, min(chunk, n - first))
            waiting.append(pool.submit(_measure_chunk, x, sample_rate_hz))
            # Chunks that wait take memory.
            if len(waiting) > workers:
                parts.append(waiting.popleft().result())
            advance(len(x))
        parts.extend(each.result() for each in waiting)
    embeddings, log_mels, facts = zip(*parts)
    return Measured(
        np.concatenate(embeddings),
        np.concatenate(log_mels),
        {name: np.concatenate([part[name] for part in facts]) for name in facts[0]},
    )


def _measure_chunk(x, sample_rate_hz):
    log_mels = features.log_mel(x, sample_rate_hz).reshape(len(x), -1).astype(np.float16)
    facts = features.periodicity(x) | features.health(x, sample_rate_hz)
    return features.embed(x, sample_rate_hz), log_mels, facts


def nearest(queries, candidates=None):
    """Finds the nearest log-mel spectrogram of each, see `distances.nearest_neighbours`.

    Args:
        queries, candidates: float16 `[n, dim]` and `[m, dim]`, as `Measured` keeps them; None for the other queries.

    Returns:
        Distances and indices, `[n]` each.
    """
    return distances.nearest_neighbours(
        queries.astype(np.float32), None if candidates is None else candidates.astype(np.float32)
    )


def compare(x, real, to_real, own):
    """Compares slices with real ones.

    Args:
        x: `Measured`.
        real: float64 `[n, dim]`, embeddings of the real slices.
        to_real: List of float64 `[m]`, distances of x from the nearest slices of one or more sets, the first as large
            as the one that `own` leads to.
        own: float64 `[k]`, those of real slices from other real ones.

    Returns:
        Dict of metric to (value, standard error or None).
    """
    # In units of the recordings' own deviations, of which some are tiny.
    deviation = np.maximum(real.std(axis=0), _LEAST_DEVIATION)
    scaled, scaled_real = ((each - real.mean(axis=0)) / deviation for each in (x.embeddings, real))
    bins = max(2, min(_MOST_BINS, len(real) // _SLICES_PER_BIN))
    within, _ = nearest(x.log_mels)
    unit = _unit(own)
    copy = _COPY_RATIO * np.quantile(own, _COPY_QUANTILE)
    return {
        "frechet_distance": (distances.frechet_distance(x.embeddings, real), None),
        "kernel_distance": distances.kernel_distance(scaled, scaled_real),
        "ndb": (distances.ndb(scaled_real, scaled, bins), None),
        "diversity": _mean(within / unit),
        "memorisation": _mean(to_real[0] / unit),
        "copies": _mean(np.min(to_real, axis=0) < copy),
    } | {name: _mean(fact) for name, fact in x.facts.items()}


def _unit(distances):
    """What distances of nearest neighbours are relative to: the mean of those of real slices, never zero."""
    return max(distances.mean(), 1e-9)


def _mean(values):
    """Mean and standard error of values of independent slices."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _read_cache(path, digest):
    """Reads the `_Reference` that was written with the digest, or returns None."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["digest"]) == digest:
                return _Reference(**{field.name: file[field.name] for field in dataclasses.fields(_Reference)})
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        pass
    return None


def _write_cache(path, digest, reference):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with storage.replace_atomically(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, digest=digest, **{f.name: getattr(reference, f.name) for f in dataclasses.fields(_Reference)})
