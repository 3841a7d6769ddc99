"""Everything of one seed that is derived from graph and split, prepared when it is first asked for, and once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import EvaluationPairs, evaluation_pairs
from flykd_console.graph.split.relatives import kin_relations, steps_from
from flykd_console.graph.split.replaced_heads import replaced_heads
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.model.biases import LinkBiases
from flykd_console.model.degree_inputs import put_degrees
from flykd_console.model.disease_pooling import pooling_maps
from flykd_console.model.encoded import Encoded, Encoder
from flykd_console.model.link_encoder import LinkEncoder, Pooling
from flykd_console.model.link_model import LinkModel
from flykd_console.model.link_tables import LinkTables, TableEncoder
from flykd_console.model.message_graph import Hidden, MessageGraph
from flykd_console.model.receptive_field import linked_nodes
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.seeding import torch_rng
from flykd_console.tasks.link_prediction import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
    from flykd_console.graph.split.edge_split import EdgeSplit
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.schema import Profile
    from flykd_console.profile.sections import Shape


@dataclass(frozen=True)
class LinkData:
    """One seed of a run on one graph.

    Attributes:
        graph: The knowledge graph, its targets all pointing the same way.
        targets: The relations that are learnt and scored.
    """

    profile: Profile
    graph: KnowledgeGraph
    targets: Targets
    seed: int
    device: torch.device

    @cached_property
    def split(self) -> EdgeSplit:
        return split_graph(self.graph, self.targets, self.profile.split, self.seed)

    @cached_property
    def distances(self) -> dict[str, NDArray[np.int64]]:
        """By relation the steps from every tail to the nearest one with a training edge of it, int64 [N_tail].

        -1: no way leads to one. Empty where the graph has no edges between tails.
        """
        if not kin_relations(self.told, self.targets.tail):
            return {}
        found = {}
        for target in self.targets:
            trained = np.zeros(self.graph.count(self.targets.tail), dtype=np.bool_)
            trained[self.split.train[target][1]] = True
            found[target.relation] = steps_from(self.told, self.targets.tail, trained)
        return found

    @cached_property
    def told(self) -> KnowledgeGraph:
        """The graph that is shown beside a model: whole, or under a split by time as it was when training ended."""
        if self.split.kind != "by_time":
            return self.graph
        return replace(self.graph, edges=self.split.train, dates=None)

    @cached_property
    def node_counts(self) -> dict[str, int]:
        return {node_type: self.graph.count(node_type) for node_type in sorted(self.graph.nodes)}

    @cached_property
    def messages(self) -> MessageGraph:
        return MessageGraph.of(self.split.carrying, self.node_counts)

    @cached_property
    def looped_messages(self) -> MessageGraph:
        """The same, and from every node to itself."""
        return self.messages.with_self_loops()

    @cached_property
    def pooling(self) -> Pooling | None:
        """Per relation the pooling map; None where it is off or the graph has no profile relation."""
        count = self.node_counts[self.targets.tail]
        return pooling_maps(self.split.carrying, self.targets, count, self.profile.graph.pooling)

    @cached_property
    def space(self) -> PairSpace:
        """The training support: per relation the heads and tails with an edge."""
        return PairSpace(self.targets, self.split.train, self.device, candidates=self._candidates)

    @cached_property
    def _whole_space(self) -> PairSpace:
        """The training support, and every linked tail."""
        linked = linked_nodes(self.messages).get(self.targets.tail)
        return PairSpace(self.targets, self.split.train, self.device, also=linked, candidates=self._candidates)

    @cached_property
    def _list_space(self) -> PairSpace:
        """The training support, and every linked head and tail."""
        linked = linked_nodes(self.messages)
        return PairSpace(
            self.targets,
            self.split.train,
            self.device,
            also=linked.get(self.targets.tail),
            also_heads=linked.get(self.targets.head),
            candidates=self._candidates,
        )

    @cached_property
    def _candidates(self) -> NDArray[np.int64] | None:
        """Heads that may replace one in a negative, whatever the relation; None: those of the relation's edges."""
        if self.profile.negatives.candidates == "relation":
            return None
        return linked_nodes(self.messages).get(self.targets.head)

    def distilling_space(self, distill: Distill) -> PairSpace:
        """Where a student's labels live: the training support, with every linked node that its sources name besides."""
        if "pseudo_lists" in distill.sources:
            return self._list_space
        return self.space if distill.random_graph.unseen == 0.0 else self._whole_space

    def evaluation(self, part: str) -> list[EvaluationPairs]:
        """Stored pairs of `validation` or `test`, per target relation."""
        return evaluation_pairs(self.graph, self.split, part, self.seed, self.profile.split.filter_negatives)

    @cached_property
    def replaced_heads(self) -> dict[str, dict[str, list[EvaluationPairs]]]:
        """Per part and metric the pairs whose negatives keep the tail, per target relation."""
        return {
            part: {
                metric: replaced_heads(self.split, part, self.seed, by_degree=by_degree)
                for metric, by_degree in names.REPLACED_HEADS.items()
            }
            for part in names.SCORED
        }

    @cached_property
    def calibration(self) -> list[EvaluationPairs]:
        """Validation pairs by which scores become probabilities: positives, and negatives that replace either end.

        Stored negatives keep the head, so that by them alone a score of the head says nothing.
        """
        found = []
        heads_replaced = self.replaced_heads["validation"]["macro_auprc_head"]
        for stored, other in zip(self.evaluation("validation"), heads_replaced, strict=True):
            false = other.labels == 0
            found.append(
                EvaluationPairs(
                    relation=stored.relation,
                    heads=np.concatenate([stored.heads, other.heads[false]]),
                    tails=np.concatenate([stored.tails, other.tails[false]]),
                    labels=np.concatenate([stored.labels, other.labels[false]]),
                )
            )
        return found

    def generator(self, purpose: str) -> torch.Generator:
        """An independent generator on the device for one purpose of this seed."""
        return torch_rng(self.seed, purpose, self.device)

    @cached_property
    def training(self) -> TrainingEdges:
        """All that a heuristic may see."""
        return TrainingEdges(self.split.carrying, self.targets, self.node_counts, self.seed)

    @cached_property
    def head_degrees(self) -> dict[str, NDArray[np.int64]]:
        """Per relation how many training edges each head has, int64 [N_head]."""
        count = self.node_counts[self.targets.head]
        return {t.relation: np.bincount(self.split.train[t][0], minlength=count) for t in self.targets}

    def new_model(self, shape: Shape, stream: str) -> LinkModel:
        """A fresh model; weights and inputs follow from the seed and the name of the stream, drawn on the CPU."""
        rng = torch_rng(self.seed, f"model/{stream}")
        if shape.kind == "table":
            tails = self.node_counts[self.targets.tail]
            return LinkTables(self.targets, self.head_degrees, tails, shape.dim, rng).to(self.device)
        types = (self.looped_messages if shape.self_loop else self.messages).edge_types
        learns_inputs = shape.inputs == "learnt"
        model = HeteroRGCN(
            self.node_counts, types, shape.dim, rng, shape.layers, shape.kind, shape.aggregation, learns_inputs
        )
        if shape.degrees:
            put_degrees(model.inputs, self.messages)
        if shape.biases != "none":
            degrees, tails = list(self.head_degrees.values()), self.node_counts[self.targets.tail]
            model.biases = LinkBiases(shape.biases, degrees, tails, shape.popularity)
        return model.to_device(self.device)

    def messages_of(self, model: HeteroRGCN) -> MessageGraph:
        """The edges that carry a network's messages."""
        return self.looped_messages if len(model.edge_types) > len(self.messages.edge_types) else self.messages

    def encoder(
        self,
        model: LinkModel,
        heads: NDArray[np.int64],
        tails: dict[str, NDArray[np.int64]],
        hidden: Hidden | None = None,
    ) -> Encoder:
        """Embeddings for a choice of heads and, per relation, tails; `hidden`: layer outputs besides."""
        if isinstance(model, LinkTables):
            return TableEncoder(model, self.targets, heads, tails)
        kind = self.profile.engine.propagation
        return LinkEncoder(kind, self.messages_of(model), model, self.pooling, self.targets, heads, tails, hidden)

    def space_encoder(self, model: LinkModel, space: PairSpace, hidden: Hidden | None = None) -> Encoder:
        """The encoder of a space's pairs."""
        return self.encoder(model, space.heads, space.tails, hidden)

    @torch.no_grad()
    def encode_all(self, model: LinkModel) -> Encoded:
        """Embeddings of every node of the head type and, pooled per relation, of the tail type; on the CPU."""
        heads = np.arange(self.node_counts[self.targets.head])
        tails = {target.relation: np.arange(self.node_counts[target.tail]) for target in self.targets}
        encoded = self.encoder(model, heads, tails)(model)
        return Encoded(
            head=encoded.head.cpu(),
            tails={relation: x.cpu() for relation, x in encoded.tails.items()},
            relation={relation: x.detach().cpu().clone() for relation, x in encoded.relation.items()},
            tail=encoded.tail.cpu(),
        )
