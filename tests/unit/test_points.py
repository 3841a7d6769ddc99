"""Candidates of a plan and the scorers without training beside them."""

from __future__ import annotations

from flykd_console.plans.points import Point, Rival, rivals_of
from flykd_console.runs.results import Spread


def point(label: str, **aps: float) -> Point:
    rivals = [Rival(name, test={"macro_ap": Spread(mean=ap, n=1)}, validation={}) for name, ap in aps.items()]
    return Point(
        label=label, values={}, jobs=[], seeds=[45], model="student", headline="macro_ap", test={}, validation={},
        parameters=1, seconds=1.0, rivals=rivals, missing="",
    )  # fmt: skip


def test_rivals_that_all_candidates_have_alike_stand_once() -> None:
    found = rivals_of([point("a", popularity=0.1, neighbours=0.4), point("b", popularity=0.1, neighbours=0.4)])
    assert [(rival.name, rival.test["macro_ap"].mean) for rival in found] == [("popularity", 0.1), ("neighbours", 0.4)]


def test_rivals_on_other_data_stand_once_a_candidate() -> None:
    found = rivals_of([point("a", popularity=0.1, neighbours=0.4), point("b", popularity=0.1, neighbours=0.3)])
    assert [rival.name for rival in found] == ["popularity", "neighbours, a", "neighbours, b"]


def test_candidates_without_rivals_have_none() -> None:
    assert rivals_of([point("a"), point("b")]) == []
