"""Pictures of sound: waveforms and log-magnitude spectrograms.

Titles and labels may be names of files: any text, in which a dollar sign begins no formula.
"""

import functools
import io

import librosa
import matplotlib
import numpy as np
import PIL.Image
import sklearn.metrics
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wavegan_asmr import words

_RANGE_DB = 80
_FFT_LEN = 1024
_TIME_UNITS = ((3600, "hours", 7200), (60, "minutes", 180), (1, "seconds", 0))

_without_formulas = matplotlib.rc_context({"text.parse_math": False})


@_without_formulas
def grid(rows, sample_rate_hz, title):
    """Draws clips as a grid: under each waveform its spectrogram, of two channels both, one level scale for all.

    Args:
        rows: List of (label, float32 `[n, samples, channels]`); a row of the grid each, n clips wide.
        sample_rate_hz: Integer.
        title: String.

    Returns:
        `matplotlib.figure.Figure`.
    """
    columns = max(len(clips) for _, clips in rows)
    spectrograms = [[_spectrograms(clip) for clip in clips] for _, clips in rows]
    top_db = max(db.max() for row in spectrograms for of_clip in row for _, db in of_clip)
    shown = max(len(of_clip) for row in spectrograms for of_clip in row)
    lines = 1 + shown
    top = max(float(np.abs(clips).max(initial=1e-4)) for _, clips in rows)

    width, height = 2 + 2.4 * columns, 0.8 + (1.2 + 2 * shown) * len(rows)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.suptitle(_drawable(title), y=1 - 0.15 / height, va="top")
    # Margins in inches: a layout engine would measure every label, which takes longer than drawing.
    margins = {"left": 0.7 / width, "right": 1 - 0.8 / width, "bottom": 0.45 / height, "top": 1 - 0.7 / height}
    axes = figure.subplots(
        lines * len(rows),
        columns,
        squeeze=False,
        sharex=True,
        height_ratios=[1, *[2] * shown] * len(rows),
        gridspec_kw=margins | {"hspace": 0.22, "wspace": 0.06},
    )
    image = None
    for row, (label, clips) in enumerate(rows):
        for column in range(columns):
            wave_axes, *image_axes = axes[lines * row : lines * (row + 1), column]
            if column >= len(clips):
                for each in (wave_axes, *image_axes):
                    each.axis("off")
                continue
            clip = clips[column]
            seconds = len(clip) / sample_rate_hz
            wave_axes.plot(np.arange(len(clip)) / sample_rate_hz, clip, linewidth=0.3, rasterized=True)
            wave_axes.set_ylim(-top, top)
            rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
            level = f"RMS {rms:.3f}"
            wave_axes.set_title(f"{_drawable(label)}, {level}" if column == 0 else level, fontsize=8)
            for each, (name, db) in zip(image_axes, spectrograms[row][column]):
                image = each.imshow(
                    db,
                    origin="lower",
                    aspect="auto",
                    extent=(0, seconds, 0, sample_rate_hz / 2),
                    vmin=top_db - _RANGE_DB,
                    vmax=top_db,
                    cmap="magma",
                )
                each.set_ylabel("" if column else name, fontsize=7)
            for each in (wave_axes, *image_axes):
                each.tick_params(labelsize=6)
                if column:
                    each.set_yticklabels([])
        axes[lines * row][0].set_ylabel("amplitude", fontsize=7)
    for each in axes[-1]:
        each.set_xlabel("seconds", fontsize=7)
    if image:
        place = [1 - 0.65 / width, 0.45 / height, 0.12 / width, 1 - 1.15 / height]
        bar = figure.colorbar(image, cax=figure.add_axes(place))
        bar.set_label("dB", fontsize=7)
        bar.ax.tick_params(labelsize=6)
    return figure


@_without_formulas
def overview(lowest, highest, spectra_db, loudness, column_s, seconds, sample_rate_hz, target_lufs, title, seams_s=()):
    """Draws a long sound: waveform, spectrogram, short-term loudness with its target.

    Args:
        lowest, highest: float arrays `[columns]`, the samples' range in each stretch of `column_s` seconds.
        spectra_db: float array `[bins, columns]`, dB.
        loudness: float array, short-term loudness every 0.1 s, LUFS.
        column_s: Float.
        seconds: Float, the length.
        sample_rate_hz: Integer.
        target_lufs: Float.
        title: String.
        seams_s: Floats, where pieces begin, seconds.

    Returns:
        `matplotlib.figure.Figure`.
    """
    scale, unit = next((scale, unit) for scale, unit, least in _TIME_UNITS if seconds >= least)
    columns = max(1, min(len(lowest), round(seconds / column_s)))
    figure = Figure(figsize=(14, 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_drawable(title))
    wave_axes, image_axes, loudness_axes = figure.subplots(3, 1, sharex=True, height_ratios=[1, 2, 1])
    times = np.arange(columns) * column_s / scale
    wave_axes.fill_between(times, lowest[:columns], highest[:columns], linewidth=0)
    wave_axes.set_ylabel("amplitude")
    seams = [seam / scale for seam in seams_s if 0 <= seam <= seconds]
    wave_axes.plot(seams, [highest.max()] * len(seams), "|", color="black", markersize=6)
    image = image_axes.imshow(
        spectra_db[:, :columns],
        origin="lower",
        aspect="auto",
        extent=(0, seconds / scale, 0, sample_rate_hz / 2),
        vmin=spectra_db.max() - _RANGE_DB,
        vmax=spectra_db.max(),
        cmap="magma",
    )
    image_axes.set_ylabel("Hz")
    figure.colorbar(image, ax=image_axes, pad=0.01).set_label("dB")
    # A block of three seconds belongs to its middle.
    loudness_axes.plot((np.arange(len(loudness)) / 10 + 1.5) / scale, loudness, linewidth=0.8, label="short-term")
    loudness_axes.axhline(target_lufs, linestyle="--", color="gray", label="target")
    loudness_axes.set(ylabel="LUFS", xlabel=unit, ylim=(target_lufs - 15, target_lufs + 15))
    loudness_axes.legend(loc="lower right", fontsize=8)
    return figure


@_without_formulas
def confusion_matrix(counts, labels, title):
    """Draws how often each label was taken for each.

    Args:
        counts: int array `[labels, labels]`, rows are the true ones, columns the predicted ones.
        labels: List of strings.
        title: String.

    Returns:
        `matplotlib.figure.Figure`.
    """
    size = 2.5 + 0.4 * min(len(labels), 40)
    figure = Figure(figsize=(size, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    picture = sklearn.metrics.ConfusionMatrixDisplay(counts, display_labels=list(map(_drawable, labels)))
    picture.plot(ax=axes, cmap="Blues", colorbar=False, values_format="d", xticks_rotation="vertical")
    axes.set_title(_drawable(title))
    return figure


def _spectrograms(clip):
    """Spectrograms of a clip `[samples, channels]`, each with what its axis says."""
    if clip.shape[1] == 2:
        return [(f"{side}, Hz", spectrogram_db(x)) for side, x in zip(("left", "right"), clip.T)]
    return [("Hz", spectrogram_db(clip.mean(axis=1)))]


def spectrogram_db(x):
    """Log-magnitude spectrogram, Hann window of 1024 samples, hop of a quarter.

    Args:
        x: float array `[samples]`.

    Returns:
        float32 array `[513, frames]`, dB; a full-scale sine has a peak of 0 dB.
    """
    magnitude = np.abs(librosa.stft(np.asarray(x, np.float32), n_fft=_FFT_LEN)) / (_FFT_LEN / 4)
    return 20 * np.log10(np.maximum(magnitude, 1e-6))


def png(figure, has_palette=False):
    """Renders a figure: the bytes of a PNG file; with a palette of 256 colours they are a third of it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    if has_palette:
        picture = PIL.Image.open(buffer).convert("RGB").quantize(256, dither=PIL.Image.Dither.NONE)
        picture.save(buffer := io.BytesIO(), "png", optimize=True)
    return buffer.getvalue()


def _drawable(text):
    """Returns text as one line of characters that the font has; others are escaped."""
    known = _characters()
    return "".join(each if ord(each) in known else ascii(each)[1:-1] for each in words.printable(text))


@functools.cache
def _characters():
    """Code points that the font of pictures has."""
    return frozenset(font_manager.get_font(font_manager.findfont(font_manager.FontProperties())).get_charmap())
