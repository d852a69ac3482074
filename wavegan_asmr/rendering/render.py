"""One or more trained models -> a finished sound file, its manifest and its picture."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import os
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.progress import Meter, StatusLine, Timer, clock
from wavegan_asmr.rendering.composition import (
    Composition,
    CompositionError,
    Joining,
    Latents,
    Line,
    Piece,
    Turns,
    Voice,
)
from wavegan_asmr.rendering.encoding import Output, decode
from wavegan_asmr.rendering.mastering import Levels, Limiter, LoudnessMeter, StartleGuard, amplitude, decibels
from wavegan_asmr.sound import plots
from wavegan_asmr.train_dir import BEST, TrainDir

BLOCK_FRAMES = 1 << 17
"""Frames that are mastered at once. Blocks begin at multiples of it, so a block is always the same samples."""

PILOT_PIECES = 192
"""Pieces that are measured before the first one is used."""

_MOST_AT_ONCE, _SAMPLES_AT_ONCE = 64, 1 << 20
"""Pieces and samples that are generated at once: larger batches are faster, and take more memory."""

_LEVELLED_S = 600.0
"""Seconds by which the loudness is set: all of a shorter composition, stretches all over a longer one."""

_LEVELLED_STRETCHES = 20
_CODEC_S, _CODEC_RESERVE_DB = 20.0, 1.0
"""What a codec does to level and peaks is measured on so many seconds; peaks get a reserve for all the others.

Also for players, which decode Opus at 48 kHz whatever its rate is, and find peaks up to 0.7 dB higher.
"""

_CODEC_LIMITED_DB = 6.0
"""Peaks are measured with the sound so far above the ceiling: a sound that has been limited overshoots most."""

_TOLERANCE_DB = 0.1
_LIMITED_DB = 2.0
"""A sound with peaks this near to the ceiling was limited."""

_ENDLESS_S = 8 * 3600.0
_BLOCKS_AHEAD = 3
_SHORTEST_FILE_S = 0.4
"""What loudness is defined for."""
_SHORTEST_LOOP_S, _SHORTEST_LOOP_FADE_S = 1.0, 0.25
_OVERVIEW_COLUMNS = 1500
_MOST_SEAMS = 400
"""Seams that a picture can show."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained generator, and what identifies it.

    Attributes:
        train_dir: String.
        step: Integer, of the checkpoint.
        digest: String, of the weights.
        config: `Config`.
        generate: Function, float32 `[n, latent_dim]` -> float32 `[n, samples, channels]`.
    """

    train_dir: str
    step: int
    digest: str
    config: object
    generate: object

    @classmethod
    def load(cls, path, precision, checkpoint=None):
        """Loads a checkpoint of a TRAIN_DIR, see `TrainDir.load_generator`; `precision` is its dtype policy."""
        train_dir = TrainDir(path)
        generator = Generator(train_dir, checkpoint, precision)
        return cls(train_dir.path, generator.step, generator.digest, generator.config, generator.generate)

    @classmethod
    def load_again(cls, identity, precision):
        """Loads what `identify` returned: from the TRAIN_DIR, or from its best/ where it is kept longer.

        Raises:
            UserError: The checkpoint has gone or changed.
        """
        path, step = identity["train_dir"], identity["step"]
        best = TrainDir(path).read_best()
        is_only_best = best and best.step == step not in TrainDir(path).steps()
        model = cls.load(path, precision, BEST if is_only_best else step)
        if model.digest != identity["digest"]:
            raise UserError(
                f"the checkpoint of step {step} in {path!r} is not the one that was rendered; put it back from a "
                "backup."
            )
        return model

    def identify(self):
        """Returns what the manifest keeps."""
        return {"train_dir": self.train_dir, "step": self.step, "digest": self.digest}


# Threads of BLAS that wait for their share in a loop take the cores from the generator.
_one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@_one_thread
def render(paths, output_settings, settings, checkpoint=None):
    """Renders a composition of models.

    Args:
        paths: List of path-likes, TRAIN_DIRs.
        out: String, the file to write, or "-" for stdout.
        settings: Dict, the flags of `generate.py`.

    Raises:
        UserError: See `generate.py`.
    """
    options, out = _Options(vars(settings) | vars(output_settings) | {"seconds": settings.seconds}), output_settings.out
    models = [Model.load(path, options.precision, checkpoint) for path in paths]
    rates_hz = [model.config.data_sample_rate for model in models]
    rate_hz = options.sample_rate or max(rates_hz)
    for model in models:
        if model.config.data_num_channels > 2:
            raise UserError(
                f"a model must have one or two channels. Received: {model.train_dir} has "
                f"{model.config.data_num_channels}."
            )
    is_stereo = options.stereo is not None or any(model.config.data_num_channels > 1 for model in models)
    frames = round(options.seconds * rate_hz) or None
    shortest_s = _SHORTEST_LOOP_S if options.loop else _SHORTEST_FILE_S
    if frames is not None and frames < shortest_s * rate_hz:
        raise UserError(
            f"--minutes and --hours must make at least {shortest_s:g} s. Received: {frames / rate_hz:.1f} s."
        )
    output = _make_output(out, options, rate_hz, 2 if is_stereo else 1, frames, _sidecars(out))
    voices = _make_voices(models, output, options)
    joining = _make_joining(voices, output, options)
    gains_db = options.gains_db or [0.0] * len(models)
    try:
        pilots_left_out = []
        for model, voice in zip(models, voices):
            pilots_left_out.append(voice.calibrate(PILOT_PIECES, options.max_left_out))
            _say(f"pilot     {model.train_dir}: {pilots_left_out[-1]} of {PILOT_PIECES} pieces would be left out")
        line_gains_db, master_gain_db = _level(voices, joining, gains_db, output, options)
        codec_gain_db, ceiling_dbtp = _measure_codec(voices, joining, line_gains_db, master_gain_db, output, options)
        master_gain_db = round(master_gain_db + codec_gain_db, 3)
        lines = _make_lines(voices, joining, line_gains_db)
        for voice in voices:
            voice.left_out = 0
        composition = _compose(lines, output, options, master_gain_db)
    except CompositionError as error:
        raise UserError(f"{error}. Received: {', '.join(map(str, paths))}.") from error
    head = {
        "settings": dataclasses.asdict(settings),
        "models": [model.identify() for model in models],
        "sample_rate_hz": rate_hz,
        "channels": output.channels,
        "frames": frames,
        "pilot_pieces": PILOT_PIECES,
        "pilots_left_out": pilots_left_out,
        "joining": dataclasses.asdict(joining),
        "offsets": [voice.offset.tolist() for voice in voices],
        "line_gains_db": line_gains_db,
        "master_gain_db": master_gain_db,
        "ceiling_dbtp": ceiling_dbtp,
    }
    _report(_write(composition, output, options, head), output, options)


@_one_thread
def render_again(manifest_path, start_s, end_s, output_settings):
    """Renders a stretch of a composition again, sample by sample as it was.

    Args:
        manifest_path: Path-like, the manifest that `render` wrote.
        start_s, end_s: Floats, seconds; None for the beginning and the end.
        out: String, the file to write.
        overwrite: Boolean, replace `out`.

    Raises:
        UserError: The manifest is not one, or its checkpoint has gone or changed.
    """
    manifest = _read_manifest(manifest_path)
    out = output_settings.out
    options = _Options(manifest["settings"] | {"overwrite": output_settings.overwrite})
    models = [Model.load_again(identity, options.precision) for identity in manifest["models"]]
    rate_hz, frames = manifest["sample_rate_hz"], manifest["frames"]
    # Fewer than planned where it was stopped.
    written = manifest["result"]["frames"]
    start = round((start_s or 0) * rate_hz)
    end = written if end_s is None else round(end_s * rate_hz)
    if not 0 <= start < end <= written:
        raise UserError(
            f"--start and --end must be within the {written / rate_hz:.1f} s of {os.fspath(manifest_path)!r}. "
            f"Received: {start / rate_hz:.1f} s to {end / rate_hz:.1f} s."
        )
    output = _make_output(out, options, rate_hz, manifest["channels"], end - start)
    whole = Output("-", rate_hz, manifest["channels"], options.bits, frames, options.seed)
    voices = _make_voices(models, whole, options)
    for voice, offset in zip(voices, manifest["offsets"]):
        voice.offset = np.array(offset, np.float32)
    joining = Joining(**manifest["joining"])
    lines = _make_lines(voices, joining, manifest["line_gains_db"])
    pieces = [Piece(**{name: piece[name] for name in _PIECE_FIELDS}) for piece in manifest["pieces"]]
    composition = _compose(lines, whole, options, manifest["master_gain_db"], pieces)
    limit = Limiter(manifest["ceiling_dbtp"], rate_hz)
    with output.open() as write:
        for number in range(start // BLOCK_FRAMES, -(-end // BLOCK_FRAMES)):
            first = number * BLOCK_FRAMES
            # Dithered as a block of the long file.
            samples = whole.encode(number, _master(composition, limit, number))
            write(samples[max(0, start - first) : end - first])
    _say(f"done      {out}: {clock(start / rate_hz)} to {clock(end / rate_hz)}")


class _Options:
    """The flags as attributes."""

    def __init__(self, settings):
        vars(self).update(settings)


_MANIFEST_FIELDS = (
    "settings models sample_rate_hz channels frames joining offsets line_gains_db master_gain_db ceiling_dbtp pieces "
    "result"
).split()
_PIECE_FIELDS = [field.name for field in dataclasses.fields(Piece)]


def _say(text):
    # stdout may be the sound.
    print(text, file=sys.stderr, flush=True)


def _read_manifest(path):
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        for name in _MANIFEST_FIELDS:
            manifest[name]
        Joining(**manifest["joining"])
        for piece in manifest["pieces"]:
            Piece(**{name: piece[name] for name in _PIECE_FIELDS})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--from must be the .json that generate.py wrote ({error}). Received: {path!r}.") from error
    return manifest


def _sidecars(out):
    """The manifest and the picture beside a sound file."""
    base = os.path.splitext(out)[0]
    return f"{base}.json", f"{base}.png"


def _make_output(out, options, rate_hz, channels, frames, sidecars=()):
    if frames is None and out != "-":
        raise UserError("a file needs a length: --minutes or --hours; only --out - goes on without end.")
    if options.loop and frames is None:
        raise UserError("--loop needs a length: --minutes or --hours.")
    output = Output(out, rate_hz, channels, options.bits, frames, options.seed, options.stdout_format)
    if out != "-":
        for path in [out, *sidecars]:
            if os.path.exists(path) and not options.overwrite:
                raise UserError(f"{path!r} is there already; give another --out, or --overwrite.")
        output.check_disk()
    return output


def _make_voices(models, output, options):
    voices = []
    for line, model in enumerate(models):
        config = model.config
        fade_s = options.fade_s if options.fade_s is not None else config.slice_s / 4
        if 2 * fade_s > config.slice_s:
            raise UserError(
                f"a piece must be as long as two fades; one of {model.train_dir} has {config.data_slice_len} frames, "
                f"{config.slice_s:.2f} s. Received: --fade_s {fade_s:g}."
            )
        keyframe_pieces = options.walk_s / (config.slice_s - fade_s) if options.latents == "walk" else None
        latents = Latents(config.wavegan_latent_dim, options.seed, line, options.truncation, keyframe_pieces)
        voices.append(
            Voice(
                model.generate,
                latents,
                config.data_sample_rate,
                output.sample_rate_hz,
                output.channels,
                options.stereo or 0.0,
                min(_MOST_AT_ONCE, max(1, _SAMPLES_AT_ONCE // config.data_slice_len)),
            )
        )
    return voices


def _make_joining(voices, output, options):
    shortest = min(voice.piece_len for voice in voices)
    fade = shortest // 4 if options.fade_s is None else round(options.fade_s * output.sample_rate_hz)
    return Joining(
        fade=fade,
        shape=options.fade_shape,
        candidates=options.candidates,
        align=fade // 2 if options.align else 0,
    )


def _make_lines(voices, joining, gains_db, start=0):
    """A line of each voice, which begins with the pieces that are used from about the frame `start` on."""
    lines = []
    for number, (voice, gain_db) in enumerate(zip(voices, gains_db)):
        # Nearly every piece is used, one a hop.
        first_index = start // (voice.piece_len - joining.fade)
        # A short stretch takes one batch then.
        first_index -= first_index % voice.at_once
        lines.append(Line(number, voice, joining, gain_db, first_index))
    return lines


def _level(voices, joining, gains_db, output, options):
    """Measures stretches all over the composition; returns the gain of every line, and of their sum."""
    levelled = round(_LEVELLED_S * output.sample_rate_hz)
    frames = output.frames or round(_ENDLESS_S * output.sample_rate_hz)
    stretches = 1 if frames <= levelled else _LEVELLED_STRETCHES
    stretch = min(frames, levelled) // stretches
    blocks = range(0, stretch, BLOCK_FRAMES)
    is_mix = options.layout == "mix" and len(voices) > 1

    def loudness(voices, gains_db):
        meter = LoudnessMeter(output.sample_rate_hz, output.channels)
        for number in range(stretches):
            lines = _make_lines(voices, joining, gains_db, frames * number // stretches)
            composition = _compose_alone(lines, stretch, 0.0, output, options)
            for first in blocks:
                meter.add(composition.mix(first, min(first + BLOCK_FRAMES, stretch)))
                status.advance(1)
        return meter.integrated()

    with Meter("levelling, block", len(blocks) * stretches * (len(voices) + is_mix)) as status:
        line_gains_db = []
        for voice, gain_db in zip(voices, gains_db):
            lufs = loudness([voice], [0.0])
            if not np.isfinite(lufs):
                raise CompositionError("the model makes silence; train it longer")
            line_gains_db.append(round(float(options.lufs - lufs + gain_db), 3))
        if is_mix:
            return line_gains_db, round(float(options.lufs - loudness(voices, line_gains_db)), 3)
    # Turns are equally long, so the mean of their powers is that of the whole.
    return line_gains_db, round(-10 * float(np.log10(np.mean(10 ** (np.array(gains_db) / 10)))), 3)


def _measure_codec(voices, joining, gains_db, gain_db, output, options):
    """Encodes and decodes some seconds, since a lossy format changes level and peaks.

    Returns:
        Float, dB to add so that the decoded sound is as loud as it was; float, the limiter's ceiling that keeps the
        decoded peaks below `--peak_dbtp`.
    """
    if output.is_pcm:
        return 0.0, options.peak_dbtp
    rate_hz = output.sample_rate_hz
    if options.layout == "mix":
        groups = [_make_lines(voices, joining, gains_db)]
    else:
        groups = [_make_lines([voice], joining, [each_db]) for voice, each_db in zip(voices, gains_db)]
    frames = round(_CODEC_S * rate_hz / len(groups))
    x = np.concatenate([_compose_alone(lines, frames, gain_db, output, options).mix(0, frames) for lines in groups])
    limit = Limiter(options.peak_dbtp, rate_hz)

    def figures(x):
        levels = Levels(rate_hz, output.channels)
        levels.add(x)
        return levels.figures()

    def limited(x):
        return limit(np.pad(x, [[limit.context, limit.context], [0, 0]]))

    x = limited(x)
    codec_gain_db = figures(x)["lufs"] - figures(output.round_trip(x))["lufs"]
    lift_db = max(0.0, options.peak_dbtp + _CODEC_LIMITED_DB - figures(x)["true_peak_db"])
    hot = limited(x * np.float32(amplitude(lift_db)))
    overshoot_db = figures(output.round_trip(hot))["true_peak_db"] - options.peak_dbtp
    return codec_gain_db, round(options.peak_dbtp - max(0.0, overshoot_db) - _CODEC_RESERVE_DB, 3)


def _compose_alone(lines, frames, gain_db, output, options):
    """The first frames of lines under the guard, without anything that goes round them."""
    return Composition(lines, frames, gain_db=gain_db, guard=_make_guard(output, options))


def _make_guard(output, options):
    return StartleGuard(options.max_jump_db, output.sample_rate_hz, output.channels)


def _compose(lines, output, options, gain_db, pieces=None):
    """Returns the composition: of the pieces of a manifest, or of pieces to be chosen, which are guarded."""
    rate_hz, frames = output.sample_rate_hz, output.frames
    turns = None
    if options.layout == "sequence" and len(lines) > 1:
        stretch, fade = round(options.stretch_s * rate_hz), round(options.model_fade_s * rate_hz)
        if stretch < 2 * fade:
            raise CompositionError("--stretch_s must be at least twice --model_fade_s")
        turns = Turns(len(lines), stretch, fade)
    loop_fade = 0
    if options.loop:
        loop_fade = min(round(max(options.fade_out_s, _SHORTEST_LOOP_FADE_S) * rate_hz), frames // 4)
    # Fades take no more than a third of a short file each.
    longest = frames // 3 if frames else np.inf
    fades = [round(min(seconds * rate_hz, longest)) for seconds in (options.fade_in_s, options.fade_out_s)]
    guard = _make_guard(output, options) if pieces is None else None
    return Composition(lines, frames, turns, *fades, loop_fade, gain_db, pieces, guard)


def _master(composition, limit, number):
    """Returns a block after the limiter, float32; the last one of a composition is shorter."""
    first, last = number * BLOCK_FRAMES, (number + 1) * BLOCK_FRAMES
    if composition.frames is not None:
        last = min(last, composition.frames)
    return limit(composition.mix(first - limit.context, last + limit.context))


def _write(composition, output, options, head):
    """Renders, masters, encodes and measures; returns the figures of the finished file."""
    rate_hz, start_s = output.sample_rate_hz, time.monotonic()
    limit = Limiter(head["ceiling_dbtp"], rate_hz)
    measure = Measure(rate_hz, output.channels, output.frames)
    # What a lossy file holds is known when it is decoded.
    levels = measure.levels if output.is_pcm else Levels(rate_hz, output.channels)
    is_file = output.path != "-"
    manifest_path, picture_path = _sidecars(output.path)
    was_stopped, seams = False, []

    def finish(number, x):
        write(output.encode(number, x))
        measure.add(x)

    with contextlib.ExitStack() as stack:
        manifest = stack.enter_context(Manifest(manifest_path, head)) if is_file else None
        status = stack.enter_context(_Status(output))

        def check(path):
            with _stoppable(options):
                _measure_decoded(path, levels, status)

        with output.open(None if output.is_pcm else check) as write:
            was_stopped = True
            with _stoppable(options), _Queue(finish) as queue:
                for number in range(-(-output.frames // BLOCK_FRAMES)) if output.frames else itertools.count():
                    x = _master(composition, limit, number)
                    if manifest:
                        starts_s = [(piece.start - composition.loop_fade) / rate_hz for piece in composition.used]
                        manifest.add(composition.used, starts_s)
                        seams.extend(starts_s[: _MOST_SEAMS + 1 - len(seams)])
                    composition.used.clear()
                    # Encoding and measuring run beside the making of the next block.
                    queue.add(number, x)
                    status.show("rendered", (number + 1) * BLOCK_FRAMES)
                queue.finish()
                was_stopped = False
        # A fade-in is no rise; a loop has none.
        skip_s = 0 if options.loop else composition.fades[0] / rate_hz
        result = {
            "frames": measure.frames,
            "seconds": measure.frames / rate_hz,
            **levels.figures(skip_s, options.loop and not was_stopped),
            "pieces_left_out": composition.left_out,
            "wall_s": time.monotonic() - start_s,
        }
        if manifest:
            manifest.finish(result)
    if is_file:
        _draw(measure, seams, output, options, picture_path)
        if was_stopped:
            _say("stopped; what was written is kept")
    return result


@contextlib.contextmanager
def _stoppable(options):
    """Context that Ctrl-C only ends, where what is written is to be kept."""
    try:
        yield
    except KeyboardInterrupt:
        if not options.keep_partial:
            raise


def _measure_decoded(path, levels, status):
    status.restart()
    decoded = 0
    for x in decode(path):
        levels.add(x)
        decoded += len(x)
        status.show("checked", decoded)


class _Queue:
    """Has blocks worked on in a thread, in their order; what is not begun when the context ends is given up.

    Args:
        work: Function of a block's number and its samples.
    """

    def __init__(self, work):
        self._work = work
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._pending = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # The file is not closed while a block is written.
        self._pool.shutdown(cancel_futures=True)

    def add(self, number, x):
        """Adds a block; waits where too many wait."""
        self._pending.append(self._pool.submit(self._work, number, x))
        while len(self._pending) > _BLOCKS_AHEAD:
            self._pending.popleft().result()

    def finish(self):
        """Waits for all blocks."""
        while self._pending:
            self._pending.popleft().result()


class _Status:
    """The line of progress.

    Args:
        output: `Output`.
    """

    def __init__(self, output):
        self._output = output
        self._line = StatusLine(sys.stderr)
        self._is_due = Timer(self._line.interval_s).is_due
        self.restart()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._line.close()

    def restart(self):
        """Begins to count the time for another task."""
        self._start_s = time.monotonic()

    def show(self, verb, frames):
        """Shows, if it is time, how many frames are done."""
        if self._is_due():
            self._line.show(self._describe(verb, frames))

    def _describe(self, verb, frames):
        rate_hz, all_frames = self._output.sample_rate_hz, self._output.frames
        done_s = min(frames, all_frames or frames) / rate_hz
        speed = done_s / (time.monotonic() - self._start_s)
        if all_frames is None:
            return f"{verb:<9} {clock(done_s)}  {speed:.0f}x real time"
        all_s = all_frames / rate_hz
        eta = clock((all_s - done_s) / speed)
        return f"{verb:<9} {clock(done_s)} of {clock(all_s)}  {speed:.0f}x real time  ETA {eta}"


def _report(result, output, options):
    _say(
        f"done      {output.path}: {clock(result['seconds'])}, {result['lufs']:.1f} LUFS (target {options.lufs:g}), "
        f"true peak {result['true_peak_db']:.1f} dBTP (ceiling {options.peak_dbtp:g}), "
        f"largest rise {result['largest_rise_db']:.1f} dB (at most {options.max_jump_db:g}), "
        f"{result['pieces_left_out']} pieces left out, {result['seconds'] / result['wall_s']:.0f}x real time"
    )
    too_high_db = result["true_peak_db"] - options.peak_dbtp
    if too_high_db > _TOLERANCE_DB:
        _say(
            f"warning   its true peak is {too_high_db:.1f} dB above the ceiling; for one below it, render with "
            f"--peak_dbtp={options.peak_dbtp - too_high_db - _TOLERANCE_DB:.1f} or into a .flac"
        )
    too_soft_db = options.lufs - result["lufs"]
    if too_soft_db > 1 and result["true_peak_db"] > options.peak_dbtp - _LIMITED_DB:
        _say(
            f"warning   it is {too_soft_db:.1f} dB softer than --lufs={options.lufs:g}, since its peaks are held at "
            "the ceiling; for that loudness, raise --peak_dbtp"
        )
    if result["largest_rise_db"] > options.max_jump_db + _TOLERANCE_DB:
        _say(
            f"warning   it rises by more than --max_jump_db={options.max_jump_db:g}; for less, render with a lower one"
        )


class Manifest:
    """The .json beside a sound file, written as the pieces come.

    Args:
        path: String.
        head: Dict, what is known before the first piece.
    """

    def __init__(self, path, head):
        self._path = path
        self._head = head
        self._count = 0

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        temporary = self._stack.enter_context(storage.replace_atomically(self._path))
        self._file = self._stack.enter_context(open(temporary, "w", encoding="utf-8"))
        text = json.dumps(self._head, indent=1)
        self._file.write(text[: text.rindex("\n")] + ',\n "pieces": [')
        return self

    def __exit__(self, *exception):
        return self._stack.__exit__(*exception)

    def add(self, pieces, starts_s):
        """Adds pieces that were used, and when they begin in the file, seconds."""
        for piece, start_s in zip(pieces, starts_s):
            entry = {"start_s": round(start_s, 4)} | dataclasses.asdict(piece)
            self._file.write((",\n  " if self._count else "\n  ") + json.dumps(entry))
            self._count += 1

    def finish(self, result):
        """Writes the figures of the finished file."""
        self._file.write(f'\n ],\n "result": {json.dumps(result)}\n}}\n')
        self._file.flush()


class Measure:
    """Figures and an overview of a finished sound, gathered block by block in the same memory for any length.

    Args:
        sample_rate_hz, channels: Integers.
        frames: Integer or None, the length.
    """

    def __init__(self, sample_rate_hz, channels, frames):
        self.sample_rate_hz = sample_rate_hz
        self.frames = 0
        self.levels = Levels(sample_rate_hz, channels)
        self.column_frames = -(-(frames or 1) // _OVERVIEW_COLUMNS)
        self.lowest = np.zeros(_OVERVIEW_COLUMNS, np.float32)
        self.highest = np.zeros(_OVERVIEW_COLUMNS, np.float32)
        self.spectra_db = np.full([_OVERVIEW_COLUMNS, 513], -120.0, np.float32)
        self._is_finite = frames is not None

    def add(self, x):
        """Adds a block, float32 `[frames, channels]`; of a stream without end only its length is kept."""
        if self._is_finite:
            self.levels.add(x)
            self._add_overview(x.mean(axis=1))
        self.frames += len(x)

    def _add_overview(self, mono):
        first, last = self.frames // self.column_frames, (self.frames + len(mono) - 1) // self.column_frames
        chosen = np.arange(first, last + 1)
        firsts = np.maximum(0, chosen * self.column_frames - self.frames)
        self.lowest[chosen] = np.minimum(self.lowest[chosen], np.minimum.reduceat(mono, firsts))
        self.highest[chosen] = np.maximum(self.highest[chosen], np.maximum.reduceat(mono, firsts))
        window = np.hanning(1024)
        for column, first in zip(chosen, np.minimum(firsts, len(mono) - 1024)):
            if first >= 0:
                spectrum = np.abs(np.fft.rfft(mono[first : first + 1024] * window)) / 256
                self.spectra_db[column] = decibels(spectrum, -120)


def _draw(measure, seams, output, options, path):
    figure = plots.overview(
        measure.lowest,
        measure.highest,
        measure.spectra_db.T,
        measure.levels.meter.short_term(),
        measure.column_frames / output.sample_rate_hz,
        measure.frames / output.sample_rate_hz,
        output.sample_rate_hz,
        options.lufs,
        os.path.basename(output.path),
        seams if len(seams) <= _MOST_SEAMS else [],
    )
    with storage.replace_atomically(path) as temporary, open(temporary, "wb") as file:
        file.write(plots.png(figure))
