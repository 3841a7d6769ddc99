"""Losses of an edge among its negatives, beside the plain binary cross-entropy of listed pairs.

With the logit s of an edge and s_1 ... s_k of its k negatives of one end, per edge and replaced end

    bce               -log σ(s) - Σ_j log σ(-s_j)                            over edges and negatives; the edge once
    softmax           -log (e^{s/T} / (e^{s/T} + Σ_j e^{s_j/T}))             InfoNCE, van den Oord et al. 2018, eq. 4
    self_adversarial  -log σ(γ + s) - Σ_j p_j log σ(-s_j - γ)                RotatE, Sun et al. 2019, eq. 5
                      p = softmax(α s_1 ... s_k), α = 1 / T, held constant
    margin            Σ_j max(0, γ - s + s_j) / k                            TransE, Bordes et al. 2013, eq. 1

with T the temperature and γ the margin. RotatE's distance is -s here, as for the bilinear models of its own code.
`bce` is the mean over all pairs, the others are means over edges and replaced ends. Negatives replaced at the head make
softmax and margin order heads around a tail, those replaced at the tail order tails around a head.

An epoch is cut into chunks of edges. Each draws its negatives, and its gradient is taken at once and kept, so that
memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.base import BlockSource

if TYPE_CHECKING:
    from flykd_console.distill.labels.negatives import Negatives
    from flykd_console.distill.pairs.pair_space import PairSpace, RelationPairs
    from flykd_console.model.encoded import Encoded
    from flykd_console.profile.negatives import Negatives as Settings

    # (edges' logits [n], negatives' logits [ends, n, k], settings) -> the sum of the loss over edges and ends.
    Summed = Callable[[Tensor, Tensor, Settings], Tensor]
    # The loss of a chunk from the two sides of a relation's logits.
    Part = Callable[[Tensor, Tensor], Tensor]

# Pairs in work at a time: some 60 bytes each.
CHUNK_PAIRS = 1_000_000


def bce(edges: Tensor, negatives: Tensor, settings: Settings) -> Tensor:
    """Binary cross-entropy of edges and negatives."""
    return functional.softplus(-edges).sum() + functional.softplus(negatives).sum()


def softmax(edges: Tensor, negatives: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy of the softmax of each edge among its negatives."""
    every = torch.cat([edges.expand(len(negatives), -1).unsqueeze(2), negatives], dim=2) / settings.temperature
    return (every.logsumexp(dim=2) - every[:, :, 0]).sum()


def self_adversarial(edges: Tensor, negatives: Tensor, settings: Settings) -> Tensor:
    """Self-adversarial negative sampling: the harder a negative is now, the more it weighs."""
    weights = (negatives.detach() / settings.temperature).softmax(dim=2)
    told = len(negatives) * functional.softplus(-settings.margin - edges).sum()
    return told + (weights * functional.softplus(negatives + settings.margin)).sum()


def margin(edges: Tensor, negatives: Tensor, settings: Settings) -> Tensor:
    """Margin ranking."""
    return (settings.margin - edges.unsqueeze(1) + negatives).clamp(min=0.0).mean(dim=2).sum()


LOSSES: dict[str, Summed] = {
    "bce": bce,
    "softmax": softmax,
    "self_adversarial": self_adversarial,
    "margin": margin,
}


class Contrast(BlockSource):
    """`L_og` under any of the losses and any number of negatives."""

    def __init__(self, space: PairSpace, negatives: Negatives, settings: Settings) -> None:
        super().__init__()
        self._space, self._negatives, self._settings = space, negatives, settings
        edges = sum(pairs.edge_count for pairs in space.relations)
        per_edge = negatives.ends
        if settings.loss == "bce":
            per_edge = 1 + negatives.ends * settings.ratio
        self._terms = max(1, edges * per_edge)

    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        """The mean over edges and ends, or, of `bce`, over pairs."""
        summed = []
        for number, pairs in enumerate(self._space.relations):
            heads, tails = self._space.ends(pairs, encoded)
            summed.append(in_chunks(heads, tails, self._parts(number, pairs)))
        return torch.stack(summed).sum() / self._terms

    def _parts(self, number: int, pairs: RelationPairs) -> Iterator[Part]:
        each = 1 + self._negatives.ends * self._settings.ratio
        count = max(1, CHUNK_PAIRS // each)
        for start in range(0, pairs.edge_count, count):
            yield self._part(number, pairs, slice(start, start + count))

    def _part(self, number: int, pairs: RelationPairs, edges: slice) -> Part:
        negatives = self._negatives.around(number, edges, self._settings.ratio)
        positives = pairs.flat(pairs.edge_heads[edges], pairs.edge_tails[edges])
        index = torch.cat([positives, negatives.reshape(-1)])

        def of_chunk(heads: Tensor, tails: Tensor) -> Tensor:
            scores = self._space.scores(pairs, heads, tails, index)
            told, others = scores.split([len(positives), negatives.numel()])
            return LOSSES[self._settings.loss](told, others.view(negatives.shape), self._settings)

        return of_chunk


def in_chunks(heads: Tensor, tails: Tensor, parts: Iterator[Part] | Sequence[Part]) -> Tensor:
    """The sum of some losses of the same two sides, [m, d] and [n, d]; differentiable in both, once."""
    summed: Tensor = _InChunks.apply(heads, tails, parts)  # type: ignore[no-untyped-call]
    return summed


class _InChunks(torch.autograd.Function):
    """The gradient of each part is taken in the forward pass and kept, so that one part is in memory at a time."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, tails: Tensor, parts: Iterator[Part]) -> Tensor:
        summed = heads.new_zeros(())
        d_heads, d_tails = torch.zeros_like(heads), torch.zeros_like(tails)
        for part in parts:
            with torch.enable_grad():
                sides = heads.detach().requires_grad_(), tails.detach().requires_grad_()
                loss = part(*sides)
                gradients = torch.autograd.grad(loss, sides)
            summed += loss.detach()
            d_heads += gradients[0]
            d_tails += gradients[1]
        ctx.save_for_backward(d_heads, d_tails)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        d_heads, d_tails = ctx.saved_tensors
        return gradients[0] * d_heads, gradients[0] * d_tails, None
