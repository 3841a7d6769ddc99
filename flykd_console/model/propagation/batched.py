"""The planned propagation for batches of links: layer 1 whole, layer 2 for the nodes of the batch alone.

A batch of links reads the outputs of its ends. Their two-hop neighbourhood is nearly the whole graph, so layer 1, dense
work on constants, is computed for all nodes (`blocks`). Layer 2 is not: its messages are stacked relation by
relation, and those that reach the batch's nodes are

    Q = A_B H             the batch's rows of the adjacency, cut out of the stored one
    O_v = sum_r (Q_r W_r + b_r)_v

and backward dH = A_B^T dQ, whose rows are the same entries sorted the other way. Exact: property tests hold it against
the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import MessageGraph
from flykd_console.model.propagation.blocks import constant_messages, cut, lay_out, padded, padded_width
from flykd_console.model.propagation.planned import hidden_rows
from flykd_console.model.propagation.row_groups import GROUP_COST
from flykd_console.model.receptive_field import linked_nodes, mean_matrices
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN


@dataclass
class _Bags:
    """Rows that are sums of other rows: a sparse matrix in the form that torch's embedding bag takes."""

    offsets: Tensor  # [n + 1]
    columns: Tensor  # [entries]
    values: Tensor | None = None  # float32 [entries]; None: ones

    def product(self, dense: Tensor) -> Tensor:
        if len(self.columns) == 0:
            return dense.new_zeros(len(self.offsets) - 1, dense.shape[1])
        total: Tensor = torch.embedding_bag(dense, self.columns, self.offsets, False, 0, False, self.values, True)[0]
        return total


@dataclass
class _Batch:
    """Layer 2 for some nodes; messages in the order of relations.

    Attributes:
        segments: Per relation with messages its index and its rows among the m messages.
        owner: The node, among those of the batch, that each message reaches, int64 [m].
        collect: Adds up the messages of each node.
        means, spread: A_B [m, hidden rows] and its transpose.
    """

    segments: list[tuple[int, slice]]
    owner: Tensor
    collect: _Bags
    means: _Bags
    spread: _Bags


class BatchPropagation:
    """A pass prepared for one graph and one set of inputs; every call chooses its nodes. For a CPU.

    Attributes:
        nodes: Per type the nodes with an edge, ascending, int64; rows are counted through all types in this order.
    """

    def __init__(self, graph: MessageGraph, model: HeteroRGCN) -> None:
        self._dim, self._width = model.dim, padded_width(model.dim)
        self.nodes = linked_nodes(graph)
        numbers = {edge_type: model.index(edge_type) for edge_type in graph.edges}
        matrices = mean_matrices(graph, self.nodes)
        self._layer1 = lay_out(matrices, numbers, self.nodes, GROUP_COST, torch.device("cpu"))
        self._constants = constant_messages(self._layer1, matrices, numbers, model)
        self._hidden = torch.empty(self._layer1.row_count, self._width)
        self._stack(graph, matrices, numbers)

    def _stack(self, graph: MessageGraph, matrices: dict[EdgeType, sp.csr_array], numbers: dict[EdgeType, int]) -> None:
        """Layer 2's means, relation by relation: rows of a CSR matrix, and which of them reach each node."""
        hidden_row = hidden_rows(self._layer1, self.nodes, graph.node_counts)
        first = dict(zip(self.nodes, np.cumsum([0, *map(len, self.nodes.values())]), strict=False))
        targets: list[NDArray[np.int64]] = []
        lengths: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int32]] = []
        values: list[NDArray[np.float32]] = []
        self._relations: list[int] = []
        self._begins = [0]
        for edge_type in sorted(matrices, key=lambda e: numbers[e]):
            matrix = matrices.pop(edge_type)
            degree = np.diff(matrix.indptr)
            reached = np.flatnonzero(degree)
            targets.append(first[edge_type.tail] + reached)
            lengths.append(degree[reached])
            columns.append(hidden_row[edge_type.head][matrix.indices].astype(np.int32))
            values.append((1.0 / degree[reached]).astype(np.float32))
            self._relations.append(numbers[edge_type])
            self._begins.append(self._begins[-1] + len(reached))
        self._column = torch.from_numpy(np.concatenate([np.empty(0, np.int32), *columns]))
        self._offset = torch.from_numpy(np.concatenate([[0], *lengths]).cumsum())
        self._value = torch.from_numpy(np.concatenate([np.empty(0, np.float32), *values]))
        target = np.concatenate([np.empty(0, np.int64), *targets])
        count = sum(map(len, self.nodes.values()))
        self._messages = torch.from_numpy(np.argsort(target, kind="stable"))
        self._messages_of = torch.from_numpy(np.concatenate([[0], np.bincount(target, minlength=count).cumsum()]))

    @property
    def width(self) -> int:
        """Columns of what a call returns: the model's width, filled up with zeros."""
        return self._width

    def __call__(self, model: HeteroRGCN, rows: Tensor) -> Tensor:
        """Output embeddings of the nodes in `rows`, distinct, int64 [n]: float32 [n, width]; differentiable."""
        output: Tensor = _BatchLayers.apply(  # type: ignore[no-untyped-call]
            model.layer1.weight, model.layer1.bias, model.layer2.weight, model.layer2.bias, self, self._batch(rows)
        )
        return output

    def _batch(self, rows: Tensor) -> _Batch:
        reaching, each = _ranges(self._messages_of, rows)
        messages, order = self._messages.index_select(0, reaching).sort()
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        owner = torch.repeat_interleave(torch.arange(len(rows)), each.diff()).index_select(0, order)
        ends = torch.searchsorted(messages, torch.tensor(self._begins)).tolist()
        segments = [(r, slice(a, b)) for r, a, b in zip(self._relations, ends, ends[1:], strict=False) if b > a]

        entries, offsets = _ranges(self._offset, messages)
        columns = self._column.index_select(0, entries)
        values = self._value.index_select(0, messages).repeat_interleave(offsets.diff())
        if len(columns) and int(columns.min()) < 0:
            # Sources that nothing reaches have a hidden layer of zeros and no row.
            kept = columns >= 0
            dropped = torch.cat([offsets.new_zeros(1), (~kept).cumsum(0)])
            offsets = offsets - dropped.index_select(0, offsets)
            columns, values = columns[kept], values[kept]
        means = _Bags(offsets.int(), columns, values)
        return _Batch(segments, owner, _Bags(each, place), means, _transposed(means, self._layer1.row_count))


def _ranges(offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers offsets[i] .. offsets[i + 1] - 1 for every row i, one after another, and where each row's begin."""
    start = offsets.index_select(0, rows)
    lengths = offsets.index_select(0, rows + 1) - start
    begin = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    numbers = torch.repeat_interleave(start - begin[:-1], lengths)
    return numbers.add_(torch.arange(len(numbers))), begin


def _transposed(bags: _Bags, width: int) -> _Bags:
    assert bags.values is not None
    rows = sp.csr_array(
        (bags.values.numpy(), bags.columns.numpy(), bags.offsets.numpy()), shape=(len(bags.offsets) - 1, width)
    )
    columns = rows.tocsc()
    return _Bags(*(torch.from_numpy(part) for part in (columns.indptr, columns.indices, columns.data)))


class _BatchLayers(torch.autograd.Function):
    """Both layers and their gradient with respect to weights and biases; inputs and graph are constant."""

    @staticmethod
    def forward(
        ctx: Any, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, plan: BatchPropagation, batch: _Batch
    ) -> Tensor:
        weight1, bias1 = padded(weight1, bias1, plan.width)
        weight2, bias2 = padded(weight2, bias2, plan.width)
        hidden = plan._hidden
        plan._layer1.output(weight1, bias1, plan._constants, hidden)
        torch.nn.functional.leaky_relu_(hidden, NEGATIVE_SLOPE)
        means = batch.means.product(hidden)
        messages = torch.empty_like(means)
        for number, rows in batch.segments:
            torch.addmm(bias2[number], means[rows], weight2[number], out=messages[rows])
        ctx.plan, ctx.batch = plan, batch
        ctx.save_for_backward(weight2, means)
        return batch.collect.product(messages)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        plan, batch = ctx.plan, ctx.batch
        weight2, means = ctx.saved_tensors
        d_weight2, d_bias2 = torch.zeros_like(weight2), weight2.new_zeros(weight2.shape[:2])
        d_weight1, d_bias1 = torch.zeros_like(d_weight2), torch.zeros_like(d_bias2)
        d_messages = gradients[0].contiguous().index_select(0, batch.owner)
        d_means = torch.empty_like(means)
        for number, rows in batch.segments:
            torch.mm(means[rows].T, d_messages[rows], out=d_weight2[number])
            torch.sum(d_messages[rows], dim=0, out=d_bias2[number])
            torch.mm(d_messages[rows], weight2[number].T, out=d_means[rows])
        d_hidden = batch.spread.product(d_means)
        # The hidden layer is leaky ReLU's result, whose sign is that of its argument.
        torch.ops.aten.leaky_relu_backward.grad_input(d_hidden, plan._hidden, NEGATIVE_SLOPE, True, grad_input=d_hidden)
        plan._layer1.parameter_gradients(plan._constants, d_hidden, d_weight1, d_bias1)
        return *cut(d_weight1, d_bias1, plan._dim), *cut(d_weight2, d_bias2, plan._dim), None, None
