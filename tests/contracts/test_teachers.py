"""Every kind of teacher: a logit for any pair, the same whichever way it is asked for, alone or in a mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.distill.mean_teacher import mean_teacher
from flykd_console.distill.method import teacher_of
from flykd_console.distill.teacher import Teacher
from flykd_console.profile.rooms import teacher_kinds
from tests.contracts.conftest import Lesson, lesson
from tests.contracts.examples import TEACHERS, example

KINDS = sorted(teacher_kinds())


def _entry(kind: str, folder: Path, **more: Any) -> dict[str, Any]:
    return {"kind": kind} | example(TEACHERS, kind, folder) | more


def _teacher(found: Lesson) -> Teacher:
    inputs = found.task.distill_inputs(found.task.profile.distill, "student")
    encoded = [inputs.encoder(teacher, None)(teacher) for teacher in found.teachers]
    return teacher_of(found.task.profile.distill, inputs, encoded)


def _some_pairs(found: Lesson) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return [torch.randint(pairs.area, (40,), generator=rng) for pairs in found.task.data.space.relations]


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_and_blocks_have_the_same_logits(kind: str, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)])
    teacher, pairs = _teacher(found), _some_pairs(found)
    listed = teacher.logits(pairs)
    for number, (relation, index) in enumerate(zip(found.task.data.space.relations, pairs, strict=True)):
        whole = teacher.block(number)(slice(0, len(relation.heads)))
        assert whole.shape == (len(relation.heads), relation.tail_count)
        assert torch.isfinite(whole).all()
        assert torch.allclose(whole.reshape(-1)[index], listed[number], atol=1e-5)
        rows, columns = torch.tensor([1, 0]), torch.tensor([2, 0, 1])
        assert torch.allclose(teacher.block(number, rows, columns)(slice(0, 1)), whole[1:2][:, columns], atol=1e-5)
        assert not listed[number].requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_overwriting_a_block_leaves_the_teacher_as_it_is(kind: str, tmp_path: Path) -> None:
    teacher = _teacher(lesson(teachers=[_entry(kind, tmp_path)]))
    before = teacher.block(0)(slice(0, 2)).clone()
    teacher.block(0)(slice(0, 2)).zero_()
    assert torch.equal(teacher.block(0)(slice(0, 2)), before)


@pytest.mark.parametrize("kind", KINDS)
def test_it_takes_part_in_a_mean_by_its_weight(kind: str, tmp_path: Path) -> None:
    both = lesson(teachers=[_entry(kind, tmp_path, weight=3.0), {"kind": "network"}])
    alone, network = lesson(teachers=[_entry(kind, tmp_path)]), lesson()
    if kind == "network":  # two networks of one run differ in their initialisation
        network.teachers[0] = both.teachers[1]
    pairs = _some_pairs(both)
    for mean, ours, theirs in zip(
        _teacher(both).logits(pairs), _teacher(alone).logits(pairs), _teacher(network).logits(pairs), strict=True
    ):
        assert torch.allclose(mean, 0.75 * ours + 0.25 * theirs, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_learns_from_its_labels(kind: str, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)], sources=["pseudo_train", "pseudo_random"])
    found.losses()["total"].backward()
    assert any(bool(p.grad is not None and p.grad.abs().sum() > 0) for p in found.student.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_its_lists_order_the_heads_as_its_logits_do(kind: str, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)])
    teacher, space = _teacher(found), found.task.data.space
    for number, pairs in enumerate(space.relations):
        columns = torch.tensor([2, 0, 1])
        lists = teacher.lists(number, columns)
        assert lists.shape == (3, len(space.heads))
        assert lists.dtype == torch.float32
        mine = lists.index_select(1, pairs.heads)
        logits = teacher.block(number, None, columns)(slice(0, len(pairs.heads))).T
        ours, theirs = (scores.unsqueeze(2) - scores.unsqueeze(1) for scores in (mine, logits))
        # A calibration may turn scores that say nothing round, or level them.
        agree = (ours * theirs)[ours.abs() > 1e-4]
        assert bool((agree >= -1e-6).all()) or bool((agree <= 1e-6).all())
        before = lists.clone()
        lists.zero_()
        assert torch.equal(teacher.lists(number, columns), before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_learns_from_its_lists(kind: str, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)], sources=["pseudo_lists"], lists={"tails": 8})
    found.losses()["total"].backward()
    assert any(bool(p.grad is not None and p.grad.abs().sum() > 0) for p in found.student.parameters())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in ("network", "scores")])
def test_lists_around_heads_and_around_tails_are_one_table_of_logits(kind: str, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)])
    teacher, space = _teacher(found), found.task.data.space
    for number, pairs in enumerate(space.relations):
        around_tails = teacher.lists(number, torch.arange(pairs.tail_count))
        rows = torch.tensor([3, 0, 5])
        assert torch.allclose(teacher.tail_lists(number, rows), around_tails.T[rows], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_its_lists_around_heads_are_new_tables_and_take_part_in_a_mean(kind: str, tmp_path: Path) -> None:
    teacher = _teacher(lesson(teachers=[_entry(kind, tmp_path)]))
    rows = torch.tensor([2, 0])
    before = teacher.tail_lists(0, rows).clone()
    teacher.tail_lists(0, rows).zero_()
    assert torch.equal(teacher.tail_lists(0, rows), before)
    assert before.dtype == torch.float32
    mean = mean_teacher([teacher, teacher], [3.0, 1.0])
    assert torch.allclose(mean.tail_lists(0, rows), before, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tails", [0, 8])
def test_a_student_learns_from_its_lists_around_heads(kind: str, tails: int, tmp_path: Path) -> None:
    found = lesson(teachers=[_entry(kind, tmp_path)], sources=["pseudo_lists"], lists={"tails": tails, "heads": 8})
    found.losses()["total"].backward()
    assert any(bool(p.grad is not None and p.grad.abs().sum() > 0) for p in found.student.parameters())
