"""Scorers without training: what a reviewer would try first, from training edges alone.

One file of this room is one heuristic. Its name is what a profile and every table call it, `HEURISTIC` the class. All
of them score any pair of a head and a tail under any target relation; a score is an order, not a probability.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import scipy.sparse as sp

from flykd_console.memory import in_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets

    Nodes = NDArray[np.int64]
    Scores = NDArray[np.float64]

Kind = TypeVar("Kind", bound="Heuristic")
# Tails whose pairs are scored at a time; bounds the memory.
_TAILS = 1024


@dataclass(frozen=True)
class TrainingEdges:
    """All that a heuristic may see.

    Attributes:
        edges: Training edges by edge type, one direction.
        targets: The relations that are scored.
        counts: Number of nodes per type.
        seed: Of the run, for whatever is drawn.
    """

    edges: Mapping[EdgeType, Pairs]
    targets: Targets
    counts: Mapping[str, int]
    seed: int
    _made: dict[tuple[type[Heuristic], str], Heuristic] = field(default_factory=dict, init=False, repr=False)

    def heuristic(self, kind: type[Kind], **settings: float) -> Kind:
        """A heuristic over these edges, made once for equal settings, so that whoever asks shares what it has found."""
        key = kind, repr(sorted(settings.items()))
        if key not in self._made:
            self._made[key] = kind(self, **settings)
        return cast("Kind", self._made[key])

    @property
    def heads(self) -> int:
        """Number of nodes of the head type."""
        return self.counts[self.targets.head]

    @property
    def tails(self) -> int:
        """Number of nodes of the tail type."""
        return self.counts[self.targets.tail]

    def labels(self, target: EdgeType) -> sp.csr_array:
        """The training edges of a target, binary, float64 [N_tail, N_head]."""
        heads, tails = self.edges[target]
        return binary(tails, heads, (self.tails, self.heads))

    def incidence(self, node_type: str, skip: tuple[EdgeType, ...] = ()) -> dict[EdgeType, sp.csr_array]:
        """Per edge type that touches a node type its neighbours, binary, float64 [N_type, N_other].

        An edge type between nodes of the type itself counts in both directions, and each node is its own neighbour.
        """
        found = {}
        for edge_type, (heads, tails) in sorted(self.edges.items()):
            if edge_type in skip or len(heads) == 0:
                continue
            count = self.counts[node_type]
            if edge_type.head == edge_type.tail == node_type:
                own = np.arange(count)
                rows, columns = np.concatenate([heads, tails, own]), np.concatenate([tails, heads, own])
                found[edge_type] = binary(rows, columns, (count, count))
            elif edge_type.tail == node_type:
                found[edge_type] = binary(tails, heads, (count, self.counts[edge_type.head]))
            elif edge_type.head == node_type:
                found[edge_type] = binary(heads, tails, (count, self.counts[edge_type.tail]))
        return found

    def adjacency(self, node_type: str) -> sp.csr_array | None:
        """Edges between nodes of a type, all relations together and in both directions, binary, float64 [N, N].

        None: no relation is between such nodes.
        """
        ends: list[Pairs] = []
        for edge_type, (heads, tails) in sorted(self.edges.items()):
            within = edge_type.head == edge_type.tail == node_type
            if within and len(heads):
                ends += [(heads, tails), (tails, heads)]
        if not ends:
            return None
        rows, columns = (np.concatenate(side) for side in zip(*ends, strict=True))
        count = self.counts[node_type]
        return binary(rows, columns, (count, count))


class Heuristic(ABC):
    """Scores of pairs. What does not depend on the pairs that are asked for is computed once, when first needed.

    Attributes:
        words: What it does, in a few words for tables and cards.
    """

    words: str

    def __init__(self, training: TrainingEdges) -> None:
        self.training = training

    @abstractmethod
    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        """Scores of heads with each of some tails, float64 [tails, heads], the caller's to change.

        Args:
            tails: int64 [n].
            heads: int64 [m]; None: every head.
        """

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> Scores:
        """Scores of listed pairs, float64 [n]; heads and tails int64 [n]."""
        return listed(lambda rows, columns: self.block(target, rows, columns), heads, tails)


def listed(block: Callable[[Nodes, Nodes], NDArray[np.floating]], heads: Nodes, tails: Nodes) -> Scores:
    """Scores of listed pairs from blocks of some tails with all heads that are listed, float64 [n].

    Args:
        block: From tails and heads, int64, each ascending and each once, to [tails, heads].
        heads: int64 [n].
        tails: int64 [n].
    """
    scores = np.empty(len(heads))
    distinct, row = np.unique(tails, return_inverse=True)
    columns, column = np.unique(heads, return_inverse=True)
    for chunk, table in in_chunks(len(distinct), _TAILS, lambda chunk: block(distinct[chunk], columns)):
        some = np.flatnonzero((row >= chunk.start) & (row < chunk.stop))
        scores[some] = table[row[some] - chunk.start, column[some]]
    return scores


def binary(rows: Nodes, columns: Nodes, shape: tuple[int, int]) -> sp.csr_array:
    """A matrix of ones at listed entries, each once however often it is listed, float64."""
    matrix = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
