"""The most similar labelled tails of every tail: what the heuristic `neighbours` scores by, for whoever shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from flykd_console.heuristics.neighbours import NEIGHBOURS, Neighbours, most_similar

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import TrainingEdges

# Tails in work at a time.
_ROWS = 1024


def nearest_tails(training: TrainingEdges, target: EdgeType) -> sp.csr_array:
    """sim(i, j) of every tail i with the most similar tails j that have a training edge of the target.

    Returns:
        float64 [N_tail, N_tail], at most 20 entries a row, the most similar first.
    """
    count = training.tails
    profiles = Neighbours(training).profiles
    labelled = np.unique(training.edges[target][1])
    mine = profiles[labelled].T.tocsr()
    parts = [sp.csr_array((0, count))]
    for start in range(0, count, _ROWS):
        some = np.arange(start, min(start + _ROWS, count))
        found = most_similar(profiles[some] @ mine, some, labelled, NEIGHBOURS)
        parts.append(sp.csr_array((found.data, labelled[found.indices], found.indptr), shape=(len(some), count)))
    return sp.csr_array(sp.vstack(parts, format="csr"))
