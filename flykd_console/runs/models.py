"""The list of models of a run: what everything that presents a run walks, in this order.

A model has a name, by which files and results are found; a role, which says what it is there for; a shape; and, where
it learns from others, a method. Nothing else in the program knows which models a run has.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from flykd_console.runs.model_shape import LAYER_KIND, LAYERS, model_shape


class Role(StrEnum):
    """What a model is there for."""

    TEACHER = "teacher"
    ENSEMBLE = "ensemble"
    BASELINE = "baseline"
    STUDENT = "student"
    CANDIDATE = "candidate"
    MEMBER = "member"
    HEURISTIC = "heuristic"


# The strongest scorer without training.
NEIGHBOURS = "neighbours"

# Roles of models that learn from other models; what they win over a baseline is what a run is for.
DISTILLED = (Role.STUDENT, Role.CANDIDATE, Role.MEMBER)

# Roles of what no stage trains: it is measured as it stands.
UNTRAINED = (Role.HEURISTIC, Role.ENSEMBLE)


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a run.

    Attributes:
        name: Unique in the run; files and results are found by it.
        role: What it is there for.
        label: What tables call it: a distilled model goes by its method's name.
        dim: Width; None where a model has none.
        layers: Number of layers of `layer_kind`.
        over: The model of the same seed that its gain is taken over; empty: none is.
    """

    name: str
    role: Role
    label: str
    dim: int | None = None
    layers: int = LAYERS
    layer_kind: str = LAYER_KIND
    over: str = ""

    @property
    def shape(self) -> str:
        """Width, and kind and depth where they are not the paper's: `130`, `rgat 3×130`; empty without a width."""
        return model_shape(self.dim, self.layers, self.layer_kind)

    @property
    def distilled(self) -> bool:
        """Whether it learns from other models."""
        return self.role in DISTILLED


def headliner(models: Iterable[ModelEntry], *, untrained: bool = False) -> ModelEntry | None:
    """The model that a run is about: its first distilled one, else its last trained one; None in a run without any.

    Args:
        untrained: The run trains nothing: then it is about its strongest scorer without training.
    """
    listed = list(models)
    distilled = [model for model in listed if model.distilled]
    trained = [model for model in listed if model.role not in (Role.HEURISTIC, Role.ENSEMBLE)]
    if distilled:
        return distilled[0]
    if trained:
        return trained[-1]
    heuristics = [model for model in listed if model.role is Role.HEURISTIC] if untrained else []
    return next((model for model in heuristics if model.name == NEIGHBOURS), next(iter(heuristics), None))


def trains_nothing(models: Iterable[ModelEntry]) -> bool:
    """Whether a run's list is of scorers without training alone; not where it has no list."""
    roles = {model.role for model in models}
    return roles == {Role.HEURISTIC}
