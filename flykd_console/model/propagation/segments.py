"""The propagation of every depth and layer kind, only for the nodes that each layer needs.

A layer is one sparse product, one dense product for each segment of its rows, and one more sparse product (`layout`):

    X = G h                  gathered inputs; in layer 1 h is fixed, and X is computed once
    Y_s = X_s W_s + b_s      for every segment s of the rows
    rgcn  z = C Y            what each node collects; C holds what means are multiplied by, where they are
    rgat  z = C (k a Y)      Y are the messages; a = softmax of q_r . tanh(Y) over the k that reach a node

Property tests hold it against the oracle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.kernels import has_cpu_kernels
from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted, per_layer
from flykd_console.model.propagation.base import Layers
from flykd_console.model.propagation.layout import Segment, first_rows, lay_out, selection
from flykd_console.model.receptive_field import joined, mean_matrices, source_nodes
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN, RelationalLinear
from flykd_console.model.sparse import FixedSparse

if TYPE_CHECKING:
    from flykd_console.model.propagation.layout import Factor
    from flykd_console.profile.sections import Aggregation

# What an rgcn multiplies the mean of n messages by.
FACTORS: dict[Aggregation, Factor | None] = {
    "mean": None,
    "sum": lambda counts: counts.astype(np.float32),
    "log": lambda counts: np.log2(1.0 + counts).astype(np.float32),
}


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

        self._layers: list[Layer] = []
        for number, (nodes, matrices) in enumerate(fields):
            before = fields[number - 1][0] if number else None
            self._layers.append(Layer(nodes, matrices, before, model))
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
            before = outputs[-1] if outputs else layer.inputs_of(model)
            rows = layer(parameters, before)
            last = layer is self._layers[-1]
            outputs.append(rows if last else functional.leaky_relu(rows, NEGATIVE_SLOPE, inplace=True))
        return outputs


class _Selection:
    """Picks nodes out of a layer's stacked rows."""

    def __init__(self, nodes: Wanted, chosen: Wanted, device: torch.device) -> None:
        first = first_rows(nodes)
        self._sizes = {node_type: len(rows) for node_type, rows in chosen.items()}
        positions = [first[t] + np.searchsorted(nodes[t], rows) for t, rows in chosen.items()]
        rows = np.concatenate([np.empty(0, np.int64), *positions])
        # A product's gradient is a product again, and cheaper than that of indexing.
        self._rows = FixedSparse(selection(rows, sum(map(len, nodes.values()))), device)

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        parts = (self._rows @ rows).split(list(self._sizes.values()))
        return dict(zip(self._sizes, parts, strict=True))


class Layer:
    """One layer's fixed parts, and its output.

    Attributes:
        segments: Which relations' weights the rows of X meet.
        collect: C, which adds up each node's products, [N, P].
        target: Where the layer attends, the row of the node that each message reaches, int64 [P].
        reaching: Where it does, how many messages reach each message's node, float32 [P].

    Args:
        nodes: Per type, ascending, the nodes with an output; rows are counted through all types in their order.
        matrices: Per edge type the mean over its messages, [nodes of the tail's type, N_head].
        before: The layer before's `nodes`; None: the layer reads the model's inputs.
        model: Gives the inputs, width, kind and device, not the weights.
    """

    def __init__(
        self, nodes: Wanted, matrices: Mapping[EdgeType, sp.csr_array], before: Wanted | None, model: HeteroRGCN
    ) -> None:
        device = model.relation.device
        first = before is None
        self._sending = sorted({edge_type.head for edge_type in matrices}) if first else []
        layout = lay_out(
            nodes,
            matrices,
            {t: np.arange(len(model.inputs[t])) for t in self._sending} if before is None else before,
            {edge_type: model.index(edge_type) for edge_type in matrices},
            # Attention weighs every message, and a GPU waits for calls, not for rows.
            apart=model.kind == "rgat" or not has_cpu_kernels(device),
            fixed=first and not model.learns_inputs,
            factor=FACTORS[model.aggregation],
        )
        self.segments = layout.segments
        self.collect = FixedSparse(layout.collect, device)
        if model.kind == "rgat":
            target = layout.collect.tocsc().indices.astype(np.int64)
            self.target = torch.from_numpy(target).to(device)
            self.reaching = torch.from_numpy(np.bincount(target)[target]).to(torch.get_default_dtype()).to(device)
        self._gather: FixedSparse | None = None
        self._constant: Tensor | None = None
        if first and not model.learns_inputs:
            self._constant = FixedSparse(layout.gather, device).product(self._tables(model))
        else:
            self._gather = FixedSparse(layout.gather, device)

    def inputs_of(self, model: HeteroRGCN) -> Tensor | None:
        """What the first layer reads anew in each pass, float32 [rows, d]; None where the inputs are fixed."""
        return self._tables(model) if model.learns_inputs else None

    def _tables(self, model: HeteroRGCN) -> Tensor:
        """The inputs of the types that send messages, one below the other."""
        nothing = torch.empty(0, model.dim, device=model.relation.device)
        return torch.cat([nothing, *(model.inputs[t] for t in self._sending)])

    def __call__(self, parameters: RelationalLinear, before: Tensor | None) -> Tensor:
        """Stacked outputs before any activation, float32 [N, d].

        Args:
            before: The outputs of the previous layer; of the first layer `inputs_of`.
        """
        inputs = self._constant
        if inputs is None:
            assert self._gather is not None
            assert before is not None
            inputs = self._gather @ before
        messages = products(inputs, parameters, self.segments)
        if parameters.query is None:
            return self.collect @ messages
        attended: Tensor = _Attention.apply(messages, parameters.query, self)  # type: ignore[no-untyped-call]
        return attended


def products(inputs: Tensor, parameters: RelationalLinear, segments: list[Segment]) -> Tensor:
    """Y of X, float32 [P, d] of [I, d]: the rows of every segment times its relations' weights; differentiable."""
    found: Tensor = _Products.apply(inputs, parameters.weight, parameters.bias, segments)  # type: ignore[no-untyped-call]
    return found


class _Products(torch.autograd.Function):
    """Y_s = X_s W_s + b_s on every segment, X_s as [n, k d], W_s the k relations' weights stacked, b_s their sum."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, segments: list[Segment]) -> Tensor:
        count = segments[-1].products.stop if segments else 0
        found = inputs.new_empty(count, inputs.shape[1])
        for segment in segments:
            stacked = _stacked(weight, segment)
            rows = inputs[segment.inputs].view(-1, len(stacked))
            torch.addmm(_summed(bias, segment), rows, stacked, out=found[segment.products])
        ctx.segments = segments
        ctx.save_for_backward(inputs, weight)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        inputs, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        d_weight, d_bias = torch.zeros_like(weight), weight.new_zeros(weight.shape[:2])
        d_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        for segment in ctx.segments:
            d_found = gradient[segment.products]
            d_summed = d_found.sum(dim=0)
            by_relation = inputs[segment.inputs].view(len(d_found), len(segment.relations), -1)
            for place, number in enumerate(segment.relations):
                d_weight[number].addmm_(by_relation[:, place].T, d_found)
                d_bias[number].add_(d_summed)
            if d_inputs is not None:
                stacked = _stacked(weight, segment)
                torch.mm(d_found, stacked.T, out=d_inputs[segment.inputs].view(-1, len(stacked)))
        return d_inputs, d_weight, d_bias, None


def _stacked(weight: Tensor, segment: Segment) -> Tensor:
    """The weights of a segment's k relations one below the other, [k d, d]."""
    if len(segment.relations) == 1:
        return weight[segment.relations[0]]
    return weight[segment.relations].view(-1, weight.shape[2])


def _summed(bias: Tensor, segment: Segment) -> Tensor:
    """The sum of their biases, [d]."""
    if len(segment.relations) == 1:
        return bias[segment.relations[0]]
    return bias[segment.relations].sum(dim=0)


class _Attention(torch.autograd.Function):
    """z_v = k_v sum_r a_{v,r} m_{v,r} with a_v = softmax_r(q_r . tanh(m_{v,r})), [N, d].

    The largest score of a node is taken off before the exponential, so no score overflows. With dz the output's
    gradient and g = k <dz_v, m_{v,r}> that of a: de = a (g - sum_r a g), dq_r = sum_v de tanh(m_{v,r}), and
    dm = k a dz_v + de q_r (1 - tanh²(m_{v,r})).
    """

    @staticmethod
    def forward(ctx: Any, messages: Tensor, query: Tensor, layer: Layer) -> Tensor:
        squashed = messages.tanh()
        scores = messages.new_empty(len(messages))
        for segment in layer.segments:
            number, rows = segment.relations[0], segment.products
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
        layer: Layer = ctx.layer
        messages, squashed, attention, query = ctx.saved_tensors
        at_node = gradients[0].index_select(0, layer.target)
        d_attention = layer.reaching * (at_node * messages).sum(dim=1)
        d_scores = attention * (d_attention - _per_node(layer, attention * d_attention))
        d_messages = at_node.mul_((layer.reaching * attention).unsqueeze(1))
        d_query = torch.zeros_like(query)
        for segment in layer.segments:
            number, rows = segment.relations[0], segment.products
            torch.mv(squashed[rows].T, d_scores[rows], out=d_query[number])
            slope = squashed[rows].square().neg_().add_(1.0)
            d_messages[rows].addcmul_(slope.mul_(query[number]), d_scores[rows].unsqueeze(1))
        return d_messages, d_query, None


def _per_node(layer: Layer, values: Tensor) -> Tensor:
    """For every message the sum of `values` [M] over all messages that reach the same node, [M]."""
    return layer.collect.product(values.unsqueeze(1)).squeeze(1).index_select(0, layer.target)
