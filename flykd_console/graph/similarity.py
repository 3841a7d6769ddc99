"""How alike two tails are (TxGNN): the cosine of their binary profiles over the neighbours that some relations give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Pairs


def tail_profiles(
    train: Mapping[EdgeType, Pairs],
    tail_type: str,
    tail_count: int,
    relations: list[str],
    direction: Literal["either", "published"] = "either",
) -> sp.csr_array | None:
    """Unit-length binary profiles over the neighbours that the relations give, float32 [N_tail, features].

    Args:
        direction: `published` reads a relation that leaves the tails as the published code does, which takes every one
            to lead to them: row i then holds the tails of node i of the other type, not the neighbours of tail i.
    """
    columns, rows, width = [], [], 0
    for edge_type, (heads, tails) in sorted(train.items()):
        if edge_type.relation not in relations or tail_type not in (edge_type.head, edge_type.tail) or len(heads) == 0:
            continue
        if edge_type.head == edge_type.tail:
            heads, tails = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        elif edge_type.head == tail_type and direction == "either":
            heads, tails = tails, heads
        elif edge_type.head == tail_type:
            numbered = tails < tail_count
            heads, tails = heads[numbered], tails[numbered]
            if len(heads) == 0:
                continue
        rows.append(tails)
        columns.append(heads + width)
        width += int(heads.max()) + 1
    if not rows:
        return None
    row, column = np.concatenate(rows), np.concatenate(columns)
    binary = sp.csr_array((np.ones(len(row), dtype=np.float32), (row, column)), shape=(tail_count, width))
    binary.sum_duplicates()
    binary.data[:] = 1.0
    lengths = np.sqrt(np.diff(binary.indptr).astype(np.float32))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_array(sp.diags_array(scale) @ binary)


def most_similar(
    similar: sp.csr_array, keys: NDArray[np.int64], neighbours: int, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Per row its most similar keys, never itself, with weights sim / sum |sim|; ties go to the lower index.

    Args:
        similar: Profiles of unit length [N_tail, features].
        keys: Rows that may be borrowed from.
        neighbours: How many keys a row has at most.
        rows: The rows that are asked for; None: all.

    Returns:
        Row, key and weight of each entry, [n] each, in ascending order of the row, the most similar key first.
    """
    product = ((similar if rows is None else similar[rows]) @ similar[keys].T).tocoo()
    if rows is not None:
        product = sp.coo_array((product.data, (rows[product.row], product.col)), shape=(similar.shape[0], len(keys)))
    row, column, value = product.row.astype(np.int64), keys[product.col], product.data
    other = row != column
    row, column, value = row[other], column[other], value[other]
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    first_of_row = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=similar.shape[0]))])[row]
    top = np.arange(len(row)) - first_of_row < neighbours
    row, column, value = row[top], column[top], value[top]
    total = np.bincount(row, weights=np.abs(value), minlength=similar.shape[0])
    return row, column, (value / total[row]).astype(np.float32)
