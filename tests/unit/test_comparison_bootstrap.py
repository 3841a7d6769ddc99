"""Weighted average precision, paired bootstrap and tests over seeds, against scikit-learn, loops and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from flykd_console.compare import bootstrap
from flykd_console.compare.average_precision import ScoreOrder, average_precision
from flykd_console.compare.bootstrap import RelationScores, macro_resamples, percentile_interval
from flykd_console.compare.over_seeds import sign_flip_p, t_interval
from flykd_console.compare.population import numbered

# Few distinct values: ties between and within the classes.
SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_average_precision_is_scikit_learns_with_ties(positives: list[float], negatives: list[float]) -> None:
    ours = average_precision(np.array(positives), np.array(negatives))
    labels = [1] * len(positives) + [0] * len(negatives)
    assert ours == pytest.approx(average_precision_score(labels, positives + negatives))


@given(SCORES, SCORES, st.integers(0, 1000))
def test_a_weight_is_a_pair_drawn_so_often(positives: list[float], negatives: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, 3, size=(4, len(x))).astype(np.int32) for x in (positives, negatives)]
    drawn[0][:, 0] += 1
    ours = ScoreOrder(np.array(positives), np.array(negatives)).average_precision(*drawn)
    for i in range(4):
        true, false = np.repeat(positives, drawn[0][i]), np.repeat(negatives, drawn[1][i])
        labels = np.r_[np.ones(len(true)), np.zeros(len(false))]
        assert ours[i] == pytest.approx(average_precision_score(labels, np.r_[true, false]))


def test_a_resample_without_a_positive_has_no_average_precision() -> None:
    none, once = np.zeros((1, 2), dtype=np.int32), np.ones((1, 2), dtype=np.int32)
    assert np.isnan(ScoreOrder(np.array([1.0, 2.0]), np.array([0.0, 3.0])).average_precision(none, once)).all()


def scored(rng: np.random.Generator, pairs: int, signal: dict[str, float], tails: int = 12) -> RelationScores:
    labels = np.repeat([1, 0], pairs).astype(np.int8)
    shared = rng.normal(size=2 * pairs)
    logits = {
        model: (s * labels + shared + 0.3 * rng.normal(size=2 * pairs)).astype(np.float32)
        for model, s in signal.items()
    }
    return RelationScores(labels, rng.integers(tails, size=2 * pairs), logits)


@pytest.fixture
def relations() -> dict[str, RelationScores]:
    rng = np.random.default_rng(3)
    return {"treats": scored(rng, 40, {"a": 1.0, "b": 1.4}), "harms": scored(rng, 25, {"a": 0.5, "b": 0.6})}


def naive(relations: dict[str, RelationScores], unit: str, resamples: int) -> np.ndarray:
    """The same bootstrap, drawn with `choice` and scored by scikit-learn: differences b - a."""
    rng = np.random.default_rng(99)
    tails = np.unique(np.concatenate([scores.tails for scores in relations.values()]))
    found = []
    for _ in range(resamples):
        macro = {"a": 0.0, "b": 0.0}
        drawn = rng.choice(tails, size=len(tails))
        for scores in relations.values():
            if unit == "tails":
                rows = np.concatenate([np.flatnonzero(scores.tails == tail) for tail in drawn])
            else:
                parts = (np.flatnonzero(scores.labels == label) for label in (1, 0))
                rows = np.concatenate([rng.choice(part, size=len(part)) for part in parts])
            for model in macro:
                macro[model] += average_precision_score(scores.labels[rows], scores.logits[model][rows]) / 2
        found.append(macro["b"] - macro["a"])
    return np.array(found)


@pytest.mark.parametrize("unit", ["pairs", "tails"])
def test_intervals_agree_with_a_naive_resampling(relations: dict[str, RelationScores], unit: bootstrap.Unit) -> None:
    drawn = macro_resamples(relations, ["a", "b"], 4000, 1, unit)
    ours, loop = drawn["b"] - drawn["a"], naive(relations, unit, 300)
    assert ours.mean() == pytest.approx(loop.mean(), abs=3.5 * loop.std() / np.sqrt(300))
    assert ours.std() == pytest.approx(loop.std(), rel=0.15)
    assert percentile_interval(ours) == pytest.approx(percentile_interval(loop), abs=0.4 * loop.std())


@pytest.mark.parametrize("unit", ["pairs", "tails"])
def test_equal_models_differ_in_no_resample(relations: dict[str, RelationScores], unit: bootstrap.Unit) -> None:
    for scores in relations.values():
        scores.logits["c"] = scores.logits["a"]  # type: ignore[index]
    drawn = macro_resamples(relations, ["a", "c"], 300, 1, unit)
    assert np.array_equal(drawn["a"], drawn["c"])


def test_resampling_repeats_itself_and_does_not_depend_on_the_company(relations: dict[str, RelationScores]) -> None:
    alone = macro_resamples(relations, ["a"], 300, 7)["a"]
    assert np.array_equal(alone, macro_resamples(relations, ["b", "a"], 300, 7)["a"])
    assert not np.array_equal(alone, macro_resamples(relations, ["a"], 300, 8)["a"])


def test_the_interval_over_pairs_covers_the_true_difference() -> None:
    rng = np.random.default_rng(11)
    signal = {"a": 0.8, "b": 1.2}
    large = scored(rng, 200_000, signal)
    true = large.labels == 1
    ap = {m: average_precision(large.logits[m][true], large.logits[m][~true]) for m in signal}
    difference = ap["b"] - ap["a"]
    covered = 0
    for trial in range(120):
        drawn = macro_resamples({"r": scored(rng, 150, signal)}, ["a", "b"], 300, trial)
        low, high = percentile_interval(drawn["b"] - drawn["a"])
        covered += low <= difference <= high
    # 95 % of 120 is 114; below 104 or at 120 is out of four deviations.
    assert 104 <= covered <= 120


def test_resampling_tails_covers_where_pairs_of_a_tail_go_together() -> None:
    rng = np.random.default_rng(5)
    widths: dict[bootstrap.Unit, list[float]] = {"pairs": [], "tails": []}
    for trial in range(10):
        scores = scored(rng, 150, {"a": 0.8}, tails=10)
        effect = rng.normal(size=10)[scores.tails]
        b = scores.logits["a"] + (0.8 * effect * (2 * scores.labels - 1)).astype(np.float32)
        grouped = RelationScores(scores.labels, scores.tails, {"a": scores.logits["a"], "b": b})
        for unit, found in widths.items():
            drawn = macro_resamples({"r": grouped}, ["a", "b"], 300, trial, unit)
            low, high = percentile_interval(drawn["b"] - drawn["a"])
            found.append(high - low)
    assert np.mean(widths["tails"]) > 1.5 * np.mean(widths["pairs"])


@pytest.mark.parametrize("unit", ["pairs", "tails"])
def test_seeds_that_test_the_same_are_no_surer_together_than_alone(unit: bootstrap.Unit) -> None:
    rng = np.random.default_rng(8)
    scores = scored(rng, 60, {"a": 0.6, "b": 0.9}, tails=12)
    frame = pl.DataFrame(
        {
            "relation": "r",
            "label": scores.labels,
            "head_id": [f"h{i}" for i in range(len(scores.labels))],
            "tail_id": [f"t{i:02d}" for i in scores.tails],
        }
    )
    population, frames = numbered({45: frame, 46: frame.reverse()})
    drawn = {}
    for seed, order in ((45, slice(None)), (46, slice(None, None, -1))):
        numbers = frames[seed]
        logits = {model: values[order] for model, values in scores.logits.items()}
        relation = RelationScores(scores.labels[order], numbers["tail"].to_numpy(), logits, numbers["pair"].to_numpy())
        found = macro_resamples({"r": relation}, ["a", "b"], 400, 45, unit, population)
        drawn[seed] = found["b"] - found["a"]
    assert np.allclose(drawn[45], drawn[46], equal_nan=True)
    assert np.nanstd((drawn[45] + drawn[46]) / 2) == pytest.approx(np.nanstd(drawn[45]))
    assert np.nanstd(drawn[45]) > 0


def test_pairs_of_other_seeds_are_numbered_beside_these() -> None:
    rows = {"relation": ["r", "r", "q"], "label": [1, 0, 1], "head_id": ["a", "b", "a"], "tail_id": ["x", "x", "y"]}
    first = pl.DataFrame(rows)
    second = first.with_columns(head_id=pl.Series(["b", "b", "c"]), tail_id=pl.Series(["z", "x", "y"]))
    population, frames = numbered({45: first, 46: second})
    assert population.tails.tolist() == [0, 1, 2]
    assert population.pairs == {"r": (2, 1), "q": (2, 0)}
    assert frames[45]["pair"].to_list() == [0, 0, 0]
    assert frames[46]["pair"].to_list() == [1, 0, 1]
    assert frames[46]["tail"].to_list() == [2, 0, 1]


def test_the_t_interval_is_the_textbooks() -> None:
    # mean 2, deviation 1, n = 3: 2 ± 4.3027 / √3
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert t_interval([1.0]) is None
    assert t_interval([0.5, 0.5]) == (0.5, 0.5)


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=12),
    st.floats(0.0, 3.0),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_the_corrected_interval_is_nadeau_and_bengios_formula(values: list[float], ratio: float, level: float) -> None:
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = stats.t.ppf((1 + level) / 2, n - 1) * math.sqrt((1 / n + ratio) * variance)
    assert t_interval(values, level, ratio) == pytest.approx((mean - half, mean + half), abs=1e-9)
    assert t_interval(values, level, 0.0) == t_interval(values, level)


def test_the_sign_flip_test_counts_every_pattern() -> None:
    values = [0.5, -0.2, 0.1, 0.3, -1.0]
    means = [abs(np.mean(np.array(values) * signs)) for signs in itertools.product((1, -1), repeat=5)]
    expected = np.mean([mean >= abs(np.mean(values)) - 1e-12 for mean in means])
    assert sign_flip_p(values) == pytest.approx(expected)
    assert sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 32)
    assert sign_flip_p([1.0]) is None
