"""How messages are carried: one interface, two ways.

`dgl` writes the layer plainly with `multi_update_all(copy_u, mean, sum)` and is the oracle; `planned` computes the same
from what is constant (`model.planned`). Both give the output of the nodes that are asked for, and no others. Losses
that compare hidden layers ask for the outputs of every layer besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, Pairs, with_reverses
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN, RelationalLinear

Wanted = Mapping[str, NDArray[np.int64]]
# Nodes whose layer outputs are asked for: the same in every layer, or one choice for each of the layers 1..L.
Hidden = Wanted | Sequence[Wanted]
Layers = list[dict[str, Tensor]]


@dataclass(frozen=True)
class MessageGraph:
    """The edges that carry messages: training edges and their reverses.

    Attributes:
        edges: Per edge type (sources, targets of the message), int64 [n] each.
        node_counts: Number of nodes per type, types without edges included.
        edge_types: Every edge type of the whole graph, sorted; some may have no training edge.
    """

    edges: Mapping[EdgeType, Pairs]
    node_counts: Mapping[str, int]
    edge_types: list[EdgeType]

    @classmethod
    def of(cls, train: Mapping[EdgeType, Pairs], node_counts: Mapping[str, int]) -> MessageGraph:
        """The message graph of a split's training edges (one direction each)."""
        both = with_reverses(train)
        return cls(edges=both, node_counts=dict(node_counts), edge_types=sorted(both))


class Propagation(Protocol):
    """A prepared pass over one graph, one set of inputs, one set of wanted nodes and, where given, of hidden ones."""

    def __call__(self, model: HeteroRGCN) -> dict[str, Tensor]:
        """Output embeddings per wanted node type, float32 [wanted, d] in the order asked for; differentiable."""
        ...

    def layers(self, model: HeteroRGCN) -> Layers:
        """Outputs of every layer 1..L for the hidden nodes, per node type float32 [hidden, d]; differentiable.

        A layer before the last gives its output after the activation, the last one what `__call__` gives.

        Raises:
            ValueError: No hidden nodes were asked for.
        """
        ...

    def with_layers(self, model: HeteroRGCN) -> tuple[dict[str, Tensor], Layers]:
        """`__call__` and `layers` for the price of one pass.

        Raises:
            ValueError: No hidden nodes were asked for.
        """
        ...


def propagation(
    kind: str, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None
) -> Propagation:
    """Prepare a pass of the kind `planned` or `dgl`; `planned` is `model.segments` for other depths and layer kinds.

    Args:
        model: Gives the inputs, width, depth and device, not the weights.
        wanted: Nodes whose output is needed.
        hidden: Nodes whose output of every layer is needed; None: `layers` is not available.
    """
    if kind == "dgl":
        return DglPropagation(graph, model, wanted, hidden)
    if model.kind != "rgcn" or model.layers != 2:
        from flykd_console.model.segments import SegmentPropagation

        return SegmentPropagation(graph, model, wanted, hidden)
    from flykd_console.model.planned import PlannedPropagation

    return PlannedPropagation(graph, model, wanted, hidden)


def per_layer(hidden: Hidden | None, depth: int) -> list[Wanted] | None:
    """The nodes asked for of each layer 1..L; None where none are.

    Raises:
        ValueError: There is not one choice for every layer.
    """
    if hidden is None:
        return None
    if isinstance(hidden, Mapping):
        return [hidden] * depth
    if len(hidden) != depth:
        raise ValueError(f"{len(hidden)} choices of hidden nodes for {depth} layers")
    return list(hidden)


class DglPropagation:
    """Every layer over the whole graph with DGL message passing."""

    def __init__(self, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None) -> None:
        from flykd_console.graph.dgl_graph import import_dgl, to_dgl

        device = model.relation.device
        try:
            self._functions = import_dgl().function
        except ImportError as error:
            raise UserError(f"dgl cannot be used ({error})", "engine.propagation", "Use planned.") from None
        # Without edges a relation sends nothing, and DGL need not hear of it.
        edges = {edge_type: pairs for edge_type, pairs in graph.edges.items() if len(pairs[0])}
        try:
            self._graph = to_dgl(edges, graph.node_counts).to(device) if edges else None
        except Exception as error:
            # dgl's own error class is not importable without dgl; a CPU-only build is the one cause seen.
            raise UserError(
                f"this build of dgl does not run on {device} ({str(error).splitlines()[0]})",
                "engine.propagation",
                "Use planned, or run on the CPU: --device cpu.",
            ) from None
        self._counts = graph.node_counts
        self._wanted = _rows(wanted, device)
        asked = per_layer(hidden, model.layers)
        self._hidden = None if asked is None else [_rows(nodes, device) for nodes in asked]

    def __call__(self, model: HeteroRGCN) -> dict[str, Tensor]:
        output = self._outputs(model)[-1]
        return {t: output[t][rows] for t, rows in self._wanted.items()}

    def layers(self, model: HeteroRGCN) -> Layers:
        return self.with_layers(model)[1]

    def with_layers(self, model: HeteroRGCN) -> tuple[dict[str, Tensor], Layers]:
        if self._hidden is None:
            raise ValueError("no hidden nodes were asked for")
        outputs = self._outputs(model)
        layers = [
            {t: output[t][rows] for t, rows in asked.items()}
            for output, asked in zip(outputs, self._hidden, strict=True)
        ]
        return {t: outputs[-1][t][rows] for t, rows in self._wanted.items()}, layers

    def _outputs(self, model: HeteroRGCN) -> Layers:
        """What each layer gives for every node."""
        outputs: Layers = []
        features: Mapping[str, Tensor] = model.inputs
        for number, layer in enumerate(model.stack, start=1):
            output = (self._layer if layer.query is None else self._attention)(model, layer, features)
            if number < model.layers:
                output = {t: functional.leaky_relu(h, NEGATIVE_SLOPE) for t, h in output.items()}
            outputs.append(output)
            features = output
        return outputs

    def _attention(
        self, model: HeteroRGCN, layer: RelationalLinear, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """z_v = k_v sum_r a_{v,r} m_{v,r}, a_v = softmax_r(q_r . tanh(m_{v,r})) over the relations that reach v."""
        graph, query = self._graph, layer.query
        into: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {node_type: [] for node_type in self._counts}
        for canonical in [] if graph is None else graph.canonical_etypes:
            assert graph is not None
            assert query is not None
            edge_type = EdgeType(*canonical)
            number = model.index(edge_type)
            with graph.local_scope():
                sent = features[edge_type.head] @ layer.weight[number] + layer.bias[number]
                graph.nodes[edge_type.head].data["x"] = sent
                graph.update_all(self._functions.copy_u("x", "m"), self._functions.mean("m", "z"), etype=canonical)
                mean = graph.nodes[edge_type.tail].data["z"]
            reached = graph.in_degrees(etype=canonical) > 0
            score = mean.tanh() @ query[number]
            into[edge_type.tail].append((mean, reached, score.masked_fill(~reached, -torch.inf)))
        outputs = {}
        for node_type, relations in into.items():
            outputs[node_type] = layer.weight.new_zeros(self._counts[node_type], model.dim)
            if relations:
                means, reached, scores = (torch.stack(parts) for parts in zip(*relations, strict=True))
                some = reached.any(dim=0)
                attention = torch.softmax(scores[:, some], dim=0) * reached.sum(dim=0)[some]
                outputs[node_type][some] = (means[:, some] * attention.unsqueeze(2)).sum(dim=0)
        return outputs

    def _layer(self, model: HeteroRGCN, layer: RelationalLinear, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """z_v = sum_r mean_{u in N_r(v)} (W_r x_u + b_r) for every node of every type."""
        weight, bias = layer.weight, layer.bias
        if self._graph is None:
            return {node_type: weight.new_zeros(count, model.dim) for node_type, count in self._counts.items()}
        messages = {}
        with self._graph.local_scope():
            for canonical in self._graph.canonical_etypes:
                edge_type = EdgeType(*canonical)
                number = model.index(edge_type)
                field = "/".join(edge_type)
                self._graph.nodes[edge_type.head].data[field] = features[edge_type.head] @ weight[number] + bias[number]
                messages[canonical] = (self._functions.copy_u(field, "m"), self._functions.mean("m", "z"))
            self._graph.multi_update_all(messages, "sum")
            return {
                node_type: self._graph.nodes[node_type].data["z"]
                if node_type in self._graph.ntypes and "z" in self._graph.nodes[node_type].data
                else weight.new_zeros(count, model.dim)
                for node_type, count in self._counts.items()
            }


def _rows(nodes: Wanted, device: torch.device) -> dict[str, Tensor]:
    return {t: torch.from_numpy(np.asarray(rows)).to(device) for t, rows in nodes.items()}
