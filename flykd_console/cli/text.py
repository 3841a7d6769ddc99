"""Words that the printing commands share, beyond those of `words`."""

from __future__ import annotations

from flykd_console.runs.results import Spread
from flykd_console.words import DASH, signed


def age(seconds: float) -> str:
    """One unit: 12 s, 5 m, 3 h, 12 d."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def spread_text(spread: Spread | None, scale: float = 1.0, sign: bool = False) -> str:
    """Mean ± deviation, two decimals: 78.87 ± 4.04; the mean alone for one seed; a dash where nothing was measured."""
    if spread is None:
        return DASH
    mean = signed(scale * spread.mean) if sign else f"{scale * spread.mean:.2f}"
    return mean if spread.std is None else f"{mean} ± {scale * spread.std:.2f}"
