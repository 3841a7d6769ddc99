"""A few numbered points in the terminal: small is left, good is up, and the Pareto front stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

_WIDTH, _HEIGHT = 60, 12


def scatter(
    points: Sequence[tuple[str, float, float, bool]], *, x_label: str, y_label: str, log_x: bool = True
) -> Text:
    """The points as lines of text.

    Args:
        points: Mark (one or two letters), x, y, and whether it stands out; drawn in order, later ones on top.
        log_x: Whether x is spread out by its logarithm; then every x is above 0.
    """
    places = [(math.log10(x) if log_x else x, y) for _, x, y, _ in points]
    low_x, high_x = _span([x for x, _ in places])
    low_y, high_y = _span([y for _, y in places])
    cells: dict[tuple[int, int], tuple[str, str]] = {}
    for (mark, _, _, bold), (x, y) in sorted(zip(points, places, strict=True), key=lambda pair: pair[0][3]):
        column = round((x - low_x) / (high_x - low_x) * (_WIDTH - 3))
        row = round((high_y - y) / (high_y - low_y) * (_HEIGHT - 1))
        while any((row, column + offset) in cells for offset in range(len(mark))) and column + 2 * len(mark) < _WIDTH:
            column += len(mark) + 1
        for offset, letter in enumerate(mark):
            cells[(row, column + offset)] = (letter, "bold green" if bold else "dim")
    text = Text(f"{y_label}\n", style="dim")
    for row in range(_HEIGHT):
        edge = {0: f"{high_y:.2f}", _HEIGHT - 1: f"{low_y:.2f}"}.get(row, "")
        text.append(f"{edge:>8} │", style="dim")
        for column in range(_WIDTH):
            letter, style = cells.get((row, column), (" ", ""))
            text.append(letter, style=style)
        text.append("\n")
    ends = [f"{10**x if log_x else x:.3g}" for x in (low_x, high_x)]
    text.append(f"{'':>8} └{'─' * _WIDTH}\n{'':>10}{ends[0]}{ends[1]:>{_WIDTH - len(ends[0])}}\n", style="dim")
    text.append(f"{x_label:>{_WIDTH + 10}}", style="dim")
    return text


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that all values lie on, and never of no length."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
