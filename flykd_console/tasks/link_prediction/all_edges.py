"""What pretraining learns from: every training edge in both directions, in batches, with a negative for each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from flykd_console.model.message_graph import MessageGraph
from flykd_console.model.receptive_field import linked_nodes
from flykd_console.model.rgcn import HeteroRGCN


class AllEdges:
    """Every edge of the message graph, relation by relation; nodes are counted through all types that have edges.

    Attributes:
        nodes: Per node type, sorted, the nodes with an edge, int64 ascending.
        heads, tails: int32 [E] each, on the device.
    """

    def __init__(self, graph: MessageGraph, model: HeteroRGCN) -> None:
        self.nodes = linked_nodes(graph)
        number, start = {}, 0
        for node_type, nodes in self.nodes.items():
            number[node_type] = np.zeros(graph.node_counts[node_type], np.int32)
            number[node_type][nodes] = np.arange(start, start + len(nodes), dtype=np.int32)
            start += len(nodes)
        edges = {edge_type: pairs for edge_type, pairs in graph.edges.items() if len(pairs[0])}
        tails = [number[e.tail][ends] for e, (_, ends) in edges.items()]
        # A relation's negatives are its own tails: stacked, with each relation's share of the stack.
        candidates = [np.flatnonzero(np.bincount(ends)).astype(np.int32) for ends in tails]
        device = model.relation.device
        self.heads = torch.from_numpy(np.concatenate([number[e.head][ends] for e, (ends, _) in edges.items()])).to(
            device
        )
        self.tails = torch.from_numpy(np.concatenate(tails)).to(device)
        self._last = torch.tensor([len(ends) for ends in tails]).cumsum(0).to(device) - 1
        self._model_relation = torch.tensor([model.index(e) for e in edges], device=device)
        self._candidates = torch.from_numpy(np.concatenate(candidates)).to(device)
        count = torch.tensor([len(c) for c in candidates])
        by_relation = torch.zeros(2, len(model.edge_types), dtype=torch.int64)
        by_relation[:, [model.index(e) for e in edges]] = torch.stack([count.cumsum(0) - count, count])
        self._begin, self._count = by_relation.to(device)

    def __len__(self) -> int:
        return len(self.heads)

    def relations(self, batch: Tensor) -> Tensor:
        """Relation indices of the edges of a batch, int64 [batch]."""
        return self._model_relation[torch.searchsorted(self._last, batch)]

    def negative_tails(self, relations: Tensor, generator: torch.Generator) -> Tensor:
        """One tail for each relation index, uniform over the tails of that relation, int32 [n]."""
        uniform = torch.rand(len(relations), generator=generator, device=relations.device, dtype=torch.float64)
        return self._candidates[self._begin[relations] + (uniform * self._count[relations]).long()]


class Shuffle:
    """Batches of a random order of the edges, drawn anew for each pass over them."""

    def __init__(self, count: int, batch_size: int, generator: torch.Generator) -> None:
        self._count, self._size, self._generator = count, batch_size, generator
        self._per_pass = -(-count // batch_size)
        self._order: Tensor | None = None

    def batch(self, step: int) -> Tensor:
        """Edge numbers of a step, int64 [at most batch_size]."""
        at = step % self._per_pass
        if self._order is None or at == 0:
            self._order = torch.randperm(self._count, generator=self._generator, device=self._generator.device)
        return self._order[at * self._size : (at + 1) * self._size]

    def state_dict(self) -> dict[str, Tensor]:
        """The order in force, for a checkpoint."""
        return {} if self._order is None else {"order": self._order}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        if "order" in state:
            self._order = state["order"].to(self._generator.device)
