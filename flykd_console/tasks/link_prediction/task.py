"""Everything of one seed that training shares: split, message graph, pooling, pair space, evaluation pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.distill.labels.pair_space import PairSpace
from flykd_console.graph.split.edge_split import EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import EvaluationPairs, evaluation_pairs
from flykd_console.model.disease_pooling import pooling_maps
from flykd_console.model.distmult import pair_logits
from flykd_console.model.link_encoder import Encoded, LinkEncoder, Pooling
from flykd_console.model.message_graph import Hidden, MessageGraph
from flykd_console.model.receptive_field import linked_nodes
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.seeding import torch_rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
    from flykd_console.profile.schema import Profile
    from flykd_console.tasks.link_prediction.metrics import Scored


@dataclass(frozen=True)
class Task:
    """One seed of a run on one graph."""

    profile: Profile
    graph: KnowledgeGraph
    targets: list[EdgeType]
    seed: int
    device: torch.device

    @cached_property
    def split(self) -> EdgeSplit:
        return split_graph(self.graph, self.targets, self.profile.split, self.seed)

    @cached_property
    def node_counts(self) -> dict[str, int]:
        return {node_type: self.graph.count(node_type) for node_type in sorted(self.graph.nodes)}

    @cached_property
    def messages(self) -> MessageGraph:
        return MessageGraph.of(self.split.train, self.node_counts)

    @cached_property
    def pooling(self) -> Pooling | None:
        """Per relation the pooling map; None where it is off or the graph has no profile relation."""
        count = self.node_counts[self.targets[0].tail]
        return pooling_maps(self.split.train, self.targets, count, self.profile.graph.pooling)

    @cached_property
    def space(self) -> PairSpace:
        return PairSpace(self.targets, self.split.train, self.device)

    @cached_property
    def distilling_space(self) -> PairSpace:
        """Where a student's labels live: the training support, and every linked tail where some are drawn unseen."""
        if self.profile.distill.random_graph.unseen == 0.0:
            return self.space
        linked = linked_nodes(self.messages).get(self.targets[0].tail)
        return PairSpace(self.targets, self.split.train, self.device, also=linked)

    def evaluation(self, part: str) -> list[EvaluationPairs]:
        """Stored pairs of `validation` or `test`, per target relation."""
        return evaluation_pairs(self.graph, self.split, part, self.seed, self.profile.split.filter_negatives)

    def generator(self, purpose: str) -> torch.Generator:
        """An independent generator on the device for one purpose of this seed."""
        return torch_rng(self.seed, purpose, self.device)

    def new_model(self, size: str, stream: str | None = None) -> HeteroRGCN:
        """A fresh model, `teacher` or `student` in size; weights and inputs follow from the seed, drawn on the CPU.

        `stream` names the draws where there are several models of a size; default: the size.
        """
        shape = self.profile.teacher if size == "teacher" else self.profile.student
        rng = torch_rng(self.seed, f"model/{stream or size}")
        types = self.messages.edge_types
        return HeteroRGCN(self.node_counts, types, shape.dim, rng, shape.layers, shape.kind).to_device(self.device)

    def encoder(
        self,
        model: HeteroRGCN,
        heads: NDArray[np.int64],
        tails: dict[str, NDArray[np.int64]],
        hidden: Hidden | None = None,
    ) -> LinkEncoder:
        """Propagation and pooling for a choice of heads and, per relation, tails; `hidden`: layer outputs besides."""
        kind = self.profile.engine.propagation
        return LinkEncoder(kind, self.messages, model, self.pooling, self.targets, heads, tails, hidden)

    def training_encoder(self, model: HeteroRGCN) -> LinkEncoder:
        """The encoder of the training support."""
        return self.encoder(model, self.space.heads, self.space.tails)

    def distilling_encoder(self, model: HeteroRGCN, hidden: Hidden | None = None) -> LinkEncoder:
        """The encoder of the pairs that a student learns from."""
        return self.encoder(model, self.distilling_space.heads, self.distilling_space.tails, hidden)


class Evaluator:
    """Scores a model on the stored pairs of one part, which has some; relations without any are left out."""

    def __init__(self, task: Task, model: HeteroRGCN, part: str) -> None:
        pairs = [pairs for pairs in task.evaluation(part) if len(pairs.heads)]
        heads = np.unique(np.concatenate([p.heads for p in pairs]))
        tails = {p.relation: np.unique(p.tails) for p in pairs}
        self._encoder = task.encoder(model, heads, tails)
        self._pairs = [
            (
                p.relation,
                torch.from_numpy(np.searchsorted(heads, p.heads)).to(task.device),
                torch.from_numpy(np.searchsorted(tails[p.relation], p.tails)).to(task.device),
                p.labels,
            )
            for p in pairs
        ]

    @torch.no_grad()
    def logits(self, model: HeteroRGCN) -> dict[str, Scored]:
        """Per relation (labels, logits), float32 [n_r] each, in the order of the stored pairs."""
        encoded = self._encoder(model)
        return {name: (labels, self._of(encoded, name, h, t)) for name, h, t, labels in self._pairs}

    def _of(self, encoded: Encoded, relation: str, heads: Tensor, tails: Tensor) -> NDArray[np.float32]:
        logits = pair_logits(encoded.head[heads], encoded.relation[relation], encoded.tails[relation][tails])
        scores: NDArray[np.float32] = logits.cpu().numpy()
        return scores
