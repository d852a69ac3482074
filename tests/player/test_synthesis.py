"""The page makes the sound that generate.py makes."""

import dataclasses
import itertools
import types

import numpy as np
import packed
import pytest
import scipy.signal
import soxr
import tensorflow as tf
from random_generators import SHAPES, Trained, random_inputs, random_network
from synthesis import Synthesis

from wavegan_asmr.config import Config
from wavegan_asmr.families.wavegan.family import WaveGAN
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.networks.layers import LatentSeeds, NoiseInput
from wavegan_asmr.player import packing
from wavegan_asmr.rendering.arrangement import Arrangement
from wavegan_asmr.rendering.inputs import PILOT, slerp
from wavegan_asmr.rendering.loudness import k_weighting
from wavegan_asmr.rendering.pieces import Acceptance, Piece
from wavegan_asmr.rendering.settings import RenderSettings
from wavegan_asmr.rendering.startle_guard import StartleGuard
from wavegan_asmr.rendering.traits import Traits

QUICK = (
    "all",
    "even post-filter, stereo",
    "labels",
    "labels and a measure, bands, post-filter",
    "labels and measures, batchnorm",
    "wide",
)
SEED = 3


@pytest.fixture
def synthesis(tmp_path):
    return Synthesis(tmp_path)


def random_latents(seed, line, index, latent_dim):
    return np.random.default_rng([seed, line, index]).uniform(-1, 1, latent_dim).astype(np.float32)


# Random numbers.


def test_latent_vectors_are_those_of_numpy(synthesis):
    numbers = [0, 1, 2**31, 2**32 - 1, 2**32, PILOT + 7, 2**53 - 1]
    of = [(seed, line, index) for seed in [*numbers, 2**63 - 1] for line in (0, 1, 2**32) for index in numbers]
    header = {"latent_dim": 5}
    synthesis.run("inputs", of=[(str(seed), line, index) for seed, line, index in of], header=header)
    expected = np.concatenate([random_latents(*each, 5) for each in of])
    np.testing.assert_array_equal(synthesis.read("inputs"), expected)


@pytest.mark.parametrize(("labels", "measures"), [(3, 2), (300, 0), (0, 1)])
def test_what_is_listened_to_is_drawn_as_the_family_does(synthesis, labels, measures):
    names = tuple(f"label {each}" for each in range(labels))
    weights = np.random.default_rng(0).uniform(0, 1, labels)
    shares = tuple((weights / max(weights.sum(), 1)).tolist())
    config = Config(
        wavegan_latent_dim=5,
        label_names=names,
        label_shares=shares,
        data_conditions=tuple(MEASURES)[:measures],
    )
    header = {"latent_dim": 5, "labels": names, "shares": shares, "measures": list(MEASURES)[:measures]}
    of = [(SEED, line, index) for line in (0, 1) for index in [*range(500), 2**27, PILOT + 7]]
    synthesis.run("inputs", of=[(str(seed), line, index) for seed, line, index in of], header=header)
    expected = np.concatenate([WaveGAN().draw(config, np.random.default_rng(each), 1) for each in of])
    np.testing.assert_array_equal(synthesis.read("inputs").reshape(expected.shape), expected)
    if labels:
        drawn = expected[:, 5 : 5 + labels].mean(axis=0)
        np.testing.assert_allclose(drawn, np.array(shares) / sum(shares), atol=0.06)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_is_that_of_tensorflow(synthesis, seed):
    z = random_latents(seed, 0, 0, 100)
    layers = [
        {"index": index, "bits": bits, "shape": shape}
        for index, bits, shape in [(0, 16, [16, 1]), (1, 16, [64, 3]), (6, 32, [16, 1]), (2, 32, [64, 3])]
    ]
    counts = [layer | {"count": int(np.prod(layer["shape"]))} for layer in layers]
    answer = synthesis.run("noise", {"z": z}, layers=counts)
    seeds = LatentSeeds()(tf.constant(z[None]))
    assert answer["seed"] == seeds.numpy()[0]

    def noise(index, bits, shape):
        layer = NoiseInput(index, bits=bits)
        layer.build([1, *shape], [1])
        layer.scale.assign(np.ones(shape[1:]))
        return layer(tf.zeros([1, *shape]), seeds).numpy().ravel()

    expected = np.concatenate([noise(**layer) for layer in layers])
    np.testing.assert_array_equal(synthesis.read("noise"), expected)


# Signal processing.


@pytest.mark.parametrize("size", [4, 8, 512, 65536])
def test_power_spectrum(synthesis, size):
    x = np.random.default_rng(0).normal(size=size)
    synthesis.run("spectrum", {"x": x})
    np.testing.assert_allclose(synthesis.read("power", np.float64), np.abs(np.fft.rfft(x)) ** 2, rtol=1e-9, atol=1e-9)


def test_k_weighting_is_that_of_pyloudnorm(synthesis):
    rates_hz = [8000, 16000, 22050, 44100, 48000, 96000]
    for rate_hz, sections in zip(rates_hz, synthesis.run("weighting", rates_hz=rates_hz)):
        b, _, a = np.split(k_weighting(rate_hz), [3, 4], axis=1)
        np.testing.assert_allclose(sections, np.concatenate([b, a], axis=1), rtol=1e-12)


def noise_of(channels=1, frames=4096):
    return np.random.default_rng(0).normal(0, 0.1, [frames, channels])


SOUNDS = {
    "noise": (noise_of(), False),
    "stereo": (noise_of(2) * np.array([1, 0.1]), False),
    "long": (noise_of(2, 65536), False),
    "silence": (1e-5 * noise_of(), True),
    "clipped": (np.clip(20 * noise_of(), -1, 1), True),
    "a little clipped": (np.where(np.arange(4096)[:, None] < 3, 1, noise_of()), False),
    "shifted": (noise_of(2) + np.array([0, 0.1]), True),
    "a little shifted": (noise_of(2) + np.array([0, 0.03]), False),
    "not numbers": (np.where(np.arange(4096)[:, None] == 99, np.nan, noise_of()), True),
}


def test_traits(synthesis):
    sounds = {name: x.astype(np.float32) for name, (x, _) in SOUNDS.items()}
    described = [{"name": name, "channels": x.shape[1]} for name, x in sounds.items()]
    answers = synthesis.run("traits", sounds, sounds=described, edge=1024)
    for answer, (name, x) in zip(answers, sounds.items()):
        is_faulty = SOUNDS[name][1]
        assert answer["isFaulty"] == is_faulty, name
        if name == "not numbers":
            continue
        expected = Traits.of(x, 1024)
        assert expected.is_faulty == is_faulty
        assert answer["levelDb"] == pytest.approx(expected.level_db, abs=1e-4)
        for key, spectrum_db in [
            ("spectrumDb", expected.spectrum_db),
            ("headDb", expected.head_db),
            ("tailDb", expected.tail_db),
        ]:
            np.testing.assert_allclose(answer[key], spectrum_db, atol=1e-3, err_msg=f"{name}: {key}")


RATES_HZ = [
    (16000, 44100),
    (44100, 48000),
    *(pytest.param(*each, marks=pytest.mark.slow) for each in [(16000, 48000), (48000, 44100), (44100, 16000)]),
    pytest.param(22050, 48001, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES_HZ)
def test_resampling_is_about_that_of_soxr(synthesis, from_hz, to_hz):
    """Tones pass, to the same samples; beyond 0.9 of the lower rate's Nyquist frequency soxr's slope is another one."""
    frames = 16384
    nyquist_hz = min(from_hz, to_hz) / 2
    window = scipy.signal.windows.tukey(frames, 0.5)
    for share in (0.01, 0.3, 0.7, 0.9):
        x = (window * np.sin(2 * np.pi * share * nyquist_hz / from_hz * np.arange(frames))).astype(np.float32)
        synthesis.run("resample", {"x": x}, from_hz=from_hz, to_hz=to_hz)
        y, expected = synthesis.read("resampled"), soxr.resample(x, from_hz, to_hz)
        assert len(y) == len(expected)
        assert 20 * np.log10(np.std(y - expected) / np.std(expected)) < -60
        assert 20 * np.log10(np.std(y) / np.std(expected)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES_HZ)
def test_resampling_leaves_no_images(synthesis, from_hz, to_hz):
    """Neither mirrored tones above the old Nyquist frequency nor folded ones below the new one."""
    frames = 32768
    tone_hz = 0.9 * from_hz / 2 if to_hz > from_hz else (to_hz / 2 + from_hz / 2) / 2
    tone = np.sin(2 * np.pi * tone_hz / from_hz * np.arange(frames))
    x = (np.hanning(frames) * tone).astype(np.float32)
    synthesis.run("resample", {"x": x}, from_hz=from_hz, to_hz=to_hz)
    y = synthesis.read("resampled")
    power = np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
    frequencies_hz = np.fft.rfftfreq(len(y), 1 / to_hz)
    elsewhere = np.abs(frequencies_hz - tone_hz) > 100
    # Of a tone of full scale, its power as it comes through both windows.
    full = np.abs(np.fft.rfft(np.hanning(len(y)) ** 2)).max() ** 2 / 4
    assert 10 * np.log10(power[elsewhere].max() / full) < -70


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("max_rise_db", [3, 6])
def test_the_guard_sets_the_gains_of_that_of_generate(synthesis, channels, max_rise_db):
    """Of sounds of many levels, from below silence on; mono ones as heard in two speakers."""
    rate_hz, piece, hop = 8000, 9000, 6500
    random = np.random.default_rng(channels)
    levels_db = [-20, -20, -14, -20, *random.uniform(-45, -10, 8), -90, -90, -90, -90, -62, -78, -70, -20, -40, -10]
    x = random.normal(0, 1, [len(levels_db), channels, piece]) * 10 ** (np.array(levels_db)[:, None, None] / 20)
    x = x.astype(np.float32)
    starts = [number * hop for number in range(len(x))]
    gains_db = synthesis.run(
        "guard", {"x": x}, channels=channels, rate_hz=rate_hz, max_rise_db=max_rise_db, starts=starts
    )
    guard = StartleGuard(max_rise_db, rate_hz, 2)
    heard = np.broadcast_to(x.swapaxes(1, 2), [len(x), piece, 2])
    guard.begin(heard[0])
    expected = []
    for sound, start in zip(heard, starts):
        guard.advance(start)
        expected.append(guard.add(sound, start))
    assert min(expected) < -6 and max(expected) == 0
    np.testing.assert_allclose(gains_db, expected, atol=0.01)


def test_correlation(synthesis):
    """Of the end of one sound and the beginning of another, over both channels."""
    frames = 5000
    mixes = {(1, 0): 1, (-1, 0): -0.5, (0, 0): 0, (0, 1): 0, (1, 1): 0.707, (-0.3, 1): -0.287}
    tail, other = np.random.default_rng(0).normal(size=[2, 2, frames])
    before, after = np.zeros([2, 8000], np.float32), np.zeros([len(mixes), 2, 8000], np.float32)
    before[:, -frames:] = tail
    for sound, (same, different) in zip(after, mixes):
        sound[:, :frames] = same * tail + different * other
    answers = synthesis.run("correlation", {"before": before, "after": after}, frames=frames, count=len(mixes))
    assert answers == pytest.approx(list(mixes.values()), abs=0.03)


# Generators.


@pytest.mark.parametrize("is_fast", [True, False], ids=["kernel", "plain"])
@pytest.mark.parametrize(
    "shape", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in SHAPES]
)
def test_pieces_are_those_of_keras(synthesis, shape, is_fast):
    network = random_network(**SHAPES[shape])
    facts, weights = packing.pack_network(network)
    generator = Trained(network)
    inputs, config = random_inputs(generator, 3), generator.config
    expected = network(inputs, training=False).numpy()
    _, slice_len, channels = expected.shape
    header = facts | {"slice_len": slice_len, "channels": channels, "latent_dim": config.wavegan_latent_dim}
    if config.given_dim:
        header |= {"labels": config.label_names, "measures": config.data_conditions}
    kernel = synthesis.kernel() if is_fast else None
    answer = synthesis.run("generate", {"weights": weights, "inputs": inputs}, header=header, kernel=kernel)
    assert answer["isFast"] == is_fast
    # In half precision samples are 1e-3 apart in any case.
    np.testing.assert_allclose(synthesis.read("pieces").reshape(expected.shape), expected, atol=1e-5)


def test_a_kernel_that_does_not_run_is_done_without(synthesis, tmp_path):
    """As where WebAssembly has no SIMD."""
    network = random_network(slice_len=4096)
    facts, weights = packing.pack_network(network)
    (tmp_path / "kernel.wasm").write_bytes(b"\0asm\1\0\0\0 unknown")
    header = facts | {"slice_len": 4096, "channels": 1, "latent_dim": 10}
    arrays = {"weights": weights, "inputs": np.zeros(10, np.float32)}
    assert synthesis.run("generate", arrays, header=header, kernel=str(tmp_path / "kernel.wasm")) == {"isFast": False}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda weights: weights[:-1], "weights instead of"),
        (lambda weights: np.append(weights, np.float32(0)), "weights instead of"),
        (lambda weights: np.where(np.arange(len(weights)) == 99, np.nan, weights), "not numbers"),
        (lambda weights: 0 * weights, "none of 200 pieces in a row is fit to be heard"),
    ],
    ids="short long nan silent".split(),
)
def test_damaged_weights_are_errors(synthesis, rain, damage, words):
    weights = damage(rain.weights).astype(np.float32)
    with pytest.raises(RuntimeError, match=words):
        synthesis.run(
            "line",
            {"weights": weights},
            header=rain.header,
            kernel=None,
            options={"rate_hz": 16000, "seed": 0, "line": 0},
            calls=[1000],
        )


# Lines.


def pack(generator):
    """Packs a generator; returns it with `header`, and `weights` as the page reads them."""
    header, data = packing.pack(generator)
    return types.SimpleNamespace(
        generator=generator, header=header, weights=np.frombuffer(data, "<f2").astype(np.float32)
    )


@pytest.fixture(scope="module")
def rain():
    return pack(packed.varied_generator(16000, slice_len=16384))


def run_line(synthesis, model, calls, rate_hz=None, kernel=None, **options):
    """Returns the pieces that the page chooses, and their sound, `[frames, 2]`."""
    answer = synthesis.run(
        "line",
        {"weights": model.weights},
        header=model.header,
        kernel=kernel,
        options={"rate_hz": rate_hz or model.header["sample_rate_hz"], "seed": SEED, "line": 0} | options,
        calls=calls,
    )
    return answer["pieces"], np.stack([synthesis.read(name) for name in ("left", "right")], axis=1)


def arrange(model, rate_hz, **settings):
    """Returns how generate.py arranges a model for two channels, with what its header says of it."""
    header = model.header
    settings = RenderSettings(seconds=0, seed=SEED, **settings)
    arrangement = Arrangement([model.generator], settings, rate_hz, 2, None)
    (voice,) = arrangement.voices
    voice.take_off(np.array([header["offset"][0], header["offset"][-1]], np.float32))
    accept = header["accept"]
    voice.acceptance = Acceptance(accept["level_db"], np.array(accept["spectrum_db"]), accept["allowed_db"])
    return arrangement


STEREO = {"slice_len": 65536, "channels": 2, "bands": 4}


@pytest.mark.parametrize(
    ("rate_hz", "settings", "max_jump_db", "is_fast"),
    [
        pytest.param(16000, {"slice_len": 16384}, 6, True, id="mono"),
        pytest.param(16000, {"slice_len": 16384}, 6, False, id="plain", marks=pytest.mark.slow),
        pytest.param(8000, {"slice_len": 16384, "labels": 3, "measures": 2}, 6, True, id="listening"),
        pytest.param(44100, STEREO, 6, True, id="stereo", marks=pytest.mark.slow),
        pytest.param(4000, {"slice_len": 16384}, 3, False, id="gains within pieces", marks=pytest.mark.slow),
    ],
)
def test_a_line_is_that_of_generate(synthesis, rain, rate_hz, settings, max_jump_db, is_fast):
    """The same pieces at the same frames under the same gains, and so the same samples, over a minute."""
    model = rain if rate_hz == 16000 else pack(packed.varied_generator(rate_hz, **settings))
    frames = 60 * rate_hz
    kernel = synthesis.kernel() if is_fast else None
    pieces, x = run_line(synthesis, model, [frames // 30] * 30, kernel=kernel, max_jump_db=max_jump_db)

    arrangement = arrange(model, rate_hz, max_jump_db=max_jump_db)
    composition = arrangement.part(arrangement.voices, [model.header["gain_db"]], None)
    expected = composition.mix(0, frames)
    used = composition.used
    indices = [piece.index for piece in used]
    assert indices != sorted(indices), "nothing was chosen"
    assert any(any(piece.gains_db) for piece in used), "the guard had nothing to do"
    assert len(used[0].gains_db) == max(1, round(model.header["slice_len"] / rate_hz))

    assert [piece["index"] for piece in pieces] == indices
    assert [piece["start"] for piece in pieces] == [piece.start for piece in used]
    np.testing.assert_allclose([piece["gainsDb"] for piece in pieces], [piece.gains_db for piece in used], atol=0.01)
    np.testing.assert_allclose(
        [piece["correlationOut"] for piece in pieces], [piece.correlation_out for piece in used], atol=2e-3
    )
    assert expected.std() > 0.01
    # Half precision does not hold the filters of a bank quite.
    np.testing.assert_allclose(x, expected, atol=5e-3 * expected.std())


def test_outliers_are_left_out(synthesis, rain):
    """As many as there are with a smaller allowance."""
    accept = rain.header["accept"]
    accept = accept | {"allowed_db": 0.4 * accept["allowed_db"]}
    model = types.SimpleNamespace(**vars(rain) | {"header": rain.header | {"accept": accept}})
    pieces, _ = run_line(synthesis, model, [20 * 16000])
    arrangement = arrange(model, 16000)
    composition = arrangement.part(arrangement.voices, [0.0], None)
    composition.mix(0, 20 * 16000)
    assert composition.left_out > 10
    assert [piece["index"] for piece in pieces] == [piece.index for piece in composition.used]


def test_a_line_does_not_depend_on_how_it_is_cut(synthesis, rain):
    whole, parts = ([48000], [1, 127, 20000, 4097, 23775])
    pieces, x = run_line(synthesis, rain, whole)
    pieces_of_parts, x_of_parts = run_line(synthesis, rain, parts)
    np.testing.assert_array_equal(x, x_of_parts)
    assert pieces == pieces_of_parts


def test_seeds_and_lines_sound_different(synthesis, rain):
    first, second, third = (
        run_line(synthesis, rain, [16000], **options)[1] for options in ({"seed": 3}, {"seed": 4}, {"line": 1})
    )
    assert not np.allclose(first, second, atol=0.01) and not np.allclose(first, third, atol=0.01)


def test_a_line_at_another_rate_is_the_same_one(synthesis, rain):
    """The same pieces; and of them generate.py makes the same sound."""
    rate_hz, seconds = 44100, 10
    own, _ = run_line(synthesis, rain, [seconds * 16000])
    pieces, x = run_line(synthesis, rain, [seconds * rate_hz], rate_hz)
    assert [piece["index"] for piece in pieces] == [piece["index"] for piece in own]
    arrangement = arrange(rain, rate_hz, fade_in_s=0)
    chosen = [
        Piece(0, *(each[name] for name in ("index", "start")), 0, 0, *_correlations(each), tuple(each["gainsDb"]))
        for each in pieces
    ]
    expected = arrangement.whole([rain.header["gain_db"]], 0.0, chosen).mix(0, seconds * rate_hz)
    assert 20 * np.log10(np.std(x - expected) / np.std(expected)) < -40


def _correlations(piece):
    return piece["correlationIn"], piece["correlationOut"]


# Steering.


def test_near_pieces_are_near_the_one_that_sounds(synthesis, rain):
    steered, seconds = 5 * 16000, 16000
    calls = [steered, {"mode": "near", "ago": 2 * seconds}, 5 * seconds]
    pieces, x = run_line(synthesis, rain, calls)
    plain, x_plain = run_line(synthesis, rain, [10 * seconds])
    np.testing.assert_array_equal(x[:steered], x_plain[:steered])
    sounding = [piece for piece in plain if piece["start"] <= steered - 2 * seconds][-1]
    # One more was chosen when the last one was taken.
    begun = sum(piece["start"] < steered for piece in plain) + 1
    assert pieces[:begun] == pieces_but_ends(plain[:begun], pieces)
    later = pieces[begun:]
    assert len(later) >= 4
    for piece in later:
        random = random_latents(SEED, 0, piece["index"], 2)
        expected = np.clip(slerp(np.array(sounding["z"], np.float32), random, 0.35), -1, 1)
        np.testing.assert_allclose(piece["z"], expected, atol=1e-6)
    assert run_line(synthesis, rain, calls)[0] == pieces


def pieces_but_ends(plain, steered):
    """Pieces as they are where another one follows the last of them."""
    last = dict(plain[-1], correlationOut=steered[len(plain) - 1]["correlationOut"])
    return [*plain[:-1], last]


def test_far_pieces_are_others_altogether(synthesis, rain):
    seconds = 16000
    near, far = {"mode": "near"}, {"mode": "far"}
    pieces, _ = run_line(synthesis, rain, [2 * seconds, near, 4 * seconds, far, 4 * seconds])
    later = [piece for piece in pieces if piece["index"] >= 2**26]
    assert len(later) >= 3
    for piece in later:
        np.testing.assert_array_equal(np.float32(piece["z"]), random_latents(SEED, 0, piece["index"], 2))
    again, _ = run_line(synthesis, rain, [far, far, seconds])
    assert all(piece["index"] >= 2**27 for piece in again[1:])


# Labels and measures.


@pytest.fixture(scope="module")
def storm():
    return pack(packed.varied_generator(16000, slice_len=16384, labels=3, measures=2))


HELD = {"label": [0, 0.25, 0.75], "measures": [0.9, None]}


def test_what_is_held_is_that_of_generate(synthesis, storm):
    """The line of a label and a fader, of which no piece would be taken if it had to be as most are."""
    accept = storm.header["accept"] | {"allowed_db": -1.0}
    model = types.SimpleNamespace(**vars(storm) | {"header": storm.header | {"accept": accept}})
    with pytest.raises(RuntimeError, match="none of 200 pieces"):
        run_line(synthesis, model, [1000])
    pieces, x = run_line(synthesis, model, [20 * 16000], kernel=synthesis.kernel(), held=HELD)
    arrangement = arrange(storm, 16000, label="#1:0.25,#2:0.75", intensity="0.9")
    (voice,) = arrangement.voices
    # Faulty ones are left out.
    voice.acceptance = dataclasses.replace(voice.acceptance, allowed_db=np.inf)
    composition = arrangement.part([voice], [storm.header["gain_db"]], None)
    expected = composition.mix(0, 20 * 16000)
    assert [piece["index"] for piece in pieces] == [piece.index for piece in composition.used]
    np.testing.assert_allclose(x, expected, atol=5e-3 * expected.std())
    given = np.array([piece["given"] for piece in pieces], np.float32)
    np.testing.assert_array_equal(given[:, :4], np.float32([[0, 0.25, 0.75, 0.9]] * len(pieces)))
    assert given[:, 4].std() > 0.1, "brightness is as it comes"


def test_faulty_pieces_are_left_out_of_what_is_held(synthesis, storm):
    weights = (0 * storm.weights).astype(np.float32)
    model = types.SimpleNamespace(**vars(storm) | {"weights": weights})
    with pytest.raises(RuntimeError, match="none of 200 pieces"):
        run_line(synthesis, model, [1000], held=HELD)


def test_what_is_held_while_it_sounds(synthesis, storm):
    second = 16000
    calls = [5 * second, {"held": HELD}, 5 * second, {"held": {"label": None, "measures": [None, None]}}, 5 * second]
    pieces, x = run_line(synthesis, storm, calls)
    plain, x_plain = run_line(synthesis, storm, [15 * second])
    np.testing.assert_array_equal(x[: 5 * second], x_plain[: 5 * second])
    # One more was chosen when the last one was taken.
    begun, ended = (sum(piece["start"] < end for piece in pieces) + 1 for end in (5 * second, 10 * second))
    assert pieces[:begun] == pieces_but_ends(plain[:begun], pieces)
    assert ended - begun >= 5 and len(pieces) - ended >= 5
    for number, piece in enumerate(pieces):
        drawn = draw(storm, piece["index"])
        if begun <= number < ended:
            drawn[2:6] = [0, 0.25, 0.75, 0.9]
        np.testing.assert_array_equal(np.float32(piece["z"] + piece["given"]), drawn)


def draw(model, index):
    generator = model.generator
    return generator.draw(np.random.default_rng([SEED, 0, index]), 1)[0]


def test_near_pieces_have_the_label_of_the_one_that_sounds_and_what_is_held_later_goes_before(synthesis, storm):
    second = 16000
    nothing = {"label": None, "measures": [None, None]}
    calls = [
        3 * second,
        {"mode": "near"},
        4 * second,
        {"held": nothing | {"measures": [0.9, None]}},
        4 * second,
        {"held": HELD},
        4 * second,
        {"held": nothing},
        4 * second,
        {"mode": "far"},
        4 * second,
    ]
    pieces, _ = run_line(synthesis, storm, calls)
    sounding = [piece for piece in pieces if piece["start"] <= 3 * second][-1]["given"]
    ends = [sum(piece["start"] < end * second for piece in pieces) + 1 for end in (3, 7, 11, 15, 19, 100)]
    near, louder, labelled, freed, far = (pieces[a:b] for a, b in itertools.pairwise(ends))

    def check(pieces, label, measures):
        assert len(pieces) >= 3
        for piece in pieces:
            drawn = draw(storm, piece["index"])[2:]
            between = 0.65 * np.array(sounding) + 0.35 * drawn
            of = {"sounding": sounding, "drawn": drawn, "between": between}
            expected = [*(label if isinstance(label, list) else of[label][:3])]
            expected += [of[each][3 + i] if isinstance(each, str) else each for i, each in enumerate(measures)]
            np.testing.assert_allclose(piece["given"], expected, atol=1e-6)

    check(near, "sounding", ["between", "between"])
    check(louder, "sounding", [0.9, "between"])
    check(labelled, HELD["label"], [0.9, "between"])
    check(freed, "drawn", ["drawn", "between"])
    check(far, "drawn", ["drawn", "drawn"])
    assert all(piece["index"] >= 2**26 for piece in far)
