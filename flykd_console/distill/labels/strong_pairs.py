"""Random graphs of strong scores only: pairs whose teacher logit is above a threshold (FlyKD, Table A.2).

The teacher is frozen, so which pairs qualify is settled before the first epoch. A draw that is repeated until it
qualifies has the distribution of all draws, restricted: p_head q_tail / mass over the qualifying pairs, where mass is
the chance that a single draw qualifies. That distribution is drawn from directly, by inverting its cumulative sum: as
many labels as asked for, on the device, however rare a qualifying pair is. Random graphs have as many pairs of one
relation as of another; of those that qualify each relation has a share in proportion to its mass, as if every pair had
been drawn first and the weak ones left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.labels.random_graph import RandomGraphs, degree_weights
from flykd_console.distill.pairs.pair_space import DENSE_LIMIT, PairSpace, RelationPairs
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.distill.teacher import Teacher
    from flykd_console.profile.distill import RandomGraph

# Teacher logits in work at a time, 4 bytes each.
CHUNK_PAIRS = 4_000_000


@dataclass(frozen=True)
class StrongPairs:
    """The qualifying pairs of one relation.

    Attributes:
        count: Number of qualifying pairs of the support.
        mass: Chance that a pair drawn by degree qualifies, in (0, 1], float64 [].
        flat: Flat indices of the qualifying pairs, int64 [count]; None where only the mass was asked for.
        cumulative: Running sum of p_head q_tail over them, float64 [count].
    """

    relation: str
    count: int
    mass: Tensor
    flat: Tensor | None = None
    cumulative: Tensor | None = None


@torch.no_grad()
def strong_pairs(space: PairSpace, teacher: Teacher, settings: RandomGraph, listed: bool = True) -> list[StrongPairs]:
    """Per relation the pairs that the teacher scores above `settings.min_logit`.

    Args:
        space: The supports.
        teacher: Whose logits count.
        settings: `min_logit` and `degree_power`.
        listed: List the pairs; False: count and weigh them only.

    Raises:
        UserError: No pair of a relation qualifies, or too many to be listed.
    """
    assert settings.min_logit is not None
    return [
        _strong(pairs, teacher.block(number), settings.min_logit, settings, listed)
        for number, pairs in enumerate(space.relations)
    ]


def _strong(
    pairs: RelationPairs,
    teacher: Callable[[slice], Tensor],
    min_logit: float,
    settings: RandomGraph,
    listed: bool,
) -> StrongPairs:
    head_weights, tail_weights = degree_weights(pairs, settings.degree_power, settings.unseen)
    drawn_heads, drawn_tails = head_weights > 0.0, tail_weights > 0.0
    device, heads = head_weights.device, len(pairs.heads)
    rows = max(1, CHUNK_PAIRS // max(1, pairs.tail_count))
    mass = head_weights.new_zeros(())
    highest = torch.full((), float("-inf"), device=device)
    counted = torch.zeros((), dtype=torch.int64, device=device)
    for start in range(0, heads, rows):
        logits = teacher(slice(start, start + rows))
        strong = (logits > min_logit) & drawn_tails & drawn_heads[start : start + rows, None]
        mass += head_weights[start : start + rows] @ (strong.double() @ tail_weights)
        counted += strong.sum()
        highest = torch.maximum(highest, logits.max())
    count = int(counted)
    if count == 0:
        raise UserError(
            f"the teacher scores no pair of {pairs.relation} above {min_logit:g}: its highest logit is {highest:.2f}",
            "distill.random_graph.min_logit",
            "Lower it, or leave it out.",
        )
    if not listed:
        return StrongPairs(pairs.relation, count, mass)
    if count > DENSE_LIMIT:
        raise UserError(
            f"{count} pairs of {pairs.relation} score above {min_logit:g}, too many to be listed",
            "distill.random_graph.min_logit",
            "Use sampler = 'exact' or 'blocks', which need no list.",
        )
    flat = torch.empty(count, dtype=torch.int64, device=device)
    weights = torch.empty(count, dtype=torch.float64, device=device)
    at = 0
    for start in range(0, heads, rows):
        logits = teacher(slice(start, start + rows))
        strong = (logits > min_logit) & drawn_tails & drawn_heads[start : start + rows, None]
        row, column = torch.nonzero(strong, as_tuple=True)
        flat[at : at + len(row)] = pairs.flat(row + start, column)
        weights[at : at + len(row)] = head_weights[row + start] * tail_weights[column]
        at += len(row)
    return StrongPairs(pairs.relation, count, mass, flat, weights.cumsum(0))


class StrongGraphs(RandomGraphs):
    """Qualifying pairs, per relation flat indices int64; `labels_per_relation` on average over the relations."""

    def __init__(
        self,
        space: PairSpace,
        settings: RandomGraph,
        generator: torch.Generator,
        strong: list[StrongPairs],
    ) -> None:
        super().__init__(space, settings, generator)
        self._strong = strong
        mass = [float(relation.mass) for relation in strong]
        labels = settings.labels_per_relation * len(strong) / sum(mass)
        self._counts = [max(1, round(labels * of_relation)) for of_relation in mass]

    def draw(self) -> list[Tensor]:
        return [self._of(strong, count) for strong, count in zip(self._strong, self._counts, strict=True)]

    def _of(self, strong: StrongPairs, count: int) -> Tensor:
        assert strong.flat is not None
        assert strong.cumulative is not None
        device = strong.flat.device
        uniform = torch.rand(count, generator=self._generator, device=device, dtype=torch.float64)
        places = torch.searchsorted(strong.cumulative, uniform * strong.cumulative[-1], right=True)
        return strong.flat[places.clamp_(max=strong.count - 1)]
