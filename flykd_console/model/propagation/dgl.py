"""The oracle: every layer over the whole graph, written plainly with DGL message passing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted, per_layer
from flykd_console.model.propagation.base import Layers
from flykd_console.model.rgcn import NEGATIVE_SLOPE, HeteroRGCN, RelationalLinear


class DglPropagation:
    """Every layer over the whole graph with DGL message passing."""

    def __init__(self, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None) -> None:
        from flykd_console.graph.dgl_graph import import_dgl, to_dgl

        device = model.relation.device
        try:
            self._functions = import_dgl().function
        except ImportError as error:
            raise UserError(f"dgl cannot be used ({error})", "engine.propagation", "Use auto.") from None
        # Without edges a relation sends nothing, and DGL need not hear of it.
        edges = {edge_type: pairs for edge_type, pairs in graph.edges.items() if len(pairs[0])}
        try:
            self._graph = to_dgl(edges, graph.node_counts).to(device) if edges else None
        except Exception as error:
            # dgl's own error class is not importable without dgl; a CPU-only build is the one cause seen.
            raise UserError(
                f"this build of dgl does not run on {device} ({str(error).splitlines()[0]})",
                "engine.propagation",
                "Use auto, or run on the CPU: --device cpu.",
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
        """z_v = sum_r mean_{u in N_r(v)} (W_r x_u + b_r) for every node of every type, or their sum or more."""
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
                messages[canonical] = (self._functions.copy_u(field, "m"), self._reduced(model))
            self._graph.multi_update_all(messages, "sum")
            return {
                node_type: self._graph.nodes[node_type].data["z"]
                if node_type in self._graph.ntypes and "z" in self._graph.nodes[node_type].data
                else weight.new_zeros(count, model.dim)
                for node_type, count in self._counts.items()
            }

    def _reduced(self, model: HeteroRGCN) -> Any:
        """How the messages of a relation become one: a function of DGL's, or one of a node's mailbox."""
        if model.aggregation == "mean":
            return self._functions.mean("m", "z")
        if model.aggregation == "sum":
            return self._functions.sum("m", "z")

        def amplified(nodes: Any) -> dict[str, Tensor]:
            received = nodes.mailbox["m"]
            return {"z": received.mean(dim=1) * math.log2(1 + received.shape[1])}

        return amplified


def _rows(nodes: Wanted, device: torch.device) -> dict[str, Tensor]:
    return {t: torch.from_numpy(np.asarray(rows)).to(device) for t, rows in nodes.items()}
