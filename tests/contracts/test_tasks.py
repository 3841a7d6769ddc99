"""Every task: models that follow from the seed, objectives that train them, metrics with a headline among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.base import Objective, Task
from flykd_console.tasks.link_prediction.task import LinkPrediction
from tests.support.small_graph import small_graph


def _links(**settings: Any) -> Task:
    profile = Profile.model_validate(
        {
            "teacher": {"dim": 8},
            "student": {"dim": 6},
            "pretrain": {"batch_size": 64},
            "distill": {"random_graph": {"labels_per_relation": 50}},
        }
        | settings
    )
    graph = small_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


TASKS: dict[str, Callable[..., Task]] = {"link_prediction": _links}
every_task = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS.keys())


def _falls(objective: Objective, parameters: list[torch.nn.Parameter]) -> bool:
    """Whether its loss falls in some steps, drawn alike."""
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    losses = []
    for epoch in range(30):
        weights = {"original": 1.0} if objective.curriculum is None else objective.curriculum.weights(epoch)
        total = objective(epoch, weights)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    return sum(losses[-5:]) < sum(losses[:5])


@every_task
def test_a_model_follows_from_the_seed_and_its_beginning(make: Callable[..., Task]) -> None:
    _, baseline, student = models_of(make().profile)
    first, second, other = make().new_model(baseline), make().new_model(baseline), make().new_model(student)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    teacher = make().new_model(models_of(make().profile)[0])
    with pytest.raises(ValueError, match="expected shape"):
        first.load_tensors(teacher.tensors())
    first.load_tensors(second.tensors())


@every_task
def test_its_three_objectives_train(make: Callable[..., Task]) -> None:
    task = make()
    teacher_spec, baseline, student = models_of(task.profile)
    teacher, model = task.new_model(teacher_spec), task.new_model(student)
    parameters = list(model.parameters())
    assert task.pretraining_steps() > 0
    assert _falls(task.pretraining(model, "pretrain-student"), parameters)
    task.reset_head(baseline, model)
    assert _falls(task.supervised(model, "baseline"), parameters)
    objective = task.distilled(student, model, [teacher], lambda *_: None)
    assert objective.curriculum is not None
    assert _falls(objective, [*parameters, *objective.parameters])


@every_task
@pytest.mark.parametrize("headline", ["macro_auprc", "macro_auroc", "macro_ap", "macro_recall_at_10"])
def test_the_headline_is_among_the_metrics_of_every_part(make: Callable[..., Task], headline: str) -> None:
    task = make(evaluation={"headline": headline})
    spec = models_of(task.profile)[1]
    model = task.new_model(spec)
    validated = task.evaluator(model)()
    test, validation = task.assess(spec.name, [model])
    for scores in (validated, test, validation):
        assert scores.value(headline) is not None
        assert all(0.0 <= value <= 1.0 for value in scores.metrics.values())
    assert validated.value(headline) == pytest.approx(validation.value(headline), abs=1e-6)


@every_task
def test_what_stages_depend_on_is_json_and_follows_from_the_data(make: Callable[..., Task]) -> None:
    import json

    task = make()
    assert json.loads(json.dumps([task.fingerprints, task.settings()])) == [task.fingerprints, task.settings()]
    assert make().fingerprints == task.fingerprints
