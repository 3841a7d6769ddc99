"""Ranking metrics per tail, against a plain loop and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.profile import sections
from flykd_console.runs.results import RANKING_METRICS, RankingScores
from flykd_console.tasks.link_prediction.ranking import candidate_heads, rank_part, rank_relation
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])


def plain(
    heads: NDArray[np.float32], tails: NDArray[np.float32], candidates: NDArray[np.int64], test: Pairs, known: Pairs
) -> dict[str, float]:
    """The definition, one tail and one candidate at a time."""
    true, hidden = set(zip(*test, strict=True)), set(zip(*known, strict=True))
    found: dict[str, list[float]] = {name: [] for name in RANKING_METRICS}
    for tail in sorted(set(test[1].tolist())):
        ranked = [h for h in candidates.tolist() if (h, tail) in true or (h, tail) not in hidden]
        score = {h: float(heads[h] @ tails[tail]) for h in ranked}
        wanted = [h for h, t in true if t == tail]
        ranks = {h: sum(score[other] >= score[h] for other in ranked) for h in wanted if h in score}
        for k in (10, 50, 100):
            found[f"recall_at_{k}"].append(sum(rank <= k for rank in ranks.values()) / len(wanted))
        hits = [sum(other <= rank for other in ranks.values()) / rank for rank in ranks.values()]
        found["ap"].append(sum(hits) / len(wanted))
        found["mrr"].append(max((1 / rank for rank in ranks.values()), default=0.0))
    return {name: float(np.mean(values)) for name, values in found.items()}


def drawn(seed: int, *, integers: bool) -> tuple[NDArray[np.float32], NDArray[np.float32], Pairs, Pairs]:
    """Embeddings (small integers make ties), test pairs and known pairs that do not overlap."""
    rng = np.random.default_rng(seed)
    shape = ((150, 3), (30, 3))
    heads, tails = (rng.integers(-2, 3, s) if integers else rng.normal(size=s) for s in shape)
    flat = rng.choice(150 * 30, size=400, replace=False)
    test, known = flat[:120], flat[120:]
    return heads.astype(np.float32), tails.astype(np.float32), (test // 30, test % 30), (known // 30, known % 30)


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_ranking_agrees_with_a_plain_loop_over_tails_and_candidates(seed: int, integers: bool) -> None:
    heads, tails, test, known = drawn(seed, integers=integers)
    candidates = np.flatnonzero(np.arange(150) % 7 != 0)  # some test heads among them cannot be ranked
    found = rank_relation(heads, tails, candidates, test, known)
    for name, value in plain(heads, tails, candidates, test, known).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-12), name
    assert found.tails == len(np.unique(test[1]))
    assert found.candidates == len(candidates)


@pytest.mark.parametrize("integers", [False, True])
def test_average_precision_is_scikit_learns(integers: bool) -> None:
    heads, tails, test, known = drawn(9, integers=integers)
    values = []
    for tail in np.unique(test[1]):
        labels = np.zeros(150)
        labels[test[0][test[1] == tail]] = 1
        kept = np.setdiff1d(np.arange(150), known[0][known[1] == tail])
        values.append(average_precision_score(labels[kept], (heads @ tails[tail])[kept]))
    assert rank_relation(heads, tails, np.arange(150), test, known).ap == pytest.approx(np.mean(values))


def test_a_perfect_model_finds_everything_first_and_a_constant_one_nothing() -> None:
    heads = np.zeros((200, 1), np.float32)
    heads[[3, 5]] = 1.0
    tails, nothing = np.ones((2, 1), np.float32), np.zeros(0, np.int64)
    test = np.array([3, 5]), np.array([1, 1])
    best = rank_relation(heads, tails, np.arange(200), test, (nothing, nothing))
    assert best == RankingScores(
        recall_at_10=1.0, recall_at_50=1.0, recall_at_100=1.0, ap=1.0, mrr=0.5, tails=1, candidates=200
    )  # the two share the second rank
    flat = rank_relation(np.zeros_like(heads), tails, np.arange(200), test, (nothing, nothing))
    assert flat.recall_at_100 == 0.0
    assert flat.ap == pytest.approx(2 / 200)


def test_scores_that_are_no_numbers_come_last() -> None:
    heads = np.array([[1.0], [np.nan], [2.0]], np.float32)
    nothing = np.zeros(0, np.int64)
    found = rank_relation(
        heads, np.ones((1, 1), np.float32), np.arange(3), (np.array([1]), np.array([0])), (nothing, nothing)
    )
    assert found.mrr == pytest.approx(1 / 3)


def test_candidates_are_the_heads_with_a_training_edge_of_any_relation() -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split(), 45)
    touched = {int(h) for e, (heads, _) in split.train.items() if e.head == "drug" for h in heads}
    assert candidate_heads(split).tolist() == sorted(touched)
    protein = EdgeType("drug", "drug_protein", "gene/protein")
    assert set(split.train[protein][0].tolist()) <= touched


def test_a_relation_without_test_pairs_has_no_ranking() -> None:
    graph = small_graph()
    full = split_graph(graph, TARGETS, sections.Split(kind="full_graph"), 45)
    rng = np.random.default_rng(0)
    head, tail = rng.normal(size=(40, 4)).astype(np.float32), rng.normal(size=(60, 4)).astype(np.float32)
    names = [target.relation for target in TARGETS]
    vectors = {name: np.ones(4, np.float32) for name in names}
    assert rank_part(full, "test", head, dict.fromkeys(names, tail), vectors) == {}
    split = split_graph(graph, TARGETS, sections.Split(), 45)
    found = rank_part(split, "test", head, dict.fromkeys(names, tail), vectors)
    known = tuple(np.concatenate([split.train[INDICATION][i], split.validation[INDICATION][i]]) for i in (0, 1))
    expected = plain(head, tail, candidate_heads(split), split.test[INDICATION], (known[0], known[1]))
    assert found["indication"].ap == pytest.approx(expected["ap"])


@pytest.mark.parametrize("kind", ["random", "complex_disease", "full_graph"])
def test_validation_is_ranked_without_a_look_at_the_test(kind: str) -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split.model_validate({"kind": kind}), 45)
    rng = np.random.default_rng(0)
    head, tail = rng.normal(size=(40, 4)).astype(np.float32), rng.normal(size=(60, 4)).astype(np.float32)
    names = [target.relation for target in TARGETS]
    vectors = {name: np.ones(4, np.float32) for name in names}
    found = rank_part(split, "validation", head, dict.fromkeys(names, tail), vectors)
    expected = plain(head, tail, candidate_heads(split), split.validation[INDICATION], split.train[INDICATION])
    assert found["indication"].tails == len(np.unique(split.validation[INDICATION][1]))
    assert found["indication"].ap == pytest.approx(expected["ap"])
