"""`L_list`: the teacher's order of all heads around tails, and of all tails around heads (ListNet; Cao et al. 2007).

    L = mean over tails i of CE(softmax_h(a t(h, i)), softmax_h(s(h, i)))     over every head h with an edge
      + w mean over heads h of CE(softmax_i(b t(h, i)), softmax_i(s(h, i)))   over every tail i with an edge

for teacher scores t, the student's logits s and the sharpnesses a and b. The lists are made on the fly: each epoch
draws other tails, some of them without an edge of the relation, about which labels say nothing, and other heads. The
first term says which drugs a disease has, and leaves open how a drug's diseases compare: that is the second one's,
which is off unless heads are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.base import BlockSource

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.profile.distill import Distill, Lists


class PseudoLists(BlockSource):
    """Lists around drawn tails, and around drawn heads."""

    words = ("pseudo lists", "lists")
    soft = False

    def __init__(
        self,
        space: PairSpace,
        teacher: Teacher,
        settings: Lists,
        generator: torch.Generator,
        around_heads: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self._space, self._teacher, self._settings = space, teacher, settings
        self.generators = {"lists": generator}
        if around_heads is not None:
            self.generators["lists-around-heads"] = around_heads

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> PseudoLists:
        """The source as a method's settings ask for it."""
        around_heads = inputs.generator("lists-around-heads") if settings.lists.heads else None
        return cls(inputs.space, teacher, settings.lists, inputs.generator("lists"), around_heads)

    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        """The mean over relations of the mean over the drawn tails, and of that over the drawn heads."""
        each = [self._of_relation(number, pairs, encoded) for number, pairs in enumerate(self._space.relations)]
        return torch.stack(each).mean()

    def _of_relation(self, number: int, pairs: RelationPairs, encoded: Encoded) -> Tensor:
        settings = self._settings
        if not settings.heads:
            return self._around_tails(number, pairs, encoded)
        around_heads = settings.head_weight * self._around_heads(number, pairs, encoded)
        return around_heads + self._around_tails(number, pairs, encoded) if settings.tails else around_heads

    def _around_tails(self, number: int, pairs: RelationPairs, encoded: Encoded) -> Tensor:
        columns = self._draw(pairs)
        wanted = self._teacher.lists(number, columns).mul_(self._settings.sharpness).softmax(dim=1)
        tails = encoded.tails[pairs.relation].index_select(0, columns)
        logits = tails @ (encoded.head * encoded.relation[pairs.relation]).T
        return functional.cross_entropy(logits, wanted)

    def _around_heads(self, number: int, pairs: RelationPairs, encoded: Encoded) -> Tensor:
        rows = self._draw_heads(pairs)
        wanted = self._teacher.tail_lists(number, rows).mul_(self._settings.head_sharpness).softmax(dim=1)
        heads = encoded.head.index_select(0, rows) * encoded.relation[pairs.relation]
        return functional.cross_entropy(heads @ encoded.tails[pairs.relation].T, wanted)

    def _draw_heads(self, pairs: RelationPairs) -> Tensor:
        """Positions among the heads of the space of some with an edge of the relation, int64 [heads]."""
        generator = self.generators["lists-around-heads"]
        drawn = torch.randint(
            pairs.known_heads, (self._settings.heads,), generator=generator, device=pairs.edge_heads.device
        )
        return pairs.heads[drawn]

    def _draw(self, pairs: RelationPairs) -> Tensor:
        """Positions among the relation's tails, int64 [tails]."""
        unseen = round(self._settings.unseen * self._settings.tails) if pairs.unseen_count else 0
        known = self._settings.tails - unseen
        parts = []
        for first, count, size in ((0, pairs.known_count, known), (pairs.known_count, pairs.unseen_count, unseen)):
            if size:
                drawn = torch.randint(
                    count, (size,), generator=self.generators["lists"], device=pairs.edge_heads.device
                )
                parts.append(first + drawn)
        return torch.cat(parts)


SOURCE = PseudoLists
