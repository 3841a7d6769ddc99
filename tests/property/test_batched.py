"""Propagation for the nodes of a batch, and gathering, against the oracle and plain autograd: values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.gather import gather
from flykd_console.model.message_graph import MessageGraph
from flykd_console.model.propagation import propagation
from flykd_console.model.propagation.batched import BatchPropagation
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.tasks.link_prediction.all_edges import AllEdges
from flykd_console.tasks.link_prediction.pretraining import batch_loss
from tests.support.message_graphs import graphs


def _gradients(model: HeteroRGCN) -> list[torch.Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


def _close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).norm().item() <= 1e-5 * max(expected.norm().item(), 1e-6)


def _loss(rows: torch.Tensor) -> torch.Tensor:
    # Weights that differ by entry, so that a transposed or permuted gradient cannot pass.
    return ((1.0 + torch.arange(rows.numel()).view_as(rows)) * rows.square()).sum() + rows.sum()


def _compare(graph: MessageGraph, model: HeteroRGCN, choose: np.random.Generator) -> None:
    encode = BatchPropagation(graph, model)
    whole = propagation("dgl", graph, model, encode.nodes)
    count = sum(map(len, encode.nodes.values()))
    # Twice with other nodes: what one batch leaves in the buffers must not be seen by the next.
    for _ in range(2):
        rows = torch.from_numpy(choose.permutation(count)[: choose.integers(1, count + 1)])
        model.zero_grad()
        expected = torch.cat([whole(model)[t] for t in encode.nodes])[rows]
        _loss(expected).backward()
        expected_gradients = _gradients(model)
        model.zero_grad()
        found = encode(model, rows)
        assert not found[:, model.dim :].any()
        _loss(found[:, : model.dim]).backward()
        _close(found[:, : model.dim].detach(), expected.detach())
        for mine, theirs in zip(_gradients(model), expected_gradients, strict=True):
            _close(mine, theirs)


@given(
    graphs(),
    st.sampled_from(["mean", "sum", "log"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_batch_of_what_counts_hears_itself_or_learns_its_inputs_equals_the_oracle(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], aggregation: Any, loops: bool, learns_inputs: bool, seed: int
) -> None:
    graph, _ = drawn
    assume(any(len(heads) for heads, _ in graph.edges.values()))
    if loops:
        graph = graph.with_self_loops()
    model = HeteroRGCN(
        graph.node_counts,
        graph.edge_types,
        5,
        torch.Generator().manual_seed(3),
        aggregation=aggregation,
        learns_inputs=learns_inputs,
    )
    _compare(graph, model, np.random.default_rng(seed))


@given(graphs(), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_batch_equals_the_oracle_in_values_and_gradients(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], dim: int, seed: int
) -> None:
    graph, _ = drawn
    assume(any(len(heads) for heads, _ in graph.edges.values()))
    model = HeteroRGCN(graph.node_counts, graph.edge_types, dim, torch.Generator().manual_seed(3))
    _compare(graph, model, np.random.default_rng(seed))


def test_sources_that_nothing_reaches_send_zeros() -> None:
    # A message graph without reverses: nodes of type a have no incoming edge, and some of b no outgoing one.
    pairs = np.array([0, 1, 1, 3]), np.array([0, 0, 2, 2])
    edges = {EdgeType("a", "r", "b"): pairs, EdgeType("b", "s", "c"): (np.array([0, 1, 1]), np.array([1, 1, 0]))}
    graph = MessageGraph(edges=edges, node_counts={"a": 4, "b": 3, "c": 2}, edge_types=sorted(edges))
    model = HeteroRGCN(graph.node_counts, graph.edge_types, 5, torch.Generator().manual_seed(1))
    _compare(graph, model, np.random.default_rng(0))


def _plain_batch_loss(model: HeteroRGCN, edges: AllEdges, batch: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """The batch's loss by nothing but indexing: edges labelled 1, their heads with drawn tails labelled 0."""
    graph_nodes = torch.cat(list(propagation("dgl", _GRAPH, model, edges.nodes)(model).values()))
    relations = edges.relations(batch)
    heads, tails = graph_nodes[edges.heads[batch].long()], graph_nodes[edges.tails[batch].long()]
    negatives = graph_nodes[edges.negative_tails(relations, draw).long()]
    vectors = model.relation[relations]
    positive, negative = (heads * vectors * tails).sum(1), (heads * vectors * negatives).sum(1)
    return (functional.softplus(-positive).sum() + functional.softplus(negative).sum()) / (2 * len(batch))


def _random_graph() -> MessageGraph:
    rng = np.random.default_rng(5)
    counts = {"a": 40, "b": 25, "c": 1, "d": 4}
    edges = {
        EdgeType("a", "r0", "b"): (rng.integers(0, 40, 150), rng.integers(0, 25, 150)),
        EdgeType("b", "r1", "c"): (np.arange(10), np.zeros(10, np.int64)),
        EdgeType("a", "r2", "a"): (rng.integers(0, 30, 60), rng.integers(0, 30, 60)),
        EdgeType("d", "r3", "b"): (np.empty(0, np.int64), np.empty(0, np.int64)),
    }
    return MessageGraph.of(edges, counts)


_GRAPH = _random_graph()


def test_a_batchs_loss_and_gradients_are_those_of_plain_indexing() -> None:
    model = HeteroRGCN(_GRAPH.node_counts, _GRAPH.edge_types, 13, torch.Generator().manual_seed(2))
    edges = AllEdges(_GRAPH, model)
    batch = torch.randperm(len(edges), generator=torch.Generator().manual_seed(0))[:100]
    found: list[torch.Tensor] = []
    expected: list[torch.Tensor] = []
    for results, loss in (
        (found, batch_loss(model, BatchPropagation(_GRAPH, model), edges, batch, torch.Generator().manual_seed(7))),
        (expected, _plain_batch_loss(model, edges, batch, torch.Generator().manual_seed(7))),
    ):
        model.zero_grad()
        loss.backward()
        results += [loss.detach(), *_gradients(model)]
    for mine, theirs in zip(found, expected, strict=True):
        _close(mine, theirs)


def test_every_edge_has_its_relation_and_its_negatives_are_tails_of_it() -> None:
    model = HeteroRGCN(_GRAPH.node_counts, _GRAPH.edge_types, 3, torch.Generator().manual_seed(2))
    edges = AllEdges(_GRAPH, model)
    assert len(edges) == 2 * (150 + 10 + 60)
    relations = edges.relations(torch.arange(len(edges)))
    negatives = edges.negative_tails(relations, torch.Generator().manual_seed(0))
    for number, edge_type in enumerate(model.edge_types):
        chosen = relations == number
        assert chosen.sum() == len(_GRAPH.edges[edge_type][0])
        assert set(negatives[chosen].tolist()) <= set(edges.tails[chosen].tolist())


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=30))
def test_gathering_has_the_gradient_of_indexing(width: int, index: list[int]) -> None:
    table = torch.randn(6, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    where = torch.tensor(index, dtype=torch.int64)
    (expected,) = torch.autograd.grad(_loss(table[where]), table)
    found = gather(table, where)
    assert torch.equal(found, table[where])
    _close(torch.autograd.grad(_loss(found), table)[0], expected)
