"""The folder of a listening test.

OUT/index.html      the page; it works as a file and from any web server, without a network
OUT/clips/*.wav     what is rated, under names that do not tell what it is
OUT/mushra.yaml     the same clips as a configuration of webMUSHRA, where a sound is called "recording"
"""

import dataclasses
import hashlib
import json
import os

import numpy as np

from wavegan_asmr import output_place, storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.listening_tests import mushra, page
from wavegan_asmr.rendering import excerpts
from wavegan_asmr.sound import wav

MOST_SOUNDS = 8
PAGE, CLIPS, MUSHRA = "index.html", "clips", "mushra.yaml"

_LONGEST_S = 1800
"""Of all clips together: nobody listens longer with attention (ITU-R BS.1116 says half an hour)."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """Clips that are rated together.

    Attributes:
        sounds: Tuple of integers, which sound each clip is of; all the same where it is the control.
        clips: Tuple of strings, the name of each clip, without its folder and its ending.
    """

    sounds: tuple
    clips: tuple


def make(sounds, out, trials=10, seconds=10.0, seed=0, has_control=True):
    """Makes the folder of a test; the same arguments make the same folder.

    Args:
        sounds: Dict of a name to a path, what is compared.
        out: Path-like, the folder, which is not there yet.
        trials: Integer.
        seconds: Float, the length of a clip, at least 1.
        seed: Integer, of places and order.
        has_control: Boolean, whether there is one more trial, in which all clips are the same.

    Raises:
        UserError: A sound cannot be used, there are too few or too many, it would take too long, or there is no place.
        OSError: The folder cannot be written.
    """
    out = os.path.normpath(out)
    _check(sounds, out, trials, seconds, has_control)
    channels = excerpts.count_channels(sounds.values())
    random = np.random.default_rng(seed)
    drawn = _draw(random, len(sounds), trials, has_control)
    paths = list(sounds.values())
    samples = _cut(random, paths, drawn, seconds, channels)
    loudness = _level([(paths[sound], x) for (sound, _), x in samples.items()])
    clips = {name: samples[sound, k] for k, trial in enumerate(drawn) for sound, name in zip(trial.sounds, trial.clips)}
    test = _identify(sounds, drawn, clips)
    with storage.replace_folder(out) as folder:
        os.mkdir(os.path.join(folder, CLIPS))
        for name, x in clips.items():
            wav.write_wav(os.path.join(folder, CLIPS, f"{name}.wav"), x, excerpts.RATE_HZ)
        storage.write_text(os.path.join(folder, PAGE), page.build(test, seed, seconds, list(sounds), drawn))
        if mushra.REFERENCE in sounds:
            storage.write_text(os.path.join(folder, MUSHRA), mushra.build(test, list(sounds), drawn))
    minutes = sum(map(len, clips.values())) / excerpts.RATE_HZ / 60
    control = ", one of them with the same sound throughout" if has_control else ""
    name = words.printable(os.path.join(out, PAGE))
    print(
        f"test      {name}: {len(drawn)} trials{control}; {minutes:.1f} min of sound at {loudness:.1f} LUFS", flush=True
    )


def _check(sounds, out, trials, seconds, has_control):
    if not 2 <= len(sounds) <= MOST_SOUNDS:
        raise UserError(f"a listening test compares 2 to {MOST_SOUNDS} sounds. Received: {len(sounds)}.")
    total_s = (trials + has_control) * len(sounds) * seconds
    if total_s > _LONGEST_S:
        raise UserError(
            f"a listening test must have at most {_LONGEST_S // 60} minutes of sound; give a smaller --trials or "
            f"--seconds, or fewer sounds. Received: {total_s / 60:.1f} minutes."
        )
    output_place.check_above(out)
    if os.path.lexists(out):
        raise UserError(f"--out must be a folder that is not there yet. Received: {out!r}.")


def _draw(random, count, trials, has_control):
    """Draws the order of the sounds in each trial, and the names of the clips; returns a list of `Trial`."""
    orders = [tuple(random.permutation(count).tolist()) for _ in range(trials)]
    if has_control:
        orders.insert(int(random.integers(trials + 1)), (int(random.integers(count)),) * count)
    return [Trial(order, tuple(random.bytes(6).hex() for _ in order)) for order in orders]


def _cut(random, paths, trials, seconds, channels):
    """Returns a dict of a sound and a trial, integers, to the excerpt, float32 `[frames, channels]`."""
    # Where each sound is heard, trial by trial; a set, since a control hears one sound more than once.
    heard = [[k for k, trial in enumerate(trials) if sound in set(trial.sounds)] for sound in range(len(paths))]
    samples = {}
    for sound, (path, where) in enumerate(zip(paths, heard)):
        # One in each of as many equal parts of the sound, so that they overlap no more than they must.
        places = (random.permutation(len(where)) + random.random(len(where))) / len(where)
        samples.update({(sound, k): x for k, x in zip(where, excerpts.cut(path, places, seconds, channels))})
    return samples


def _level(clips):
    """Makes clips equally loud, see `excerpts.level`."""
    try:
        return excerpts.level(clips)
    except UserError as error:
        raise UserError(f"{error}, or give another --seed.") from error


def _identify(sounds, trials, clips):
    """Returns what tells a test from others, a string: of the names, the order and the clips."""
    digest = hashlib.sha256(json.dumps([list(sounds), [dataclasses.astuple(each) for each in trials]]).encode())
    for x in clips.values():
        digest.update(wav.to_int16(x).tobytes())
    return digest.hexdigest()[:16]
