"""The folder of a gallery.

OUT/index.html               the page; it works as a file and from any web server, without a network and without scripts
OUT/media/CASE-recorded.*    excerpts of recordings, and pictures of them
OUT/media/CASE-generated.*   what models make, equally loud
"""

import dataclasses
import os
import time

import numpy as np

from wavegan_asmr import output_place, storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import model_facts
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.gallery import cases, figures, page, pictures, recordings, sounds
from wavegan_asmr.progress import clock
from wavegan_asmr.rendering import excerpts, models
from wavegan_asmr.sound import data_folder
from wavegan_asmr.train_dir import BEST
from wavegan_asmr.training import duration

PAGE, MEDIA = "index.html", "media"

_SECONDS = 20.0
"""Of each sound; of a recording no more is given away."""

_PRECISION = "float32"


@dataclasses.dataclass(frozen=True, eq=False)
class Exhibit:
    """All that the page shows of a case.

    Attributes:
        case: `cases.Case`.
        generator: `families.generators.Generator`.
        generated: Float32 array `[frames, channels]` at `excerpts.RATE_HZ`.
        recorded: `recordings.Excerpt`, as loud, or None.
        figures: `figures.Figures`, or None where nothing was measured.
        facts: `exchange.model_facts.Facts` of a shared model, or None.
        trained_s: Float, for how long it was trained, or None where that is not known.
        highest_hz: Float, what the pictures reach up to.
    """

    case: cases.Case
    generator: Generator
    generated: np.ndarray
    recorded: recordings.Excerpt | None
    figures: figures.Figures | None
    facts: model_facts.Facts | None
    trained_s: float | None
    highest_hz: float


def make(paths, out, format_="opus", data_dir=None, checkpoint=None, evaluate=False, overwrite=False):
    """Makes a gallery; the same arguments make the same folder. Prints how far it is.

    Args:
        paths: List of path-likes, see `cases.find`.
        out: Path-like, the folder.
        format_: String, of the sounds, the ending of a name in `formats.FORMATS` without its dot.
        data_dir: Path-like, see `recordings.find`.
        checkpoint: Integer, `BEST` or None for the newest, of each training.
        evaluate: Boolean, whether cases are evaluated that were not at that checkpoint.
        overwrite: Boolean, whether a gallery that is there may be replaced.

    Raises:
        UserError: There is no place, a path holds no case, or cases cannot be shown: the others then are, unless there
            are none.
        OSError: The folder cannot be written.
    """
    out = os.path.normpath(out)
    output_place.check_above(out)
    output_place.check_folder(out, "--out", "a gallery", lambda path: set(os.listdir(path)) == {PAGE, MEDIA}, overwrite)
    if data_dir:
        # What is wrong with it is said before the first case is made.
        data_folder.find_files(data_dir)
    found, wrong = cases.find(paths), {}
    shown, start_s = [], time.monotonic()
    with storage.replace_folder(out) as folder:
        os.mkdir(os.path.join(folder, MEDIA))
        for number, case in enumerate(found):
            left = f", ETA {clock((time.monotonic() - start_s) / number * (len(found) - number))}" if number else ""
            print(f"case      {case.title}, {number + 1} of {len(found)}{left}", flush=True)
            try:
                exhibit = _gather(case, data_dir, checkpoint, evaluate)
            except (UserError, OSError) as error:
                wrong[case.title] = _reason(error)
                continue
            shown.append(_write(exhibit, folder, format_))
        if not shown:
            raise UserError(f"nothing to show: {_list(wrong)}")
        storage.write_text(os.path.join(folder, PAGE), page.build(shown))
    size = sum(os.path.getsize(os.path.join(each, name)) for each, _, names in os.walk(out) for name in names)
    name = words.printable(os.path.join(out, PAGE))
    print(f"page      {name}: {len(shown)} case{'s' * (len(shown) != 1)}, {size / 1e6:.1f} MB", flush=True)
    if wrong:
        raise UserError(f"left out: {_list(wrong)}")


def _gather(case, data_dir, checkpoint, evaluate):
    """Returns the `Exhibit` of a case."""
    train_dir = case.train_dir
    # A shared model holds one checkpoint.
    wanted = None if train_dir.is_shared and checkpoint == BEST else checkpoint
    facts = model_facts.describe(train_dir.path).facts if train_dir.is_shared else None
    generator = models.load(train_dir.path, _PRECISION, wanted)
    config, step = generator.config, generator.step
    generated = sounds.generate(generator, _SECONDS)
    place = recordings.find(case, config, data_dir)
    recorded = _cut(case, place, config.data_num_channels)
    channels = config.data_num_channels if recorded is None else recorded.samples.shape[1]
    generated = excerpts.convert(generated, config.data_sample_rate, _SECONDS, channels)
    recorded = _level(case, generated, recorded)
    rates_hz = [config.data_sample_rate, *([recorded.sample_rate_hz] if recorded else [])]
    return Exhibit(
        case=case,
        generator=generator,
        generated=generated,
        recorded=recorded,
        figures=_find_figures(case, generator, place, facts, evaluate),
        facts=facts,
        trained_s=facts.trained_s if facts else duration.trained_s(train_dir.path, step),
        highest_hz=min(excerpts.RATE_HZ, max(rates_hz)) / 2,
    )


def _cut(case, place, channels):
    """Returns the excerpt of the recordings of a case, or None where there is none; says so."""
    reason = "none is at hand; where they are says --data_dir FOLDER"
    if place:
        try:
            recorded = recordings.cut(place, _SECONDS, channels)
        except (UserError, OSError) as error:
            reason = _reason(error)
        else:
            if not recorded.sources:
                _note(case, "author and licence of its recordings are not stated; write them into a file SOURCES")
            return recorded
    _note(case, f"no recording: {reason}")
    return None


def _level(case, generated, recorded):
    """Makes the sounds of a case equally loud, in place; returns the recording where it can be heard, or None."""
    name = words.printable(case.train_dir.path)
    if recorded:
        try:
            # The recording first, which may be silent: a sound is faded once.
            excerpts.level([(recorded.label, recorded.samples), (name, generated)])
            return recorded
        except UserError as error:
            _note(case, f"no recording: {error}")
    excerpts.level([(name, generated)])
    return None


def _find_figures(case, generator, place, facts, evaluate):
    """Returns the figures of a case, or None; says why they cannot be measured, if they should be."""
    found = figures.find(case.train_dir, generator.step, facts)
    if not evaluate or (found and found.step == generator.step):
        return found
    try:
        return figures.measure(generator, place and place.data_dir)
    except (UserError, OSError) as error:
        _note(case, f"not evaluated: {_reason(error)}")
        return found


def _write(exhibit, folder, format_):
    """Writes the files of a case; returns what the page shows of it, see `page.build`."""
    media = {"generated": exhibit.generated}
    if exhibit.recorded:
        media["recorded"] = exhibit.recorded.samples
    drawn = pictures.draw(list(media.values()), excerpts.RATE_HZ, exhibit.highest_hz)
    files = {}
    for (kind, x), picture in zip(media.items(), drawn):
        base = f"{MEDIA}/{exhibit.case.file}-{kind}"
        files[kind] = {"sound": f"{base}.{format_}", "picture": f"{base}.{pictures.ENDING}"}
        sounds.write(os.path.join(folder, files[kind]["sound"]), x, excerpts.RATE_HZ)
        with storage.replacing(os.path.join(folder, files[kind]["picture"])) as file:
            file.write(picture)
    return page.describe(exhibit, files)


def _reason(error):
    return words.reason(error) if isinstance(error, OSError) else str(error)


def _list(wrong):
    return "; ".join(f"{title} ({reason})" for title, reason in wrong.items())


def _note(case, text):
    print(f"note      {case.title}: {text}", flush=True)
