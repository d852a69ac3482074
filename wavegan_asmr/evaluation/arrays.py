"""Archives of arrays (.npz) that are checked when they are read."""

import numpy as np

from wavegan_asmr import words
from wavegan_asmr.errors import UserError


def read(path):
    """Reads all arrays of an archive; nothing in it is executed.

    Args:
        path: Path-like.

    Returns:
        Dict of name to array.

    Raises:
        FileNotFoundError, NotADirectoryError: It is not there.
        UserError: It is damaged or cannot be read; names the file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except (FileNotFoundError, NotADirectoryError):
        raise
    # What damage comes to in zipfile, zlib, struct and NumPy's own header is a dozen kinds of errors.
    except Exception as error:
        raise UserError(f"{words.printable(path)}: {words.reason(error) or 'cannot be read'}") from error


def check(arrays, name, dtype, shape):
    """Checks an array of finite numbers.

    Args:
        arrays: Dict of name to array, see `read`.
        name: String.
        dtype: String, "float32", ...
        shape: Tuple of sizes, None for any that is at least one.

    Returns:
        The array of that name.

    Raises:
        UserError: It is missing, of another shape or type, or holds what is no number; names the array.
    """
    if name not in arrays:
        raise UserError(f"{name}: missing")
    array = arrays[name]
    fits = [size > 0 if wanted is None else size == wanted for size, wanted in zip(array.shape, shape)]
    if array.ndim != len(shape) or not all(fits):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise UserError(f"{name}: must be [{wanted}]. Received: {list(array.shape)}")
    if array.dtype != dtype or not np.isfinite(array).all():
        raise UserError(f"{name}: must hold finite numbers, {dtype}. Received: {array.dtype}")
    return array
