"""What the metrics of a checkpoint mean, in plain words, each with the rule that fired.

Rules are relative to the recordings' own values: that recordings are quiet, tonal or noise-like is no mistake.
"""

import math

SILENT_MARGIN_DB = 30
"""A level so far below the recordings' is silence."""

AUTOCORRELATION_MARGIN = 0.25
"""An autocorrelation so far above the recordings' is heard as a tone or a metallic comb."""

FINE_PEAK_MARGIN_DB = 8
"""Lines of the fine spectrum so much higher than the recordings' are heard as tones."""

NOISE_LEAST_FLOORS = 3
"""A Fréchet distance below so many floors is that of a good model, however noise-like the recordings are."""

COLLAPSED_RATIO = 0.5
"""A diversity below this share of the recordings' own is a collapse to few sounds."""

LIKENESS_MARGIN = 0.1
"""A correlation of slices so far above the recordings' is heard as the same again and again in a long file."""

COPIES_MOST = 0.05
"""A larger share of copies than this is no chance."""

IMAGE_RATIO, IMAGE_MARGIN = 0.5, 0.05
"""A distance of the channels' correlation from 1 below this share of the recordings', by at least so much, is heard as
a narrow or no image."""

DULL_MARGIN_DB = 10
"""Highs so far below the recordings' are missed."""

UNLIKE_RATIO = 0.5
"""A Fréchet distance above this share of white noise's is no likeness."""


def judge(rows, frechet_to_noise):
    """Judges a checkpoint.

    Args:
        rows: List of `results.Row`.
        frechet_to_noise: Dict of a kind of noise to the Fréchet distance of the generated slices from it.

    Returns:
        List of (name, the rule that fired in one sentence), never empty.
    """
    row = {each.metric: each for each in rows}
    level = row["rms_db"]
    if level.value < level.floor - SILENT_MARGIN_DB:
        # All the other rules would fire for the same reason.
        return [("silent", f"the level is {_beside(level, 'dB')}, more than {SILENT_MARGIN_DB} dB lower")]
    frechet = row["frechet_distance"]
    # A tone is far from the recordings too, and may be nearer to noise.
    found = _tone(row) or _noise(frechet, frechet_to_noise)
    found += _image(row["correlation"]) + _highs(row["highs_db"])
    diversity, copies = row["diversity"], row["copies"]
    if diversity.value < COLLAPSED_RATIO * diversity.floor:
        rule = f"the diversity is {_beside(diversity)}, less than {COLLAPSED_RATIO} of it"
        found.append(("collapsed to few sounds", rule))
    likeness = row["likeness"]
    if likeness.value > likeness.floor + LIKENESS_MARGIN:
        rule = f"the correlation of slices is {_beside(likeness)}, more than {LIKENESS_MARGIN} higher"
        found.append(("repeats itself", rule))
    if copies.value > COPIES_MOST:
        rule = f"{copies.value:.0%} of the slices are copies of recorded ones, more than {COPIES_MOST:.0%}"
        found.append(("copies training data", rule))
    beside_noise = f"the Fréchet distance is {_beside(frechet)}, white noise's {frechet.noise:.3g}"
    if not found and frechet.value > UNLIKE_RATIO * frechet.noise:
        found.append(("unlike the recordings", f"{beside_noise}: more than {UNLIKE_RATIO} of it"))
    return found or [("healthy", f"no rule fired; {beside_noise}")]


def judge_kept(rows):
    """Judges a checkpoint by the figures that are kept of it, which lack one: how far it is from noise.

    Args:
        rows: List of `results.Row`, see `recalled.recall`.

    Returns:
        List of (name, rule), see `judge`, where that it is healthy may be no more than that no fault was found; empty
        where the rows do not tell.
    """
    try:
        found = judge(rows, {"noise": math.inf})
    except (KeyError, TypeError):
        # Rows of another version, or without what the recordings come to.
        return []
    frechet = next(row for row in rows if row.metric == "frechet_distance")
    if found[0][0] == "healthy" and _may_be_noise(frechet):
        return [("no fault found", f"{found[0][1]}; how near it is to noise was not kept: wavegan evaluate says it")]
    return found


def _tone(row):
    name = "single tone or metallic comb"
    for metric, lags in (("autocorrelation_4k", "lags 64, 256, 1024, ..."), ("autocorrelation", "lags up to 0.25 s")):
        if row[metric].value > row[metric].floor + AUTOCORRELATION_MARGIN:
            rule = (
                f"the largest autocorrelation at {lags} is {_beside(row[metric])}, more than {AUTOCORRELATION_MARGIN}"
            )
            return [(name, f"{rule} higher")]
    peak = row["fine_peak_db"]
    if peak.value > peak.floor + FINE_PEAK_MARGIN_DB:
        rule = f"the lines of the fine spectrum are {_beside(peak, 'dB')}, more than {FINE_PEAK_MARGIN_DB} dB higher"
        return [(name, rule)]
    return []


def _image(correlation):
    width, own = 1 - correlation.value, 1 - correlation.floor
    if width < IMAGE_RATIO * own and own - width > IMAGE_MARGIN:
        rule = f"the correlation of left and right is {_beside(correlation)}, less than {IMAGE_RATIO} as far from 1"
        return [("image collapsed", rule)]
    return []


def _highs(highs):
    if highs.value < highs.floor - DULL_MARGIN_DB:
        return [("dull", f"the highs are {_beside(highs, 'dB')}, more than {DULL_MARGIN_DB} dB lower")]
    return []


def _noise(frechet, frechet_to_noise):
    kind, distance = min(frechet_to_noise.items(), key=lambda item: item[1])
    if distance < frechet.value and frechet.value > NOISE_LEAST_FLOORS * frechet.floor:
        rule = f"the Fréchet distance from {kind} is {distance:.3g}, from the recordings {frechet.value:.3g}"
        return [("noise without structure", rule)]
    return []


def _may_be_noise(frechet):
    """Whether generated slices may be nearer to noise than to the recordings.

    The root of the Fréchet distance is a distance: what is less than half as far from the recordings as noise is cannot
    be nearer to noise.
    """
    if frechet.value <= NOISE_LEAST_FLOORS * frechet.floor:
        return False
    kinds = [each for each in (frechet.noise, frechet.matched_noise) if each is not None]
    return frechet.value >= min(kinds) / 4


def _beside(row, unit=""):
    return f"{row.value:.3g}{unit and ' '}{unit} (the recordings' own: {row.floor:.3g})"
