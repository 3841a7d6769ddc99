"""Scores of listed pairs on a CPU, for a fraction of the price of every pair's: a sampled product of two matrices.

DistMult's logit of a pair is an inner product of two rows, `s = <h_u * w, t_v>`. Pairs sorted by head are the pattern
of a sparse matrix [heads, tails]: torch's sampled product computes its entries alone, and with their gradient in the
entries' place the gradient of either side is one product of a sparse matrix with the other side:

    logits   s = (H w) T^T at the pairs
    gradient d(H w) = G T,  dT = G^T (H w)       G [heads, tails] holds the gradient of s, repeated pairs side by side

Sorting costs time linear in the pairs, so an epoch pays for its pairs and not for the area they are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.model.shared_rows import summed_rows

# What a listed pair costs, sorting included, in pairs of a full score matrix (`benchmarks/scoring.py`).
PAIR_COST = 4.0


@dataclass(frozen=True)
class SampledPairs:
    """Pairs of one relation in their order, and sorted by head and by tail.

    Attributes:
        shape: Numbers of heads and tails.
        by_head: Which pair stands where when sorted by head, int64 [n].
        starts: First place of every head then, and n; int32 [heads + 1].
        tails: The tails in that order, int32 [n].
        by_tail: Which pair stands where when sorted by tail, int64 [n].
        tail_starts: First place of every tail then, and n; int32 [tails + 1].
        heads: The heads in that order, int32 [n].
    """

    shape: tuple[int, int]
    by_head: Tensor
    starts: Tensor
    tails: Tensor
    by_tail: Tensor
    tail_starts: Tensor
    heads: Tensor

    @classmethod
    def of(cls, flat: Tensor, heads: int, tails: int) -> SampledPairs:
        """The pairs of flat indices `head * tails + tail`, int64 [n] on the CPU; a pair may stand several times."""
        index = flat.numpy().astype(np.int32)
        head = index // np.int32(tails)
        tail = index - head * np.int32(tails)
        by_head, starts = _sorted(head, heads)
        by_tail, tail_starts = _sorted(tail, tails)
        return cls(
            shape=(heads, tails),
            by_head=torch.from_numpy(by_head.astype(np.int64)),
            starts=torch.from_numpy(starts),
            tails=torch.from_numpy(tail[by_head]),
            by_tail=torch.from_numpy(by_tail.astype(np.int64)),
            tail_starts=torch.from_numpy(tail_starts),
            heads=torch.from_numpy(head[by_tail]),
        )

    def logits(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Inner products of the pairs' rows, in their order: [heads, d], [tails, d] -> [n], differentiable."""
        scores: Tensor = _InnerProducts.apply(heads, tails, self)  # type: ignore[no-untyped-call]
        return scores


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, tails: Tensor, pairs: SampledPairs) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(heads, tails)
        nothing = heads.new_zeros(len(pairs.tails))
        pattern = torch.sparse_csr_tensor(pairs.starts, pairs.tails, nothing, size=pairs.shape, check_invariants=False)
        sampled = torch.sparse.sampled_addmm(pattern, heads, tails.T, beta=0.0).values()
        return torch.empty_like(sampled).index_copy_(0, pairs.by_head, sampled)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        pairs: SampledPairs = ctx.pairs
        heads, tails = ctx.saved_tensors
        gradient = gradients[0]
        d_heads = summed_rows(tails, pairs.tails, pairs.starts, gradient.index_select(0, pairs.by_head))
        d_tails = summed_rows(heads, pairs.heads, pairs.tail_starts, gradient.index_select(0, pairs.by_tail))
        return d_heads, d_tails, None


def _sorted(ends: NDArray[np.int32], count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Order that sorts ends below `count`, stable, and the first place of each; in linear time."""
    each = np.arange(len(ends) + 1, dtype=np.int32)
    # Pair i has its one entry in column ends[i]; by columns, that lists the pairs of each end.
    by_end = sp.csr_array((np.ones(len(ends), np.int8), ends, each), shape=(len(ends), count)).tocsc()
    return by_end.indices.astype(np.int32, copy=False), by_end.indptr.astype(np.int32, copy=False)
