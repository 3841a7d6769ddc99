"""The propagation of every depth and layer kind: segments of stacked messages, only for the nodes each layer needs.

A layer stacks the mean messages of all its relations, relation after relation, in one matrix [M, d]:

    Q = A h                  all means as one sparse product; in layer 1 h is fixed, and Q = A X is computed once
    m_r = Q_r W_r + b_r      one dense product for each relation's segment of the rows
    rgcn  z = S m            S [N, M] adds up the messages that reach a node
    rgat  z = S (k a m)      a = softmax of q_r . tanh(m) over the messages that reach a node, k of them

`planned` does the same for two `rgcn` layers in less time; property tests hold both against the oracle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted, per_layer
from flykd_console.model.propagation.base import Layers
from flykd_console.model.receptive_field import joined, mean_matrices, source_nodes
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN, RelationalLinear
from flykd_console.model.sparse import FixedSparse


class SegmentPropagation:
    """A pass prepared for one graph, one set of inputs, one depth, the wanted nodes and, where given, hidden ones."""

    def __init__(self, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None) -> None:
        device = model.relation.device
        asked = per_layer(hidden, model.layers)
        also: list[Wanted] = asked if asked is not None else [{}] * model.layers
        nodes = joined(wanted, also[-1])
        fields: list[tuple[dict[str, NDArray[np.int64]], dict[EdgeType, sp.csr_array]]] = []
        for earlier in [*also[-2::-1], None]:
            matrices = mean_matrices(graph, nodes)
            fields.insert(0, (nodes, matrices))
            nodes = joined(source_nodes(matrices), earlier or {})

        self._layers: list[_Layer] = []
        for number, (nodes, matrices) in enumerate(fields):
            before = fields[number - 1][0] if number else None
            self._layers.append(_Layer(nodes, matrices, before, model))
        self._wanted = _Selection(fields[-1][0], wanted, device)
        self._hidden: list[_Selection] | None = None
        if asked is not None:
            self._hidden = [_Selection(nodes, chosen, device) for (nodes, _), chosen in zip(fields, asked, strict=True)]

    def __call__(self, model: HeteroRGCN) -> dict[str, Tensor]:
        return self._wanted(self._outputs(model)[-1])

    def layers(self, model: HeteroRGCN) -> Layers:
        return self.with_layers(model)[1]

    def with_layers(self, model: HeteroRGCN) -> tuple[dict[str, Tensor], Layers]:
        if self._hidden is None:
            raise ValueError("no hidden nodes were asked for")
        outputs = self._outputs(model)
        return self._wanted(outputs[-1]), [choose(rows) for choose, rows in zip(self._hidden, outputs, strict=True)]

    def _outputs(self, model: HeteroRGCN) -> list[Tensor]:
        """Stacked rows of every layer; all but the last after their activation."""
        outputs: list[Tensor] = []
        for layer, parameters in zip(self._layers, model.stack, strict=True):
            rows = layer(parameters, outputs[-1] if outputs else None)
            last = layer is self._layers[-1]
            outputs.append(rows if last else functional.leaky_relu(rows, NEGATIVE_SLOPE))
        return outputs


class _Selection:
    """Picks nodes out of a layer's stacked rows."""

    def __init__(self, nodes: Wanted, chosen: Wanted, device: torch.device) -> None:
        starts = _starts(nodes)
        self._sizes = {node_type: len(rows) for node_type, rows in chosen.items()}
        positions = [starts[t] + np.searchsorted(nodes[t], rows) for t, rows in chosen.items()]
        self._rows = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *positions])).to(device)

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        parts = rows.index_select(0, self._rows).split(list(self._sizes.values()))
        return dict(zip(self._sizes, parts, strict=True))


class _Layer:
    """One layer's fixed parts.

    Attributes:
        segments: Per relation with messages its index and its rows among the M messages.
        target: Row of the node that each message reaches, int64 [M].
        reaching: Number of messages that reach each message's node, float32 [M].
        collect: S, which adds up the messages of each node, [N, M].
    """

    def __init__(
        self,
        nodes: Wanted,
        matrices: Mapping[EdgeType, sp.csr_array],
        before: Wanted | None,
        model: HeteroRGCN,
    ) -> None:
        device = model.relation.device
        starts = _starts(nodes)
        count = sum(len(rows) for rows in nodes.values())
        self.segments: list[tuple[int, slice]] = []
        targets, means = [np.empty(0, np.int64)], []
        constants: list[Tensor] = []
        message = 0
        for edge_type in sorted(matrices, key=model.index):
            reached = np.flatnonzero(np.diff(matrices[edge_type].indptr))
            matrix = sp.csr_array(matrices[edge_type][reached])
            self.segments.append((model.index(edge_type), slice(message, message + len(reached))))
            message += len(reached)
            targets.append(starts[edge_type.tail] + reached)
            if before is None:
                constants.append(FixedSparse(matrix, device).product(model.inputs[edge_type.head]))
            else:
                means.append(_columns(matrix, edge_type.head, before))
        target = np.concatenate(targets)
        self.target = torch.from_numpy(target).to(device)
        self.reaching = torch.from_numpy(np.bincount(target, minlength=count)[target].astype(np.float32)).to(device)
        ones = np.ones(message, dtype=np.float32)
        self.collect = FixedSparse(sp.csr_array((ones, (target, np.arange(message))), shape=(count, message)), device)
        self._constant = torch.cat([torch.empty(0, model.dim, device=device), *constants]) if before is None else None
        self._adjacency = FixedSparse(sp.csr_array(sp.vstack(means)), device) if means else None

    def __call__(self, parameters: RelationalLinear, before: Tensor | None) -> Tensor:
        """Stacked outputs before any activation, float32 [N, d]; `before`: those of the previous layer."""
        if self._constant is not None:
            means = self._constant
        elif self._adjacency is not None and before is not None:
            means = self._adjacency @ before
        else:
            means = parameters.bias.new_empty(0, parameters.bias.shape[1])
        messages: Tensor = _Messages.apply(means, parameters.weight, parameters.bias, self)  # type: ignore[no-untyped-call]
        if parameters.query is None:
            return self.collect @ messages
        attended: Tensor = _Attention.apply(messages, parameters.query, self)  # type: ignore[no-untyped-call]
        return attended


class _Messages(torch.autograd.Function):
    """m_r = Q_r W_r + b_r on every relation's segment, [M, d]."""

    @staticmethod
    def forward(ctx: Any, means: Tensor, weight: Tensor, bias: Tensor, layer: _Layer) -> Tensor:
        messages = torch.empty_like(means)
        for number, rows in layer.segments:
            torch.addmm(bias[number], means[rows], weight[number], out=messages[rows])
        ctx.layer = layer
        ctx.save_for_backward(means, weight)
        return messages

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        means, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        d_weight, d_bias = torch.zeros_like(weight), weight.new_zeros(weight.shape[:2])
        d_means = torch.empty_like(means) if ctx.needs_input_grad[0] else None
        for number, rows in ctx.layer.segments:
            torch.mm(means[rows].T, gradient[rows], out=d_weight[number])
            torch.sum(gradient[rows], dim=0, out=d_bias[number])
            if d_means is not None:
                torch.mm(gradient[rows], weight[number].T, out=d_means[rows])
        return d_means, d_weight, d_bias, None


class _Attention(torch.autograd.Function):
    """z_v = k_v sum_r a_{v,r} m_{v,r} with a_v = softmax_r(q_r . tanh(m_{v,r})), [N, d].

    The largest score of a node is taken off before the exponential, so no score overflows. With dz the output's
    gradient and g = k <dz_v, m_{v,r}> that of a: de = a (g - sum_r a g), dq_r = sum_v de tanh(m_{v,r}), and
    dm = k a dz_v + de q_r (1 - tanh²(m_{v,r})).
    """

    @staticmethod
    def forward(ctx: Any, messages: Tensor, query: Tensor, layer: _Layer) -> Tensor:
        squashed = messages.tanh()
        scores = messages.new_empty(len(messages))
        for number, rows in layer.segments:
            torch.mv(squashed[rows], query[number], out=scores[rows])
        largest = scores.new_full((layer.collect.shape[0],), -torch.inf)
        largest.scatter_reduce_(0, layer.target, scores, "amax")
        attention = scores.sub_(largest.index_select(0, layer.target)).exp_()
        attention /= _per_node(layer, attention)
        ctx.layer = layer
        ctx.save_for_backward(messages, squashed, attention, query)
        return layer.collect.product(messages * (layer.reaching * attention).unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        layer: _Layer = ctx.layer
        messages, squashed, attention, query = ctx.saved_tensors
        at_node = gradients[0].index_select(0, layer.target)
        d_attention = layer.reaching * (at_node * messages).sum(dim=1)
        d_scores = attention * (d_attention - _per_node(layer, attention * d_attention))
        d_messages = at_node.mul_((layer.reaching * attention).unsqueeze(1))
        d_query = torch.zeros_like(query)
        for number, rows in layer.segments:
            torch.mv(squashed[rows].T, d_scores[rows], out=d_query[number])
            slope = squashed[rows].square().neg_().add_(1.0)
            d_messages[rows].addcmul_(slope.mul_(query[number]), d_scores[rows].unsqueeze(1))
        return d_messages, d_query, None


def _per_node(layer: _Layer, values: Tensor) -> Tensor:
    """For every message the sum of `values` [M] over all messages that reach the same node, [M]."""
    return layer.collect.product(values.unsqueeze(1)).squeeze(1).index_select(0, layer.target)


def _starts(nodes: Wanted) -> dict[str, int]:
    """First stacked row of every node type, types in their order."""
    ends = np.cumsum([len(rows) for rows in nodes.values()])
    return {node_type: int(end) - len(rows) for (node_type, rows), end in zip(nodes.items(), ends, strict=True)}


def _columns(matrix: sp.csr_array, node_type: str, before: Wanted) -> sp.csr_array:
    """The matrix over all nodes of a type, over the previous layer's stacked rows instead."""
    count = sum(len(rows) for rows in before.values())
    columns = _starts(before)[node_type] + np.searchsorted(before[node_type], matrix.indices)
    return sp.csr_array((matrix.data, columns, matrix.indptr), shape=(matrix.shape[0], count))
