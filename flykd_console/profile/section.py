"""The bases of a profile's tables, those that files of `distill/` define among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A table of the profile: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StructureSettings(Section):
    """A structure loss's table. Its losses take part where their weights (keys that end in `weight`) are above 0."""

    def weights(self) -> dict[str, float]:
        """Every weight of the table, by its key."""
        return {key: getattr(self, key) for key in type(self).model_fields if key.endswith("weight")}

    @property
    def takes_part(self) -> bool:
        """Whether any weight is above 0."""
        return any(weight > 0.0 for weight in self.weights().values())

    def check(self, teacher_layers: int, student_layers: int, pooling_relations: Sequence[str]) -> None:
        """Refuse settings that contradict each other or the models' depths.

        Raises:
            ValueError: What contradicts what, beginning with the key.
        """


class TeacherSettings(Section):
    """An entry of `distill.teachers`: what kind of teacher, and what its logits count for in the mean."""

    kind: str
    weight: float = Field(1.0, gt=0.0, description="what its logits count for in the mean of all teachers")

    @property
    def networks(self) -> int:
        """How many trained networks it needs."""
        return 0


class StructureLossFile(Protocol):
    """What a profile asks of a structure loss."""

    settings: type[StructureSettings]
    position: int
    needs_layers: bool
    words: Mapping[str, tuple[str, str]]


class TeacherFile(Protocol):
    """What a profile asks of a kind of teacher."""

    settings: type[TeacherSettings]
