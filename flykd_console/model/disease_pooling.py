"""Similar-disease pooling (TxGNN): a tail with few training edges borrows from its most similar tails that have some.

It depends on the training graph alone, so per relation it is one fixed sparse map K over the tail nodes:
`h_i <- (1 - g_i) h_i + g_i p_i` is row i of `K h`, with at most `neighbours + 1` entries a row.
Gradients flow through both terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from flykd_console.graph.similarity import most_similar, profile_relations, tail_profiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets
    from flykd_console.profile import sections


def pooling_maps(
    train: Mapping[EdgeType, Pairs], targets: Targets, tail_count: int, settings: sections.Pooling
) -> dict[str, sp.csr_array] | None:
    """One map per target relation, float32 [N_tail, N_tail]; None where pooling is off or finds no profile relation.

    Args:
        train: Training edges, one direction.
        targets: The relations that are scored; they share their tail type.
    """
    if not settings.enabled:
        return None
    relations = profile_relations(train, targets, settings)
    similar = tail_profiles(train, targets.tail, tail_count, relations, settings.direction, settings.weights)
    if similar is None:
        return None
    return {target.relation: _pooling_map(similar, train[target][1], settings) for target in targets}


def _pooling_map(similar: sp.csr_array, train_tails: NDArray[np.int64], settings: sections.Pooling) -> sp.csr_array:
    count = similar.shape[0]
    degree = np.bincount(train_tails, minlength=count)
    gate = (settings.decay * np.exp(-settings.decay * degree) + settings.floor).astype(np.float32)
    rows, columns, weights = most_similar(similar, np.flatnonzero(degree), settings.neighbours)
    pooled = sp.csr_array((gate[rows] * weights, (rows, columns)), shape=(count, count))
    return sp.csr_array((pooled + sp.diags_array(1.0 - gate)).astype(np.float32))
