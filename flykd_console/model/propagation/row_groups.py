"""Which rows share a dense block: nodes grouped by the relations that reach them.

A node v of type t sums blocks `m_{r,v} W_r` over the relations r that reach it. Nodes reached by the same set S of
relations form one dense block [n, |S| d] that meets the stacked weights of S in one matrix product, without zeros.
Small groups are merged into others where the zeros cost less than another call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# What a further group costs (a gather of weights and three small calls), in rows x relations of one block product.
GROUP_COST = 200


@dataclass(frozen=True)
class RowGroup:
    """Rows `nodes` (positions in the covered table) that share the relations `relations` (columns of it)."""

    nodes: NDArray[np.int64]
    relations: NDArray[np.int64]


def group_rows(covered: NDArray[np.bool_], group_cost: int = GROUP_COST) -> list[RowGroup]:
    """Groups that hold every row of `covered` [n, R] that has a relation, each row once, zeros kept few.

    Args:
        covered: Whether relation r reaches node v.
        group_cost: Price of a group in rows x relations; a large price merges everything into one.
    """
    some = np.flatnonzero(covered.any(axis=1))
    if len(some) == 0:
        return []
    patterns, pattern_of_row, counts = np.unique(covered[some], axis=0, return_inverse=True, return_counts=True)
    pattern_of_row = pattern_of_row.reshape(-1)
    label = _merge(patterns, counts, group_cost)
    groups = []
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        groups.append(
            RowGroup(
                nodes=some[np.isin(pattern_of_row, members)],
                relations=np.flatnonzero(patterns[members].any(axis=0)),
            )
        )
    return groups


def _merge(patterns: NDArray[np.bool_], counts: NDArray[np.int64], group_cost: int) -> NDArray[np.int64]:
    """Greedy merging, smallest group first into the partner that adds the fewest zeros; label per pattern."""
    label = np.arange(len(patterns))
    sets, sizes = patterns.copy(), counts.astype(np.float64)
    alive = np.ones(len(patterns), dtype=bool)
    settled = np.zeros(len(patterns), dtype=bool)
    while True:
        open_groups = np.flatnonzero(alive & ~settled)
        if len(open_groups) == 0 or alive.sum() == 1:
            return label
        smallest = open_groups[np.argmin(sizes[open_groups] * sets[open_groups].sum(axis=1))]
        others = np.flatnonzero(alive)
        others = others[others != smallest]
        union = (sets[others] | sets[smallest]).sum(axis=1)
        added = (
            union * (sizes[others] + sizes[smallest])
            - sets[others].sum(axis=1) * sizes[others]
            - sets[smallest].sum() * sizes[smallest]
        )
        best = int(np.argmin(added))
        if added[best] >= group_cost:
            settled[smallest] = True
            continue
        partner = others[best]
        sets[partner] |= sets[smallest]
        sizes[partner] += sizes[smallest]
        alive[smallest] = False
        settled[partner] = False
        label[label == smallest] = partner
