"""`L_list`: the teacher's order of all heads around tails, and of all tails around heads (ListNet; Cao et al. 2007).

    L = mean over tails i of CE(softmax_h(a t(h, i)), softmax_h(s(h, i)))     over every head h with an edge
      + w mean over heads h of CE(softmax_i(b t(h, i)), softmax_i(s(h, i)))   over every tail i with an edge

for teacher scores t, the student's logits s and the sharpnesses a and b. The lists are made on the fly: each epoch
draws other tails, some of them without an edge of the relation, about which labels say nothing, and other heads. The
first term says which drugs a disease has, and leaves open how a drug's diseases compare: that is the second one's,
which is off unless heads are asked for.

A share of a tail's list may be its own training edges, each alike (`lists.own`). Drawn at random, each of many tails
without an edge comes up a few times alone; so in the last epochs heads may be held, and every tail be fitted to them in
turn (`lists.held_from`). A fit of one tail to held heads is convex, and does not depend on the other tails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.base import BlockSource
from flykd_console.distill.labels.own_edges import OwnEdges
from flykd_console.distill.labels.turns import Turns

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.profile.distill import Distill, Lists


class PseudoLists(BlockSource):
    """Lists around drawn tails, and around drawn heads.

    Args:
        generator, around_heads: What tails and heads are drawn from; without the latter no lists are around heads.
        epochs: That the profile plans, of which `settings.held_from` is a fraction.
    """

    words = ("pseudo lists", "lists")
    soft = False

    def __init__(
        self,
        space: PairSpace,
        teacher: Teacher,
        settings: Lists,
        generator: torch.Generator,
        around_heads: torch.Generator | None = None,
        epochs: int = 0,
    ) -> None:
        super().__init__()
        self._space, self._teacher, self._settings = space, teacher, settings
        self._own = [OwnEdges(pairs, len(space.heads)) for pairs in space.relations]
        self._turns = [
            Turns(pairs.tail_count, settings.tails, generator.initial_seed() + number, generator.device)
            for number, pairs in enumerate(space.relations)
        ]
        self._first_held = round(settings.held_from * epochs) if settings.held_from < 1.0 else None
        self.generators = {"lists": generator}
        if around_heads is not None:
            self.generators["lists-around-heads"] = around_heads

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> PseudoLists:
        """The source as a method's settings ask for it."""
        around_heads = inputs.generator("lists-around-heads") if settings.lists.heads else None
        return cls(inputs.space, teacher, settings.lists, inputs.generator("lists"), around_heads, settings.epochs)

    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        """The mean over relations of the mean over the drawn tails, and of that over the drawn heads."""
        held = None
        if self._first_held is not None and epoch >= self._first_held:
            held = epoch - self._first_held
        each = [self._of_relation(number, pairs, encoded, held) for number, pairs in enumerate(self._space.relations)]
        return torch.stack(each).mean()

    def _of_relation(self, number: int, pairs: RelationPairs, encoded: Encoded, held: int | None) -> Tensor:
        """A relation's loss; where heads are held, `held` is how many epochs they have been."""
        if held is not None:
            return self._around_tails(number, pairs, encoded, self._turns[number].batch(held), heads_held=True)
        parts = []
        if self._settings.heads:
            parts.append(self._settings.head_weight * self._around_heads(number, pairs, encoded))
        if self._settings.tails:
            parts.append(self._around_tails(number, pairs, encoded, self._draw(pairs)))
        return torch.stack(parts).sum()

    def _around_tails(
        self, number: int, pairs: RelationPairs, encoded: Encoded, columns: Tensor, heads_held: bool = False
    ) -> Tensor:
        wanted = self._teacher.lists(number, columns).mul_(self._settings.sharpness).softmax(dim=1)
        if self._settings.own:
            wanted = self._own[number].mixed(wanted, columns, self._settings.own)
        heads = encoded.head * encoded.relation[pairs.relation]
        if heads_held:
            heads = heads.detach()
        return functional.cross_entropy(encoded.tails[pairs.relation].index_select(0, columns) @ heads.T, wanted)

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
