"""Every depth and layer kind against the oracle: values and gradients, on graphs with every awkward corner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import SELF_LOOP, Hidden, MessageGraph, Wanted
from flykd_console.model.propagation import layout, propagation
from flykd_console.model.propagation.segments import SegmentPropagation
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.sections import LayerKind
from tests.support.message_graphs import graphs, hidden_nodes

KINDS: list[LayerKind] = ["rgcn", "rgat"]
SHAPES = [(layers, kind) for layers in (1, 2, 3, 4) for kind in KINDS]
# Small graphs would come without shared segments, and with few relations that are multiplied before they are averaged.
ARRANGEMENTS: dict[str, dict[str, Any]] = {
    "as it comes": {"GROUP_SIZE": layout.GROUP_SIZE},
    "in groups": {"GROUP_SIZE": 1, "_multiply_first": lambda *_: False},
    "sources first": {"_multiply_first": lambda *_: True},
    "mixed": {"GROUP_SIZE": 2, "_multiply_first": lambda matrix, _: matrix.nnz % 2 == 0},
}


def _model(graph: MessageGraph, dim: int, layers: int, kind: LayerKind, scale: float = 1.0, **more: Any) -> HeteroRGCN:
    generator = torch.Generator().manual_seed(3)
    model = HeteroRGCN(graph.node_counts, graph.edge_types, dim, generator, layers, kind, **more)
    with torch.no_grad():
        for layer in model.stack:
            if layer.query is not None:
                layer.query.mul_(scale)
    return model


def _loss(parts: Sequence[Mapping[str, torch.Tensor]]) -> torch.Tensor:
    """Weights that differ by entry, so that a transposed or permuted gradient cannot pass."""
    terms = [
        ((1.0 + place + torch.arange(x.numel()).view_as(x)) * x.square()).sum() + x.sum()
        for place, part in enumerate(parts)
        for x in part.values()
    ]
    return torch.stack([torch.zeros(()), *terms]).sum()


def _gradients(model: HeteroRGCN, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    if loss.requires_grad:
        loss.backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
        if name != "relation"
    }


def _close(found: torch.Tensor, expected: torch.Tensor, scale: float = 0.0) -> None:
    assert found.shape == expected.shape
    # Sums that nearly cancel keep four digits; a wrong gradient has none of them right.
    assert (found - expected).norm().item() <= 1e-4 * max(expected.norm().item(), scale, 1e-6)


def _same(
    graph: MessageGraph, wanted: Wanted, hidden: Hidden | None, model: HeteroRGCN, skip: int | None = None
) -> None:
    """Outputs, every layer's where hidden nodes are asked for, and gradients of a loss of all but the part `skip`."""
    outputs, gradients = [], []
    for engine in ("auto", "dgl"):
        prepared = propagation(engine, graph, model, wanted, hidden)
        if hidden is None:
            parts = [prepared(model)]
        else:
            last, layers = prepared.with_layers(model)
            parts = [last, *layers]
        outputs.append(parts)
        gradients.append(_gradients(model, _loss([part for at, part in enumerate(parts) if at != skip])))
    for found, expected in zip(*outputs, strict=True):
        assert list(found) == list(expected)
        for node_type in expected:
            _close(found[node_type].detach(), expected[node_type].detach())
    for name, expected in gradients[1].items():
        # The gradient of q is a difference of nearly equal terms where messages agree: measured against its layer's.
        layer = name.partition(".")[0]
        scale = gradients[1][f"{layer}.weight"].norm().item() if name.endswith("query") else 0.0
        _close(gradients[0][name], expected, scale)


@given(graphs(), st.integers(2, 7), st.sampled_from(SHAPES), st.sampled_from(sorted(ARRANGEMENTS)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_outputs_and_gradients_equal_the_oracles(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], dim: int, shape: tuple[int, LayerKind], arrangement: str
) -> None:
    graph, wanted = drawn
    with mock.patch.multiple(layout, **ARRANGEMENTS[arrangement]):
        _same(graph, wanted, None, _model(graph, dim, *shape))


@given(graphs(), st.sampled_from(SHAPES), st.sampled_from(sorted(ARRANGEMENTS)), st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_layers_outputs_equal_the_oracles(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]],
    shape: tuple[int, LayerKind],
    arrangement: str,
    data: st.DataObject,
) -> None:
    graph, wanted = drawn
    layers = shape[0]
    counts = dict(graph.node_counts)
    hidden: Hidden = data.draw(st.one_of(hidden_nodes(counts), st.tuples(*[hidden_nodes(counts)] * layers)))
    skip = data.draw(st.sampled_from([None, *range(layers + 1)]))
    with mock.patch.multiple(layout, **ARRANGEMENTS[arrangement]):
        _same(graph, wanted, hidden, _model(graph, 4, *shape), skip)


# What a network may do beyond the paper's.
CAPACITY: list[dict[str, Any]] = [
    {"aggregation": "sum"},
    {"aggregation": "log"},
    {"learns_inputs": True},
    {"aggregation": "log", "learns_inputs": True},
]


@given(
    graphs(),
    st.integers(1, 3),
    st.sampled_from(CAPACITY),
    st.booleans(),
    st.sampled_from(sorted(ARRANGEMENTS)),
    st.data(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_counts_hears_itself_or_learns_its_inputs_equals_the_oracle(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]],
    layers: int,
    capacity: dict[str, Any],
    loops: bool,
    arrangement: str,
    data: st.DataObject,
) -> None:
    graph, wanted = drawn
    if loops:
        graph = graph.with_self_loops()
    hidden = data.draw(st.none() | hidden_nodes(dict(graph.node_counts)))
    with mock.patch.multiple(layout, **ARRANGEMENTS[arrangement]):
        _same(graph, wanted, hidden, _model(graph, 5, layers, "rgcn", **capacity))


@given(graphs(), st.integers(1, 3), st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_attention_to_oneself_and_over_learnt_inputs_equals_the_oracle(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], layers: int, learns_inputs: bool
) -> None:
    graph, wanted = drawn
    graph = graph.with_self_loops()
    _same(graph, wanted, wanted, _model(graph, 5, layers, "rgat", learns_inputs=learns_inputs))


@pytest.mark.parametrize("engine", ["auto", "dgl"])
@pytest.mark.parametrize(("aggregation", "factor"), [("mean", 1.0), ("sum", 3.0), ("log", 2.0)])
def test_a_mean_of_three_messages_is_multiplied_as_the_aggregation_says(
    engine: str, aggregation: Any, factor: float
) -> None:
    edges = {EdgeType("a", "r", "b"): (np.array([0, 1, 2]), np.array([1, 1, 1]))}
    graph = MessageGraph(edges=edges, node_counts={"a": 3, "b": 2}, edge_types=sorted(edges))
    model = _model(graph, 4, 1, "rgcn", aggregation=aggregation)
    output = propagation(engine, graph, model, {"b": np.array([0, 1])})(model)["b"]
    mean = model.inputs["a"].mean(dim=0) @ model.layer1.weight[0] + model.layer1.bias[0]
    _close(output[1], factor * mean)
    assert not output[0].any()


def test_self_loops_are_those_of_nodes_with_an_edge() -> None:
    edges = {EdgeType("a", "r", "b"): (np.array([0, 2]), np.array([1, 1]))}
    looped = MessageGraph.of(edges, {"a": 4, "b": 2, "c": 1}).with_self_loops()
    found = {edge_type.head: pairs for edge_type, pairs in looped.edges.items() if edge_type.relation == SELF_LOOP}
    assert {node_type: heads.tolist() for node_type, (heads, _) in found.items()} == {"a": [0, 2], "b": [1], "c": []}
    assert all(np.array_equal(heads, tails) for heads, tails in found.values())
    assert list(looped.edges) == looped.edge_types


@pytest.mark.parametrize("arrangement", sorted(ARRANGEMENTS))
def test_messages_without_reverses_from_nodes_that_nothing_reaches_equal_the_oracle(arrangement: str) -> None:
    edges = {
        EdgeType("a", "r", "b"): (np.array([0, 1, 1, 3, 3]), np.array([0, 0, 2, 2, 2])),
        EdgeType("b", "s", "c"): (np.array([0, 1, 1]), np.array([1, 1, 0])),
    }
    graph = MessageGraph(edges=edges, node_counts={"a": 4, "b": 3, "c": 2}, edge_types=sorted(edges))
    wanted = {"c": np.array([1, 0]), "b": np.array([2])}
    for shape in SHAPES:
        with mock.patch.multiple(layout, **ARRANGEMENTS[arrangement]):
            _same(graph, wanted, wanted, _model(graph, 5, *shape))


def _random_graph(seed: int = 1) -> tuple[MessageGraph, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    counts = {"a": 30, "b": 20}
    edges = {EdgeType("a", f"r{i}", "b"): (rng.integers(0, 30, 25), rng.integers(0, 20, 25)) for i in range(4)}
    return MessageGraph.of(edges, counts), {"a": np.arange(30), "b": np.arange(20)}


@pytest.mark.parametrize(("layers", "kind"), SHAPES)
def test_nodes_that_many_relations_reach_equal_the_oracle(layers: int, kind: LayerKind) -> None:
    graph, wanted = _random_graph()
    for arrangement in ARRANGEMENTS.values():
        with mock.patch.multiple(layout, **arrangement):
            _same(graph, wanted, wanted, _model(graph, 16, layers, kind, scale=5.0))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_attention_without_preferences_is_the_plain_sum(layers: int) -> None:
    graph, wanted = _random_graph()
    even = _model(graph, 6, layers, "rgat", scale=0.0)
    plain = _model(graph, 6, layers, "rgcn")
    with torch.no_grad():
        for mine, theirs in zip(plain.stack, even.stack, strict=True):
            mine.weight.copy_(theirs.weight)
            mine.bias.copy_(theirs.bias)
    plain.inputs = even.inputs
    expected, found = (SegmentPropagation(graph, model, wanted)(model) for model in (plain, even))
    for node_type in expected:
        _close(found[node_type], expected[node_type])


def test_attention_stays_finite_under_scores_that_would_overflow() -> None:
    graph, wanted = _random_graph()
    model = _model(graph, 6, 2, "rgat", scale=1e4)
    with torch.no_grad():
        for layer in model.stack:
            layer.bias.mul_(1e3)
    scores = [
        torch.einsum("rd,rd->r", p.bias.tanh(), p.query).abs().max().item() for p in model.stack if p.query is not None
    ]
    assert min(scores) > 1000.0
    output = SegmentPropagation(graph, model, wanted)(model)
    gradients = _gradients(model, _loss([output]))
    assert all(x.isfinite().all() for x in (*output.values(), *gradients.values()))


@pytest.mark.parametrize(("layers", "kind"), SHAPES)
@pytest.mark.parametrize("engine", ["auto", "dgl"])
def test_a_node_that_no_message_reaches_gets_exactly_nothing(engine: str, layers: int, kind: LayerKind) -> None:
    edges = {
        EdgeType("a", "r", "b"): (np.array([0, 0]), np.array([0, 0])),
        EdgeType("a", "s", "b"): (np.empty(0, int),) * 2,
    }
    graph = MessageGraph.of(edges, {"a": 2, "b": 2, "c": 1})
    output = propagation(engine, graph, _model(graph, 4, layers, kind), {"b": np.array([1, 0]), "c": np.array([0])})(
        _model(graph, 4, layers, kind)
    )
    assert torch.equal(output["b"][0], torch.zeros(4))
    assert torch.equal(output["c"], torch.zeros(1, 4))
    assert output["b"][1].abs().sum() > 0


@pytest.mark.parametrize("engine", ["auto", "dgl"])
def test_the_last_layer_is_the_output_and_layers_must_have_been_asked_for(engine: str) -> None:
    graph, wanted = _random_graph()
    model = _model(graph, 4, 3, "rgat")
    prepared = propagation(engine, graph, model, wanted, wanted)
    for node_type, rows in prepared(model).items():
        assert torch.equal(prepared.layers(model)[2][node_type], rows)
        assert rows.abs().sum() > 0
    with pytest.raises(ValueError, match="no hidden nodes"):
        propagation(engine, graph, model, wanted).layers(model)
    with pytest.raises(ValueError, match="2 choices of hidden nodes for 3 layers"):
        propagation(engine, graph, model, wanted, [wanted, wanted])
