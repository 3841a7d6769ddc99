"""The true pairs of one relation in a bundle, ready to be asked for: by a node, by a pair, those of training alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from exporters.manifest import PARTS
from flykd_console.explore.rivals import NearestTails

Rows = NDArray[np.int64]
Codes = NDArray[np.uint8]
# What a code says of a pair: nothing, or its part.
KNOWN = ("", *PARTS)


class TruePairs:
    """A pair that stands in several parts counts for the first of them: training wins.

    Args:
        pairs: By part the rows (head, tail), int64 [n, 2].
        counts: Numbers of heads and of tails.

    Attributes:
        training: Training pairs of every node by side, int64 [N_side].
    """

    def __init__(self, pairs: Mapping[str, Rows], counts: tuple[int, int]) -> None:
        heads, self._tails = counts
        keys = np.concatenate([pairs[part][:, 0] * self._tails + pairs[part][:, 1] for part in PARTS])
        codes = np.repeat(np.arange(1, len(KNOWN), dtype=np.uint8), [len(pairs[part]) for part in PARTS])
        # The first of equals is kept, and parts stand in the order in which they win.
        self._keys, first = np.unique(keys, return_index=True)
        self._codes = codes[first]
        head, tail = np.divmod(self._keys, max(1, self._tails))
        self._by_side = {"head": _Groups(head, heads), "tail": _Groups(tail, self._tails)}
        self._other = {"head": tail, "tail": head}
        train = pairs["train"]
        self.training = {
            "head": np.bincount(train[:, 0], minlength=heads),
            "tail": np.bincount(train[:, 1], minlength=self._tails),
        }
        self._trained_heads = train[:, 0]
        self._trained = _Groups(train[:, 1], self._tails)
        self._heads = heads

    def of(self, side: str, row: int) -> tuple[Rows, Codes]:
        """The nodes that one at a side makes true pairs with, int64 [n], and the code of each (`KNOWN`), uint8 [n]."""
        places = self._by_side[side].places(row)
        return self._other[side][places], self._codes[places]

    def codes(self, heads: Rows, tails: Rows) -> Codes:
        """The code of each pair of rows, uint8 [n]."""
        if not len(self._keys):
            return np.zeros(len(heads), np.uint8)
        keys = heads * self._tails + tails
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._codes[places], np.uint8(0))

    def neighbour_scores(self, nearest: NearestTails, tail: int) -> NDArray[np.float64]:
        """As `flykd_console.explore.rivals.neighbour_scores` for a tail, from its neighbours' training pairs alone.

        Returns:
            float64 [N_head], the same bits: a head's similarities are added up in the order of their tails there, too.
        """
        mine = slice(nearest.indptr[tail], nearest.indptr[tail + 1])
        order = np.argsort(nearest.index[mine], kind="stable")
        alike, similarity = nearest.index[mine][order], nearest.similarity[mine][order].astype(np.float64)
        places, lengths = self._trained.many(alike)
        weights = np.repeat(similarity, lengths)
        return np.bincount(self._trained_heads[places], weights=weights, minlength=self._heads).astype(np.float64)


class _Groups:
    """Places of equal values.

    Args:
        values: int64 [n], each below `count`.
    """

    def __init__(self, values: Rows, count: int) -> None:
        self._order = np.argsort(values, kind="stable")
        self._ends = np.concatenate([[0], np.cumsum(np.bincount(values, minlength=count))])

    def places(self, value: int) -> Rows:
        """Where a value stands, int64 [k], ascending."""
        return self._order[self._ends[value] : self._ends[value + 1]]

    def many(self, values: Rows) -> tuple[Rows, Rows]:
        """Where each of some values stands, one after the other, int64 [k], and how often each does, int64 [m]."""
        starts = self._ends[values]
        lengths = self._ends[values + 1] - starts
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        within = np.arange(total) + np.repeat(starts - ends + lengths, lengths)
        return self._order[within], lengths
