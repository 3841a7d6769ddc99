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
