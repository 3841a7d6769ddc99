"""Linkless Link Prediction (LLP; Guo et al. 2023) for typed links: what the teacher says around an anchor node.

Each epoch and relation, A heads are drawn as anchors in proportion to their training degree, and around each of them C
tails as its context: half of them near it (the ends of random walks of one or three training edges), half uniform over
the relation's training tails. With teacher's and student's logits t and s of an anchor's contexts

    distribution  L = mean over anchors of KL(softmax(t / temperature) || softmax(s / temperature))
    rank          L = mean of max(0, margin - (s_i - s_j)) over all contexts i, j of an anchor with t_i - t_j > margin

LLP draws both ends from one node set and scores links without types; here heads and tails differ and every target
relation has anchors of its own. The rank loss has no term for pairs that the teacher holds to be equal: in LLP's they
add a constant without a gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.distmult import all_logits

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded

# Anchors times contexts² in work at a time, 4 bytes each in a handful of buffers.
_CHUNK_PAIRS = 4_000_000
# Where the tails are more than this many times the contexts, gathering rows costs less than scoring all of them.
_SCORE_ALL = 64


class AnchorDraws:
    """Anchors and contexts of one relation.

    Walks follow the relation's training edges: from a head to one of its tails, to one of that tail's heads, and so on,
    each step uniform over the edges.
    """

    def __init__(self, pairs: RelationPairs, anchors: int, contexts: int, generator: torch.Generator) -> None:
        self._pairs = pairs
        self._generator = generator
        self._anchors, self._near = anchors, contexts // 2
        self._far = contexts - self._near
        self._tails_of = _Steps(pairs.edge_heads, pairs.edge_tails, len(pairs.heads))
        self._heads_of = _Steps(pairs.edge_tails, pairs.edge_heads, pairs.tail_count)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Positions in the relation's heads, int64 [A], and in its tails, int64 [A, C]."""
        device, generator = self._pairs.edge_heads.device, self._generator
        edges = torch.randint(self._pairs.edge_count, (self._anchors,), generator=generator, device=device)
        anchors = self._pairs.edge_heads[edges]
        steps = torch.rand(4, self._anchors, self._near, generator=generator, device=device)
        one = self._tails_of(anchors[:, None].expand(-1, self._near), steps[0])
        three = self._tails_of(self._heads_of(one, steps[1]), steps[2])
        near = torch.where(steps[3] < 0.5, one, three)
        far = torch.randint(self._pairs.known_count, (self._anchors, self._far), generator=generator, device=device)
        return anchors, torch.cat([near, far], dim=1)


class _Steps:
    """Steps from nodes to a uniform one of their neighbours."""

    def __init__(self, nodes: Tensor, neighbours: Tensor, count: int) -> None:
        self._neighbours = neighbours[torch.argsort(nodes, stable=True)]
        self._degrees = torch.bincount(nodes, minlength=count)
        self._offsets = self._degrees.cumsum(0) - self._degrees

    def __call__(self, nodes: Tensor, uniform: Tensor) -> Tensor:
        degrees = self._degrees[nodes]
        # A float32 just below 1 times a degree may round up to the degree.
        chosen = torch.minimum((uniform * degrees).long(), degrees - 1)
        neighbours: Tensor = self._neighbours[self._offsets[nodes] + chosen]
        return neighbours


class _RankLoss(torch.autograd.Function):
    """The gradient is known as soon as the violated pairs are, so it is taken in the forward pass and kept."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, margin: float) -> Tensor:
        gradient = torch.zeros_like(student)
        loss, ordered = student.new_zeros(()), student.new_zeros(())
        rows = max(1, _CHUNK_PAIRS // student.shape[1] ** 2)
        for start in range(0, len(student), rows):
            s, t = student[start : start + rows], teacher[start : start + rows]
            above = (t[:, :, None] - t[:, None, :]) > margin
            missing = torch.sub(margin, s[:, :, None] - s[:, None, :]).clamp_(min=0.0).mul_(above)
            violated = (missing > 0).to(student.dtype)
            loss += missing.sum()
            ordered += above.sum()
            gradient[start : start + rows] = violated.sum(dim=1) - violated.sum(dim=2)
        ordered = ordered.clamp(min=1.0)
        ctx.save_for_backward(gradient / ordered)
        return loss / ordered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None


def rank_loss(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    """Mean shortfall over the pairs of contexts that the teacher orders: logits [A, C] each -> a scalar.

    0 where the teacher orders none; differentiable in the student's logits, once.
    """
    loss: Tensor = _RankLoss.apply(student, teacher, margin)  # type: ignore[no-untyped-call]
    return loss


def distribution_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over anchors of KL(teacher || student) of the contexts' softmaxes: logits [A, C] each -> a scalar."""
    return functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )


class AnchorContexts:
    """Anchors and contexts of every relation, drawn each epoch, with what teacher and student say of them."""

    def __init__(
        self, space: PairSpace, teacher: Teacher, anchors: int, contexts: int, generator: torch.Generator
    ) -> None:
        self._space, self._teacher = space, teacher
        # More anchors than heads would only repeat them.
        counts = [min(anchors, pairs.known_heads) for pairs in space.relations]
        self._draws = [
            AnchorDraws(pairs, count, contexts, generator) for pairs, count in zip(space.relations, counts, strict=True)
        ]

    def draw(self, encoded: Encoded) -> list[tuple[Tensor, Tensor]]:
        """Per relation the logits of student and teacher, float32 [A, C] each; differentiable in the student's."""
        drawn = [draws.draw() for draws in self._draws]
        relations = self._space.relations
        flat = [p.flat(anchors[:, None], contexts) for p, (anchors, contexts) in zip(relations, drawn, strict=True)]
        teacher = self._teacher.logits([index.reshape(-1) for index in flat])
        return [
            (self._logits(encoded, pairs, *ends), logits.view_as(index))
            for pairs, ends, logits, index in zip(relations, drawn, teacher, flat, strict=True)
        ]

    def _logits(self, encoded: Encoded, pairs: RelationPairs, anchors: Tensor, contexts: Tensor) -> Tensor:
        """The student's logits [A, C]."""
        heads = encoded.head.index_select(0, pairs.heads.index_select(0, anchors))
        relation, tails = encoded.relation[pairs.relation], encoded.tails[pairs.relation]
        if pairs.tail_count <= _SCORE_ALL * contexts.shape[1]:
            return all_logits(heads, relation, tails).gather(1, contexts)
        rows = tails.index_select(0, contexts.reshape(-1)).view(*contexts.shape, -1)
        return torch.einsum("ad,acd->ac", heads * relation, rows)
