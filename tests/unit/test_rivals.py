"""What stands beside a score agrees with the heuristics, and the frequent-flyer correction with its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.frequent_flyers import DECAY, frequent_flyer_scores
from flykd_console.explore.rivals import NearestTails, RivalRanks, gain_of_rank, neighbour_scores, popularity
from flykd_console.graph.connecting_edges import connecting_edges
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.heuristics.popularity import Popularity
from flykd_console.tasks.link_prediction.nearest import nearest_tails
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

COUNTS = (40, 60)


@pytest.fixture(scope="module")
def training() -> TrainingEdges:
    graph = small_graph()
    counts = {kind: graph.count(kind) for kind in graph.nodes}
    return TrainingEdges(graph.edges, Targets((CONTRAINDICATION, INDICATION)), counts, 45)


@pytest.mark.parametrize("target", [CONTRAINDICATION, INDICATION])
def test_scores_beside_a_model_are_those_of_the_heuristics(training: TrainingEdges, target: EdgeType) -> None:
    found = nearest_tails(training, target)
    rows = np.repeat(np.arange(60), np.diff(found.indptr))
    nearest = NearestTails.of(rows, found.indices.astype(np.int64), found.data.astype(np.float32), 60)
    train = np.unique(np.stack(training.edges[target], axis=1), axis=0)
    expected = Neighbours(training).block(target, np.arange(60))
    assert expected.any()
    of_tails = [neighbour_scores(nearest, train, "tail", tail, COUNTS) for tail in range(60)]
    np.testing.assert_allclose(of_tails, expected, rtol=1e-6)
    of_heads = [neighbour_scores(nearest, train, "head", head, COUNTS) for head in range(40)]
    np.testing.assert_allclose(np.transpose(of_heads), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        popularity(train, "head", COUNTS), Popularity(training).block(target, np.zeros(1, np.int64))[0]
    )
    assert popularity(train, "tail", COUNTS).sum() == len(train)


def test_entries_of_nearest_tails_may_come_in_any_order_of_their_rows() -> None:
    near = NearestTails.of(np.array([2, 0, 2]), np.array([5, 6, 7]), np.array([0.3, 0.2, 0.1], np.float32), 4)
    assert near.indptr.tolist() == [0, 1, 1, 3, 3]
    assert near.index.tolist() == [6, 5, 7]
    assert near.rows.tolist() == [0, 2, 2]


def test_equal_scores_share_the_first_rank_and_score_zero_has_none() -> None:
    ranks = RivalRanks.of(np.array([3.0, 0.0, 5.0, 3.0, 0.0]))
    assert ranks.rank.tolist() == [2, 0, 1, 2, 0]
    assert ranks.shared.tolist() == [2.5, 4.5, 1.0, 2.5, 4.5]
    gains = gain_of_rank(np.array([1, 2, 3, 4, 5]), ranks)
    np.testing.assert_allclose(gains, [2.5, 2.25, 1 / 3, 0.625, 0.9])


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 9))
@settings(max_examples=60)
def test_frequent_flyer_scores_are_their_definition(seed: int, ranked: int, alike: int) -> None:
    """Ranks counted one by one over the whole matrix, as the definition has it; block after block comes to the same."""
    rng = np.random.default_rng(seed)
    # Whole numbers: equal scores are frequent.
    tables = [rng.integers(-2, 3, (count, 2)).astype(np.float32) for count in (ranked, alike)]
    matrix = tables[0] @ tables[1].T
    trained = rng.random(matrix.shape) < 0.3
    asked = int(rng.integers(alike))
    found = frequent_flyer_scores(tables[0], tables[1], asked, (np.nonzero(trained)[0], np.nonzero(trained)[1]))
    pairs = max(1, int((~trained).sum()))
    for row in range(ranked):
        own = matrix[row, asked]
        more = (matrix > own) & ~trained
        quantiles = [
            (1 + more.sum()) / pairs,
            (1 + more[:, asked].sum()) / ranked,
            (1 + more[row].sum()) / alike,
        ]
        assert found[row] == pytest.approx(sum(quantile**-DECAY for quantile in quantiles))


def test_a_matrix_of_many_blocks_scores_like_one_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    ranked, alike = (rng.standard_normal((count, 4)).astype(np.float32) for count in (50, 20))
    trained = (rng.integers(0, 50, 30), rng.integers(0, 20, 30))
    whole = frequent_flyer_scores(ranked, alike, 7, trained)
    monkeypatch.setattr("exporters.frequent_flyers._CELLS", 60)
    np.testing.assert_array_equal(frequent_flyer_scores(ranked, alike, 7, trained), whole)


def test_a_flyer_in_every_list_loses_to_a_node_that_stands_out_in_this_one() -> None:
    """Node 0 scores 3 with everything; node 1 scores 2.9 with the asked one and little with the others."""
    alike = np.eye(5, dtype=np.float32)
    ranked = np.array([[3, 3, 3, 3, 3], [2.9, 0, 0, 0, 0], [1, 2, 1, 2, 1]], np.float32)
    nothing = (np.empty(0, np.int64), np.empty(0, np.int64))
    # By the model 0 is first; among the five lists of its own, each is node 0's best, and only this one node 1's.
    scores = frequent_flyer_scores(ranked, alike, 0, nothing)
    assert scores[0] > scores[1] > scores[2]
    ranked[0, 1:] = 3.1
    scores = frequent_flyer_scores(ranked, alike, 0, nothing)
    assert scores[1] > scores[0]


def graph_of(edges: dict[tuple[str, str, str], list[tuple[int, int]]]) -> KnowledgeGraph:
    import polars as pl

    kinds = {kind for head, _, tail in edges for kind in (head, tail)}
    nodes = {kind: pl.DataFrame({"id": [f"{kind}{i}" for i in range(5)], "name": ["n"] * 5}) for kind in kinds}
    pairs = {
        EdgeType(*types): (np.array([a for a, _ in listed]), np.array([b for _, b in listed]))
        for types, listed in edges.items()
    }
    return KnowledgeGraph(nodes=nodes, edges=pairs)


def test_third_nodes_reach_what_they_are_joined_to_or_else_go_by_one_between() -> None:
    graph = graph_of(
        {
            ("drug", "indication", "disease"): [(0, 0)],
            ("drug", "drug_protein", "protein"): [(1, 2), (1, 2)],
            ("protein", "disease_protein", "disease"): [(2, 3)],
            ("protein", "protein_protein", "protein"): [(0, 1)],
            ("pathway", "pathway_protein", "protein"): [(4, 2)],
            ("pathway", "pathway_pathway", "pathway"): [(4, 3)],
            ("exposure", "exposure_disease", "disease"): [(0, 1)],
            ("anatomy", "anatomy_protein_absent", "protein"): [(0, 0)],
            ("disease", "disease_phenotype_negative", "phenotype"): [(0, 0)],
        }
    )
    found = connecting_edges(graph, Targets((EdgeType("drug", "indication", "disease"),)))
    assert {types: np.stack(pairs, axis=1).tolist() for types, pairs in found.items()} == {
        ("protein", "drug"): [[2, 1]],
        ("protein", "disease"): [[2, 3]],
        ("pathway", "protein"): [[4, 2]],
        ("exposure", "disease"): [[0, 1]],
    }
