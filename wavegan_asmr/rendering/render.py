"""One or more trained models -> a finished sound file, its manifest and its picture; and any stretch of it again."""

import contextlib
import os
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from wavegan_asmr import output_place, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import clock
from wavegan_asmr.rendering import beside, blocks, courses, levelling, manifest, models, tags
from wavegan_asmr.rendering.arrangement import Arrangement
from wavegan_asmr.rendering.encoding import Output
from wavegan_asmr.rendering.formats import STDOUT
from wavegan_asmr.rendering.inputs import PILOT
from wavegan_asmr.rendering.mastering import Limiter
from wavegan_asmr.rendering.pieces import CompositionError
from wavegan_asmr.rendering.writing import write

PILOT_PIECES = 192
"""Pieces that are measured before the first one is used."""

_SHORTEST_FILE_S = 0.4
"""What loudness is defined for."""

_SHORTEST_LOOP_S = 1.0

# Threads of BLAS that wait for their share in a loop take the cores from the generator.
_one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@_one_thread
def render(paths, output_settings, settings, checkpoint=None):
    """Renders a composition of models.

    Args:
        paths: List of path-likes, TRAIN_DIRs.
        output_settings: `OutputSettings`.
        settings: `RenderSettings`; its `seconds` are the length.
        checkpoint: Integer, `BEST` or None for the newest, of each model.

    Raises:
        UserError: There is no such checkpoint, a setting does not go with a model or a format, a model is of no use,
            the file is there already, or does not fit.
        OSError: The file cannot be written.
    """
    with _mistakes_of(*paths):
        settings = courses.resolve(settings)
        generators = [models.load(path, settings.precision, checkpoint) for path in paths]
        output = _make_output(generators, output_settings, settings)
        arrangement = Arrangement(generators, settings, output.sample_rate_hz, output.channels, output.frames)
        pilots_left_out = _run_pilots(generators, arrangement, settings)
        line_gains_db, master_gain_db = levelling.level(arrangement)
        codec_gain_db, ceiling_dbtp = levelling.measure_codec(arrangement, line_gains_db, master_gain_db, output)
        plan = manifest.Plan(
            settings=settings,
            models=tuple(map(models.Identity.of, generators)),
            sample_rate_hz=output.sample_rate_hz,
            channels=output.channels,
            frames=output.frames,
            pilot_pieces=PILOT_PIECES,
            pilots_left_out=tuple(pilots_left_out),
            joining=arrangement.joining,
            offsets=tuple(tuple(voice.offset.tolist()) for voice in arrangement.voices),
            line_gains_db=tuple(line_gains_db),
            master_gain_db=round(master_gain_db + codec_gain_db, 3),
            ceiling_dbtp=ceiling_dbtp,
        )
        for voice in arrangement.voices:
            voice.left_out = 0
        composition = arrangement.whole(plan.line_gains_db, plan.master_gain_db)
        with manifest.Writer(output.path, plan) if output.is_file else contextlib.nullcontext() as record:
            result, overview = write(
                composition, output, plan, record, output_settings.keep_partial, output_settings.measure_repeats
            )
            if output.frames and result.frames < output.frames:
                _say("stopped; what was written is kept")
            for line in result.describe(output.path, settings):
                _say(line)
            if record:
                _complete(output.path, record, result, overview, settings)


@_one_thread
def render_again(path, start_s, end_s, output_settings, moved=()):
    """Renders a stretch of a composition again, sample by sample as it was.

    Args:
        path: Path-like, the manifest that `render` wrote, or the sound file beside which it stands.
        start_s, end_s: Floats, seconds; None for the beginning and the end.
        output_settings: `OutputSettings`.
        moved: Sequence of path-likes, where the TRAIN_DIRs are now, see `models.load_again`.

    Raises:
        UserError: The manifest is not one, its checkpoint has gone or changed, the stretch is not within the file, or
            see `render`.
        OSError: The file cannot be written.
    """
    manifest_path = beside.find_manifest(os.fspath(path))
    whole = manifest.read(manifest_path)
    settings, rate_hz = whole.settings, whole.sample_rate_hz
    start, end = _frames_of_stretch(whole, start_s, end_s, manifest_path)
    with _mistakes_of(manifest_path):
        generators = models.load_again(whole.models, settings.precision, manifest_path, moved)
        is_whole = (start, end) == (0, whole.result.frames)
        output = Output(
            output_settings.out,
            rate_hz,
            whole.channels,
            settings.bits,
            end - start,
            settings.seed,
            output_settings.stdout_format,
            tags.describe(settings, whole.models, None if is_whole else (start / rate_hz, end / rate_hz)),
        )
        if output.is_file:
            output_place.check(output.path, output.bytes, output_settings.overwrite)
        arrangement = Arrangement(generators, settings, rate_hz, whole.channels, whole.frames, whole.joining)
        for voice, offset in zip(arrangement.voices, whole.offsets):
            voice.take_off(np.array(offset, np.float32))
        composition = arrangement.whole(whole.line_gains_db, whole.master_gain_db, whole.pieces)
        limit = Limiter(whole.ceiling_dbtp, rate_hz)
        is_loop = settings.loop and (start, end) == (0, whole.frames)
        with output.open(output.mark_loop if is_loop else None) as write_samples:
            for number in range(start // blocks.BLOCK_FRAMES, -(-end // blocks.BLOCK_FRAMES)):
                first = number * blocks.BLOCK_FRAMES
                samples = output.encode(number, blocks.master(composition, limit, number))
                write_samples(samples[max(0, start - first) : end - first])
    _say(f"done      {words.printable(output.path)}: {clock(start / rate_hz)} to {clock(end / rate_hz)}")


def _make_output(generators, output_settings, settings):
    """Returns the `Output` of models, once it is sure that it can be made."""
    out, configs = output_settings.out, [generator.config for generator in generators]
    rate_hz = settings.sample_rate or max(config.data_sample_rate for config in configs)
    has_stereo_models = [config.data_num_channels > 1 for config in configs]
    if settings.stereo is not None and all(has_stereo_models):
        raise UserError(
            f"--stereo makes stereo of mono models, and these are stereo; leave it out. Received: {settings.stereo:g}."
        )
    frames = round(settings.seconds * rate_hz) or None
    if frames is None and (settings.loop or out != STDOUT):
        what = "--loop" if settings.loop else "a file"
        raise UserError(f"{what} needs a length: --minutes or --hours; only --out - goes on without end.")
    shortest_s = _SHORTEST_LOOP_S if settings.loop else _SHORTEST_FILE_S
    if frames is not None and frames < shortest_s * rate_hz:
        raise UserError(
            f"--minutes and --hours must make at least {shortest_s:g} s. Received: {frames / rate_hz:.1f} s."
        )
    is_stereo = settings.stereo is not None or any(has_stereo_models)
    if output_settings.measure_repeats and out == STDOUT:
        raise UserError("--measure_repeats tells it in the manifest of a file; leave it out. Received: --out -.")
    output = Output(
        out,
        rate_hz,
        2 if is_stereo else 1,
        settings.bits,
        frames,
        settings.seed,
        output_settings.stdout_format,
        tags.describe(settings, map(models.Identity.of, generators)),
    )
    if output.is_file:
        names = beside.choose(out)
        size = output.bytes + beside.most_bytes(frames / rate_hz)
        output_place.check(out, size, output_settings.overwrite, [names.manifest, names.picture])
    return output


def _run_pilots(generators, arrangement, settings):
    """Has each voice measure its pilot; returns how many pieces of each would be left out."""
    counts = []
    for generator, voice in zip(generators, arrangement.voices):
        if generator.family.is_slow:
            _say_speed(generator, voice, arrangement)
        counts.append(voice.calibrate(PILOT_PIECES, settings.max_left_out))
        _say(f"pilot     {generator.train_dir}: {counts[-1]} of {PILOT_PIECES} pieces would be left out")
    return counts


def _say_speed(generator, voice, arrangement):
    """Says how fast a slow model makes sound, and how long the pilot and what is asked for will take."""
    slice_s = generator.config.slice_s
    start_s = time.monotonic()
    # The pilot's second batch: the first one has built the graph, and both are kept.
    voice[PILOT + voice.at_once]
    speed = voice.at_once * slice_s / (time.monotonic() - start_s)
    text = f"{speed:.2g} s of sound a second; the pilot takes {clock(PILOT_PIECES * slice_s / speed)}"
    if arrangement.frames:
        used = voice.piece_len / (voice.piece_len - arrangement.joining.fade)
        text += f", the file {clock(used * arrangement.frames / arrangement.sample_rate_hz / speed)}"
    _say(f"speed     {generator.train_dir}: {text}")


def _complete(path, record, result, overview, settings):
    """Writes the manifest and the picture of a sound file that is whole, whatever becomes of them."""
    try:
        names = record.finish(result)
    except OSError as error:
        raise UserError(
            f"{path!r} is whole, but its manifest cannot be written: {words.reason(error)}. "
            f"Received: {error.filename!r}."
        ) from error
    json_name, png_name = map(words.printable, (names.manifest, names.picture))
    try:
        overview.draw(names.picture, os.path.basename(path), settings.lufs)
    except OSError as error:
        _say(f"warning   {png_name} cannot be written: {words.reason(error)}; the sound and {json_name} are whole")
    if not names.is_short:
        _say(f"beside    its manifest is {json_name}, its picture {png_name}")


def _frames_of_stretch(whole, start_s, end_s, path):
    """Returns the first frame of a stretch and the one after its last."""
    # Fewer than planned where it was stopped.
    written, rate_hz = whole.result.frames, whole.sample_rate_hz
    start = round((start_s or 0) * rate_hz)
    end = written if end_s is None else round(end_s * rate_hz)
    if not 0 <= start < end <= written:
        raise UserError(
            f"--start and --end must be within the {written / rate_hz:.1f} s of {path!r}. "
            f"Received: {start / rate_hz:.1f} s to {end / rate_hz:.1f} s."
        )
    return start, end


@contextlib.contextmanager
def _mistakes_of(*paths):
    """Context that makes what cannot be composed a mistake of the user, who gave the paths."""
    received = f"Received: {', '.join(map(words.printable, paths))}."
    try:
        yield
    except CompositionError as error:
        raise UserError(f"{error}. {received}") from error
    except MemoryError as error:
        raise UserError(
            f"this machine's memory is too small; give shorter fades, or a lower --sample_rate. {received}"
        ) from error


def _say(text):
    # stdout may be the sound; the terminal may be lost.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
