"""From scores to ranking metrics, against plain loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, roc_auc_score

from flykd_console.runs.results import RANKING_METRICS
from flykd_console.tasks.link_prediction import ranks
from flykd_console.tasks.link_prediction.ranks import CUTS, NOISE, RowMetrics, rank_rows

Table = NDArray[np.float64]
Marks = NDArray[np.bool_]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def ranked(
    scores: Table, true: Marks, hidden: Marks | None = None, beyond: NDArray[np.int64] | None = None
) -> RowMetrics:
    """`beyond`: true partners of each row that are no column."""
    out = np.zeros_like(true) if hidden is None else hidden
    relevant = true.sum(axis=1) + (0 if beyond is None else beyond)
    (row, column), (out_row, out_column) = np.nonzero(true), np.nonzero(out)
    cells, left_out = (row, column), (out_row, out_column)
    return rank_rows(lambda some: scores[some], scores.shape, cells, left_out, relevant, rng())


def plain(order: list[bool], unknown: int) -> dict[str, float]:
    """The definitions, along one row in its order: whether each column is true, and how many true ones are none."""
    places = [place for place, true in enumerate(order, start=1) if true]
    total, wrong = len(places) + unknown, order.count(False)
    found = {f"recall_at_{cut}": sum(place <= cut for place in places) / total for cut in CUTS}
    found["hits_at_10"] = float(any(place <= 10 for place in places))
    found["ap"] = sum(number / place for number, place in enumerate(places, start=1)) / total
    found["mrr"] = 1 / places[0] if places else 0.0
    won = [order[place:].count(False) / wrong if wrong else 0.5 for place in places]
    found["auroc"] = (sum(won) + 0.5 * unknown) / total
    return found


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, Marks, Marks, NDArray[np.int64]]:
    """Scores of few values, so that there are ties; true and hidden cells; true partners that are no column."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 130)))
    source = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = source.integers(0, draw(st.sampled_from([1, 2, 5, 1000])), shape).astype(np.float64)
    scores[source.random(shape) < 0.05] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))
    true = source.random(shape) < draw(st.sampled_from([0.02, 0.3, 0.9]))
    hidden = source.random(shape) < draw(st.sampled_from([0.0, 0.4]))
    beyond = source.integers(0, 3, shape[0])
    beyond[~true.any(axis=1)] += 1
    return scores, true, hidden, beyond


@given(tables())
def test_metrics_are_those_of_a_plain_loop(table: tuple[Table, Marks, Marks, NDArray[np.int64]]) -> None:
    scores, true, hidden, beyond = table
    noise = NOISE * rng().random(scores.shape)
    found = ranked(scores, true, hidden, beyond)
    assert set(found.found) == set(found.ideal) == set(RANKING_METRICS)
    for row in range(len(scores)):
        # What is no number comes last.
        key = np.where(np.isfinite(scores[row]), scores[row], -1.0) + noise[row]
        kept = [column for column in np.argsort(-key) if true[row, column] or not hidden[row, column]]
        order = [bool(true[row, column]) for column in kept]
        for name, value in plain(order, int(beyond[row])).items():
            assert found.found[name][row] == pytest.approx(value, abs=1e-12), name
        for name, value in plain(sorted(order, reverse=True), int(beyond[row])).items():
            assert found.ideal[name][row] == pytest.approx(value, abs=1e-12), name
            assert found.found[name][row] <= value + 1e-12


@given(st.integers(0, 2**32 - 1))
def test_average_precision_and_auroc_are_scikit_learns(seed: int) -> None:
    source = np.random.default_rng(seed)
    scores = source.normal(size=(6, 40))
    true = source.random(scores.shape) < 0.2
    true[:, 0], true[:, 1] = True, False
    found = ranked(scores, true).found
    assert found["ap"].mean() == pytest.approx(label_ranking_average_precision_score(true, scores), abs=1e-3)
    noisy = scores + NOISE * rng().random(scores.shape)
    pairs = list(zip(true, noisy, strict=True))
    assert found["ap"] == pytest.approx([average_precision_score(*pair) for pair in pairs])
    assert found["auroc"] == pytest.approx([roc_auc_score(*pair) for pair in pairs])


def test_how_the_table_is_cut_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.random.default_rng(2)
    scores = source.integers(0, 3, (23, 31)).astype(np.float64)
    true, hidden = source.random(scores.shape) < 0.3, source.random(scores.shape) < 0.3
    true[:, 4] = True
    whole = ranked(scores, true, hidden)
    for name, cells in {"_SCORED": 31 * 7, "_ORDERED": 31 * 3, "_COMPARED": 2}.items():
        monkeypatch.setattr(ranks, name, cells)
        cut = ranked(scores, true, hidden)
        assert all(np.array_equal(cut.found[metric], whole.found[metric]) for metric in RANKING_METRICS)


def test_a_constant_score_is_worth_what_chance_is_worth() -> None:
    true = np.zeros((4000, 50), dtype=bool)
    true[:, 7] = True
    found = ranked(np.zeros(true.shape), true).found
    assert found["auroc"].mean() == pytest.approx(0.5, abs=0.02)
    assert found["recall_at_10"].mean() == pytest.approx(0.2, abs=0.03)
    assert found["mrr"].mean() == pytest.approx(np.mean(1 / np.arange(1, 51)), abs=0.01)


def test_noise_decides_between_equals_alone() -> None:
    scores = np.array([[0.0, 2 * NOISE, 1.0, 1.0]])
    first = ranked(scores, np.array([[False, True, False, False]])).found
    assert first["mrr"][0] == pytest.approx(1 / 3)


def test_scores_that_swallow_the_noise_share_the_worst_of_their_ranks() -> None:
    found = ranked(np.full((1, 5), 1e30), np.array([[True, False, False, True, False]])).found
    assert found["mrr"][0] == pytest.approx(1 / 5)
    assert found["ap"][0] == pytest.approx(2 / 5)


def test_without_candidates_nothing_is_found() -> None:
    found = ranked(np.zeros((2, 0)), np.zeros((2, 0), dtype=bool), beyond=np.array([1, 2]))
    assert found.ideal["ap"].tolist() == found.found["mrr"].tolist() == [0.0, 0.0]
    assert found.found["auroc"].tolist() == [0.5, 0.5]
