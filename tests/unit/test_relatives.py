"""Labels of the test's relatives: what leaves the split, what is said of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import evaluation_pairs
from flykd_console.profile import sections
from flykd_console.profile.load import load_profile
from flykd_console.tasks.link_prediction.ranking import rank_tails
from flykd_console.tasks.link_prediction.scorers import Scorer
from tests.support.small_graph import CONTRAINDICATION, INDICATION, kin_graph, small_graph
from tests.unit.test_split_kinds import area_file

TARGETS = Targets([CONTRAINDICATION, INDICATION])
Nodes = NDArray[np.int64]
KIN = EdgeType("disease", "disease_disease", "disease")


def with_kin(heads: list[int], tails: list[int], name: str = "disease_disease") -> KnowledgeGraph:
    """The small graph with these edges alone between diseases."""
    graph = small_graph()
    edges = {e: pairs for e, pairs in graph.edges.items() if e != KIN}
    edges[EdgeType("disease", name, "disease")] = np.array(heads), np.array(tails)
    return KnowledgeGraph(graph.nodes, edges, "small")


def test_without_hops_the_split_is_the_one_that_it_was() -> None:
    graph = small_graph()
    plain = split_graph(graph, TARGETS, sections.Split(), 45)
    assert plain.left_out is None
    assert plain.fingerprint == split_graph(graph, TARGETS, sections.Split(hops=0), 45).fingerprint
    assert plain.fingerprint == "d52ade6a472ba48b0fb69ae924a9cf79572dd6c06afed0f74ccd7047b7cacacf"


def test_each_step_goes_on_from_the_one_before_in_either_direction_and_over_any_relation() -> None:
    # 3 - 10 - 20 - 30, written in both directions; 40 is on its own.
    graph = with_kin([3, 20, 30], [10, 10, 20], "resembles")
    for hops, near in ((1, {10}), (2, {10, 20}), (3, {10, 20, 30}), (9, {10, 20, 30})):
        settings = sections.Split(kind="disease", diseases=["disease 3"], hops=hops)
        split = split_graph(graph, TARGETS, settings, 45)
        left = split.left_out
        assert left is not None
        assert left.relations == ("resembles",)
        wanted = sum(int(np.isin(graph.edges[target][1], list(near)).sum()) for target in TARGETS)
        assert left.count == wanted > 0
        for target in TARGETS:
            trained = {int(tail) for name in ("train", "validation") for tail in split.part(name)[target][1]}
            labelled = set(graph.edges[target][1].tolist())
            assert trained == labelled - near - {3}
        assert split.notes[-1].startswith(f"split.hops = {hops} over resembles: {left.count} labels of ")
        assert "of type 'disease' left training and validation" in split.notes[-1]


def test_an_areas_relatives_leave_too_and_the_test_pairs_stay_what_they_are(tmp_path: Path) -> None:
    graph = kin_graph()
    path, area = area_file(tmp_path, count=10)
    plain = split_graph(graph, TARGETS, sections.Split(kind="disease_area", area=str(path)), 45)
    split = split_graph(graph, TARGETS, sections.Split(kind="disease_area", area=str(path), hops=1), 45)
    ends = set(zip(*graph.edges[KIN], strict=True))
    near = {b for a, b in ends if a in area} | {a for a, b in ends if b in area}
    for target in TARGETS:
        assert not set(split.train[target][1].tolist()) & (near | area)
        assert np.array_equal(split.test[target], plain.test[target])
    assert split.left_out is not None
    assert split.left_out.count > 0
    assert split.fingerprint != plain.fingerprint
    for ours, theirs in zip(
        evaluation_pairs(graph, split, "test", 45), evaluation_pairs(graph, plain, "test", 45), strict=True
    ):
        assert np.array_equal(ours.tails, theirs.tails)


def test_labels_that_left_are_no_wrong_answers_of_a_ranking() -> None:
    graph = with_kin([3, 3], [10, 20])
    split = split_graph(graph, TARGETS, sections.Split(kind="disease", diseases=["disease 3"], hops=1), 45)

    class Told(Scorer):
        """Scores the test disease's relatives first: where their labels count as wrong they stand before the truth."""

        def block(self, target: EdgeType, tails: Nodes, heads: Nodes) -> NDArray[np.float64]:
            found = np.where(np.isin(tails, [10, 20]), 2.0, np.where(tails == 3, 1.0, 0.0))
            return np.repeat(found[:, None], len(heads), axis=1)

        def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> NDArray[np.float32]:
            raise NotImplementedError

    assert split.left_out is not None
    for target in TARGETS:
        assert {10, 20} <= set(split.linked("disease").tolist())
        left = set(zip(*(end.tolist() for end in split.left_out.labels[target]), strict=True))
        known = set(zip(*(end.tolist() for end in split.known_before("test", target)), strict=True))
        assert left <= known
        found = rank_tails(split, "test", Told(), 45)[target.relation]
        for drug, mrr in zip(found.nodes.tolist(), found.metrics.found["mrr"], strict=True):
            wrong = sum((drug, relative) not in left for relative in (10, 20))
            assert mrr == pytest.approx(1.0 / (1 + wrong)), drug


def test_a_graph_without_edges_between_diseases_is_refused() -> None:
    graph = small_graph()
    edges = {e: pairs for e, pairs in graph.edges.items() if e != KIN}
    for kin in ({}, {KIN: (np.zeros(0, np.int64), np.zeros(0, np.int64))}):
        with pytest.raises(UserError, match=r"split.hops = 2: the graph has no edges between nodes of type 'disease'"):
            split_graph(KnowledgeGraph(graph.nodes, edges | kin, "g"), TARGETS, sections.Split(hops=2), 45)


def test_hops_that_leave_nothing_to_train_on_are_refused_with_their_number() -> None:
    everyone = list(range(59))
    graph = with_kin(everyone, [node + 1 for node in everyone])
    with pytest.raises(UserError, match=r"with seed 45 and hops = 60 leaves .* without train edges.*fewer split\.hops"):
        split_graph(graph, TARGETS, sections.Split(hops=60), 45)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["split.hops=-1"], "split.hops"),
        (["split.hops=1.5"], "split.hops"),
        (["split.kind=random", "split.hops=1"], "not for 'random'"),
        (["split.kind=full_graph", "split.hops=2"], "not for 'full_graph'"),
    ],
)
def test_hops_that_mean_nothing_are_refused_with_the_profile(settings: list[str], told: str) -> None:
    with pytest.raises(UserError) as raised:
        load_profile("flykd", settings)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value).strip()
