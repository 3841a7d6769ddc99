"""Propagation for batches of links: layer 1 whole, layer 2 for the nodes of the batch alone.

A batch of links reads the outputs of its ends. Their two-hop neighbourhood is nearly the whole graph, so layer 1, dense
work on constants, is computed for all nodes. Layer 2 is not: of its layout, rows of C and of G are cut out that lead to
the batch's nodes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.message_graph import MessageGraph
from flykd_console.model.propagation.layout import Segment, lay_out
from flykd_console.model.propagation.segments import FACTORS, Layer, products
from flykd_console.model.receptive_field import linked_nodes, mean_matrices
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN
from flykd_console.model.sparse import FixedSparse


class BatchPropagation:
    """Two `rgcn` layers prepared for one graph and one set of inputs; every call chooses its nodes. For a CPU.

    Attributes:
        nodes: Per type the nodes with an edge, ascending, int64; rows are counted through all types in this order.
    """

    def __init__(self, graph: MessageGraph, model: HeteroRGCN) -> None:
        self.nodes = linked_nodes(graph)
        self._count = sum(map(len, self.nodes.values()))
        matrices = mean_matrices(graph, self.nodes)
        self._layer1 = Layer(self.nodes, matrices, None, model)
        # Apart: a batch takes some of a segment's rows, whichever its nodes are.
        numbers = {edge_type: model.index(edge_type) for edge_type in matrices}
        factor = FACTORS[model.aggregation]
        layout = lay_out(self.nodes, matrices, self.nodes, numbers, apart=True, fixed=False, factor=factor)
        self._relations = [segment.relations for segment in layout.segments]
        self._begins = torch.tensor([segment.products.start for segment in layout.segments] + [layout.gather.shape[0]])
        self._gather = _Csr(layout.gather)
        self._collect = _Csr(layout.collect)

    def __call__(self, model: HeteroRGCN, rows: Tensor) -> Tensor:
        """Output embeddings of the nodes in `rows`, distinct, int64 [n]: float32 [n, d]; differentiable."""
        hidden = self._layer1(model.layer1, self._layer1.inputs_of(model))
        hidden = functional.leaky_relu(hidden, NEGATIVE_SLOPE, inplace=True)
        segments, gather, collect = self._batch(rows)
        return collect @ products(gather @ hidden, model.layer2, segments)

    def _batch(self, rows: Tensor) -> tuple[list[Segment], FixedSparse, FixedSparse]:
        """Segments, G and C of layer 2 for some nodes."""
        entries, each = self._collect.entries(rows)
        messages, order = self._collect.columns.index_select(0, entries).sort()
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        collect = _matrix(self._collect.values.index_select(0, entries), place, each, len(place))

        entries, offsets = self._gather.entries(messages)
        columns, values = (table.index_select(0, entries) for table in (self._gather.columns, self._gather.values))
        gather = _matrix(values, columns, offsets, self._count)

        ends = torch.searchsorted(messages, self._begins).tolist()
        segments = []
        for relations, (begin, end) in zip(self._relations, pairwise(ends), strict=True):
            if end > begin:
                segments.append(Segment(relations, slice(begin, end), slice(begin, end)))
        return segments, gather, collect


class _Csr:
    """A sparse matrix as tensors, for choosing rows of it: `columns` and `values` of its entries, row after row."""

    def __init__(self, matrix: sp.csr_array) -> None:
        self._offsets = torch.from_numpy(matrix.indptr.astype(np.int64))
        self.columns, self.values = torch.from_numpy(matrix.indices), torch.from_numpy(matrix.data)

    def entries(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the entries in the rows, one row after another, int64, and where each row's begin, [n + 1]."""
        start = self._offsets.index_select(0, rows)
        lengths = self._offsets.index_select(0, rows + 1) - start
        begin = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        numbers = torch.repeat_interleave(start - begin[:-1], lengths)
        return numbers.add_(torch.arange(len(numbers))), begin


def _matrix(values: Tensor, columns: Tensor, offsets: Tensor, width: int) -> FixedSparse:
    parts = (values.numpy(), columns.numpy(), offsets.numpy())
    return FixedSparse(sp.csr_array(parts, shape=(len(offsets) - 1, width)))
