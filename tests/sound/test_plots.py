"""Pictures of clips: what is drawn where."""

import numpy as np
import pytest

from wavegan_asmr.sound import plots

RATE_HZ = 44100


def tone(hz):
    return np.sin(2 * np.pi * hz * np.arange(16384) / RATE_HZ)


def images(figure):
    """Arrays of the spectrograms of a figure with the labels of their axes, in the order of the page."""
    return [(axes.get_ylabel(), axes.get_images()[0].get_array()) for axes in figure.axes if axes.get_images()]


def loudest_hz(db):
    return db.max(axis=1).argmax() * RATE_HZ / 1024


def test_both_channels_are_drawn():
    clips = np.stack([tone(1000), tone(9000)], axis=1)[None].repeat(2, axis=0).astype(np.float32)
    found = images(plots.grid([("real", clips), ("generated", clips[:, :, ::-1])], RATE_HZ, "tones"))
    # Column by column within a line.
    assert [label for label, _ in found] == ["left, Hz", "", "right, Hz", ""] * 2
    expected = [1000, 1000, 9000, 9000, 9000, 9000, 1000, 1000]
    assert [loudest_hz(db) for _, db in found] == pytest.approx(expected, abs=RATE_HZ / 1024)


@pytest.mark.parametrize("channels", [1, 3])
def test_of_other_numbers_of_channels_the_mean_is_drawn(channels):
    clips = np.stack([tone(1000)] * channels, axis=1)[None].astype(np.float32)
    found = images(plots.grid([("real", clips)], RATE_HZ, "tones"))
    assert [label for label, _ in found] == ["Hz"]
    assert loudest_hz(found[0][1]) == pytest.approx(1000, abs=RATE_HZ / 1024)
