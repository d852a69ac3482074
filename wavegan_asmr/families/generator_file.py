"""The weights of a generator in a file of their own, generator.safetensors: nothing in it is code.

It maps the names that a checkpoint has for them ("upconv_0/kernel") to values, with the step and the digest of the
weights beside them.
"""

import contextlib
import os

import numpy as np
import safetensors
import safetensors.numpy

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

DTYPES = ("float32", "float16")


def round_weights(network, dtype):
    """Rounds the weights of a network to what a file of a type can hold.

    Args:
        network: `keras.Model`.
        dtype: String, one of `DTYPES`.

    Raises:
        UserError: A weight is too large for the type, or no number.
    """
    for variable in network.variables:
        values = _to(dtype, variable.numpy())
        if not np.isfinite(values).all():
            hint = "take another --checkpoint" + ("" if dtype == "float32" else ", or --dtype float32")
            raise UserError(f"{variable.path} holds weights that are not finite as {dtype}; {hint}.")
        variable.assign(values)


def write(path, network, step, digest, dtype):
    """Writes the weights of a network.

    Args:
        path: Path-like.
        network: `keras.Model`, see `round_weights`.
        step: Integer.
        digest: String, of the weights, see `generators.Generator`.
        dtype: String, one of `DTYPES`.

    Raises:
        OSError: It cannot be written.
    """
    tensors = {variable.path: _to(dtype, variable.numpy()) for variable in network.variables}
    data = safetensors.numpy.save(tensors, {"format": "wavegan", "step": str(step), "digest": digest})
    with open(path, "wb") as file:
        file.write(data)


def read_facts(path):
    """Reads what stands beside the weights.

    Returns:
        Integer, the step, and string, the digest.

    Raises:
        UserError: The file cannot be read, or is no such file.
    """
    with _opened(path) as file:
        facts = file.metadata() or {}
    step = facts.get("step", "")
    if not (step.isascii() and step.isdecimal() and len(step) < 19 and "digest" in facts):
        raise UserError(f"{words.printable(path)} was not written by `wavegan share`: it names no step and no digest.")
    return int(step), facts["digest"]


def read_into(path, network):
    """Reads the weights into a network.

    Args:
        path: Path-like.
        network: `keras.Model`.

    Raises:
        UserError: The file cannot be read, or holds the weights of another network.
    """
    variables = {variable.path: variable for variable in network.variables}
    with _opened(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.offset_keys()}
        wanted = {name: tuple(variable.shape) for name, variable in variables.items()}
        if different := sorted(shapes.items() ^ wanted.items()):
            name = different[0][0]
            raise UserError(
                f"{words.printable(path)} holds another network than config.json beside it. "
                f"Received: {name[:80]} of {shapes.get(name, 'no values')} in place of {wanted.get(name, 'none')}."
            )
        for name, variable in variables.items():
            variable.assign(file.get_tensor(name).astype(variable.dtype))


def _to(dtype, values):
    """Returns values in a type, whole numbers as they are."""
    # What is too large becomes infinite, which is looked for.
    with np.errstate(over="ignore"):
        return values.astype(dtype) if values.dtype.kind == "f" else values


@contextlib.contextmanager
def _opened(path):
    """Context of a file of safetensors, whose errors say which file it is."""
    try:
        with safetensors.safe_open(os.fspath(path), "numpy") as file:
            yield file
    except (OSError, safetensors.SafetensorError, TypeError, ValueError) as error:
        raise UserError(f"{words.printable(path)} cannot be read: {words.reason(error)}. Fetch it again.") from error
