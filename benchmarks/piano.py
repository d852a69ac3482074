"""Two minutes of a piano, recordings of tones for `benchmarks.quality --sets piano`.

    apt-get install fluidsynth musescore-general-soundfont-small
    python -m benchmarks.piano recordings/asmr/piano.flac

Slow notes of a pentatonic scale over broken chords, random with a fixed seed, played by FluidSynth with the MuseScore
General sound font (MIT licence).
"""

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
_TICKS_A_S = 960
_SCALE = (0, 2, 4, 7, 9)
_CHORDS = ((48, 55, 64), (45, 52, 60), (41, 48, 57), (43, 50, 59))
_CHORD_S = 4.0
_TAIL_S = 3.0
"""For the last notes to fade."""


def main(arguments):
    """Writes the recording; returns the exit code."""
    try:
        if len(arguments) != 1:
            raise UserError(f"needed: python -m benchmarks.piano FILE. Received: {' '.join(arguments)!r}.")
        play(arguments[0])
    except UserError as error:
        print(f"piano: {error}", file=sys.stderr)
        return 2
    return 0


def play(path):
    """Writes the recording as a file of soundfile's formats.

    Args:
        path: Path-like.

    Raises:
        UserError: FluidSynth or its sound font is missing, or the file cannot be written.
    """
    if not os.path.exists(SOUND_FONT):
        raise UserError(
            "the sound font is missing: apt-get install fluidsynth musescore-general-soundfont-small. "
            f"Received no {SOUND_FONT!r}."
        )
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = os.path.join(folder, "piano.mid"), os.path.join(folder, "piano.wav")
        with open(midi, "wb") as file:
            file.write(midi_file(notes(np.random.default_rng(0))))
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE_HZ), "-g", "1.5", "-F", wav, SOUND_FONT, midi]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            samples, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True, frames=SECONDS * RATE_HZ)
            soundfile.write(path, samples, rate_hz)
        except (OSError, subprocess.CalledProcessError, soundfile.LibsndfileError) as error:
            raise UserError(f"cannot be made: {words.reason(error)}. Received: {os.fspath(path)!r}.") from error


def notes(random):
    """Draws notes: a list of (start, length, both in seconds, MIDI pitch, velocity)."""
    found, place = [], 2
    for number in range(int((SECONDS - _TAIL_S) / _CHORD_S)):
        start_s, chord = number * _CHORD_S, _CHORDS[number % len(_CHORDS)]
        for k in range(8):
            found.append((start_s + k * _CHORD_S / 8, 1.5, chord[(0, 1, 2, 1)[k % 4]], int(random.integers(40, 60))))
        at_s = start_s
        while at_s < start_s + _CHORD_S:
            length_s = float(random.choice([0.5, 1.0, 1.5, 2.0]))
            place = int(np.clip(place + random.integers(-2, 3), 0, 9))
            octave, degree = divmod(place, len(_SCALE))
            found.append((at_s, length_s, 60 + 12 * octave + _SCALE[degree], int(random.integers(60, 90))))
            at_s += length_s
    return found


def midi_file(notes):
    """Returns a MIDI file of format 0, bytes, of `notes`."""
    events = []
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
