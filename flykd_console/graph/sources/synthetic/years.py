"""Years of a generated graph's edges, so that splits by time can be tried without a file: they are invented, too.

A node comes up in some year, late ones being more; an edge is found some years after the later one of its ends.
Relations between nodes of one type have no years, as ontologies have none, and of the others a few edges lack theirs.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flykd_console.dates import UNDATED
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph

COLUMN = "year"
FIRST, LAST = 1980, 2024
_SEED = 0
_FOUND = 0.12  # chance that a year goes by in which an edge is found
_WITHOUT = 0.05


def dated(graph: KnowledgeGraph) -> KnowledgeGraph:
    """The graph with a year for each edge; always the same."""
    born = {
        node_type: FIRST + np.floor((LAST - FIRST) * _rng(node_type).beta(1.6, 2.0, graph.count(node_type)))
        for node_type in graph.nodes
    }
    return replace(graph, dates={edge_type: _of_relation(graph, edge_type, born) for edge_type in graph.edges})


def _of_relation(graph: KnowledgeGraph, edge_type: EdgeType, born: dict[str, NDArray[np.float64]]) -> NDArray[np.int32]:
    heads, tails = graph.edges[edge_type]
    dates = np.full(len(heads), UNDATED, dtype=np.int32)
    if edge_type.head == edge_type.tail:
        return dates
    rng = _rng(edge_type.relation)
    years = np.maximum(born[edge_type.head][heads], born[edge_type.tail][tails]) + rng.geometric(_FOUND, len(heads)) - 1
    known = rng.random(len(heads)) >= _WITHOUT
    dates[known] = np.minimum(years, LAST)[known].astype(np.int32) * 10_000 + 1231
    return dates


def _rng(stream: str) -> np.random.Generator:
    return np.random.default_rng([_SEED, zlib.crc32(f"years of {stream}".encode())])
