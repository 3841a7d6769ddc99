"""Drugs of the most similar diseases: nearest neighbours over everything the graph says of a tail but its labels.

For every training relation B that touches tails and is not scored (binary B[i, c]; one between tails as A + Aᵀ + I):

    w_c = log(1 + N / Σ_i B[i, c])                          rare neighbours tell more
    f_i = the blocks B[i, ·] w, each of length 1 where it is not empty, side by side
    sim(i, j) = f_i · f_j
    score(i, head) = Σ_j sim(i, j)^power [head in j's training edges]    over the k most similar j ≠ i with an edge

It sees training edges only, and asks nothing of a tail that has no label.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from flykd_console.graph.similarity import by_rarity
from flykd_console.heuristics.base import Heuristic, TrainingEdges

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores

NEIGHBOURS = 20
# Tails in work at a time.
_ROWS = 1024


class Neighbours(Heuristic):
    """Args: k most similar tails; `power` of the similarity that a neighbour's labels weigh."""

    words = f"heads of the {NEIGHBOURS} most similar tails"

    def __init__(self, training: TrainingEdges, k: int = NEIGHBOURS, power: float = 1.0) -> None:
        super().__init__(training)
        self._k, self._power = k, power

    @cached_property
    def profiles(self) -> sp.csr_array:
        """f, one row a tail, float64 [N_tail, features]."""
        training = self.training
        known = training.incidence(training.targets.tail, tuple(training.targets))
        blocks = [by_rarity(matrix) for matrix in known.values()]
        if not blocks:
            return sp.csr_array((training.tails, 0))
        return sp.csr_array(sp.hstack(blocks))

    def block(self, target: EdgeType, tails: Nodes) -> Scores:
        labels = self.training.labels(target)
        labelled = np.flatnonzero(np.diff(labels.indptr))
        theirs, mine = labels[labelled], self.profiles[labelled].T.tocsr()
        parts = [np.empty((0, self.training.heads))]
        for start in range(0, len(tails), _ROWS):
            some = tails[start : start + _ROWS]
            nearest = most_similar(self.profiles[some] @ mine, some, labelled, self._k)
            nearest.data **= self._power
            parts.append(np.asarray((nearest @ theirs).todense()))
        return np.concatenate(parts)


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
