"""flykd-console: train, watch and ship distilled graph networks for drug repurposing.

    import flykd_console as fk

    run = fk.train("flykd", seeds=[45])
    run.results                                  # a polars frame
    with run.export() as scorer:                 # or fk.Scorer(bundle)
        scorer.rank_drugs("asthma", "indication")

What these names stand for is imported when they are used. Their types are in `__init__.pyi`.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Run", "Scorer", "TrainingError", "UserError", "__version__", "load", "train"]

# By text, so that nothing below this package's root depends on what stands above it.
_PLACES = {
    "Run": "flykd_console.api",
    "Scorer": "exporters.scorer",
    "TrainingError": "flykd_console.api",
    "UserError": "flykd_console.errors",
    "load": "flykd_console.api",
    "train": "flykd_console.api",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
