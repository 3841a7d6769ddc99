"""Rankings of a part, in both directions: which heads (drugs) go with a tail (a disease), and which tails with a head.

For a relation and a tail with at least one true pair of the part (test or validation), all candidate heads are ranked
by their score, except those that are true pairs of the same relation and tail in an earlier part (the filtered
protocol): in training, and for the test in validation too. Labels that `split.hops` left out of every part are not
ranked either. Candidates are the heads with at least one training edge of any relation: of nothing else anything was
learnt. A part's head without one cannot be ranked and counts as not found.
The other direction is the same with the two ends exchanged.

Equal scores are broken at random by one draw, which follows from the seed, the part, the relation and the direction:
a pair's noise is the same for every model of a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.runs.results import RankingScores
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.link_prediction.ranks import RowMetrics, rank_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, Pairs
    from flykd_console.graph.split.edge_split import EdgeSplit
    from flykd_console.tasks.link_prediction.ranks import Floats
    from flykd_console.tasks.link_prediction.scorers import Scorer

    Nodes = NDArray[np.int64]


@dataclass(frozen=True)
class Ranked:
    """One relation's rankings of a part, one a node that was asked for.

    Attributes:
        nodes: Whose partners were ranked, int64 [n], ascending.
        true: True partners of each in the part, those among them that are no candidates, int64 [n].
        candidates: How many nodes were ranked, before known pairs are left out.
        metrics: Per metric every node's value, and what the best order would reach.
    """

    nodes: Nodes
    true: Nodes
    candidates: int
    metrics: RowMetrics

    @property
    def scores(self) -> RankingScores:
        """Means over the nodes."""
        found = {name: float(values.mean()) for name, values in self.metrics.found.items()}
        ideal = {name: float(values.mean()) for name, values in self.metrics.ideal.items()}
        return RankingScores(**found, ideal=ideal, tails=len(self.nodes), candidates=self.candidates)


def rank_heads(split: EdgeSplit, part: str, scorer: Scorer, seed: int) -> dict[str, Ranked]:
    """Heads ranked for each tail with a true pair of a part, per relation that has some.

    Args:
        part: `test` or `validation`.
        seed: Of the run.
    """
    candidates = split.linked(split.targets.head)
    found = {}
    for target in split.targets:
        heads, tails = split.part(part)[target]
        if len(heads) == 0:
            continue
        known = split.known_before(part, target)

        def block(some: Nodes, target: EdgeType = target) -> Floats:
            return scorer.block(target, some, candidates)

        rng = numpy_rng(seed, f"ties/{part}/{target.relation}/heads")
        found[target.relation] = _rank(block, candidates, (tails, heads), (known[1], known[0]), rng)
    return found


def rank_tails(split: EdgeSplit, part: str, scorer: Scorer, seed: int) -> dict[str, Ranked]:
    """Tails ranked for each head with a true pair of a part, per relation that has some; arguments as before."""
    candidates = split.linked(split.targets.tail)
    found = {}
    for target in split.targets:
        wanted = split.part(part)[target]
        if len(wanted[0]) == 0:
            continue

        def block(some: Nodes, target: EdgeType = target) -> Floats:
            return scorer.block(target, candidates, some).T

        rng = numpy_rng(seed, f"ties/{part}/{target.relation}/tails")
        found[target.relation] = _rank(block, candidates, wanted, split.known_before(part, target), rng)
    return found


def _rank(
    block: Callable[[Nodes], Floats], candidates: Nodes, wanted: Pairs, known: Pairs, rng: np.random.Generator
) -> Ranked:
    """Candidates ranked for every node of `wanted`.

    Args:
        block: Scores of some nodes with every candidate, float [nodes, candidates].
        wanted: Nodes and their true partners, int64 [n] each, at least one; a pair that stands twice counts once.
        known: Nodes and partners of earlier parts, which are not ranked.
    """
    pairs = np.unique(np.stack(wanted), axis=1)
    nodes, row = np.unique(pairs[0], return_inverse=True)
    relevant = np.bincount(row)
    true = _cells(nodes, candidates, (pairs[0], pairs[1]))
    hidden = _cells(nodes, candidates, known)
    shape = len(nodes), len(candidates)
    metrics = rank_rows(lambda some: block(nodes[some]), shape, true, hidden, relevant, rng)
    return Ranked(nodes, relevant, len(candidates), metrics)


def _cells(nodes: Nodes, candidates: Nodes, pairs: Pairs) -> Pairs:
    """Rows and columns of those pairs whose two ends are in the table."""
    (row, in_rows), (column, in_columns) = _positions(nodes, pairs[0]), _positions(candidates, pairs[1])
    inside = in_rows & in_columns
    return row[inside], column[inside]


def _positions(sorted_nodes: Nodes, wanted: Nodes) -> tuple[Nodes, NDArray[np.bool_]]:
    """Where each of some nodes stands in an ascending list, and whether it does."""
    if len(sorted_nodes) == 0:
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    at = np.minimum(np.searchsorted(sorted_nodes, wanted), len(sorted_nodes) - 1)
    return at, sorted_nodes[at] == wanted
