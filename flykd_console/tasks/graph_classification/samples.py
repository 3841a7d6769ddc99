"""Graphs as samples: those of a fold's training part in steps, every part looked at as a union of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.data.attributed import PARTS, Integers, fingerprint_of
from flykd_console.data.graph_set import GraphSet
from flykd_console.distill.cohort.lessons import Answers
from flykd_console.errors import UserError
from flykd_console.model.encoders.network import SampleNetwork, Sight
from flykd_console.model.feature_rows import FeatureRows
from flykd_console.model.neighbourhoods import Neighbourhoods
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.classification.samples import Samples, Step

if TYPE_CHECKING:
    from flykd_console.data.perturb import Perturbation
    from flykd_console.profile.cohort import Network
    from flykd_console.profile.sections import Engine

# Of a fold's training part so much is kept for validation, of each class alike.
_VALIDATION = 0.1


class GraphSamples(Samples):
    """The graphs of one fold: seed K tests fold K + 1.

    Args:
        graphs: The set.
        batch: Graphs a step; 0: all at once.
        engine: Who carries attention.
        seed: Names the fold, and draws validation and batches.
        device: Where sights are kept.

    Raises:
        UserError: There is no such fold, or a class of it has no graph to train on.
    """

    def __init__(self, graphs: GraphSet, batch: int, engine: Engine, seed: int, device: torch.device) -> None:
        super().__init__()
        self._graphs, self._batch, self._engine, self._seed, self._device = graphs, batch, engine, seed, device
        self.source, self.labels, self.classes = graphs.source, graphs.labels, graphs.classes
        self.nodes, self.edges = graphs.nodes, len(graphs.edges)
        self.features, self.normalised = graphs.features.shape[1], False
        self.parts = _parts(graphs, seed)
        self._sights = {part: self._sight(self.parts[part]) for part in PARTS}

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"graph": self._graphs.fingerprint, "split": fingerprint_of(self.parts)}

    def network(self, settings: Network, generator: torch.Generator) -> SampleNetwork:
        return SampleNetwork(settings, self._graphs.features.shape[1], self.classes, generator, of_graphs=True)

    def steps(self, epoch: int) -> Iterator[Step]:
        train = self.parts["train"]
        if self._batch == 0 or self._batch >= len(train):
            yield Step(0, self._sights["train"], self._answers(train))
            return
        # Drawn by the epoch alone, so that a resumed stage goes on with the batches of one that never stopped.
        order = numpy_rng(self._seed, f"batches/{epoch}").permutation(train)
        for first in range(0, len(order), self._batch):
            chosen = np.sort(order[first : first + self._batch])
            yield Step(None, self._sight(chosen), self._answers(chosen))

    def answers_of(self, network: SampleNetwork) -> dict[str, Tensor]:
        return {
            part: self.seen(network, number, self._sights[part]).logits for number, part in enumerate(PARTS) if number
        }

    def perturbed(self, perturbation: Perturbation) -> Callable[[SampleNetwork], Tensor]:
        """Features stay what they are where edges change, also where they were made of degrees."""
        sight = self._sight(self.parts["test"], perturbation)

        @torch.no_grad()
        def answers(network: SampleNetwork) -> Tensor:
            return network.see(sight).logits

        return answers

    def everything(self, network: SampleNetwork) -> tuple[Tensor, Tensor]:
        found = [self.seen(network, number, self._sights[part]) for number, part in enumerate(PARTS)]
        order = np.concatenate([self.parts[part] for part in PARTS])
        # A fold's parts need not hold every graph of the set.
        rest = np.setdiff1d(np.arange(len(self.labels)), order)
        if len(rest):
            found.append(self.seen(network, None, self._sight(rest)))
        back = torch.from_numpy(np.argsort(np.concatenate([order, rest]))).to(self._device)
        rows = [seen.embedding for seen in found if seen.embedding is not None]
        return torch.cat([seen.logits for seen in found])[back], torch.cat(rows)[back]

    def sample_ids(self, part: str) -> list[str]:
        return [str(graph) for graph in self.parts[part]]

    def _answers(self, chosen: Integers) -> Answers:
        return Answers(
            labels=torch.from_numpy(self.labels[chosen]).to(self._device),
            labelled=torch.arange(len(chosen), device=self._device),
            rows=torch.from_numpy(chosen).to(self._device),
        )

    def _sight(self, chosen: Integers, perturbation: Perturbation | None = None) -> Sight:
        """The disjoint union of some graphs, ascending; maybe changed."""
        graphs = self._graphs
        nodes = np.flatnonzero(np.isin(graphs.graph_of, chosen))
        inside = np.isin(graphs.graph_of[graphs.edges[:, 0]], chosen)
        edges = np.searchsorted(nodes, graphs.edges[inside])
        belongs = np.searchsorted(chosen, graphs.graph_of[nodes])
        features = graphs.features[nodes]
        if perturbation is not None:
            edges, features = perturbation.applied(edges, features, belongs, self._seed)
        return Sight(
            FeatureRows(features, self._device),
            Neighbourhoods(edges, len(nodes), self._device, self._engine.messages),
            torch.from_numpy(belongs.astype(np.int64)).to(self._device),
            len(chosen),
        )


def _parts(graphs: GraphSet, seed: int) -> dict[str, Integers]:
    if seed >= len(graphs.folds):
        there = f"there are folds for seeds 0 to {len(graphs.folds) - 1}" if graphs.folds else "it has no folds"
        raise UserError(
            f"seed {seed} has no fold: {there}", f"run.seeds, data.source = {graphs.source}",
            "Folds stand in a folder 10fold_idx beside the file.",
        )  # fmt: skip
    fold = graphs.folds[seed]
    rng = numpy_rng(seed, "validation graphs")
    validation = []
    for label in range(graphs.classes):
        own = rng.permutation(fold.train[graphs.labels[fold.train] == label])
        kept = max(1, round(_VALIDATION * len(own)))
        if len(own) - kept < 1:
            raise UserError(
                f"class {label} has {len(own)} graphs to learn from, but two are the least", f"fold {seed + 1}"
            )
        validation.append(own[:kept])
    chosen = np.sort(np.concatenate(validation)).astype(np.int64)
    return {"train": np.setdiff1d(fold.train, chosen), "validation": chosen, "test": fold.test}
