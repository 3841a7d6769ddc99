"""The generator: PrimeKG's shape at any size, the same every time, and readable as a kg.csv."""

from __future__ import annotations

import numpy as np
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats.primekg_shape import NODE_TYPES, RELATIONS
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.sources.synthetic.generate import DENSEST, generate, primekg_size

SCALE = 0.1


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return generate(primekg_size(SCALE))


def test_the_shape_adds_up_to_primekg() -> None:
    assert sum(kind.size for kind in NODE_TYPES.values()) == 129_375
    assert 2 * sum(relation.size for relation in RELATIONS.values()) == 8_100_498
    assert (len(NODE_TYPES), len(RELATIONS)) == (10, 30)


def test_scale_one_asks_for_exactly_primekgs_counts() -> None:
    size = primekg_size(1.0)
    assert size.nodes == {name: kind.size for name, kind in NODE_TYPES.items()}
    assert size.edges == {name: relation.size for name, relation in RELATIONS.items()}


def test_counts_are_as_asked_for_except_where_a_relation_would_be_too_dense(graph: KnowledgeGraph) -> None:
    size = primekg_size(SCALE)
    assert {name: graph.count(name) for name in graph.nodes} == size.nodes
    for edge_type, (heads, _) in graph.edges.items():
        asked = size.edges[edge_type.relation]
        drugs = graph.count("drug")
        if edge_type.relation == "drug_drug":
            asked = min(asked, int(DENSEST * drugs * (drugs - 1) / 2))
        assert len(heads) == pytest.approx(asked, rel=0.01), edge_type.relation


def test_no_edge_stands_twice_and_none_is_a_loop(graph: KnowledgeGraph) -> None:
    for (head, relation, tail), (heads, tails) in graph.edges.items():
        if head == tail:
            assert (heads < tails).all(), relation
        keys = heads * graph.count(tail) + tails
        assert (np.diff(keys) > 0).all(), relation
        assert heads.min() >= 0
        assert heads.max() < graph.count(head)
        assert tails.max() < graph.count(tail)


def test_every_node_has_an_edge(graph: KnowledgeGraph) -> None:
    for name in graph.nodes:
        ends = [heads for e, (heads, _) in graph.edges.items() if e.head == name]
        ends += [tails for e, (_, tails) in graph.edges.items() if e.tail == name]
        assert len(np.unique(np.concatenate(ends))) == graph.count(name), name


@pytest.mark.parametrize("relation", ["protein_protein", "disease_protein", "indication", "contraindication"])
def test_degrees_are_heavy_tailed(graph: KnowledgeGraph, relation: str) -> None:
    kind = RELATIONS[relation]
    heads, tails = next(pairs for e, pairs in graph.edges.items() if e.relation == relation)
    ends = np.concatenate([heads, tails]) if kind.head == kind.tail else heads
    degree = np.sort(np.bincount(ends)[np.unique(ends)])
    top = degree[-len(degree) // 10 :].sum() / degree.sum()
    assert top > 0.2, "the top tenth should have far more than a tenth of the edges"
    assert degree[-1] > 5 * np.median(degree)


def test_ids_and_names_are_unique_text_in_ascending_order(graph: KnowledgeGraph) -> None:
    for name, nodes in graph.nodes.items():
        assert nodes["id"].is_sorted(), name
        assert nodes["id"].n_unique() == nodes["name"].n_unique() == nodes.height, name
        assert (nodes["name"].str.len_chars() > 3).all(), name


def test_ids_lie_outside_the_real_vocabularies(graph: KnowledgeGraph) -> None:
    assert graph.nodes["drug"]["id"].str.contains(r"^DB9\d{5}$").all(), "DrugBank's are DB and five digits"
    assert graph.nodes["disease"]["id"].str.contains(r"^9\d{6}$").all()


def test_equal_seeds_give_equal_graphs_and_others_do_not(graph: KnowledgeGraph) -> None:
    small = primekg_size(0.02)
    assert generate(small, seed=3).fingerprint == generate(small, seed=3).fingerprint
    assert generate(small, seed=3).fingerprint != generate(small, seed=4).fingerprint


def test_numpys_global_generator_is_neither_used_nor_touched() -> None:
    state = str(np.random.get_state())  # noqa: NPY002
    first = generate(primekg_size(0.02)).fingerprint
    assert str(np.random.get_state()) == state  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert generate(primekg_size(0.02)).fingerprint == first


def test_progress_names_every_relation_in_turn() -> None:
    said: list[str] = []
    generate(primekg_size(0.01), progress=said.append)
    assert said == list(RELATIONS)


@pytest.mark.parametrize("scale", [0.01, 0.013, 0.05])
def test_small_scales_keep_every_type_and_relation(scale: float) -> None:
    graph = generate(primekg_size(scale))
    assert {e.relation for e in graph.edges} == set(RELATIONS)
    assert all(len(heads) > 0 for heads, _ in graph.edges.values())


@pytest.mark.parametrize("scale", [0.0, 0.001, 9.0, -1.0, float("nan"), float("inf")])
def test_a_scale_out_of_range(scale: float) -> None:
    with pytest.raises(UserError, match="cannot be made"):
        primekg_size(scale)
