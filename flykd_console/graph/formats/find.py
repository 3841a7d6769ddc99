"""The graph formats, by the files of this folder."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from flykd_console.graph.formats.base import Format


@functools.cache
def formats() -> dict[str, Format]:
    """By name, in alphabetical order."""
    import flykd_console.graph.formats as folder

    found = {}
    for module in sorted(entry.name for entry in pkgutil.iter_modules(folder.__path__)):
        if module == "find":
            continue
        one = getattr(importlib.import_module(f"{folder.__name__}.{module}"), "FORMAT", None)
        if isinstance(one, Format):
            found[one.name] = one
    return found
