"""A gate: the weights of several teachers, learnt on validation pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from flykd_console.distill.gate import GatedTeacher, gated
from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.mean_teacher import mean_teacher
from flykd_console.distill.method import teacher_of
from flykd_console.distill.teacher import Teacher
from flykd_console.errors import UserError
from flykd_console.profile.schema import Profile
from tests.unit.test_lists import DISTILL, TEACHERS, task_of


class Table(Teacher):
    """Scores that stand in tables, float32 [m, n] for each relation, of heads that are all those of the space."""

    def __init__(self, inputs: DistillInputs, tables: list[Tensor]) -> None:
        self._space, self._tables = inputs.space, tables

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        found = []
        for pairs, table, index in zip(self._space.relations, self._tables, indices, strict=True):
            heads = pairs.heads[index // pairs.tail_count]
            found.append(table[heads, index % pairs.tail_count])
        return found

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        pairs, table = self._space.relations[relation], self._tables[relation]
        heads = pairs.heads if rows is None else pairs.heads[rows]
        mine = table[heads] if columns is None else table[heads][:, columns]
        return lambda some: mine[some].clone()

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        return self._tables[relation][:, columns].T.clone()

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        return self._tables[relation][rows].clone()


@pytest.fixture
def inputs() -> DistillInputs:
    task = task_of()
    return task.distill_inputs(task.profile.distill, "student")


def noise(inputs: DistillInputs, seed: int) -> Table:
    draw = torch.Generator().manual_seed(seed)
    heads = len(inputs.space.heads)
    return Table(inputs, [torch.rand(heads, pairs.tail_count, generator=draw) for pairs in inputs.space.relations])


def oracle(inputs: DistillInputs, every: int = 1) -> Table:
    """Knows the validation pairs of all or every second tail, and nothing of the others."""
    tables = []
    for number, pairs in enumerate(inputs.space.relations):
        table = torch.zeros(len(inputs.space.heads), pairs.tail_count)
        target = inputs.targets[number]
        known = next(one for one in inputs.calibration() if one.relation == target.relation)
        places = {int(node): place for place, node in enumerate(inputs.space.tails[target.relation])}
        true = known.labels == 1
        for head, tail in zip(known.heads[true], known.tails[true], strict=True):
            row = np.flatnonzero(inputs.space.heads == head)
            if int(tail) in places and places[int(tail)] % every == 0 and len(row):
                table[row[0], places[int(tail)]] = 1.0
        tables.append(table)
    return Table(inputs, tables)


def test_a_gate_finds_the_teacher_that_knows(inputs: DistillInputs) -> None:
    gate = gated([noise(inputs, 0), oracle(inputs)], [1.0, 1.0], "relation", 8.0, inputs)
    for weights in gate.gates:
        assert torch.allclose(weights.sum(dim=0), torch.ones(weights.shape[1]))
        assert (weights[1] > 0.9).all()
        assert torch.equal(weights, weights[:, :1].expand_as(weights))


def test_a_gate_by_tail_hears_a_teacher_more_where_it_is_sure(inputs: DistillInputs) -> None:
    knows = oracle(inputs, every=2)
    gate = gated([noise(inputs, 0), knows], [1.0, 1.0], "tail", 8.0, inputs)
    for number, weights in enumerate(gate.gates):
        sure = knows.lists(number, torch.arange(weights.shape[1])).amax(dim=1) > 0
        assert weights[1][sure].min() > weights[1][~sure].max()


def test_its_four_answers_agree(inputs: DistillInputs) -> None:
    teachers = [noise(inputs, 0), noise(inputs, 1)]
    draw = torch.Generator().manual_seed(2)
    gates = [torch.rand(2, pairs.tail_count, generator=draw).softmax(dim=0) for pairs in inputs.space.relations]
    gate = GatedTeacher(inputs.space, teachers, gates)
    for number, pairs in enumerate(inputs.space.relations):
        columns = torch.arange(pairs.tail_count)
        first, second = (teacher.lists(number, columns) for teacher in teachers)
        expected = gates[number][0][:, None] * first + gates[number][1][:, None] * second
        assert torch.allclose(gate.lists(number, columns), expected)
        assert torch.allclose(gate.tail_lists(number, torch.tensor([3, 1])), expected[:, [3, 1]].T)
        assert torch.allclose(gate.block(number)(slice(None)), expected[:, pairs.heads].T)
        some = torch.tensor([2, 0])
        assert torch.allclose(gate.block(number, some, some)(slice(None)), expected[some][:, pairs.heads[some]].T)
        asked = [torch.arange(one.area if place == number else 0) for place, one in enumerate(inputs.space.relations)]
        found = gate.logits(asked)[number].view(len(pairs.heads), pairs.tail_count)
        assert torch.allclose(found, expected[:, pairs.heads].T)


def test_equal_gates_are_the_mean(inputs: DistillInputs) -> None:
    teachers = [noise(inputs, 0), noise(inputs, 1)]
    gates = [torch.tensor([0.75, 0.25])[:, None].expand(2, p.tail_count) for p in inputs.space.relations]
    mean = mean_teacher(teachers, [3.0, 1.0])
    columns = torch.arange(4)
    assert torch.allclose(GatedTeacher(inputs.space, teachers, gates).lists(0, columns), mean.lists(0, columns))


def test_a_profile_asks_for_a_gate_and_trains_with_it() -> None:
    task = task_of(distill=DISTILL | {"gate": "tail"})
    found = teacher_of(task.profile.distill, task.distill_inputs(task.profile.distill, "student"), [])
    assert isinstance(found, GatedTeacher)
    assert len({round(float(weight), 6) for weight in found.gates[0][0]}) > 1


def test_a_gate_of_one_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="does not act with one teacher"):
        Profile.model_validate({"distill": {"gate": "tail", "teachers": TEACHERS[:1]}})


def test_a_gate_without_validation_pairs_is_refused(inputs: DistillInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flykd_console.distill.gate.FEWEST", 10**6)
    with pytest.raises(UserError, match="too few to learn their weights from"):
        gated([noise(inputs, 0), noise(inputs, 1)], [1.0, 1.0], "relation", 8.0, inputs)
