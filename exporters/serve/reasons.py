"""Why a pair may be true, from what a bundle holds beside its model: similar tails, and third nodes that both touch.

Neither is the model's own reasoning: they are what a reader can check.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from exporters.scorer import Scorer

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Alike:
    """A node similar to the tail of a pair whose training pairs include the head, and how similar (0 to 1)."""

    id: str
    name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ThirdNode:
    """A node of a third type that both ends of a pair are joined to."""

    type: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Why:
    """What speaks for a pair.

    Attributes:
        alike: The most similar tails that have the head in training, best first.
        shared: Third nodes joined to both, those with the fewest edges first.
        shared_count: How many of them there are.
    """

    alike: list[Alike]
    shared: list[ThirdNode]
    shared_count: int


class _Neighbours:
    """The third nodes of each end node, and the edges of each third node, from rows of both ends."""

    def __init__(self, third: Rows, end: Rows, ends: int) -> None:
        order = np.argsort(end, kind="stable")
        self._third = third[order]
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(end, minlength=ends))])
        self.degree = np.bincount(third)

    def of(self, row: int) -> Rows:
        """int64 [n]."""
        return self._third[self._bounds[row] : self._bounds[row + 1]]


class Reasons:
    """The reasons of one bundle's pairs; what is looked up is made ready once."""

    def __init__(self, scorer: Scorer, most: int = 3) -> None:
        self._scorer, self._most = scorer, most
        tables, heads, tails = scorer.tables, len(scorer.heads), len(scorer.tails)
        self._trained = {
            relation: _Neighbours(pairs[:, 1], pairs[:, 0], heads)
            for relation in scorer.relations
            for pairs in [tables.pairs(relation, "train")]
        }
        edges = tables.connections()
        kinds = sorted({kind for kind, _ in edges})
        ends = (scorer.manifest.head_type, heads), (scorer.manifest.tail_type, tails)
        self._joined = {
            kind: tuple(_Neighbours(*edges[kind, end], count) for end, count in ends)
            for kind in kinds
            if all((kind, end) in edges for end, _ in ends)
        }
        self._nodes = {kind: tables.nodes(kind) for kind in self._joined}

    def of(self, relation: str, head: int, tail: int) -> Why:
        """Of a pair, by rows."""
        shared, count = self._shared(head, tail)
        return Why(self._alike(relation, head, tail), shared, count)

    def _alike(self, relation: str, head: int, tail: int) -> list[Alike]:
        nearest = self._scorer.tables.nearest(relation)
        if nearest is None:
            return []
        mine = slice(nearest.indptr[tail], nearest.indptr[tail + 1])
        rows, similarity = nearest.index[mine], nearest.similarity[mine]
        held = np.flatnonzero(np.isin(rows, self._trained[relation].of(head)))
        best = held[np.argsort(-similarity[held], kind="stable")]
        # Each seed of a bundle of several has its own neighbours: a tail may stand there more than once.
        found: dict[int, float] = {}
        for row, value in zip(rows[best].tolist(), similarity[best].tolist(), strict=True):
            found.setdefault(row, value)
        nodes = self._scorer.tails
        return [Alike(nodes.ids[row], nodes.names[row], value) for row, value in islice(found.items(), self._most)]

    def _shared(self, head: int, tail: int) -> tuple[list[ThirdNode], int]:
        found: list[tuple[int, str, int]] = []
        for kind, (heads, tails) in self._joined.items():
            both = np.intersect1d(heads.of(head), tails.of(tail))
            edges = heads.degree[both] + tails.degree[both]
            found += [(int(degree), kind, row) for degree, row in zip(edges.tolist(), both.tolist(), strict=True)]
        first = [(kind, self._nodes[kind], row) for _, kind, row in sorted(found)[: self._most]]
        return [ThirdNode(kind, nodes.ids[row], nodes.names[row]) for kind, nodes, row in first], len(found)
