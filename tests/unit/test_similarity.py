"""The most similar tails, found in blocks of rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from flykd_console.graph import similarity


@pytest.mark.parametrize("some_rows", [False, True])
def test_blocks_of_any_size_give_what_all_rows_at_once_give(some_rows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    profiles = sp.csr_array(sp.random(60, 12, 0.3, random_state=1, dtype=np.float32))
    keys = np.flatnonzero(rng.random(60) < 0.5)
    rows = np.sort(rng.choice(60, 25, replace=False)) if some_rows else None
    whole = similarity.most_similar(profiles, keys, 3, rows)
    assert len(whole[0]) > 25
    for size in (1, 7, 59, 60):
        monkeypatch.setattr(similarity, "_BLOCK", size)
        for found, expected in zip(similarity.most_similar(profiles, keys, 3, rows), whole, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("neighbours", [1, 3, 50])
def test_dense_products_give_what_sparse_ones_give(
    share: float, neighbours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binary profiles, so that ties are frequent."""
    profiles = sp.csr_array((sp.random(60, 12, share, random_state=2, dtype=np.float32) > 0).astype(np.float32))
    keys = np.flatnonzero(np.random.default_rng(1).random(60) < 0.5)
    found = []
    for dense_from in (2.0, -1.0):
        monkeypatch.setattr(similarity, "_DENSE", dense_from)
        found.append(similarity.most_similar(profiles, keys, neighbours))
    for sparse, dense in zip(*found, strict=True):
        np.testing.assert_array_equal(sparse, dense)


def test_no_rows_have_no_neighbours() -> None:
    profiles = sp.csr_array(np.eye(4, dtype=np.float32))
    nothing = np.zeros(0, dtype=np.int64)
    assert [len(part) for part in similarity.most_similar(profiles, np.arange(4), 3, nothing)] == [0, 0, 0]
