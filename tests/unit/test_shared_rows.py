"""Rows of a sparse product dealt out by their entries: evenly, and with the same result to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from flykd_console.model import shared_rows
from flykd_console.model.shared_rows import SharedRows, dealt, slowest_share, summed_rows


def uneven(rows: int = 501, columns: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Columns, offsets and values of a matrix whose first rows have nearly all entries, and some rows none."""
    rng = np.random.default_rng(5)
    lengths = np.where(np.arange(rows) < rows // 4, rng.integers(20, 90, rows), rng.integers(0, 4, rows))
    offsets = np.concatenate([[0], lengths.cumsum()])
    chosen = rng.integers(columns, size=offsets[-1])
    values = rng.standard_normal(offsets[-1]).astype(np.float32)
    return tuple(map(torch.from_numpy, (chosen.astype(np.int32), offsets.astype(np.int32), values)))  # type: ignore


@pytest.mark.parametrize("threads", [2, 4, 8, 16])
def test_dealt_rows_share_the_entries_evenly(threads: int) -> None:
    _, offsets, _ = uneven()
    assert slowest_share(offsets, threads) > 1.8
    order = dealt(offsets, threads)
    assert sorted(order.tolist()) == list(range(len(offsets) - 1))
    ends = offsets.diff()[order].cumsum(0)
    assert slowest_share(torch.cat([ends.new_zeros(1), ends]), threads) < 1.3


def test_even_rows_have_a_share_of_one() -> None:
    assert slowest_share(torch.arange(0, 401, 4), 4) == 1.0


def test_either_way_gives_the_same_bits_and_the_quicker_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    columns, offsets, values = uneven()
    dense = torch.randn(200, 16, generator=torch.Generator().manual_seed(1))
    expected = summed_rows(dense, columns, offsets, values)
    matrix = sp.csr_array((values.numpy(), columns.numpy(), offsets.numpy()), shape=(501, 200))
    np.testing.assert_allclose(expected.numpy(), matrix @ dense.numpy(), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(shared_rows, "_SMALL", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for quicker in (False, True):
        clock = [0.0]
        shared = SharedRows(columns, offsets, values)
        by = SharedRows._by

        def timed(self: SharedRows, deals: bool, dense: torch.Tensor, by=by, clock=clock, quicker=quicker):  # type: ignore
            clock[0] += 1.0 if deals == quicker else 2.0
            return by(self, deals, dense)

        monkeypatch.setattr(SharedRows, "_by", timed)
        monkeypatch.setattr("flykd_console.model.shared_rows.time.perf_counter", lambda clock=clock: clock[0])
        for _ in range(10):
            assert torch.equal(shared.product(dense), expected)
        monkeypatch.setattr(SharedRows, "_by", by)
        assert (shared._dealt is not None) == quicker
    # One thread has nothing to share.
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert torch.equal(shared.product(dense), expected)
