"""A student, its teachers and its task on the tiny graph, as every loss, source and teacher meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from flykd_console.distill.method import Method
from flykd_console.model.link_model import network
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from tests.support.small_graph import kin_graph


@dataclass
class Lesson:
    """One student under one method."""

    task: LinkPrediction
    student: HeteroRGCN
    teachers: list[HeteroRGCN]
    method: Method

    def losses(self, epoch: int = 0) -> dict[str, torch.Tensor]:
        """Its losses under equal weights."""
        sources = self.task.profile.distill.sources
        return self.method.losses(self.student, epoch, dict.fromkeys(sources, 1.0 / len(sources)))


def lesson(**distill: Any) -> Lesson:
    """A lesson under a method; equal settings give equal draws."""
    small = {"labels_per_relation": 50} | distill.pop("random_graph", {})
    profile = Profile.model_validate(
        {
            "teacher": {"dim": 8},
            "student": {"dim": 6},
            "distill": {"epochs": 10, "random_graph": small, "curriculum": {"shape": "none"}} | distill,
        }
    )
    graph = kin_graph()
    task = LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
    specs = {spec.name: spec for spec in models_of(profile)}
    teaching = [spec for name, spec in specs.items() if name.startswith("teacher") and spec.trained]
    teachers = [network(task.new_model(spec)) for spec in teaching]
    student = network(task.new_model(specs["student"]))
    inputs = task.distill_inputs(profile.distill, "student")
    return Lesson(task, student, teachers, Method(profile.distill, inputs, student, teachers))
