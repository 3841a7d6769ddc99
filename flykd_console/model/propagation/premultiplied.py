"""Relations whose messages are multiplied by W_r before they are averaged: A_r (H W_r) in place of (A_r H) W_r.

Both are the same sum; the dense product costs a row per source in the one and a row per target in the other. Where a
relation has fewer sources than targets (a few thousand pathways into all proteins), multiplying first is cheaper, and
the mean then goes straight into the output rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from flykd_console.model.propagation.blocks import Block, Layout
from flykd_console.model.propagation.row_groups import GROUP_COST
from flykd_console.model.sparse import FixedSparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.model.rgcn import HeteroRGCN

    Means = Mapping[EdgeType, sp.csr_array]
    Rows = Mapping[EdgeType, NDArray[np.integer]]

# What an edge costs in a product and its transpose, in rows of a dense product of width 1.
EDGE_COST = 5.0
# What adding to a row of the output costs, in rows of a dense product.
_ADDITION_COST = 0.25


@dataclass
class Premultiplied:
    """The relations into one node type that are multiplied first, and the table [N, d] of rows that their sources have.

    Attributes:
        rows: The type's rows in the layer's stacked output.
        blocks: Per segment of the table the relations that leave it; `messages` are rows of the products.
        means: From the products to the output rows.
    """

    rows: slice
    blocks: list[Block]
    means: FixedSparse

    def add_output(self, table: Tensor, weight: Tensor, out: Tensor) -> None:
        """Add the messages' means to `out` [rows, d]."""
        products = table.new_empty(self.means.shape[1], table.shape[1])
        for block in self.blocks:
            torch.mm(table[block.rows], _side_by_side(block, weight), out=block.of(products))
        out[self.rows].add_(self.means.product(products))

    def parameter_gradients(self, table: Tensor, d_out: Tensor, d_weight: Tensor) -> Tensor:
        """Add the gradient of weights [R, d, d], given that of the output rows; gives that of the products."""
        d_products = self.means.transposed_product(d_out[self.rows])
        for block in self.blocks:
            gradient = table[block.rows].T @ block.of(d_products)
            for number, part in zip(block.numbers, gradient.chunk(len(block.numbers), dim=1), strict=True):
                d_weight[number].add_(part)
        return d_products

    def add_table_gradients(self, weight: Tensor, d_products: Tensor, d_table: Tensor) -> None:
        """Add the gradient of the table [N, d], given that of the products."""
        for block in self.blocks:
            d_table[block.rows].addmm_(block.of(d_products), _side_by_side(block, weight).T)


def _side_by_side(block: Block, weight: Tensor) -> Tensor:
    """The weights of the block's k relations, [d, k d]."""
    return weight.index_select(0, block.relations).transpose(0, 1).reshape(weight.shape[1], -1)


def worth_it(means: Means, rows: Rows, segments: Sequence[slice], edge_cost: float) -> set[EdgeType]:
    """The relations that are cheaper when multiplied first.

    Args:
        rows: Per edge type and source node its row of the table; -1: none.
        segments: Parts of the table that are multiplied as a whole.
        edge_cost: What an edge more in the sparse product costs, in rows of a dense product.
    """
    gains: dict[str, dict[EdgeType, float]] = {}
    for edge_type, matrix in means.items():
        targets = np.count_nonzero(np.diff(matrix.indptr))
        sources = sum(segment.stop - segment.start for segment in _used(matrix, rows[edge_type], segments))
        gain = targets - sources - edge_cost * matrix.nnz - GROUP_COST
        if gain > 0.0:
            gains.setdefault(edge_type.tail, {})[edge_type] = gain
    # A type's outputs are read and written once more, whatever the number of relations.
    return {
        edge_type
        for found in gains.values()
        if sum(found.values()) > _ADDITION_COST * means[next(iter(found))].shape[0]
        for edge_type in found
    }


def premultiplied(
    layout: Layout,
    means: Means,
    numbers: Mapping[EdgeType, int],
    rows: Rows,
    segments: Sequence[slice],
    device: torch.device,
) -> list[Premultiplied]:
    """Prepare the relations of `means`, per node type that they lead into; arguments as in `worth_it`."""
    return [
        _into_type(
            layout, {e: m for e, m in sorted(means.items()) if e.tail == node_type}, numbers, rows, segments, device
        )
        for node_type in sorted({edge_type.tail for edge_type in means})
    ]


def _into_type(
    layout: Layout,
    means: Means,
    numbers: Mapping[EdgeType, int],
    rows: Rows,
    segments: Sequence[slice],
    device: torch.device,
) -> Premultiplied:
    node_type = next(iter(means)).tail
    leaving: dict[tuple[int, int], list[EdgeType]] = {}
    for edge_type, matrix in means.items():
        for segment in _used(matrix, rows[edge_type], segments):
            leaving.setdefault((segment.start, segment.stop), []).append(edge_type)
    place = {edge_type: np.full(len(rows[edge_type]), -1, dtype=np.int64) for edge_type in means}
    blocks, count = [], 0
    for (start, stop), edge_types in sorted(leaving.items()):
        size = (stop - start) * len(edge_types)
        relations = [numbers[edge_type] for edge_type in edge_types]
        for column, edge_type in enumerate(edge_types):
            at = rows[edge_type]
            here = np.flatnonzero((at >= start) & (at < stop))
            place[edge_type][here] = count + (at[here] - start) * len(edge_types) + column
        blocks.append(
            Block(slice(start, stop), torch.tensor(relations, device=device), relations, slice(count, count + size))
        )
        count += size
    order = layout.nodes[node_type]
    position = np.full(int(order.max()) + 1, -1, dtype=np.int64)
    position[order] = np.arange(len(order))
    entries = [m.tocoo() for m in means.values()]
    target = np.concatenate([position[entry.coords[0]] for entry in entries])
    product = np.concatenate([place[e][entry.coords[1]] for e, entry in zip(means, entries, strict=True)])
    value = np.concatenate([entry.data for entry in entries])
    # What has no row in the table is zero.
    known = product >= 0
    matrix = sp.csr_array((value[known], (target[known], product[known])), shape=(len(order), count))
    return Premultiplied(layout.rows_of(node_type), blocks, FixedSparse(matrix, device))


def _used(matrix: sp.csr_array, rows: NDArray[np.integer], segments: Sequence[slice]) -> list[slice]:
    """The segments that hold any of a relation's sources."""
    sending = np.zeros(matrix.shape[1], dtype=bool)
    sending[matrix.indices] = True
    senders = np.sort(rows[: len(sending)][sending])
    return [s for s in segments if np.searchsorted(senders, s.stop) > np.searchsorted(senders, s.start)]


def source_rows(means: Means) -> tuple[dict[EdgeType, NDArray[np.int64]], list[slice]]:
    """A table of each relation's sources one below the other.

    Returns:
        Per edge type and source node its row (-1: none), and per edge type its segment.
    """
    rows, segments, count = {}, [], 0
    for edge_type, matrix in sorted(means.items()):
        sends = np.zeros(matrix.shape[1], dtype=bool)
        sends[matrix.indices] = True
        number = int(sends.sum())
        rows[edge_type] = np.where(sends, count + sends.cumsum() - 1, -1)
        segments.append(slice(count, count + number))
        count += number
    return rows, segments


def source_inputs(rows: Rows, model: HeteroRGCN, width: int) -> Tensor:
    """The inputs of the table of `source_rows`, zero-padded, float32 [N, width]."""
    parts = [model.relation.new_zeros(0, width)]
    for edge_type, row in rows.items():
        nodes = torch.from_numpy(np.flatnonzero(row >= 0)).to(model.relation.device)
        part = model.inputs[edge_type.head].index_select(0, nodes)
        parts.append(torch.nn.functional.pad(part, (0, width - part.shape[1])))
    return torch.cat(parts).detach()
