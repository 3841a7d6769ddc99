"""Random walks with restart between the nodes of a type (Tong, Faloutsos and Pan 2006), as profiles of the nodes.

    p_0 = e_i      p_s = (1 - r) p_{s-1} D⁻¹ (A + Aᵀ)      walk(i) = r Σ_s p_s      over the first steps s

A relation between tails themselves says more than who is next to whom: relatives at two and three steps count as well,
each by how many ways lead there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from flykd_console.heuristics.base import binary

if TYPE_CHECKING:
    from flykd_console.heuristics.base import Nodes, TrainingEdges

RESTART = 0.15
_STEPS = 4
# Entries of a step below this are dropped: without it the walks of 16 000 diseases are 3 GiB after six steps.
_LEAST = 1e-3


def walks(training: TrainingEdges, node_type: str) -> sp.csr_array | None:
    """Where walks from every node of a type end, along all relations between nodes of that type.

    Returns:
        float64 [N, N], every row of length 1; None: no relation is between such nodes.
    """
    adjacency = _adjacency(training, node_type)
    if adjacency is None:
        return None
    degree = np.maximum(adjacency.sum(axis=1), 1.0)
    step = sp.csr_array(sp.diags_array(1.0 / degree) @ adjacency)
    reached = sp.csr_array(sp.eye_array(adjacency.shape[0]))
    total = reached * RESTART
    for _ in range(_STEPS):
        reached = sp.csr_array(reached @ step) * (1.0 - RESTART)
        reached.data[reached.data < _LEAST] = 0.0
        reached.eliminate_zeros()
        total = total + reached * RESTART
    length = np.sqrt(np.asarray(total.power(2).sum(axis=1)).reshape(-1))
    return sp.csr_array(sp.diags_array(1.0 / length) @ total)


def _adjacency(training: TrainingEdges, node_type: str) -> sp.csr_array | None:
    """Edges between nodes of a type in both directions, binary, float64 [N, N]."""
    rows: list[Nodes] = []
    columns: list[Nodes] = []
    for edge_type, (heads, tails) in sorted(training.edges.items()):
        within = edge_type.head == edge_type.tail == node_type
        if within and len(heads):
            rows += [heads, tails]
            columns += [tails, heads]
    if not rows:
        return None
    count = training.counts[node_type]
    return binary(np.concatenate(rows), np.concatenate(columns), (count, count))
