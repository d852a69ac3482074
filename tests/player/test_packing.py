"""Packed generators are the generators that were packed."""

import dataclasses
import json

import numpy as np
import packed
import pyloudnorm
import pytest
from random_generators import SHAPES, Trained, random_inputs, random_network

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.specgan.family import SpecGAN
from wavegan_asmr.player import packing
from wavegan_asmr.rendering.arrangement import Arrangement
from wavegan_asmr.rendering.settings import RenderSettings

QUICK = (
    "even kernel",
    "nearest neighbor, even kernel",
    "batchnorm",
    "noise",
    "even post-filter, stereo",
    "labels",
    "measures",
    "labels and a measure, bands, post-filter",
    "labels and measures, batchnorm",
    "all",
    "8192",
)


@pytest.mark.parametrize(
    "shape", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in SHAPES]
)
def test_a_packed_generator_makes_the_same_sound(shape):
    network = random_network(**SHAPES[shape])
    facts, weights = packing.pack_network(network)
    generator = Trained(network)
    latent_dim, labels = generator.config.wavegan_latent_dim, len(generator.config.label_names)
    inputs = random_inputs(generator, 2)
    expected = network(inputs, training=False).numpy()
    assert expected.std() > 0.02, "silence is the same in any case"
    for each, sound in zip(inputs, expected):
        z, given = each[:latent_dim], expand(each[latent_dim:], labels)
        np.testing.assert_allclose(packed.evaluate(facts, weights, z, given), sound, atol=1e-5)
    halves = weights.astype(np.float16)
    np.testing.assert_allclose(
        packed.evaluate(facts, halves, z, given), expected[-1], atol=2e-3 if given is None else 1e-2
    )


def expand(given, labels):
    """What networks make of what they listen to: measures are interpolated between 5 places; None of nothing."""
    knots = [np.interp(place, np.linspace(0, 1, 5), row) for place in given[labels:] for row in np.eye(5)]
    return np.concatenate([given[:labels], knots]) if len(given) else None


def test_the_header_says_what_the_page_needs():
    generator = packed.varied_generator(16000, slice_len=4096)
    header, data = packing.pack(generator)
    assert json.loads(json.dumps(header)) == header
    facts, weights = packing.pack_network(generator.network)
    np.testing.assert_array_equal(np.frombuffer(data, "<f2"), weights.astype(np.float16))
    assert header | facts == header
    assert (header["name"], header["step"], header["digest"]) == ("rain", 1000, "none")
    assert (header["sample_rate_hz"], header["slice_len"], header["channels"]) == (16000, 4096, 1)
    assert (header["latent_dim"], header["fade"], len(header["offset"])) == (2, 1024, 1)


def test_the_header_says_what_the_model_listens_to():
    generator = packed.varied_generator(16000, slice_len=4096, labels=2, measures=1)
    generator.config = dataclasses.replace(
        generator.config, label_names=("caf\udce9\n", "rain"), data_conditions=("brightness",)
    )
    header, _ = packing.pack(generator)
    assert json.loads(json.dumps(header)) == header
    assert header["labels"] == ["caf\\xe9\\n", "rain"] and header["measures"] == ["brightness"]
    assert header["shares"] == list(generator.config.label_shares) and header["dense"]["given"] == 2 + 5
    assert [each.get("listens", False) for each in header["layers"]] == [True] * len(header["layers"])
    plain, _ = packing.pack(packed.varied_generator(16000, slice_len=4096))
    # What does not listen has the header that it had.
    assert set(header) - set(plain) == {"labels", "shares", "measures"}
    assert set(header["dense"]) - set(plain["dense"]) == {"given"}
    assert set(header["layers"][0]) - set(plain["layers"][0]) == {"listens"}


@pytest.mark.slow
def test_models_are_as_loud_as_each_other_in_both_speakers():
    for generator in (
        packed.varied_generator(16000, slice_len=4096),
        packed.varied_generator(16000, slice_len=4096, channels=2),
    ):
        header, _ = packing.pack(generator)
        arrangement = Arrangement([generator], RenderSettings(seconds=0, seed=5), 16000, 2, None)
        arrangement.voices[0].calibrate()
        x = arrangement.part(arrangement.voices, [header["gain_db"]], None).mix(0, 40 * 16000)
        assert pyloudnorm.Meter(16000).integrated_loudness(x.astype(np.float64)) == pytest.approx(-30, abs=1)


def silenced(network):
    """The network, with weights of zero."""
    network.set_weights([np.zeros_like(each) for each in network.get_weights()])
    return network


def with_weight(network, value):
    """The network, with one weight of a value."""
    kernel = network.get_layer("upconv_2").kernel
    changed = kernel.numpy()
    changed.flat[5] = value
    kernel.assign(changed)
    return network


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Trained(random_network(slice_len=4096), family=SpecGAN()),
            "the page plays models of the family wavegan.*Received: /models/rain, a specgan",
        ),
        (
            lambda: Trained(random_network(slice_len=4096, channels=3)),
            "one or two channels. Received: /models/rain has 3",
        ),
        (
            lambda: Trained(with_weight(random_network(slice_len=4096), 1e5)),
            "half precision cannot hold the weights of /models/rain, up to 1e\\+05",
        ),
        (
            lambda: Trained(with_weight(random_network(slice_len=4096), np.nan)),
            "half precision cannot hold the weights of /models/rain",
        ),
        (
            lambda: Trained(silenced(random_network(slice_len=4096))),
            "too many pieces of /models/rain cannot be played",
        ),
    ],
    ids="family channels large nan silent".split(),
)
def test_what_cannot_be_played_is_refused(make, words):
    with pytest.raises(UserError, match=words) as error:
        packing.pack(make())
    assert "\n" not in str(error.value)
