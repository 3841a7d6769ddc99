"""The frequent-flyer correction of a whole relation, list after list; `exporters.frequent_flyers` says what it is.

A pair's rank in its drug's row needs all diseases, and its rank in the matrix all pairs. One pass over the drugs leaves
the former as a table of 2 bytes a pair (4 beyond 65,535 diseases) and the latter as a histogram of the scores by their
first 24 bits: scores that are equal in those, to one part in 32,768 or better, share the first of their ranks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.frequent_flyers import DECAY, WEIGHT

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_BITS = 24
# Scores in work at a time: 8 MiB.
_CELLS = 1 << 21


class MatrixRanks:
    """Args:
    ranked: The nodes that lists rank, each multiplied by the relation's vector, float32 [n, d].
    alike: The nodes that lists are for, float32 [m, d].
    trained: Places in `ranked` and in `alike` of the training pairs, int64 [k] each.
    """

    def __init__(self, ranked: Floats, alike: Floats, trained: tuple[Rows, Rows]) -> None:
        self._count = len(ranked)
        self._alike = len(alike)
        self._pairs = max(1, len(ranked) * len(alike) - len(trained[0]))
        order = np.argsort(trained[0], kind="stable")
        rows, columns = trained[0][order], trained[1][order]
        by_list = np.argsort(trained[1], kind="stable")
        self._list_rows = trained[0][by_list]
        self._list_ends = np.searchsorted(trained[1][by_list], np.arange(len(alike) + 1))
        self._higher = np.empty((len(alike), len(ranked)), np.uint16 if len(alike) < 1 << 16 else np.uint32)
        histogram = np.zeros(1 << _BITS, np.int64)
        step = max(1, _CELLS // max(1, len(alike)))
        for start in range(0, len(ranked), step):
            block = ranked[start : start + step] @ alike.T
            own = block.copy()
            inside = slice(*np.searchsorted(rows, [start, start + len(block)]))
            block[rows[inside] - start, columns[inside]] = -np.inf
            for place, (masked, scores) in enumerate(zip(block, own, strict=True)):
                ascending = np.sort(masked)
                self._higher[:, start + place] = len(masked) - np.searchsorted(ascending, scores, side="right")
            keys = _keys(block[block != -np.inf])
            found, counts = np.unique(keys, return_counts=True)
            histogram[found] += counts
        self._upto = np.cumsum(histogram)

    def scores(self, place: int, own: Floats) -> NDArray[np.float64]:
        """t of every ranked node with the one at a place of `alike`, float64 [n]; `own`: their scores, float32 [n]."""
        listed = own.copy()
        listed[self._list_rows[self._list_ends[place] : self._list_ends[place + 1]]] = -np.inf
        listed.sort()
        among_ranked = len(listed) - np.searchsorted(listed, own, side="right")
        in_matrix = self._upto[-1] - self._upto[_keys(own)]
        among_alike = self._higher[place].astype(np.int64)
        counts = (self._pairs, self._count, self._alike)
        ranks = (in_matrix, among_ranked, among_alike)
        found: NDArray[np.float64] = WEIGHT * np.sum(
            [((rank + 1) / count) ** -DECAY for rank, count in zip(ranks, counts, strict=True)], axis=0
        )
        return found


def _keys(scores: Floats) -> NDArray[np.uint32]:
    """The first 24 bits of scores in an order that is theirs, uint32 [n]."""
    bits = np.ascontiguousarray(scores).view(np.uint32)
    ascending = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return ascending >> np.uint32(32 - _BITS)
