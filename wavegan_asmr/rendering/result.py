"""The figures of a finished file, and what is said of them."""

import dataclasses

from wavegan_asmr import words
from wavegan_asmr.progress import clock

_TOLERANCE_DB = 0.1
_LIMITED_DB = 2.0
"""A sound with peaks this near to the ceiling was limited."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The figures of a finished file.

    Attributes:
        frames: Integer, the length.
        seconds: Float, the length.
        lufs: Float, the loudness; minus infinity for silence.
        true_peak_db, largest_rise_db: Floats, see `Levels.figures`.
        pieces_left_out: Integer.
        wall_s: Float, how long it took.
        quietest_lufs: Float, loudness of the quietest 3 s that no fade at the beginning or end is in; None where there
            are none, and in manifests of earlier versions, as what follows.
        seam_change_db, other_change_db: Floats, how much the spectrum changes at the seams of pieces and elsewhere, see
            `Seams`; None where there are too few.
        repeats: Dict of a length of stretches in seconds, as text, to the share of the file that comes again in
            stretches at least so long; `repeats_in_2_s`, the share that does so within 2 s already and is in none of
            the others; and `longest_repeat_s`, the longest of them, floats; None where it was not measured, or the
            file is too short.
    """

    frames: int
    seconds: float
    lufs: float
    true_peak_db: float
    largest_rise_db: float
    pieces_left_out: int
    wall_s: float
    quietest_lufs: float | None = None
    seam_change_db: float | None = None
    other_change_db: float | None = None
    repeats: dict[str, float] | None = None
    repeats_in_2_s: float | None = None
    longest_repeat_s: float | None = None

    def describe(self, path, settings):
        """Yields lines of text: the figures beside what was asked for, and a warning where they are far from it.

        Args:
            path: String, of the file.
            settings: `RenderSettings`.
        """
        yield (
            f"done      {words.printable(path)}: {clock(self.seconds)}, "
            f"{self.lufs:.1f} LUFS (target {settings.lufs:g}), "
            f"true peak {self.true_peak_db:.1f} dBTP (ceiling {settings.peak_dbtp:g}), "
            f"largest rise {self.largest_rise_db:.1f} dB (at most {settings.max_jump_db:g}), "
            f"{self.pieces_left_out} pieces left out, {self.seconds / self.wall_s:.0f}x real time"
        )
        too_high_db = self.true_peak_db - settings.peak_dbtp
        if too_high_db > _TOLERANCE_DB:
            yield (
                f"warning   its true peak is {too_high_db:.1f} dB above the ceiling; for one below it, render with "
                f"--peak_dbtp={settings.peak_dbtp - too_high_db - _TOLERANCE_DB:.1f} or into a .flac"
            )
        too_soft_db = settings.lufs - self.lufs
        if too_soft_db > 1 and self.true_peak_db > settings.peak_dbtp - _LIMITED_DB:
            yield (
                f"warning   it is {too_soft_db:.1f} dB softer than --lufs={settings.lufs:g}, since its peaks are held "
                "at the ceiling; for that loudness, raise --peak_dbtp"
            )
        if self.largest_rise_db > settings.max_jump_db + _TOLERANCE_DB:
            yield (
                f"warning   it rises by more than --max_jump_db={settings.max_jump_db:g}; for less, render with a "
                "lower one"
            )
        if self.repeats:
            shares = ", ".join(f"{share:.1%} in stretches of {length} s" for length, share in self.repeats.items())
            yield (
                f"repeats   of it comes again: {shares}; the longest is {self.longest_repeat_s:.1f} s; within 2 s "
                f"already: {self.repeats_in_2_s:.1%}"
            )
