"""Scorers without training: what they say of a pair, however it is asked for, and the formula of the neighbours."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.heuristics.base import Heuristic, TrainingEdges
from flykd_console.heuristics.find import heuristic
from flykd_console.heuristics.neighbours import NEIGHBOURS, Neighbours
from flykd_console.profile import sections
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
COUNTS = {"drug": 40, "disease": 60, "gene/protein": 50}


@cache
def training() -> TrainingEdges:
    split = split_graph(small_graph(), TARGETS, sections.Split(kind="complex_disease"), 45)
    return TrainingEdges(split.train, TARGETS, COUNTS, 45)


@pytest.fixture(params=sections.HEURISTICS)
def found(request: pytest.FixtureRequest) -> Heuristic:
    return heuristic(request.param, training())


def test_some_heads_have_the_scores_that_they_have_among_all(found: Heuristic) -> None:
    tails, heads = np.array([7, 3, 59]), np.array([8, 39, 8, 0])
    whole = found.block(INDICATION, np.arange(60))
    assert whole.shape == (60, 40)
    assert np.array_equal(found.block(INDICATION, tails, heads), whole[np.ix_(tails, heads)])
    assert found.block(INDICATION, tails, np.empty(0, np.int64)).shape == (3, 0)
    assert found.block(INDICATION, np.empty(0, np.int64)).shape == (0, 40)


def test_a_pair_has_its_score_of_the_block_and_is_scored_in_the_order_that_it_is_asked_for(found: Heuristic) -> None:
    rng = np.random.default_rng(0)
    heads, tails = rng.integers(40, size=300), rng.integers(60, size=300)
    whole = found.block(CONTRAINDICATION, np.arange(60))
    assert np.array_equal(found.pairs(CONTRAINDICATION, heads, tails), whole[tails, heads])
    assert len(found.pairs(CONTRAINDICATION, heads[:0], tails[:0])) == 0


def test_pairs_of_many_tails_are_scored_in_parts(found: Heuristic, monkeypatch: pytest.MonkeyPatch) -> None:
    heads, tails = np.arange(120) % 40, np.arange(120) % 60
    at_once = found.pairs(INDICATION, heads, tails)
    monkeypatch.setattr("flykd_console.heuristics.base._TAILS", 7)
    monkeypatch.setattr("flykd_console.heuristics.neighbours._ROWS", 5)
    again = heuristic(type(found).__module__.rpartition(".")[2], training())
    assert np.array_equal(again.pairs(INDICATION, heads, tails), at_once)


def test_what_one_caller_does_with_a_block_is_nothing_to_the_next(found: Heuristic) -> None:
    first = found.block(INDICATION, np.arange(60))
    kept = first.copy()
    first[:] = -1.0
    assert np.array_equal(found.block(INDICATION, np.arange(60)), kept)


def test_two_relations_do_not_mix() -> None:
    both = Neighbours(training())
    for target in TARGETS:
        mixed = both.block(target, np.arange(60))
        assert np.array_equal(mixed, Neighbours(training()).block(target, np.arange(60)))


def plain_neighbours(edges: dict[EdgeType, Pairs], target: EdgeType, k: int, power: float) -> NDArray[np.float64]:
    """The formula of `heuristics/neighbours.py`, dense and tail by tail; float64 [60, 40]."""
    blocks = []
    for edge_type, (heads, tails) in sorted(edges.items()):
        if edge_type in TARGETS or "disease" not in (edge_type.head, edge_type.tail):
            continue
        matrix = np.zeros((60, COUNTS[edge_type.head if edge_type.tail == "disease" else edge_type.tail]))
        if edge_type.head == edge_type.tail:
            matrix[heads, tails] = matrix[tails, heads] = 1.0
            np.fill_diagonal(matrix, 1.0)
        elif edge_type.tail == "disease":
            matrix[tails, heads] = 1.0
        else:
            matrix[heads, tails] = 1.0
        matrix *= np.log(1.0 + 60 / np.maximum(matrix.sum(axis=0), 1.0))
        length = np.linalg.norm(matrix, axis=1, keepdims=True)
        blocks.append(matrix / np.where(length > 0, length, 1.0))
    features = np.hstack(blocks)
    labels = np.zeros((60, 40))
    labels[edges[target][1], edges[target][0]] = 1.0
    scores = np.zeros((60, 40))
    for tail in range(60):
        others = [j for j in np.flatnonzero(labels.sum(axis=1)) if j != tail]
        nearest = sorted(others, key=lambda j: -float(features[tail] @ features[j]))[:k]
        for j in nearest:
            scores[tail] += float(features[tail] @ features[j]) ** power * labels[j]
    return scores


@pytest.mark.parametrize(("k", "power"), [(NEIGHBOURS, 1.0), (3, 2.0)])
def test_the_neighbours_are_their_formula(k: int, power: float) -> None:
    edges = dict(training().edges)
    for target in TARGETS:
        found = Neighbours(training(), k, power).block(target, np.arange(60))
        assert found == pytest.approx(plain_neighbours(edges, target, k, power), abs=1e-12)


def test_without_labels_of_a_relation_its_neighbours_score_nothing() -> None:
    edges = {**training().edges, INDICATION: (np.empty(0, np.int64), np.empty(0, np.int64))}
    found = Neighbours(TrainingEdges(edges, TARGETS, COUNTS, 45))
    assert not found.block(INDICATION, np.arange(60), np.arange(4)).any()
