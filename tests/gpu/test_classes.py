"""Cohorts that classify nodes and whole graphs: losses and gradients of a GPU's kernels against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flykd_console.data.molecules import molecules
from flykd_console.model import kernels
from flykd_console.profile.cohort_models import cohort_specs, cohort_stages
from flykd_console.profile.schema import Profile
from flykd_console.tasks.classification.task import Classification
from flykd_console.tasks.graph_classification.samples import GraphSamples
from flykd_console.tasks.node_classification.samples import NodeSamples
from tests.gpu.drawn_alike import drawn_alike, precision
from tests.support.tiny_cohort import MEMBERS, small_citations

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
MUTUAL: dict[str, dict[str, Any]] = {
    "alone": {},
    "mutual learning": {"mutual": {"target": "peers", "weight": 1.0}},
    "adaptive weights": {
        "mutual": {"target": "peers", "weight": 1.0, "entropy": 0.02, "logit_weighting": {"kind": "pooled"}}
    },
}


def task_on(kind: str, cohort: dict[str, Any], device: torch.device) -> Classification:
    """A cohort over a small graph's nodes, or over the embedded molecules."""
    members = MEMBERS if kind == "node_classification" else {"gin": {"kind": "gin", "dim": 8}}
    profile = Profile.model_validate(
        {
            "run": {"seeds": [0]},
            "task": {"kind": kind},
            "cohort": {"members": members, "epochs": 4} | cohort,
            "data": {"split": "given" if kind == "node_classification" else "folds"},
            "engine": {"messages": "torch"},
        }
    )
    samples: NodeSamples | GraphSamples
    if kind == "node_classification":
        samples = NodeSamples(small_citations(), profile.data, profile.engine, 0, device)
    else:
        samples = GraphSamples(molecules(), 32, profile.engine, 0, device)
    return Classification(profile, samples, 0, device)


def carried_out(kind: str, cohort: dict[str, Any], device: torch.device) -> dict[str, np.ndarray]:
    """Every loss of two epochs, and the gradients of the last step."""
    task = task_on(kind, cohort, device)
    specs = {spec.name: spec for spec in cohort_specs(task.profile.cohort) if spec.trained}
    *_, (stage, _) = cohort_stages(task.profile.cohort)
    chosen = [spec for spec in specs.values() if spec.name in stage.models]
    models = {spec.name: task.new_model(spec) for spec in chosen}
    if len(chosen) > 1:
        objective = task.taught_together(chosen, models, [])
    else:
        objective = task.supervised(models[chosen[0].name], stage.name)
    values: dict[str, np.ndarray] = {}
    for epoch in range(2):
        weights = objective.curriculum.weights(epoch) if objective.curriculum is not None else {"original": 1.0}
        for number, losses in enumerate(objective.steps(epoch, weights)):
            for model in models.values():
                model.zero_grad(set_to_none=True)
            losses["total"].backward()
            values |= {f"{name} {epoch}.{number}": np.asarray(loss.detach().cpu()) for name, loss in losses.items()}
    for name, model in models.items():
        for place, parameter in model.named_parameters():
            if parameter.grad is not None:
                values[f"gradient of {name}'s {place}"] = parameter.grad.cpu().numpy()
    return values


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    ("kind", "mutual"), [*(("node_classification", name) for name in MUTUAL), ("graph_classification", "alone")]
)
def test_losses_and_gradients_of_a_cohort_are_the_cpus(
    kind: str, mutual: str, dtype: torch.dtype, device: torch.device
) -> None:
    with drawn_alike(), precision(dtype):
        found = carried_out(kind, MUTUAL[mutual], device)
        with kernels.cpu_kernels():
            expected = carried_out(kind, MUTUAL[mutual], torch.device("cpu"))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        distance = np.linalg.norm(found[name] - value)
        assert distance <= TOLERANCE[dtype] * max(float(np.linalg.norm(value)), 1e-3), name
