"""Popularity as a teacher: the same list around every tail, the heads by log(1 + training degree in the relation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from flykd_console.distill.teachers.base import TeacherKind
from flykd_console.profile.section import TeacherSettings

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded


class PopularitySettings(TeacherSettings):
    """Popular heads first."""

    kind: Literal["popularity"] = "popularity"


class PopularityKind(TeacherKind):
    """Makes the teacher from training edges."""

    settings = PopularitySettings

    @classmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        from flykd_console.distill.heuristic_teacher import PopularityTeacher
        from flykd_console.heuristics.popularity import Popularity

        return PopularityTeacher(inputs, inputs.training().heuristic(Popularity))


KIND = PopularityKind
