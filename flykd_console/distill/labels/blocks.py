"""Blocks of soft labels at constant memory: every head of a block with every tail, weighted, in one pass.

With heads and tails drawn independently, m heads and n tails make m n labels for the price of a few matrix products.
The weighted mean of the binary cross-entropy and its gradient are computed together, some rows of heads at a time, so
memory does not grow with the number of labels:

    L = sum_ij p_i q_j BCE(s_ij, sigmoid(t_ij)),   dL/ds_ij = p_i q_j (sigmoid(s_ij) - sigmoid(t_ij))

With a temperature T the logits s and t are divided by it and the loss is multiplied by T².
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.memory import in_chunks

# Labels in work at a time, 4 bytes each in a handful of buffers.
CHUNK_LABELS = 4_000_000


def block_loss(
    heads: Tensor,
    tails: Tensor,
    teacher: Callable[[slice], Tensor],
    head_weights: Tensor,
    tail_weights: Tensor,
    temperature: float = 1.0,
    min_logit: float | None = None,
) -> Tensor:
    """The weighted cross-entropy of a block; differentiable in the student's `heads` and `tails`.

    Args:
        heads: The student's heads times its relation vector, float32 [m, d]; logits are `heads @ tails.T`.
        tails: float32 [n, d].
        teacher: From a slice of the heads to the frozen teacher's logits, float32 [slice, n], which are overwritten.
        head_weights, tail_weights: p [m] and q [n], float32; they sum to 1 for a mean.
        min_logit: Pairs that the teacher scores at or below it weigh nothing.
    """
    if temperature != 1.0:
        # Logits are bilinear in heads and tails: dividing the heads divides them.
        heads = heads / temperature
    head_weights, tail_weights = head_weights.to(heads.dtype), tail_weights.to(heads.dtype)
    loss: Tensor = _BlockLoss.apply(  # type: ignore[no-untyped-call]
        min_logit, temperature, teacher, heads, tails, head_weights, tail_weights
    )
    return loss if temperature == 1.0 else temperature**2 * loss


class _BlockLoss(torch.autograd.Function):
    """The gradient is known as soon as the logits are, so it is taken in the forward pass and kept."""

    @staticmethod
    def forward(
        ctx: Any,
        threshold: float | None,
        temperature: float,
        teacher: Callable[[slice], Tensor],
        heads: Tensor,
        tails: Tensor,
        p: Tensor,
        q: Tensor,
    ) -> Tensor:
        rows = max(1, CHUNK_LABELS // max(1, len(tails)))
        loss = heads.new_zeros(())
        d_heads, d_tails = torch.empty_like(heads), torch.zeros_like(tails)

        def part(chunk: slice) -> Tensor:
            logits = heads[chunk] @ tails.T
            teacher_logits = teacher(chunk)
            strong = None if threshold is None else teacher_logits > threshold
            if temperature != 1.0:
                teacher_logits.div_(temperature)
            soft = torch.sigmoid_(teacher_logits)
            # BCE with logits: softplus(s) - y s.
            each = functional.softplus(logits).sub_(soft * logits)
            found = p[chunk] @ ((each if strong is None else each.mul_(strong)) @ q)
            gradient = torch.sigmoid_(logits).sub_(soft).mul_(p[chunk, None]).mul_(q)
            if strong is not None:
                gradient.mul_(strong)
            torch.mm(gradient, tails, out=d_heads[chunk])
            # Last, and in place: what fails before it is done again in smaller chunks.
            d_tails.addmm_(gradient.T, heads[chunk])
            return found

        for _, found in in_chunks(len(heads), rows, part):
            loss += found
        ctx.save_for_backward(d_heads, d_tails)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_heads, d_tails = ctx.saved_tensors
        return None, None, None, gradients[0] * d_heads, gradients[0] * d_tails, None, None
