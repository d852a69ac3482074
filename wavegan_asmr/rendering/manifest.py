"""The manifest, a .json beside a sound file: all that is needed to render any stretch of it again."""

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import beside
from wavegan_asmr.rendering.lines import SHAPES, Joining
from wavegan_asmr.rendering.models import Identity
from wavegan_asmr.rendering.pieces import Piece
from wavegan_asmr.rendering.result import Result
from wavegan_asmr.rendering.settings import RenderSettings

_MOST_DB = 700.0
"""Larger gains do not fit into float32."""

_MOST_RATE_HZ, _MOST_INDEX, _MOST_GAINS = 10**6, 2**39 - 1, 1000
_MOST = 10**15
"""Of frames, steps and turns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What decides the samples of a file before its pieces are chosen.

    Attributes:
        settings: `RenderSettings`.
        models: Tuple of `Identity`.
        sample_rate_hz, channels: Integers.
        frames: Integer, the length, or None for no end.
        pilot_pieces: Integer, pieces of each pilot.
        pilots_left_out: Tuple of integers, those of each pilot that would be left out.
        joining: `Joining`.
        offsets: Tuple of tuples of floats, the mean of each voice's channels.
        line_gains_db: Tuple of floats, of each voice.
        master_gain_db: Float, of their sum.
        ceiling_dbtp: Float, of the limiter.
    """

    settings: RenderSettings
    models: tuple[Identity, ...]
    sample_rate_hz: int
    channels: int
    frames: int | None
    pilot_pieces: int = 0
    pilots_left_out: tuple[int, ...] = ()
    joining: Joining
    offsets: tuple[tuple[float, ...], ...]
    line_gains_db: tuple[float, ...]
    master_gain_db: float
    ceiling_dbtp: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(Plan):
    """All that is known of a finished file.

    Attributes:
        sound: String, the name of the file without its folder; empty where an earlier version wrote the manifest.
        pieces: Tuple of `Piece`, ordered by start.
        result: `Result`.

    Raises:
        UserError: A value cannot be that of a file; names the field.
    """

    sound: str = ""
    pieces: tuple[Piece, ...]
    result: Result

    def __post_init__(self):
        _check(self)


class Writer:
    """Context that gathers a manifest as the pieces come, in a file without a name.

    Args:
        path: String, of the sound file.
        plan: `Plan`.

    Raises:
        OSError: It cannot be written; from all methods.
    """

    def __init__(self, path, plan):
        self._path = path
        self._plan = plan
        self._count = 0

    def __enter__(self):
        self._file = tempfile.TemporaryFile(dir=os.path.dirname(self._path) or ".")
        # JSON escapes what is not ASCII: half of a character too, which stands for a byte of a name that is not UTF-8.
        head = {"sound": os.path.basename(self._path)} | dataclasses.asdict(self._plan)
        # Versions whose settings were one bag look for it there.
        head["settings"]["stdout_format"] = "raw"
        text = json.dumps(head, indent=1)
        self._write(text[: text.rindex("\n")] + ',\n "pieces": [')
        return self

    def __exit__(self, *exception):
        # What is not stored by now, since the disk is full, is of no use any more.
        with contextlib.suppress(OSError):
            self._file.close()

    def add(self, pieces, starts_s):
        """Adds pieces that were used.

        Args:
            pieces: List of `Piece`.
            starts_s: List of floats, when they begin in the file.
        """
        for piece, start_s in zip(pieces, starts_s):
            entry = {"start_s": round(start_s, 4)} | dataclasses.asdict(piece)
            self._write((",\n  " if self._count else "\n  ") + json.dumps(entry))
            self._count += 1

    def finish(self, result):
        """Writes the manifest of a `Result` under a name that is not another's; returns that, `beside.Names`."""
        self._write(f'\n ],\n "result": {json.dumps(dataclasses.asdict(result))}\n}}\n')
        self._file.seek(0)
        with beside.chosen(self._path) as names, storage.replacing(names.manifest) as file:
            shutil.copyfileobj(self._file, file)
        return names

    def _write(self, text):
        try:
            self._file.write(text.encode())
            self._file.flush()
        except OSError as error:
            error.filename = self._path
            raise


def read(path):
    """Reads a manifest of this or an earlier version.

    Args:
        path: Path-like.

    Returns:
        `Manifest`.

    Raises:
        UserError: It cannot be read, or is none; names the file and the field.
    """
    try:
        with open(path, "rb") as file:
            return storage.parse_json(file.read(), Manifest)
    except OSError as error:
        raise UserError(f"--from cannot be read: {words.reason(error)}. Received: {os.fspath(path)!r}.") from error
    except UserError as error:
        raise UserError(f"--from must be a .json that generate wrote; {words.printable(path)}: {error}") from error


def _check(manifest):
    """Raises UserError where values of a `Manifest` cannot be those of a file."""
    models = len(manifest.models)
    if not models:
        raise UserError("models must name one. Received: none.")
    for number, identity in enumerate(manifest.models):
        _check_path(f"models[{number}].train_dir", identity.train_dir)
        _check_number(f"models[{number}].step", identity.step, 0, _MOST)
    _check_number("sample_rate_hz", manifest.sample_rate_hz, 1000, _MOST_RATE_HZ)
    _check_number("channels", manifest.channels, 1, 2)
    if manifest.frames is None:
        raise UserError("frames must be a number. Received: null.")
    _check_number("frames", manifest.frames, 1, _MOST)
    _check_number("result.frames", manifest.result.frames, 0, manifest.frames)
    _check_number("joining.fade", manifest.joining.fade, 0, _MOST)
    _check_number("joining.align", manifest.joining.align, 0, _MOST)
    if manifest.joining.shape not in SHAPES:
        raise UserError(f"joining.shape must be {' or '.join(SHAPES)}. Received: {manifest.joining.shape!r:.100}.")
    _check_length("offsets", manifest.offsets, models, "one a model")
    for number, offset in enumerate(manifest.offsets):
        _check_length(f"offsets[{number}]", offset, manifest.channels, "one a channel")
        for value in offset:
            _check_number(f"offsets[{number}]", value, -2, 2)
    _check_length("line_gains_db", manifest.line_gains_db, models, "one a model")
    for number, gain_db in enumerate(manifest.line_gains_db):
        _check_number(f"line_gains_db[{number}]", gain_db, -_MOST_DB, _MOST_DB)
    _check_number("master_gain_db", manifest.master_gain_db, -_MOST_DB, _MOST_DB)
    _check_number("ceiling_dbtp", manifest.ceiling_dbtp, -_MOST_DB, 0)
    if manifest.result.frames and not manifest.pieces:
        raise UserError("pieces must name one. Received: none.")
    earliest = -_MOST
    for number, piece in enumerate(manifest.pieces):
        _check_number(f"pieces[{number}].line", piece.line, 0, models - 1)
        _check_number(f"pieces[{number}].start", piece.start, earliest, _MOST)
        _check_number(f"pieces[{number}].skip", piece.skip, 0, manifest.joining.align)
        _check_piece(f"pieces[{number}]", piece)
        earliest = piece.start


def _check_piece(name, piece):
    _check_number(f"{name}.index", piece.index, 0, _MOST_INDEX)
    _check_number(f"{name}.turn", piece.turn, 0, _MOST)
    _check_number(f"{name}.correlation_in", piece.correlation_in, -0.5, 1)
    _check_number(f"{name}.correlation_out", piece.correlation_out, -0.5, 1)
    _check_number(f"{name}.gains_db: its length", len(piece.gains_db), 1, _MOST_GAINS)
    for gain_db in piece.gains_db:
        _check_number(f"{name}.gains_db", gain_db, -_MOST_DB, _MOST_DB)


def _check_number(field, value, at_least, at_most):
    # Not a number is within no range.
    if not at_least <= value <= at_most:
        raise UserError(f"{field} must be {at_least:g} to {at_most:g}. Received: {value!r:.100}.")


def _check_length(field, values, length, words):
    if len(values) != length:
        raise UserError(f"{field} must be {length}, {words}. Received: {len(values)}.")


def _check_path(field, path):
    try:
        if b"\0" not in os.fsencode(path):
            return
    except UnicodeEncodeError:
        pass
    raise UserError(f"{field} must be the name of a folder. Received: {path!r:.100}.")
