"""What one or several networks minimise that learn classes: the losses of `distill/cohort`, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.cohort.from_teacher import TeacherLosses
from flykd_console.distill.cohort.lessons import LABELS, PEERS, Lessons
from flykd_console.distill.cohort.module_state import ModuleState
from flykd_console.model.encoders.network import SampleNetwork, Seen
from flykd_console.seeding import torch_rng
from flykd_console.tasks.base import Objective, Weights
from flykd_console.tasks.classification.course import ENTROPY, HIDDEN, STRUCTURE, TEACHER, Course
from flykd_console.tasks.classification.samples import Samples, Step

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort


class CohortObjective(Objective):
    """The sum of the members' losses; each member draws its dropout from a stream of its own beginning.

    Args:
        cohort: What is learnt from whom.
        models: The members by name.
        begins: By member the stream that it draws from.
        teacher: Frozen; None without one.
        samples: What they learn from.
        seed: Of every draw.
        device: Where they live.
    """

    def __init__(
        self,
        cohort: Cohort,
        models: Mapping[str, SampleNetwork],
        begins: Mapping[str, str],
        teacher: SampleNetwork | None,
        samples: Samples,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__()
        self._cohort, self._models, self._samples, self._teacher = cohort, models, samples, teacher
        self._lessons = Lessons(cohort, len(samples.labels), samples.classes, seed, device)
        self.curriculum = Course(cohort)
        for name in models:
            self.generators[f"dropout-{name}"] = torch_rng(seed, f"dropout/{begins[name]}", device)
        self._from_teacher: dict[str, TeacherLosses] = {}
        modules = dict(self._lessons.modules)
        if teacher is not None:
            for name, model in models.items():
                losses = TeacherLosses(cohort.distill, teacher, model, torch_rng(seed, f"maps/{name}")).to(device)
                self._from_teacher[name] = losses
                modules[f"maps-{name}"] = losses
        for name, module in modules.items():
            self.parameters += list(module.parameters())
            self.stateful[name] = ModuleState(module)

    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        """The losses of the epoch's first step."""
        return next(self.steps(epoch, weights))

    def steps(self, epoch: int, weights: Weights) -> Iterator[dict[str, Tensor]]:
        for step in self._samples.steps(epoch):
            if self._cohort.mutual.update == "in_turn":
                for name in self._models:
                    yield self._losses([name], step, weights)
                    self._samples.stepped()
            else:
                yield self._losses(list(self._models), step, weights)
                self._samples.stepped()

    def told(self, steps: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        found = super().told(steps)
        if len(self._models) > 1:
            # Of members in turn each step knows one alone.
            found["total"] = torch.stack([found[name] for name in self._models]).sum()
        return found

    @property
    def notes(self) -> list[str]:
        return self._lessons.notes

    def _losses(self, names: Sequence[str], step: Step, weights: Weights) -> dict[str, Tensor]:
        """The losses of some members: by member where there are several, else by what is learnt; and their total."""
        seen = {name: self._models[name].see(step.sight, self._dropout(name)) for name in names}
        clean = self._teaching(step, seen) if PEERS in weights else {}
        parts = {name: self._parts(name, seen[name], clean, step, weights) for name in names}
        totals = {name: torch.stack([weights[k] * loss for k, loss in of.items()]).sum() for name, of in parts.items()}
        total = torch.stack(list(totals.values())).sum()
        gate = self._lessons.gate_loss(clean, step.answers) if clean else None
        told = totals if len(self._models) > 1 else parts[names[0]]
        return {**told, "total": total if gate is None else total + gate}

    def _parts(
        self, name: str, seen: Seen, clean: Mapping[str, Tensor], step: Step, weights: Weights
    ) -> dict[str, Tensor]:
        """A member's losses by name, each before its weight."""
        lessons, answers = self._lessons, step.answers
        found = {}
        if LABELS in weights:
            found[LABELS] = lessons.labels(seen.logits, answers)
        if PEERS in weights:
            found[PEERS] = lessons.peers(name, seen.logits, clean, answers)
        if ENTROPY in weights:
            found[ENTROPY] = -lessons.entropy(seen.logits, answers)
        if self._teacher is None:
            return found
        told = self._samples.seen(self._teacher, step.key, step.sight)
        losses = self._from_teacher[name]
        if TEACHER in weights:
            found[TEACHER] = losses.response(told, seen, answers)
        if HIDDEN in weights:
            found[HIDDEN] = losses.hidden(told, seen)
        if STRUCTURE in weights:
            found[STRUCTURE] = losses.structure(told, seen, step.sight, step.key)
        return found

    def _teaching(self, step: Step, seen: Mapping[str, Seen]) -> dict[str, Tensor]:
        """The logits by which every member teaches, detached."""
        found = {}
        for name, model in self._models.items():
            if self._cohort.mutual.peers == "eval":
                found[name] = self._samples.seen(model, step.key, step.sight).logits
            elif name in seen:
                found[name] = seen[name].logits.detach()
            else:
                with torch.no_grad():
                    found[name] = model.see(step.sight, self._dropout(name)).logits
        return found

    def _dropout(self, name: str) -> torch.Generator:
        return self.generators[f"dropout-{name}"]
