"""Similar-disease pooling (TxGNN): a tail with few training edges borrows from its most similar tails that have some.

It depends on the training graph alone, so per relation it is one fixed sparse map K over the tail nodes:
`h_i <- (1 - g_i) h_i + g_i p_i` is row i of `K h`, with at most `neighbours + 1` entries a row.
Gradients flow through both terms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console import profile
from flykd_console.graph.knowledge_graph import EdgeType, Pairs


def pooling_maps(
    train: Mapping[EdgeType, Pairs], targets: list[EdgeType], tail_count: int, settings: profile.Pooling
) -> dict[str, sp.csr_array] | None:
    """One map per target relation, float32 [N_tail, N_tail]; None where pooling is off or finds no profile relation.

    Args:
        train: Training edges, one direction.
        targets: The relations that are scored; they share their tail type.
    """
    if not settings.enabled:
        return None
    similar = tail_profiles(train, targets[0].tail, tail_count, settings.relations)
    if similar is None:
        return None
    return {target.relation: _pooling_map(similar, train[target][1], settings) for target in targets}


def tail_profiles(
    train: Mapping[EdgeType, Pairs], tail_type: str, tail_count: int, relations: list[str]
) -> sp.csr_array | None:
    """Unit-length binary profiles over the neighbours that the relations give, float32 [N_tail, features]."""
    columns, rows, width = [], [], 0
    for edge_type, (heads, tails) in sorted(train.items()):
        if edge_type.relation not in relations or tail_type not in (edge_type.head, edge_type.tail) or len(heads) == 0:
            continue
        if edge_type.head == edge_type.tail:
            heads, tails = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        elif edge_type.head == tail_type:
            heads, tails = tails, heads
        rows.append(tails)
        columns.append(heads + width)
        width += int(heads.max()) + 1
    if not rows:
        return None
    row, column = np.concatenate(rows), np.concatenate(columns)
    binary = sp.csr_array((np.ones(len(row), dtype=np.float32), (row, column)), shape=(tail_count, width))
    binary.sum_duplicates()
    binary.data[:] = 1.0
    lengths = np.sqrt(np.diff(binary.indptr).astype(np.float32))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_array(sp.diags_array(scale) @ binary)


def _pooling_map(similar: sp.csr_array, train_tails: NDArray[np.int64], settings: profile.Pooling) -> sp.csr_array:
    count = similar.shape[0]
    degree = np.bincount(train_tails, minlength=count)
    gate = (settings.decay * np.exp(-settings.decay * degree) + settings.floor).astype(np.float32)
    rows, columns, weights = _most_similar(similar, np.flatnonzero(degree), settings.neighbours)
    pooled = sp.csr_array((gate[rows] * weights, (rows, columns)), shape=(count, count))
    return sp.csr_array((pooled + sp.diags_array(1.0 - gate)).astype(np.float32))


def _most_similar(
    similar: sp.csr_array, keys: NDArray[np.int64], neighbours: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Per row its most similar keys, never itself, with weights sim / sum |sim|; ties go to the lower index."""
    product = (similar @ similar[keys].T).tocoo()
    row, column, value = product.row.astype(np.int64), keys[product.col], product.data
    other = row != column
    row, column, value = row[other], column[other], value[other]
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    first_of_row = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=similar.shape[0]))])[row]
    top = np.arange(len(row)) - first_of_row < neighbours
    row, column, value = row[top], column[top], value[top]
    total = np.bincount(row, weights=np.abs(value), minlength=similar.shape[0])
    return row, column, (value / total[row]).astype(np.float32)
