"""Rows of a table by number, with a gradient that sums instead of scattering: several times cheaper on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gather(table: Tensor, index: Tensor) -> Tensor:
    """table[index], float32 [n, d] of [N, d] by int64 [n]; its gradient adds up in a fixed order."""
    rows: Tensor = _Gather.apply(table, index)  # type: ignore[no-untyped-call]
    return rows


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = len(table)
        return table.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if len(index) == 0:
            return gradient.new_zeros(ctx.count, gradient.shape[1]), None
        # Which rows of the gradient belong to each row of the table, by their number.
        order = index.argsort(stable=True)
        offsets = torch.cat([index.new_zeros(1), torch.bincount(index, minlength=ctx.count).cumsum(0)])
        return torch.embedding_bag(gradient, order, offsets, False, 0, False, None, True)[0], None
