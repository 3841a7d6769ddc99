"""Pairs that ask which head: for each true pair of a part another one whose tail is the same and whose head is not.

What is known of the tail alone tells nothing between the two. Drawn in proportion to the training degree, popularity
of the head tells little, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.graph.split.edge_split import PARTS
from flykd_console.graph.split.negatives import EvaluationPairs
from flykd_console.seeding import numpy_rng

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.graph.split.edge_split import EdgeSplit


def replaced_heads(split: EdgeSplit, part: str, seed: int, *, by_degree: bool) -> list[EvaluationPairs]:
    """Per target the positives of a part and one negative each, never a true pair that may be known of.

    Those are the relation's true pairs in training and validation, and for the test those in the test. Validation does
    not tell which pairs are true in the test: some of its negatives may be.

    Args:
        part: `test` or `validation`.
        by_degree: Draw heads in proportion to their training edges of the relation; otherwise uniformly among those
            with a training edge of any relation. A positive whose tail leaves no such head is left out.
    """
    return [_of_relation(split, part, target, seed, by_degree) for target in split.targets]


def _of_relation(split: EdgeSplit, part: str, target: EdgeType, seed: int, by_degree: bool) -> EvaluationPairs:
    heads, tails = split.part(part)[target]
    purpose = "head-by-degree" if by_degree else "head"
    uniform = numpy_rng(seed, f"negatives/{part}/{target.relation}/{purpose}").random(len(heads))
    weight = _weights(split, target, by_degree)
    told = PARTS if part == "test" else PARTS[:2]
    known = [split.part(name)[target] for name in told]
    true_heads, true_tails = (np.concatenate([pairs[end] for pairs in known]) for end in (0, 1))
    order = np.argsort(true_tails, kind="stable")
    true_heads, true_tails = true_heads[order], true_tails[order]

    drawn = np.full(len(heads), -1, dtype=np.int64)
    for tail in np.unique(tails):
        allowed = weight.copy()
        allowed[true_heads[slice(*np.searchsorted(true_tails, [tail, tail + 1]))]] = 0
        upto = np.cumsum(allowed)
        if upto[-1] > 0:
            mine = np.flatnonzero(tails == tail)
            # A product that was rounded up to the sum itself would be beyond the last head.
            at = np.minimum((uniform[mine] * upto[-1]).astype(np.int64), upto[-1] - 1)
            drawn[mine] = np.searchsorted(upto, at, side="right")
    kept = drawn >= 0
    return EvaluationPairs(
        relation=target.relation,
        heads=np.concatenate([heads[kept], drawn[kept]]),
        tails=np.concatenate([tails[kept], tails[kept]]),
        labels=np.repeat(np.array([1.0, 0.0], dtype=np.float32), np.count_nonzero(kept)),
    )


def _weights(split: EdgeSplit, target: EdgeType, by_degree: bool) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """What each head's chance is proportional to, int64 [heads up to the last of any part or training edge]."""
    linked = split.linked(target.head)
    ends = [split.part(name)[target][0] for name in PARTS]
    size = 1 + max((int(nodes.max()) for nodes in (linked, *ends) if len(nodes)), default=0)
    if by_degree:
        return np.bincount(split.train[target][0], minlength=size)
    weight = np.zeros(size, dtype=np.int64)
    weight[linked] = 1
    return weight
