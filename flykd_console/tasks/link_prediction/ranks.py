"""From scores to ranking metrics: a table of scores, one row a question, and which of its columns answer it.

Equal scores are broken at random, by noise that is drawn once: whoever asks with the same generator has the same noise,
however the table is cut. A model that says the same of everything is worth what chance is worth. Scores closer to each
other than `NOISE` are taken for equal, or nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flykd_console.memory import in_chunks

Nodes = NDArray[np.int64]
Cells = tuple[Nodes, Nodes]
Floats = NDArray[np.floating]
Values = NDArray[np.float64]
Block = Callable[[slice], Floats]

CUTS = (10, 20, 50, 100)
HITS = 10
# What noise adds to a score, at most.
NOISE = 1e-5

# Cells of the table that are scored at a time, and that are ordered at a time: the first bounds the memory, the second
# stays in the processor's cache.
_SCORED = 1 << 25
_ORDERED = 1 << 19
# True cells that are compared with their whole row at a time.
_COMPARED = 32


@dataclass(frozen=True)
class RowMetrics:
    """Metrics of every row, float64 [rows] each, by name.

    Attributes:
        found: What the scores reach.
        ideal: What the best order of the same columns would reach.
    """

    found: dict[str, Values]
    ideal: dict[str, Values]


def rank_rows(
    block: Block, shape: tuple[int, int], true: Cells, hidden: Cells, relevant: Nodes, rng: np.random.Generator
) -> RowMetrics:
    """Order every row's columns by falling score, and measure where the true ones stand.

    Args:
        block: Scores of a slice of rows, float [rows of the slice, columns]. What is no finite number comes last.
        shape: Rows and columns.
        true: Rows and columns of the true cells, int64 [n] each, each once.
        hidden: Those of cells that are left out of the order, where they are not true ones.
        relevant: True partners of each row, among the columns or not, int64 [rows], at least 1.
        rng: Draws the noise, uniform in [0, `NOISE`).
    """
    rows, columns = shape
    keys = np.sort(true[0] * columns + true[1])
    row, column = np.divmod(keys, columns)
    hidden_row, hidden_column = np.divmod(np.setdiff1d(hidden[0] * columns + hidden[1], keys), columns)
    rank, hits = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
    for start, values in _tables(block, shape, rng):
        ends = start, start + len(values)
        out = slice(*np.searchsorted(hidden_row, ends))
        values[hidden_row[out] - start, hidden_column[out]] = -np.inf
        mine = slice(*np.searchsorted(row, ends))
        rank[mine], hits[mine] = _places(values, row[mine] - start, column[mine])

    among = np.bincount(row, minlength=rows)
    wrong = columns - np.bincount(hidden_row, minlength=rows) - among
    place = np.arange(len(row)) - np.repeat(np.cumsum(among) - among, among) + 1
    return RowMetrics(_metrics(row, rank, hits, relevant, wrong), _metrics(row, place, place, relevant, wrong))


def _tables(block: Block, shape: tuple[int, int], rng: np.random.Generator) -> Iterator[tuple[int, Values]]:
    """The scores with their noise, some rows at a time: the first row's number, and float64 [some, columns]."""
    rows, columns = shape
    scored, ordered = max(1, _SCORED // max(1, columns)), max(1, _ORDERED // max(1, columns))
    for chunk, scores in in_chunks(rows, scored, block):
        first = chunk.start
        for start in range(first, chunk.stop, ordered):
            some = scores[start - first : start - first + ordered]
            values = np.array(some, dtype=np.float64, order="C")
            _put_last(values)
            values += NOISE * rng.random(values.shape)
            yield start, values


def _put_last(values: Values) -> None:
    """Give what is no finite number a score below all others of its row, in place; the noise orders these, too."""
    known = np.isfinite(values)
    if not known.all():
        least = np.min(values, axis=1, where=known, initial=np.inf)
        least[~np.isfinite(least)] = 0.0
        np.copyto(values, least[:, None] - 1.0, where=~known)


def _places(values: Values, row: Nodes, column: Nodes) -> tuple[Nodes, Nodes]:
    """Each true cell's rank in its row, and how many true cells of the row stand there or before; int64 [n] each.

    Scores so large that they swallow the noise share the worst of their ranks.
    """
    own = values[row, column]
    rank, hits = np.empty(len(row), dtype=np.int64), np.empty(len(row), dtype=np.int64)
    for start in range(0, len(row), _COMPARED):
        some = slice(start, start + _COMPARED)
        rank[some] = np.count_nonzero(values[row[some]] >= own[some, None], axis=1)
        hits[some] = np.count_nonzero((row == row[some, None]) & (own >= own[some, None]), axis=1)
    return rank, hits


def _metrics(row: Nodes, rank: Nodes, hits: Nodes, relevant: Nodes, wrong: Nodes) -> dict[str, Values]:
    """Every metric of every row, from the ranks of its true cells.

    Args:
        row: Of each true cell, int64 [n]; `rank` and `hits` as `_places` gives them.
        relevant: True partners of each row, int64 [rows]: those that are no column are not found.
        wrong: Columns of each row that are ordered and not true, int64 [rows].
    """
    rows = len(relevant)

    def share(values: Values | NDArray[np.bool_]) -> Values:
        mean: Values = np.bincount(row, weights=values, minlength=rows) / relevant
        return mean

    first = np.full(rows, np.inf)
    np.minimum.at(first, row, rank)
    # Of what cannot be ordered nothing is known: it wins half of its comparisons, as equal scores do.
    beaten = np.where(wrong[row] > 0, 1.0 - (rank - hits) / np.maximum(wrong[row], 1), 0.5)
    unknown = 1.0 - np.bincount(row, minlength=rows) / relevant
    return {
        **{f"recall_at_{cut}": share(rank <= cut) for cut in CUTS},
        f"hits_at_{HITS}": (first <= HITS).astype(np.float64),
        "ap": share(hits / rank),
        "mrr": 1.0 / first,
        "auroc": share(beaten) + 0.5 * unknown,
    }
