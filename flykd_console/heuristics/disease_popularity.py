"""The tail's training edges of all relations: blind to the head, and what a metric that keeps the head rewards."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.heuristics.base import Heuristic

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores


class DiseasePopularity(Heuristic):
    """score(disease, drug) = number of the disease's training edges."""

    words = "the tail's training edges of all relations"

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        count = self.training.heads if heads is None else len(heads)
        return np.repeat(self._degree[tails, None], count, axis=1)

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> Scores:
        return self._degree[tails]

    @cached_property
    def _degree(self) -> Scores:
        """Training edges of every tail, float64 [N_tail]."""
        training = self.training
        degree = np.zeros(training.tails)
        for edge_type, ends in training.edges.items():
            for node_type, nodes in zip((edge_type.head, edge_type.tail), ends, strict=True):
                if node_type == training.targets.tail:
                    degree += np.bincount(nodes, minlength=training.tails)
        return degree


HEURISTIC = DiseasePopularity
