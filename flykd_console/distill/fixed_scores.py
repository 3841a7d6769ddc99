"""Logits that stand in a table as a teacher: those of its pairs, and one for all other pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.distill.teacher import Teacher

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace


class FixedScores(Teacher):
    """Logits of listed pairs, and one for all others: a table of all pairs where it fits, a search otherwise.

    Args:
        space: The pairs that labels are about.
        rows: A row a pair: `relation` (text), `head` and `tail` (int64, numbers of nodes), `score` (float32); pairs
            outside of the space are left aside.
        default: Logit of the pairs that are not listed.
    """

    def __init__(self, space: PairSpace, rows: pl.DataFrame, default: float) -> None:
        self._space = space
        self._default = default
        # Per relation the listed pairs' flat indices, ascending int64 [k], and their logits, float32 [k].
        self._listed = [_listed(space, number, rows) for number in range(len(space.relations))]
        self._around = [_around(space, number, rows) for number in range(len(space.relations))]
        self._around_heads = [_around_heads(space, number, rows) for number in range(len(space.relations))]
        self._tables: list[Tensor] | None = None
        if all(pairs.area <= space.dense_limit for pairs in space.relations):
            self._tables = [self._table(number) for number in range(len(space.relations))]

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        return [self._of(number, index) for number, index in enumerate(indices)]

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        pairs = self._space.relations[relation]
        device = pairs.heads.device
        heads = torch.arange(len(pairs.heads), device=device) if rows is None else rows
        tails = torch.arange(pairs.tail_count, device=device) if columns is None else columns
        return lambda some: self._of(relation, pairs.flat(heads[some].unsqueeze(1), tails))

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        return self._filled(self._around[relation], columns, len(self._space.heads))

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        return self._filled(self._around_heads[relation], rows, self._space.relations[relation].tail_count)

    def _filled(self, around: tuple[Tensor, Tensor, Tensor], asked: Tensor, width: int) -> Tensor:
        """Rows of a table whose listed entries are kept row by row (`_by_row`), float32 [asked, width]."""
        starts, columns, scores = around
        first = starts[asked]
        counts = starts[asked + 1] - first
        row = torch.arange(len(asked), device=asked.device).repeat_interleave(counts)
        # Of each listed pair its place among those of its row, and from there among all.
        within = torch.arange(len(row), device=asked.device) - (counts.cumsum(0) - counts)[row]
        place = first[row] + within
        found = scores.new_full((len(asked), width), self._default)
        found[row, columns[place]] = scores[place]
        return found

    def _of(self, relation: int, index: Tensor) -> Tensor:
        """Logits of flat indices of any shape, int64 [...] -> float32 [...], a copy."""
        if self._tables is not None:
            return self._tables[relation].index_select(0, index.reshape(-1)).view(index.shape)
        return self._searched(relation, index)

    def _table(self, relation: int) -> Tensor:
        """Logits of all pairs of a relation, float32 [area]."""
        flat, scores = self._listed[relation]
        table = scores.new_full((self._space.relations[relation].area,), self._default)
        return table.index_copy_(0, flat, scores)

    def _searched(self, relation: int, index: Tensor) -> Tensor:
        flat, scores = self._listed[relation]
        if not len(flat):
            return scores.new_full(index.shape, self._default)
        place = torch.searchsorted(flat, index).clamp_(max=len(flat) - 1)
        return torch.where(flat[place] == index, scores[place], self._default)


def _listed(space: PairSpace, number: int, rows: pl.DataFrame) -> tuple[Tensor, Tensor]:
    """The listed pairs of a relation in the space: flat indices, ascending int64 [k], and logits, float32 [k]."""
    pairs = space.relations[number]
    heads, tails, scores = _inside(space, number, rows, space.heads[pairs.heads.cpu().numpy()])
    flat = heads * pairs.tail_count + tails
    order = np.argsort(flat)
    device = pairs.heads.device
    return torch.from_numpy(flat[order]).to(device), torch.from_numpy(scores[order]).to(device)


def _around(space: PairSpace, number: int, rows: pl.DataFrame) -> tuple[Tensor, Tensor, Tensor]:
    """The listed pairs of a relation's tails with every head of the space, tail by tail.

    Returns:
        Where each tail's pairs begin, and where the last one's end, int64 [tails + 1]; positions of their heads in the
        space, int64 [k]; logits, float32 [k].
    """
    heads, tails, scores = _inside(space, number, rows, space.heads)
    return _by_row(tails, heads, scores, space.relations[number].tail_count, space.relations[number].heads.device)


def _around_heads(space: PairSpace, number: int, rows: pl.DataFrame) -> tuple[Tensor, Tensor, Tensor]:
    """The same head by head: where each head's pairs begin, int64 [heads + 1]; their tails; logits."""
    heads, tails, scores = _inside(space, number, rows, space.heads)
    return _by_row(heads, tails, scores, len(space.heads), space.relations[number].heads.device)


def _by_row(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    scores: NDArray[np.float32],
    count: int,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Entries in the order of their rows, and where those of each of `count` rows begin, int64 [count + 1]."""
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(count + 1))
    return (
        torch.from_numpy(starts).to(device),
        torch.from_numpy(columns[order]).to(device),
        torch.from_numpy(scores[order]).to(device),
    )


def _inside(
    space: PairSpace, number: int, rows: pl.DataFrame, heads: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The listed pairs of a relation between some heads and its tails: positions among both, and logits, [k] each."""
    relation = space.relations[number].relation
    mine = rows.filter(pl.col("relation") == relation)
    head = _places(heads, mine["head"].to_numpy())
    tail = _places(space.tails[relation], mine["tail"].to_numpy())
    inside = (head >= 0) & (tail >= 0)
    return head[inside], tail[inside], mine["score"].to_numpy()[inside]


def _places(nodes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where nodes stand among distinct others, in any order, int64 [n]; -1 where they do not."""
    place = np.full(max(nodes.max(), wanted.max(initial=0)) + 1, -1, np.int64)
    place[nodes] = np.arange(len(nodes))
    found: NDArray[np.int64] = place[wanted]
    return found
