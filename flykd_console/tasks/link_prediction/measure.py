"""All that is measured of one scorer on one part of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from flykd_console.runs.distances import grouped_by_distance
from flykd_console.tasks.link_prediction.metrics import Scored, score
from flykd_console.tasks.link_prediction.ranking import Ranked, rank_heads, rank_tails

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flykd_console.graph.split.negatives import EvaluationPairs
    from flykd_console.runs.distances import ByDistance
    from flykd_console.runs.results import Scores
    from flykd_console.tasks.link_prediction.data import LinkData
    from flykd_console.tasks.link_prediction.scorers import Scorer


@dataclass(frozen=True)
class Measured:
    """One scorer on one part.

    Attributes:
        pairs: Per relation (labels, scores) of the stored pairs, float32 [n_r] each.
        heads: Per relation the heads ranked for each tail; without relations that the part has no pairs of.
        scores: Every metric; nothing where the part is empty.
    """

    pairs: dict[str, Scored]
    heads: dict[str, Ranked]
    scores: Scores


def measure(data: LinkData, scorer: Scorer, part: str, *, tails: bool = True) -> Measured:
    """Stored pairs, pairs whose head was replaced, and rankings in both directions.

    Args:
        part: `test` or `validation`.
        tails: Whether to rank tails for each head, too: the longer of the two directions.
    """
    pairs = _scored(data, scorer, data.evaluation(part))
    replaced = {name: _scored(data, scorer, drawn) for name, drawn in data.replaced_heads[part].items()}
    heads = rank_heads(data.split, part, scorer, data.seed)
    others = rank_tails(data.split, part, scorer, data.seed) if tails else {}
    ranking, ranking_tails = (
        {relation: ranked.scores for relation, ranked in found.items()} for found in (heads, others)
    )
    scores = score(pairs, ranking, ranking_tails, replaced)
    return Measured(pairs, heads, msgspec.structs.replace(scores, by_distance=_by_distance(data, heads)))


def stored_pairs(data: LinkData, scorer: Scorer, part: str) -> dict[str, Scored]:
    """Per relation (labels, scores) of the stored pairs of a part, float32 [n_r] each."""
    return _scored(data, scorer, data.evaluation(part))


def _by_distance(data: LinkData, heads: dict[str, Ranked]) -> ByDistance | None:
    """The rankings of each relation by the distance of their tails; None where no edges say how far a tail is."""
    if not data.distances or not heads:
        return None
    return {
        relation: grouped_by_distance(
            data.distances[relation][ranked.nodes].tolist(), ranked.metrics.found["ap"].tolist()
        )
        for relation, ranked in heads.items()
    }


def _scored(data: LinkData, scorer: Scorer, pairs: Iterable[EvaluationPairs]) -> dict[str, Scored]:
    """Per relation (labels, scores) of listed pairs, which are in the order of the targets."""
    return {
        target.relation: (some.labels, scorer.pairs(target, some.heads, some.tails))
        for target, some in zip(data.targets, pairs, strict=True)
    }
