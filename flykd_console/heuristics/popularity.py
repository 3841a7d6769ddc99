"""The head's training degree in the relation: popular drugs first, whatever the disease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.heuristics.base import Heuristic, TrainingEdges

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores


class Popularity(Heuristic):
    """score(i, drug) = number of the drug's training edges of the relation."""

    words = "the head's training edges of the relation"

    def __init__(self, training: TrainingEdges) -> None:
        super().__init__(training)
        self._degrees: dict[EdgeType, Scores] = {}

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        degree = self._degree(target)
        if heads is not None:
            degree = degree[heads]
        return np.repeat(degree[None], len(tails), axis=0)

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> Scores:
        return self._degree(target)[heads]

    def _degree(self, target: EdgeType) -> Scores:
        """Training edges of every head, float64 [N_head]."""
        if target not in self._degrees:
            self._degrees[target] = np.asarray(self.training.labels(target).sum(axis=0))
        return self._degrees[target]


HEURISTIC = Popularity
