"""Pretraining: link prediction over every relation of the training graph (TxGNN), without pooling.

for each batch of edges: encode their ends -> logits of the edges and of one negative each -> BCE -> AdamW
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.gather import gather
from flykd_console.model.propagation import propagation
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile import schema
from flykd_console.training.loops.all_edges import AllEdges, Shuffle
from flykd_console.training.session import StageSession
from flykd_console.training.task import Task

# (model, rows): output embeddings of some nodes, float32 [n, at least d], filled up with zeros; rows int64 [n].
Encode = Callable[[HeteroRGCN, Tensor], Tensor]


def steps_of(task: Task, settings: schema.Pretrain) -> int:
    """Number of optimiser steps of the stage: every training edge counts in both directions."""
    edges = 2 * sum(len(heads) for heads, _ in task.split.train.values())
    return settings.epochs * -(-edges // settings.batch_size)


def pretrain(task: Task, model: HeteroRGCN, settings: schema.Pretrain, session: StageSession) -> None:
    """Train a model's weights on every relation; one session epoch is one optimiser step."""
    edges = AllEdges(task.messages, model)
    encode = node_encoder(task, model, edges)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    order, draw = (task.generator(f"{session.stage}/{purpose}") for purpose in ("order", "negatives"))
    shuffle = Shuffle(len(edges), settings.batch_size, order)
    session.optimizer, session.resumables = optimizer, [shuffle]
    session.generators = {"order": order, "negatives": draw}
    session.resume()

    for step in session.epochs():
        loss = batch_loss(model, encode, edges, shuffle.batch(step), draw)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        session.record(step, {"total": loss}, lr=settings.lr)


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


def node_encoder(task: Task, model: HeteroRGCN, edges: AllEdges) -> Encode:
    """The cheapest way to the outputs of a batch's nodes."""
    kind = task.profile.engine.propagation
    if kind == "auto" and task.device.type == "cpu" and (model.layers, model.kind) == (2, "rgcn"):
        from flykd_console.model.propagation.batched import BatchPropagation

        return BatchPropagation(task.messages, model)
    whole = propagation(kind, task.messages, model, edges.nodes)

    def encode(model: HeteroRGCN, rows: Tensor) -> Tensor:
        output = whole(model)
        return gather(torch.cat([output[node_type] for node_type in edges.nodes]), rows)

    return encode
