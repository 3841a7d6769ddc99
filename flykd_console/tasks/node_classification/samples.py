"""The nodes of one graph as samples: all are looked at in every step, and those of the training part have labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.data.attributed import PARTS, AttributedGraph, Integers, fingerprint_of
from flykd_console.data.node_splits import split_nodes
from flykd_console.data.perturb import retyped
from flykd_console.distill.cohort.lessons import Answers
from flykd_console.model.encoders.network import SampleNetwork, Sight
from flykd_console.model.feature_rows import FeatureRows
from flykd_console.model.neighbourhoods import Messages, Neighbourhoods
from flykd_console.tasks.classification.samples import Samples, Step

if TYPE_CHECKING:
    from flykd_console.data.perturb import Perturbation
    from flykd_console.profile.cohort import Network
    from flykd_console.profile.samples import Data
    from flykd_console.profile.sections import Engine

# Keys of sights: what is learnt from, and what is measured on.
_LEARNT, _WHOLE = 0, 1


class NodeSamples(Samples):
    """Nodes of a graph; split by time, training sees no node of a later part and no edge to one."""

    def __init__(self, graph: AttributedGraph, data: Data, engine: Engine, seed: int, device: torch.device) -> None:
        super().__init__()
        used = graph.normalised() if data.normalise_features else graph
        self.source, self.labels, self.classes = graph.source, graph.labels, graph.classes
        self.nodes, self.edges = graph.nodes, len(graph.edges)
        self._used, self._seed, self._messages = used, seed, engine.messages
        self.features, self.normalised = graph.features.shape[1], data.normalise_features
        self.relations = graph.relations
        self.parts = split_nodes(graph, data, seed)
        self._fingerprint = f"{graph.fingerprint}, normalised" if data.normalise_features else graph.fingerprint
        self._whole = Sight(
            FeatureRows(used.features, device), around_of(used, graph.edges, graph.typed, device, engine.messages)
        )
        self._learnt, self._numbers = self._whole, np.arange(graph.nodes)
        if data.split == "by_time":
            self._learnt, self._numbers = _up_to(used, self.parts["train"], device, engine)
        labelled = np.searchsorted(self._numbers, self.parts["train"])
        answers = Answers(
            labels=torch.from_numpy(graph.labels[self.parts["train"]]).to(device),
            labelled=torch.from_numpy(labelled.astype(np.int64)).to(device),
            rows=None if self._learnt is self._whole else torch.from_numpy(self._numbers.astype(np.int64)).to(device),
        )
        key = _WHOLE if self._learnt is self._whole else _LEARNT
        self._step = Step(key, self._learnt, answers)
        self._members = {part: torch.from_numpy(self.parts[part]).to(device) for part in PARTS}

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"graph": self._fingerprint, "split": fingerprint_of(self.parts)}

    def network(self, settings: Network, generator: torch.Generator) -> SampleNetwork:
        return SampleNetwork(settings, self._whole.features.shape[1], self.classes, generator, relations=self.relations)

    def steps(self, epoch: int) -> Iterator[Step]:
        yield self._step

    def answers_of(self, network: SampleNetwork) -> dict[str, Tensor]:
        logits = self.seen(network, _WHOLE, self._whole).logits
        return {part: logits[nodes] for part, nodes in self._members.items()}

    def perturbed(self, perturbation: Perturbation) -> Callable[[SampleNetwork], Tensor]:
        one = np.zeros(self.nodes, dtype=np.int64)
        edges, features = perturbation.applied(self._used.edges, self._used.features, one, self._seed)
        rows, device = self._whole.features, self._whole.features.device
        if features is not self._used.features:
            rows = FeatureRows(features, device)
        typed = self._used.typed
        if typed is not None and edges is not self._used.edges:
            typed = retyped(typed, edges, perturbation.rng(self._seed))
        sight = Sight(rows, around_of(self._used, edges, typed, device, self._messages))
        tested = self._members["test"]

        @torch.no_grad()
        def answers(network: SampleNetwork) -> Tensor:
            return network.see(sight).logits[tested]

        return answers

    def everything(self, network: SampleNetwork) -> tuple[Tensor, Tensor]:
        seen = self.seen(network, _WHOLE, self._whole)
        assert seen.embedding is not None
        return seen.logits, seen.embedding

    def sample_ids(self, part: str) -> list[str]:
        return [str(node) for node in self.parts[part]]

    @property
    def whole(self) -> Sight:
        """All nodes and edges."""
        return self._whole


def around_of(
    graph: AttributedGraph, edges: Integers, typed: Integers | None, device: torch.device, messages: Messages
) -> Neighbourhoods:
    """The neighbourhoods of a graph's nodes by some edges, and by these with their relations."""
    return Neighbourhoods(edges, graph.nodes, device, messages, typed, graph.relations)


def _up_to(graph: AttributedGraph, nodes: Integers, device: torch.device, engine: Engine) -> tuple[Sight, Integers]:
    """The graph of some nodes alone, and their numbers: what is known before anything later is."""
    inside = np.isin(graph.edges, nodes).all(axis=1)
    edges = np.searchsorted(nodes, graph.edges[inside])
    typed = None
    if graph.typed is not None:
        kept = graph.typed[np.isin(graph.typed[:, :2], nodes).all(axis=1)]
        typed = np.column_stack([np.searchsorted(nodes, kept[:, :2]), kept[:, 2]])
    around = Neighbourhoods(edges, len(nodes), device, engine.messages, typed, graph.relations)
    return Sight(FeatureRows(graph.features[nodes], device), around), nodes
