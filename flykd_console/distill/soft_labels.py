"""A frozen network's labels of pairs: what it thinks of any pair, from what it encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.teacher import Teacher
from flykd_console.model.encoded import Encoded

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs


class SoftLabels(Teacher):
    """A frozen network's labels of pairs: computed once where the matrix fits, per pair otherwise.

    Args:
        tables: Whether labels of all pairs are kept where they fit; of a network that stands still for a step alone
            they never pay.

    Attributes:
        teacher: What the network encoded, without gradients.
    """

    def __init__(self, space: PairSpace, teacher: Encoded, *, tables: bool = True) -> None:
        self._space = space
        self.teacher = Encoded(
            head=teacher.head.detach(),
            tails={r: x.detach() for r, x in teacher.tails.items()},
            relation={r: x.detach() for r, x in teacher.relation.items()},
            tail=teacher.tail.detach(),
        )
        self._tables: list[Tensor] | None = None
        if tables and all(pairs.area <= space.dense_limit for pairs in space.relations):
            self._tables = [self._table(pairs) for pairs in space.relations]

    def _heads(self, pairs: RelationPairs) -> Tensor:
        """Heads times the relation's vector, [m, d]; logits are their products with the tails."""
        return self.teacher.head.index_select(0, pairs.heads) * self.teacher.relation[pairs.relation]

    def _table(self, pairs: RelationPairs) -> Tensor:
        return (self._heads(pairs) @ self.teacher.tails[pairs.relation].T).view(-1)

    @torch.no_grad()
    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        if self._tables is None:
            return self._space.logits(self.teacher, indices)
        return [table.index_select(0, index) for table, index in zip(self._tables, indices, strict=True)]

    @torch.no_grad()
    def lists(self, relation: int, columns: Tensor) -> Tensor:
        name = self._space.relations[relation].relation
        heads = self.teacher.head * self.teacher.relation[name]
        return self.teacher.tails[name].index_select(0, columns) @ heads.T

    @torch.no_grad()
    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        name = self._space.relations[relation].relation
        heads = self.teacher.head.index_select(0, rows) * self.teacher.relation[name]
        return heads @ self.teacher.tails[name].T

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        pairs = self._space.relations[relation]
        heads, tails = self._heads(pairs), self.teacher.tails[pairs.relation]
        if rows is not None:
            heads = heads.index_select(0, rows)
        if columns is not None:
            tails = tails.index_select(0, columns)
        return lambda some: heads[some] @ tails.T
