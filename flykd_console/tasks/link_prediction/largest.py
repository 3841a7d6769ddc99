"""The largest cells of a table that is too large to be held: selected while it streams by, some rows at a time.

What is held is a few times as much as is asked for, whatever the table's size. Equal scores are broken by noise that
belongs to the cell, as in `ranks.py`; only cells that may still be among the largest have theirs drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flykd_console.tasks.link_prediction.ranks import NOISE

Cells = NDArray[np.int64]
Floats = NDArray[np.floating]
Values = NDArray[np.float64]

# Cells that are scored at a time.
_SCORED = 1 << 21
_MARGIN = 2.0


def largest(
    block: Callable[[Cells], Floats],
    shape: tuple[int, int],
    hidden: Cells,
    count: int,
    noise: Callable[[Cells], Values],
    rng: np.random.Generator,
) -> Cells:
    """The `count` largest cells, or as many as there are, by falling score; int64 [n], numbered row by row.

    Args:
        block: Scores of listed rows, float [rows, columns]. What is no finite number is left out.
        shape: Rows and columns.
        hidden: Cells that are left out, int64, each once.
        count: At least 1.
        noise: A draw from [0, 1) for each of some cells; `NOISE` times that is added to a score.
        rng: Orders the rows, so that a high score is soon met; what is found does not depend on it.
    """
    rows, columns = shape
    order = rng.permutation(rows)
    place = np.empty(rows, np.int64)
    place[order] = np.arange(rows)
    # Hidden cells in the order in which their rows are met.
    hidden_place, hidden_column = place[hidden // columns], hidden % columns
    met = np.argsort(hidden_place, kind="stable")
    hidden_place, hidden_column = hidden_place[met], hidden_column[met]
    step = max(1, _SCORED // max(1, columns))

    def selected(start: int, least: float) -> tuple[Cells, Values]:
        """The cells of some rows that may reach a value, and what they have with their noise."""
        some = order[start : start + step]
        scores = np.require(block(some), requirements=["C", "W"])
        out = slice(*np.searchsorted(hidden_place, (start, start + len(some))))
        scores[hidden_place[out] - start, hidden_column[out]] = -np.inf
        flat = scores.reshape(-1)
        found = np.flatnonzero(flat >= _below(least - NOISE, flat.dtype))
        values = flat[found].astype(np.float64)
        finite = np.isfinite(values)
        if not finite.all():
            found, values = found[finite], values[finite]
        row, column = np.divmod(found, columns)
        cells = some[row] * columns + column
        values += NOISE * noise(cells)
        return cells, values

    first = selected(0, -np.inf)
    # What the first rows say of the others: a value that about `_MARGIN` times as many cells as are asked for reach.
    guess = _reached(first[1], math.ceil(_MARGIN * count * min(1.0, step / max(1, rows))))
    for least in (guess, -np.inf):
        best = _Best(count, least)
        best.add(*first)
        for start in range(step, rows, step):
            best.add(*selected(start, best.least))
        # A guess that fewer reach was too high: what it left out is looked at after all.
        if best.held >= count or least == -np.inf:
            break
    return best.ordered()


def _reached(values: Values, count: int) -> float:
    """What the `count` largest of some values reach; minus infinity where there are fewer."""
    if count >= len(values):
        return -np.inf
    return float(np.partition(values, len(values) - count)[len(values) - count])


class _Best:
    """The largest values so far, at most twice as many as are asked for and those of one step.

    Attributes:
        least: What a value needs to be among them, as far as is known.
        held: How many there are.
    """

    def __init__(self, count: int, least: float) -> None:
        self.least, self.held = least, 0
        self._count = count
        self._cells: list[Cells] = []
        self._values: list[Values] = []

    def add(self, cells: Cells, values: Values) -> None:
        """Take those that may be among the largest."""
        good = np.flatnonzero(values >= self.least)
        self._cells.append(cells[good])
        self._values.append(values[good])
        self.held += len(good)
        if self.held >= 2 * self._count:
            self._forget()

    def ordered(self) -> Cells:
        """The largest, by falling value."""
        self._forget()
        order: Cells = self._cells[0][np.argsort(-self._values[0])]
        return order

    def _forget(self) -> None:
        """Keep as many as are asked for."""
        cells, values = np.concatenate(self._cells), np.concatenate(self._values)
        if len(cells) > self._count:
            kept = np.argpartition(values, len(values) - self._count)[len(values) - self._count :]
            cells, values = cells[kept], values[kept]
            self.least = float(values.min())
        self._cells, self._values, self.held = [cells], [values], len(cells)


def _below(bound: float, dtype: np.dtype[np.floating]) -> np.floating:
    """The bound as a number of a type, never above it."""
    rounded = dtype.type(bound)
    return rounded if float(rounded) <= bound else np.nextafter(rounded, dtype.type(-np.inf))
