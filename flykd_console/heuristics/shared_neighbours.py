"""How many nodes of a third type, such as proteins, have a training edge to both ends."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import scipy.sparse as sp

from flykd_console.heuristics.base import Heuristic

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Nodes, Scores


class SharedNeighbours(Heuristic):
    """score(i, drug) = number of nodes of other types that are neighbours of both."""

    words = "nodes of other types, such as proteins, with an edge to both"

    @cached_property
    def _both(self) -> tuple[sp.csr_array, sp.csr_array]:
        """Neighbours of third types, binary: of the tails [N_tail, N] and of the heads [N_head, N]."""
        training = self.training
        ends = (training.targets.tail, training.targets.head)
        third = sorted(set(training.counts) - set(ends))
        sides = []
        for node_type in ends:
            blocks = []
            for other in third:
                found = [
                    matrix
                    for edge_type, matrix in training.incidence(node_type).items()
                    if other in (edge_type.head, edge_type.tail)
                ]
                total = sum(found, sp.csr_array((training.counts[node_type], training.counts[other])))
                blocks.append(sp.csr_array(total))
            sides.append(sp.csr_array(sp.hstack(blocks)) if blocks else sp.csr_array((training.counts[node_type], 0)))
        for side in sides:
            side.data[:] = 1.0
        return sides[0], sides[1]

    @cached_property
    def _columns(self) -> sp.csr_array:
        """Neighbours of the heads, one column a head, as products want them: [N, N_head]."""
        return sp.csr_array(self._both[1].T)

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes | None = None) -> Scores:
        of_tails, of_heads = self._both
        columns = self._columns if heads is None else sp.csr_array(of_heads[heads].T)
        scores: Scores = (of_tails[tails] @ columns).toarray()
        return scores


HEURISTIC = SharedNeighbours
