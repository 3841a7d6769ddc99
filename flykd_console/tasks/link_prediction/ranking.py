"""Ranking metrics per tail (which drugs go with this disease?), from embeddings alone; averaged over a part's tails.

For a relation and a tail with at least one true pair of the part (test or validation), all candidate heads are ranked
by their logit, except those that are true pairs of the same relation and tail in an earlier part (the filtered
protocol): in training, and for the test in validation too. Candidates are the heads with at least one training edge of
any relation: nothing else has an embedding that was learnt. A part's head without one cannot be ranked and counts as
not found. Heads with equal logits share the worst of their ranks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Pairs
from flykd_console.graph.split.edge_split import EdgeSplit
from flykd_console.runs.results import RankingScores

Floats = NDArray[np.float32]

# Positives that are compared with every candidate at a time; bounds the memory.
_BLOCK = 1024


def candidate_heads(split: EdgeSplit) -> NDArray[np.int64]:
    """Heads with a training edge of any relation, int64 [n], ascending."""
    head_type = split.targets.head
    ends = [heads for edge_type, (heads, _) in split.train.items() if edge_type.head == head_type]
    ends += [tails for edge_type, (_, tails) in split.train.items() if edge_type.tail == head_type]
    return np.unique(np.concatenate(ends))


def rank_part(
    split: EdgeSplit, part: str, head: Floats, tails: Mapping[str, Floats], relation: Mapping[str, Floats]
) -> dict[str, RankingScores]:
    """Ranking metrics of every target that has pairs in a part.

    Args:
        part: `test` or `validation`.
        head: Embeddings of every head, float32 [N_head, d].
        tails: Per relation those of every tail, pooled, float32 [N_tail, d].
        relation: Per relation its DistMult vector, float32 [d].
    """
    candidates = candidate_heads(split)
    found = {}
    for target in split.targets:
        wanted: Pairs = getattr(split, part)[target]
        if len(wanted[0]):
            name = target.relation
            known = _joined(split, target) if part == "test" else split.train[target]
            found[name] = rank_relation(head * relation[name], tails[name], candidates, wanted, known)
    return found


def rank_relation(
    heads: Floats, tails: Floats, candidates: NDArray[np.int64], test: Pairs, known: Pairs
) -> RankingScores:
    """Ranking metrics of one relation.

    Args:
        heads: Head embeddings times the relation's vector, float32 [N_head, d].
        tails: float32 [N_tail, d].
        candidates: Heads that are ranked, int64 [n], ascending.
        test: True pairs of the part, at least one; a pair that stands twice counts once.
        known: True pairs of earlier parts, which are not ranked.
    """
    columns, column = np.unique(test[1], return_inverse=True)
    test_heads, column = np.unique(np.stack([test[0], column]), axis=1)
    relevant = np.bincount(column, minlength=len(columns))

    row_of = np.full(len(heads), -1, dtype=np.int64)
    row_of[candidates] = np.arange(len(candidates))
    column_of = np.full(len(tails), -1, dtype=np.int64)
    column_of[columns] = np.arange(len(columns))

    row = row_of[test_heads]
    row, column = row[row >= 0], column[row >= 0]
    true = np.zeros((len(candidates), len(columns)), dtype=bool)
    true[row, column] = True
    logits = heads[candidates] @ tails[columns].T
    logits[~np.isfinite(logits)] = -np.inf
    hidden = row_of[known[0]], column_of[known[1]]
    inside = (hidden[0] >= 0) & (hidden[1] >= 0)
    filtered = np.zeros_like(true)
    filtered[hidden[0][inside], hidden[1][inside]] = True
    logits[filtered & ~true] = -np.inf

    rank, hits = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
    for start in range(0, len(row), _BLOCK):
        block = slice(start, start + _BLOCK)
        ahead = logits[:, column[block]] >= logits[row[block], column[block]]
        rank[block] = ahead.sum(axis=0)
        hits[block] = (ahead & true[:, column[block]]).sum(axis=0)

    def per_tail(values: NDArray[np.float64]) -> float:
        return float(np.mean(np.bincount(column, weights=values, minlength=len(columns)) / relevant))

    first = np.full(len(columns), np.inf)
    np.minimum.at(first, column, rank)
    return RankingScores(
        recall_at_10=per_tail((rank <= 10).astype(np.float64)),
        recall_at_50=per_tail((rank <= 50).astype(np.float64)),
        recall_at_100=per_tail((rank <= 100).astype(np.float64)),
        ap=per_tail(hits / rank),
        mrr=float(np.mean(1.0 / first)),
        tails=len(columns),
        candidates=len(candidates),
    )


def _joined(split: EdgeSplit, target: EdgeType) -> Pairs:
    """True pairs of training and validation."""
    (h0, t0), (h1, t1) = split.train[target], split.validation[target]
    return np.concatenate([h0, h1]), np.concatenate([t0, t1])
