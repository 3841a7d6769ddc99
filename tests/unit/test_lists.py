"""Students of lists: free tables, heuristics as teachers, and labels that are whole lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flykd_console.distill.heuristic_teacher import NeighbourTeacher, PopularityTeacher
from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.labels.sources.pseudo_lists import PseudoLists
from flykd_console.distill.method import teacher_of
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, Targets
from flykd_console.graph.walks import walks
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.heuristics.popularity import Popularity
from flykd_console.model.encoded import Encoded, mean_of
from flykd_console.model.link_model import link_model
from flykd_console.model.link_tables import LinkTables
from flykd_console.profile.models import completed, entries_of, models_of
from flykd_console.profile.rooms import structure_losses
from flykd_console.profile.schema import Profile
from flykd_console.runs.models import Role
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.scorers import ListScorer
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.schedule import StraightFall
from tests.support.small_graph import kin_graph

TEACHERS = [{"kind": "neighbours"}, {"kind": "popularity", "weight": 0.1}]
DISTILL = {"epochs": 4, "sources": ["pseudo_lists"], "teachers": TEACHERS, "lists": {"tails": 8}}
LISTS = {
    "run": {"models": ["student"]},
    "student": {"kind": "table", "dim": 6},
    "distill": DISTILL,
}


def task_of(**sections: dict[str, object]) -> LinkPrediction:
    profile = Profile.model_validate(LISTS | sections)
    graph = kin_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


@pytest.fixture
def task() -> LinkPrediction:
    return task_of()


@pytest.fixture
def inputs(task: LinkPrediction) -> DistillInputs:
    return task.distill_inputs(task.profile.distill, "student")


def table_of(task: LinkPrediction) -> LinkTables:
    model = task.new_model(models_of(task.profile)[-1])
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


def test_shares_divide_a_neighbours_labels_by_a_power_of_their_number(inputs: DistillInputs) -> None:
    training = inputs.training()
    target = inputs.targets[0]
    tails = np.arange(training.tails)
    labels = training.labels(target)
    count = np.maximum(labels.sum(axis=1), 1.0)
    mine = np.asarray((Neighbours(training).profiles @ Neighbours(training).profiles.T).todense())
    np.fill_diagonal(mine, 0.0)
    # Few enough tails are labelled here for all of them to be neighbours.
    expected = mine @ (labels.todense() / count[:, None] ** 0.5)
    assert len(np.flatnonzero(labels.sum(axis=1))) <= 60
    assert np.allclose(Neighbours(training, k=60, share=0.5).block(target, tails), expected)


def test_walks_are_the_sum_over_steps_and_add_their_weight_to_the_similarity() -> None:
    edge_type = EdgeType("disease", "disease_disease", "disease")
    heads, tails = np.array([0, 1, 2]), np.array([1, 2, 3])
    target = EdgeType("drug", "indication", "disease")
    edges = {edge_type: (heads, tails), target: (np.array([0]), np.array([4]))}
    training = TrainingEdges(edges, Targets([target]), {"drug": 2, "disease": 5}, 45)
    edges_both_ways = training.adjacency("disease")
    assert edges_both_ways is not None
    found = walks(edges_both_ways)
    adjacency = np.zeros((5, 5))
    adjacency[heads, tails] = adjacency[tails, heads] = 1.0
    step = adjacency / np.maximum(adjacency.sum(axis=1, keepdims=True), 1.0)
    expected = sum(0.15 * 0.85**s * np.linalg.matrix_power(step, s) for s in range(5))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(found.toarray(), expected)
    plain, walked = Neighbours(training).profiles, Neighbours(training, walk=2.0).profiles
    added = (walked @ walked.T - plain @ plain.T).toarray()
    assert np.allclose(added, 2.0 * expected @ expected.T)


def test_walks_need_a_relation_between_nodes_of_the_type(inputs: DistillInputs) -> None:
    training = inputs.training()
    assert training.adjacency("drug") is None
    assert np.array_equal(
        Neighbours(training, walk=1.0).block(inputs.targets[0], np.arange(9)),
        Neighbours(training).block(inputs.targets[0], np.arange(9)),
    ) is ("disease_disease" not in [edge_type.relation for edge_type in training.edges])


def test_the_lists_that_teach_are_a_row_of_their_own(task: LinkPrediction, inputs: DistillInputs) -> None:
    row, student = models_of(task.profile)
    assert (row.name, row.entry.role, row.trained) == ("teacher-lists", Role.ENSEMBLE, False)
    assert student.name == "student"
    heuristic = NeighbourTeacher(inputs, Neighbours(inputs.training(), power=2.0))
    popular = PopularityTeacher(inputs, Popularity(inputs.training()))
    scorer = ListScorer(teacher_of(task.profile.distill, inputs, []), inputs.space)
    target = inputs.targets[1]
    some_tails, some_heads = inputs.space.tails[target.relation][[5, 0, 9]], inputs.space.heads[[3, 1]]
    columns = torch.tensor([5, 0, 9])
    expected = (heuristic.lists(1, columns) + 0.1 * popular.lists(1, columns)) / 1.1
    block = scorer.block(target, some_tails, some_heads)
    assert np.allclose(block, expected[:, [3, 1]], atol=1e-6)
    assert np.allclose(scorer.pairs(target, some_heads[[0, 1]], some_tails[[2, 0]]), block[[2, 0], [0, 1]])


def test_a_node_outside_of_the_lists_scores_zero(task: LinkPrediction, inputs: DistillInputs) -> None:
    scorer = ListScorer(teacher_of(task.profile.distill, inputs, []), inputs.space)
    outside = np.setdiff1d(np.arange(200), inputs.space.heads)[:1]
    known = inputs.space.heads[:1]
    found = scorer.block(
        inputs.targets[0], inputs.space.tails["contraindication"][:4], np.concatenate([known, outside])
    )
    assert (found[:, 1] == 0.0).all()


def test_students_of_a_run_share_the_row_of_their_teachers() -> None:
    further = {"small": {"dim": 4, "kind": "table"}}
    profile = Profile.model_validate(completed(LISTS | {"run": {"models": ["student", "small"]}, "models": further}))
    assert [spec.name for spec in models_of(profile)] == ["teacher-lists", "student", "small"]


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


def test_neighbours_around_a_head_are_the_heuristics_divided_by_the_maximum_of_the_head(inputs: DistillInputs) -> None:
    heuristic = Neighbours(inputs.training(), power=2.0)
    teacher = NeighbourTeacher(inputs, heuristic)
    for number, target in enumerate(inputs.targets):
        rows = torch.tensor([4, 0, 7])
        raw = heuristic.block(target, inputs.space.tails[target.relation])[:, inputs.space.heads[rows]].T
        most = raw.max(axis=1, keepdims=True)
        assert most.max() > 0.0
        expected = raw / np.where(most > 0.0, most, 1.0)
        assert np.allclose(teacher.tail_lists(number, rows).numpy(), expected, atol=1e-6)


def test_popularity_orders_no_tails(inputs: DistillInputs) -> None:
    teacher = PopularityTeacher(inputs, Popularity(inputs.training()))
    assert torch.equal(teacher.tail_lists(0, torch.arange(3)), torch.zeros(3, inputs.space.relations[0].tail_count))


def around_heads(task: LinkPrediction, inputs: DistillInputs, **settings: float) -> PseudoLists:
    lists = task.profile.distill.lists.model_copy(update={"heads": 6, "head_weight": 0.5, "head_sharpness": 3.0})
    teacher = NeighbourTeacher(inputs, Neighbours(inputs.training()))
    tails, heads = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    return PseudoLists(inputs.space, teacher, lists.model_copy(update=settings), tails, heads)


def test_lists_around_heads_are_the_cross_entropy_over_tails_and_add_up(
    task: LinkPrediction, inputs: DistillInputs
) -> None:
    model = table_of(task)
    encoded = inputs.encoder(link_model(model), None)(model)
    again, teacher = around_heads(task, inputs), NeighbourTeacher(inputs, Neighbours(inputs.training()))
    expected = []
    for number, pairs in enumerate(inputs.space.relations):
        each = []
        for row in again._draw_heads(pairs):
            wanted = (3.0 * teacher.tail_lists(number, row[None])[0]).softmax(dim=0)
            logits = encoded.tails[pairs.relation] @ (encoded.head[row] * encoded.relation[pairs.relation])
            each.append(-(wanted * logits.log_softmax(dim=0)).sum())
        expected.append(0.5 * torch.stack(each).mean())
    alone = around_heads(task, inputs, tails=0).loss(encoded, 0)
    assert alone.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)
    around_tails = around_heads(task, inputs, heads=0).loss(encoded, 0)
    assert around_heads(task, inputs).loss(encoded, 0).item() == pytest.approx((alone + around_tails).item(), rel=1e-5)


def test_the_gradient_of_lists_around_heads_is_that_of_finite_differences(
    task: LinkPrediction, inputs: DistillInputs
) -> None:
    model = table_of(task).double()
    rng = torch.Generator().manual_seed(0)

    def loss() -> torch.Tensor:
        return around_heads(task, inputs, tails=0).loss(inputs.encoder(link_model(model), None)(model), 0)

    loss().backward()
    for parameter in (model.head, model.tails, model.relation):
        assert parameter.grad is not None
        direction = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
        slope = (parameter.grad * direction).sum().item()
        found = []
        for step in (1e-4, -1e-4):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                found.append(loss().item())
                parameter.add_(direction, alpha=-step)
        assert slope == pytest.approx((found[0] - found[1]) / 2e-4, rel=1e-3, abs=1e-7)


def test_heads_are_drawn_from_those_with_an_edge(task: LinkPrediction, inputs: DistillInputs) -> None:
    source = around_heads(task, inputs, heads=400)
    for target, pairs in zip(inputs.targets, inputs.space.relations, strict=True):
        drawn = inputs.space.heads[source._draw_heads(pairs)]
        assert set(drawn.tolist()) <= set(inputs.train[target][0].tolist())
        assert len(set(drawn.tolist())) > 5


def test_a_method_without_lists_around_heads_draws_as_it_did(inputs: DistillInputs) -> None:
    teacher = PopularityTeacher(inputs, Popularity(inputs.training()))
    plain = PseudoLists.build(task_of().profile.distill, inputs, teacher)
    assert list(plain.generators) == ["lists"]
    both = PseudoLists.build(task_of(distill=DISTILL | {"lists": {"heads": 4}}).profile.distill, inputs, teacher)
    assert list(both.generators) == ["lists", "lists-around-heads"]


def test_lists_around_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="tails and heads are both 0"):
        Profile.model_validate({"distill": {"lists": {"tails": 0}}})


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


def test_a_rate_goes_on_falling_after_a_checkpoint() -> None:
    def fresh() -> tuple[torch.optim.Optimizer, StraightFall]:
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
        return optimizer, StraightFall(optimizer, 0.5, 0.1, epochs=5)

    before, fall = fresh()
    for epoch in range(2):
        fall.step(epoch, torch.zeros(()))
    after, resumed = fresh()
    after.load_state_dict(before.state_dict())
    resumed.load_state_dict(fall.state_dict())
    resumed.step(2, torch.zeros(()))
    assert after.param_groups[0]["lr"] == pytest.approx(0.2)


def soft_labels_of(teacher: str) -> LinkPrediction:
    return task_of(distill=DISTILL | {"sources": ["original", "pseudo_train"], "teachers": [{"kind": teacher}]})


@pytest.mark.parametrize("teacher", ["popularity", "neighbours"])
def test_labels_of_a_heuristic_grow_with_its_scores(teacher: str) -> None:
    task = soft_labels_of(teacher)
    inputs = task.distill_inputs(task.profile.distill, "student")
    found = teacher_of(task.profile.distill, inputs, [])
    for number, pairs in enumerate(inputs.space.relations):
        logits = found.block(number)(slice(None))
        lists = found.lists(number, torch.arange(pairs.tail_count)).index_select(1, pairs.heads).T
        assert logits.flatten()[lists.argmax()] > logits.flatten()[lists.argmin()] + 0.1


def test_half_of_the_calibrations_negatives_replace_the_head(task: LinkPrediction) -> None:
    for stored, found in zip(task.data.evaluation("validation"), task.data.calibration, strict=True):
        count = len(stored.labels)
        further = slice(count, None)
        positive = stored.labels == 1
        assert np.array_equal(found.heads[:count], stored.heads)
        assert (found.labels[further] == 0).all()
        assert set(found.tails[further].tolist()) <= set(stored.tails[positive].tolist())
        assert len(found.labels) > count


def test_equal_heuristics_over_the_same_edges_are_one(inputs: DistillInputs) -> None:
    training = inputs.training()
    assert training.heuristic(Neighbours, k=3) is training.heuristic(Neighbours, k=3)
    assert training.heuristic(Neighbours, k=3) is not training.heuristic(Neighbours, k=4)
    first, second = (teacher_of(task_of().profile.distill, inputs, []) for _ in range(2))
    assert torch.equal(first.lists(0, torch.arange(3)), second.lists(0, torch.arange(3)))


def test_scores_that_tell_nothing_make_no_labels_and_say_so_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    task = soft_labels_of("neighbours")
    calibration = task.data.calibration
    for pairs in calibration:
        pairs.labels[:] = 1 - pairs.labels
    monkeypatch.setattr(LinkData, "calibration", calibration)
    with pytest.raises(UserError, match=f"{calibration[0].relation} are no higher for true validation pairs"):
        task.check(models_of(task.profile))


def test_lists_ask_for_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinkData, "calibration", property(lambda data: pytest.fail("nobody asked for a label")))
    task = task_of()
    task.check(models_of(task.profile))


def test_networks_of_an_entry_share_its_weight() -> None:
    teachers = [{"kind": "network", "count": 2, "weight": 3.0}, {"kind": "popularity"}, {"kind": "network"}]
    profile = Profile.model_validate({"distill": {"teachers": teachers}})
    assert profile.distill.network_weights == [1.5, 1.5, 1.0]


def test_a_mean_of_embeddings_weighs_logits() -> None:
    generator = torch.Generator().manual_seed(3)
    each = [
        Encoded(
            head=torch.randn(4, 3, generator=generator),
            tails={"r": torch.randn(5, 3, generator=generator)},
            relation={"r": torch.randn(3, generator=generator)},
            tail=torch.randn(5, 3, generator=generator),
        )
        for _ in range(2)
    ]
    logits = [(one.head * one.relation["r"]) @ one.tails["r"].T for one in each]
    mean = mean_of(each, [3.0, 1.0])
    found = (mean.head * mean.relation["r"]) @ mean.tails["r"].T
    assert torch.allclose(found, 0.75 * logits[0] + 0.25 * logits[1], atol=1e-6)


def test_a_table_students_beginning_is_nobody_elses() -> None:
    with pytest.raises(ValueError, match=r"models\.student-table: the name is taken"):
        Profile.model_validate(LISTS | {"models": {"student-table": {"dim": 3}}})


@pytest.mark.parametrize(
    ("distill", "finetune", "complaint"),
    [
        (
            {"lr": 1e-5, "plateau": {"stop_below": 1e-4}},
            {},
            "distill.plateau.stop_below = 0.0001 .* distill.lr is 1e-05",
        ),
        ({"lr": 1e-5}, {"plateau": {"stop_below": 1e-4}}, "finetune.plateau.stop_below = .* distill.lr is 1e-05"),
        ({"lr": 0.05, "lr_end": 0.01, "plateau": {"factor": 0.5}}, {}, "distill.plateau never acts"),
    ],
)
def test_a_plateau_is_held_against_the_rate_that_it_acts_on(
    distill: dict[str, object], finetune: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Profile.model_validate({"distill": distill, "finetune": finetune})


def test_a_rate_that_a_profile_raises_may_be_stopped_above_finetunes() -> None:
    distill = {"lr": 0.05, "plateau": {"stop_below": 1e-3}}
    assert Profile.model_validate({"distill": distill}).distill.lr == 0.05


def test_without_a_baseline_a_student_is_held_against_the_neighbours() -> None:
    entries = {entry.name: entry for entry in entries_of(Profile.model_validate(LISTS))}
    assert entries["student"].over == "neighbours"
    assert entries["neighbours"].role is Role.HEURISTIC
    alone = Profile.model_validate(LISTS | {"evaluation": {"heuristics": []}})
    assert {entry.name: entry.over for entry in entries_of(alone)} == {"teacher-lists": "", "student": ""}


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
