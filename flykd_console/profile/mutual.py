"""Students of links that teach each other, without a teacher: `[mutual]`, in place of teacher, baseline and student.

What they learn from, how fast and by which weights is `[distill]`'s: its label sources, random graphs and curriculum,
with what the others say in the teacher's place.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flykd_console.profile.cohort import LogitWeighting
from flykd_console.profile.section import Section
from flykd_console.profile.sections import MODEL_NAME, Shape


class StudentMember(Shape):
    """A member of a cohort of students: of `[student]`'s shape but for what its table says."""


class StudentCohort(Section):
    """Students that teach each other; without members there are none, and a run is of teacher, baseline and student."""

    target: Literal["peers", "mean", "gate"] = Field(
        "peers",
        description="whose labels a member learns: peers: the mean of the others' (DML); mean: of the mean of all "
        "logits (KDCL); gate: of their learnt mixture (ONE)",
    )
    alone: bool = Field(True, description="whether each member is trained alone as well: its fair rival")
    ensemble: bool = Field(True, description="whether the mean of the members is measured, and of those alone")
    logit_weighting: LogitWeighting = LogitWeighting()
    members: dict[Annotated[str, Field(pattern=MODEL_NAME)], StudentMember] = Field(
        {}, description="the members by name, at least two"
    )

    @property
    def takes_part(self) -> bool:
        """Whether the run is of a cohort."""
        return bool(self.members)
