"""Negatives for evaluation: one per positive, drawn once per part and stored with the run, so that every model and
program is measured on the same pairs. (Training draws fresh ones each epoch, on the device: `distill.objectives`.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.split import EdgeSplit
from flykd_console.seeding import numpy_rng

_REDRAWS = 100


@dataclass(frozen=True)
class EvaluationPairs:
    """Pairs of one relation with their labels: int64 [n], int64 [n], float32 [n]; positives first."""

    relation: str
    heads: NDArray[np.int64]
    tails: NDArray[np.int64]
    labels: NDArray[np.float32]


def evaluation_pairs(
    graph: KnowledgeGraph, split: EdgeSplit, part: str, seed: int, filter_true: bool = False
) -> list[EvaluationPairs]:
    """Positives of a part and 1:1 negatives: the head stays, the tail is uniform over the part's tails of the relation.

    Args:
        filter_true: Draw again where the negative is a true pair of the relation anywhere in the graph; a pair that is
            still true after 100 draws stays as it is (a head linked to every tail has no negative).
    """
    return [_of_relation(graph, split, part, target, seed, filter_true) for target in split.targets]


def _of_relation(
    graph: KnowledgeGraph, split: EdgeSplit, part: str, target: EdgeType, seed: int, filter_true: bool
) -> EvaluationPairs:
    heads, tails = split.part(part)[target]
    candidates = np.unique(tails)
    rng = numpy_rng(seed, f"negatives/{part}/{target.relation}")
    negatives = rng.choice(candidates, size=len(heads))
    if filter_true:
        width = graph.count(target.tail)
        true = np.unique(graph.edges[target][0] * width + graph.edges[target][1])
        for _ in range(_REDRAWS):
            wrong = np.flatnonzero(np.isin(heads * width + negatives, true))
            if len(wrong) == 0:
                break
            negatives[wrong] = rng.choice(candidates, size=len(wrong))
    return EvaluationPairs(
        relation=target.relation,
        heads=np.concatenate([heads, heads]),
        tails=np.concatenate([tails, negatives]),
        labels=np.concatenate([np.ones(len(heads)), np.zeros(len(heads))]).astype(np.float32),
    )
