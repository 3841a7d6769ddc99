"""Negatives for training, drawn afresh each epoch on the device (those for evaluation: `graph.split.negatives`).

An edge's negative keeps one end and has the other replaced. Candidates are drawn uniformly, or in proportion to their
training degree to a power, at least 1 (word2vec's noise distribution; Mikolov et al. 2013).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.profile.negatives import Negatives as Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs

    # From a shape to as many candidates of one end, int64.
    Draw = Callable[[torch.Size], Tensor]


class Negatives:
    """Fresh training negatives.

    Args:
        space: Its relations' heads and tails are the candidates, of tails those with an edge.
        filter_true: Draw again, some times, what is a training edge.
        settings: By default the paper's: the head stays, the tail is uniform over the relation's training tails.
    """

    _REDRAWS = 10

    def __init__(
        self,
        space: PairSpace,
        generator: torch.Generator,
        filter_true: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self._space = space
        self._generator = generator
        self._settings = settings or Settings()
        self._draws = [self._draws_of(pairs) for pairs in space.relations]
        self._true = [_true_pairs(pairs) for pairs in space.relations] if filter_true else []

    @property
    def ends(self) -> int:
        """How many ends of an edge are replaced."""
        return len(self._settings.ends)

    def draw(self) -> list[Tensor]:
        """One negative per training edge and replaced end, per relation flat indices int64 [ends E_r]."""
        drawn = [self._replaced(number, slice(None), 1) for number in range(len(self._space.relations))]
        for _ in range(self._REDRAWS if self._true else 0):
            for number in range(len(drawn)):
                drawn[number] = self._again(number, drawn[number], slice(None), 1)
        return [of_relation.reshape(-1) for of_relation in drawn]

    def around(self, relation: int, edges: slice, ratio: int) -> Tensor:
        """Negatives of some training edges of a relation, flat indices int64 [ends, edges, ratio]."""
        drawn = self._replaced(relation, edges, ratio)
        for _ in range(self._REDRAWS if self._true else 0):
            drawn = self._again(relation, drawn, edges, ratio)
        return drawn

    def _again(self, relation: int, drawn: Tensor, edges: slice, ratio: int) -> Tensor:
        """The negatives, those that are true drawn once more."""
        true = torch.isin(drawn, self._true[relation])
        return torch.where(true, self._replaced(relation, edges, ratio), drawn)

    def _replaced(self, relation: int, edges: slice, ratio: int) -> Tensor:
        pairs = self._space.relations[relation]
        heads, tails = pairs.edge_heads[edges, None], pairs.edge_tails[edges, None]
        shape = torch.Size((len(heads), ratio))
        found = []
        for end, draw in self._draws[relation].items():
            candidates = draw(shape)
            found.append(pairs.flat(candidates, tails) if end == "head" else pairs.flat(heads, candidates))
        return torch.stack(found)

    def _draws_of(self, pairs: RelationPairs) -> dict[str, Draw]:
        """By replaced end how its candidates are drawn."""
        every = {"head": (pairs.edge_heads, len(pairs.heads)), "tail": (pairs.edge_tails, pairs.known_count)}
        return {end: self._draw_of(*every[end]) for end in self._settings.ends}

    def _draw_of(self, of_edges: Tensor, count: int) -> Draw:
        """Args: the end's position in each training edge, int64 [E]; number of candidates."""
        device, generator = of_edges.device, self._generator
        if self._settings.distribution == "uniform":
            return lambda shape: torch.randint(count, shape, generator=generator, device=device)
        degrees = torch.bincount(of_edges, minlength=count).clamp(min=1)
        cumulative = degrees.double().pow(self._settings.power).cumsum(0)

        def by_degree(shape: torch.Size) -> Tensor:
            uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
            return torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp_(max=count - 1)

        return by_degree


def _true_pairs(pairs: RelationPairs) -> Tensor:
    unique: Tensor = torch.unique(pairs.positives())
    return unique
