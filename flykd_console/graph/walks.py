"""Random walks with restart between the nodes of a type (Tong, Faloutsos and Pan 2006), as profiles of the nodes.

    p_0 = e_i      p_s = (1 - r) p_{s-1} D⁻¹ (A + Aᵀ)      walk(i) = r Σ_s p_s      over the first steps s

A relation between tails themselves says more than who is next to whom: relatives at two and three steps count as well,
each by how many ways lead there.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

RESTART = 0.15
_STEPS = 4
# Entries of a step below this are dropped: without it the walks of 16 000 diseases have 32 million after four steps.
_LEAST = 1e-3


def walks(adjacency: sp.csr_array) -> sp.csr_array:
    """Where walks from every node end, float64 [N, N], every row of length 1; adjacency binary and symmetric."""
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
