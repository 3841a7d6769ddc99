"""Negatives for evaluation: one per positive, drawn once per part and stored with the run, so that every model and
program is measured on the same pairs. A split that brings its own negatives has them used as they stand. (Training
draws fresh ones each epoch, on the device: `distill.labels.sources`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.seeding import numpy_rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
    from flykd_console.graph.split.edge_split import EdgeSplit

_REDRAWS = 100


@dataclass(frozen=True)
class EvaluationPairs:
    """Pairs of one relation with their labels: int64 [n], int64 [n], float32 [n]; positives first. May be empty."""

    relation: str
    heads: NDArray[np.int64]
    tails: NDArray[np.int64]
    labels: NDArray[np.float32]

    @property
    def positives(self) -> int:
        """How many of the pairs are true."""
        return int(np.count_nonzero(self.labels))


def evaluation_pairs(
    graph: KnowledgeGraph, split: EdgeSplit, part: str, seed: int, filter_true: bool = False
) -> list[EvaluationPairs]:
    """Positives of a part and 1:1 negatives: the head stays, the tail is uniform over the part's tails of the relation.

    Where the split asks for it (`EdgeSplit.replaced`), the test's negatives keep the tail instead, and the head is
    uniform over the heads that the relation trains on. Stored negatives take the place of drawn ones.

    Args:
        filter_true: Draw again where the negative is a true pair of the relation anywhere in the graph; in validation
            but for those of the test and those without a date, of which nothing is told there. A pair that is still
            true after 100 draws stays as it is (a head linked to every tail has no negative).
    """
    return [_of_relation(graph, split, part, target, seed, filter_true) for target in split.targets]


@dataclass(frozen=True)
class TrueNegatives:
    """Stored negatives that are true pairs after all; they count as negatives all the same.

    Attributes:
        count: How many are true pairs of their relation somewhere in the graph.
        trained: How many of these are training pairs, which a model has been told to be true.
        stored: Of how many.
    """

    count: int
    trained: int
    stored: int


def true_negatives(graph: KnowledgeGraph, split: EdgeSplit, target: EdgeType, pairs: EvaluationPairs) -> TrueNegatives:
    """How many stored negatives of a relation are true."""
    width = graph.count(target.tail)
    false = pairs.labels == 0
    keys = pairs.heads[false] * width + pairs.tails[false]
    anywhere, trained = (
        int(np.isin(keys, heads * width + tails).sum()) for heads, tails in (graph.edges[target], split.train[target])
    )
    return TrueNegatives(anywhere, trained, len(keys))


def has_negatives(graph: KnowledgeGraph, split: EdgeSplit, target: EdgeType) -> bool:
    """Whether some test negative of a relation could be a pair that is not true; also where nothing is tested."""
    heads, tails = split.test[target]
    if len(heads) == 0 or target in split.negatives.get("test", {}):
        return True
    replace_head = split.replaced == "head"
    kept, candidates = (tails, _candidates(split, "test", target)) if replace_head else (heads, np.unique(tails))
    known_kept, known = graph.edges[target][::-1] if replace_head else graph.edges[target]
    among = np.isin(known, candidates)
    pairs = np.unique(np.stack([known_kept[among], known[among]]), axis=1)
    partners = np.bincount(pairs[0], minlength=int(kept.max()) + 1)
    return bool((partners[np.unique(kept)] < len(candidates)).any())


def _candidates(split: EdgeSplit, part: str, target: EdgeType) -> NDArray[np.int64]:
    """What takes the place of the replaced end: heads that the relation trains on, or the part's own tails."""
    replace_head = part == "test" and split.replaced == "head"
    return np.unique(split.train[target][0] if replace_head else split.part(part)[target][1])


def _of_relation(
    graph: KnowledgeGraph, split: EdgeSplit, part: str, target: EdgeType, seed: int, filter_true: bool
) -> EvaluationPairs:
    heads, tails = split.part(part)[target]
    stored = split.negatives.get(part, {}).get(target)
    if stored is not None:
        return _together(target, (heads, tails), stored)
    if len(heads) == 0:
        return _together(target, (heads, tails), (heads, tails))
    replace_head = part == "test" and split.replaced == "head"
    candidates = _candidates(split, part, target)
    rng = numpy_rng(seed, f"negatives/{part}/{target.relation}")
    drawn = rng.choice(candidates, size=len(heads))
    width = graph.count(target.tail)
    if filter_true:
        true = _told(graph, split, part, target, width)
        for _ in range(_REDRAWS):
            keys = drawn * width + tails if replace_head else heads * width + drawn
            wrong = np.flatnonzero(np.isin(keys, true))
            if len(wrong) == 0:
                break
            drawn[wrong] = rng.choice(candidates, size=len(wrong))
    return _together(target, (heads, tails), (drawn, tails) if replace_head else (heads, drawn))


def _told(graph: KnowledgeGraph, split: EdgeSplit, part: str, target: EdgeType, width: int) -> NDArray[np.int64]:
    """Keys of the true pairs that the negatives of a part may know of, int64 [n], ascending."""
    heads, tails = graph.edges[target]
    true = np.unique(heads * width + tails)
    if part == "test":
        return true
    nothing = np.zeros(0, dtype=np.int64)
    for hidden in (split.test[target], split.undated.get(target, (nothing, nothing))):
        true = np.setdiff1d(true, hidden[0] * width + hidden[1])
    return true


def _together(target: EdgeType, true: Pairs, false: Pairs) -> EvaluationPairs:
    return EvaluationPairs(
        relation=target.relation,
        heads=np.concatenate([true[0], false[0]]),
        tails=np.concatenate([true[1], false[1]]),
        labels=np.repeat(np.array([1.0, 0.0], dtype=np.float32), [len(true[0]), len(false[0])]),
    )
