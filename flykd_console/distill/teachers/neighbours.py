"""Nearest neighbours as a teacher: the heads of the most similar tails (`heuristics/neighbours.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flykd_console.distill.teachers.base import TeacherKind
from flykd_console.profile.section import TeacherSettings

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded


class NeighbourSettings(TeacherSettings):
    """Heads of the most similar tails."""

    kind: Literal["neighbours"] = "neighbours"
    k: int = Field(20, ge=1, description="most similar tails with an edge of the relation")
    power: float = Field(2.0, gt=0.0, description="of the similarity, by which their heads count")
    walk: float = Field(0.0, ge=0.0, description="weight of random walks between tails in the similarity")
    share: float = Field(0.0, ge=0.0, description="power of a tail's number of heads, by which each of them is divided")


class NeighbourKind(TeacherKind):
    """Makes the teacher from training edges."""

    settings = NeighbourSettings

    @classmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        from flykd_console.distill.heuristic_teacher import NeighbourTeacher
        from flykd_console.heuristics.neighbours import Neighbours

        assert isinstance(settings, NeighbourSettings)
        own = settings.model_dump(include={"k", "power", "walk", "share"})
        return NeighbourTeacher(inputs, inputs.training().heuristic(Neighbours, **own))


KIND = NeighbourKind
