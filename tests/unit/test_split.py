"""Splits and evaluation negatives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets, with_reverses
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.split.edge_split import PARTS
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import evaluation_pairs
from flykd_console.profile import sections
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])


@pytest.mark.parametrize("kind", ["complex_disease", "random"])
def test_every_edge_is_in_exactly_one_part(kind: str) -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split(kind=kind), 45)
    for edge_type, (heads, tails) in graph.edges.items():
        parts = [np.stack(split.part(name)[edge_type], axis=1) for name in PARTS]
        together = np.concatenate(parts)
        assert len(together) == len(heads)
        assert sorted(map(tuple, together)) == sorted(zip(heads, tails, strict=True))


def test_complex_disease_leaves_test_diseases_without_any_drug_edge_in_training() -> None:
    graph = small_graph()
    off_label = EdgeType("disease", "off-label use", "drug")
    edges = dict(graph.edges) | {off_label: graph.edges[INDICATION][::-1]}
    split = split_graph(KnowledgeGraph(graph.nodes, edges, "g"), TARGETS, sections.Split(), 45)
    train = {int(t) for target in TARGETS for t in split.train[target][1]} | set(split.train[off_label][0].tolist())
    for name in ("validation", "test"):
        held_out = {int(t) for target in TARGETS for t in split.part(name)[target][1]}
        assert held_out
        assert not held_out & train
        assert not set(split.part(name)[off_label][0].tolist()) & train


def test_random_split_sizes_follow_the_fractions() -> None:
    split = split_graph(small_graph(), TARGETS, sections.Split(kind="random"), 1)
    sizes = [len(split.part(name)[CONTRAINDICATION][0]) for name in PARTS]
    assert sizes == [216, 31, 13]


def test_a_split_follows_from_its_seed_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    first = split_graph(small_graph(), TARGETS, sections.Split(), 45).fingerprint
    np.random.seed(1)  # noqa: NPY002
    assert split_graph(small_graph(), TARGETS, sections.Split(), 45).fingerprint == first
    assert split_graph(small_graph(), TARGETS, sections.Split(), 46).fingerprint != first


def test_a_relation_left_without_test_edges_is_refused() -> None:
    graph = small_graph()
    edges = dict(graph.edges) | {INDICATION: (np.array([0, 1]), np.array([0, 1]))}
    with pytest.raises(UserError, match=r"leaves the relation 'indication' without \w+ edges"):
        split_graph(KnowledgeGraph(graph.nodes, edges, "g"), TARGETS, sections.Split(), 45)


def test_targets_that_are_not_there_name_what_is() -> None:
    with pytest.raises(UserError, match=r"'indications' is not in the graph.*indication"):
        small_graph().targets(["indications"])
    with pytest.raises(UserError, match="join different node types"):
        small_graph().targets(["indication", "drug_protein"])
    with pytest.raises(UserError, match="with itself"):
        small_graph().targets(["protein_protein"])


def test_a_target_pair_that_stands_twice_is_kept_once() -> None:
    graph = small_graph()
    heads, tails = graph.edges[INDICATION]
    twice = dict(graph.edges) | {INDICATION: (np.tile(heads, 2), np.tile(tails, 2))}
    split = split_graph(KnowledgeGraph(graph.nodes, twice, "g"), TARGETS, sections.Split(kind="random"), 45)
    pairs = [pair for name in PARTS for pair in zip(*split.part(name)[INDICATION], strict=True)]
    assert len(pairs) == len(set(pairs)) == len(heads)


def test_a_relation_named_like_another_ones_reverse_is_refused() -> None:
    graph = small_graph()
    edges = dict(graph.edges) | {EdgeType("disease", "rev_indication", "drug"): graph.edges[INDICATION][::-1]}
    with pytest.raises(UserError, match="'rev_indication' bears the name of the reverse of 'indication'"):
        with_reverses(edges)


@pytest.mark.parametrize("both", [False, True])
def test_targets_are_turned_so_that_the_tail_is_what_pooling_touches(both: bool) -> None:
    graph = small_graph()
    turned = {EdgeType("disease", "indication", "drug"): graph.edges[INDICATION][::-1]}
    if both:
        turned[EdgeType("disease", "contraindication", "drug")] = graph.edges[CONTRAINDICATION][::-1]
    kept = {e: p for e, p in graph.edges.items() if e.relation not in {t.relation for t in turned}}
    said: list[str] = []
    found = orient_targets(
        KnowledgeGraph(graph.nodes, kept | turned, "g"),
        ["contraindication", "indication"],
        ["disease_disease"],
        said.append,
    )
    assert found.targets(["contraindication", "indication"]) == TARGETS
    assert np.array_equal(found.edges[INDICATION][0], graph.edges[INDICATION][0])
    assert len(said) == 1
    assert orient_targets(graph, ["contraindication", "indication"], ["disease_disease"]) is graph


def test_evaluation_negatives_keep_the_head_and_draw_from_the_parts_own_tails() -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split(), 45)
    for pairs in evaluation_pairs(graph, split, "validation", 45):
        half = len(pairs.heads) // 2
        assert np.array_equal(pairs.heads[:half], pairs.heads[half:])
        assert set(pairs.tails[half:]) <= set(pairs.tails[:half])
        assert pairs.labels.tolist() == [1.0] * half + [0.0] * half
    again = evaluation_pairs(graph, split, "validation", 45)
    assert np.array_equal(again[1].tails, evaluation_pairs(graph, split, "validation", 45)[1].tails)


def test_filtered_negatives_are_never_true_pairs() -> None:
    graph = small_graph(drugs=6, diseases=70)
    split = split_graph(graph, TARGETS, sections.Split(), 45)
    true = set(zip(*graph.edges[CONTRAINDICATION], strict=True))

    def false_negatives(filter_true: bool) -> int:
        pairs = evaluation_pairs(graph, split, "validation", 45, filter_true)[0]
        return sum((h, t) in true for h, t, y in zip(pairs.heads, pairs.tails, pairs.labels, strict=True) if y == 0)

    assert false_negatives(False) > 0
    assert false_negatives(True) == 0


def test_reverses_carry_every_edge_both_ways() -> None:
    graph = small_graph()
    both = with_reverses(graph.edges)
    assert len(both) == 2 * 4 + 2
    heads, tails = both[EdgeType("disease", "rev_indication", "drug")]
    assert np.array_equal(heads, graph.edges[INDICATION][1])
    assert np.array_equal(tails, graph.edges[INDICATION][0])
    same = EdgeType("gene/protein", "protein_protein", "gene/protein")
    assert len(both[same][0]) == 2 * len(graph.edges[same][0])


@pytest.mark.parametrize("kind", ["random", "complex_disease"])
def test_filtered_negatives_of_validation_tell_nothing_of_the_test(kind: str) -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split(kind=kind), 45)
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    untold: dict[EdgeType, Pairs] = {}
    for target in TARGETS:
        (heads, tails), (more_heads, more_tails) = split.train[target], split.validation[target]
        untold[target] = np.concatenate([heads, more_heads]), np.concatenate([tails, more_tails])
    blind = KnowledgeGraph(graph.nodes, {**graph.edges, **untold}, "blind")
    without = replace(split, test={**split.test, **dict.fromkeys(TARGETS, nothing)})
    for ours, theirs in zip(
        evaluation_pairs(graph, split, "validation", 45, filter_true=True),
        evaluation_pairs(blind, without, "validation", 45, filter_true=True),
        strict=True,
    ):
        assert np.array_equal(ours.tails, theirs.tails)
    for target, pairs in zip(TARGETS, evaluation_pairs(graph, split, "test", 45, filter_true=True), strict=True):
        false = zip(pairs.heads[pairs.positives :], pairs.tails[pairs.positives :], strict=True)
        assert not set(false) & set(zip(*graph.edges[target], strict=True))
