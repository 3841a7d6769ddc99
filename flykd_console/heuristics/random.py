"""Scores drawn at random: what nothing is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.heuristics.base import Heuristic
from flykd_console.seeding import numpy_rng

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores


class Random(Heuristic):
    """Uniform, alike for one pair whenever it is asked for."""

    words = "drawn at random"

    def block(self, target: EdgeType, tails: Nodes) -> Scores:
        rows = [
            numpy_rng(self.training.seed, f"heuristic/random/{target.relation}/{tail}").random(self.training.heads)
            for tail in tails
        ]
        return np.stack(rows) if rows else np.empty((0, self.training.heads))


HEURISTIC = Random
