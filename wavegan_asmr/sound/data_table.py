"""A data set in a few lines of text: what is used, how loud it is, what cannot teach, what is left out and why."""

import math

from wavegan_asmr import words
from wavegan_asmr.sound.data_folder import describe_own, list_names

_MOST_NAMES = 3
"""Recordings that a note names."""

_LOUD = 2.0
"""A peak from which on samples were not scaled to full scale; those of lossy files are a little above it."""

_SCALES = (2.0**15, 2.0**23, 2.0**31)
"""What samples of 16, 24 and 32 bits are divided by."""

_QUIET_DB = -70
_OFFSET, _OFFSET_OF_RMS = 0.01, 0.2
_SILENT, _CLIPPED = 0.25, 0.001


def table(recordings, left_out, slices, sample_rate_hz, most_left_out=10):
    """Describes a data set in a few lines of text.

    Args:
        recordings: List of `Recording`.
        left_out: List of `LeftOut`.
        slices: `loader.Slices` of them.
        sample_rate_hz: Integer, the rate they were resampled to.
        most_left_out: Integer, files to list of those that are left out or used in part, or None for all.

    Returns:
        String of several lines.
    """
    pcms = [recording.pcm for recording in recordings]
    seconds = sum(pcm.frames for pcm in pcms) / sample_rate_hz
    rates = sorted({pcm.source_rate_hz for pcm in pcms})
    channels = sorted({pcm.source_channels for pcm in pcms})
    rows = [
        ("recordings", f"{len(pcms)}, {duration(seconds)}"),
        ("sample rates", ", ".join(f"{rate} Hz" for rate in rates) + f" -> {sample_rate_hz} Hz"),
        ("channels", ", ".join(map(str, channels)) + f" -> {slices.channels}"),
        ("levels", _describe_levels([pcm.levels for pcm in pcms])),
        ("slices an epoch", f"{slices.per_epoch} of {slices.slice_len / sample_rate_hz:.3g} s"),
    ]
    if slices.silent_per_epoch:
        rows.append(("silent slices", f"{slices.silent_per_epoch} an epoch left out"))
    if slices.too_short:
        rows.append(("too short", f"{slices.too_short} recordings left out"))
    rows += [("note", text) for text in _warnings(recordings, slices)]
    in_part = [note for recording in recordings for note in recording.notes]
    rows += _limited("used in part", in_part, most_left_out)
    rows += [("left out", text) for text in describe_own(left_out, most_left_out and _MOST_NAMES)]
    rows += _limited("left out", [str(item) for item in left_out if not item.is_own], most_left_out)
    return "\n".join(f"  {name:<16} {value}" for name, value in rows)


def describe_decoding(infos, folder, kept):
    """Says what is decoded into which cache: "2 recordings, 12.0 s and 1 of unknown length, into /cache".

    Args:
        infos: Collection of `files.AudioInfo`.
        folder: String, of the cache.
        kept: `cache_folder.Content`, what it holds already.
    """
    known = [info for info in infos if info.frames is not None]
    lengths = [duration(total_s(known))] if known else []
    lengths += [f"{len(infos) - len(known)} of unknown length"] if len(known) < len(infos) else []
    there = f" ({kept})" if kept.entries else ""
    return f"{len(infos)} recordings, {' and '.join(lengths)}, into {words.printable(folder)}{there}"


def total_s(infos):
    """Returns the seconds of all recordings together, or None where that is not known.

    Args:
        infos: Collection of `files.AudioInfo`.
    """
    if any(info.frames is None for info in infos):
        return None
    return sum(info.frames / info.sample_rate_hz for info in infos)


def duration(seconds):
    """Returns a length as "2.0 s", "3.5 min" or "4.25 h"."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.2f} h"


def _limited(name, texts, most):
    rows = [(name, text) for text in texts[:most]]
    more = len(texts) - len(rows)
    return rows + ([(name, f"and {more} more; wavegan check FOLDER lists all")] if more else [])


def _describe_levels(levels):
    peak_db = _db(max(each.peak for each in levels))
    found = sorted(_db(each.rms) for each in levels if not each.is_still)
    if not found:
        return "no sound"
    lowest, highest = round(found[0]), round(found[-1])
    rms = f"{lowest} dB" if lowest == highest else f"{lowest} to {highest} dB"
    return f"RMS {rms}, peak {round(peak_db)} dB"


def _warnings(recordings, slices):
    """Yields what of the recordings cannot teach, each with what helps."""

    def chosen(is_concerned):
        return [recording for recording in recordings if is_concerned(recording.pcm.levels)]

    def names(concerned):
        return list_names([recording.name for recording in concerned], _MOST_NAMES)

    if not slices.normalize and (loud := chosen(lambda levels: levels.peak > _LOUD)):
        peak = max(recording.pcm.peak for recording in loud)
        yield (
            f"{names(loud)}: samples of up to {peak:,.0f}, where a model reaches 1; --data_normalize, or "
            f"{_filter(loud, _scaling(peak))}"
        )
    if not slices.normalize and (quiet := chosen(lambda each: not each.is_still and _db(each.rms) < _QUIET_DB)):
        yield f"{names(quiet)}: below {_QUIET_DB} dB; --data_normalize"
    if offset := chosen(lambda levels: _is_off_centre(levels, slices.normalize)):
        most = max((recording.pcm.levels.offset for recording in offset), key=abs)
        yield f"{names(offset)}: an offset of {most:.2g}, which is no sound; {_filter(offset, 'highpass=f=10')}"
    if slices.min_level_db is None and (silent := chosen(lambda levels: levels.silent >= _SILENT)):
        most = max(recording.pcm.levels.silent for recording in silent)
        yield f"{names(silent)}: digital silence, {most:.0%} of it; --data_min_level_db {_QUIET_DB}"
    if clipped := chosen(lambda levels: levels.clipped >= _CLIPPED):
        most = max(recording.pcm.levels.clipped for recording in clipped)
        yield f"{names(clipped)}: clipped, {most:.1%} of the samples; {_filter(clipped, 'adeclip')}"


def _is_off_centre(levels, normalize):
    gain = 1 / levels.peak if normalize and levels.peak else 1.0
    return abs(levels.offset) > max(_OFFSET / gain, _OFFSET_OF_RMS * levels.rms)


def _scaling(peak):
    scale = next((scale for scale in _SCALES if peak <= scale), peak) if peak > 100 else math.ceil(peak)
    return f"volume=1/{scale:.0f}"


def _filter(recordings, audio_filter):
    """Returns the command that filters the first of some recordings."""
    return f"ffmpeg -i {words.shell(recordings[0].path)} -af {audio_filter} NEW.wav"


def _db(ratio):
    return 20 * math.log10(ratio) if ratio else -math.inf
