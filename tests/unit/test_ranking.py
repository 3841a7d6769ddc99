"""Rankings of a part in both directions: who is ranked for whom, and who is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.heuristics.popularity import Popularity
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import RANKING_METRICS, ModelResult, RankingScores, Scores, summarise
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.link_prediction.ranking import Ranked, rank_heads, rank_tails
from flykd_console.tasks.link_prediction.ranks import NOISE
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer, HeuristicScorer, Scorer
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
Way = Callable[[EdgeSplit, str, Scorer, int], dict[str, Ranked]]
KINDS = ["random", "complex_disease", "full_graph"]
SEED = 45
COUNTS = {"drug": 40, "disease": 60, "gene/protein": 50}


@cache
def split_of(kind: str) -> EdgeSplit:
    return split_graph(small_graph(), TARGETS, sections.Split.model_validate({"kind": kind}), SEED)


def embeddings(*, integers: bool = False) -> EmbeddingScorer:
    """Small integers make ties."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> torch.Tensor:
        values = rng.integers(-1, 2, shape) if integers else rng.normal(size=shape)
        return torch.from_numpy(values.astype(np.float32))

    names = [target.relation for target in TARGETS]
    tails = {name: drawn(60, 3) for name in names}
    return EmbeddingScorer(
        Encoded(head=drawn(40, 3), tails=tails, relation={n: drawn(3) for n in names}, tail=tails[names[0]])
    )


def all_scores(scorer: Scorer, target: EdgeType) -> NDArray[np.float64]:
    """Every head with every tail, float64 [heads, tails]."""
    return scorer.block(target, np.arange(60), np.arange(40)).T.astype(np.float64)


def plain(
    split: EdgeSplit, part: str, scorer: Scorer, target: EdgeType, *, tails: bool
) -> Iterator[tuple[int, int, float, float]]:
    """Node, number of true partners, AP and MRR, one node and one candidate at a time."""
    pairs = {
        name: [(h, t)[:: -1 if not tails else 1] for h, t in zip(*split.part(name)[target], strict=True)]
        for name in PARTS
    }
    node_type = target.tail if tails else target.head
    linked = sorted(
        {
            int(n)
            for e, (hs, ts) in split.train.items()
            for end, ns in ((e.head, hs), (e.tail, ts))
            if end == node_type
            for n in ns
        }
    )
    wanted = sorted({int(node) for node, _ in pairs[part]})
    table = all_scores(scorer, target)[wanted] if tails else all_scores(scorer, target).T[wanted]
    direction = "tails" if tails else "heads"
    noise = NOISE * numpy_rng(SEED, f"ties/{part}/{target.relation}/{direction}").random((len(wanted), len(linked)))
    hidden = set(pairs["train"]) | (set(pairs["validation"]) if part == "test" else set())
    for row, node in enumerate(wanted):
        true = {int(other) for one, other in pairs[part] if one == node}
        score = {c: table[row, c] + noise[row, k] for k, c in enumerate(linked) if c in true or (node, c) not in hidden}
        order = sorted(score, key=lambda c: -score[c])
        places = [place for place, c in enumerate(order, start=1) if c in true]
        ap = sum(n / place for n, place in enumerate(places, start=1)) / len(true)
        yield node, len(true), ap, 1 / places[0] if places else 0.0


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_those_of_a_plain_loop(kind: str, part: str, integers: bool) -> None:
    split, scorer = split_of(kind), embeddings(integers=integers)
    for tails, found in ((False, rank_heads(split, part, scorer, SEED)), (True, rank_tails(split, part, scorer, SEED))):
        assert set(found) == {target.relation for target in TARGETS if len(split.part(part)[target][0])}
        for target in TARGETS:
            if target.relation in found:
                nodes, true, ap, mrr = zip(*plain(split, part, scorer, target, tails=tails), strict=True)
                ranked = found[target.relation]
                assert ranked.nodes.tolist() == list(nodes)
                assert ranked.true.tolist() == list(true)
                assert ranked.metrics.found["ap"] == pytest.approx(ap, abs=1e-6)
                assert ranked.metrics.found["mrr"] == pytest.approx(mrr, abs=1e-6)
                assert ranked.scores.mrr == pytest.approx(np.mean(mrr), abs=1e-6)
                assert ranked.scores.tails == len(nodes)


def test_candidates_are_the_nodes_with_a_training_edge_of_any_relation() -> None:
    split = split_of("complex_disease")
    for node_type, found in (("drug", rank_heads), ("disease", rank_tails)):
        touched = {
            int(node)
            for edge_type, ends in split.train.items()
            for end, nodes in zip((edge_type.head, edge_type.tail), ends, strict=True)
            if end == node_type
            for node in nodes
        }
        assert split.linked(node_type).tolist() == sorted(touched)
        assert found(split, "test", embeddings(), SEED)["indication"].candidates == len(touched)
    assert split.linked("anatomy").tolist() == []


def test_a_pair_that_stands_twice_counts_once() -> None:
    split = split_of("random")
    doubled = {target: (np.tile(h, 2), np.tile(t, 2)) for target, (h, t) in split.test.items()}
    for way in (rank_heads, rank_tails):
        once, twice = (way(one, "test", embeddings(), SEED) for one in (split, replace(split, test=doubled)))
        assert {r: ranked.scores for r, ranked in once.items()} == {r: ranked.scores for r, ranked in twice.items()}


def test_what_cannot_be_ranked_lowers_the_ideal() -> None:
    split = split_of("random")
    heads, tails = split.test[INDICATION]
    gone = int(heads[0])
    kept = {
        e: (hs[hs != gone], ts[hs != gone]) if e.head == "drug" else (hs, ts) for e, (hs, ts) in split.train.items()
    }
    found = rank_heads(replace(split, train=kept), "test", embeddings(), SEED)["indication"]
    whole = rank_heads(split, "test", embeddings(), SEED)["indication"]
    asked = found.nodes.tolist().index(int(tails[0]))
    alone = found.true[asked]
    assert found.candidates == whole.candidates - 1
    assert found.metrics.ideal["ap"][asked] == pytest.approx(1 - 1 / alone)
    assert found.scores.ideal["ap"] < 1.0 == whole.scores.ideal["ap"]
    assert set(whole.scores.ideal) == set(RANKING_METRICS)


class Constant(Scorer):
    """The same score for every pair."""

    def __init__(self, value: float) -> None:
        self._value = value

    def block(self, target: EdgeType, tails: NDArray[np.int64], heads: NDArray[np.int64]) -> NDArray[np.floating]:
        return np.full((len(tails), len(heads)), self._value)

    def pairs(self, target: EdgeType, heads: NDArray[np.int64], tails: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.full(len(heads), self._value, dtype=np.float32)


@pytest.mark.parametrize("way", [rank_heads, rank_tails])
def test_ties_are_broken_alike_for_every_model_of_a_seed(way: Way) -> None:
    split = split_of("random")
    first, second = (way(split, "test", Constant(value), SEED)["indication"] for value in (0.0, 3.0))
    other = way(split, "test", Constant(0.0), SEED + 1)["indication"]
    assert np.array_equal(first.metrics.found["ap"], second.metrics.found["ap"])
    assert not np.array_equal(first.metrics.found["ap"], other.metrics.found["ap"])


def test_what_has_no_embeddings_is_ranked_by_the_same_code() -> None:
    split = split_of("random")
    training = TrainingEdges(split.train, TARGETS, COUNTS, SEED)
    for heuristic in (Popularity(training), Neighbours(training)):
        scorer = HeuristicScorer(heuristic)
        block = heuristic.block(INDICATION, np.arange(60))
        assert np.array_equal(all_scores(scorer, INDICATION), block.T)
        heads, tails = np.array([3, 3, 8]), np.array([1, 59, 1])
        assert scorer.pairs(INDICATION, heads, tails) == pytest.approx(block[tails, heads])
        for tails_ranked, way in ((False, rank_heads), (True, rank_tails)):
            found = way(split, "test", scorer, SEED)["indication"]
            _, _, ap, _ = zip(*plain(split, "test", scorer, INDICATION, tails=tails_ranked), strict=True)
            assert found.metrics.found["ap"] == pytest.approx(ap, abs=1e-12)


def test_a_ranking_of_an_older_file_lacks_what_was_not_measured_then() -> None:
    old = b'{"recall_at_10":0.1,"recall_at_50":0.2,"recall_at_100":0.3,"ap":0.1,"mrr":0.2,"tails":5,"candidates":9}'
    ranking = msgspec.json.decode(old, type=RankingScores)
    assert (ranking.hits_at_10, ranking.recall_at_20, ranking.auroc, ranking.ideal) == (None, None, None, {})
    one = ModelResult(dim=8, parameters=1, epochs=1, seconds=1.0, test=Scores(ranking={"indication": ranking}))
    entry = ModelEntry(name="student", role=Role.STUDENT, label="flykd", dim=8)
    summary = summarise({"45": {"student": one}}, [entry])["student"].ranking["indication"]
    assert set(summary) == {"recall_at_10", "recall_at_50", "recall_at_100", "ap", "mrr"}
