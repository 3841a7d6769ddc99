"""Several values of a key on the command line, and the jobs that follow from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.plans.job import label_of, make_job, shard_of
from flykd_console.plans.machine import environment_of, jobs_at_once
from flykd_console.plans.sweep import combinations_of, is_sweep


def test_every_combination_is_made_in_the_order_typed() -> None:
    found = combinations_of(["student.dim=16,32", "finetune.epochs=5", "student.kind=rgcn,rgat"])
    assert [one.settings for one in found] == [
        ("student.dim=16", "finetune.epochs=5", "student.kind=rgcn"),
        ("student.dim=16", "finetune.epochs=5", "student.kind=rgat"),
        ("student.dim=32", "finetune.epochs=5", "student.kind=rgcn"),
        ("student.dim=32", "finetune.epochs=5", "student.kind=rgat"),
    ]
    assert label_of(found[1].values) == "dim=16 kind=rgat"
    assert label_of({"teacher.dim": "8", "student.dim": "4"}) == "teacher.dim=8 student.dim=4"


@pytest.mark.parametrize(
    "text",
    ["distill.epochs=5", 'run.name="a,b"', "graph.targets=[\"a\", 'b,c']", "x={a=1,b=2}", "nonsense", "a=[1,2", ""],
)
def test_one_value_is_no_sweep_whatever_commas_it_has_inside(text: str) -> None:
    assert not is_sweep([text])
    (only,) = combinations_of([text])
    assert only.settings == (text,)
    assert not only.values


def test_lists_can_be_swept() -> None:
    found = combinations_of(['distill.sources=["original"],["original", "pseudo_train"]'])
    assert [one.settings[0] for one in found] == [
        'distill.sources=["original"]', 'distill.sources=["original", "pseudo_train"]'
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["a=1,,2"], "a value is missing between commas"),
        (["a=1,2,1"], "1 comes twice"),
        (["a=1,2", "a=3"], "is set twice"),
        (["a=" + ",".join(map(str, range(40))), "b=" + ",".join(map(str, range(40)))], "1600 combinations"),
    ],
)
def test_sweeps_that_make_no_sense_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        combinations_of(settings)


def test_a_jobs_folder_follows_from_its_settings(tmp_path: Path) -> None:
    first, again, other = (
        make_job("flykd", [f"student.dim={dim}"], label="dim=16", seed=45, root=tmp_path) for dim in (16, 16, 32)
    )
    assert first.directory == again.directory != other.directory
    assert re.fullmatch(r"flykd-dim16-s45-[0-9a-f]{8}", first.directory.name)
    assert not list(tmp_path.iterdir())
    first.prepare()
    text = first.directory.profile.read_text()
    first.directory.order("stop")
    again.prepare()
    assert first.directory.profile.read_text() == text
    assert not first.directory.order_file("stop").exists()


def test_jobs_that_share_their_teachers_say_so() -> None:
    def teaches(*settings: str) -> str:
        return make_job("flykd", list(settings), label="x", seed=45).teaches

    assert teaches("student.dim=16") == teaches("student.dim=32") != ""
    assert teaches("student.dim=16") != teaches("teacher.dim=32")
    assert make_job("best", [], label="x", seed=45).teaches == ""


def test_shards_divide_the_jobs_and_lose_none() -> None:
    jobs = [make_job("flykd", [], label=f"x{n}", seed=45) for n in range(7)]
    parts = [shard_of(jobs, f"{i}/3") for i in (1, 2, 3)]
    assert [len(part) for part in parts] == [3, 2, 2]
    assert {job.directory for part in parts for job in part} == {job.directory for job in jobs}
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5"):
        with pytest.raises(UserError):
            shard_of(jobs, text)


def test_how_many_at_once_and_on_which_gpu() -> None:
    jobs = [make_job("flykd", [], label=f"x{n}", seed=45) for n in range(5)]
    assert jobs_at_once("3", jobs, []) == 3
    assert jobs_at_once("auto", jobs, ["0", "1"]) == 2
    assert 1 <= jobs_at_once("auto", jobs, []) <= 5
    for text in ("0", "many", "-1", "1.5", ""):
        with pytest.raises(UserError):
            jobs_at_once(text, jobs, [])
    assert [environment_of(slot, ["0", "3"]) for slot in range(3)] == [
        {"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("0", "3", "0")
    ]
    assert environment_of(1, []) == {}
