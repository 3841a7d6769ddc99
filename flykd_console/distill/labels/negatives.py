"""Negatives for training, drawn afresh each epoch on the device (those for evaluation: `graph.split.negatives`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs


class Negatives:
    """Fresh training negatives: the head stays, the tail is uniform over the relation's training tails."""

    _REDRAWS = 10

    def __init__(self, space: PairSpace, generator: torch.Generator, filter_true: bool = False) -> None:
        self._space = space
        self._generator = generator
        self._true = [_true_pairs(pairs) for pairs in space.relations] if filter_true else None

    def draw(self) -> list[Tensor]:
        """One negative per training edge, per relation flat indices int64 [E_r]."""
        drawn = [self._tails(pairs) for pairs in self._space.relations]
        for _ in range(self._REDRAWS if self._true is not None else 0):
            for i, (pairs, true) in enumerate(zip(self._space.relations, self._true or [], strict=True)):
                drawn[i] = torch.where(torch.isin(drawn[i], true), self._tails(pairs), drawn[i])
        return drawn

    def _tails(self, pairs: RelationPairs) -> Tensor:
        tails = torch.randint(
            pairs.known_count, (pairs.edge_count,), generator=self._generator, device=pairs.edge_heads.device
        )
        return pairs.flat(pairs.edge_heads, tails)


def _true_pairs(pairs: RelationPairs) -> Tensor:
    unique: Tensor = torch.unique(pairs.positives())
    return unique
