"""Modules that take seconds to load, loaded when they are first used: registries name what needs them without them."""

import importlib


class LazyModule:
    """Stands for a module until one of its names is asked for.

    Args:
        name: String, as of `import`.

    Example:
        >>> tf = LazyModule("tensorflow")
    """

    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)
