"""The head's training degree in the relation: popular drugs first, whatever the disease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.heuristics.base import Heuristic

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores


class Popularity(Heuristic):
    """score(i, drug) = number of the drug's training edges of the relation."""

    words = "the head's training edges of the relation"

    def block(self, target: EdgeType, tails: Nodes) -> Scores:
        degree = self.training.labels(target).sum(axis=0)
        return np.broadcast_to(degree, (len(tails), len(degree))).copy()


HEURISTIC = Popularity
