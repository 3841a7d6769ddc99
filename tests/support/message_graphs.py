"""Drawn message graphs with every awkward corner, and nodes to ask for."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from flykd_console.graph.knowledge_graph import EdgeType, Pairs
from flykd_console.model.message_graph import MessageGraph

TYPES = ["a", "b", "c"]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[MessageGraph, dict[str, np.ndarray]]:
    """Empty relations, isolated nodes, repeated edges, self loops, types of one node, nodes asked for out of order."""
    counts = {node_type: draw(st.integers(1, 9)) for node_type in TYPES}
    edges: dict[EdgeType, Pairs] = {}
    for number in range(draw(st.integers(1, 5))):
        head, tail = draw(st.sampled_from(TYPES)), draw(st.sampled_from(TYPES))
        pairs = draw(
            st.lists(st.tuples(st.integers(0, counts[head] - 1), st.integers(0, counts[tail] - 1)), max_size=25)
        )
        heads, tails = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
        edges[EdgeType(head, f"r{number}", tail)] = (heads, tails)
    wanted = {}
    for node_type in draw(st.sets(st.sampled_from(TYPES), min_size=1)):
        nodes = draw(st.lists(st.integers(0, counts[node_type] - 1), unique=True, min_size=1))
        wanted[node_type] = np.array(nodes, dtype=np.int64)
    return MessageGraph.of(edges, counts), wanted


@st.composite
def hidden_nodes(draw: st.DrawFn, counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Nodes of some types, in any order."""
    chosen = {}
    for node_type in draw(st.sets(st.sampled_from(TYPES))):
        nodes = draw(st.lists(st.integers(0, counts[node_type] - 1), unique=True))
        chosen[node_type] = np.array(nodes, dtype=np.int64)
    return chosen
