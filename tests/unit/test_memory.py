"""Where memory runs out, chunks become smaller and the numbers stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flykd_console.distill.labels.blocks import block_loss
from flykd_console.heuristics.base import listed
from flykd_console.memory import in_chunks
from flykd_console.tasks.link_prediction.ranks import rank_rows

OUT = RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried")


def test_chunks_are_halved_until_they_fit_and_every_thing_is_done_once() -> None:
    done: list[int] = []

    def work(chunk: slice) -> int:
        if chunk.stop - chunk.start > 3:
            raise MemoryError
        done.extend(numbers := range(chunk.start, chunk.stop))
        return len(numbers)

    assert [found for _, found in in_chunks(10, 100, work)] == [2, 2, 2, 2, 2]
    assert done == list(range(10))


def test_what_does_not_fit_at_all_and_other_errors_are_raised() -> None:
    def fails(error: Exception) -> None:
        def work(chunk: slice) -> None:
            raise error

        list(in_chunks(8, 4, work))

    with pytest.raises(MemoryError):
        fails(MemoryError())
    with pytest.raises(RuntimeError, match="shapes"):
        fails(RuntimeError("shapes do not fit"))
    assert list(in_chunks(0, 4, lambda chunk: None)) == []


class Limited:
    """Scores that are given for few rows at a time only."""

    def __init__(self, table: np.ndarray, most: int) -> None:
        self.table, self.most, self.refused = table, most, 0

    def __call__(self, chunk: slice) -> np.ndarray:
        rows = self.table[chunk]
        if len(rows) > self.most:
            self.refused += 1
            raise OUT
        return rows


def test_a_ranking_is_the_same_in_smaller_chunks() -> None:
    rng = np.random.default_rng(2)
    table = rng.integers(0, 5, (40, 30)).astype(np.float32)  # ties, which the noise breaks
    flat = np.unique(rng.integers(0, 1200, 90))
    flat = np.unique(np.concatenate([flat, np.arange(40) * 30]))
    true = flat // 30, flat % 30
    relevant = np.bincount(true[0], minlength=40)
    nothing = np.empty(0, np.int64), np.empty(0, np.int64)

    def ranked(most: int) -> tuple[dict[str, np.ndarray], int]:
        block = Limited(table, most)
        found = rank_rows(block, table.shape, true, nothing, relevant, np.random.default_rng(0))
        return found.found, block.refused

    (whole, refused), (small, refused_again) = ranked(40), ranked(3)
    assert (refused, refused_again > 0) == (0, True)
    assert whole.keys() == small.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(small[name], values)


def test_listed_pairs_are_scored_alike_in_smaller_chunks() -> None:
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((50, 20))
    heads, tails = rng.integers(0, 20, 200), rng.integers(0, 50, 200)

    def block(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if len(rows) > 7:
            raise MemoryError
        table: np.ndarray = scores[np.ix_(rows, columns)]
        return table

    np.testing.assert_array_equal(listed(block, heads, tails), scores[tails, heads])


def test_a_block_of_labels_has_the_same_loss_and_gradient_in_smaller_chunks() -> None:
    generator = torch.Generator().manual_seed(4)
    heads, tails = (torch.randn(n, 6, generator=generator, requires_grad=True) for n in (33, 21))
    teacher = torch.randn(33, 21, generator=generator)
    p, q = torch.full((33,), 1 / 33), torch.full((21,), 1 / 21)

    def carried_out(most: int) -> tuple[torch.Tensor, ...]:
        def logits(chunk: slice) -> torch.Tensor:
            rows = teacher[chunk]
            if len(rows) > most:
                raise OUT
            return rows.clone()

        loss = block_loss(heads, tails, logits, p, q)
        return loss.detach(), *torch.autograd.grad(loss, (heads, tails))

    for mine, theirs in zip(carried_out(4), carried_out(33), strict=True):
        torch.testing.assert_close(mine, theirs)
