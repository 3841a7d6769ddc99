"""Pretraining: link prediction over every relation of the training graph (TxGNN), without pooling.

for each batch of edges: encode their ends -> logits of the edges and of one negative each -> BCE
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.gather import gather
from flykd_console.model.kernels import has_cpu_kernels
from flykd_console.model.propagation import propagation
from flykd_console.tasks.base import Objective, Weights
from flykd_console.tasks.link_prediction.all_edges import AllEdges, Shuffle

if TYPE_CHECKING:
    from flykd_console.graph.split.edge_split import Edges
    from flykd_console.model.rgcn import HeteroRGCN
    from flykd_console.profile import sections
    from flykd_console.tasks.link_prediction.data import LinkData

    # (model, rows): output embeddings of some nodes, float32 [n, at least d], filled up with zeros; rows int64 [n].
    Encode = Callable[[HeteroRGCN, Tensor], Tensor]


def steps_of(train: Edges, settings: sections.Pretrain) -> int:
    """Number of optimiser steps of the stage: every training edge counts in both directions."""
    edges = 2 * sum(len(heads) for heads, _ in train.values())
    return settings.epochs * -(-edges // settings.batch_size)


class Pretraining(Objective):
    """The mean binary cross-entropy of a batch of edges and as many negatives; one epoch is one step."""

    def __init__(self, data: LinkData, model: HeteroRGCN, stage: str) -> None:
        super().__init__()
        self._model = model
        self._edges = AllEdges(data.messages, model)
        self._encode = node_encoder(data, model, self._edges)
        order, self._draw = (data.generator(f"{stage}/{purpose}") for purpose in ("order", "negatives"))
        self._shuffle = Shuffle(len(self._edges), data.profile.pretrain.batch_size, order)
        self.generators = {"order": order, "negatives": self._draw}
        self.stateful = {"shuffle": self._shuffle}

    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        batch = self._shuffle.batch(epoch)
        return {"total": batch_loss(self._model, self._encode, self._edges, batch, self._draw)}


def batch_loss(model: HeteroRGCN, encode: Encode, edges: AllEdges, batch: Tensor, draw: torch.Generator) -> Tensor:
    """Mean binary cross-entropy of a batch of edges and as many negatives; `batch`: edge numbers, int64 [n]."""
    relations = edges.relations(batch)
    ends = torch.cat([edges.heads[batch], edges.tails[batch], edges.negative_tails(relations, draw)])
    rows, where = torch.unique(ends, return_inverse=True)
    heads, tails, negatives = gather(encode(model, rows.long()), where).chunk(3)
    vectors = functional.pad(model.relation, (0, heads.shape[1] - model.dim))
    scaled = heads * gather(vectors, relations)
    logits = torch.cat([(scaled * tails).sum(dim=1), (scaled * negatives).sum(dim=1)])
    labels = torch.cat([torch.ones_like(logits[: len(batch)]), torch.zeros_like(logits[len(batch) :])])
    return functional.binary_cross_entropy_with_logits(logits, labels)


def node_encoder(data: LinkData, model: HeteroRGCN, edges: AllEdges) -> Encode:
    """The cheapest way to the outputs of a batch's nodes."""
    kind = data.profile.engine.propagation
    if kind == "auto" and has_cpu_kernels(data.device) and (model.layers, model.kind) == (2, "rgcn"):
        from flykd_console.model.propagation.batched import BatchPropagation

        return BatchPropagation(data.messages_of(model), model)
    whole = propagation(kind, data.messages_of(model), model, edges.nodes)

    def encode(model: HeteroRGCN, rows: Tensor) -> Tensor:
        output = whole(model)
        return gather(torch.cat([output[node_type] for node_type in edges.nodes]), rows)

    return encode
