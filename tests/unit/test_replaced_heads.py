"""Pairs whose head was replaced: never true ones, and as popular as they were asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.replaced_heads import replaced_heads
from flykd_console.profile import sections
from flykd_console.tasks.link_prediction.metrics import score_relation
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
both_draws = pytest.mark.parametrize("by_degree", [False, True])


def split_of(kind: str) -> EdgeSplit:
    return split_graph(small_graph(), TARGETS, sections.Split.model_validate({"kind": kind}), 45)


def one_relation(heads: list[int], tails: list[int], train: tuple[list[int], list[int]]) -> EdgeSplit:
    """A split of one relation with a test part and training edges."""
    nothing = np.zeros(0, np.int64)
    return EdgeSplit(
        targets=Targets([INDICATION]),
        train={INDICATION: (np.array(train[0]), np.array(train[1]))},
        validation={INDICATION: (nothing, nothing)},
        test={INDICATION: (np.array(heads), np.array(tails))},
    )


@both_draws
@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", ["random", "complex_disease", "full_graph"])
def test_negatives_keep_the_tail_and_are_no_pair_that_is_known(kind: str, part: str, by_degree: bool) -> None:
    split = split_of(kind)
    for target, pairs in zip(TARGETS, replaced_heads(split, part, 45, by_degree=by_degree), strict=True):
        half = pairs.positives
        told = PARTS if part == "test" else ("train", "validation")
        true = {pair for name in told for pair in zip(*split.part(name)[target], strict=True)}
        assert pairs.relation == target.relation
        assert pairs.labels.tolist() == [1.0] * half + [0.0] * half
        assert np.array_equal(pairs.tails[:half], pairs.tails[half:])
        assert np.array_equal(pairs.heads[:half], split.part(part)[target][0])
        assert not true & set(zip(pairs.heads[half:], pairs.tails[half:], strict=True))
        known = split.train[target][0] if by_degree else split.linked("drug")
        assert set(pairs.heads[half:]) <= set(known)


@both_draws
def test_nothing_of_the_test_is_told_by_validation(by_degree: bool) -> None:
    split = split_of("random")
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    blind = replace(split, test={**split.test, **dict.fromkeys(TARGETS, nothing)})
    met = 0
    for target, ours, theirs in zip(
        TARGETS,
        replaced_heads(split, "validation", 45, by_degree=by_degree),
        replaced_heads(blind, "validation", 45, by_degree=by_degree),
        strict=True,
    ):
        assert np.array_equal(ours.heads, theirs.heads)
        assert np.array_equal(ours.tails, theirs.tails)
        drawn = set(zip(ours.heads[ours.positives :], ours.tails[ours.positives :], strict=True))
        met += len(drawn & set(zip(*split.test[target], strict=True)))
    # Some of the negatives are true pairs of the test, as someone without the test could not but draw.
    assert met or by_degree


@both_draws
def test_the_draw_follows_from_the_seed(by_degree: bool) -> None:
    split = split_of("random")
    first, again, other = (replaced_heads(split, "test", seed, by_degree=by_degree)[1] for seed in (45, 45, 46))
    assert np.array_equal(first.heads, again.heads)
    assert not np.array_equal(first.heads, other.heads)


def test_heads_are_drawn_uniformly_or_by_their_degree() -> None:
    # Head 0 is true of the tested tail; 1, 2 and 3 have one, two and five training edges of others.
    train = [0] * 4 + [1] + [2] * 2 + [3] * 5, [*range(1, 5), 1, *range(1, 3), *range(1, 6)]
    split = one_relation([0] * 8000, [0] * 8000, train)
    for by_degree, expected in ((False, [0, 1 / 3, 1 / 3, 1 / 3]), (True, [0, 1 / 8, 2 / 8, 5 / 8])):
        (pairs,) = replaced_heads(split, "test", 45, by_degree=by_degree)
        share = np.bincount(pairs.heads[8000:], minlength=4) / 8000
        assert share == pytest.approx(expected, abs=0.02)


@both_draws
def test_a_positive_whose_tail_has_every_head_is_left_out(by_degree: bool) -> None:
    split = one_relation([0, 1, 0], [0, 0, 1], ([0, 1, 1], [2, 2, 3]))
    (pairs,) = replaced_heads(split, "test", 45, by_degree=by_degree)
    assert (pairs.heads.tolist(), pairs.tails.tolist()) == ([0, 1], [1, 1])


@both_draws
def test_an_empty_part_has_none(by_degree: bool) -> None:
    split = split_of("random")
    nothing = np.zeros(0, np.int64)
    empty = replace(split, test=dict.fromkeys(TARGETS, (nothing, nothing)))
    assert all(len(pairs.labels) == 0 for pairs in replaced_heads(empty, "test", 45, by_degree=by_degree))


def test_popularity_is_worth_little_against_heads_drawn_by_degree() -> None:
    # Training and test edges of the same popular heads, among so many tails that few pairs are true.
    rng = np.random.default_rng(0)
    weight = 1.0 / np.arange(1, 301)
    heads = rng.choice(300, size=6000, p=weight / weight.sum())
    tails = rng.integers(0, 5000, size=6000)
    split = one_relation(heads[4000:].tolist(), tails[4000:].tolist(), (heads[:4000].tolist(), tails[:4000].tolist()))
    degree = np.bincount(heads[:4000], minlength=300).astype(np.float32)
    uniform, by_degree = (
        score_relation(pairs.labels, degree[pairs.heads]).auprc
        for way in (False, True)
        for pairs in replaced_heads(split, "test", 45, by_degree=way)
    )
    assert by_degree == pytest.approx(0.5, abs=0.03)
    assert uniform > 0.8
