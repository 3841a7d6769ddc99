"""Deeper models and attention over relations: the stacked segments against the oracle, and what attention means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted
from flykd_console.model.propagation import propagation
from flykd_console.model.propagation.planned import PlannedPropagation
from flykd_console.model.propagation.segments import SegmentPropagation
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.sections import LayerKind
from tests.support.message_graphs import graphs, hidden_nodes

SHAPES: list[tuple[int, LayerKind]] = [(1, "rgcn"), (3, "rgcn"), (4, "rgcn"), (1, "rgat"), (2, "rgat"), (3, "rgat")]


def _model(graph: MessageGraph, dim: int, layers: int, kind: LayerKind, scale: float = 1.0) -> HeteroRGCN:
    generator = torch.Generator().manual_seed(3)
    model = HeteroRGCN(graph.node_counts, graph.edge_types, dim, generator, layers, kind)
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
    return torch.stack(terms).sum()


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
    assert (found - expected).norm().item() <= 1e-5 * max(expected.norm().item(), scale, 1e-6)


def _same(engines: list[str], graph: MessageGraph, wanted: Wanted, hidden: Hidden | None, model: HeteroRGCN) -> None:
    outputs, gradients = [], []
    for engine in engines:
        prepared = propagation(engine, graph, model, wanted, hidden)
        if hidden is None:
            parts = [prepared(model)]
        else:
            last, layers = prepared.with_layers(model)
            parts = [last, *layers]
        outputs.append(parts)
        gradients.append(_gradients(model, _loss(parts)))
    for found, expected in zip(*outputs, strict=True):
        assert list(found) == list(expected)
        for node_type in expected:
            _close(found[node_type], expected[node_type])
    for name, expected in gradients[1].items():
        # The gradient of q is a difference of nearly equal terms where messages agree: measured against its layer's.
        layer = name.partition(".")[0]
        scale = gradients[1][f"{layer}.weight"].norm().item() if name.endswith("query") else 0.0
        _close(gradients[0][name], expected, scale)


@given(graphs(), st.integers(2, 7), st.sampled_from(SHAPES))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_segments_equal_the_oracle_in_values_and_gradients(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], dim: int, shape: tuple[int, LayerKind]
) -> None:
    graph, wanted = drawn
    model = _model(graph, dim, *shape)
    assert isinstance(propagation("planned", graph, model, wanted), SegmentPropagation)
    _same(["planned", "dgl"], graph, wanted, None, model)


@given(graphs(), st.sampled_from(SHAPES), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_layers_outputs_equal_the_oracles(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], shape: tuple[int, LayerKind], data: st.DataObject
) -> None:
    graph, wanted = drawn
    layers = shape[0]
    counts = dict(graph.node_counts)
    hidden: Hidden = data.draw(st.one_of(hidden_nodes(counts), st.tuples(*[hidden_nodes(counts)] * layers)))
    _same(["planned", "dgl"], graph, wanted, hidden, _model(graph, 4, *shape))


@given(graphs())
@settings(max_examples=25, deadline=None)
def test_two_summing_layers_in_segments_equal_the_planned_pass(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]],
) -> None:
    graph, wanted = drawn
    model = _model(graph, 5, 2, "rgcn")
    found, expected = (engine(graph, model, wanted)(model) for engine in (SegmentPropagation, PlannedPropagation))
    gradients = [_gradients(model, _loss([output])) for output in (found, expected)]
    for node_type in expected:
        _close(found[node_type], expected[node_type])
    for name in gradients[0]:
        _close(gradients[0][name], gradients[1][name])


def _random_graph(seed: int = 1) -> tuple[MessageGraph, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    counts = {"a": 30, "b": 20}
    edges = {EdgeType("a", f"r{i}", "b"): (rng.integers(0, 30, 25), rng.integers(0, 20, 25)) for i in range(4)}
    return MessageGraph.of(edges, counts), {"a": np.arange(30), "b": np.arange(20)}


@pytest.mark.parametrize(("layers", "kind"), SHAPES)
def test_nodes_that_many_relations_reach_equal_the_oracle(layers: int, kind: LayerKind) -> None:
    graph, wanted = _random_graph()
    _same(["planned", "dgl"], graph, wanted, wanted, _model(graph, 16, layers, kind, scale=5.0))


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
@pytest.mark.parametrize("engine", ["planned", "dgl"])
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


def test_hidden_nodes_must_be_asked_for() -> None:
    graph, wanted = _random_graph()
    model = _model(graph, 4, 3, "rgat")
    with pytest.raises(ValueError, match="no hidden nodes"):
        propagation("planned", graph, model, wanted).layers(model)
    with pytest.raises(ValueError, match="2 choices of hidden nodes for 3 layers"):
        propagation("planned", graph, model, wanted, [wanted, wanted])
