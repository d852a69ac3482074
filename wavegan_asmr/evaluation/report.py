"""The report of an evaluation: one page to look at and listen to, which needs nothing but itself.

    report/index.html    verdicts, metrics, curves, sounds and pictures; all of them inside the page
    report/pairs/        the closest pairs as files: NN-generated.wav, NN-recorded.wav, NN.png

The page has no script, and its Content-Security-Policy lets it load nothing from outside. Its markup is
report.html.jinja.
"""

import datetime
import json
import os
import pathlib

import jinja2

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import drawing, imitations, media, results
from wavegan_asmr.sound import wav
from wavegan_asmr.train_dir import TrainDir

_COLUMNS = 4
"""Clips beside each other in a picture."""

_KINDS = {"real": "recorded", "generated": "generated", "noise": "noise"}
"""Dict of a kind of clips to its name on the page."""

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__, "."),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "number": drawing.number,
    "measured": drawing.measured,
    "px": "{:.1f}".format,
    "corners": lambda places: " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in places),
    # The filter of Jinja would escape for scripts.
    "json": json.dumps,
}


def write_report(train_dir_path, result):
    """Writes the page of a result, and the closest pairs as files.

    Args:
        train_dir_path: Path-like, TRAIN_DIR; its metrics.jsonl gives the curves.
        result: `results.Result`.

    Returns:
        String, the path of the page.

    Raises:
        UserError: The folder cannot be written.
    """
    train_dir = TrainDir(train_dir_path)
    title = "generated (left) and nearest recorded slice (right)"
    pictures = [
        media.draw_clips([("generated", [fake, real])], result.sample_rate_hz, title) for _, fake, real in result.pairs
    ]
    page = _page(train_dir, result, pictures)
    path = train_dir.join("report", "index.html")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write_pairs(train_dir.join("report", "pairs"), result, pictures)
        with storage.replace_atomically(path) as temporary:
            # A path may hold bytes that are no text.
            pathlib.Path(temporary).write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UserError(f"cannot write the report: {words.reason(error)}. Received: {error.filename!r}.") from error
    return path


def _write_pairs(path, result, pictures):
    """Writes the closest pairs in place of those there."""
    with storage.replace_folder(path) as folder:
        for k, ((_, fake, real), picture) in enumerate(zip(result.pairs, pictures), 1):
            base = os.path.join(folder, f"{k:02d}")
            wav.write_wav(f"{base}-generated.wav", fake, result.sample_rate_hz)
            wav.write_wav(f"{base}-recorded.wav", real, result.sample_rate_hz)
            with storage.replacing(f"{base}.png") as file:
                file.write(picture)


def _page(train_dir, result, pictures):
    best = train_dir.read_best()
    best_step = best and best.step
    samples = sum(clips.size for clips in result.clips.values())
    samples += sum(fake.size + real.size for _, fake, real in result.pairs)
    coder = media.SoundCoder(result.sample_rate_hz, samples)
    return _TEMPLATES.get_template("report.html.jinja").render(
        result=result,
        folder=words.printable(os.path.basename(result.train_dir)),
        seconds=result.config["data_slice_len"] / result.sample_rate_hz,
        date=datetime.datetime.now().astimezone(),
        best_step=best_step,
        kinds=drawing.KINDS,
        reading=imitations.READING,
        metrics=[(row, drawing.strip(row)) for row in result.rows],
        curves=_curves(train_dir, result, best_step),
        sounds=_sounds(result, coder),
        pairs=_pairs(result, pictures, coder),
    )


def _curves(train_dir, result, best_step):
    """Returns list of (metric, its `results.Row` or None, `drawing.Curve`), the metrics of the result first."""
    # Points compare with the lines of recordings and noise where they are of the same evaluation.
    history = results.read_history(train_dir.path) | results.read_history(train_dir.path, result.evaluation)
    rows = {row.metric: row for row in result.rows}
    metrics = [metric for metric in rows if metric in history] + [metric for metric in history if metric not in rows]
    return [
        (metric, rows.get(metric), drawing.curve(metric, history[metric], rows.get(metric), best_step))
        for metric in metrics
    ]


def _sounds(result, coder):
    """Returns list of dicts: a picture of some slices of each kind, and a row of sounds for each kind."""
    groups = []
    most = max(len(clips) for clips in result.clips.values())
    for first in range(0, most, _COLUMNS):
        rows = {_KINDS[kind]: clips[first : first + _COLUMNS] for kind, clips in result.clips.items()}
        slices = f"slices {first + 1} to {min(first + _COLUMNS, most)}"
        groups.append(
            {
                "slices": slices,
                "first": first + 1,
                "picture": media.picture_to_url(media.draw_clips(list(rows.items()), result.sample_rate_hz, slices)),
                "rows": {name: [coder.to_url(clip) for clip in clips] for name, clips in rows.items()},
            }
        )
    return groups


def _pairs(result, pictures, coder):
    """Returns list of dicts: the closest pairs beside each other, for eye and ear to find copies."""
    return [
        {
            "distance": distance,
            "picture": media.picture_to_url(picture),
            "generated": coder.to_url(fake),
            "recorded": coder.to_url(real),
        }
        for (distance, fake, real), picture in zip(result.pairs, pictures)
    ]
