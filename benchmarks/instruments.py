"""Two minutes each of instruments, recordings of tones, and of somebody typing.

    apt-get install fluidsynth musescore-general-soundfont-small bucklespring-data
    python -m benchmarks.instruments recordings/asmr
    python -m benchmarks.instruments recordings/asmr piano keys

Slow notes of a pentatonic scale, over broken chords where an instrument plays more than one at a time, random with a
fixed seed, played by FluidSynth with the MuseScore General sound font (MIT licence); and the keys of a typewriter-like
keyboard, which the program Bucklespring comes with (GPL-2 or later), in words of random length.
"""

import dataclasses
import glob
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

SECONDS = 120
RATE_HZ = 44100
SOUND_FONT = "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"
KEYS = "/usr/share/buckle/wav"
_TICKS_A_S = 960
_SCALE = (0, 2, 4, 7, 9)
_CHORDS = ((48, 55, 64), (45, 52, 60), (41, 48, 57), (43, 50, 59))
_CHORD_S = 4.0
_TAIL_S = 3.0
"""For the last notes to fade."""
_KEY_S, _WORD_S, _HELD_S = 0.16, 0.5, 0.08
"""Medians: from key to key, from word to word, and how long a key is held."""
_KEYS_PEAK = 0.5


@dataclasses.dataclass(frozen=True)
class Instrument:
    """One of the sound font.

    Attributes:
        program: Integer, General MIDI's, from 0.
        transposed: Integer, semitones.
        has_chords: Boolean.
    """

    program: int
    transposed: int = 0
    has_chords: bool = True


INSTRUMENTS = {
    "piano": Instrument(0),
    "flute": Instrument(73, 12, has_chords=False),
    "music-box": Instrument(10, 24),
    "harp": Instrument(46),
}
NAMES = (*INSTRUMENTS, "keys")


def main(arguments):
    """Writes the recordings; returns the exit code."""
    try:
        folder, names = arguments[:1], arguments[1:] or NAMES
        if not folder or not set(names) <= set(NAMES):
            raise UserError(
                "needed: python -m benchmarks.instruments FOLDER, and names if not all are wanted, of "
                f"{', '.join(NAMES)}. Received: {' '.join(arguments)!r}."
            )
        for name in names:
            path = os.path.join(folder[0], f"{name}.flac")
            try:
                os.makedirs(folder[0], exist_ok=True)
                soundfile.write(path, strike(np.random.default_rng(0)) if name == "keys" else play(name), RATE_HZ)
            except (OSError, soundfile.LibsndfileError) as error:
                raise UserError(f"cannot be made: {words.reason(error)}. Received: {path!r}.") from error
            print(words.printable(path))
    except UserError as error:
        print(f"instruments: {error}", file=sys.stderr)
        return 2
    return 0


def play(name):
    """Plays an instrument of `INSTRUMENTS`; returns samples `[n, 2]`.

    Raises:
        UserError: FluidSynth or its sound font is missing.
    """
    if not os.path.exists(SOUND_FONT):
        raise UserError(
            "the sound font is missing: apt-get install fluidsynth musescore-general-soundfont-small. "
            f"Received no {SOUND_FONT!r}."
        )
    instrument = INSTRUMENTS[name]
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = os.path.join(folder, "notes.mid"), os.path.join(folder, "notes.wav")
        with open(midi, "wb") as file:
            file.write(midi_file(notes(np.random.default_rng(0), instrument), instrument.program))
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE_HZ), "-g", "1.5", "-F", wav, SOUND_FONT, midi]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(f"FluidSynth cannot play: {words.reason(error)}.") from error
        return soundfile.read(wav, dtype="float32", always_2d=True, frames=SECONDS * RATE_HZ)[0]


def strike(random):
    """Types words; returns samples `[n, 2]`.

    Raises:
        UserError: There are no sounds of keys.
    """
    # NN-1.wav is the key going down, NN-0.wav coming up.
    down = [path for path in sorted(glob.glob(os.path.join(KEYS, "*-1.wav"))) if os.path.exists(_up(path))]
    if not down:
        raise UserError(f"no sounds in {KEYS}. Install them with: apt-get install bucklespring-data")
    samples, at_s = np.zeros([SECONDS * RATE_HZ, 2], np.float32), 0.3
    while at_s < SECONDS - _TAIL_S:
        for _ in range(random.integers(2, 10)):
            path, side = random.choice(down), random.uniform(0.3, 0.7)
            for sound, start_s in ((path, at_s), (_up(path), at_s + _HELD_S * random.lognormal(0, 0.2))):
                x, rate_hz = soundfile.read(sound, dtype="float32", always_2d=True)
                if rate_hz != RATE_HZ:
                    raise UserError(f"keys must have {RATE_HZ} Hz. Received: {sound!r} of {rate_hz} Hz.")
                x = x.mean(axis=1)[:, np.newaxis] * np.sqrt([1 - side, side])
                start = round(start_s * RATE_HZ)
                samples[start : start + len(x)] += x[: len(samples) - start]
            at_s += _KEY_S * random.lognormal(0, 0.3)
        at_s += _WORD_S * random.lognormal(0, 0.5)
    return _KEYS_PEAK / np.abs(samples).max() * samples


def _up(path):
    return path.removesuffix("-1.wav") + "-0.wav"


def notes(random, instrument):
    """Draws notes of an `Instrument`: a list of (start, length, both in seconds, MIDI pitch, velocity)."""
    found, place = [], 2
    for number in range(int((SECONDS - _TAIL_S) / _CHORD_S)):
        start_s, chord = number * _CHORD_S, _CHORDS[number % len(_CHORDS)]
        for k in range(8 * instrument.has_chords):
            found.append((start_s + k * _CHORD_S / 8, 1.5, chord[(0, 1, 2, 1)[k % 4]], int(random.integers(40, 60))))
        at_s = start_s
        while at_s < start_s + _CHORD_S:
            length_s = float(random.choice([0.5, 1.0, 1.5, 2.0]))
            place = int(np.clip(place + random.integers(-2, 3), 0, 9))
            octave, degree = divmod(place, len(_SCALE))
            found.append((at_s, length_s, 60 + 12 * octave + _SCALE[degree], int(random.integers(60, 90))))
            at_s += length_s
    return [(at_s, length_s, pitch + instrument.transposed, velocity) for at_s, length_s, pitch, velocity in found]


def midi_file(notes, program):
    """Returns a MIDI file of format 0, bytes, of `notes` by an instrument of General MIDI."""
    events = [(0, 0, bytes([0xC0, program]))]
    for start_s, length_s, pitch, velocity in notes:
        # Of what happens at one time, notes that end come first.
        events.append((round(start_s * _TICKS_A_S), 1, bytes([0x90, pitch, velocity])))
        events.append((round((start_s + length_s) * _TICKS_A_S), 0, bytes([0x80, pitch, 0])))
    track, now = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"), 0
    for at, _, event in sorted(events):
        track += _variable_length(at - now) + event
        now = at
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS_A_S) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(number):
    """A number as MIDI writes it: seven bits a byte, all but the last marked."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.insert(0, number & 0x7F | 0x80)
    return bytes(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
