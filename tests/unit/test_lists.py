"""Students of lists: free tables, heuristics as teachers, and labels that are whole lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flykd_console.distill.heuristic_teacher import NeighbourTeacher, PopularityTeacher
from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.labels.sources.pseudo_lists import PseudoLists
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.heuristics.popularity import Popularity
from flykd_console.model.link_model import link_model
from flykd_console.model.link_tables import LinkTables
from flykd_console.profile.models import entries_of, models_of
from flykd_console.profile.rooms import structure_losses
from flykd_console.profile.schema import Profile
from flykd_console.runs.models import Role
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.schedule import StraightFall
from tests.support.small_graph import small_graph

TEACHERS = [{"kind": "neighbours"}, {"kind": "popularity", "weight": 0.1}]
LISTS = {
    "run": {"models": ["student"]},
    "student": {"kind": "table", "dim": 6},
    "distill": {"epochs": 4, "sources": ["pseudo_lists"], "teachers": TEACHERS, "lists": {"tails": 8}},
}


def task_of(**sections: dict[str, object]) -> LinkPrediction:
    profile = Profile.model_validate(LISTS | sections)
    graph = small_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


@pytest.fixture
def task() -> LinkPrediction:
    return task_of()


@pytest.fixture
def inputs(task: LinkPrediction) -> DistillInputs:
    return task.distill_inputs(task.profile.distill, "student")


def table_of(task: LinkPrediction) -> LinkTables:
    model = task.new_model(models_of(task.profile)[0])
    assert isinstance(model, LinkTables)
    return model


def test_a_tables_logit_is_distmult_and_the_heads_bias(task: LinkPrediction) -> None:
    model = table_of(task)
    encoded = task.data.encode_all(model)
    for number, target in enumerate(task.data.targets):
        name = target.relation
        logit = (encoded.head[3] * encoded.relation[name] * encoded.tails[name][5]).sum()
        expected = (model.head[3] * model.relation[number] * model.tails[number, 5]).sum() + model.bias[number, 3]
        assert logit.item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_fresh_bias_grows_with_the_training_degree(task: LinkPrediction) -> None:
    model = table_of(task)
    for number, target in enumerate(task.data.targets):
        degrees = torch.from_numpy(task.data.head_degrees[target.relation])
        assert torch.equal(model.bias[number].argsort(stable=True), degrees.argsort(stable=True))
        assert degrees.sum() == len(task.data.split.train[target][0])


def test_tensors_reproduce_a_table_and_others_are_refused(task: LinkPrediction) -> None:
    model, other = table_of(task), table_of(task)
    with torch.no_grad():
        model.head.add_(1.0)
    other.load_tensors(model.tensors())
    assert torch.equal(other.head, model.head)
    with pytest.raises(ValueError, match="bias: expected shape"):
        other.load_tensors(model.tensors() | {"bias": torch.zeros(1)})


def test_lists_of_neighbours_are_the_heuristics_divided_by_their_maximum(inputs: DistillInputs) -> None:
    heuristic = Neighbours(inputs.training(), power=2.0)
    teacher = NeighbourTeacher(inputs, heuristic)
    for number, target in enumerate(inputs.targets):
        columns = torch.arange(5)
        raw = heuristic.block(target, inputs.space.tails[target.relation][:5])
        most = raw.max(axis=1, keepdims=True)
        expected = (raw / np.where(most > 0, most, 1.0))[:, inputs.space.heads]
        assert np.allclose(teacher.lists(number, columns).numpy(), expected, atol=1e-6)


def test_popularity_gives_one_list_to_every_tail(inputs: DistillInputs) -> None:
    teacher = PopularityTeacher(inputs, Popularity(inputs.training()))
    found = teacher.lists(0, torch.arange(4))
    degrees = np.bincount(inputs.train[inputs.targets[0]][0], minlength=inputs.training().heads)
    expected = np.log1p(degrees) / np.log1p(degrees).max()
    assert np.allclose(found.numpy(), np.tile(expected[inputs.space.heads], (4, 1)), atol=1e-6)


def test_a_heuristics_logits_grow_with_its_scores_and_blocks_agree(inputs: DistillInputs) -> None:
    teacher = NeighbourTeacher(inputs, Neighbours(inputs.training()))
    pairs = inputs.space.relations[0]
    flat = torch.arange(pairs.area)
    logits = teacher.logits([flat, torch.empty(0, dtype=torch.int64)])[0].view(len(pairs.heads), pairs.tail_count)
    assert torch.allclose(teacher.block(0)(slice(None)), logits, atol=1e-5)
    scores = teacher.lists(0, torch.arange(pairs.tail_count)).index_select(1, pairs.heads).T.reshape(-1)
    order = scores.argsort()
    assert (logits.reshape(-1)[order].diff() >= -1e-6).all()


def test_the_loss_is_the_cross_entropy_of_two_softmaxes(task: LinkPrediction, inputs: DistillInputs) -> None:
    teacher = NeighbourTeacher(inputs, Neighbours(inputs.training()))
    settings = task.profile.distill.lists
    source = PseudoLists(inputs.space, teacher, settings, torch.Generator().manual_seed(1))
    again = PseudoLists(inputs.space, teacher, settings, torch.Generator().manual_seed(1))
    model = table_of(task)
    encoded = inputs.encoder(link_model(model), None)(model)
    expected = []
    for number, pairs in enumerate(inputs.space.relations):
        each = []
        for column in again._draw(pairs):
            wanted = (settings.sharpness * teacher.lists(number, column[None])[0]).softmax(dim=0)
            weighed = encoded.head * encoded.relation[pairs.relation]
            logits = weighed @ encoded.tails[pairs.relation][column]
            each.append(-(wanted * logits.log_softmax(dim=0)).sum())
        expected.append(torch.stack(each).mean())
    assert source.loss(encoded, 0).item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


def test_lists_are_drawn_from_tails_without_an_edge_too(inputs: DistillInputs) -> None:
    teacher = PopularityTeacher(inputs, Popularity(inputs.training()))
    draws = []
    for unseen in (0.0, 1.0):
        settings = task_of().profile.distill.lists.model_copy(update={"unseen": unseen, "tails": 50})
        source = PseudoLists(inputs.space, teacher, settings, torch.Generator().manual_seed(2))
        draws.append(source._draw(inputs.space.relations[0]))
    known, count = inputs.space.relations[0].known_count, inputs.space.relations[0].unseen_count
    assert (draws[0] < known).all()
    assert (draws[1] >= known).all() if count else (draws[1] < known).all()


def test_a_rate_falls_in_a_straight_line_and_then_stays() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    fall = StraightFall(optimizer, 0.5, 0.1, epochs=5)
    rates = [optimizer.param_groups[0]["lr"]]
    for epoch in range(6):
        fall.step(epoch, torch.zeros(()))
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1])


def test_without_a_baseline_a_student_is_held_against_the_neighbours() -> None:
    entries = {entry.name: entry for entry in entries_of(Profile.model_validate(LISTS))}
    assert entries["student"].over == "neighbours"
    assert entries["neighbours"].role is Role.HEURISTIC
    alone = Profile.model_validate(LISTS | {"evaluation": {"heuristics": []}})
    assert [entry.over for entry in entries_of(alone)] == [""]


@pytest.mark.parametrize("loss", ["lsp", "hidden"])
def test_layers_of_a_table_cannot_be_compared(loss: str) -> None:
    table = {"weight": 1.0}
    with pytest.raises(ValueError, match="has none"):
        Profile.model_validate({"student": {"kind": "table"}, "distill": {loss: table}})


def test_a_loss_that_looks_at_the_students_layers_alone_is_refused_for_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = structure_losses()
    assert {name for name, loss in losses.items() if loss.asks_for_layers} == {"lsp", "hidden"}
    monkeypatch.setattr(losses["lsp"], "needs_layers", False)
    distill = {"lsp": {"weight": 1.0}}
    Profile.model_validate({"distill": distill})
    with pytest.raises(ValueError, match=r"distill\.lsp looks at layers, but a student of kind = 'table' has none"):
        Profile.model_validate({"student": {"kind": "table"}, "distill": distill})
