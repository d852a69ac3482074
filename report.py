"""The report of an evaluation: one page to look at and listen to, which needs nothing but itself.

    report/index.html    verdicts, metrics, curves, sounds and pictures; all of them inside the page
    report/pairs/        the closest pairs as files: NN-generated.wav, NN-recorded.wav, NN.png

The page has no script, and its Content-Security-Policy lets it load nothing from outside.
"""

import base64
import dataclasses
import datetime
import html
import io
import json
import math
import os
import string
import tempfile

import matplotlib
import soundfile
from matplotlib.ticker import LogLocator, MaxNLocator

import audio
import plots
import results
from errors import UserError
from train_dir import TrainDir

_COLUMNS = 4
"""Clips beside each other in a picture."""

_LOSSLESS_BYTES = 5_000_000
"""More sound than this, as 16-bit samples, is coded with loss: the page stays at some 10 MB."""

_LEAST_HZ, _MOST_HZ = 8000, 96000
"""Sample rates that browsers play."""

_LOG_RATIO = 30
"""Positive numbers that differ by a larger factor are drawn on a logarithmic scale."""

_GREY = "#808080"
# Pictures have no background, and letters that can be read on a light and on a dark one.
_PICTURE_STYLE = {"figure.facecolor": "none", "axes.facecolor": "none"} | dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _GREY
)

_KINDS = {"real": "recorded", "generated": "generated", "noise": "noise"}
"""Dict of a kind of clips to its name on the page."""

_MARKS = {
    "white": ("white noise", '<path class="white" d="M{x},{y} m-5,0 l5,-5 l5,5 l-5,5 z"/>'),
    "coloured": ("coloured noise", '<path class="coloured" d="M{x},{y} m-4,0 l4,-4 l4,4 l-4,4 z"/>'),
    "held": ("held-out recordings", '<path class="held" d="M{x},{y} m0,-8 v16"/>'),
    "real": ("recordings", '<path class="real" d="M{x},{y} m0,-8 v16"/>'),
    "generated": ("generated", '<circle class="generated" cx="{x}" cy="{y}" r="4.5"/>'),
}
"""Dict of what is marked to its name and its mark at x, y; the later ones lie on top."""


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
    rate_hz = result.sample_rate_hz
    title = "generated (left) and nearest recorded slice (right)"
    pictures = [_picture([("generated", [fake, real])], rate_hz, title) for _, fake, real in result.pairs]
    # Points compare with the lines of recordings and noise where they are of the same evaluation.
    history = results.read_history(train_dir.path) | results.read_history(train_dir.path, result.evaluation)
    page = _page(result, history, train_dir.read_best(), pictures)
    path = train_dir.join("report", "index.html")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write_pairs(os.path.dirname(path), result, pictures)
        with audio.replace_atomically(path) as temporary, open(temporary, "w", encoding="utf-8", errors="replace") as f:
            f.write(page)
    except OSError as error:
        raise UserError(f"cannot write the report: {error.strerror}. Received: {error.filename!r}.") from error
    return path


def _write_pairs(folder, result, pictures):
    """Writes the closest pairs into `folder`/pairs in place of those there."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pairs-") as temporary:
        partial, final = os.path.join(temporary, "new"), os.path.join(folder, "pairs")
        os.mkdir(partial)
        for k, ((_, fake, real), picture) in enumerate(zip(result.pairs, pictures), 1):
            base = os.path.join(partial, f"{k:02d}")
            audio.write_wav(f"{base}-generated.wav", fake, result.sample_rate_hz)
            audio.write_wav(f"{base}-recorded.wav", real, result.sample_rate_hz)
            with open(f"{base}.png", "wb") as file:
                file.write(picture)
        # A folder cannot be replaced in one move: the old one steps aside first.
        if os.path.exists(final):
            os.rename(final, os.path.join(temporary, "old"))
        os.rename(partial, final)


def _page(result, history, best, pictures):
    sounds = [*result.clips.values(), *(pair[1:] for pair in result.pairs)]
    player = _Player(result.sample_rate_hz, 2 * sum(x.size for clips in sounds for x in clips) <= _LOSSLESS_BYTES)
    best_step = best and best["step"]
    sections = {
        "Metrics": _metrics(result),
        "Over training": _curves(result, history, best_step),
        "Sounds": _sounds(result, player),
        "Closest pairs": _pairs(result, pictures, player),
        "Configuration": _configuration(result.config),
    }
    sections = {_anchor(name): (name, text) for name, text in sections.items() if text}
    date = datetime.datetime.now().astimezone()
    return _PAGE.substitute(
        title=f"Step {result.step} of {_text(os.path.basename(result.train_dir))}",
        train_dir=_text(result.train_dir),
        checkpoint=_text(result.checkpoint),
        n=f"{result.n:,}",
        seconds=f"{result.config['data_slice_len'] / result.sample_rate_hz:.3g}",
        rate=f"{result.sample_rate_hz:,}",
        date=date.strftime("%Y-%m-%d %H:%M %Z"),
        datetime=date.isoformat(timespec="seconds"),
        version=result.embedding_version,
        verdicts="\n".join(_verdict(*verdict) for verdict in result.verdicts),
        summary=_summary(result, best_step),
        links="\n".join(f'<a href="#{anchor}">{name}</a>' for anchor, (name, _) in sections.items()),
        sections="\n".join(
            f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{name}</h2>\n{text}</section>'
            for anchor, (name, text) in sections.items()
        ),
    )


def _verdict(name, rule):
    kind, sign = ("good", "✓") if name == "healthy" else ("bad", "!")
    return (
        f'<li class="verdict {kind}"><span class="sign" aria-hidden="true">{sign}</span>'
        f"<div><strong>{_text(_capital(name))}</strong><p>{_text(_capital(rule))}.</p></div></li>"
    )


def _summary(result, best_step):
    if best_step is None:
        return ""
    if best_step == result.step:
        return "This is the best checkpoint so far by Fréchet distance: <code>--checkpoint best</code>."
    return (
        f"The best checkpoint so far by Fréchet distance is that of step {best_step}: <code>--checkpoint best</code>."
    )


def _metrics(result):
    """The table: each metric beside what it is for recordings and for noise."""
    legend = "".join(
        f"<li>{_svg(18, 18, mark.format(x=9, y=9))} {name}</li>" for name, mark in reversed(_MARKS.values())
    )
    rows = "\n".join(_row(row) for row in result.rows)
    return f"""<p>Every metric stands beside the same metric of other slices of the recordings, of held-out recordings
(where there are several), and of noise as loud as the recordings, white or with their average spectrum.</p>
<ul class="legend" aria-label="Marks">{legend}</ul>
<table class="metrics">
<caption class="hidden">Metrics of {result.n} generated slices beside those of recordings and of noise</caption>
<thead><tr><th scope="col">Metric</th><th scope="col" class="number">Generated ± error</th>
<th scope="col">Where it lies</th><th scope="col" class="number">Real</th><th scope="col" class="number">Held out</th>
<th scope="col" class="number">White noise</th><th scope="col" class="number">Coloured noise</th>
<th scope="col">What it says</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
"""


def _row(row):
    aim = "lower is better" if row.lower_is_better else "higher is better"
    if row.lower_is_better is None:
        aim = "as the recordings"
    beside = {"real": row.floor, "held out": row.held_out, "white noise": row.noise, "coloured": row.matched_noise}
    numbers = "".join(f'<td class="number" data-label="{name}">{_number(x)}</td>' for name, x in beside.items())
    return (
        f'<tr><th scope="row"><code>{_text(row.metric)}</code><small>{aim}</small></th>'
        f'<td class="number value">{_measured(row.value, row.error)}</td><td class="strip">{_strip(row)}</td>'
        f'{numbers}<td class="meaning">{_text(row.meaning)}</td></tr>'
    )


def _strip(row):
    """Draws where a value lies between recordings and noise."""
    width, height = 190, 24
    marked = {
        "white": row.noise,
        "coloured": row.matched_noise,
        "held": row.held_out,
        "real": row.floor,
        "generated": row.value,
    }
    marked = {kind: value for kind, value in marked.items() if _is_number(value)}
    axis = _Axis.of(marked.values())
    x, y = axis.to_pixels(8, width - 8), height / 2
    parts = [f'<path class="axis" d="M1,{y} H{width - 1}"/>']
    if _is_number(row.value) and row.error:
        ends = [min(max(x(row.value + sign * row.error), 1), width - 1) for sign in (-1, 1)]
        parts.append(f'<path class="error" d="M{ends[0]:.1f},{y} H{ends[1]:.1f}"/>')
    parts += [_MARKS[kind][1].format(x=f"{x(value):.1f}", y=y) for kind, value in marked.items()]
    label = ", ".join(f"{_MARKS[kind][0]} {_number(value)}" for kind, value in reversed(marked.items()))
    return _svg(width, height, "".join(parts), label + (", logarithmic" if axis.is_log else ""))


def _curves(result, history, best_step):
    """Draws each metric over the checkpoints that were measured."""
    rows = {row.metric: row for row in result.rows}
    metrics = [metric for metric in rows if metric in history] + [metric for metric in history if metric not in rows]
    if not metrics:
        return ""
    figures = "\n".join(_curve(metric, history[metric], rows.get(metric), best_step) for metric in metrics)
    best = "" if best_step is None else " The vertical line is the best checkpoint."
    return f"""<p>Each point is a checkpoint at its training step, the band its standard error. The level of the
recordings is a solid line, those of white and of coloured noise are dashed and dotted.{best} Point at a checkpoint to
read its numbers.</p>
<div class="curves">
{figures}
</div>
"""


def _curve(metric, points, row, best_step):
    width, height, left, right, top, bottom = 320, 190, 46, 8, 10, 24
    lines = {"real": row.floor, "white": row.noise, "coloured": row.matched_noise} if row else {}
    lines = {kind: value for kind, value in lines.items() if _is_number(value)}
    steps, values = [step for step, _, _ in points], [value for _, value, _ in points]
    across, up = _Axis.of(steps, may_be_log=False), _Axis.of([*values, *lines.values()])
    x, y = across.to_pixels(left + 6, width - right - 6), up.to_pixels(height - bottom - 6, top + 6)
    parts = []
    for value in up.ticks():
        parts.append(f'<path class="axis" d="M{left},{y(value):.1f} H{width - right}"/>')
        parts.append(f'<text class="tick" x="{left - 5}" y="{y(value) + 3:.1f}" text-anchor="end">{value:g}</text>')
    for step in across.ticks(whole=True):
        parts.append(f'<text class="tick" x="{x(step):.1f}" y="{height - 8}" text-anchor="middle">{step:g}</text>')
    for kind, value in lines.items():
        parts.append(f'<path class="line {kind}" d="M{left},{y(value):.1f} H{width - right}"/>')
    if best_step in steps:
        parts.append(f'<path class="best" d="M{x(best_step):.1f},{top} V{height - bottom}"/>')
    band = [(step, value - (error or 0)) for step, value, error in points]
    band += [(step, value + (error or 0)) for step, value, error in reversed(points)]
    # On a logarithmic scale an error as large as the value would reach down without end.
    band = [f"{x(step):.1f},{min(max(y(max(value, up.lowest)), top), height - bottom):.1f}" for step, value in band]
    parts.append(f'<polygon class="band" points="{" ".join(band)}"/>')
    path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value, _ in points)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    for step, value, error in points:
        radius = 4.5 if step == best_step else 3
        parts.append(
            f'<circle class="generated" cx="{x(step):.1f}" cy="{y(value):.1f}" r="{radius}">'
            f"<title>step {step}: {_measured(value, error)}</title></circle>"
        )
    label = f"{metric} over {len(points)} checkpoints, at step {steps[-1]} {_measured(*points[-1][1:])}"
    meaning = f"<small>{_text(row.meaning)}</small>" if row else ""
    drawing = _svg(width, height, "".join(parts), label)
    return f"<figure>{drawing}<figcaption><code>{_text(metric)}</code>{meaning}</figcaption></figure>"


def _sounds(result, player):
    """Pictures and players of recorded and generated slices, and of noise."""
    parts = ["<p>Recorded and generated slices, not chosen, and noise with the spectrum of the recordings.</p>"]
    most = max(len(clips) for clips in result.clips.values())
    for first in range(0, most, _COLUMNS):
        rows = [(_KINDS[kind], clips[first : first + _COLUMNS]) for kind, clips in result.clips.items()]
        numbers = f"{first + 1} to {min(first + _COLUMNS, most)}"
        picture = _picture(rows, result.sample_rate_hz, f"slices {numbers}")
        alt = f"Waveforms and spectrograms of slices {numbers}, a row each: {', '.join(name for name, _ in rows)}"
        parts.append(f'<div class="wide" role="region" tabindex="0" aria-label="{alt}">{_image(picture, alt)}</div>')
        for name, clips in rows:
            players = "\n".join(player.html(clip, f"{name} {first + k}") for k, clip in enumerate(clips, 1))
            parts.append(f'<div class="players">{players}</div>')
    return "\n".join(parts)


def _pairs(result, pictures, player):
    """The closest pairs beside each other, for eye and ear to find copies."""
    figures = []
    for k, ((distance, fake, real), picture) in enumerate(zip(result.pairs, pictures), 1):
        alt = f"Waveform and spectrogram of a generated slice, left, and of its nearest recorded slice, right: pair {k}"
        figures.append(
            f'<figure class="pair"><figcaption><h3>Pair {k}</h3> distance {distance:.2f}</figcaption>'
            f"{_image(picture, alt)}"
            f'<div class="players two">{player.html(fake, f"generated, pair {k}")}'
            f"{player.html(real, f'recorded, pair {k}')}</div></figure>"
        )
    if not figures:
        return ""
    return f"""<p>Of all {result.n:,} generated slices those nearest to a recorded one, by log-mel spectrogram. The
distance is relative to that of recorded slices from their own nearest recorded neighbours: near 1, the pair is no more
alike than two recorded slices are; far below 1, listen whether it is a copy. The same as files:
<code>report/pairs/</code>.</p>
<div class="pairs">
{"".join(figures)}
</div>
"""


def _configuration(config):
    rows = "\n".join(
        f'<tr><th scope="row"><code>{_text(name)}</code></th><td><code>{_text(json.dumps(value))}</code></td></tr>'
        for name, value in config.items()
    )
    return f"""<details><summary>Settings of the training</summary>
<table class="settings"><caption class="hidden">Settings of the training</caption>
<thead><tr><th scope="col">Setting</th><th scope="col">Value</th></tr></thead>
<tbody>
{rows}
</tbody></table></details>
"""


class _Player:
    """Makes audio elements that hold their sound.

    Args:
        sample_rate_hz: Integer, of the clips.
        is_lossless: Boolean, FLAC instead of Vorbis.
    """

    def __init__(self, sample_rate_hz, is_lossless):
        self._rate_hz = sample_rate_hz
        self._format = ("FLAC", "PCM_16") if is_lossless else ("OGG", "VORBIS")

    def html(self, clip, label):
        """Returns a labelled audio element; clip is float32 `[samples, channels]`."""
        playable_hz = min(max(self._rate_hz, _LEAST_HZ), _MOST_HZ)
        channels = clip.shape[1] if clip.shape[1] <= 2 else 1
        blocks = [audio.to_int16(x) for x in audio.convert([clip], self._rate_hz, playable_hz, channels)]
        buffer = io.BytesIO()
        container, subtype = self._format
        with soundfile.SoundFile(buffer, "w", playable_hz, channels, subtype, format=container) as file:
            for block in blocks:
                file.write(block)
        source = _data_url(f"audio/{container.lower()}", buffer.getvalue())
        return (
            f'<label><span>{label}</span><audio controls preload="auto" aria-label="{label}" src="{source}"></audio>'
            "</label>"
        )


@dataclasses.dataclass(frozen=True)
class _Axis:
    """A scale of a drawing, linear or logarithmic.

    Attributes:
        lowest, highest: Floats, its ends.
        is_log: Boolean.
    """

    lowest: float
    highest: float
    is_log: bool

    @classmethod
    def of(cls, values, may_be_log=True):
        """Returns the scale that holds all values."""
        lowest, highest = min(values, default=0), max(values, default=1)
        if may_be_log and lowest > 0 and highest > _LOG_RATIO * lowest:
            return cls(lowest, highest, True)
        # A single value lies in the middle.
        half = 0 if highest > lowest else abs(highest) / 2 or 0.5
        return cls(lowest - half, highest + half, False)

    def to_pixels(self, first, last):
        """Returns a function of a value to its place between two pixels."""
        scale = math.log if self.is_log else float
        lowest, highest = scale(self.lowest), scale(self.highest)

        def place(value):
            # What is not on the axis lies at its end.
            return first + (last - first) * (scale(max(value, self.lowest)) - lowest) / (highest - lowest)

        return place

    def ticks(self, whole=False):
        """Returns round values on the axis."""
        if self.is_log:
            locator = LogLocator(subs=(1,) if self.highest > 1000 * self.lowest else (1, 3))
        else:
            locator = MaxNLocator(4, integer=whole, steps=[1, 2, 5, 10])
        return [x for x in locator.tick_values(self.lowest, self.highest) if self.lowest <= x <= self.highest]


def _picture(rows, sample_rate_hz, title):
    """Draws clips, see `plots.grid`: the bytes of a PNG file."""
    with matplotlib.rc_context(_PICTURE_STYLE):
        return plots.png(plots.grid(rows, sample_rate_hz, title))


def _svg(width, height, content, label=None):
    named = f'role="img" aria-label="{_text(label)}"' if label else 'aria-hidden="true"'
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" {named}>{content}</svg>'


def _image(png, alt):
    return f'<img src="{_data_url("image/png", png)}" alt="{_text(alt)}">'


def _data_url(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _text(value):
    return html.escape(str(value))


def _capital(text):
    return text[:1].upper() + text[1:]


def _anchor(name):
    return name.lower().replace(" ", "-")


def _is_number(value):
    return value is not None and math.isfinite(value)


def _number(value):
    """Formats a number to three digits; none is a dash."""
    if not _is_number(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _measured(value, error):
    """Formats a value and its error, to the first digit of the error."""
    if not _is_number(value) or not _is_number(error) or not error:
        return _number(value)
    if error < 1e-4:
        return f"{value:.3g} ± {error:.1g}"
    digits = max(0, -math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


_PAGE = string.Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; base-uri 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --text: #1f2328; --faint: #5c646d; --rule: #dcdad5;
  --generated: #c2410c; --real: #0e7490; --noise: #75797f;
  --good: #15803d; --good-card: #ecfdf3; --bad: #b45309; --bad-card: #fff7e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1c1f25; --text: #e6e4df; --faint: #a3a9b2; --rule: #343941;
    --generated: #fb923c; --real: #22d3ee; --noise: #9aa0a8;
    --good: #4ade80; --good-card: #14271c; --bad: #fbbf24; --bad-card: #2b2312;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 78rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
main { padding-bottom: 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
h3 { display: inline; font-size: 1rem; margin: 0; }
p { max-width: 48rem; margin: .5rem 0 1rem; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
small { display: block; color: var(--faint); font-size: .8rem; font-weight: normal; line-height: 1.35; }
a { color: var(--real); }
:focus-visible { outline: 2px solid var(--real); outline-offset: 2px; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 1.25rem 0 0; }
.facts { color: var(--faint); margin: .4rem 0 1.25rem; max-width: none; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.verdicts { list-style: none; display: grid; gap: .75rem; margin: 0; padding: 0; }
.verdict { display: flex; gap: .9rem; padding: .9rem 1.1rem; border-radius: .6rem; border-left: 5px solid; }
.verdict strong { font-size: 1.15rem; }
.verdict p { margin: .1rem 0 0; max-width: none; }
.verdict .sign { flex: none; width: 1.8rem; height: 1.8rem; border-radius: 50%; text-align: center; font-weight: bold;
  line-height: 1.8rem; color: var(--page); }
.good { background: var(--good-card); border-color: var(--good); }
.good .sign { background: var(--good); }
.bad { background: var(--bad-card); border-color: var(--bad); }
.bad .sign { background: var(--bad); }

table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem .6rem; border-bottom: 1px solid var(--rule); vertical-align: middle; }
thead th { font-size: .8rem; color: var(--faint); vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .number { white-space: normal; }
.value { font-weight: 600; }
.metrics th { white-space: nowrap; }
.metrics thead th { white-space: normal; }
.meaning { font-size: .85rem; color: var(--faint); min-width: 11rem; }
.strip svg { display: block; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; font-size: .9rem; }
.legend svg { vertical-align: -4px; }
.settings { width: auto; }
summary { cursor: pointer; padding: .5rem 0; }

svg { overflow: visible; }
.axis { stroke: var(--rule); }
.error { stroke: var(--generated); stroke-width: 5; opacity: .35; }
circle.generated { fill: var(--generated); stroke: var(--page); }
path.real { stroke: var(--real); stroke-width: 2.5; }
path.held { stroke: var(--real); stroke-width: 2.5; stroke-dasharray: 3 2; }
path.white { fill: var(--page); stroke: var(--noise); stroke-width: 1.5; }
path.coloured { fill: var(--noise); stroke: var(--page); }
path.line { fill: none; stroke-width: 1.5; }
path.line.white { stroke: var(--noise); stroke-dasharray: 7 4; }
path.line.coloured { stroke: var(--noise); stroke-dasharray: 2 3; }
.curve { fill: none; stroke: var(--generated); stroke-width: 1.8; }
.band { fill: var(--generated); opacity: .2; }
.best { stroke: var(--good); stroke-width: 1.5; }
.tick { fill: var(--faint); font-size: 10px; }

.curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; }
figure svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; margin-top: 1rem; }
.wide img { display: block; width: 100%; min-width: 44rem; }
.players { display: grid; gap: .5rem 1rem; margin: .6rem 0; grid-template-columns: repeat(4, minmax(0, 1fr)); }
.players.two { grid-template-columns: repeat(2, minmax(0, 1fr)); margin-bottom: 0; }
.players span { display: block; font-size: .8rem; color: var(--faint); }
audio { display: block; width: 100%; height: 2.4rem; }
.pairs { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
.pair img { display: block; width: 100%; margin-top: .5rem; }

@media (max-width: 62rem) {
  .metrics thead { display: none; }
  .metrics, .metrics tbody { display: block; }
  .metrics tr { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .1rem .75rem; padding: .75rem 0;
    border-bottom: 1px solid var(--rule); }
  .metrics th, .metrics td { border: 0; padding: 0; text-align: left; }
  .metrics th { grid-column: span 2; }
  .metrics .value { grid-column: span 2; text-align: right; font-size: 1.05rem; }
  .metrics .strip, .metrics .meaning { grid-column: 1 / -1; }
  .metrics [data-label]::before { content: attr(data-label); display: block; font-size: .75rem; color: var(--faint); }
}
@media (max-width: 46rem) {
  .players, .players.two { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
}
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="facts"><code>$train_dir</code> · $checkpoint · $n generated slices of $seconds s at $rate Hz ·
<time datetime="$datetime">$date</time> · embedding $version</p>
<ul class="verdicts" aria-label="Verdicts">
$verdicts
</ul>
<p>$summary</p>
<nav aria-label="Sections">
$links
</nav>
</header>
<main>
$sections
</main>
</body>
</html>
""")
