"""`split.hops`: no label of training or validation stands near the test, on graphs of any shape."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.profile import sections
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
BETWEEN = [EdgeType("disease", name, "disease") for name in ("is a", "looks like")]


def distances(graph: KnowledgeGraph, start: set[int]) -> dict[int, int]:
    """Steps from the nearest of some diseases, by breadth-first search over plain lists."""
    neighbours: dict[int, set[int]] = {}
    for edge_type in graph.edges:
        if edge_type.head == edge_type.tail == "disease":
            for head, tail in zip(*graph.edges[edge_type], strict=True):
                neighbours.setdefault(int(head), set()).add(int(tail))
                neighbours.setdefault(int(tail), set()).add(int(head))
    found = dict.fromkeys(start, 0)
    queue = deque(start)
    while queue:
        node = queue.popleft()
        for other in neighbours.get(node, ()):
            if other not in found:
                found[other] = found[node] + 1
                queue.append(other)
    return found


def pairs_of(split: EdgeSplit, part: str, target: EdgeType) -> set[tuple[int, int]]:
    return set(zip(*(end.tolist() for end in split.part(part)[target]), strict=True))


@st.composite
def kin_graphs(draw: st.DrawFn) -> KnowledgeGraph:
    """The small graph with two relations between diseases of its own, sparse or dense; one may be empty."""
    graph = small_graph(seed=draw(st.integers(0, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    edges = {e: pairs for e, pairs in graph.edges.items() if not e.head == e.tail == "disease"}
    for edge_type in BETWEEN:
        count = draw(st.integers(0, 40))
        edges[edge_type] = rng.integers(60, size=count), rng.integers(60, size=count)
    return KnowledgeGraph(graph.nodes, edges, "kin")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kin_graphs(), st.integers(1, 3), st.integers(0, 50), st.sampled_from(["complex_disease", "disease"]))
def test_no_label_of_training_or_validation_is_within_so_many_steps_of_a_test_disease(
    graph: KnowledgeGraph, hops: int, seed: int, kind: str
) -> None:
    assume(any(len(graph.edges[edge_type][0]) for edge_type in BETWEEN))
    given_settings: dict[str, object] = {"kind": kind}
    if kind == "disease":
        given_settings["diseases"] = ["disease 3", "disease 7", "disease 11"]
    try:
        plain = split_graph(graph, TARGETS, sections.Split.model_validate(given_settings), seed)
    except UserError:
        # So small a graph may leave a relation without a test in some seeds, whatever the hops.
        assume(False)
    try:
        split = split_graph(graph, TARGETS, sections.Split.model_validate({**given_settings, "hops": hops}), seed)
    except UserError as error:
        assert f"hops = {hops}" in str(error)  # noqa: PT017
        return
    left = split.left_out
    assert left is not None
    tested = {tail for target in TARGETS for _, tail in pairs_of(split, "test", target)}
    near = {node for node, steps in distances(graph, tested).items() if steps <= hops}
    lost = set()
    for target in TARGETS:
        gone = set(zip(*(end.tolist() for end in left.labels[target]), strict=True))
        assert pairs_of(split, "test", target) == pairs_of(plain, "test", target)
        for part in ("train", "validation"):
            kept = pairs_of(split, part, target)
            assert not {tail for _, tail in kept} & near
            # Nothing but the labels of relatives left.
            assert pairs_of(plain, part, target) - kept <= gone
        assert {tail for _, tail in gone} <= near - tested
        everything = [pair for name in PARTS for pair in pairs_of(split, name, target)]
        assert sorted([*everything, *gone]) == sorted(set(zip(*graph.edges[target], strict=True)))
        lost |= {tail for _, tail in gone}
    assert left.tails == len(lost)
    for edge_type in graph.edges:
        if edge_type not in TARGETS:
            for part in PARTS:
                same = zip(split.part(part)[edge_type], plain.part(part)[edge_type], strict=True)
                assert all(np.array_equal(one, other) for one, other in same)
