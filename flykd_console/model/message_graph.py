"""The edges that carry messages, and which nodes' outputs are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Pairs, with_reverses

Wanted = Mapping[str, NDArray[np.int64]]
# Nodes whose layer outputs are asked for: the same in every layer, or one choice for each of the layers 1..L.
Hidden = Wanted | Sequence[Wanted]
# The relation of a node to itself: no relation of a file is called so.
SELF_LOOP = "<self>"


@dataclass(frozen=True)
class MessageGraph:
    """The edges that carry messages: training edges and their reverses.

    Attributes:
        edges: Per edge type (sources, targets of the message), int64 [n] each.
        node_counts: Number of nodes per type, types without edges included.
        edge_types: Every edge type of the whole graph, sorted; some may have no training edge.
    """

    edges: Mapping[EdgeType, Pairs]
    node_counts: Mapping[str, int]
    edge_types: list[EdgeType]

    @classmethod
    def of(cls, train: Mapping[EdgeType, Pairs], node_counts: Mapping[str, int]) -> MessageGraph:
        """The message graph of a split's training edges (one direction each)."""
        both = with_reverses(train)
        return cls(edges=both, node_counts=dict(node_counts), edge_types=sorted(both))

    def with_self_loops(self) -> MessageGraph:
        """The same, and an edge from every node that has any to itself, of an edge type for each node type."""
        linked: dict[str, list[NDArray[np.int64]]] = {}
        for edge_type, (sources, targets) in self.edges.items():
            linked.setdefault(edge_type.head, []).append(sources)
            linked.setdefault(edge_type.tail, []).append(targets)
        loops: dict[EdgeType, Pairs] = {}
        for node_type in self.node_counts:
            own = np.unique(np.concatenate([np.empty(0, np.int64), *linked.get(node_type, [])]))
            loops[EdgeType(node_type, SELF_LOOP, node_type)] = (own, own)
        return MessageGraph(
            edges=dict(sorted({**self.edges, **loops}.items())),
            node_counts=self.node_counts,
            edge_types=sorted([*self.edge_types, *loops]),
        )


def per_layer(hidden: Hidden | None, depth: int) -> list[Wanted] | None:
    """The nodes asked for of each layer 1..L; None where none are.

    Raises:
        ValueError: There is not one choice for every layer.
    """
    if hidden is None:
        return None
    if isinstance(hidden, Mapping):
        return [hidden] * depth
    if len(hidden) != depth:
        raise ValueError(f"{len(hidden)} choices of hidden nodes for {depth} layers")
    return list(hidden)
