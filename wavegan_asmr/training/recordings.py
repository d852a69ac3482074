"""What a training learns from, known by content: the place and the names of recordings may change.

recordings.json, in TRAIN_DIR, holds a digest and a length for each recording, and no path.
"""

import collections
import dataclasses
import hashlib
import json
import os

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import clock

_FILE = "recordings.json"


@dataclasses.dataclass(frozen=True)
class Content:
    """A recording.

    Attributes:
        digest: String, of the bytes of its file.
        seconds: Float, its length.
    """

    digest: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Contents:
    """The recordings of a training."""

    recordings: list[Content]

    @classmethod
    def of(cls, recordings, sample_rate_hz):
        """Returns the contents of a list of `loader.Recording` that were resampled to a rate."""
        return cls([Content(each.pcm.digest, round(each.pcm.frames / sample_rate_hz, 3)) for each in recordings])

    def digest(self):
        """Returns one digest of all recordings, a string."""
        return hashlib.sha256("".join(each.digest for each in self.recordings).encode()).hexdigest()

    def write(self, train_dir):
        """Writes recordings.json.

        Args:
            train_dir: `TrainDir`.

        Raises:
            OSError: It cannot be written.
        """
        storage.write_text(train_dir.join(_FILE), json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    def compare(self, train_dir):
        """Compares with what the training has learned from so far.

        Args:
            train_dir: `TrainDir`.

        Returns:
            String, what is new and what is gone, or why that is not known; None where the content is the same, or
            where the training has just begun or is of a version that did not write it down.
        """
        try:
            before = storage.read_json(train_dir.join(_FILE), Contents)
        except FileNotFoundError:
            return None
        except (OSError, UserError) as error:
            why = words.reason(error) if isinstance(error, OSError) else "it is damaged"
            path = words.printable(train_dir.join(_FILE))
            return f"new and gone ones are not known: {path} cannot be read ({why}) and is written anew"
        new, gone = _less(self, before), _less(before, self)
        found = [f"{len(new)} new ({_length(new)})"] if new else []
        if gone:
            found.append(f"{len(gone)} gone ({_length(gone)} of {_length(before.recordings)})")
        return ", ".join(found) + " since the last start" if found else None


def lengths(train_dir_path):
    """Returns the lengths of the recordings that a training learns from, a list of floats, seconds.

    Raises:
        OSError: recordings.json is not there or cannot be read.
        UserError: It is damaged.
    """
    contents = storage.read_json(os.path.join(train_dir_path, _FILE), Contents)
    return [each.seconds for each in contents.recordings]


def _less(contents, others):
    """Returns the recordings of some contents that others lack; a copy counts by itself."""
    others = collections.Counter(each.digest for each in others.recordings)
    lacking = []
    for each in contents.recordings:
        if others[each.digest]:
            others[each.digest] -= 1
        else:
            lacking.append(each)
    return lacking


def _length(recordings):
    return clock(round(sum(each.seconds for each in recordings)))
