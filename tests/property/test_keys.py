"""Distinct keys are numpy's, whatever stands twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flykd_console.graph.keys import distinct


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 5)))
def test_distinct_keys_are_those_of_unique(values: list[int]) -> None:
    keys = np.array(values, dtype=np.int64)
    before = keys.copy()
    assert np.array_equal(distinct(keys), np.unique(keys))
    assert np.array_equal(keys, before)
