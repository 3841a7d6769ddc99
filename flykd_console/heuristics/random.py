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

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        columns = np.arange(self.training.heads) if heads is None else heads
        # A tail's draws are in the order of the heads, so those before the last one asked for are drawn, too.
        row = np.empty(columns.max(initial=-1) + 1)
        scores = np.empty((len(tails), len(columns)))
        for number, tail in enumerate(tails):
            numpy_rng(self.training.seed, f"heuristic/random/{target.relation}/{tail}").random(out=row)
            scores[number] = row[columns]
        return scores


HEURISTIC = Random
