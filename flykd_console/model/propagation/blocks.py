"""A layer's rows laid out in dense blocks, and its messages stacked to match.

`z_v = sum_r m_{r,v} (Q_r W_r + b_r)_v`: nodes reached by the same relations share a block (`row_groups`), whose
messages [n, k d] meet the stacked weights [k d, d] of its k relations in one product. All messages of a layer are one
sparse product into stacked rows, which are those blocks without a copy. Widths are padded with zeros to a multiple of
`ALIGNMENT`, where dense products are up to a third faster than at 130.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.propagation.row_groups import RowGroup, group_rows
from flykd_console.model.sparse import FixedSparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.model.message_graph import Wanted
    from flykd_console.model.rgcn import HeteroRGCN

ALIGNMENT = 8  # floats: the width of a vector register


def padded_width(dim: int) -> int:
    """The width that is computed with, at least `dim`."""
    return -(-dim // ALIGNMENT) * ALIGNMENT


def padded(weight: Tensor, bias: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Weights [R, d, d] and biases [R, d] filled up with zeros to [R, width, width] and [R, width]."""
    more = width - weight.shape[2]
    return (functional.pad(weight, (0, more, 0, more)), functional.pad(bias, (0, more))) if more else (weight, bias)


def cut(d_weight: Tensor, d_bias: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The part of padded gradients that belongs to the model."""
    return d_weight[:, :dim, :dim].contiguous(), d_bias[:, :dim].contiguous()


@dataclass
class Block:
    """Rows that one dense product fills: [n, k d] messages against the stacked weights [k d, d] of k relations."""

    rows: slice
    relations: Tensor  # int64 [k]
    numbers: list[int]  # the same, for the host
    messages: slice  # of the stacked message rows, n k of them

    def of(self, messages: Tensor) -> Tensor:
        """The block's part of a layer's stacked messages [M, d], as [n, k d]."""
        return messages[self.messages].view(-1, len(self.numbers) * messages.shape[1])

    def weights(self, weight: Tensor) -> Tensor:
        """The stacked weights of the block's relations, [k d, d]."""
        return weight.index_select(0, self.relations).view(-1, weight.shape[2])

    def add_gradient(self, total: Tensor, stacked: Tensor) -> None:
        """Add the stacked weights' gradient [k d, d] to `total` [R, d, d]; one by one is far faster than a scatter."""
        for number, part in zip(self.numbers, stacked.view(len(self.numbers), *total.shape[1:]), strict=True):
            total[number].add_(part)


@dataclass
class TypeRows:
    """The rows of one node type in a layer's stacked output, and which relations reach each: the biases."""

    rows: slice
    relations: Tensor  # int64 [k], relation indices
    reached: Tensor  # float32 [rows, k], 0 or 1
    blocks: list[Block]


@dataclass
class Layout:
    """How a layer's output rows are stacked: by node type, by block within it."""

    types: list[TypeRows]
    nodes: dict[str, NDArray[np.int64]]  # per type: position in the asked-for nodes, in stacked order
    row_count: int
    message_count: int

    def rows_of(self, node_type: str) -> slice:
        """The stacked rows of a node type."""
        return dict(zip(self.nodes, (part.rows for part in self.types), strict=True)).get(node_type, slice(0, 0))

    @property
    def blocks(self) -> list[Block]:
        """The blocks of all types, by row."""
        return [block for part in self.types for block in part.blocks]

    @property
    def segments(self) -> list[slice]:
        """All stacked rows, cut where a type or a block begins or ends."""
        parts = [part.rows for part in self.types] + [block.rows for block in self.blocks]
        cuts = sorted({end for rows in parts for end in (rows.start, rows.stop)})
        return [slice(start, stop) for start, stop in pairwise(cuts)]

    def output(self, weight: Tensor, bias: Tensor, messages: Tensor, out: Tensor) -> None:
        """Fill `out` [rows, d] from the stacked messages [M, d]."""
        # Type by type, so that rows are still in the cache when their blocks come.
        for part in self.types:
            torch.mm(part.reached, bias.index_select(0, part.relations), out=out[part.rows])
            for block in part.blocks:
                out[block.rows].addmm_(block.of(messages), block.weights(weight))

    def parameter_gradients(self, messages: Tensor, d_out: Tensor, d_weight: Tensor, d_bias: Tensor) -> None:
        """Add the gradients of weights [R, d, d] and biases [R, d], given those of the output rows."""
        for part in self.types:
            d_bias.index_add_(0, part.relations, part.reached.T @ d_out[part.rows])
            for block in part.blocks:
                block.add_gradient(d_weight, block.of(messages).T @ d_out[block.rows])

    def message_gradients(self, weight: Tensor, d_out: Tensor, out: Tensor) -> None:
        """Fill `out` [M, d] with the gradients of the stacked messages."""
        for block in self.blocks:
            torch.mm(d_out[block.rows], block.weights(weight).T, out=block.of(out))


def lay_out(
    matrices: Mapping[EdgeType, sp.csr_array],
    numbers: Mapping[EdgeType, int],
    nodes: Wanted,
    group_cost: int,
    device: torch.device,
    apart: Collection[EdgeType] = (),
) -> Layout:
    """Stack the reached nodes of every type into blocks; nodes that no relation reaches have no row.

    Args:
        apart: Edge types whose messages are not stacked; rows that only they reach come last of their type.
    """
    types: list[TypeRows] = []
    order: dict[str, NDArray[np.int64]] = {}
    row = message = 0
    for node_type in sorted(nodes):
        into = sorted((e for e in matrices if e.tail == node_type), key=lambda e: numbers[e])
        if not into:
            continue
        covered = np.stack([np.diff(matrices[e].indptr) > 0 for e in into], axis=1)
        relation_of_column = np.array([numbers[e] for e in into])
        stacked = np.array([e not in apart for e in into])
        groups: list[RowGroup] = group_rows(covered[:, stacked], group_cost)
        first, blocks = row, list[Block]()
        for group in groups:
            rows = slice(row, row + len(group.nodes))
            size = len(group.nodes) * len(group.relations)
            numbers_of = relation_of_column[stacked][group.relations]
            blocks.append(
                Block(
                    rows=rows,
                    relations=torch.from_numpy(numbers_of).to(device),
                    numbers=numbers_of.tolist(),
                    messages=slice(message, message + size),
                )
            )
            row, message = rows.stop, message + size
        others = np.flatnonzero(covered.any(axis=1) & ~covered[:, stacked].any(axis=1))
        row += len(others)
        order[node_type] = np.concatenate([*(group.nodes for group in groups), others])
        types.append(
            TypeRows(
                rows=slice(first, row),
                relations=torch.from_numpy(relation_of_column).to(device),
                reached=torch.from_numpy(covered[order[node_type]].astype(np.float32)).to(device),
                blocks=blocks,
            )
        )
    return Layout(types=types, nodes=order, row_count=row, message_count=message)


def stacked_means(
    layout: Layout,
    matrices: Mapping[EdgeType, sp.csr_array],
    numbers: Mapping[EdgeType, int],
    source_row: Mapping[str, NDArray[np.integer]],
    source_count: int,
) -> sp.csr_array:
    """All of a layer's means as one matrix, float32 [messages, source_count].

    Args:
        source_row: Per node type and node its row among the sources; -1: its value is zero, and it is left out.
    """
    where = _message_rows(layout, numbers)
    lengths = np.zeros(layout.message_count + 1, dtype=np.int64)
    for edge_type, matrix in matrices.items():
        degree = np.diff(matrix.indptr)
        reached = np.flatnonzero(degree)
        lengths[where[edge_type][reached] + 1] = degree[reached]
    offsets = lengths.cumsum()
    columns, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    for edge_type, matrix in matrices.items():
        degree = np.diff(matrix.indptr)
        reached = np.flatnonzero(degree)
        shift = (offsets[where[edge_type][reached]] - matrix.indptr[reached]).repeat(degree[reached])
        shift += np.arange(len(matrix.indices))
        columns[shift] = source_row[edge_type.head][matrix.indices]
        values[shift] = matrix.data
    absent = columns < 0
    if absent.any():
        offsets -= np.concatenate([[0], absent.cumsum()])[offsets]
        columns, values = columns[~absent], values[~absent]
    return sp.csr_array((values, columns, offsets.astype(np.int32 if offsets[-1] < 2**31 else np.int64)),
                        shape=(layout.message_count, source_count))  # fmt: skip


def constant_messages(
    layout: Layout, matrices: Mapping[EdgeType, sp.csr_array], numbers: Mapping[EdgeType, int], model: HeteroRGCN
) -> Tensor:
    """Layer 1's messages P_r = A_r X, which never change, float32 [M, padded width]."""
    types = sorted({edge_type.head for edge_type in matrices})
    tables = [model.inputs[node_type] for node_type in types]
    starts = np.cumsum([0, *(len(table) for table in tables)])
    rows = {t: np.arange(a, b, dtype=np.int32) for t, a, b in zip(types, starts[:-1], starts[1:], strict=True)}
    means = stacked_means(layout, matrices, numbers, rows, int(starts[-1]))
    device = model.relation.device
    width = padded_width(model.dim)
    inputs = torch.zeros(int(starts[-1]), width, device=device)
    for table, start in zip(tables, starts, strict=False):
        inputs[start : start + len(table), : model.dim] = table
    return FixedSparse(means, device).product(inputs)


def _message_rows(layout: Layout, numbers: Mapping[EdgeType, int]) -> dict[EdgeType, NDArray[np.int64]]:
    """Per edge type and asked-for node the row of its message in the stacked messages; -1 where it has none."""
    edge_type_of = {number: edge_type for edge_type, number in numbers.items()}
    where: dict[EdgeType, NDArray[np.int64]] = {}
    for block in layout.blocks:
        for column, number in enumerate(block.numbers):
            edge_type = edge_type_of[number]
            order = layout.nodes[edge_type.tail]
            table = where.setdefault(edge_type, np.full(int(order.max()) + 1, -1, dtype=np.int64))
            start = layout.rows_of(edge_type.tail).start
            members = order[block.rows.start - start : block.rows.stop - start]
            table[members] = block.messages.start + np.arange(len(members)) * len(block.numbers) + column
    return where
