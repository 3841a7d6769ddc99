"""Trained networks as teachers: the mean of their DistMult logits is the logit of one wider network.

1/N sum_n sum_i h_i^n w_i^n t_i^n = sum over the concatenated dimensions of h, w / N and t
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flykd_console.distill.teacher import Teacher
from flykd_console.distill.teachers.base import TeacherKind
from flykd_console.profile.section import TeacherSettings

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.model.encoded import Encoded


class NetworkSettings(TeacherSettings):
    """Networks of the shape in `[teacher]`, of different initialisation."""

    kind: Literal["network"] = "network"
    count: int = Field(1, ge=1, le=16, description="how many, whose logits are averaged")

    @property
    def networks(self) -> int:
        return self.count


class Network(TeacherKind):
    """The networks that the run trains before its students."""

    settings = NetworkSettings

    @classmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        from flykd_console.distill.soft_labels import SoftLabels
        from flykd_console.model.encoded import mean_of

        return SoftLabels(inputs.space, mean_of(networks))


KIND = Network
