"""The planned propagation: everything that is constant is computed once, and an epoch pays for the rest only.

Inputs and training graph never change, so with A_r the row-normalised adjacency of relation r and m_r its indicator:

    layer 1   Z_v = sum_r m_{r,v} (P_r W_r + b_r)_v       P_r = A_r X is a constant: dense work only
    layer 2   O_v = sum_r m_{r,v} (Q_r W_r + b_r)_v       Q = A H is one sparse product; its gradient is A^T dQ

Only wanted nodes get an output, so only relations into them take part in layer 2, and layer 1 is computed only for
nodes with an edge into them. Rows are laid out in blocks by the set of relations that reach them (`model.row_groups`),
so that the dense products meet no zeros. Rows of either layer that hidden nodes ask for are read from the same pass.
This is exact algebra; property tests hold it against the oracle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.propagation import Hidden, Layers, MessageGraph, Wanted, per_layer
from flykd_console.model.receptive_field import joined, mean_matrices, source_nodes
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN
from flykd_console.model.row_groups import GROUP_COST, RowGroup, group_rows
from flykd_console.model.sparse import FixedSparse


@dataclass
class _TypeRows:
    """The rows of one node type in a layer's stacked output, and which relations reach each: the biases."""

    rows: slice
    relations: Tensor  # int64 [k], relation indices
    reached: Tensor  # float32 [rows, k], 0 or 1


@dataclass
class _Block:
    """Rows that one dense product fills: [n, k d] messages against the stacked weights [k d, d] of k relations."""

    rows: slice
    relations: Tensor  # int64 [k]
    numbers: list[int]  # the same, for the host
    messages: slice  # of the stacked message rows, n k of them

    def weights(self, weight: Tensor) -> Tensor:
        """The stacked weights of the block's relations, [k d, d]."""
        return weight.index_select(0, self.relations).view(-1, weight.shape[2])

    def add_gradient(self, total: Tensor, stacked: Tensor) -> None:
        """Add the stacked weights' gradient [k d, d] to `total` [R, d, d]; one by one is far faster than a scatter."""
        for number, part in zip(self.numbers, stacked.view(len(self.numbers), *total.shape[1:]), strict=True):
            total[number].add_(part)


@dataclass
class _Layout:
    """How a layer's output rows are stacked: by node type, by block within it."""

    types: list[_TypeRows]
    blocks: list[_Block]
    nodes: dict[str, NDArray[np.int64]]  # per type: position in the asked-for nodes, in stacked order
    row_count: int
    message_count: int


@dataclass
class _Pick:
    """Nodes of one type read from a layer's stacked rows; those that no relation reaches are zero."""

    layer: int
    node_type: str
    count: int
    at: Tensor  # int64 [k], which of the nodes have a row
    rows: Tensor | slice  # where it is, int64 [k], each once; a slice where the nodes are all of the type's rows

    def read(self, stacked: Tensor) -> Tensor:
        """The nodes' rows, float32 [count, d]."""
        rows = stacked[self.rows] if isinstance(self.rows, slice) else stacked.index_select(0, self.rows)
        return rows.new_zeros(self.count, rows.shape[1]).index_copy_(0, self.at, rows)

    def add_gradient(self, total: Tensor, gradient: Tensor) -> None:
        """Add the nodes' gradient to that of the stacked rows."""
        rows = gradient.index_select(0, self.at)
        if isinstance(self.rows, slice):
            total[self.rows].add_(rows)
        else:
            total.index_add_(0, self.rows, rows)


class PlannedPropagation:
    """A pass prepared for one graph, one set of inputs, one set of wanted nodes and, where given, of hidden ones."""

    def __init__(self, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None) -> None:
        device = model.relation.device
        self._dim = model.dim
        # A launch costs more than zeros do on a GPU, so there fewer, larger blocks win.
        group_cost = GROUP_COST if device.type == "cpu" else 100 * GROUP_COST
        numbers = {edge_type: model.index(edge_type) for edge_type in graph.edges}
        asked = per_layer(hidden, 2)
        # Without hidden nodes the wanted ones are computed in the order asked for, so that reading them is a copy.
        outputs = wanted if asked is None else joined(wanted, asked[1])
        into_outputs = mean_matrices(graph, outputs)
        self._layer2 = _layout(into_outputs, numbers, outputs, group_cost, device)

        sources = source_nodes(into_outputs)
        inner = sources if asked is None else joined(sources, asked[0])
        into_inner = mean_matrices(graph, inner)
        self._layer1 = _layout(into_inner, numbers, inner, group_cost, device)
        self._constants = _constant_messages(self._layer1, into_inner, numbers, model)
        adjacency = _stacked_adjacency(self._layer2, into_outputs, numbers, self._layer1, inner, graph.node_counts)
        self._adjacency = FixedSparse(adjacency, device)
        self._has_hidden = asked is not None
        self._picks = _picks(2, self._layer2, outputs, wanted, device)
        if asked is not None:
            self._picks += _picks(1, self._layer1, inner, asked[0], device)
            self._picks += _picks(2, self._layer2, outputs, asked[1], device)
        self._wanted_count = len(wanted)
        self._hidden = torch.empty(self._layer1.row_count, model.dim, device=device)
        self._message_gradient = torch.empty(self._layer2.message_count, model.dim, device=device)

    def __call__(self, model: HeteroRGCN) -> dict[str, Tensor]:
        return self._outputs(self._run(model))

    def layers(self, model: HeteroRGCN) -> Layers:
        return self.with_layers(model)[1]

    def with_layers(self, model: HeteroRGCN) -> tuple[dict[str, Tensor], Layers]:
        if not self._has_hidden:
            raise ValueError("no hidden nodes were asked for")
        read = self._run(model)
        layers: Layers = [{}, {}]
        for pick, rows in list(zip(self._picks, read, strict=True))[self._wanted_count :]:
            layers[pick.layer - 1][pick.node_type] = rows
        return self._outputs(read), layers

    def _run(self, model: HeteroRGCN) -> tuple[Tensor, ...]:
        read: tuple[Tensor, ...] = _TwoLayers.apply(  # type: ignore[no-untyped-call]
            model.layer1.weight, model.layer1.bias, model.layer2.weight, model.layer2.bias, self
        )
        return read

    def _outputs(self, read: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {pick.node_type: rows for pick, rows in zip(self._picks[: self._wanted_count], read, strict=False)}

    @property
    def constant_bytes(self) -> int:
        """Memory of the precomputed layer-1 messages."""
        return sum(block.numel() * 4 for block in self._constants)


class _TwoLayers(torch.autograd.Function):
    """Both layers and their gradient with respect to weights and biases; inputs and graph are constant."""

    @staticmethod
    def forward(
        ctx: Any, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, plan: PlannedPropagation
    ) -> tuple[Tensor, ...]:
        dim = plan._dim
        hidden = plan._hidden
        _biases(plan._layer1, bias1, hidden)
        for block, constant in zip(plan._layer1.blocks, plan._constants, strict=True):
            hidden[block.rows].addmm_(constant, block.weights(weight1))
        torch.nn.functional.leaky_relu_(hidden, NEGATIVE_SLOPE)

        messages = plan._adjacency.product(hidden)
        output = hidden.new_empty(plan._layer2.row_count, dim)
        _biases(plan._layer2, bias2, output)
        for block in plan._layer2.blocks:
            rows = messages[block.messages].view(-1, len(block.numbers) * dim)
            output[block.rows].addmm_(rows, block.weights(weight2))
        ctx.plan = plan
        ctx.save_for_backward(weight2, messages)
        # What nothing was computed from has no gradient, and is not filled with zeros.
        ctx.set_materialize_grads(False)
        return tuple(pick.read(hidden if pick.layer == 1 else output) for pick in plan._picks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        plan: PlannedPropagation = ctx.plan
        dim = plan._dim
        weight2, messages = ctx.saved_tensors
        d_output = weight2.new_zeros(plan._layer2.row_count, dim)
        _add_gradients(plan._picks, gradients, 2, d_output)
        d_weight2, d_bias2 = torch.zeros_like(weight2), weight2.new_zeros(weight2.shape[:2])
        d_weight1, d_bias1 = torch.zeros_like(d_weight2), torch.zeros_like(d_bias2)

        d_messages = plan._message_gradient
        _bias_gradients(plan._layer2, d_output, d_bias2)
        for block in plan._layer2.blocks:
            k = len(block.numbers)
            rows = messages[block.messages].view(-1, k * dim)
            d_rows = d_output[block.rows]
            block.add_gradient(d_weight2, rows.T @ d_rows)
            torch.mm(d_rows, block.weights(weight2).T, out=d_messages[block.messages].view(-1, k * dim))

        d_hidden = plan._adjacency.transposed_product(d_messages)
        _add_gradients(plan._picks, gradients, 1, d_hidden)
        # The hidden layer is leaky ReLU's result, whose sign is that of its argument.
        d_hidden = torch.ops.aten.leaky_relu_backward(d_hidden, plan._hidden, NEGATIVE_SLOPE, True)
        _bias_gradients(plan._layer1, d_hidden, d_bias1)
        for block, constant in zip(plan._layer1.blocks, plan._constants, strict=True):
            block.add_gradient(d_weight1, constant.T @ d_hidden[block.rows])
        return d_weight1, d_bias1, d_weight2, d_bias2, None


def _biases(layout: _Layout, bias: Tensor, out: Tensor) -> None:
    for part in layout.types:
        torch.mm(part.reached, bias.index_select(0, part.relations), out=out[part.rows])


def _bias_gradients(layout: _Layout, gradient: Tensor, out: Tensor) -> None:
    for part in layout.types:
        out.index_add_(0, part.relations, part.reached.T @ gradient[part.rows])


def _add_gradients(picks: list[_Pick], gradients: tuple[Tensor | None, ...], layer: int, total: Tensor) -> None:
    for pick, gradient in zip(picks, gradients, strict=True):
        if pick.layer == layer and gradient is not None:
            pick.add_gradient(total, gradient)


def _picks(layer: int, layout: _Layout, computed: Wanted, asked: Wanted, device: torch.device) -> list[_Pick]:
    """How the asked-for nodes, per type a subset of those computed, are read from a layer's stacked rows."""
    starts = {t: part.rows for t, part in zip(layout.nodes, layout.types, strict=True)}
    picks = []
    for node_type, nodes in asked.items():
        order = layout.nodes.get(node_type, np.empty(0, np.int64))
        span = starts.get(node_type, slice(0, 0))
        rows: Tensor | slice = span
        at = order
        if nodes is not computed[node_type]:
            reached = np.asarray(computed[node_type])[order]
            row_of = np.full(int(max(reached.max(initial=-1), nodes.max(initial=-1))) + 1, -1, dtype=np.int64)
            row_of[reached] = span.start + np.arange(len(order))
            found = row_of[nodes]
            at = np.flatnonzero(found >= 0)
            rows = torch.from_numpy(found[at]).to(device)
        picks.append(_Pick(layer, node_type, len(nodes), torch.from_numpy(at).to(device), rows))
    return picks


def _layout(
    matrices: Mapping[EdgeType, sp.csr_array],
    numbers: Mapping[EdgeType, int],
    nodes: Wanted,
    group_cost: int,
    device: torch.device,
) -> _Layout:
    """Stack the reached nodes of every type into blocks; nodes that no relation reaches have no row."""
    types: list[_TypeRows] = []
    blocks: list[_Block] = []
    order: dict[str, NDArray[np.int64]] = {}
    row = message = 0
    for node_type in sorted(nodes):
        into = sorted((e for e in matrices if e.tail == node_type), key=lambda e: numbers[e])
        if not into:
            continue
        covered = np.stack([np.diff(matrices[e].indptr) > 0 for e in into], axis=1)
        relation_of_column = np.array([numbers[e] for e in into])
        groups: list[RowGroup] = group_rows(covered, group_cost)
        first = row
        for group in groups:
            rows = slice(row, row + len(group.nodes))
            size = len(group.nodes) * len(group.relations)
            numbers_of = relation_of_column[group.relations]
            blocks.append(
                _Block(
                    rows=rows,
                    relations=torch.from_numpy(numbers_of).to(device),
                    numbers=numbers_of.tolist(),
                    messages=slice(message, message + size),
                )
            )
            row, message = rows.stop, message + size
        order[node_type] = np.concatenate([group.nodes for group in groups])
        types.append(
            _TypeRows(
                rows=slice(first, row),
                relations=torch.from_numpy(relation_of_column).to(device),
                reached=torch.from_numpy(covered[order[node_type]].astype(np.float32)).to(device),
            )
        )
    return _Layout(types=types, blocks=blocks, nodes=order, row_count=row, message_count=message)


def _positions(layout: _Layout, numbers: Mapping[EdgeType, int]) -> dict[EdgeType, NDArray[np.int64]]:
    """Per edge type and asked-for node the row of its message in the stacked messages; -1 where it has none."""
    edge_type_of = {number: edge_type for edge_type, number in numbers.items()}
    where: dict[EdgeType, NDArray[np.int64]] = {}
    starts = {t: part.rows.start for t, part in zip(layout.nodes, layout.types, strict=True)}
    for block in layout.blocks:
        for column, number in enumerate(block.numbers):
            edge_type = edge_type_of[number]
            order = layout.nodes[edge_type.tail]
            table = where.setdefault(edge_type, np.full(int(order.max()) + 1, -1, dtype=np.int64))
            start = starts[edge_type.tail]
            members = order[block.rows.start - start : block.rows.stop - start]
            table[members] = block.messages.start + np.arange(len(members)) * len(block.numbers) + column
    return where


def _constant_messages(
    layout: _Layout, matrices: Mapping[EdgeType, sp.csr_array], numbers: Mapping[EdgeType, int], model: HeteroRGCN
) -> list[Tensor]:
    """P_r = A_r X for every block of layer 1, float32 [n, k d] each."""
    device, dim = model.relation.device, model.dim
    constants = [
        torch.zeros(block.rows.stop - block.rows.start, len(block.numbers) * dim, device=device)
        for block in layout.blocks
    ]
    starts = {t: part.rows.start for t, part in zip(layout.nodes, layout.types, strict=True)}
    for edge_type, matrix in matrices.items():
        if edge_type.tail not in starts:
            continue
        stacked = sp.csr_array(matrix[layout.nodes[edge_type.tail]])
        means = FixedSparse(stacked, device).product(model.inputs[edge_type.head])
        start, number = starts[edge_type.tail], numbers[edge_type]
        for block, constant in zip(layout.blocks, constants, strict=True):
            inside = start <= block.rows.start < start + stacked.shape[0]
            if inside and number in block.numbers:
                at = block.numbers.index(number) * dim
                constant[:, at : at + dim] = means[block.rows.start - start : block.rows.stop - start]
    return constants


def _stacked_adjacency(
    layout2: _Layout,
    matrices: Mapping[EdgeType, sp.csr_array],
    numbers: Mapping[EdgeType, int],
    layout1: _Layout,
    sources: Wanted,
    node_counts: Mapping[str, int],
) -> sp.csr_array:
    """All of layer 2's means as one matrix, float32 [messages, hidden rows]; hidden rows that are zero are left out."""
    hidden_row = {t: np.full(node_counts[t], -1, dtype=np.int64) for t in sources}
    for (node_type, order), part in zip(layout1.nodes.items(), layout1.types, strict=True):
        hidden_row[node_type][sources[node_type][order]] = part.rows.start + np.arange(len(order))
    where = _positions(layout2, numbers)
    rows, columns, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for edge_type, matrix in matrices.items():
        entries = matrix.tocoo()
        row = where[edge_type][entries.row]
        column = hidden_row[edge_type.head][entries.col]
        kept = (row >= 0) & (column >= 0)
        rows.append(row[kept])
        columns.append(column[kept])
        values.append(entries.data[kept])
    return sp.csr_array(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(layout2.message_count, layout1.row_count),
    )
