"""Pieces, lines and compositions of made-up generators: cross-fades, choice, exactness, loops, stereo."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavegan_asmr.rendering.composition import Composition, Turns
from wavegan_asmr.rendering.inputs import Inputs, slerp
from wavegan_asmr.rendering.lines import Joining, Line
from wavegan_asmr.rendering.loudness import LoudnessMeter
from wavegan_asmr.rendering.pieces import CompositionError, Piece, Voice
from wavegan_asmr.rendering.startle_guard import StartleGuard
from wavegan_asmr.rendering.traits import bands_db
from wavegan_asmr.sound.fades import fade_in

RATE_HZ, PIECE_LEN, FADE = 16000, 4096, 1024
HOP = PIECE_LEN - FADE
PLAIN = Joining(FADE, candidates=1)
CHOOSY = Joining(FADE, candidates=8)
PILOT = 192
"""Pieces of a pilot."""


# Generators: float32 `[n, latent_dim]` -> float32 `[n, PIECE_LEN, channels]`.


def of_each(make):
    """A generator of `make`, function of a latent vector and its own random generator -> `[PIECE_LEN, channels]`."""

    def generate(z):
        rows = [make(each, np.random.default_rng(each.view(np.uint32))) for each in z]
        return np.stack(rows).astype(np.float32)

    return generate


def noise_of(z, random):
    return random.normal(0, 0.1, [PIECE_LEN, 1])


def tone_of(hz):
    """A sine, its phase random."""
    angle = 2 * np.pi * hz / RATE_HZ * np.arange(PIECE_LEN)[:, None]
    return lambda z, random: 0.5 * np.sin(angle + random.uniform(0, 2 * np.pi))


white = of_each(noise_of)
silence = of_each(lambda z, random: np.zeros([PIECE_LEN, 1]))
one = of_each(lambda z, random: np.ones([PIECE_LEN, 1]))
not_numbers = of_each(lambda z, random: noise_of(z, random) * np.nan)
clipped = of_each(lambda z, random: np.sign(noise_of(z, random)))
shifted = of_each(lambda z, random: noise_of(z, random) + 0.5)
of_any_level = of_each(lambda z, random: noise_of(z, random) * 10 ** (random.uniform(-20, 10) / 20))
stereo_noise = of_each(lambda z, random: random.normal(0, 0.1, [PIECE_LEN, 2]))


@of_each
def smooth(z, random):
    """Noise below 250 Hz: its steps are small against its level."""
    return np.convolve(random.normal(0, 1, PIECE_LEN + 63), np.hanning(64) / 32, "valid")[:, None]


def sometimes(share, odd, usual=noise_of):
    """A generator that makes something odd of a share of the latent vectors, see `is_odd`."""
    return of_each(lambda z, random: odd(z, random) if is_odd(z, share) else usual(z, random))


def is_odd(z, share):
    return z[0] < 2 * share - 1


def latents(latent_dim, seed, line, truncation=1.0, keyframe_pieces=None):
    """Inputs that are uniform vectors."""

    def draw(random, n, truncation):
        return random.uniform(-truncation, truncation, [n, latent_dim]).astype(np.float32)

    return Inputs(draw, seed, line, truncation, keyframe_pieces)


def voice_of(generate, seed=0, line=0, rate_hz=RATE_HZ, channels=1, width=0.0):
    return Voice(generate, latents(4, seed, line), RATE_HZ, rate_hz, channels, width)


def line_of(generate, joining=PLAIN, number=0, **options):
    return Line(number, voice_of(generate, line=number, **options), joining)


def rms(x):
    return np.sqrt(np.mean(np.square(x, dtype=np.float64)))


def level_db(x):
    return 20 * np.log10(rms(x))


def windows(x, starts, frames):
    return np.stack([x[start : start + frames] for start in starts])


# Fades.


@pytest.mark.parametrize(("shape", "power"), [("equal_power", 2), ("linear", 1)])
@pytest.mark.parametrize("frames", [1, 2, 7, 4096])
def test_fades_sum_to_one(frames, shape, power):
    weights = fade_in(frames, shape).astype(np.float64)
    assert weights.shape == (frames,)
    np.testing.assert_allclose(weights**power + weights[::-1] ** power, 1, atol=1e-6)
    assert (np.diff(weights) > 0).all() and weights[0] > 0 and weights[-1] <= 1


def test_no_fade():
    assert fade_in(0).shape == (0,)


def test_noise_keeps_its_level_at_seams():
    composition = Composition([line_of(white)], 400 * HOP)
    x = composition.mix(0, 400 * HOP)
    starts = [piece.start for piece in composition.used[1:-1]]
    assert np.diff(starts).tolist() == [HOP] * (len(starts) - 1)
    within = level_db(windows(x, [start + FADE for start in starts], PIECE_LEN - 2 * FADE))
    for part in range(0, FADE, 256):
        assert level_db(windows(x, [start + part for start in starts], 256)) == pytest.approx(within, abs=0.5)


@pytest.mark.parametrize("joining", [PLAIN, CHOOSY, Joining(FADE, "linear"), Joining(FADE, align=FADE // 2)])
def test_no_step_at_seams(joining):
    """A hard join would step by about the level, which is far above the steps of slow noise."""
    line = line_of(smooth, joining)
    steps = np.abs(np.diff(Composition([line], 100 * HOP).mix(0, 100 * HOP), axis=0))
    own = max(np.abs(np.diff(line.voice[index], axis=0)).max() for index in range(100))
    assert steps.max() < 1.5 * own < rms(line.voice[0]) / 2


def test_pieces_join_without_fades():
    line = line_of(white, Joining(0))
    x = Composition([line], 10 * PIECE_LEN).mix(0, 10 * PIECE_LEN)
    assert level_db(x) == pytest.approx(-20, abs=0.3)


def test_beginning_and_end_fade():
    frames, fade = 60 * HOP, 20 * HOP
    x = Composition([line_of(white)], frames, fade_in=fade, fade_out=fade).mix(-100, frames + 100)
    assert not x[:100].any() and not x[-100:].any()
    x = x[100:-100]
    for part in (x[:fade], x[::-1][:fade]):
        assert rms(part[: fade // 100]) < 0.01 * 0.1
        for share in (0.25, 0.5, 0.75):
            place = round(share * fade)
            expected = 0.1 * np.sin(np.pi / 2 * share)
            assert rms(part[place - 1000 : place + 1000]) == pytest.approx(expected, rel=0.1)
    assert rms(x[fade : 2 * fade]) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("joining", [Joining(PIECE_LEN // 2 + 1), Joining(PIECE_LEN // 2, align=1)])
def test_piece_shorter_than_two_fades(joining):
    with pytest.raises(CompositionError, match=rf"{PIECE_LEN} frames is shorter than two fades.*--fade_s"):
        line_of(white, joining)


# Exactness.


def make_composition(kind, pieces=None):
    frames = 25 * HOP + 17
    if kind == "guarded":
        guard = StartleGuard(3, RATE_HZ, 1) if pieces is None else None
        return Composition([line_of(of_any_level)], frames, fade_in=2000, pieces=pieces, guard=guard)
    if kind == "loop":
        return Composition([line_of(white, CHOOSY)], frames, loop_fade=3000, gain_db=-3, pieces=pieces)
    if kind == "stereo":
        line = line_of(white, Joining(FADE, align=FADE // 2), channels=2, width=0.7)
        return Composition([line], frames, fade_in=5000, pieces=pieces)
    lines = [line_of(generate, CHOOSY, number) for number, generate in enumerate([white, smooth])]
    turns = Turns(2, 6 * HOP, 2000) if kind == "sequence" else None
    return Composition(lines, frames, turns, 3000, 4000, pieces=pieces)


KINDS = ["loop", "stereo", "mix", "sequence", "guarded"]


@pytest.fixture(scope="module")
def wholes():
    """Dict of kind to its pieces and all its samples."""
    result = {}
    for kind in KINDS:
        composition = make_composition(kind)
        samples = composition.mix(0, composition.frames)
        assert samples.dtype == np.float32 and rms(samples) > 0.05
        result[kind] = (list(composition.used), samples)
    return result


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_stretches_are_the_whole(wholes, kind, data):
    pieces, whole = wholes[kind]
    given_pieces = data.draw(st.sampled_from([None, pieces]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    # The first stretch begins at the first cut: anywhere.
    composition = make_composition(kind, given_pieces)
    for start, end in itertools.pairwise([*cuts, len(whole)]):
        np.testing.assert_array_equal(composition.mix(start, end), whole[start:end])


@pytest.mark.parametrize("kind", ["stereo", "mix", "sequence", "guarded"])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_stretches_may_overlap_and_reach_beyond_the_ends(wholes, kind, data):
    """As the limiter takes them, which sees some frames to both sides of its block."""
    pieces, whole = wholes[kind]
    context = data.draw(st.integers(0, 2000))
    block = data.draw(st.integers(2500, 20000))
    padded = np.pad(whole, [[context, context + block], [0, 0]])
    composition = make_composition(kind, pieces)
    for start in range(0, len(whole), block):
        stretch = composition.mix(start - context, start + block + context)
        np.testing.assert_array_equal(stretch, padded[start : start + block + 2 * context])


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_stretch_makes_no_early_pieces(wholes, kind):
    """What a stretch late in a long night takes does not grow with what is before it."""
    pieces, whole = wholes[kind]
    composition = make_composition(kind, pieces)
    made = []

    for line in composition._lines:

        def samples(piece, gain, samples=line.samples):
            made.append(piece)
            return samples(piece, gain)

        line.samples = samples
    start, margin = len(whole) - 2 * HOP, 2 * PIECE_LEN
    composition.mix(start, start + 100)
    # The beginning of a loop is a part of its end.
    early = 2 * 3000 if kind == "loop" else 0
    assert made and all(piece.start > start - margin or piece.start < early for piece in made)


def test_without_end_like_with_one(wholes):
    lines = [line_of(generate, CHOOSY, number) for number, generate in enumerate([white, smooth])]
    endless = Composition(lines, None, Turns(2, 6 * HOP, 2000), 3000)
    whole = wholes["sequence"][1]
    np.testing.assert_array_equal(endless.mix(0, len(whole) - 4000), whole[:-4000])


def test_pieces_do_not_depend_on_what_was_made_before():
    forwards, backwards = voice_of(white), voice_of(white)
    first = [forwards[index].copy() for index in range(100)]
    for index in reversed(range(100)):
        np.testing.assert_array_equal(backwards[index], first[index])


def test_batches_are_made_ahead_only_where_a_voice_is_read_on():
    made = []

    def generate(z):
        made.append(len(z))
        return white(z)

    voice = voice_of(generate)
    made.clear()
    for first in (0, 50 * voice.at_once):
        voice[first]
        voice[first + voice.at_once - 1]
        # One thread makes batches in turn, so one more that had been asked for would come before this.
        voice[1000 * voice.at_once + first]
    assert made == [voice.at_once] * 4
    voice[1000 * voice.at_once + voice.at_once]
    voice[2000 * voice.at_once]
    assert made == [voice.at_once] * 7


# Latent vectors.


@pytest.mark.parametrize("keyframe_pieces", [None, 7.5])
def test_latents_are_a_function_of_seed_line_and_index(keyframe_pieces):
    def make(seed, line):
        return latents(100, seed, line, keyframe_pieces=keyframe_pieces)

    for index in (0, 5, 123456):
        z = make(1, 2)[index]
        assert z.shape == (100,) and z.dtype == np.float32
        np.testing.assert_array_equal(make(1, 2)[index], z)
        for other in (make(2, 2)[index], make(1, 3)[index], make(1, 2)[index + 1]):
            assert (other != z).any()


def test_random_latents_are_uniform_within_the_truncation():
    inputs = latents(100, 0, 0, truncation=0.5)
    z = np.stack([inputs[index] for index in range(200)])
    assert 0.49 < np.abs(z).max() <= 0.5
    assert abs(z.mean()) < 0.01 and z.std() == pytest.approx(1 / np.sqrt(12), rel=0.02)
    assert abs(np.corrcoef(z[:-1].ravel(), z[1:].ravel())[0, 1]) < 0.03


def test_walk_goes_from_keyframe_to_keyframe():
    keyframes, walk = latents(100, 3, 1), latents(100, 3, 1, keyframe_pieces=20)
    for index in (0, 20, 400):
        np.testing.assert_allclose(walk[index], keyframes[index // 20], atol=1e-6)
    for index in (1, 10, 35):
        keyframe, rest = divmod(index, 20)
        expected = slerp(keyframes[keyframe], keyframes[keyframe + 1], rest / 20)
        np.testing.assert_allclose(walk[index], np.clip(expected, -1, 1), atol=1e-6)


@pytest.mark.parametrize("truncation", [1.0, 0.3])
def test_walk_stays_within_the_truncation(truncation):
    """Half way between two corners of the cube an arc is outside of it."""
    walk = latents(100, 0, 0, truncation, keyframe_pieces=8)
    z = np.stack([walk[index] for index in range(400)])
    assert 0.99 * truncation < np.abs(z).max() <= truncation * (1 + 1e-6)
    ends = (np.float32([truncation, truncation, 0]), np.float32([truncation, 0, truncation]))
    assert slerp(*ends, 0.5).max() > 1.1 * truncation


def test_walk_is_slow_and_does_not_repeat():
    walk, jumps = latents(100, 0, 0, keyframe_pieces=50), latents(100, 0, 0)
    z = np.stack([walk[index] for index in range(1000)])
    steps = np.linalg.norm(np.diff(z, axis=0), axis=1)
    assert steps.min() > 0 and steps.max() < 0.1 * np.linalg.norm(jumps[0] - jumps[1])
    assert len(np.unique(z, axis=0)) == 1000
    # The length stays that of random vectors, as interpolation along a line would not keep it.
    assert np.linalg.norm(z, axis=1).min() > 0.8 * np.sqrt(100 / 3)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_slerp_turns_at_constant_speed(share):
    a, b = np.float32([3, 0, 0]), np.float32([0, 1, 0])
    length, angle = 3 - 2 * share, np.pi / 2 * share
    expected = [length * np.cos(angle), length * np.sin(angle), 0]
    np.testing.assert_allclose(slerp(a, b, share), expected, atol=1e-6)
    np.testing.assert_allclose(slerp(a, a, share), a, atol=1e-6)


# The choice of pieces.


def chosen(line, count=400):
    return list(line.pieces(0, 0, count * HOP))[:count]


def mean_seam_cost(line):
    """How far apart, in dB and on average over bands, pieces that follow each other are at their seam."""
    pieces = [line.voice[piece.index][:, 0] for piece in chosen(line)]
    return np.mean([np.abs(bands_db(a[-FADE:]) - bands_db(b[:FADE])).mean() for a, b in itertools.pairwise(pieces)])


def test_candidates_lower_the_cost_of_seams():
    costs = [mean_seam_cost(line_of(of_any_level, Joining(FADE, candidates=n))) for n in (1, 8)]
    assert costs[1] < 0.7 * costs[0]


@pytest.mark.parametrize("candidates", [1, 2, 8])
@pytest.mark.parametrize("generate", [white, of_any_level])
def test_each_piece_is_used_once_and_none_is_forgotten(generate, candidates):
    indices = [piece.index for piece in chosen(line_of(generate, Joining(FADE, candidates=candidates)))]
    assert len(set(indices)) == len(indices)
    assert set(range(len(indices) - 2 * candidates)) <= set(indices)


def test_one_candidate_takes_pieces_in_order():
    assert [piece.index for piece in chosen(line_of(of_any_level), 20)] == list(range(20))


def test_gains_of_piece_line_and_composition():
    voice = voice_of(white)
    alone, louder = Line(0, voice, PLAIN), Line(0, voice, PLAIN, gain_db=-2.0)
    plain, gained = ([Piece(0, 7, 0, 0, 0, 0.0, 0.0, (gain_db,))] for gain_db in (0.0, 6.0))
    x = Composition([alone], PIECE_LEN, pieces=plain).mix(0, PIECE_LEN)
    y = Composition([louder], PIECE_LEN, gain_db=-3.0, pieces=gained).mix(0, PIECE_LEN)
    np.testing.assert_allclose(y, x * 10 ** (1 / 20), rtol=1e-5)


# Pieces left out.

ODD = {
    "silent": lambda z, random: np.zeros([PIECE_LEN, 1]),
    "clipped": lambda z, random: np.sign(noise_of(z, random)),
    "shifted": lambda z, random: noise_of(z, random) + 0.5,
    "loud": lambda z, random: 2.5 * noise_of(z, random),
    "quiet": lambda z, random: 0.03 * noise_of(z, random),
    "tone": tone_of(3000),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_pieces_are_left_out(kind):
    line = line_of(sometimes(0.08, ODD[kind]))
    odd = [is_odd(line.voice._inputs[index], 0.08) for index in range(400)]
    assert sum(odd) > 15
    share = line.voice.calibrate() / PILOT
    assert 0.03 < share <= 0.2
    used = {piece.index for piece in chosen(line, 350)}
    assert not [index for index in used if odd[index]]
    assert line.voice.left_out >= sum(odd[: max(used)])


def test_what_is_not_rare_is_part_of_the_sound():
    """Such as birds, which call in every fourth piece."""
    line = line_of(sometimes(0.25, ODD["loud"]))
    calls = [is_odd(line.voice._inputs[index], 0.25) for index in range(100)]
    assert line.voice.calibrate() == 0
    used = {piece.index for piece in chosen(line, 100)}
    assert sum(calls[index] for index in used if index < 100) >= 0.8 * sum(calls) > 10


def test_like_pieces_are_all_used():
    line = line_of(white)
    assert line.voice.calibrate() <= 0.02 * PILOT
    chosen(line)
    assert line.voice.left_out <= 8


@pytest.mark.parametrize(
    ("faulty", "outlying"), [(0.0, 0.4), (0.1, 0.1), (0.15, 0.3)], ids="outliers few-of-both many-of-both".split()
)
@pytest.mark.parametrize("most_left_out", [0.1, 0.25])
def test_no_more_than_the_share_is_left_out(faulty, outlying, most_left_out):
    """Or an error tells that the faulty pieces alone are more."""

    def make(z, random):
        if is_odd(z, faulty):
            return 0 * noise_of(z, random)
        return noise_of(z, random) * (2.5 if is_odd(-z, outlying) else 1)

    voice = voice_of(of_each(make))
    try:
        left_out = voice.calibrate(most_left_out=most_left_out)
    except CompositionError:
        assert faulty > 0.8 * most_left_out
    else:
        assert left_out <= np.ceil(most_left_out * PILOT)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("generate", "words"),
    [
        (silence, f"{PILOT} of {PILOT} pieces of the pilot are silent.*--max_left_out"),
        (clipped, "clipped"),
        (of_each(lambda z, random: noise_of(z, random) + 0.5 * np.sign(z[0])), "shifted"),
        (not_numbers, "not numbers"),
        (sometimes(0.5, ODD["silent"]), "of the pilot are silent"),
        (sometimes(0.1, lambda z, random: np.full([PIECE_LEN, 1], np.inf)), "not numbers"),
    ],
)
def test_useless_models_are_errors(generate, words):
    with pytest.raises(CompositionError, match=words):
        voice_of(generate).calibrate()


def test_a_shift_of_all_pieces_is_taken_off():
    voice = voice_of(shifted)
    assert abs(voice[0].mean() - 0.5) < 0.01
    assert voice.calibrate() <= 0.02 * PILOT
    assert abs(voice[0].mean()) < 0.01 and rms(voice[0]) < 0.2


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.9])
def test_fades_keep_the_power_of_pieces_that_are_alike(likeness):
    """As pieces of one generator often are; plain equal-power fades would add up to 3 dB."""
    overlap = np.random.default_rng(8).standard_normal([FADE, 1])
    common = np.concatenate([overlap, np.random.default_rng(7).standard_normal([PIECE_LEN - 2 * FADE, 1]), overlap])

    def make(z, random):
        own = random.standard_normal([PIECE_LEN, 1])
        return (0.1 * (np.sqrt(likeness) * common + np.sqrt(1 - likeness) * own)).astype(np.float32)

    pieces = 300
    x = Composition([line_of(of_each(make))], pieces * HOP).mix(0, pieces * HOP)[HOP : (pieces - 1) * HOP, 0]
    power = (x.reshape(-1, HOP) ** 2).mean(axis=0)
    # A composition begins where its first piece has faded in, so a hop ends with a seam.
    seam_db, body_db = (10 * np.log10(part.mean()) for part in (power[-FADE:], power[:-FADE]))
    assert abs(seam_db - body_db) < 0.3


def test_pieces_that_are_not_numbers_never_sound():
    """A fault that the pilot did not show."""
    voice = voice_of(white)
    voice.calibrate()
    made = voice._make

    def fail(batch):
        return [x * np.float32(np.nan) if row == 3 else x for row, x in enumerate(made(batch))]

    voice._make = fail
    voice._batches.clear()
    x = Composition([Line(0, voice, CHOOSY)], 100 * HOP).mix(0, 100 * HOP)
    assert np.isfinite(x).all() and rms(x) > 0.09
    assert voice.left_out >= 6


# Aligned fades.


def seam_levels(joining):
    """Level at the middle of each seam of a tone over the tone's own level."""
    composition = Composition([line_of(of_each(tone_of(200)), joining)], 100 * HOP)
    x = composition.mix(0, 100 * HOP)
    middles = [piece.start + FADE // 2 - 160 for piece in composition.used[1:-1]]
    levels = np.sqrt(np.mean(np.square(windows(x, middles, 320)[:, :, 0]), axis=1))
    return levels / (0.5 * np.sqrt(0.5)), composition.used


def test_aligned_tones_run_on_in_phase():
    aligned, pieces = seam_levels(Joining(FADE, "linear", candidates=1, align=FADE // 2))
    not_aligned, _ = seam_levels(Joining(FADE, "linear", candidates=1))
    assert aligned.min() > 0.97 and aligned.max() < 1.03
    assert not_aligned.min() < 0.3
    assert max(piece.skip for piece in pieces) <= FADE // 2
    for a, b in itertools.pairwise(pieces):
        assert b.start - a.start == HOP - a.skip


# The startle guard.


def largest_rise_db(x, skip_s=0.0):
    """Of the short-term loudness, by the definition, one block after the other."""
    meter = LoudnessMeter(RATE_HZ, x.shape[1])
    meter.add(x[round(skip_s * RATE_HZ) :])
    loudness = np.maximum(meter.short_term(), -70)
    return max(now - loudness[max(0, t - 30) : t].min() for t, now in enumerate(loudness) if t)


def guarded(lines, max_rise_db, seconds=120, **options):
    """All samples of a composition under the guard, and the gains of its pieces in dB."""
    guard = StartleGuard(max_rise_db, RATE_HZ, lines[0].voice[0].shape[1])
    composition = Composition(lines, seconds * RATE_HZ, guard=guard, **options)
    x = composition.mix(0, composition.frames)
    return x, np.concatenate([piece.gains_db for piece in composition.used])


def times(factor):
    return lambda z, random: factor * noise_of(z, random)


def knocking(z, random):
    """Noise, and within it a knock of 50 ms."""
    x = noise_of(z, random)
    x[2000:2800] *= 30
    return x


def bursts_of_seconds(z, random):
    """Mostly soft; a loud one keeps on for the pieces after it."""
    return noise_of(z, random) * (1 if z[1] > 0.8 else 0.05)


STARTLING = {
    "louder at times": of_each(lambda z, random: times(10)(z, random) if is_odd(z, 0.05) else noise_of(z, random)),
    "softer mostly": of_each(lambda z, random: noise_of(z, random) if is_odd(z, 0.05) else times(0.05)(z, random)),
    "knocks": sometimes(0.05, knocking),
    "silent mostly": sometimes(0.7, times(0)),
    "of any level": of_any_level,
    "bursts": of_each(bursts_of_seconds),
}


@pytest.mark.parametrize("max_rise_db", [3, 6])
@pytest.mark.parametrize("kind", STARTLING)
def test_nothing_startles(kind, max_rise_db):
    plain = Composition([line_of(STARTLING[kind])], 120 * RATE_HZ).mix(0, 120 * RATE_HZ)
    assert largest_rise_db(plain) > 6.5
    x, gains_db = guarded([line_of(STARTLING[kind])], max_rise_db)
    assert largest_rise_db(x) <= max_rise_db
    # It only turns down, and not everything.
    assert gains_db.max() == 0 and gains_db.min() < -1
    assert np.mean(gains_db == 0) > 0.4


@pytest.mark.parametrize("joining", [PLAIN, CHOOSY, Joining(0), Joining(FADE, align=FADE // 2)])
@pytest.mark.parametrize("generate", [white, smooth, of_each(tone_of(300))])
def test_steady_sound_is_left_alone(generate, joining):
    frames = 60 * RATE_HZ
    x, gains_db = guarded([line_of(generate, joining)], 6, seconds=60)
    assert not gains_db.any()
    np.testing.assert_array_equal(x, Composition([line_of(generate, joining)], frames).mix(0, frames))


def test_steady_sound_is_left_alone_in_a_mix_a_sequence_and_stereo():
    for turns in (None, Turns(2, 20 * RATE_HZ, 4 * RATE_HZ)):
        lines = [line_of(white, CHOOSY, number, channels=2, width=0.5) for number in range(2)]
        _, gains_db = guarded(lines, 3, turns=turns)
        assert not gains_db.any()


def test_nothing_startles_in_a_mix_and_in_stereo():
    lines = [line_of(STARTLING[kind], CHOOSY, n, channels=2, width=0.7) for n, kind in enumerate(("knocks", "bursts"))]
    x, _ = guarded(lines, 4)
    assert largest_rise_db(x) <= 4


def test_a_louder_model_comes_slowly():
    """In a sequence, where the guard holds down the beginning of the turn."""
    lines = [line_of(times_of, CHOOSY, n) for n, times_of in enumerate((of_each(times(0.03)), of_each(times(1))))]
    turns = Turns(2, 30 * RATE_HZ, 2 * RATE_HZ)
    plain = Composition(lines, 120 * RATE_HZ, turns).mix(0, 120 * RATE_HZ)
    assert largest_rise_db(plain) > 15
    lines = [Line(line.number, line.voice, CHOOSY) for line in lines]
    x, _ = guarded(lines, 6, turns=turns)
    assert largest_rise_db(x) <= 6
    # Once there it is as loud as the model.
    assert level_db(x[50 * RATE_HZ : 57 * RATE_HZ]) == pytest.approx(-20, abs=0.3)


def test_long_pieces_may_not_startle_within_themselves():
    """A rise within a piece is turned down alone, not the whole piece."""
    length = 64 * PIECE_LEN

    def generate(z):
        x = np.stack([np.random.default_rng(each.view(np.uint32)).normal(0, 0.01, [length, 1]) for each in z])
        x[:, length // 2 : length // 2 + RATE_HZ] *= 30
        return x.astype(np.float32)

    def line():
        return Line(0, voice_of(generate), Joining(RATE_HZ, candidates=1))

    assert largest_rise_db(Composition([line()], 60 * RATE_HZ).mix(0, 60 * RATE_HZ)) > 20
    guard = StartleGuard(6, RATE_HZ, 1)
    composition = Composition([line()], 60 * RATE_HZ, guard=guard)
    assert largest_rise_db(composition.mix(0, 60 * RATE_HZ)) <= 6
    gains_db = np.array([piece.gains_db for piece in composition.used])
    assert gains_db.shape[1] == 16
    assert gains_db.min(axis=1).max() < -10 and (gains_db[:, 0] == 0).all()


def test_a_loop_does_not_startle_at_its_seam():
    """Whatever the end is like, the beginning follows it: softer pieces near the end are turned up."""

    def generate(z):
        x = np.random.default_rng(0).normal(0, 0.1, [len(z), PIECE_LEN, 1])
        return (x * np.where(z[:, 0] < 50 * RATE_HZ / HOP, 1, 0.1)[:, None, None]).astype(np.float32)

    class Numbers:
        """Latent vectors that tell the index: the sound can be soft from a piece on."""

        def __getitem__(self, index):
            return np.float32([index])

    def make(guard):
        line = Line(0, Voice(generate, Numbers(), RATE_HZ, RATE_HZ, 1), PLAIN)
        x = Composition([line], 80 * RATE_HZ, loop_fade=RATE_HZ, guard=guard).mix(0, 80 * RATE_HZ)
        return np.concatenate([x, x[: 10 * RATE_HZ]])

    assert largest_rise_db(make(None)) > 10
    assert largest_rise_db(make(StartleGuard(6, RATE_HZ, 1))) <= 6.1


def test_the_guard_does_not_need_the_first_frames():
    """What fades in before the beginning is not heard, so it is no rise."""
    line = line_of(white, Joining(PIECE_LEN // 2, candidates=1))
    _, gains_db = guarded([line], 1, seconds=20)
    assert not gains_db.any()


def test_silence_does_not_last():
    """After silence the sound comes back, at no more than the rise allowed."""
    first = iter(range(10**9))

    def generate(z):
        x = np.random.default_rng(0).normal(0, 0.1, [len(z), PIECE_LEN, 1])
        return (x * (next(first) > 4)).astype(np.float32)

    x, _ = guarded([line_of(generate)], 6, seconds=100)
    assert level_db(x[: 5 * RATE_HZ] + 1e-9) < -100
    assert level_db(x[-5 * RATE_HZ :]) == pytest.approx(-20, abs=0.5)
    assert largest_rise_db(x) <= 6.05


# Several lines.


def weights_of_two(stretch, fade, joining, frames):
    """The weight of either line on the time axis: lines of ones, each with the other one silent."""
    weights = []
    for sounding in range(2):
        lines = [line_of(one if number == sounding else silence, joining, number) for number in range(2)]
        weights.append(Composition(lines, frames, Turns(2, stretch, fade)).mix(0, frames)[:, 0])
    return np.array(weights)


@pytest.mark.parametrize("fade", [16 * FADE, 2 * FADE, FADE, 0])
def test_turns_keep_the_power(fade):
    stretch, frames = 40 * FADE, 200 * FADE
    # Ones add up in phase, so pieces keep their level under linear fades.
    weights = weights_of_two(stretch, fade, Joining(FADE, "linear", candidates=1), frames)
    power_db = 10 * np.log10(np.sum(weights**2, axis=0) + 1e-6)[FADE:]
    assert np.abs(power_db).max() < 0.5
    times = np.arange(frames)
    silent_line, is_resting = 1 - times // stretch % 2, times % stretch < stretch - fade
    assert not weights[silent_line, times][is_resting].any()
    # Equal power, whatever the pieces do.
    ramp = fade_in(fade)[:, None]
    np.testing.assert_allclose(weights[0, stretch - fade : stretch], ramp[::-1, 0], atol=1e-6)


def test_turns_take_turns():
    turns = Turns(3, 1000, 100)
    assert list(turns.of(1, 8000)) == [(1, 900, 2000), (4, 3900, 5000), (7, 6900, 8000)]
    assert list(turns.of(0, 950)) == [(0, 0, 1000)]
    assert list(Turns(3).of(2, 500)) == [(0, 0, 500)]
    assert list(itertools.islice(turns.of(2, None), 2)) == [(2, 1900, 3000), (5, 4900, 6000)]


def test_lines_of_a_mix_add_up():
    lines = [line_of(generate, number=number) for number, generate in enumerate([white, smooth])]
    alone = [Composition([Line(0, line.voice, PLAIN)], 20 * HOP).mix(0, 20 * HOP) for line in lines]
    np.testing.assert_allclose(Composition(lines, 20 * HOP).mix(0, 20 * HOP), sum(alone), atol=1e-6)


# Loops.

LOOP_FADE = 4 * FADE


def loop_of(generate, seed, frames=20 * HOP):
    line = line_of(generate, seed=seed)
    return Composition([line], frames, loop_fade=LOOP_FADE).mix(0, frames)


def test_a_loop_has_no_seam():
    rolled = np.stack([np.roll(loop_of(smooth, seed), 10 * HOP, axis=0) for seed in range(40)])
    seam = 10 * HOP
    steps = np.abs(np.diff(rolled, axis=1))
    assert steps[:, seam - LOOP_FADE : seam + 10].max() <= 1.2 * steps.max()
    assert steps[:, seam - 1].mean() <= 2 * steps.mean()
    noises = np.stack([np.roll(loop_of(white, seed), 10 * HOP, axis=0) for seed in range(40)])
    for start in range(seam - LOOP_FADE, seam + LOOP_FADE, LOOP_FADE // 4):
        assert level_db(noises[:, start : start + LOOP_FADE // 4]) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("beyond", [1, 1000, LOOP_FADE])
def test_a_loop_goes_on_at_its_end(beyond):
    frames = 20 * HOP
    x = Composition([line_of(white)], frames, loop_fade=LOOP_FADE).mix(frames - 100, frames + beyond)
    np.testing.assert_array_equal(x[100:], loop_of(white, 0)[:beyond])


# Rates and channels.


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000])
def test_another_rate_keeps_length_and_pitch(rate_hz):
    voice = voice_of(of_each(tone_of(1000)), rate_hz=rate_hz)
    x = voice[5]
    assert x.dtype == np.float32 and len(x) == voice.piece_len
    assert voice.piece_len == pytest.approx(PIECE_LEN * rate_hz / RATE_HZ, abs=1)
    spectrum = np.abs(np.fft.rfft(x[:, 0] * np.hanning(len(x)), 1 << 18))
    assert np.argmax(spectrum) * rate_hz / (1 << 18) == pytest.approx(1000, abs=1)
    inner = x[len(x) // 4 : 3 * len(x) // 4]
    assert level_db(inner) == pytest.approx(level_db([0.5]) - 3.01, abs=0.05)


@pytest.mark.parametrize("width", [0.0, 0.3, 0.5, 1.0])
def test_width_is_the_correlation_of_left_and_right(width):
    voice, mono = voice_of(white, channels=2, width=width), voice_of(white)
    x = np.concatenate([voice[index] for index in range(60)])
    left, right = x.T
    angle = np.pi / 4 * width
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(np.cos(angle) ** 2 - np.sin(angle) ** 2, abs=0.02)
    assert rms(left) == pytest.approx(0.1, rel=0.02) and rms(right) == pytest.approx(0.1, rel=0.02)
    # To mono: the piece as it is, nothing coloured, and at most 3 dB down.
    expected = np.cos(angle) * np.concatenate([mono[index] for index in range(60)])[:, 0]
    np.testing.assert_allclose((left + right) / 2, expected, atol=1e-6)
    assert level_db(expected) >= -20 - 3.1


def test_channels_of_stereo_models():
    mono, stereo = voice_of(stereo_noise), voice_of(stereo_noise, channels=2, width=1.0)
    assert mono[3].shape == (PIECE_LEN, 1) and stereo[3].shape == (PIECE_LEN, 2)
    np.testing.assert_allclose(mono[3][:, 0], stereo[3].mean(axis=1), atol=1e-7)
