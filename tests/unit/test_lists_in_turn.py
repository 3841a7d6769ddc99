"""Lists of the last epochs: every tail in turn with the heads held, and a share of each that is its own edges."""

from __future__ import annotations

import pytest
import torch

from flykd_console.distill.heuristic_teacher import NeighbourTeacher
from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.labels.own_edges import OwnEdges
from flykd_console.distill.labels.sources.pseudo_lists import PseudoLists
from flykd_console.distill.labels.turns import Turns
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.model.encoded import Encoded
from flykd_console.model.link_model import link_model
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from tests.unit.test_lists import table_of, task_of

CPU = torch.device("cpu")


@pytest.fixture
def task() -> LinkPrediction:
    return task_of()


@pytest.fixture
def inputs(task: LinkPrediction) -> DistillInputs:
    return task.distill_inputs(task.profile.distill, "student")


def source_of(task: LinkPrediction, inputs: DistillInputs, **settings: float) -> PseudoLists:
    lists = task.profile.distill.lists.model_copy(update=settings)
    teacher = NeighbourTeacher(inputs, Neighbours(inputs.training()))
    draws = (torch.Generator().manual_seed(1), torch.Generator().manual_seed(2))
    return PseudoLists(inputs.space, teacher, lists, *draws, epochs=10)


@pytest.mark.parametrize(("count", "size"), [(10, 4), (10, 10), (3, 8), (7, 1), (1, 3)])
def test_each_thing_is_once_in_every_pass(count: int, size: int) -> None:
    turns = Turns(count, size, 5, CPU)
    stream = torch.cat([turns.batch(number) for number in range(3 * count)])
    assert len(stream) == 3 * count * size
    for one in stream.view(-1, count):
        assert one.sort().values.tolist() == list(range(count))


def test_passes_have_orders_of_their_own_and_a_batch_follows_from_its_number() -> None:
    turns = Turns(50, 50, 5, CPU)
    assert turns.batch(0).tolist() != turns.batch(1).tolist()
    assert Turns(50, 50, 5, CPU).batch(1).tolist() == turns.batch(1).tolist()
    assert Turns(50, 50, 6, CPU).batch(0).tolist() != turns.batch(0).tolist()


def test_a_share_of_a_list_is_the_tails_own_edges(task: LinkPrediction, inputs: DistillInputs) -> None:
    for number, target in enumerate(inputs.targets):
        pairs = inputs.space.relations[number]
        columns = torch.tensor([2, 0, 2, pairs.tail_count - 1])
        lists = torch.rand(len(columns), len(inputs.space.heads)).softmax(dim=1)
        found = OwnEdges(pairs, len(inputs.space.heads)).mixed(lists.clone(), columns, 0.25)
        heads, tails = inputs.train[target]
        for row, column in enumerate(columns.tolist()):
            own = set(heads[tails == inputs.space.tails[target.relation][column]].tolist())
            expected = lists[row].clone()
            if own:
                expected *= 0.75
                for place, head in enumerate(inputs.space.heads.tolist()):
                    expected[place] += 0.25 / len(own) if head in own else 0.0
            assert torch.allclose(found[row], expected)
            assert found[row].sum().item() == pytest.approx(1.0, abs=1e-5)


def test_held_heads_get_no_gradient_and_every_tail_gets_its_turn(task: LinkPrediction, inputs: DistillInputs) -> None:
    source = source_of(task, inputs, held_from=0.5)
    model = table_of(task)
    seen = torch.zeros_like(model.tails)
    first = source.loss(inputs.encoder(link_model(model), None)(model), 4)
    first.backward()
    assert model.head.grad is not None
    longest = max(pairs.tail_count for pairs in inputs.space.relations)
    for epoch in range(5, 5 + longest // 8 + 1):
        model.zero_grad()
        source.loss(inputs.encoder(link_model(model), None)(model), epoch).backward()
        assert model.head.grad is None
        assert model.relation.grad is None
        assert model.bias.grad is None
        assert model.tails.grad is not None
        seen += model.tails.grad.abs()
    for number, target in enumerate(inputs.targets):
        moved = (seen[number].sum(dim=1) > 0).nonzero().reshape(-1).tolist()
        assert moved == sorted(inputs.space.tails[target.relation].tolist())


def test_before_heads_are_held_nothing_is_drawn_otherwise(task: LinkPrediction, inputs: DistillInputs) -> None:
    model = table_of(task)
    encoded: Encoded = inputs.encoder(link_model(model), None)(model)
    plain, held = source_of(task, inputs), source_of(task, inputs, held_from=0.5)
    for epoch in range(5):
        assert plain.loss(encoded, epoch).item() == held.loss(encoded, epoch).item()
    assert plain.loss(encoded, 5).item() != held.loss(encoded, 5).item()


def test_held_heads_without_lists_around_tails_are_refused() -> None:
    with pytest.raises(ValueError, match="held_from does not act"):
        Profile.model_validate({"distill": {"lists": {"tails": 0, "heads": 4, "held_from": 0.5}}})
