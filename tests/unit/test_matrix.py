"""All pairs of a relation ranked together: selected while they stream by, measured, and compared between seeds."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import entropy as scipy_entropy

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, Targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.profile import sections
from flykd_console.runs.results import MatrixCut, MatrixScores, matrix_spread
from flykd_console.seeding import uniform_of
from flykd_console.tasks.link_prediction import largest as selecting
from flykd_console.tasks.link_prediction import matrix as measuring
from flykd_console.tasks.link_prediction import top_pairs
from flykd_console.tasks.link_prediction.largest import largest
from flykd_console.tasks.link_prediction.matrix import Matrix, entropy, last_part, rank_matrix, with_commonality
from flykd_console.tasks.link_prediction.ranks import NOISE
from flykd_console.tasks.link_prediction.scorers import Scorer
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
SEED = 45
CUTS = (10, 100, 1000)


@pytest.fixture(autouse=True)
def _small_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CUTS", CUTS)


@cache
def split_of(kind: str) -> EdgeSplit:
    return split_graph(small_graph(), TARGETS, sections.Split.model_validate({"kind": kind}), SEED)


class Tabled(Scorer):
    """Scores that were drawn, of 40 heads and 60 tails."""

    def __init__(self, table: NDArray[np.floating]) -> None:
        self._table = table

    def block(self, target: EdgeType, tails: NDArray[np.int64], heads: NDArray[np.int64]) -> NDArray[np.floating]:
        return self._table[np.ix_(tails, heads)]

    def pairs(self, target: EdgeType, heads: NDArray[np.int64], tails: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._table[tails, heads].astype(np.float32)


def table(*, integers: bool = False) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 3, (60, 40)).astype(float) if integers else rng.normal(size=(60, 40))


def ranked(scores: NDArray[np.floating], kind: str = "random", part: str = "test", seed: int = SEED) -> Matrix:
    return rank_matrix(small_graph(), split_of(kind), part, Tabled(scores), seed)["indication"]


# Selecting


def noise_of(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    return uniform_of(SEED, "noise", cells)


def in_order(values: NDArray[np.floating], hidden: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every cell by falling score, all at once."""
    flat = values.astype(np.float64).reshape(-1) + NOISE * noise_of(np.arange(values.size))
    flat[hidden] = -np.inf
    finite = np.flatnonzero(np.isfinite(flat))
    return finite[np.argsort(-flat[finite], kind="stable")]


@pytest.mark.parametrize("rows_a_step", [1, 7, 200])
@pytest.mark.parametrize("count", [1, 50, 3000, 9000])
@pytest.mark.parametrize("kind", ["normal", "ties", "constant", "rising", "float32"])
def test_the_largest_are_those_of_the_whole_order(
    kind: str, count: int, rows_a_step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.normal(size=(150, 40)),
        "ties": rng.integers(0, 4, (150, 40)).astype(float),
        "constant": np.zeros((150, 40)),
        "rising": np.repeat(np.arange(150.0)[:, None], 40, axis=1),
        "float32": (1000 * rng.normal(size=(150, 40))).astype(np.float32),
    }[kind]
    monkeypatch.setattr(selecting, "_SCORED", 40 * rows_a_step)
    hidden = rng.choice(values.size, 500, replace=False)
    found = largest(lambda rows: values[rows], values.shape, hidden, count, noise_of, np.random.default_rng(3))
    assert found.tolist() == in_order(values, hidden)[:count].tolist()


def test_a_guess_that_was_too_high_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(100, 20))
    steps: list[int] = []

    def block(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        steps.append(len(rows))
        return values[rows]

    none = np.empty(0, np.int64)
    monkeypatch.setattr(selecting, "_SCORED", 20 * 10)
    monkeypatch.setattr(selecting, "_MARGIN", 0.2)
    found = largest(block, values.shape, none, 300, noise_of, np.random.default_rng(3))
    assert found.tolist() == in_order(values, none)[:300].tolist()
    assert len(steps) > 10  # a second time, but for the first rows
    steps.clear()
    monkeypatch.setattr(selecting, "_MARGIN", 2.0)
    largest(block, values.shape, none, 300, noise_of, np.random.default_rng(3))
    assert len(steps) == 10


def test_what_is_no_finite_number_is_not_among_the_largest() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.inf, -np.inf, 2.0]])
    found = largest(lambda rows: values[rows], (2, 3), np.empty(0, np.int64), 6, noise_of, np.random.default_rng(0))
    assert found.tolist() == [2, 5, 0]


def test_scores_that_may_not_be_written_are_copied() -> None:
    values = np.broadcast_to(np.arange(4.0), (3, 4))
    found = largest(lambda rows: values[: len(rows)], (3, 4), np.array([3]), 2, noise_of, np.random.default_rng(0))
    assert sorted(found.tolist()) == [7, 11]


def test_a_numbers_draw_does_not_depend_on_the_others() -> None:
    numbers = np.arange(100_000)
    drawn = uniform_of(3, "a", numbers)
    assert np.array_equal(uniform_of(3, "a", numbers[[7, 99, 7]]), drawn[[7, 99, 7]])
    assert not np.array_equal(uniform_of(4, "a", numbers), drawn)
    assert not np.array_equal(uniform_of(3, "b", numbers), drawn)
    assert ((drawn >= 0.0) & (drawn < 1.0)).all()
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx(np.full(10, 10_000), rel=0.04)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01


# Measuring


def plain(
    scores: NDArray[np.float64], split: EdgeSplit, part: str
) -> tuple[list[tuple[int, int]], set[tuple[int, int]]]:
    """All candidate pairs but those of earlier parts, by falling score; and the part's true pairs."""
    pairs = {name: set(zip(*(ends.tolist() for ends in split.part(name)[INDICATION]), strict=True)) for name in PARTS}
    earlier = pairs["train"] | (pairs["validation"] if part == "test" else set())
    heads, tails = split.linked("drug").tolist(), split.linked("disease").tolist()
    noise = uniform_of(SEED, f"ties/{part}/indication/matrix", np.arange(len(heads) * len(tails)))
    valued = {
        (h, t): scores[t, h] + NOISE * noise[i * len(heads) + k]
        for i, t in enumerate(tails)
        for k, h in enumerate(heads)
        if (h, t) not in earlier - pairs[part]
    }
    return sorted(valued, key=lambda pair: -valued[pair]), pairs[part]


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize(("kind", "part"), [("random", "test"), ("complex_disease", "test"), ("random", "validation")])
def test_the_figures_are_their_definitions(kind: str, part: str, integers: bool) -> None:
    split, scores = split_of(kind), table(integers=integers)
    found = ranked(scores, kind, part).scores
    order, true = plain(scores, split, part)
    candidates = len(split.linked("drug")), len(split.linked("disease"))
    assert (found.pairs, found.true, found.heads, found.tails) == (len(order), len(true), *candidates)
    assert list(found.at) == [n for n in CUTS if n < len(order)]
    for n, cut in found.at.items():
        first = order[:n]
        assert cut.recall == pytest.approx(len(true & set(first)) / len(true))
        assert cut.ideal_recall == pytest.approx(min(n, len(true & set(order))) / len(true))
        for side, count, evenness in ((0, cut.heads, cut.head_entropy), (1, cut.tails, cut.tail_entropy)):
            named = Counter(pair[side] for pair in first)
            assert count == len(named)
            assert evenness == pytest.approx(scipy_entropy(list(named.values()), base=candidates[side]))


def test_new_pairs_are_true_in_no_part_and_in_the_order_of_the_matrix() -> None:
    split, scores = split_of("random"), table()
    order, _ = plain(scores, split, "test")
    true = {pair for part in PARTS for pair in zip(*(e.tolist() for e in split.part(part)[INDICATION]), strict=True)}
    expected = [pair for pair in order if pair not in true][: max(CUTS)]
    heads, tails = ranked(scores).new
    assert list(zip(heads.tolist(), tails.tolist(), strict=True)) == expected


def test_a_pair_that_the_graph_has_is_not_new_though_no_part_has_it() -> None:
    split = split_of("random")
    heads, tails = split.train[INDICATION]
    fewer = EdgeSplit(split.targets, {**split.train, INDICATION: (heads[1:], tails[1:])}, split.validation, split.test)
    scores = np.zeros((60, 40))
    scores[tails[0], heads[0]] = 1.0
    found = rank_matrix(small_graph(), fewer, "test", Tabled(scores), SEED)["indication"]
    assert (heads[0], tails[0]) not in set(zip(*found.new, strict=True))


def test_ties_are_broken_alike_for_every_model_of_a_seed() -> None:
    first, second = ranked(np.zeros((60, 40))), ranked(np.full((60, 40), 3.0))
    assert first.scores == second.scores
    assert np.array_equal(first.new[0], second.new[0])
    assert not np.array_equal(first.new[0], ranked(np.zeros((60, 40)), seed=SEED + 1).new[0])


def test_popular_drugs_first_are_few_drugs() -> None:
    popular = np.repeat(np.arange(40.0)[None], 60, axis=0)
    cut = ranked(popular).scores.at[10]
    assert (cut.heads, cut.head_entropy) == (1, 0.0)
    assert cut.tails == 10


@pytest.mark.parametrize(("nodes", "expected"), [([], 0.0), ([3, 3, 3], 0.0), ([0, 1, 2, 3], 1.0), ([0, 0, 1, 1], 0.5)])
def test_entropy_is_one_where_all_are_named_alike(nodes: list[int], expected: float) -> None:
    assert entropy(np.array(nodes, np.int64), 4) == pytest.approx(expected)


def test_one_candidate_has_no_variety() -> None:
    assert entropy(np.zeros(5, np.int64), 1) == 0.0


def test_a_split_without_a_test_is_measured_on_validation() -> None:
    assert last_part(split_of("random")) == "test"
    assert last_part(split_of("full_graph")) == "validation"
    split = split_of("full_graph")
    nothing = {target: (np.empty(0, np.int64), np.empty(0, np.int64)) for target in TARGETS}
    assert last_part(EdgeSplit(TARGETS, split.train, nothing, nothing)) is None


# Between seeds


def as_pairs(numbers: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.array(numbers, np.int64) % 40, np.array(numbers, np.int64) // 40


def test_what_two_lists_share_is_counted_at_every_n_that_both_reach(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.permutation(2000).tolist(), rng.permutation(2000)[:400].tolist()
    tables = [top_pairs.table_of({"indication": as_pairs(numbers[:1000])}) for numbers in (one, other)]
    found = top_pairs.shared(*tables)["indication"]
    assert found == {n: len(set(one[:n]) & set(other[:n])) / n for n in (10, 100)}
    assert top_pairs.shared(tables[0], tables[0])["indication"] == dict.fromkeys(CUTS, 1.0)
    assert top_pairs.shared(tables[0], top_pairs.table_of({"contraindication": as_pairs(one[:20])})) == {}


def test_a_list_is_kept_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "seed-45" / "student.top-pairs.parquet"
    assert top_pairs.read(path) is None
    found = top_pairs.table_of(
        {"indication": as_pairs([79, 3, 41, *range(100, 120)]), "contraindication": as_pairs([])}
    )
    top_pairs.save(found, path)
    read = top_pairs.read(path)
    assert read is not None
    assert read.equals(found)
    assert read.sort("relation", "tail", "head").equals(read)
    assert read.filter(pl.col("within") == 10).height == 10
    assert read.row(0) == ("indication", 3, 0, 10)


def test_a_damaged_list_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "student.top-pairs.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(UserError) as found:
        top_pairs.read(path)
    assert found.value.where == str(path)
    path.write_bytes(b"")
    pl.DataFrame({"relation": ["a"]}).write_parquet(path)
    with pytest.raises(UserError):
        top_pairs.read(path)


def cut(recall: float, **commonality: float) -> MatrixCut:
    shared = {int(seed[1:]): value for seed, value in commonality.items()}
    return MatrixCut(
        recall=recall, ideal_recall=1.0, heads=3, tails=4, head_entropy=0.5, tail_entropy=0.5, commonality=shared
    )


def scored(at: dict[int, MatrixCut]) -> dict[str, MatrixScores]:
    return {"indication": MatrixScores(pairs=9, true=2, heads=3, tails=3, at=at)}


def test_commonality_is_put_beside_the_other_figures() -> None:
    found = with_commonality(scored({10: cut(0.1), 100: cut(0.2)}), 44, {"indication": {10: 0.25}})["indication"]
    assert found.at[10].commonality == {44: 0.25}
    assert found.at[100].commonality == {}
    assert found.at[10].recall == 0.1


def test_spreads_are_over_seeds_and_those_of_commonality_over_their_pairs() -> None:
    seeds = [
        scored({10: cut(0.1), 100: cut(0.5)}),
        scored({10: cut(0.2, s45=0.4)}),
        scored({10: cut(0.6, s45=0.2, s46=0.3)}),
    ]
    spreads = matrix_spread(seeds)["indication"]
    assert list(spreads) == [10]
    assert spreads[10]["recall"].mean == pytest.approx(0.3)
    assert (spreads[10]["commonality"].mean, spreads[10]["commonality"].n) == (pytest.approx(0.3), 3)
    assert matrix_spread(seeds, [46, 47])["indication"][10]["commonality"].n == 1
    assert "commonality" not in matrix_spread(seeds[:1])["indication"][10]
