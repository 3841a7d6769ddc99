"""Cohorts: members that nobody teaches are those trained alone; what the lessons are; what is chosen by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from flykd_console.distill.cohort.divergence import divergence, entropy, mean_of_probabilities
from flykd_console.distill.cohort.lessons import Answers, Lessons
from flykd_console.distill.cohort.logit_weighting import WeightingUnit
from flykd_console.distill.cohort.targets import Gate, of_all
from flykd_console.model.encoders.network import SampleNetwork
from flykd_console.profile.cohort import LogitWeighting, Mutual
from flykd_console.profile.models import models_of
from flykd_console.tasks.base import Objective
from flykd_console.tasks.classification.metrics import disagreement, linear_cka, metrics_of
from tests.support.tiny_cohort import MEMBERS, cohort_profile, cohort_task

CPU = torch.device("cpu")
GML = {"weight": 1.0, "entropy": 0.02, "logit_weighting": {"kind": "pooled"}}


def trained(objective: Objective, models: Mapping[str, SampleNetwork], epochs: int = 4) -> list[torch.Tensor]:
    """Every weight of the models after some epochs of Adam."""
    parameters = [p for model in models.values() for p in model.parameters()]
    optimizer = torch.optim.Adam([*parameters, *objective.parameters], lr=0.01, fused=True)
    for epoch in range(epochs):
        assert objective.curriculum is not None
        weights = {name: weight for name, weight in objective.curriculum.weights(epoch).items() if weight > 0.0}
        for losses in objective.steps(epoch, weights):
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def together(**cohort: Any) -> list[torch.Tensor]:
    """The members' weights after some epochs together."""
    profile = cohort_profile(**cohort)
    task = cohort_task(profile)
    specs = [spec for spec in models_of(profile) if spec.together]
    models = {spec.name: task.new_model(spec) for spec in specs}
    return trained(task.taught_together(specs, models, []), models)


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_members_that_nobody_teaches_are_bit_for_bit_those_trained_alone() -> None:
    profile = cohort_profile()
    alone = []
    for spec in models_of(profile):
        if spec.trained and not spec.together:
            task = cohort_task(profile)
            model = task.new_model(spec)
            alone += trained(task.supervised(model, spec.name), {spec.name: model})
    assert equal(together(), alone)
    assert not equal(together(mutual={"weight": 1.0}), alone)


def test_the_unit_begins_as_exact_mutual_learning_and_moves_from_the_first_step_on() -> None:
    profiles = [cohort_profile(mutual=GML | {"entropy": 0.0}), cohort_profile(mutual={"weight": 1.0})]
    losses = []
    for profile in profiles:
        task = cohort_task(profile)
        specs = [spec for spec in models_of(profile) if spec.together]
        objective = task.taught_together(specs, {spec.name: task.new_model(spec) for spec in specs}, [])
        losses.append(objective(0, {"labels": 1.0, "peers": 1.0}))
    assert {name: loss.item() for name, loss in losses[0].items()} == {n: loss.item() for n, loss in losses[1].items()}
    assert not equal(together(mutual=GML | {"entropy": 0.0}), together(mutual={"weight": 1.0}))


@pytest.mark.parametrize("kind", ["pooled", "sample"])
def test_weights_of_logits_stay_within_their_bounds(kind: str) -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for bound in (0.5, 0.0):
        settings = LogitWeighting.model_validate({"kind": kind, "bound": bound})
        unit = WeightingUnit(settings, 5, 3, torch.Generator().manual_seed(1))
        assert torch.allclose(unit.weights(logits), torch.ones(1, 3))
        with torch.no_grad():
            unit.phi.add_(100 * torch.randn(unit.phi.shape, generator=torch.Generator().manual_seed(2)))
        weights = unit.weights(logits)
        assert weights.shape == ((1, 3) if kind == "pooled" else (5, 3))
        if bound:
            assert weights.min() >= 0.5
            assert weights.max() <= 1.5
        else:
            assert weights.mean(dim=1).tolist() == pytest.approx([1.0] * len(weights))


def test_a_unit_learns_by_its_own_member_alone_unless_both_are_asked_for() -> None:
    logits = {name: torch.randn(4, 3, requires_grad=True) for name in ("gcn", "gat")}
    answers = Answers(torch.tensor([0]), torch.tensor([0]))
    for gradient, learns in (("learner", False), ("both", True)):
        weighting = {"kind": "pooled", "gradient": gradient}
        members = {name: MEMBERS[name] for name in logits}
        cohort = cohort_profile(members=members, mutual={"weight": 1.0, "logit_weighting": weighting}).cohort
        lessons = Lessons(cohort, 4, 3, 0, CPU)
        clean = {name: one.detach() for name, one in logits.items()}
        lessons.peers("gcn", logits["gcn"], clean, answers).backward()
        assert lessons.units["gcn"].phi.grad is not None
        assert (lessons.units["gat"].phi.grad is not None) is learns


def test_entropy_enhancement_raises_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    before = entropy(logits).item()
    (-entropy(logits).mean()).backward()
    assert logits.grad is not None
    assert entropy(logits - 0.1 * logits.grad).item() > before


def test_the_divergence_is_zero_from_itself_and_that_of_kl_div() -> None:
    told, said = torch.randn(6, 4), torch.randn(6, 4)
    expected = 9.0 * torch.nn.functional.kl_div(
        torch.log_softmax(said / 3, 1), torch.softmax(told / 3, 1), reduction="batchmean"
    )
    assert divergence(told, said, 3.0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert divergence(told, told, 3.0).item() == pytest.approx(0.0, abs=1e-6)


def test_what_a_cohort_says_as_one_teacher() -> None:
    clean = {"a": torch.tensor([[1.0, 3.0]]), "b": torch.tensor([[2.0, 0.0]])}
    assert of_all(Mutual(target="mean"), clean, None, None).tolist() == [[1.5, 1.5]]
    # Less the logit of class 0: [0, 2] and [0, -2]; the smaller of each.
    assert of_all(Mutual(target="min_logit"), clean, torch.tensor([0]), None).tolist() == [[0.0, -2.0]]
    assert of_all(Mutual(target="gate"), clean, None, Gate(2, 2)).tolist() == [[1.5, 1.5]]


def test_an_ensemble_says_the_mean_of_probabilities() -> None:
    one, two = torch.randn(5, 3), torch.randn(5, 3)
    expected = (torch.softmax(one, 1) + torch.softmax(two, 1)) / 2
    assert torch.allclose(mean_of_probabilities([one, two]).exp(), expected, atol=1e-6)


@pytest.mark.parametrize("update", ["together", "in_turn"])
@pytest.mark.parametrize("peers", ["eval", "train"])
@pytest.mark.parametrize("target", ["peers", "mean", "min_logit", "gate"])
def test_every_way_to_learn_from_each_other_lowers_the_loss_of_labels(update: str, peers: str, target: str) -> None:
    if (update, target) == ("in_turn", "gate"):
        pytest.skip("refused: the gate learns at once")
    on = "labelled" if target == "min_logit" else "all"
    mutual = {"weight": 1.0, "update": update, "peers": peers, "target": target, "on": on}
    members = {name: one | {"dropout": 0.0} for name, one in MEMBERS.items()}
    profile = cohort_profile(mutual=mutual, members=members, epochs=30)
    task = cohort_task(profile)
    specs = [spec for spec in models_of(profile) if spec.together]
    models = {spec.name: task.new_model(spec) for spec in specs}
    objective = task.taught_together(specs, models, [])
    before = objective(0, {"labels": 1.0})["total"].item()
    trained(objective, models, 30)
    assert objective(0, {"labels": 1.0})["total"].item() < before


def test_in_turn_a_member_sees_what_the_ones_before_it_became() -> None:
    settings = {"weight": 1.0}
    assert not equal(together(mutual=settings), together(mutual=settings | {"update": "in_turn"}))


@pytest.mark.parametrize(
    ("cohort", "said"),
    [
        ({"members": {}}, "at least one"),
        ({"members": {"ensemble": {"kind": "gcn"}}}, "the name is taken"),
        ({"members": {"alone-gcn": {"kind": "gcn"}}}, "the name is taken"),
        ({"members": {"gcn": {"kind": "gcn"}}, "mutual": {"weight": 1.0}}, "one member alone"),
        ({"mutual": {"logit_weighting": {"kind": "pooled"}}}, "weighs what peers say"),
        ({"mutual": {"weight": 1.0, "target": "min_logit"}}, "on = 'labelled'"),
        ({"members": {"gcn": {"kind": "gcn", "heads": 2}}}, "belongs to kind = 'gat'"),
        ({"distill": {"hidden_weight": 1.0, "hidden_layers": [(6, 1)]}}, "does not fit"),
        ({"distill": {"structure_weight": 1.0, "structure_target": "attention"}, "teacher": {"kind": "gcn"}},
         "needs a gat"),
        ({"batch": 4}, "nodes are always taken at once"),
        ({"mutual": {"entropy": -0.1}}, "greater than or equal to 0"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(cohort: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        cohort_profile(**cohort)


def test_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = np.append(np.arange(4), rng.integers(4, size=46))
    found = metrics_of(logs, labels, 4, 2)
    told = logs.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, told))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, told, average="macro"))
    assert found["nll"] == pytest.approx(log_loss(labels, np.exp(logs), labels=range(4)))
    assert found["rarest_class"] == pytest.approx((told == labels)[labels == 2].mean())


def test_certainty_that_is_always_wrong_is_fully_miscalibrated() -> None:
    logs = np.log(np.array([[1.0 - 1e-9, 1e-9]] * 10))
    assert metrics_of(logs, np.ones(10, dtype=np.int64), 2, 0)["ece"] == pytest.approx(1.0)
    assert metrics_of(logs, np.zeros(10, dtype=np.int64), 2, 1)["ece"] == pytest.approx(0.0, abs=1e-6)


def test_likeness_of_answers_forgets_turns_and_lengths() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 3))
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    assert linear_cka(rows, 5.0 * rows @ turned) == pytest.approx(1.0)
    assert linear_cka(rows, rng.normal(size=(40, 3))) < 0.5
    assert disagreement([np.eye(2), np.eye(2)[::-1]]) == 1.0
