"""What a layer multiplies: rows gathered from the layer before, products of them, and what nodes collect.

    X = G h            the inputs of all products: one sparse product, constant in layer 1
    Y_s = X_s W_s + b  the products: one dense product for each segment s of the rows
    z = C Y            the sum of each node's messages: another sparse product

A relation's mean can stand on either side of its weights, and stands where it makes fewer rows: G averages and C adds
up, a row for each target, or G copies and C averages, a row for each source. Where many nodes are reached by the same
relations, they share a segment: their means lie side by side and meet the stacked weights, so that C reads a row for
each node instead of one for each message.

Where a mean is multiplied by a factor of the number of messages, C holds the factor, so that a product's bias is
multiplied with it; relations then share no segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.model.message_graph import Wanted

    # From numbers of messages, int64 [n], to what their mean is multiplied by, float32 [n].
    Factor = Callable[[NDArray[np.integer]], NDArray[np.float32]]

# What an edge costs in C, forward and backward, in rows of a dense product.
EDGE_COST = 0.08
# Fewer nodes in a segment of their own do not pay for its calls.
GROUP_SIZE = 400


@dataclass(frozen=True)
class Segment:
    """n rows of products that have k relations in common.

    Attributes:
        relations: Indices of the k relations.
        inputs: The n k rows of X, node after node.
        products: The n rows of Y.
    """

    relations: list[int]
    inputs: slice
    products: slice


@dataclass(frozen=True)
class Layout:
    """A layer's segments and its two sparse matrices.

    Attributes:
        segments: Every row of X and of Y stands in one of them, in their order.
        gather: G, float32 [inputs, rows before].
        collect: C, float32 [rows, products].
    """

    segments: list[Segment]
    gather: sp.csr_array
    collect: sp.csr_array


def lay_out(
    nodes: Wanted,
    matrices: Mapping[EdgeType, sp.csr_array],
    before: Wanted,
    numbers: Mapping[EdgeType, int],
    *,
    apart: bool,
    fixed: bool,
    factor: Factor | None = None,
) -> Layout:
    """Arrange a layer.

    Args:
        nodes: Per type the nodes with an output; rows are counted through all types in their order.
        matrices: Per edge type the mean over its messages, [nodes of the tail's type, N_head].
        before: Per type, ascending, the nodes of the layer before; every source is among them.
        numbers: Per edge type its relation index.
        apart: Every message is a product of its own, and C only adds up.
        fixed: The layer before never changes, and X is computed once.
        factor: What a mean is multiplied by; None: nothing.
    """
    building = _Building(sum(map(len, before.values())))
    for node_type, start in first_rows(nodes).items():
        into = {}
        for edge_type in sorted(matrices, key=numbers.__getitem__):
            if edge_type.tail != node_type:
                continue
            matrix = _over_rows(matrices[edge_type], edge_type.head, before)
            if apart or not _multiply_first(matrix, fixed):
                into[numbers[edge_type]] = matrix
            else:
                building.add_sources(numbers[edge_type], matrix, start, _factors(matrix, factor))
        for relations, reached in _groups(into, apart or factor is not None):
            means = [into[number] for number in relations]
            building.add_targets(relations, means, reached, start, _factors(means[0], factor)[reached])
    return building.layout(sum(map(len, nodes.values())))


def _factors(matrix: sp.csr_array, factor: Factor | None) -> NDArray[np.float32]:
    """What the mean of each row is multiplied by, float32 [rows]."""
    if factor is None:
        return np.ones(matrix.shape[0], np.float32)
    return factor(np.diff(matrix.indptr))


def first_rows(nodes: Wanted) -> dict[str, int]:
    """First stacked row of every node type, types in their order."""
    ends = np.cumsum([len(rows) for rows in nodes.values()])
    return {node_type: int(end) - len(rows) for (node_type, rows), end in zip(nodes.items(), ends, strict=True)}


def _over_rows(matrix: sp.csr_array, node_type: str, nodes: Wanted) -> sp.csr_array:
    """A matrix over all nodes of a type, [m, N_type], over the stacked rows of `nodes` instead, [m, rows]."""
    row_of = np.zeros(matrix.shape[1], dtype=np.int64)
    row_of[nodes[node_type]] = first_rows(nodes)[node_type] + np.arange(len(nodes[node_type]))
    shape = (matrix.shape[0], sum(map(len, nodes.values())))
    return sp.csr_array((matrix.data, row_of[matrix.indices], matrix.indptr), shape=shape)


def selection(columns: NDArray[np.integer], count: int) -> sp.csr_array:
    """The matrix that picks the rows `columns` of `count`, float32 [len(columns), count]."""
    ones = np.ones(len(columns), dtype=np.float32)
    return sp.csr_array((ones, columns, np.arange(len(columns) + 1)), shape=(len(columns), count))


def _multiply_first(matrix: sp.csr_array, fixed: bool) -> bool:
    """Whether a product for every source costs less than one for every target."""
    targets, sources = (np.count_nonzero(counts) for counts in (np.diff(matrix.indptr), np.bincount(matrix.indices)))
    # The edges stand either in G or in C; where X is computed once, those in G cost nothing.
    edges = matrix.nnz if fixed else 0
    return bool(sources + EDGE_COST * edges < targets)


def _groups(into: Mapping[int, sp.csr_array], apart: bool) -> list[tuple[list[int], NDArray[np.int64]]]:
    """Which nodes of a type, by position, have their means multiplied by which relations' weights at once."""
    if not into:
        return []
    numbers = list(into)
    reached = np.stack([np.diff(matrix.indptr) > 0 for matrix in into.values()], axis=1)
    groups: list[tuple[list[int], NDArray[np.int64]]] = []
    if not apart:
        patterns, pattern_of, sizes = np.unique(reached, axis=0, return_inverse=True, return_counts=True)
        pattern_of = pattern_of.reshape(-1)
        for pattern in np.flatnonzero((sizes >= GROUP_SIZE) & (patterns.sum(axis=1) > 1)):
            members = np.flatnonzero(pattern_of == pattern)
            groups.append(([numbers[column] for column in np.flatnonzero(patterns[pattern])], members))
            reached[members] = False
    singly = [([number], np.flatnonzero(reached[:, column])) for column, number in enumerate(numbers)]
    return groups + [(relations, members) for relations, members in singly if len(members)]


class _Building:
    """Segments added one after another, and the parts of G and C that belong to them."""

    def __init__(self, before: int) -> None:
        self._segments: list[Segment] = []
        self._inputs = self._products = 0
        none = np.empty(0, np.int64)
        self._gather = [selection(none, before)]
        self._collect: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = [
            (none, none, np.empty(0, np.float32))
        ]

    def add_targets(
        self,
        relations: list[int],
        means: Sequence[sp.csr_array],
        reached: NDArray[np.int64],
        start: int,
        factors: NDArray[np.float32],
    ) -> None:
        """A product for each of the nodes `reached`, of its means by the relations side by side; their factors."""
        rows = sp.csr_array(sp.vstack([sp.csr_array(matrix[reached]) for matrix in means]))
        if len(relations) > 1:
            rows = sp.csr_array(rows[np.arange(rows.shape[0]).reshape(len(relations), -1).T.ravel()])
        products = self._add(relations, rows, len(reached))
        self._collect.append((start + reached, products, factors))

    def add_sources(self, relation: int, means: sp.csr_array, start: int, factors: NDArray[np.float32]) -> None:
        """A product for each source of a relation, of which C takes the means, times each target's factor."""
        sources, source_of_edge = np.unique(means.indices, return_inverse=True)
        products = self._add([relation], selection(sources, means.shape[1]), len(sources))
        targets = np.repeat(np.arange(means.shape[0]), np.diff(means.indptr))
        self._collect.append((start + targets, products[source_of_edge.reshape(-1)], means.data * factors[targets]))

    def _add(self, relations: list[int], gathered: sp.csr_array, count: int) -> NDArray[np.int64]:
        """Add a segment with `count` products; their rows."""
        inputs = slice(self._inputs, self._inputs + gathered.shape[0])
        products = slice(self._products, self._products + count)
        self._segments.append(Segment(relations, inputs, products))
        self._gather.append(gathered)
        self._inputs, self._products = inputs.stop, products.stop
        return np.arange(products.start, products.stop)

    def layout(self, rows: int) -> Layout:
        targets, products, values = (np.concatenate(part) for part in zip(*self._collect, strict=True))
        collect = sp.csr_array((values, (targets, products)), shape=(rows, self._products))
        return Layout(self._segments, sp.csr_array(sp.vstack(self._gather)), collect)
