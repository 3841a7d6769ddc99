"""Pretraining: link prediction over every relation of the training graph (TxGNN), without pooling.

for each batch of edges: encode -> logits of the edges and of one negative each -> BCE -> AdamW
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from flykd_console import profile
from flykd_console.model.propagation import propagation
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.training.session import StageSession
from flykd_console.training.task import Task


class AllEdges:
    """Every training edge in both directions, by row of the stacked outputs of all nodes that have an edge.

    Attributes:
        wanted: Per node type the nodes with an edge, int64.
        heads, tails, relations: int64 [E] each, on the device.
    """

    def __init__(self, task: Task, model: HeteroRGCN) -> None:
        edges = {edge_type: pairs for edge_type, pairs in task.messages.edges.items() if len(pairs[0])}
        ends: dict[str, list[np.ndarray]] = {}
        for edge_type, (heads, tails) in edges.items():
            ends.setdefault(edge_type.head, []).append(heads)
            ends.setdefault(edge_type.tail, []).append(tails)
        self.wanted = {node_type: np.unique(np.concatenate(parts)) for node_type, parts in sorted(ends.items())}
        starts, start = {}, 0
        for node_type, nodes in self.wanted.items():
            starts[node_type], start = start, start + len(nodes)

        def rows(node_type: str, nodes: np.ndarray) -> np.ndarray:
            return starts[node_type] + np.searchsorted(self.wanted[node_type], nodes)

        stacked_heads = [rows(e.head, heads) for e, (heads, _) in edges.items()]
        stacked_tails = [rows(e.tail, tails) for e, (_, tails) in edges.items()]
        numbers = [np.full(len(heads), model.index(e)) for e, (heads, _) in edges.items()]
        # A relation's negatives are its own tails: stacked, with each relation's share of the stack.
        candidates = [np.unique(tails) for tails in stacked_tails]
        begins = np.cumsum([0, *(len(c) for c in candidates[:-1])])
        device = task.device
        self.heads = torch.from_numpy(np.concatenate(stacked_heads)).to(device)
        self.tails = torch.from_numpy(np.concatenate(stacked_tails)).to(device)
        self.relations = torch.from_numpy(np.concatenate(numbers)).to(device)
        self._candidates = torch.from_numpy(np.concatenate(candidates)).to(device)
        sizes = [len(heads) for heads in stacked_heads]
        self._begin = torch.from_numpy(np.repeat(begins, sizes)).to(device)
        self._count = torch.from_numpy(np.repeat([len(c) for c in candidates], sizes)).to(device)

    def __len__(self) -> int:
        return len(self.heads)

    def negative_tails(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One tail per edge of the batch, uniform over the tails of its relation, int64 [batch]."""
        uniform = torch.rand(len(batch), generator=generator, device=batch.device, dtype=torch.float64)
        return self._candidates[self._begin[batch] + (uniform * self._count[batch]).long()]


def steps_of(task: Task, settings: profile.Pretrain) -> int:
    """Number of optimiser steps of the stage: every training edge counts in both directions."""
    edges = 2 * sum(len(heads) for heads, _ in task.split.train.values())
    return settings.epochs * -(-edges // settings.batch_size)


def pretrain(task: Task, model: HeteroRGCN, settings: profile.Pretrain, session: StageSession) -> None:
    """Train a model's weights on every relation; one session epoch is one optimiser step."""
    edges = AllEdges(task, model)
    encode = propagation(task.profile.engine.propagation, task.messages, model, edges.wanted)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    order, draw = (task.generator(f"{session.stage}/{purpose}") for purpose in ("order", "negatives"))
    shuffle = Shuffle(len(edges), settings.batch_size, order)
    session.optimizer, session.resumables = optimizer, [shuffle]
    session.generators = {"order": order, "negatives": draw}
    session.resume()

    for step in session.epochs():
        batch = shuffle.batch(step)
        output = encode(model)
        nodes = torch.cat([output[node_type] for node_type in edges.wanted])
        # One gather for all ends: its gradient is one scatter into the nodes, which would otherwise be three.
        ends = torch.cat([edges.heads[batch], edges.tails[batch], edges.negative_tails(batch, draw)])
        heads, tails, negatives = nodes.index_select(0, ends).chunk(3)
        scaled = heads * model.relation.index_select(0, edges.relations[batch])
        logits = torch.cat([(scaled * tails).sum(dim=1), (scaled * negatives).sum(dim=1)])
        labels = torch.cat([torch.ones_like(logits[: len(batch)]), torch.zeros_like(logits[len(batch) :])])
        loss = functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        session.record(step, {"total": loss}, lr=settings.lr)


class Shuffle:
    """Batches of a random order of the edges, drawn anew for each pass over them."""

    def __init__(self, count: int, batch_size: int, generator: torch.Generator) -> None:
        self._count, self._size, self._generator = count, batch_size, generator
        self._per_pass = -(-count // batch_size)
        self._order: torch.Tensor | None = None

    def batch(self, step: int) -> torch.Tensor:
        """Edge numbers of a step, int64 [at most batch_size]."""
        at = step % self._per_pass
        if self._order is None or at == 0:
            self._order = torch.randperm(self._count, generator=self._generator, device=self._generator.device)
        return self._order[at * self._size : (at + 1) * self._size]

    def state(self) -> dict[str, torch.Tensor]:
        """The order in force, for a checkpoint."""
        return {} if self._order is None else {"shuffle/order": self._order}

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what `state` returned."""
        if "shuffle/order" in tensors:
            self._order = tensors["shuffle/order"].to(self._generator.device)
