"""Trained generators as the page that plays takes them: a header and weights in half precision."""

import os

import numpy as np

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.wavegan.operations import operations_of
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.rendering.arrangement import Arrangement
from wavegan_asmr.rendering.levelling import level
from wavegan_asmr.rendering.pieces import CompositionError
from wavegan_asmr.rendering.settings import RenderSettings

_FAMILY = "wavegan"
_MOST_CHANNELS = 2
_LEVELLED_S = 120.0
"""By which a model's loudness is set."""


def pack(generator):
    """Packs a generator for the page.

    Args:
        generator: `families.generators.Generator`.

    Returns:
        Dictionary, the header, as JSON takes it:

            name, step, digest                what it is: strings and an integer
            sample_rate_hz, slice_len, channels, latent_dim
            labels, shares, measures          of a model that listens to some: names, how much of the recordings each
                                              is, and the words for the faders of its measures
            dense                             {inputs, outputs, positions}: relu(z W + b + g E) are positions; of a
                                              model that listens {given}, too, the numbers of g
            layers                            list of {inputs, outputs, stride, taps, before, groups, bias, activation,
                                              noise}, see `families.wavegan.operations`; bias is whether there is one,
                                              noise {index, bits, relative, pulses} or None; {listens} is there, and
                                              true, where channels are multiplied by 1 + g S
            offset                            list of floats, the mean of each channel of all pieces
            accept                            {level_db, spectrum_db, allowed_db}, see `rendering.pieces.Acceptance`
            gain_db                           brings the model, in both of two channels, to -30 LUFS
            fade                              frames of the cross-fade of pieces

        Bytes, float16, little-endian: W, b and E of the dense layer; of each layer the scales of its noise, of its
        relative noise and of its pulses, M, its bias and S, where it has them.

    Raises:
        UserError: The generator is of another family, has too many channels, or makes what cannot be played; or half
            precision cannot hold its weights.
    """
    config, name = generator.config, words.printable(generator.train_dir.path)
    if generator.family.name != _FAMILY:
        raise UserError(
            f"the page plays models of the family {_FAMILY}; make a file with generate.py instead. Received: {name}, a "
            f"{generator.family.name}."
        )
    if config.data_num_channels > _MOST_CHANNELS:
        raise UserError(f"a model must have one or two channels. Received: {name} has {config.data_num_channels}.")
    network, weights = pack_network(generator.network)
    with np.errstate(over="ignore"):
        halves = weights.astype("<f2")
    if not np.isfinite(halves).all():
        raise UserError(
            f"half precision cannot hold the weights of {name}, up to {np.abs(weights).max():.3g}; take an earlier "
            "checkpoint with --checkpoint"
        )
    header = {
        "name": words.printable(os.path.basename(os.path.abspath(generator.train_dir.path))),
        "step": generator.step,
        "digest": generator.digest,
        "sample_rate_hz": config.data_sample_rate,
        "slice_len": config.data_slice_len,
        "channels": config.data_num_channels,
        "latent_dim": config.wavegan_latent_dim,
    }
    if config.given_dim:
        header |= {
            "labels": [words.printable(each) for each in config.label_names],
            "shares": list(config.label_shares),
            "measures": [MEASURES[each].fader for each in config.data_conditions],
        }
    try:
        return header | network | _measure(generator), halves.tobytes()
    except CompositionError as error:
        raise UserError(
            f"too many pieces of {name} cannot be played: they are silent, clipped, shifted or not numbers; train it "
            "longer, or take another checkpoint with --checkpoint"
        ) from error


def _measure(generator):
    """Returns what is measured of a generator's sound, part of the header."""
    config = generator.config
    settings = RenderSettings(seconds=_LEVELLED_S)
    rate_hz = config.data_sample_rate
    # Mono models sound in both channels of the page, and are to be as loud as others there.
    arrangement = Arrangement([generator], settings, rate_hz, 2, round(_LEVELLED_S * rate_hz))
    (voice,) = arrangement.voices
    voice.calibrate(most_left_out=settings.max_left_out)
    (gain_db,), _ = level(arrangement)
    acceptance = voice.acceptance
    return {
        "offset": voice.offset[: config.data_num_channels].tolist(),
        "accept": {
            "level_db": float(acceptance.level_db),
            "spectrum_db": acceptance.spectrum_db.tolist(),
            "allowed_db": float(acceptance.allowed_db),
        },
        "gain_db": gain_db,
        "fade": arrangement.joining.fade,
    }


def pack_network(network):
    """Packs a generator's layers.

    Args:
        network: `keras.Model`, see `wavegan.build_generator`.

    Returns:
        Dictionary, `dense` and `layers` of the header; float32 array, the weights, see `pack`.
    """
    dense, positions, operations = operations_of(network)
    weights = [each for operation in (dense, *operations) for each in _weights(operation)]
    of_given = {} if dense.embedding is None else {"given": len(dense.embedding)}
    return {
        "dense": {"inputs": dense.inputs, "outputs": dense.outputs, "positions": positions} | of_given,
        "layers": [_describe(operation) for operation in operations],
    }, np.concatenate([np.asarray(each, np.float32).ravel() for each in weights])


def _weights(operation):
    """Returns the weights of an `Operation` in their order, a list of arrays."""
    scales, rest = operation.noise_scales or (), (operation.bias, operation.embedding, operation.given_scales)
    return [each for each in (*scales, operation.matrix, *rest) if each is not None]


def _describe(operation):
    """Returns the part of the header of an `Operation`."""
    layer = operation.noise
    return {
        "inputs": operation.inputs,
        "outputs": operation.outputs,
        "stride": operation.stride,
        "taps": len(operation.matrix),
        "before": operation.before,
        "groups": operation.groups,
        "bias": operation.bias is not None,
        "activation": operation.activation,
        "noise": layer
        and {"index": layer.index, "bits": layer.bits, "relative": layer.is_relative, "pulses": layer.has_pulses},
    } | ({} if operation.given_scales is None else {"listens": True})
