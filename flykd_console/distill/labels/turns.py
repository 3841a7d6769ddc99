"""Things in turn: all of them in every pass, each pass in an order of its own."""

from __future__ import annotations

import torch
from torch import Tensor


class Turns:
    """Batches of one size, of which each thing is in as many as any other, but for one.

    A pass's order follows from its number, so that a checkpoint need not keep it.

    Args:
        count: How many things there are.
        size: Of a batch.
        seed: Of the orders.
        device: Where batches are wanted.
    """

    def __init__(self, count: int, size: int, seed: int, device: torch.device) -> None:
        self._count, self._size, self._seed, self._device = count, size, seed, device

    def batch(self, number: int) -> Tensor:
        """Things of a batch, counted from 0, int64 [size]."""
        first = number * self._size
        passes = range(first // self._count, (first + self._size - 1) // self._count + 1)
        orders = torch.cat([self._order(one) for one in passes])
        start = first - passes.start * self._count
        return orders[start : start + self._size].to(self._device)

    def _order(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed + number)
        return torch.randperm(self._count, generator=generator)
