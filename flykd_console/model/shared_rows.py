"""A sparse product on a CPU whose threads have about as many entries each, where that is quicker.

torch gives each thread as many rows as every other. Rows differ: most entries of a knowledge graph may stand in one
half of the rows, and the threads of the other half wait. Dealt out by their number of entries, rows are shared evenly,
for the price of putting the result's rows back in order. A row is summed alike either way, to the last bit, so which
way is taken is settled by trying both, and changes no result.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

# Entries below which there is nothing to gain, and how many times its share the slowest thread must have.
_SMALL, _UNEVEN = 20_000, 1.2
_TRIALS = 3


def summed_rows(dense: Tensor, columns: Tensor, offsets: Tensor, values: Tensor) -> Tensor:
    """CSR matrix (columns [k], offsets [m + 1], values [k]) @ dense [n, d] on a CPU: [m, d], without a gradient."""
    total: Tensor = torch.embedding_bag(dense, columns, offsets, False, 0, False, values, True)[0]
    return total


def slowest_share(offsets: Tensor, threads: int) -> float:
    """Entries of the thread that has most, as a multiple of an equal share; 1 is even.

    Args:
        offsets: Where each row's entries begin, [m + 1].
        threads: Each takes as many rows as the others, one after another.
    """
    rows = len(offsets) - 1
    each = -(-rows // threads)
    bounds = torch.arange(0, threads + 1).mul_(each).clamp_(max=rows)
    entries = offsets.to(torch.int64)[bounds].diff()
    return float(entries.max()) * threads / max(1, int(entries.sum()))


def dealt(offsets: Tensor, threads: int) -> Tensor:
    """The rows in an order in which equal parts of them have about as many entries each, int64 [m]."""
    by_size = offsets.diff().argsort(descending=True, stable=True)
    turn = torch.arange(len(by_size))
    place = turn % threads
    # There and back again, so that nobody always has the longer one.
    place = torch.where((turn // threads) % 2 == 0, place, threads - 1 - place)
    # Within a thread in the old order, in which neighbours read the same rows.
    key = place * (len(by_size) + 1) + by_size
    return by_size[key.argsort()]


class _Dealt:
    """The same matrix with its rows in another order, and the way back."""

    def __init__(self, columns: Tensor, offsets: Tensor, values: Tensor, threads: int) -> None:
        order = dealt(offsets, threads)
        lengths = offsets.diff()[order]
        ends = lengths.cumsum(0)
        self.offsets = torch.cat([ends.new_zeros(1), ends]).to(offsets.dtype)
        starts = offsets[:-1][order] - self.offsets[:-1]
        entries = torch.arange(len(columns)) + torch.repeat_interleave(starts.to(torch.int64), lengths.to(torch.int64))
        self.columns, self.values = columns[entries], values[entries]
        self.back = torch.empty_like(order)
        self.back[order] = torch.arange(len(order))

    def product(self, dense: Tensor) -> Tensor:
        return summed_rows(dense, self.columns, self.offsets, self.values).index_select(0, self.back)


class SharedRows:
    """A CSR matrix ready for products with dense ones, by whichever way is quicker for the threads there are."""

    def __init__(self, columns: Tensor, offsets: Tensor, values: Tensor) -> None:
        self._parts = (columns, offsets, values)
        self._dealt: _Dealt | None = None
        self._threads = 0
        # Best seconds of each way, and how often they were tried.
        self._best = {False: float("inf"), True: float("inf")}
        self._tried = 0

    def product(self, dense: Tensor) -> Tensor:
        """Matrix @ dense [n, d]: [m, d], without a gradient."""
        if len(self._parts[0]) < _SMALL or torch.get_num_threads() == 1:
            return summed_rows(dense, *self._parts)
        self._prepare(torch.get_num_threads())
        if self._dealt is None:
            return summed_rows(dense, *self._parts)
        if self._tried >= 2 * _TRIALS:
            return self._by(self._best[True] < self._best[False], dense)
        deals = self._tried % 2 == 1
        began = time.perf_counter()
        found = self._by(deals, dense)
        self._best[deals] = min(self._best[deals], time.perf_counter() - began)
        self._tried += 1
        if self._tried == 2 * _TRIALS and self._best[True] >= self._best[False]:
            self._dealt = None
        return found

    def _by(self, deals: bool, dense: Tensor) -> Tensor:
        if deals:
            assert self._dealt is not None
            return self._dealt.product(dense)
        return summed_rows(dense, *self._parts)

    def _prepare(self, threads: int) -> None:
        """Another number of threads has other parts, and is tried anew."""
        if threads == self._threads:
            return
        self._threads, self._tried = threads, 0
        self._best = {False: float("inf"), True: float("inf")}
        uneven = slowest_share(self._parts[1], threads) >= _UNEVEN
        self._dealt = _Dealt(*self._parts, threads) if uneven else None
