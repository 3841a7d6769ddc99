"""How well heads are found for a tail, by how near the tail is to one that a relation was trained on.

The distance is the fewest steps between the two over the relations between tails (`graph/split/relatives.py`). A tail
whose own labels are trained on, as in a random split, is at distance 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

# Steps that are told apart, the last of them with all that are farther.
_LAST = 3
UNREACHABLE = "unreachable"
DISTANCES = ("0", "1", "2", "3+", UNREACHABLE)


class DistanceScores(msgspec.Struct, frozen=True, kw_only=True):
    """Average precision (a fraction, the mean) of the rankings of the `tails` at one distance."""

    ap: float
    tails: int


# By relation and distance.
ByDistance = dict[str, dict[str, DistanceScores]]


def distance_name(steps: int) -> str:
    """The distance that a number of steps counts to; a negative one: no way leads to a tail of training."""
    if steps < 0:
        return UNREACHABLE
    return str(steps) if steps < _LAST else f"{_LAST}+"


def grouped_by_distance(steps: Sequence[int], ap: Sequence[float]) -> dict[str, DistanceScores]:
    """The mean of each distance that some tail is at, nearest first; steps and average precision of each tail."""
    values: dict[str, list[float]] = {name: [] for name in DISTANCES}
    for far, value in zip(steps, ap, strict=True):
        values[distance_name(far)].append(value)
    return {
        name: DistanceScores(ap=sum(found) / len(found), tails=len(found)) for name, found in values.items() if found
    }


def pooled_by_distance(seeds: Iterable[Mapping[str, Mapping[str, DistanceScores]]]) -> ByDistance:
    """Over several seeds: each seed's tail counts once, so that a distance at which a seed has few weighs little."""
    found: dict[str, dict[str, list[DistanceScores]]] = {}
    for by_relation in seeds:
        for relation, by_distance in by_relation.items():
            for name, scores in by_distance.items():
                found.setdefault(relation, {}).setdefault(name, []).append(scores)
    return {
        relation: {name: _pooled(by_distance[name]) for name in DISTANCES if name in by_distance}
        for relation, by_distance in found.items()
    }


def _pooled(some: Sequence[DistanceScores]) -> DistanceScores:
    tails = sum(scores.tails for scores in some)
    return DistanceScores(ap=sum(scores.ap * scores.tails for scores in some) / tails, tails=tails)
