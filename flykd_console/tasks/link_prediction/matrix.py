"""The whole matrix: all pairs of a relation ranked together, as who prioritises pairs for trials reads them.

The measures are those of the Every Cure matrix project (github.com/everycure-org/matrix, commit 337fd880;
`docs/src/pipeline/data_science/evaluation_deep_dive.md`, and under `pipelines/matrix/src/matrix/pipelines`
`evaluation/evaluation.py` and `run_comparison/evaluations.py`). For the first n pairs, T the true pairs of the part and
D the candidate drugs (heads; diseases, the tails, alike):

    recall@n        |{pair in T : rank(pair) <= n}| / |T|                      FullMatrixRanking, FullMatrixRecallAtN
    drug entropy@n  -sum_d p(d) log p(d) / log |D|,  p(d) = count_n(d) / n     EntropyAtN
    commonality@n   |first n of one list and first n of another| / n           StabilityCommonalityAtN, CommonalityAtN

Where ours differs:
- Candidates are heads and tails with a training edge of any relation, as in `ranking.py`: of others nothing was learnt,
  so that their place says nothing. The project's are curated lists of drugs and of diseases.
- Left out are true pairs of earlier parts: training, and for the test validation as well (the project: training); and
  the labels of the test's relatives, where `split.hops` left them out of every part.
- T counts true pairs whose head or tail is no candidate, which are not found (the project's T lies in its matrix).
- Commonality is between seeds, each with a split of its own, and of new pairs: those that are true in no part. With
  each seed's training pairs alone left out, as between the project's folds, a pair that one seed has trained on could
  never be common, and the better a model is the less common its lists could be.
- |D| counts candidates; the project counts the drugs that are left in the matrix, which hardly differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from flykd_console.runs.results import MatrixCut, MatrixScores
from flykd_console.seeding import numpy_rng, uniform_of
from flykd_console.tasks.link_prediction.largest import largest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
    from flykd_console.graph.split.edge_split import EdgeSplit
    from flykd_console.tasks.link_prediction.scorers import Scorer

    Nodes = NDArray[np.int64]
    NumberedPairs = tuple[NDArray[np.int64], NDArray[np.int32]]

CUTS = (1_000, 10_000, 100_000, 1_000_000)
"""The n at which the project measures."""


@dataclass(frozen=True)
class Matrix:
    """One relation's pairs, ranked together.

    Attributes:
        scores: What the first n are worth, without commonality.
        new: Heads and tails of the first pairs that are true in no part, by falling score, int64 [n] each.
    """

    scores: MatrixScores
    new: Pairs


@dataclass(frozen=True)
class _Table:
    """Candidates of a relation, and their pairs numbered row by row: a row is a tail, a column a head."""

    heads: Nodes
    tails: Nodes

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.tails), len(self.heads)

    def cells(self, pairs: Pairs) -> Nodes:
        """Those of some pairs that are in the table, int64 [n], ascending, each once."""
        heads, tails = pairs
        column, row = np.searchsorted(self.heads, heads), np.searchsorted(self.tails, tails)
        inside = np.isin(heads, self.heads) & np.isin(tails, self.tails)
        return np.unique(row[inside] * len(self.heads) + column[inside])


def rank_matrix(graph: KnowledgeGraph, split: EdgeSplit, part: str, scorer: Scorer, seed: int) -> dict[str, Matrix]:
    """All candidate pairs ranked together, per relation of which the part has pairs.

    Args:
        graph: Whose edges are no new pairs, whatever part they went to.
        part: `test` or `validation`.
        seed: Of the run.
    """
    table = _Table(split.linked(split.targets.head), split.linked(split.targets.tail))
    found = {}
    for target in split.targets:
        if len(split.part(part)[target][0]) == 0:
            continue
        known = table.cells(split.known_before(part, target))
        everywhere = [split.part(name)[target] for name in ("train", "validation", "test")]
        labelled = table.cells(_joined([*everywhere, *_edges(graph, target)]))
        found[target.relation] = _rank(split, part, target, scorer, seed, table, known, labelled)
    return found


def _rank(
    split: EdgeSplit,
    part: str,
    target: EdgeType,
    scorer: Scorer,
    seed: int,
    table: _Table,
    known: Nodes,
    labelled: Nodes,
) -> Matrix:
    rows, columns = table.shape
    wanted_pairs = np.unique(np.stack(split.part(part)[target]), axis=1)
    true = table.cells((wanted_pairs[0], wanted_pairs[1]))
    known = np.setdiff1d(known, true)
    pairs = rows * columns - len(known)
    cuts = [n for n in CUTS if n < pairs]
    purpose = f"ties/{part}/{target.relation}/matrix"
    # As many again as true pairs of later parts, which are no new ones, may stand among the first.
    wanted = max(cuts, default=1) + len(labelled) - len(known)
    order = largest(
        lambda some: scorer.block(target, table.tails[some], table.heads),
        (rows, columns),
        known,
        wanted,
        lambda cells: uniform_of(seed, purpose, cells),
        numpy_rng(seed, f"{purpose}/rows"),
    )
    old = _among(order, labelled)
    hits = np.flatnonzero(old)[_among(order[old], true)]
    row, column = np.divmod(order, columns)
    count = wanted_pairs.shape[1]
    at = {
        n: MatrixCut(
            recall=int(np.searchsorted(hits, n)) / count,
            ideal_recall=min(n, len(true)) / count,
            heads=int(np.count_nonzero(np.bincount(column[:n]))),
            tails=int(np.count_nonzero(np.bincount(row[:n]))),
            head_entropy=entropy(column[:n], columns),
            tail_entropy=entropy(row[:n], rows),
        )
        for n in cuts
    }
    new = order[~old][: max(cuts, default=0)]
    scores = MatrixScores(pairs=pairs, true=count, heads=columns, tails=rows, at=at)
    return Matrix(scores, (table.heads[new % columns], table.tails[new // columns]))


def entropy(nodes: Nodes, candidates: int) -> float:
    """How evenly some pairs name their nodes, out of so many: 1 where each is named alike, 0 where it is one node."""
    if len(nodes) == 0 or candidates < 2:
        return 0.0
    count = np.bincount(nodes)
    share = count[count > 0] / len(nodes)
    return float(-np.sum(share * np.log(share)) / np.log(candidates)) + 0.0


def last_part(split: EdgeSplit) -> str | None:
    """The part that the matrix is measured on: the test, or validation where nothing is tested; None without either."""
    for part in ("test", "validation"):
        if any(len(split.part(part)[target][0]) for target in split.targets):
            return part
    return None


def with_commonality(
    found: Mapping[str, MatrixScores], seed: int, shared: Mapping[str, Mapping[int, float]]
) -> dict[str, MatrixScores]:
    """The scores with what the lists have in common with another seed's, by relation and n."""
    return {
        relation: msgspec.structs.replace(
            scores, at={n: _with(cut, seed, shared.get(relation, {}).get(n)) for n, cut in scores.at.items()}
        )
        for relation, scores in found.items()
    }


def _with(cut: MatrixCut, seed: int, value: float | None) -> MatrixCut:
    if value is None:
        return cut
    return msgspec.structs.replace(cut, commonality={**cut.commonality, seed: value})


def within_cuts(count: int) -> NDArray[np.int32]:
    """The smallest n of `CUTS` that each of `count` ordered pairs, at most the largest n, is within, int32 [count]."""
    return np.asarray(CUTS, dtype=np.int32)[np.searchsorted(CUTS, np.arange(1, count + 1))]


def commonality(mine: NumberedPairs, other: NumberedPairs) -> dict[int, float]:
    """By n the share of the first n pairs that two lists have in common, for each n that both reach.

    Args:
        mine: One list: its pairs as numbers, int64 [n], ascending, each once; and of each its `within_cuts`.
        other: The other one.
    """
    _, ours, theirs = np.intersect1d(mine[0], other[0], assume_unique=True, return_indices=True)
    within = np.maximum(mine[1][ours], other[1][theirs])
    reached = min(len(mine[0]), len(other[0]))
    return {n: float(np.count_nonzero(within <= n)) / n for n in CUTS if n <= reached}


def _among(numbers: Nodes, ascending: Nodes) -> NDArray[np.bool_]:
    """Which of some numbers are in an ascending list."""
    if len(ascending) == 0:
        return np.zeros(len(numbers), np.bool_)
    at = np.minimum(np.searchsorted(ascending, numbers), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[at] == numbers
    return found


def _joined(some: list[Pairs]) -> Pairs:
    return np.concatenate([heads for heads, _ in some]), np.concatenate([tails for _, tails in some])


def _edges(graph: KnowledgeGraph, target: EdgeType) -> list[Pairs]:
    """The graph's edges of a target, where it has some."""
    return [graph.edges[target]] if target in graph.edges else []
