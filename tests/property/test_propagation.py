"""The planned propagation against the oracle: values and gradients, on graphs with every awkward corner."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import Hidden, MessageGraph
from flykd_console.model.propagation import propagation
from flykd_console.model.propagation.premultiplied import worth_it
from flykd_console.model.receptive_field import mean_matrices
from flykd_console.model.rgcn import HeteroRGCN
from tests.support.message_graphs import graphs, hidden_nodes


def _run(
    kind: str, graph: MessageGraph, wanted: dict[str, np.ndarray], model: HeteroRGCN
) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    model.zero_grad()
    output = propagation(kind, graph, model, wanted)(model)
    # Weights that differ by entry, so that a transposed or permuted gradient cannot pass.
    loss = torch.stack(
        [((1.0 + torch.arange(x.numel()).view_as(x)) * x.square()).sum() + x.sum() for x in output.values()]
    ).sum()
    if loss.requires_grad:
        loss.backward()
    layers = [model.layer1.weight, model.layer1.bias, model.layer2.weight, model.layer2.bias]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in layers]
    return {node_type: x.detach() for node_type, x in output.items()}, gradients


def _run_layers(
    kind: str, graph: MessageGraph, wanted: dict[str, np.ndarray], hidden: Hidden, model: HeteroRGCN, skip: str
) -> tuple[list[dict[str, torch.Tensor]], list[torch.Tensor]]:
    """Outputs and every layer's, and the gradients of a loss of them all, or of all but `skip`."""
    model.zero_grad()
    output, layers = propagation(kind, graph, model, wanted, hidden).with_layers(model)
    parts = {"output": output, **{f"layer{number}": layer for number, layer in enumerate(layers, 1)}}
    terms = [
        ((1.0 + place + torch.arange(x.numel()).view_as(x)) * x.square()).sum() + x.sum()
        for place, (name, part) in enumerate(parts.items())
        for x in part.values()
        if name != skip
    ]
    loss = torch.stack(terms).sum() if terms else torch.zeros(())
    if loss.requires_grad:
        loss.backward()
    weights = [p for layer in model.stack for p in (layer.weight, layer.bias)]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in weights]
    return [{t: x.detach() for t, x in part.items()} for part in parts.values()], gradients


def _close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    scale = expected.norm().item()
    assert (found - expected).norm().item() <= 1e-5 * max(scale, 1e-6)


@given(graphs(), st.integers(2, 7))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_planned_equals_the_oracle_in_values_and_gradients(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], dim: int
) -> None:
    graph, wanted = drawn
    model = HeteroRGCN(graph.node_counts, graph.edge_types, dim, torch.Generator().manual_seed(3))
    expected, expected_gradients = _run("dgl", graph, wanted, model)
    found, found_gradients = _run("planned", graph, wanted, model)
    assert found.keys() == expected.keys()
    for node_type in expected:
        _close(found[node_type], expected[node_type])
    for mine, theirs in zip(found_gradients, expected_gradients, strict=True):
        _close(mine, theirs)


@given(st.data(), graphs(), st.sampled_from(["nothing", "output", "layer1", "layer2"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_layers_equal_the_oracle_in_values_and_gradients(
    data: st.DataObject, drawn: tuple[MessageGraph, dict[str, np.ndarray]], skip: str
) -> None:
    graph, wanted = drawn
    choices = hidden_nodes(dict(graph.node_counts))
    hidden: Hidden = data.draw(st.one_of(choices, st.tuples(choices, choices)))
    model = HeteroRGCN(graph.node_counts, graph.edge_types, 4, torch.Generator().manual_seed(3))
    expected, expected_gradients = _run_layers("dgl", graph, wanted, hidden, model, skip)
    found, found_gradients = _run_layers("planned", graph, wanted, hidden, model, skip)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        for node_type in theirs:
            _close(mine[node_type], theirs[node_type])
    for gradient, true_gradient in zip(found_gradients, expected_gradients, strict=True):
        _close(gradient, true_gradient)


@pytest.mark.parametrize("kind", ["dgl", "planned"])
def test_the_last_layer_is_the_output_and_layers_must_have_been_asked_for(kind: str) -> None:
    graph = MessageGraph.of({EdgeType("a", "r", "b"): (np.array([0, 1]), np.array([0, 1]))}, {"a": 2, "b": 2})
    model = HeteroRGCN(graph.node_counts, graph.edge_types, 4, torch.Generator().manual_seed(0))
    wanted = {"b": np.array([1, 0])}
    prepared = propagation(kind, graph, model, wanted, wanted)
    assert torch.equal(prepared.layers(model)[1]["b"], prepared(model)["b"])
    assert prepared(model)["b"].abs().sum() > 0
    with pytest.raises(ValueError, match="hidden"):
        propagation(kind, graph, model, wanted).layers(model)
    with pytest.raises(ValueError, match="3 choices of hidden nodes for 2 layers"):
        propagation(kind, graph, model, wanted, [wanted] * 3)


@pytest.mark.parametrize("group_cost", [0, 10_000])
def test_planned_is_the_same_however_rows_are_grouped(group_cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    counts = {"a": 30, "b": 20}
    edges = {EdgeType("a", f"r{i}", "b"): (rng.integers(0, 30, 25), rng.integers(0, 20, 25)) for i in range(4)}
    graph, wanted = MessageGraph.of(edges, counts), {"a": np.arange(30), "b": np.arange(20)}
    model = HeteroRGCN(counts, graph.edge_types, 5, torch.Generator().manual_seed(0))
    expected, expected_gradients = _run("dgl", graph, wanted, model)
    monkeypatch.setattr("flykd_console.model.propagation.planned.GROUP_COST", group_cost)
    found, found_gradients = _run("planned", graph, wanted, model)
    for node_type in expected:
        _close(found[node_type], expected[node_type])
    for mine, theirs in zip(found_gradients, expected_gradients, strict=True):
        _close(mine, theirs)


def test_a_node_without_neighbours_gets_exactly_nothing() -> None:
    graph = MessageGraph.of({EdgeType("a", "r", "b"): (np.array([0]), np.array([0]))}, {"a": 2, "b": 2})
    model = HeteroRGCN(graph.node_counts, graph.edge_types, 4, torch.Generator().manual_seed(0))
    for kind in ("dgl", "planned"):
        output = propagation(kind, graph, model, {"b": np.array([1, 0])})(model)
        assert torch.equal(output["b"][0], torch.zeros(4))
        assert output["b"][1].abs().sum() > 0


@pytest.mark.parametrize("every", [1, 2])
def test_planned_is_the_same_whichever_relations_are_multiplied_first(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "flykd_console.model.propagation.planned.worth_it", lambda means, *_: set(sorted(means)[::every])
    )

    @given(graphs(), st.data())
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def check(drawn: tuple[MessageGraph, dict[str, np.ndarray]], data: st.DataObject) -> None:
        graph, wanted = drawn
        hidden = data.draw(hidden_nodes(dict(graph.node_counts)))
        model = HeteroRGCN(graph.node_counts, graph.edge_types, 4, torch.Generator().manual_seed(3))
        expected, expected_gradients = _run_layers("dgl", graph, wanted, hidden, model, "nothing")
        found, found_gradients = _run_layers("planned", graph, wanted, hidden, model, "nothing")
        for mine, theirs in zip(found, expected, strict=True):
            for node_type in theirs:
                _close(mine[node_type], theirs[node_type])
        for gradient, true_gradient in zip(found_gradients, expected_gradients, strict=True):
            _close(gradient, true_gradient)

    check()


def test_a_relation_with_far_fewer_sources_than_targets_is_multiplied_first() -> None:
    rng = np.random.default_rng(2)
    few, many = EdgeType("few", "reaches", "many"), EdgeType("many", "rev_reaches", "few")
    edges = {few: (rng.integers(0, 5, 4000), np.arange(4000))}
    graph = MessageGraph.of(edges, {"few": 5, "many": 4000})
    means = mean_matrices(graph, {"few": np.arange(5), "many": np.arange(4000)})
    rows = {few: np.arange(5), many: np.arange(4000)}
    assert worth_it(means, rows, [slice(0, 5), slice(5, 4000)], 0.05) == {few}
    assert worth_it(means, rows, [slice(0, 5), slice(5, 4000)], 1.0) == set()
    model = HeteroRGCN(graph.node_counts, graph.edge_types, 8, torch.Generator().manual_seed(0))
    wanted = {"few": np.arange(5), "many": np.arange(4000)}
    expected, expected_gradients = _run("dgl", graph, wanted, model)
    found, found_gradients = _run("planned", graph, wanted, model)
    for node_type in expected:
        _close(found[node_type], expected[node_type])
    for mine, theirs in zip(found_gradients, expected_gradients, strict=True):
        _close(mine, theirs)
