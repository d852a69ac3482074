"""The rate and the channels that a folder's recordings suggest, of files written by libsndfile and FFmpeg."""

import subprocess

import numpy as np
import pytest
import soundfile

from wavegan_asmr.sound.folder_layout import find_layout


def write(folder, *recordings):
    """Writes recordings `(rate, channels, seconds)`."""
    folder.mkdir(exist_ok=True)
    for number, (rate_hz, channels, seconds) in enumerate(recordings):
        soundfile.write(folder / f"{number}.wav", np.zeros([round(rate_hz * seconds), channels]), rate_hz)
    return folder


def layout_of(folder):
    return find_layout(sorted(folder.iterdir()))


@pytest.mark.parametrize(
    ("recordings", "expected"),
    [
        ([(44100, 2, 1)], (44100, 2)),
        ([(48000, 2, 1)], (44100, 2)),
        ([(96000, 1, 1)], (44100, 1)),
        ([(8000, 1, 1)], (8000, 1)),
        # Seconds count, not files and not frames.
        ([(16000, 1, 3), (44100, 2, 1), (44100, 2, 1)], (16000, 1)),
        ([(16000, 1, 1.9), (44100, 2, 1), (44100, 2, 1)], (44100, 2)),
        ([(22050, 2, 2), (16000, 1, 3), (48000, 2, 1.5)], (22050, 2)),
        # Just half of them is enough.
        ([(16000, 1, 2), (32000, 2, 2)], (32000, 2)),
        # Of six channels two cannot be made.
        ([(44100, 6, 2), (44100, 2, 1)], (44100, 1)),
    ],
)
def test_the_highest_rate_and_the_channels_of_half_the_seconds(tmp_path, recordings, expected):
    assert layout_of(write(tmp_path / "asmr", *recordings)) == expected


def test_what_cannot_be_read_does_not_count(tmp_path):
    folder = write(tmp_path / "asmr", (22050, 1, 1))
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(1000))
    (folder / "notes.txt").write_text("no sound")
    assert layout_of(folder) == (22050, 1)
    (folder / "0.wav").unlink()
    assert layout_of(folder) == (None, None)


def test_a_length_that_no_header_tells_counts_as_a_minute(tmp_path):
    folder = write(tmp_path / "asmr", (16000, 1, 59))
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-t", "1"]
    stream = subprocess.run([*command, "-f", "matroska", "-live", "1", "-"], capture_output=True, check=True).stdout
    (folder / "live.mka").write_bytes(stream)
    assert layout_of(folder) == (44100, 2)
    soundfile.write(folder / "more.wav", np.zeros(2 * 16000), 16000)
    assert layout_of(folder) == (16000, 1)
