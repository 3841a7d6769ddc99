"""The planned propagation: everything that is constant is computed once, and an epoch pays for the rest only.

Inputs and training graph never change, so with A_r the row-normalised adjacency of relation r and m_r its indicator:

    layer 1   Z_v = sum_r m_{r,v} (P_r W_r + b_r)_v       P_r = A_r X is a constant: dense work only
    layer 2   O_v = sum_r m_{r,v} (Q_r W_r + b_r)_v       Q = A H is one sparse product; its gradient is A^T dQ

Only wanted nodes get an output, so only relations into them take part in layer 2, and layer 1 is computed only for
nodes with an edge into them. Rows are laid out in blocks by the set of relations that reach them (`row_groups`),
so that the dense products meet no zeros; a relation with fewer sources than targets meets its weights before it is
averaged (`premultiplied`). Rows of either layer that hidden nodes ask for are read from the same pass.
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
from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted, per_layer
from flykd_console.model.propagation.base import Layers
from flykd_console.model.propagation.blocks import (
    Layout,
    constant_messages,
    cut,
    lay_out,
    padded,
    padded_width,
    stacked_means,
)
from flykd_console.model.propagation.premultiplied import EDGE_COST, premultiplied, source_inputs, source_rows, worth_it
from flykd_console.model.propagation.row_groups import GROUP_COST
from flykd_console.model.receptive_field import joined, mean_matrices, source_nodes
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN
from flykd_console.model.sparse import FixedSparse

Means = dict[EdgeType, sp.csr_array]


@dataclass
class _Pick:
    """Nodes of one type read from a layer's stacked rows; those that no relation reaches are zero."""

    layer: int
    node_type: str
    count: int
    at: Tensor | None  # int64 [k], which of the nodes have a row; None: all, in order
    rows: Tensor | slice  # where it is, int64 [k], each once; a slice where the nodes are all of the type's rows

    def read(self, stacked: Tensor, dim: int) -> Tensor:
        """The nodes' rows, float32 [count, dim]."""
        rows = stacked[self.rows] if isinstance(self.rows, slice) else stacked.index_select(0, self.rows)
        if self.at is None:
            return rows[:, :dim].contiguous()
        return rows.new_zeros(self.count, dim).index_copy_(0, self.at, rows[:, :dim])

    def add_gradient(self, total: Tensor, gradient: Tensor) -> None:
        """Add the nodes' gradient to that of the stacked rows, which may be wider."""
        rows = gradient if self.at is None else gradient.index_select(0, self.at)
        if isinstance(self.rows, slice):
            total[self.rows, : rows.shape[1]].add_(rows)
        else:
            total[:, : rows.shape[1]].index_add_(0, self.rows, rows)


class PlannedPropagation:
    """A pass prepared for one graph, one set of inputs, one set of wanted nodes and, where given, of hidden ones."""

    def __init__(self, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None) -> None:
        device = model.relation.device
        self._dim, self._width = model.dim, padded_width(model.dim)
        # A launch costs more than zeros do on a GPU, so there fewer, larger blocks win.
        group_cost = GROUP_COST if device.type == "cpu" else 100 * GROUP_COST
        numbers = {edge_type: model.index(edge_type) for edge_type in graph.edges}
        asked = per_layer(hidden, 2)
        # Without hidden nodes the wanted ones are computed in the order asked for, so that reading them is a copy.
        outputs = wanted if asked is None else joined(wanted, asked[1])
        into_outputs = mean_matrices(graph, outputs)
        sources = source_nodes(into_outputs)
        inner = sources if asked is None else joined(sources, asked[0])
        into_inner = mean_matrices(graph, inner)

        # The dense product is not what a GPU waits for; there the fewest calls win.
        early1 = early2 = set[EdgeType]()
        if device.type == "cpu":
            early1 = worth_it(into_inner, *source_rows(into_inner), EDGE_COST / self._width)
        early, late = _parted(into_inner, early1)
        self._layer1 = lay_out(into_inner, numbers, inner, group_cost, device, early1)
        self._constants = constant_messages(self._layer1, late, numbers, model)
        rows1, segments1 = source_rows(early)
        self._inputs = source_inputs(rows1, model, self._width)
        self._early1 = premultiplied(self._layer1, early, numbers, rows1, segments1, device)

        rows = hidden_rows(self._layer1, inner, graph.node_counts)
        rows2, segments2 = {edge_type: rows[edge_type.head] for edge_type in into_outputs}, self._layer1.segments
        if device.type == "cpu":
            early2 = worth_it(into_outputs, rows2, segments2, 0.0)
        early, late = _parted(into_outputs, early2)
        self._layer2 = lay_out(into_outputs, numbers, outputs, group_cost, device, early2)
        self._early2 = premultiplied(self._layer2, early, numbers, rows2, segments2, device)
        means = stacked_means(self._layer2, late, numbers, rows, self._layer1.row_count)
        self._adjacency = FixedSparse(means, device)
        self._has_hidden = asked is not None
        self._picks = _picks(2, self._layer2, outputs, wanted, device)
        if asked is not None:
            self._picks += _picks(1, self._layer1, inner, asked[0], device)
            self._picks += _picks(2, self._layer2, outputs, asked[1], device)
        self._wanted_count = len(wanted)
        self._hidden = torch.empty(self._layer1.row_count, self._width, device=device)
        self._message_gradient = torch.empty(self._layer2.message_count, self._width, device=device)

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
        """Memory of what layer 1 has precomputed: messages and inputs."""
        return (self._constants.numel() + self._inputs.numel()) * 4


class _TwoLayers(torch.autograd.Function):
    """Both layers and their gradient with respect to weights and biases; inputs and graph are constant."""

    @staticmethod
    def forward(
        ctx: Any, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, plan: PlannedPropagation
    ) -> tuple[Tensor, ...]:
        weight1, bias1 = padded(weight1, bias1, plan._width)
        weight2, bias2 = padded(weight2, bias2, plan._width)
        hidden = plan._hidden
        plan._layer1.output(weight1, bias1, plan._constants, hidden)
        for part in plan._early1:
            part.add_output(plan._inputs, weight1, hidden)
        torch.nn.functional.leaky_relu_(hidden, NEGATIVE_SLOPE)
        messages = plan._adjacency.product(hidden)
        output = hidden.new_empty(plan._layer2.row_count, plan._width)
        plan._layer2.output(weight2, bias2, messages, output)
        for part in plan._early2:
            part.add_output(hidden, weight2, output)
        ctx.plan = plan
        ctx.save_for_backward(weight2, messages)
        # What nothing was computed from has no gradient, and is not filled with zeros.
        ctx.set_materialize_grads(False)
        return tuple(pick.read(hidden if pick.layer == 1 else output, plan._dim) for pick in plan._picks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        plan: PlannedPropagation = ctx.plan
        weight2, messages = ctx.saved_tensors
        d_output = weight2.new_zeros(plan._layer2.row_count, plan._width)
        _add_gradients(plan._picks, gradients, 2, d_output)
        d_weight2, d_bias2 = torch.zeros_like(weight2), weight2.new_zeros(weight2.shape[:2])
        d_weight1, d_bias1 = torch.zeros_like(d_weight2), torch.zeros_like(d_bias2)
        plan._layer2.parameter_gradients(messages, d_output, d_weight2, d_bias2)
        plan._layer2.message_gradients(weight2, d_output, plan._message_gradient)
        d_hidden = plan._adjacency.transposed_product(plan._message_gradient)
        for part in plan._early2:
            d_products = part.parameter_gradients(plan._hidden, d_output, d_weight2)
            part.add_table_gradients(weight2, d_products, d_hidden)
        _add_gradients(plan._picks, gradients, 1, d_hidden)
        # The hidden layer is leaky ReLU's result, whose sign is that of its argument.
        torch.ops.aten.leaky_relu_backward.grad_input(d_hidden, plan._hidden, NEGATIVE_SLOPE, True, grad_input=d_hidden)
        plan._layer1.parameter_gradients(plan._constants, d_hidden, d_weight1, d_bias1)
        for part in plan._early1:
            part.parameter_gradients(plan._inputs, d_hidden, d_weight1)
        return *cut(d_weight1, d_bias1, plan._dim), *cut(d_weight2, d_bias2, plan._dim), None


def _parted(means: Mapping[EdgeType, sp.csr_array], early: set[EdgeType]) -> tuple[Means, Means]:
    """The relations that are multiplied before they are averaged, and the others."""
    return {e: m for e, m in means.items() if e in early}, {e: m for e, m in means.items() if e not in early}


def _add_gradients(picks: list[_Pick], gradients: tuple[Tensor | None, ...], layer: int, total: Tensor) -> None:
    for pick, gradient in zip(picks, gradients, strict=True):
        if pick.layer == layer and gradient is not None:
            pick.add_gradient(total, gradient)


def _picks(layer: int, layout: Layout, computed: Wanted, asked: Wanted, device: torch.device) -> list[_Pick]:
    """How the asked-for nodes, per type a subset of those computed, are read from a layer's stacked rows."""
    starts = {t: part.rows for t, part in zip(layout.nodes, layout.types, strict=True)}
    picks = []
    for node_type, nodes in asked.items():
        order = layout.nodes.get(node_type, np.empty(0, np.int64))
        span = starts.get(node_type, slice(0, 0))
        rows: Tensor | slice = span
        at: NDArray[np.int64] | None = order
        if nodes is not computed[node_type]:
            reached = np.asarray(computed[node_type])[order]
            row_of = np.full(int(max(reached.max(initial=-1), nodes.max(initial=-1))) + 1, -1, dtype=np.int64)
            row_of[reached] = span.start + np.arange(len(order))
            found = row_of[nodes]
            reached_at = np.flatnonzero(found >= 0)
            at = None if len(reached_at) == len(nodes) else reached_at
            rows = torch.from_numpy(found[reached_at]).to(device)
        place = None if at is None else torch.from_numpy(at).to(device)
        picks.append(_Pick(layer, node_type, len(nodes), place, rows))
    return picks


def hidden_rows(layout: Layout, inner: Wanted, node_counts: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Per node type and node its row in layer 1's stacked output; -1 where it has none and is zero."""
    rows = {node_type: np.full(node_counts[node_type], -1, dtype=np.int64) for node_type in inner}
    for node_type, order in layout.nodes.items():
        start = layout.rows_of(node_type).start
        rows[node_type][inner[node_type][order]] = start + np.arange(len(order))
    return rows
