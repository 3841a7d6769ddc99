"""From `[mutual]` to the list of a run's models and to the stages that they go through.

Every member alone, each in a stage of its own, and then the members together in one stage; a member and its rival begin
from the same pretrained weights. Their means, and of either kind the one that validation puts first, are measured and
not trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flykd_console.profile.cohort_models import member_specs, rivals_alone
from flykd_console.profile.model_spec import ModelSpec

if TYPE_CHECKING:
    from flykd_console.profile.mutual import StudentCohort


def student_specs(mutual: StudentCohort) -> list[ModelSpec]:
    """The models of a run of students that teach each other, in the order in which they are trained and shown."""
    alone = rivals_alone(mutual.members, ensemble=mutual.ensemble) if mutual.alone else []
    return [*alone, *member_specs(mutual.members, over=mutual.alone, ensemble=mutual.ensemble)]
