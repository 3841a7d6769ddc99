"""Paths between a drug and a disease are those that a plain search finds, each called by its least seen edge."""

from __future__ import annotations

from itertools import product
from pathlib import Path as FilePath

import numpy as np
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.connections import Connections
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.graph.paths import SeenGraph, open_seen_graph
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.model.disease_pooling import pooling_maps
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Graph, Pooling, Run
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph, write_kg_csv

TARGETS = Targets([CONTRAINDICATION, INDICATION])
Step = tuple[str, str, int]  # relation, node type, row


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return small_graph()


@pytest.fixture(scope="module")
def split(graph: KnowledgeGraph) -> EdgeSplit:
    return split_graph(graph, TARGETS, Profile().split, 45)


@pytest.fixture(scope="module")
def seen(graph: KnowledgeGraph, split: EdgeSplit) -> SeenGraph:
    return SeenGraph(graph, split, Pooling())


def steps_from(split: EdgeSplit, node_type: str, row: int) -> dict[Step, str]:
    """Every step from a node and the best part of its edges, edge by edge."""
    found: dict[Step, str] = {}
    for part in reversed(PARTS):
        for edge_type, (heads, tails) in split.part(part).items():
            for h, t in zip(heads.tolist(), tails.tolist(), strict=True):
                if (edge_type.head, h) == (node_type, row):
                    found[edge_type.relation, edge_type.tail, t] = part
                if (edge_type.tail, t) == (node_type, row):
                    found[edge_type.relation, edge_type.head, h] = part
    return found


def two_hops(split: EdgeSplit, head: int, tail: int) -> set[tuple[tuple[str, str], str, int, str]]:
    first, last = steps_from(split, "drug", head), steps_from(split, "disease", tail)
    return {
        ((r1, r2), kind, row, max(part, other, key=PARTS.index))
        for ((r1, kind, row), part), ((r2, kind2, row2), other) in product(first.items(), last.items())
        if (kind, row) == (kind2, row2) and (kind, row) not in (("drug", head), ("disease", tail))
    }


def told(found: Connections, hops: int) -> set[tuple[tuple[str, ...], str, int, str]]:
    return {
        (group.relations, group.node_type, path.nodes[0].row, path.part)
        for group in found.groups
        for path in group.paths
        if len(path.nodes) == hops
    }


@pytest.mark.parametrize(("head", "tail"), [(0, 0), (3, 11), (7, 20), (12, 41), (39, 59)])
def test_shared_nodes_are_those_of_a_plain_search(seen: SeenGraph, split: EdgeSplit, head: int, tail: int) -> None:
    found = seen.connections(head, tail, "indication", limit=10_000)
    assert told(found, 1) == two_hops(split, head, tail)


def test_direct_edges_are_told_with_their_part(seen: SeenGraph, split: EdgeSplit) -> None:
    for part in PARTS:
        heads, tails = split.part(part)[INDICATION]
        found = seen.connections(int(heads[0]), int(tails[0]), "indication")
        assert ("indication", part) in found.direct


def test_one_step_further_only_where_no_protein_is_shared(seen: SeenGraph, split: EdgeSplit) -> None:
    longer = 0
    for head, tail in product(range(12), range(12)):
        found = seen.connections(head, tail, "indication", limit=10_000)
        shared = any(g.node_type == "gene/protein" and len(g.relations) == 2 for g in found.groups)
        first, last = steps_from(split, "drug", head), steps_from(split, "disease", tail)
        of_head = {row: part for (r, kind, row), part in first.items() if kind == "gene/protein"}
        of_tail = {row: part for (r, kind, row), part in last.items() if kind == "gene/protein"}
        expected = set()
        for protein, part in of_head.items():
            for (_, kind, row), between in steps_from(split, "gene/protein", protein).items():
                if kind == "gene/protein" and row in of_tail and row != protein:
                    worst = max(part, between, of_tail[row], key=PARTS.index)
                    expected.add((protein, row, worst))
        three = {
            (path.nodes[0].row, path.nodes[1].row, path.part)
            for group in found.groups
            for path in group.paths
            if len(path.nodes) == 2
        }
        assert three == (set() if shared else expected)
        longer += len(three)
    assert longer > 0


def test_limit_cuts_paths_but_not_their_count_and_seen_rare_ones_stay(seen: SeenGraph) -> None:
    everything = {g.relations: g for g in seen.connections(3, 11, "indication", limit=10_000).groups}
    for group in seen.connections(3, 11, "indication", limit=1).groups:
        full = everything[group.relations]
        assert len(group.paths) == 1
        assert (group.total, group.held_out) == (len(full.paths), sum(p.part != "train" for p in full.paths))
        assert group.paths[0] == min(full.paths, key=lambda p: (PARTS.index(p.part), p.degree, p.nodes[0].row))


@pytest.mark.parametrize("relation", ["indication", "contraindication"])
def test_similar_tails_are_those_that_the_model_pools(seen: SeenGraph, split: EdgeSplit, relation: str) -> None:
    maps = pooling_maps(split.train, TARGETS, 60, Pooling())
    assert maps is not None
    heads, tails = split.train[INDICATION if relation == "indication" else CONTRAINDICATION]
    for tail in range(60):
        found = seen.connections(0, tail, relation)
        row = maps[relation][[tail]].toarray()[0]
        lent = {int(key): float(row[key]) for key in np.flatnonzero(row) if key != tail}
        assert {s.node.row for s in found.similar} == set(lent)
        for similar in found.similar:
            assert similar.share == pytest.approx(lent[similar.node.row], rel=1e-5)
            known = set(heads[tails == similar.node.row].tolist())
            assert similar.known_total == len(known)
            assert {node.row for node in similar.known} <= known
            assert similar.has_head == (0 in known)
        assert found.gate is not None
        assert 1.0 - found.gate == pytest.approx(row[tail], rel=1e-5)


def test_run_without_pooling_names_no_similar_tails(graph: KnowledgeGraph, split: EdgeSplit) -> None:
    found = SeenGraph(graph, split, Pooling(enabled=False)).connections(0, 0, "indication")
    assert (found.similar, found.gate) == ((), None)


def test_nodes_bear_their_names(seen: SeenGraph) -> None:
    found = seen.connections(3, 11, "indication")
    assert (found.head.id, found.head.name, found.tail.name) == ("DR0003", "drug 3", "disease 11")


def profile_of(path: FilePath) -> Profile:
    return Profile(run=Run(seeds=[45]), graph=Graph(source=str(path)))


def test_graph_and_split_of_a_run_are_repeated_and_checked(tmp_path: FilePath, graph: KnowledgeGraph) -> None:
    profile = profile_of(write_kg_csv(graph, tmp_path / "kg.csv"))
    opened = open_seen_graph(profile, 45, "", None)
    again = open_seen_graph(profile, 45, opened.graph.fingerprint, opened.split.fingerprint)
    assert again.connections(1, 2, "indication") == opened.connections(1, 2, "indication")
    with pytest.raises(UserError, match="not the run's own"):
        open_seen_graph(profile, 45, "0" * 64, None)
    with pytest.raises(UserError, match="the split comes out differently"):
        open_seen_graph(profile, 45, opened.graph.fingerprint, "0" * 64)


def test_graph_that_has_gone_is_told(tmp_path: FilePath) -> None:
    with pytest.raises(UserError):
        open_seen_graph(profile_of(tmp_path / "kg.csv"), 45, "", None)


def test_edge_types_without_edges_in_a_part_do_no_harm() -> None:
    graph = small_graph()
    edges = {**graph.edges, EdgeType("drug", "drug_drug", "drug"): (np.array([0]), np.array([1]))}
    more = KnowledgeGraph(nodes=graph.nodes, edges=edges)
    split = split_graph(more, TARGETS, Profile().split, 45)
    assert SeenGraph(more, split, Pooling()).connections(0, 1, "indication").head.row == 0
