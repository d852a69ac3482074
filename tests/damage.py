"""Damaged files: mutations as a disk, an editor or another program makes them, a function of a seed."""

import copy
import json

import numpy as np

ODD = [
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.5, 1e300, float("nan"), float("inf"),
    -float("inf"), "", "abc", "newest", "12", "\0", "x" * 5000, [], [0], [None], [[1]], ["a", "b"], {}, {"a": 1},
]  # fmt: skip
"""Values in place of others."""


def damage_json(text, seed):
    """Damages a JSON text: a value is replaced, left out, or the text itself is cut or disturbed."""
    random = np.random.default_rng(seed)
    if seed % 8 == 0:
        return damage_bytes(text.encode(), seed).decode("utf-8", "surrogateescape")
    values = copy.deepcopy(json.loads(text))
    holder, key = values, None
    # Walks to a random place.
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = keys[random.integers(len(keys))]
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.2:
            break
        holder = inner
    if random.random() < 0.15:
        del holder[key]
    else:
        holder[key] = ODD[random.integers(len(ODD))]
    return json.dumps(values)


def damage_bytes(data, seed):
    """Damages bytes: some are changed, or they are cut, doubled, emptied, or begin with others."""
    random = np.random.default_rng(seed)
    kind, data = random.integers(5), bytearray(data)
    if kind == 0:
        return bytes(data[: random.integers(len(data))])
    if kind == 1:
        return b"" if random.random() < 0.2 else bytes(data * 2)
    if kind == 2:
        return random.bytes(random.integers(1, 64)) + bytes(data)
    # The header matters most.
    reach = min(len(data), 128) if kind == 3 else len(data)
    for place in random.integers(reach, size=random.integers(1, 8)):
        data[place] = random.integers(256)
    return bytes(data)
