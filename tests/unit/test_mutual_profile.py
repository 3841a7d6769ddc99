"""`[mutual]`: students that teach each other, as a profile asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flykd_console.errors import UserError
from flykd_console.profile.load import dump_profile, load_profile, validate
from flykd_console.profile.models import entries_of, models_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.runs.models import Role

MEMBERS = {"first": {}, "second": {"kind": "rgat"}}


def profile(**tables: Any) -> Profile:
    data = {"student": {"dim": 24}, "mutual": {"members": MEMBERS}} | tables
    return validate(data, "test.toml")


def test_a_cohort_is_its_members_and_each_of_them_alone() -> None:
    found = {entry.name: entry for entry in entries_of(profile(evaluation={"heuristics": []}))}
    assert {name: entry.role for name, entry in found.items()} == {
        "alone-first": Role.BASELINE, "alone-second": Role.BASELINE,
        "deep-ensemble": Role.ENSEMBLE, "best-alone": Role.ENSEMBLE,
        "first": Role.MEMBER, "second": Role.MEMBER, "ensemble": Role.ENSEMBLE, "best": Role.ENSEMBLE,
    }  # fmt: skip
    over = {name: found[name].over for name in ("first", "second", "ensemble", "best")}
    assert over == {
        "first": "alone-first", "second": "alone-second", "ensemble": "deep-ensemble", "best": "best-alone",
    }  # fmt: skip
    assert (found["second"].dim, found["second"].layer_kind) == (24, "rgat")
    assert {spec.begins for spec in models_of(profile()) if spec.trained} == {"first", "second"}


def test_members_are_trained_alone_first_and_then_in_one_stage() -> None:
    stages = planned_stages(profile(run={"seeds": [1]}), {1: 3})
    assert [stage.stage for stage in stages] == [
        "pretrain-first", "alone-first", "pretrain-second", "alone-second", "cohort",
    ]  # fmt: skip
    assert stages[-1].models == ["first", "second", "ensemble"]


def test_without_rivals_or_ensemble_there_are_none() -> None:
    found = models_of(profile(mutual={"members": MEMBERS, "alone": False, "ensemble": False}))
    assert [spec.name for spec in found] == ["first", "second", "best"]
    assert all(not spec.entry.over for spec in found)


def test_a_written_cohort_reads_as_it_was(tmp_path: Path) -> None:
    asked = profile(mutual={"members": MEMBERS, "target": "gate"})
    path = tmp_path / "profile.toml"
    path.write_text(dump_profile(asked))
    assert load_profile(path) == asked
    assert "[mutual" not in dump_profile(Profile())


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"mutual": {"members": {"first": {}}}}, "mutual.members needs at least two"),
        ({"mutual": {"target": "mean"}}, "mutual.members is empty"),
        ({"mutual": {"members": {"a": {}, "ensemble": {}}}}, "mutual.members.ensemble: the name is taken"),
        ({"mutual": {"members": {"a": {}, "alone-b": {}}}}, "mutual.members.alone-b: the name is taken"),
        ({"mutual": {"members": {"a": {}, "neighbours": {}}}}, "mutual.members.neighbours: the name is taken"),
        ({"mutual": {"members": {"a": {}, "b": {"kind": "table"}}}}, "mutual.members.b.kind = 'table'"),
        ({"models": {"other": {}}}, "[models] and run.models say nothing beside"),
        ({"run": {"models": ["first"]}}, "[models] and run.models say nothing beside"),
        ({"distill": {"teachers": 2}}, "distill.teachers says nothing"),
        ({"distill": {"sources": ["original"]}}, "distill.sources names true labels alone"),
        ({"distill": {"epochs": 0}}, "distill.epochs = 0"),
        ({"distill": {"pseudo_negatives": "teacher"}}, "distill.pseudo_negatives = 'teacher'"),
        ({"distill": {"random_graph": {"min_logit": 0.0}}}, "distill.random_graph.min_logit"),
        ({"distill": {"anchor": {"rank_weight": 1.0}}}, "distill.anchor.rank_weight compares with a teacher"),
        ({"distill": {"lr": 0.1}}, "distill.lr says nothing beside mutual.members"),
        ({"distill": {"epochs": 50}}, "finetune.epochs = 2000 and distill.epochs = 50"),
        ({"mutual": {"members": MEMBERS, "target": "gate"}, "distill": {"pseudo_negatives": "none"}},
         "mutual.target = 'gate' learns by training pairs"),
        ({"mutual": {"members": MEMBERS, "logit_weighting": {"kind": "sample"}}}, "kind = 'sample' is of classes"),
        ({"mutual": {"members": MEMBERS, "target": "mean", "logit_weighting": {"kind": "pooled"}}},
         "set mutual.target = 'peers'"),
        ({"mutual": {"members": MEMBERS, "logit_weighting": {"kind": "pooled", "gradient": "both"}}},
         "gradient = 'both' is of classes"),
        ({"mutual": {"members": MEMBERS, "logit_weighting": {"kind": "pooled"}}, "graph": {"targets": ["indication"]}},
         "name two of graph.targets"),
        ({"mutual": {"members": MEMBERS, "logit_weighting": {"kind": "pooled"}},
          "distill": {"random_graph": {"sampler": "exact"}}}, "weighs listed pairs"),
        ({"task": {"kind": "node_classification"}, "student": {}}, "[mutual] says nothing"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(tables: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        profile(**tables)
    line = str(refused.value)
    assert said in line
    assert "\n" not in line
