"""What settings make of models: voices, how their pieces follow each other, and compositions of them."""

import functools

import numpy as np

from wavegan_asmr.progress import machine_memory_bytes
from wavegan_asmr.rendering.composition import Composition, Turns
from wavegan_asmr.rendering.courses import Steering
from wavegan_asmr.rendering.inputs import Inputs
from wavegan_asmr.rendering.lines import Joining, Line
from wavegan_asmr.rendering.pieces import CompositionError, Voice
from wavegan_asmr.rendering.startle_guard import StartleGuard

_MOST_AT_ONCE, _SAMPLES_AT_ONCE = 64, 1 << 20
"""Pieces and samples that are generated at once: larger batches are faster, and take more memory."""

_KEPT_BATCHES, _KEPT_SAMPLES = 4, 1 << 26
"""Batches of pieces that are kept, and samples of slow families: pieces are measured before they are used."""

_SHORTEST_LOOP_FADE_S = 0.25
_FADE_BYTES = 32
"""Memory that a frame of a fade takes while it is computed."""


class Arrangement:
    """Models, arranged by settings.

    Args:
        generators: List of `families.generators.Generator`.
        settings: `RenderSettings`.
        sample_rate_hz, channels: Integers, of the output.
        frames: Integer, the length, or None for no end.
        joining: `Joining`, or None for what the settings say.

    Attributes:
        settings, sample_rate_hz, channels, frames, joining: See above.
        voices: List of `Voice`, one of each model.

    Raises:
        CompositionError: Settings do not go together, or with a model.
    """

    def __init__(self, generators, settings, sample_rate_hz, channels, frames, joining=None):
        self.settings = settings
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.frames = frames
        self._turns = self._take_turns(len(generators))
        self._loop_fade, self._fades = self._fade_ends()
        _check_memory([*self._fades, self._loop_fade, self._turns.fade if self._turns else 0])
        self.voices = [self._make_voice(line, generator) for line, generator in enumerate(generators)]
        self.joining = joining or self._join()

    def _take_turns(self, models):
        settings, rate_hz = self.settings, self.sample_rate_hz
        if settings.layout != "sequence" or models == 1:
            return None
        stretch, fade = round(settings.stretch_s * rate_hz), round(settings.model_fade_s * rate_hz)
        if stretch < 2 * fade:
            raise CompositionError("--stretch_s must be at least twice --model_fade_s")
        return Turns(models, stretch, fade)

    def _fade_ends(self):
        settings, rate_hz, frames = self.settings, self.sample_rate_hz, self.frames
        loop_fade = 0
        if settings.loop:
            loop_fade = min(round(max(settings.fade_out_s, _SHORTEST_LOOP_FADE_S) * rate_hz), frames // 4)
        # Fades take no more than a third of a short file each.
        longest = frames // 3 if frames else np.inf
        return loop_fade, [round(min(each * rate_hz, longest)) for each in (settings.fade_in_s, settings.fade_out_s)]

    def _make_voice(self, line, generator):
        settings, config = self.settings, generator.config
        _check_inputs(settings, generator)
        draw = generator.draw
        if generator.family.has_temperature:
            draw = functools.partial(draw, temperature=settings.temperature)
        fade_s = settings.fade_s if settings.fade_s is not None else config.slice_s / 4
        if 2 * fade_s > config.slice_s:
            raise CompositionError(
                f"a piece must be as long as two fades; one of {generator.train_dir} has {config.data_slice_len} "
                f"frames, {config.slice_s:.2f} s, and --fade_s is {fade_s:g}"
            )
        at_once = min(_MOST_AT_ONCE, max(1, _SAMPLES_AT_ONCE // config.data_slice_len))
        hop_s = config.slice_s - fade_s
        steering = Steering(config, settings, str(generator.train_dir))
        inputs = Inputs(
            draw,
            settings.seed,
            line,
            settings.truncation,
            settings.walk_s / hop_s if settings.latents == "walk" else None,
            config.wavegan_latent_dim if config.given_dim else None,
            steering.of_pieces(hop_s),
        )
        return Voice(
            generator.generate,
            inputs,
            config.data_sample_rate,
            self.sample_rate_hz,
            self.channels,
            settings.stereo or 0.0,
            at_once,
            max(_KEPT_BATCHES, _KEPT_SAMPLES // (at_once * config.data_slice_len) if generator.family.is_slow else 0),
            steering.is_moving,
        )

    def _join(self):
        settings = self.settings
        shortest = min(voice.piece_len for voice in self.voices)
        fade = shortest // 4 if settings.fade_s is None else round(settings.fade_s * self.sample_rate_hz)
        return Joining(
            fade=fade,
            shape=settings.fade_shape,
            candidates=settings.candidates,
            align=fade // 2 if settings.align else 0,
        )

    def _lines(self, voices, gains_db, near=0):
        return [
            Line(number, voice, self.joining, gain_db, near)
            for number, (voice, gain_db) in enumerate(zip(voices, gains_db))
        ]

    def _guard(self):
        return StartleGuard(self.settings.max_jump_db, self.sample_rate_hz, self.channels)

    def part(self, voices, gains_db, frames, near=0, gain_db=0.0):
        """Composes a stretch to measure: some voices under the guard, without turns and fades around them.

        Args:
            voices: List of `Voice`.
            gains_db: List of floats, of each voice.
            frames: Integer, the length.
            near: Integer, the frame of the whole about whose pieces are used.
            gain_db: Float, of the sum.

        Returns:
            `Composition`.

        Raises:
            CompositionError: See `Line`.
        """
        return Composition(self._lines(voices, gains_db, near), frames, gain_db=gain_db, guard=self._guard())

    def whole(self, gains_db, gain_db, pieces=None):
        """Composes all of it.

        Args:
            gains_db: List of floats, of each voice.
            gain_db: Float, of the sum.
            pieces: Iterable of `Piece`, those of a manifest, or None to choose and guard them.

        Returns:
            `Composition`.

        Raises:
            CompositionError: See `Line`.
        """
        lines, guard = self._lines(self.voices, gains_db), self._guard() if pieces is None else None
        return Composition(lines, self.frames, self._turns, *self._fades, self._loop_fade, gain_db, pieces, guard)


def _check_inputs(settings, generator):
    """Raises CompositionError where a setting of latent vectors, or of seeds, was given for a model of the other."""
    family, lacking = generator.family, []
    if not family.has_latents:
        lacking += [("latents", settings.latents, "random"), ("truncation", settings.truncation, 1)]
    if not family.has_temperature:
        lacking += [("temperature", settings.temperature, 1)]
    for name, value, default in lacking:
        if value != default:
            what = "a temperature" if name == "temperature" else "latent vectors"
            raise CompositionError(
                f"--{name} {value} needs models with {what}, and {generator.train_dir}, a {family.name}, has none; "
                "leave it out"
            )


def _check_memory(fades):
    """Raises CompositionError where a fade of so many frames would not fit into memory."""
    needed, there = _FADE_BYTES * max(fades), machine_memory_bytes()
    if needed > there:
        raise CompositionError(
            f"a fade of {max(fades)} frames needs {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; "
            "give a smaller --fade_in_s, --fade_out_s or --model_fade_s"
        )
