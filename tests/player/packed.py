"""Packed generators, evaluated in NumPy as the header says; and a generator to pack."""

import numpy as np
import tensorflow as tf
from random_generators import Trained, random_network

from wavegan_asmr.networks.layers import LatentSeeds


def varied_generator(sample_rate_hz, **settings):
    """A `Trained` whose pieces are of many levels, and whose weights half precision can hold."""
    network = random_network(latent_dim=2, dim=4, noise=True, noise_bits=16, relative_noise=True, **settings)
    for weight in network.weights:
        value = weight.numpy()
        # Not so far from 1 that most pieces are clipped or silent.
        if "given_" in weight.path:
            value *= 0.2
        # Without these the level of a piece is about in proportion to the length of its latent vector.
        if weight.path.endswith(("/bias", "noise/scale")):
            value *= 0.01
        if weight.path.endswith("z_project/kernel"):
            value *= 0.5
        weight.assign(value.astype(np.float16))
    return Trained(network, sample_rate_hz)


def evaluate(facts, weights, z, given=None):
    """Evaluates a packed generator.

    Args:
        facts: Dictionary, see `packing.pack_network`.
        weights: Array.
        z: float32 `[latent_dim]`.
        given: float32 `[width]`, what the model makes of what it listens to, see `conditioning.expand`.

    Returns:
        float64 `[slice_len, channels]`.
    """
    weights = np.asarray(weights, np.float64)
    place = 0

    def take(*shape):
        nonlocal place
        place += np.prod(shape)
        return weights[place - np.prod(shape) : place].reshape(shape)

    dense = facts["dense"]
    x = z @ take(dense["inputs"], dense["outputs"]) + take(dense["outputs"])
    if given is not None:
        x = x + given @ take(dense["given"], dense["outputs"])
    x = np.maximum(x, 0).reshape(dense["positions"], -1)
    seed = LatentSeeds()(tf.constant(z[None])).numpy()[0]
    for layer in facts["layers"]:
        length, inputs = x.shape
        assert inputs == layer["inputs"]
        if layer["noise"]:
            noise = _noise(seed, layer["noise"], x.shape)
            scale = take(inputs)
            if layer["noise"]["relative"]:
                scale = scale + take(inputs) * np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-4)
            x = x + noise * scale
            if layer["noise"]["pulses"]:
                # One of 256 is beyond, by up to 1/256 of the largest.
                beyond = np.maximum(0, np.abs(noise) - np.float32(3**0.5 * 255 / 256)) * np.sign(noise)
                x = x + 4096 * beyond * take(inputs)
        groups, taps, stride = layer["groups"], layer["taps"], layer["stride"]
        matrix = take(taps, inputs // groups, stride * layer["outputs"] // groups)
        x = np.pad(x, [[layer["before"], taps - 1 - layer["before"]], [0, 0]])
        outputs = []
        for group in np.split(x, groups, axis=1):
            y = sum(group[t : t + length] @ matrix[t] for t in range(taps))
            outputs.append(y.reshape(length * stride, -1))
        x = np.concatenate(outputs, axis=1)
        if layer["bias"]:
            x = x + take(layer["outputs"])
        if layer.get("listens"):
            x = x * (1 + given @ take(dense["given"], layer["outputs"]))
        activations = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "clip": lambda x: np.clip(x, -1, 1)}
        x = activations.get(layer["activation"], lambda x: x)(x)
    assert place == len(weights)
    return x


def _noise(seed, noise, shape):
    """The noise of a layer, drawn by TensorFlow."""
    seeds = [seed, noise["index"]]
    if noise["bits"] == 32:
        return tf.random.stateless_uniform(shape, seeds, minval=-(3**0.5), maxval=3**0.5).numpy()
    words = tf.random.stateless_uniform([np.prod(shape) // 2], seeds, minval=None, maxval=None, dtype=tf.int32)
    return words.numpy().view(np.int16).reshape(shape) / 2**15 * 3**0.5
