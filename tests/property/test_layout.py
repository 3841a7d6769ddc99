"""How a layer's products are arranged: shared segments, and averages on either side of the weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.message_graph import MessageGraph
from flykd_console.model.propagation import layout
from flykd_console.model.propagation.layout import Layout, lay_out
from flykd_console.model.receptive_field import mean_matrices
from tests.support.message_graphs import graphs


def _arranged(graph: MessageGraph, *, apart: bool = False, fixed: bool = False) -> Layout:
    nodes = {node_type: np.arange(count) for node_type, count in graph.node_counts.items()}
    numbers = {edge_type: number for number, edge_type in enumerate(graph.edge_types)}
    return lay_out(nodes, mean_matrices(graph, nodes), nodes, numbers, apart=apart, fixed=fixed)


@given(graphs(), st.booleans(), st.booleans(), st.sampled_from([1, 3, 400]))
def test_the_segments_cover_every_row_and_add_up_to_the_means(
    drawn: tuple[MessageGraph, dict[str, np.ndarray]], apart: bool, fixed: bool, group_size: int
) -> None:
    graph, _ = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "GROUP_SIZE", group_size)
        found = _arranged(graph, apart=apart, fixed=fixed)
    gather, collect = found.gather.toarray(), found.collect.toarray()
    inputs = products = 0
    sums = np.zeros((collect.shape[1], gather.shape[1]))
    for segment in found.segments:
        assert (segment.inputs.start, segment.products.start) == (inputs, products)
        inputs, products = segment.inputs.stop, segment.products.stop
        rows = gather[segment.inputs].reshape(products - segment.products.start, len(segment.relations), -1)
        sums[segment.products] = rows.sum(axis=1)
        assert not apart or len(segment.relations) == 1
    assert (inputs, products) == (gather.shape[0], collect.shape[1])
    if apart:
        assert (collect.sum(axis=0) == 1).all()
        assert set(np.unique(collect)) <= {0.0, 1.0}
    # Under weights of one and no bias a node's output is the sum of its means.
    nodes = {node_type: np.arange(count) for node_type, count in graph.node_counts.items()}
    ends = dict(zip(nodes, np.cumsum([len(rows) for rows in nodes.values()]), strict=True))
    expected = np.zeros((collect.shape[0], gather.shape[1]))
    for edge_type, matrix in mean_matrices(graph, nodes).items():
        rows, columns = (slice(ends[t] - len(nodes[t]), ends[t]) for t in (edge_type.tail, edge_type.head))
        expected[rows, columns] += matrix.toarray()
    assert collect @ sums == pytest.approx(expected, abs=1e-6)


def test_nodes_that_the_same_relations_reach_share_a_segment_where_they_are_many() -> None:
    everyone, some = np.arange(1000), np.arange(600)
    edges = {
        EdgeType("a", "r", "b"): (everyone, everyone),
        EdgeType("a", "s", "b"): (some, some),
        EdgeType("a", "t", "b"): (everyone[:7], everyone[:7]),
    }
    found = _arranged(MessageGraph(edges, {"a": 1000, "b": 1000}, sorted(edges)))
    # 593 nodes have r and s; 400 only r, 7 all three: these one by one.
    sizes = [(segment.relations, segment.products.stop - segment.products.start) for segment in found.segments]
    assert sizes == [([0, 1], 593), ([0], 407), ([1], 7), ([2], 7)]
    assert found.collect.shape == (2000, 593 + 407 + 7 + 7)


@pytest.mark.parametrize(
    ("edges_each", "fixed", "products"), [(1, False, 5), (1, True, 5), (4, False, 5), (4, True, 100)]
)
def test_a_relation_with_far_fewer_sources_than_targets_is_multiplied_before_it_is_averaged(
    edges_each: int, fixed: bool, products: int
) -> None:
    targets = np.repeat(np.arange(100), edges_each)
    edges = {EdgeType("few", "reaches", "many"): (np.arange(len(targets)) % 5, targets)}
    graph = MessageGraph(edges, {"few": 5, "many": 100}, sorted(edges))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "EDGE_COST", 0.3)
        found = _arranged(graph, fixed=fixed)
    assert found.collect.shape[1] == products
