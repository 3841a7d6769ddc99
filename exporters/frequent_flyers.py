"""The frequent-flyer correction: a pair's score from its ranks in the matrix, in its drug's row and in its disease's.

As Every Cure's matrix project defines it (github.com/everycure-org/matrix, `matrix_transformations/transformations.py`,
`UniformRankBasedFrequentFlyerTransformation` with the decay of `conf/base/matrix_transformations/parameters.yml`; read
at commit 337fd88). Frequent flyers are nodes that stand high in every list:

    t(d, i) = w q_matrix(d, i)^-γ + w q_drug(d, i)^-γ + w q_disease(d, i)^-γ          w = 1, γ = 0.05

where q is a rank divided by how many were ranked: among all pairs, of the drug among the disease's drugs, and of the
disease among the drug's diseases. Training pairs of the relation are no part of the matrix, as there; where one is
listed it is ranked as if it were. Equal scores share the first of their ranks (there the matrix-wide ranks of equal
scores follow the order of the rows).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

WEIGHT = 1.0
DECAY = 0.05
# Scores in work at a time: 16 MiB.
_CELLS = 1 << 22


def frequent_flyer_scores(ranked: Floats, alike: Floats, asked: int, trained: tuple[Rows, Rows]) -> NDArray[np.float64]:
    """t of every ranked node with the one asked for, float64 [n].

    The score of a pair is the dot product of its two rows.

    Args:
        ranked: The nodes to rank, each multiplied by the relation's vector, float32 [n, d].
        alike: All nodes of the asked one's kind, it among them, float32 [m, d].
        asked: Its place in `alike`.
        trained: Places in `ranked` and in `alike` of the training pairs, int64 [k] each.
    """
    order = np.argsort(trained[0], kind="stable")
    rows, columns = trained[0][order], trained[1][order]
    own = ranked @ alike[asked]
    ascending = np.sort(own)
    in_matrix = np.zeros(len(ranked), dtype=np.int64)
    among_alike = np.empty(len(ranked), dtype=np.int64)
    step = max(1, _CELLS // max(1, len(alike)))
    for start in range(0, len(ranked), step):
        some = slice(start, min(start + step, len(ranked)))
        block = ranked[some] @ alike.T
        # The same product, summed in another order, may differ in its last bit: a pair must not outrank itself.
        block[:, asked] = own[some]
        inside = slice(*np.searchsorted(rows, [some.start, some.stop]))
        block[rows[inside] - start, columns[inside]] = -np.inf
        among_alike[some] = np.count_nonzero(block > own[some, None], axis=1)
        flat = np.sort(block, axis=None)
        in_matrix += len(flat) - np.searchsorted(flat, ascending, side="right")
    matrix = np.empty(len(ranked), dtype=np.int64)
    matrix[np.argsort(own, kind="stable")] = in_matrix
    listed = own.copy()
    listed[rows[columns == asked]] = -np.inf
    listed.sort()
    among_ranked = len(listed) - np.searchsorted(listed, own, side="right")
    pairs = len(ranked) * len(alike) - len(rows)
    quantiles = ((matrix + 1) / max(1, pairs), (among_ranked + 1) / len(ranked), (among_alike + 1) / len(alike))
    scores: NDArray[np.float64] = WEIGHT * np.sum([quantile**-DECAY for quantile in quantiles], axis=0)
    return scores
