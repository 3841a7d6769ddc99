"""Degree-aware random graphs (FlyKD, Algorithm 1): the pairs that the teacher labels on the fly.

For each relation k heads are drawn with probability proportional to their training degree, k tails likewise and
independently, and paired up; duplicates stay. A node drawn by degree is an end of a uniformly drawn edge, so a draw
costs O(1), on the device, without a table. With another power of the degree it is a draw from the powered distribution.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flykd_console import profile
from flykd_console.distill.pair_space import PairSpace, RelationPairs


class RandomGraphs:
    """A stream of random graphs; drawn anew every `refresh_every` epochs (0: once)."""

    def __init__(self, space: PairSpace, settings: profile.RandomGraph, generator: torch.Generator) -> None:
        self._space = space
        self._settings = settings
        self._generator = generator
        self._current: list[Tensor] | None = None
        self._weights = [
            None if settings.degree_power == 1.0 else _powered(pairs, settings.degree_power)
            for pairs in space.relations
        ]

    def pairs(self, epoch: int) -> list[Tensor]:
        """The random graph of an epoch: per relation flat indices, int64 [labels_per_relation]."""
        every = self._settings.refresh_every
        if self._current is None or (every > 0 and epoch % every == 0):
            self._current = [
                self._draw(pairs, weights) for pairs, weights in zip(self._space.relations, self._weights, strict=True)
            ]
        return self._current

    def _draw(self, pairs: RelationPairs, weights: tuple[Tensor, Tensor] | None) -> Tensor:
        count, device = self._settings.labels_per_relation, pairs.edge_heads.device
        if weights is None:
            first, second = torch.randint(
                pairs.edge_count, (2, count), generator=self._generator, device=device
            ).unbind()
            return pairs.flat(pairs.edge_heads[first], pairs.edge_tails[second])
        heads, tails = (torch.multinomial(w, count, replacement=True, generator=self._generator) for w in weights)
        return pairs.flat(heads, tails)

    def state(self) -> dict[str, Tensor]:
        """The graph in force, for a checkpoint; empty before the first draw."""
        return {f"random_graph/{i}": pairs for i, pairs in enumerate(self._current or [])}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        found = [tensors.get(f"random_graph/{i}") for i in range(len(self._space.relations))]
        present = [pairs.to(self._space.relations[0].edge_heads.device) for pairs in found if pairs is not None]
        self._current = present if len(present) == len(found) else None


def _powered(pairs: RelationPairs, power: float) -> tuple[Tensor, Tensor]:
    """degree^power of heads and tails, float64; normalisation is the draw's."""
    heads = torch.bincount(pairs.edge_heads, minlength=len(pairs.heads)).double().pow(power)
    tails = torch.bincount(pairs.edge_tails, minlength=pairs.tail_count).double().pow(power)
    return heads, tails
