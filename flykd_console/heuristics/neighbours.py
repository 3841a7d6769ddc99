"""Drugs of the most similar diseases: nearest neighbours over everything the graph says of a tail but its labels.

For every training relation B that touches tails and is not scored (binary B[i, c]; one between tails as A + Aᵀ + I):

    w_c = log(1 + N / Σ_i B[i, c])                          rare neighbours tell more
    f_i = the blocks B[i, ·] w, each of length 1 where it is not empty, side by side
    sim(i, j) = f_i · f_j
    score(i, head) = Σ_j sim(i, j)^power [head in j's training edges]    over the k most similar j ≠ i with an edge

It sees training edges only, and asks nothing of a tail that has no label. Two things that the plain heuristic leaves
out may be added: a block of random walks between tails (`graph/walks.py`), and labels of a neighbour j divided by a
power of how many it has, |heads of j|^p, so that one tail with hundreds does not decide every list near it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from flykd_console.graph.similarity import by_rarity
from flykd_console.graph.walks import walks
from flykd_console.heuristics.base import Heuristic, TrainingEdges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores

NEIGHBOURS = 20
# Tails in work at a time.
_ROWS = 1024


class Neighbours(Heuristic):
    """The heuristic, or a variant of it.

    Args:
        k: Most similar tails.
        power: Of the similarity, by which a neighbour's labels weigh.
        walk: Weight of the block of random walks in the similarity.
        share: Power of a neighbour's number of labels, by which they are divided.
    """

    words = f"heads of the {NEIGHBOURS} most similar tails"

    def __init__(
        self,
        training: TrainingEdges,
        k: int = NEIGHBOURS,
        power: float = 1.0,
        walk: float = 0.0,
        share: float = 0.0,
    ) -> None:
        super().__init__(training)
        self._k, self._power = k, power
        self._walk, self._share = walk, share
        self._found: dict[EdgeType, _Found] = {}
        self._theirs: dict[EdgeType, sp.csr_array] = {}

    @cached_property
    def profiles(self) -> sp.csr_array:
        """f, one row a tail, float64 [N_tail, features]."""
        training = self.training
        known = training.incidence(training.targets.tail, tuple(training.targets))
        blocks = [by_rarity(matrix) for matrix in known.values()]
        adjacency = training.adjacency(training.targets.tail) if self._walk else None
        if adjacency is not None:
            # Both sides of a similarity carry the root of its weight.
            blocks.append(walks(adjacency) * np.sqrt(self._walk))
        if not blocks:
            return sp.csr_array((training.tails, 0))
        return sp.csr_array(sp.hstack(blocks))

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        theirs = self._labels(target)
        if heads is not None:
            theirs = theirs[:, heads]
        scores: Scores = (self._nearest(target, tails) @ theirs).toarray()
        return scores

    def _nearest(self, target: EdgeType, tails: Nodes) -> sp.csr_array:
        """similarity^power of the k nearest labelled tails of each of some, float64 [tails, labelled]."""
        if target not in self._found:
            self._found[target] = _Found.none(self.training.tails, self._k)
        found, labelled = self._found[target], self._labelled(target)
        if len(labelled) == 0:
            return sp.csr_array((len(tails), 0))
        missing = np.unique(tails[~found.known[tails]])
        mine = self.profiles[labelled].T.tocsr() if len(missing) else None
        for start in range(0, len(missing), _ROWS):
            some = missing[start : start + _ROWS]
            found.add(some, most_similar(self.profiles[some] @ mine, some, labelled, self._k))
        weights = found.similarity[tails] ** self._power
        ends = np.arange(len(tails) + 1) * self._k
        shape = len(tails), len(labelled)
        return sp.csr_array((weights.reshape(-1), found.nearest[tails].reshape(-1), ends), shape=shape)

    def _labelled(self, target: EdgeType) -> Nodes:
        """Tails with a training edge of a target, int64 [n], ascending."""
        return np.unique(self.training.edges[target][1])

    def _labels(self, target: EdgeType) -> sp.csr_array:
        """The training edges of the labelled tails, by what each counts, float64 [labelled, N_head]."""
        if target not in self._theirs:
            self._theirs[target] = self._shares(sp.csr_array(self.training.labels(target)[self._labelled(target)]))
        return self._theirs[target]

    def _shares(self, labels: sp.csr_array) -> sp.csr_array:
        """Labels of neighbours, float64 [n, N_head], by what each counts."""
        if not self._share:
            return labels
        count = np.maximum(labels.sum(axis=1), 1.0)
        return sp.csr_array(sp.diags_array(count**-self._share) @ labels)


@dataclass(frozen=True)
class _Found:
    """The nearest labelled tails of those tails that were asked for so far; places without one weigh 0.

    Attributes:
        known: Which were, bool [N_tail].
        nearest: Positions among the labelled tails, the most similar first, int64 [N_tail, k].
        similarity: float64 [N_tail, k].
    """

    known: NDArray[np.bool_]
    nearest: Nodes
    similarity: Scores

    @classmethod
    def none(cls, tails: int, k: int) -> _Found:
        """Before anything was asked for."""
        return cls(np.zeros(tails, np.bool_), np.zeros((tails, k), np.int64), np.zeros((tails, k)))

    def add(self, tails: Nodes, nearest: sp.csr_array) -> None:
        """Keep what was found for some tails, in place; nearest [tails, labelled], at most k entries a row."""
        count = np.diff(nearest.indptr)
        row = np.repeat(tails, count)
        place = np.arange(len(row)) - np.repeat(nearest.indptr[:-1], count)
        self.nearest[row, place] = nearest.indices
        self.similarity[row, place] = nearest.data
        self.known[tails] = True


def most_similar(similar: sp.csr_array, rows: Nodes, columns: Nodes, k: int) -> sp.csr_array:
    """The k largest entries of every row, without a node's similarity to itself; of equals the first columns."""
    matrix = sp.csr_array(similar)
    matrix.sort_indices()
    indptr, indices, data = [0], [], []
    for number, node in enumerate(rows):
        span = slice(matrix.indptr[number], matrix.indptr[number + 1])
        others = columns[matrix.indices[span]] != node
        found, values = matrix.indices[span][others], matrix.data[span][others]
        kept = np.argsort(-values, kind="stable")[:k]
        indices.append(found[kept])
        data.append(values[kept])
        indptr.append(indptr[-1] + len(kept))
    return sp.csr_array(
        (np.concatenate([np.empty(0), *data]), np.concatenate([np.empty(0, np.int64), *indices]), np.array(indptr)),
        shape=matrix.shape,
    )


HEURISTIC = Neighbours
