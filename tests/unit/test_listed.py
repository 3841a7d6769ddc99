"""AUROC and enrichment of listed pairs, within the list and against all other heads, with intervals over tails."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from flykd_console.compare.listed import Known, Listed, Outcome, ask, auroc_of, enrichment_of, figures


def test_weighted_auroc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, size=80).astype(float)
    positive = rng.random(80) < 0.3
    weights = rng.integers(0, 4, size=(5, 80)).astype(float)
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    assert auroc_of(scores, positive, weights) == pytest.approx(expected)


def test_enrichment_counts_the_part_of_a_weight_within_the_border() -> None:
    positive = np.array([True, False, True, False, False])
    order = np.arange(5)
    assert enrichment_of(order, positive, 0.2, np.ones((1, 5))) == pytest.approx([0.5 / 0.2])
    assert enrichment_of(order, positive, 0.5, np.ones((1, 5))) == pytest.approx([(1 + 0.5) / 2 / 0.5])
    repeated = np.array([[2.0, 1, 0, 1, 1]])
    assert enrichment_of(order, positive, 0.2, repeated) == pytest.approx([1.0 / 2 / 0.2])


def test_pairs_are_placed_among_candidates_without_training_pairs_and_other_positives() -> None:
    scores = {0: np.array([9.0, 5, 7, 1, 5, 99]), 1: np.array([0.0, 1, 2, 3, 4, 99])}
    known = Known(
        train=np.array([[0, 0]]),
        heads=np.array([True, True, True, True, True, False]),
        tails=np.array([True, True, False]),
    )
    pairs = [(1, 0), (2, 0), (4, 1), (0, 0), (5, 1), (1, 2)]
    outcomes: list[Outcome] = ["positive", "positive", "open", "positive", "negative", "negative"]
    found = ask(pairs, outcomes, ["a", "b", "c"], known, {"m": lambda tail: scores[tail]})
    assert (found.trained, found.unknown) == (1, 2)
    assert found.tails == ["a", "a", "b"]
    # Of tail a the candidates beside head 1 are 3 and 4 (0 was trained on, 2 is a positive, too): one below, one equal.
    assert found.places["m"].tolist() == [0.75, 1.0, 1.0]
    assert found.scores["m"].tolist() == [5.0, 7.0, 4.0]


def made(good: float, seed: int, tails: int = 60) -> Listed:
    rng = np.random.default_rng(seed)
    outcomes: list[Outcome] = ["positive", "negative", "negative", "open"] * tails
    truth = np.array([outcome == "positive" for outcome in outcomes])
    scores = {"good": good * truth + rng.normal(size=len(truth)), "chance": rng.normal(size=len(truth))}
    places = {name: 1 / (1 + np.exp(-values)) for name, values in scores.items()}
    names = [str(number // 4) for number in range(4 * tails)]
    return Listed(names, outcomes, scores, places, 0, 0)


def test_figures_are_means_over_seeds_with_intervals_that_hold_them() -> None:
    asked = [made(2.0, 1), made(2.0, 2)]
    good, chance = figures(asked, resamples=300)
    assert (good.model, chance.model) == ("good", "chance")
    assert good.auroc is not None
    assert chance.auroc is not None
    expected = []
    for one in asked:
        told = [outcome != "open" for outcome in one.outcomes]
        labels = [outcome == "positive" for outcome in one.outcomes]
        expected.append(roc_auc_score(np.array(labels)[told], one.scores["good"][told]))
    assert good.auroc.value == pytest.approx(np.mean(expected))
    assert good.auroc.low is not None
    assert good.auroc.high is not None
    assert good.auroc.low < good.auroc.value < good.auroc.high
    assert good.auroc.low > 0.8
    assert chance.auroc.low is not None
    assert chance.auroc.high is not None
    assert chance.auroc.low < 0.5 < chance.auroc.high
    assert good.enrichment is not None
    assert good.enrichment.value > 2
    assert set(good.against_all) == {"positive", "open", "negative"}
    assert good.against_all["positive"].value > good.against_all["negative"].value


def test_a_list_of_positives_alone_is_held_against_all_others() -> None:
    one = made(1.0, 3)
    mine = [place for place, outcome in enumerate(one.outcomes) if outcome == "positive"]
    alone = Listed(
        [one.tails[place] for place in mine], ["positive"] * len(mine),
        {name: values[mine] for name, values in one.scores.items()},
        {name: values[mine] for name, values in one.places.items()}, 0, 0,
    )  # fmt: skip
    good, _ = figures([alone], resamples=100)
    assert good.auroc is None
    assert good.enrichment is None
    assert list(good.against_all) == ["positive"]


def test_one_tail_has_no_interval() -> None:
    one = made(1.0, 3, tails=1)
    good, _ = figures([one], resamples=100)
    assert good.auroc is not None
    assert (good.auroc.low, good.auroc.high) == (None, None)


def test_the_same_seed_gives_the_same_intervals() -> None:
    assert figures([made(1.0, 1)], resamples=100) == figures([made(1.0, 1)], resamples=100)
