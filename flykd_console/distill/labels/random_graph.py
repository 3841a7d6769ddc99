"""Degree-aware random graphs (FlyKD, Algorithm 1): the pairs that the teacher labels on the fly.

For each relation k heads are drawn with probability proportional to their training degree, k tails likewise and
independently, and paired up; duplicates stay. A node drawn by degree is an end of a uniformly drawn edge, so a draw
costs O(1), on the device, without a table. With another power of the degree it is a draw from the powered distribution.

Beyond the paper, a share of the tails may be drawn uniformly from those without a training edge of the relation
(`unseen`): what the teacher thinks of tails about which no label says anything, such as diseases without any drug.

`RandomGraphs` draws pairs, as the paper does. `RandomBlocks` draws m heads and n tails, whose pairs are all labelled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs
    from flykd_console.profile.distill import RandomGraph


class Redrawn:
    """A stream of draws, made anew every `refresh_every` epochs (0: once), that a checkpoint can keep."""

    def __init__(self, space: PairSpace, settings: RandomGraph, generator: torch.Generator) -> None:
        self._space = space
        self._settings = settings
        self._generator = generator
        self._current: list[Tensor] = []
        power, unseen = settings.degree_power, settings.unseen
        self._weights = (
            None if power == 1.0 else {p.relation: degree_weights(p, power, unseen) for p in space.relations}
        )

    def draw(self) -> list[Tensor]:
        """A fresh draw, the same number of int64 tensors each time."""
        raise NotImplementedError

    def current(self, epoch: int) -> list[Tensor]:
        """The draw of an epoch, counted from 0."""
        if not self._current or self.redraws(epoch):
            drawn = self.draw()
            if self._current and drawn[0].device.type == "cuda":
                # Into the same memory, which a recorded epoch reads.
                for kept, new in zip(self._current, drawn, strict=True):
                    kept.copy_(new)
            else:
                self._current = drawn
        return self._current

    def redraws(self, epoch: int) -> bool:
        """Whether the profile wants a fresh draw in an epoch, counted from 0."""
        every = self._settings.refresh_every
        return every > 0 and epoch % every == 0

    def state_dict(self) -> dict[str, Tensor]:
        """The draw in force, for a checkpoint; empty before the first."""
        return {str(number): drawn for number, drawn in enumerate(self._current)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        device = self._space.relations[0].edge_heads.device
        self._current = [state[str(number)].to(device) for number in range(len(state))]

    def _ends(self, pairs: RelationPairs, heads: int, tails: int) -> tuple[Tensor, Tensor]:
        """Heads and tails by degree, independently, int64 [heads] and [tails]."""
        device = pairs.edge_heads.device
        if self._weights is None:
            drawn = torch.randint(pairs.edge_count, (heads + tails,), generator=self._generator, device=device)
            return pairs.edge_heads[drawn[:heads]], self._some_unseen(pairs, pairs.edge_tails[drawn[heads:]])
        first, second = (
            torch.multinomial(w, count, replacement=True, generator=self._generator)
            for w, count in zip(self._weights[pairs.relation], (heads, tails), strict=True)
        )
        return first, second

    def _some_unseen(self, pairs: RelationPairs, tails: Tensor) -> Tensor:
        """The tails, a share of them replaced by tails without an edge of the relation."""
        if self._settings.unseen == 0.0 or pairs.unseen_count == 0:
            return tails
        size, device = tails.shape, tails.device
        replaced = torch.rand(size, generator=self._generator, device=device) < self._settings.unseen
        unseen = torch.randint(pairs.known_count, pairs.tail_count, size, generator=self._generator, device=device)
        return torch.where(replaced, unseen, tails)


class RandomGraphs(Redrawn):
    """Pairs, per relation flat indices int64 [labels_per_relation]."""

    def draw(self) -> list[Tensor]:
        count = self._settings.labels_per_relation
        return [pairs.flat(*self._ends(pairs, count, count)) for pairs in self._space.relations]


class RandomBlocks(Redrawn):
    """Heads and tails whose every pair is labelled: per relation int64 [m] and [n], m n about `labels_per_relation`."""

    def draw(self) -> list[Tensor]:
        labels = self._settings.labels_per_relation
        heads = max(1, math.isqrt(labels))
        tails = -(-labels // heads)
        return [end for pairs in self._space.relations for end in self._ends(pairs, heads, tails)]


def degree_weights(pairs: RelationPairs, power: float, unseen: float = 0.0) -> tuple[Tensor, Tensor]:
    """Probability of each head and each tail, proportional to degree^power, float64 [m] and [n].

    `unseen`: The share that tails without an edge have together, each alike.
    """
    heads = torch.bincount(pairs.edge_heads, minlength=pairs.known_heads).double().pow(power)
    heads = heads / heads.sum()
    known = torch.bincount(pairs.edge_tails, minlength=pairs.known_count).double().pow(power)
    known = known / known.sum()
    if pairs.unseen_count:
        alike = known.new_full((pairs.unseen_count,), unseen / pairs.unseen_count)
        known = torch.cat([(1.0 - unseen) * known, alike])
    # Heads without an edge of the relation are there for negatives, and no label is about them.
    return functional.pad(heads, (0, len(pairs.heads) - pairs.known_heads)), known
