"""What the page has saved of listeners, read with the care that files of strangers need."""

import dataclasses
import os
import typing

import msgspec

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError

_FORMAT = "wavegan listening test 1"

Percent = typing.Annotated[int, msgspec.Meta(ge=0, le=100)]


@dataclasses.dataclass(frozen=True)
class Rating:
    """What a listener says of a clip.

    Attributes:
        sound: String, the name of the sound that it is of.
        clip: String, its name.
        quality, naturalness: Integers from 0 to 100.
    """

    sound: str
    clip: str
    quality: Percent
    naturalness: Percent


@dataclasses.dataclass(frozen=True)
class Trial:
    """Clips that were rated together.

    Attributes:
        is_control: Boolean, whether they were all the same.
        ratings: Tuple of `Rating`, in the order in which they were shown.
    """

    is_control: bool
    ratings: tuple[Rating, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What one listener has saved.

    Attributes:
        format: String, of the file.
        test: String, what tells the test from others.
        seed: Integer.
        listener: String, drawn by the page.
        sounds: Tuple of strings, their names.
        trials: Tuple of `Trial`.

    Raises:
        UserError: It is no result of a listening test, or does not fit together.
    """

    format: str
    test: str
    seed: int
    listener: str
    sounds: tuple[str, ...]
    trials: tuple[Trial, ...]

    def __post_init__(self):
        if self.format != _FORMAT:
            raise UserError(f"format: must be {_FORMAT!r}. Received: {storage.shorten(self.format)}.")
        if len(self.sounds) < 2 or len(set(self.sounds)) < len(self.sounds):
            raise UserError(f"sounds: must be two or more, all different. Received: {storage.shorten(self.sounds)}.")
        if all(trial.is_control for trial in self.trials):
            raise UserError("trials: there is none to compare sounds by")
        for number, trial in enumerate(self.trials):
            rated = sorted(rating.sound for rating in trial.ratings)
            is_right = len(set(rated)) == 1 and rated[0] in self.sounds and len(rated) == len(self.sounds)
            if not (is_right if trial.is_control else rated == sorted(self.sounds)):
                raise UserError(f"trials[{number}]: does not rate each sound once. Received: {storage.shorten(rated)}.")

    @property
    def layout(self):
        """What all results of a test have in common."""
        shown = [[(rating.sound, rating.clip) for rating in trial.ratings] for trial in self.trials]
        return self.test, self.seed, self.sounds, shown


def read(paths):
    """Reads the results of one test.

    Args:
        paths: List of path-likes, at least one.

    Returns:
        List of `Result`, one a listener.

    Raises:
        UserError: A file cannot be read, is damaged, is of another test than the first, or of a listener who is in
            another one, too; names it.
    """
    results, where = [], {}
    for path in paths:
        result, name = _read(path), words.printable(path)
        if results and result.test != results[0].test:
            raise UserError(
                f"results must be of one test; give those of each test by themselves. Received: {name} of test "
                f"{storage.shorten(result.test)} beside {storage.shorten(results[0].test)}."
            )
        if results and result.layout != results[0].layout:
            raise UserError(f"{name} says something else of the test than {words.printable(paths[0])}; leave one out.")
        if result.listener in where:
            raise UserError(f"{name} is of the same listener as {where[result.listener]}; leave one out.")
        where[result.listener] = name
        results.append(result)
    return results


def _read(path):
    if not os.path.isfile(path):
        raise UserError(f"--analyse takes files that the page has saved. Received: {os.fspath(path)!r}, which is none.")
    try:
        return storage.read_json(path, Result)
    except OSError as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}.") from error
