"""Losses, gradients and draws of a GPU's kernels against the CPU's, for everything that a profile can ask of links."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flykd_console.model import kernels
from flykd_console.model.link_model import LinkModel
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.base import Objective
from flykd_console.tasks.link_prediction.task import LinkPrediction
from tests.gpu.drawn_alike import drawn_alike, precision
from tests.support.small_graph import kin_graph

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
FEW = {"labels_per_relation": 60}
CASES: dict[str, dict[str, Any]] = {
    "the paper's": {},
    "blocks": {"distill": {"random_graph": FEW | {"sampler": "blocks", "unseen": 0.3}}},
    "exact": {"distill": {"random_graph": FEW | {"sampler": "exact", "refresh_every": 1}}},
    "strong pairs": {"distill": {"random_graph": FEW | {"min_logit": -0.5}}},
    "degrees to a power": {"distill": {"random_graph": FEW | {"degree_power": 1.5}}},
    "local structure": {"distill": {"lsp": {"weight": 1.0}}},
    "hidden layers": {"distill": {"hidden": {"weight": 1.0, "attention": "degree"}}},
    "anchors": {"distill": {"anchor": {"rank_weight": 1.0, "distribution_weight": 1.0, "anchors": 4, "contexts": 4}}},
    "two teachers": {"distill": {"teachers": 2, "temperature": 2.0}},
    "neighbours teach": {"distill": {"teachers": [{"kind": "neighbours"}]}},
    "popularity teaches": {"distill": {"teachers": [{"kind": "popularity"}]}},
    "lists": {"distill": {"teachers": [{"kind": "neighbours"}], "sources": ["pseudo_lists"]}},
    "lists around heads": {
        "distill": {
            "teachers": [{"kind": "neighbours"}],
            "sources": ["pseudo_lists"],
            "lists": {"heads": 8},
        }
    },
    "negatives of both ends": {"negatives": {"replace": "both"}},
    "negatives by degree": {"negatives": {"distribution": "degree"}},
    "softmax": {"negatives": {"loss": "softmax", "ratio": 4}},
    "true negatives left out": {"split": {"filter_negatives": True}},
    "attention": {"student": {"dim": 6, "kind": "rgat", "layers": 3}},
    "one layer": {"student": {"dim": 6, "layers": 1}},
    "four layers": {"student": {"dim": 6, "layers": 4}},
    "sums": {"student": {"dim": 6, "aggregation": "sum"}},
    "logarithms": {"student": {"dim": 6, "aggregation": "log"}},
    "self loops": {"student": {"dim": 6, "self_loop": True}},
    "learnt inputs": {"student": {"dim": 6, "inputs": "learnt"}},
    "degrees among the inputs": {"student": {"dim": 6, "degrees": True}},
    "biases": {"student": {"dim": 6, "biases": "both"}},
    "tables": {"student": {"dim": 6, "kind": "table"}},
    "no pooling": {"graph": {"pooling": {"enabled": False}}},
}


def profile_of(changes: dict[str, Any]) -> Profile:
    """A small profile under the changes of a case."""
    base: dict[str, Any] = {
        "teacher": {"dim": 8},
        "student": {"dim": 6},
        "distill": {"epochs": 10, "random_graph": FEW, "curriculum": {"shape": "none"}},
    }
    for table, keys in changes.items():
        base[table] = base.get(table, {}) | keys
    return Profile.model_validate(base)


def task_on(profile: Profile, device: torch.device) -> LinkPrediction:
    """A task of the tiny graph."""
    graph = kin_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, device)


def objectives(task: LinkPrediction) -> dict[str, tuple[LinkModel, Objective, dict[str, float]]]:
    """What every stage of a run minimises: its model, objective and weights."""
    specs = {spec.name: spec for spec in models_of(task.profile)}
    teachers = [task.new_model(spec) for name, spec in specs.items() if name.startswith("teacher") and spec.trained]
    student = specs["student"]
    model = task.new_model(student)
    sources = task.profile.distill.sources
    found: dict[str, tuple[LinkModel, Objective, dict[str, float]]] = {
        "distilled": (model, task.distilled(student, model, teachers, lambda *_: None), dict.fromkeys(sources, 0.5))
    }
    for name in ("teacher", "baseline"):
        if name in specs:
            other = task.new_model(specs[name])
            found[name] = other, task.supervised(other, name), {"original": 1.0}
    return found


def carried_out(profile: Profile, device: torch.device, epochs: int = 3) -> dict[str, dict[str, np.ndarray]]:
    """By stage every loss of some epochs, and the gradients of the last."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for stage, (model, objective, weights) in objectives(task_on(profile, device)).items():
        values: dict[str, np.ndarray] = {}
        for epoch in range(epochs):
            model.zero_grad(set_to_none=True)
            losses = objective(epoch, weights)
            losses["total"].backward()
            values |= {f"{name} {epoch}": np.asarray(loss.detach().cpu()) for name, loss in losses.items()}
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                values[f"gradient of {name}"] = parameter.grad.cpu().numpy()
        found[stage] = values
    return found


def expected_and_found(
    changes: dict[str, Any], device: torch.device, dtype: torch.dtype
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, np.ndarray]]]:
    """The same by a CPU's kernels and by the device's, from the same draws."""
    profile = profile_of(changes)
    with drawn_alike(), precision(dtype):
        found = carried_out(profile, device)
        with kernels.cpu_kernels():
            expected = carried_out(profile, torch.device("cpu"))
    return expected, found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_the_cpus(case: str, dtype: torch.dtype, device: torch.device) -> None:
    expected, found = expected_and_found(CASES[case], device, dtype)
    assert expected.keys() == found.keys()
    for stage, values in expected.items():
        assert values.keys() == found[stage].keys()
        assert any(name.startswith("gradient") for name in values)
        for name, value in values.items():
            distance = np.linalg.norm(found[stage][name] - value)
            scale = max(float(np.linalg.norm(value)), 1e-3)
            assert distance <= TOLERANCE[dtype] * scale, f"{stage}: {name}: {distance / scale:.2e}"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_pretraining_and_what_is_ranked_are_the_cpus(dtype: torch.dtype, device: torch.device) -> None:
    profile = profile_of({"pretrain": {"batch_size": 512}})

    def found(where: torch.device) -> dict[str, np.ndarray]:
        task = task_on(profile, where)
        model = task.new_model(models_of(profile)[0])
        objective = task.pretraining(model, "pretrain-teacher")
        losses = objective(0, {"original": 1.0})
        losses["total"].backward()
        values = {name: np.asarray(loss.detach().cpu()) for name, loss in losses.items()}
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                values[f"gradient of {name}"] = parameter.grad.cpu().numpy()
        encoded = task.data.encode_all(model)
        values["heads"] = encoded.head.numpy()
        return values | {f"tails of {relation}": tails.numpy() for relation, tails in encoded.tails.items()}

    with drawn_alike(), precision(dtype):
        ours = found(device)
        with kernels.cpu_kernels():
            theirs = found(torch.device("cpu"))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        distance = np.linalg.norm(ours[name] - value)
        assert distance <= TOLERANCE[dtype] * max(float(np.linalg.norm(value)), 1e-3), name
