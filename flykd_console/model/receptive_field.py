"""Which nodes a layer must know, and how it averages: the rows of the adjacency that an output depends on.

A layer gives outputs for some nodes and reads those that send them messages; going back layer by layer from the wanted
nodes gives the receptive field, and nothing outside it is ever computed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import MessageGraph, Wanted


def linked_nodes(graph: MessageGraph) -> dict[str, NDArray[np.int64]]:
    """Per node type, sorted, the nodes with an edge, ascending."""
    seen: dict[str, NDArray[np.bool_]] = {}
    for edge_type, pairs in graph.edges.items():
        for node_type, ends in zip((edge_type.head, edge_type.tail), pairs, strict=True):
            if len(ends):
                seen.setdefault(node_type, np.zeros(graph.node_counts[node_type], dtype=bool))[ends] = True
    return {node_type: np.flatnonzero(mask) for node_type, mask in sorted(seen.items())}


def mean_matrices(graph: MessageGraph, wanted: Wanted) -> dict[EdgeType, sp.csr_array]:
    """Per edge type the mean over its messages, float32 [wanted tails, N_head]; edge types without any are left out."""
    matrices = {}
    for edge_type, (sources, targets) in graph.edges.items():
        if edge_type.tail not in wanted or len(sources) == 0:
            continue
        rows = wanted[edge_type.tail]
        position = np.full(graph.node_counts[edge_type.tail], -1, dtype=np.int64)
        position[rows] = np.arange(len(rows))
        at = position[targets]
        kept = at >= 0
        if not kept.any():
            continue
        if not kept.all():
            at, sources = at[kept], sources[kept]
        matrices[edge_type] = _mean_matrix(at, sources, (len(rows), graph.node_counts[edge_type.head]))
    return matrices


def _mean_matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> sp.csr_array:
    """Row-normalised adjacency; an edge that stands twice has two entries."""
    index = np.int32 if max(*shape, len(rows)) < 2**31 else np.int64
    edges = np.arange(len(rows) + 1, dtype=index)
    # Edge i has its one entry in column rows[i]; by columns, that lists each row's edges: a sort in linear time.
    by_row = sp.csr_array((np.ones(len(rows), np.int8), rows.astype(index), edges), shape=(len(rows), shape[0])).tocsc()
    degree = np.diff(by_row.indptr)
    values = np.repeat(np.divide(1.0, degree, where=degree > 0, out=np.zeros(len(degree))), degree).astype(np.float32)
    return sp.csr_array((values, columns[by_row.indices].astype(index), by_row.indptr), shape=shape)


def source_nodes(matrices: Mapping[EdgeType, sp.csr_array]) -> dict[str, NDArray[np.int64]]:
    """Per node type the nodes that send any message, ascending."""
    sending: dict[str, NDArray[np.bool_]] = {}
    for edge_type, matrix in matrices.items():
        mask = sending.setdefault(edge_type.head, np.zeros(matrix.shape[1], dtype=bool))
        mask[matrix.indices] = True
    return {node_type: np.flatnonzero(mask) for node_type, mask in sorted(sending.items())}


def joined(*parts: Wanted) -> dict[str, NDArray[np.int64]]:
    """Per node type the nodes of all parts, ascending and each once."""
    types = sorted({node_type for part in parts for node_type in part})
    return {t: np.unique(np.concatenate([np.asarray(p[t], np.int64) for p in parts if t in p])) for t in types}
