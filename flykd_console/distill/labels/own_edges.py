"""A tail's own training edges as a list of heads, mixed into a teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import RelationPairs


class OwnEdges:
    """The training edges of a relation, tail by tail.

    Args:
        pairs: The relation's pairs.
        heads: How many heads the space has.
    """

    def __init__(self, pairs: RelationPairs, heads: int) -> None:
        order = pairs.edge_tails.argsort(stable=True)
        # Positions among the heads of the space, those of each tail side by side, int64 [E].
        self._heads = pairs.heads[pairs.edge_heads[order]]
        # Of each tail how many edges it has, and where they begin, int64 [n].
        self._counts = pairs.edge_tails.bincount(minlength=pairs.tail_count)
        self._starts = self._counts.cumsum(0) - self._counts
        self._width = heads

    def mixed(self, lists: Tensor, columns: Tensor, share: float) -> Tensor:
        """Lists of which a share is the tail's own edges, each alike; those of tails without an edge as they are.

        Args:
            lists: A row a tail, which sums to 1, float32 [n, heads]; overwritten.
            columns: The tails, by position among the relation's, int64 [n].
            share: In [0, 1).

        Returns:
            `lists`, float32 [n, heads].
        """
        counts = self._counts[columns]
        row = torch.arange(len(columns), device=columns.device).repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        within = torch.arange(len(row), device=columns.device) - before[row]
        heads = self._heads[self._starts[columns][row] + within]
        lists[counts > 0] *= 1.0 - share
        # A tail that was drawn twice has two rows, and a head stands once in each.
        lists[row, heads] += share / counts[row]
        return lists
