"""Rows are grouped once each, and every group carries all relations that its rows need."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from flykd_console.model.propagation.row_groups import group_rows


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.sampled_from([0, 1, 5, 10**9]))
def test_every_covered_row_stands_in_one_group_that_has_its_relations(covered: np.ndarray, group_cost: int) -> None:
    groups = group_rows(covered, group_cost)
    rows = np.concatenate([g.nodes for g in groups]) if groups else np.empty(0, dtype=int)
    assert sorted(rows) == list(np.flatnonzero(covered.any(axis=1)))
    for group in groups:
        needed = np.flatnonzero(covered[group.nodes].any(axis=0))
        assert set(needed) == set(group.relations)
    if group_cost >= 10**9:
        assert len(groups) <= 1


def test_without_a_price_no_zero_is_stored() -> None:
    covered = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)
    assert sum(len(g.nodes) * len(g.relations) for g in group_rows(covered, 0)) == covered.sum()
