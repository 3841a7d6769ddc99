"""A model as a profile asks for it: its entry in the run's list, its shape, where it begins, how it is distilled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from flykd_console.profile.sections import Shape
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.stage import Phase, Stage

if TYPE_CHECKING:
    from flykd_console.profile.distill import Distill

TEACHER, BASELINE, STUDENT = "teacher", "baseline", "student"


class ModelShape(Protocol):
    """Width, depth and kind of a model, of whatever task."""

    @property
    def dim(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def network_keys(self) -> dict[str, Any]:
        """What else makes its network what it is."""
        ...


@dataclass(frozen=True)
class ModelSpec:
    """A model as a profile asks for it.

    Attributes:
        entry: As the run lists it.
        shape: Width, depth and kind of its layers.
        begins: The beginning that it shares with other models: a stream of draws, and a pretraining.
        distill: How it learns from teachers; None: from labels alone.
        together: The stage that trains it with others; empty: it has one of its own.
    """

    entry: ModelEntry
    shape: ModelShape
    begins: str
    distill: Distill | None = None
    together: str = ""

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def link_shape(self) -> Shape:
        """Its shape, in a run that predicts links."""
        assert isinstance(self.shape, Shape)
        return self.shape

    @property
    def trained(self) -> bool:
        """Whether a stage trains it; what several teachers say together is only measured."""
        return self.entry.role is not Role.ENSEMBLE

    @property
    def has_layers(self) -> bool:
        """Whether it is a network, which pretraining has something to teach."""
        return self.shape.kind != "table"

    @property
    def table(self) -> str:
        """The table of the profile that its shape stands in, dotted."""
        if self.entry.role in (Role.TEACHER, Role.ENSEMBLE):
            return TEACHER
        if self.entry.role is Role.MEMBER:
            return f"mutual.members.{self.name}"
        return STUDENT if self.name in (BASELINE, STUDENT) else f"models.{self.name}"

    @property
    def pretraining(self) -> Stage:
        """The stage that leaves what it begins from."""
        return Stage(f"pretrain-{self.begins}", Phase.PRETRAIN, (self.name,))

    @property
    def training(self) -> Stage:
        """The stage that leaves the model."""
        alone = self.distill is None and not self.together
        phase = Phase.FINETUNE if alone else Phase.DISTILL
        return Stage(self.name, phase, (self.name,))
