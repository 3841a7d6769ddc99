"""How alike two tails are: the inner product of their profiles over the neighbours that some relations give.

TxGNN's profiles are binary and of unit length, so that the product is a cosine; they may be weighed by rarity instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console.relation_names import any_meant

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets
    from flykd_console.profile import sections


def profile_relations(train: Mapping[EdgeType, Pairs], targets: Targets, settings: sections.Pooling) -> list[str]:
    """Names of the relations that make a tail's profile: those of the settings, and all others where they say so."""
    names = list(settings.relations)
    if not settings.all_relations:
        return names
    for edge_type in sorted(train):
        touches = targets.tail in (edge_type.head, edge_type.tail)
        if touches and edge_type not in targets and not any_meant(names, *edge_type):
            names.append(edge_type.relation)
    return names


def tail_profiles(
    train: Mapping[EdgeType, Pairs],
    tail_type: str,
    tail_count: int,
    relations: list[str],
    direction: Literal["either", "published"] = "either",
    weights: Literal["none", "rarity"] = "none",
) -> sp.csr_array | None:
    """Profiles over the neighbours that the relations give, float32 [N_tail, features]; None where there are none.

    Args:
        direction: `published` reads a relation that leaves the tails as the published code does, which takes every one
            to lead to them: row i then holds the tails of node i of the other type, not the neighbours of tail i.
        weights: `none`: binary and of unit length. `rarity`: each relation's block by itself as `by_rarity` says, where
            tails are neighbours of themselves, too, in relations between tails.
    """
    blocks = []
    for edge_type, (heads, tails) in sorted(train.items()):
        if not any_meant(relations, *edge_type) or tail_type not in (edge_type.head, edge_type.tail) or len(heads) == 0:
            continue
        if edge_type.head == edge_type.tail:
            heads, tails = np.concatenate([heads, tails]), np.concatenate([tails, heads])
            if weights == "rarity":
                own = np.arange(tail_count)
                heads, tails = np.concatenate([heads, own]), np.concatenate([tails, own])
        elif edge_type.head == tail_type and direction == "either":
            heads, tails = tails, heads
        elif edge_type.head == tail_type:
            numbered = tails < tail_count
            heads, tails = heads[numbered], tails[numbered]
            if len(heads) == 0:
                continue
        blocks.append(_binary(tails, heads, (tail_count, int(heads.max()) + 1)))
    if not blocks:
        return None
    if weights == "rarity":
        return sp.csr_array(sp.hstack([by_rarity(block) for block in blocks]).astype(np.float32))
    binary = sp.csr_array(sp.hstack(blocks))
    lengths = np.sqrt(np.diff(binary.indptr).astype(np.float32))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_array(sp.diags_array(scale) @ binary)


def by_rarity(neighbours: sp.csr_array) -> sp.csr_array:
    """Binary neighbours [N, features] weighed by rarity, every row of length 1 where it is not empty, float64.

    A feature c weighs log(1 + N / Σ_i B[i, c]): what few share tells more.
    """
    count = np.maximum(neighbours.sum(axis=0, dtype=np.float64), 1.0)
    weighed = sp.csr_array(neighbours @ sp.diags_array(np.log1p(neighbours.shape[0] / count)))
    length = np.sqrt(np.asarray(weighed.power(2).sum(axis=1)).reshape(-1))
    return sp.csr_array(sp.diags_array(1.0 / np.where(length > 0.0, length, 1.0)) @ weighed)


def _binary(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> sp.csr_array:
    """Ones at listed entries, each once however often it is listed, float32."""
    matrix = sp.csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def most_similar(
    similar: sp.csr_array, keys: NDArray[np.int64], neighbours: int, rows: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Per row its most similar keys, never itself, with weights sim / sum |sim|; ties go to the lower index.

    Args:
        similar: Profiles [N_tail, features].
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
