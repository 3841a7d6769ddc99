"""A method in a profile: what a student learns from and by, and between models of which shape.

Names, sizes and schedules are no part of it, nor are settings that act on nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flykd_console.profile.distill import TABLES_OF_SOURCES
from flykd_console.profile.model_spec import STUDENT
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Shape

# The curricula of two methods are the same where they agree at every hundredth of the epochs.
_FRACTIONS = [i / 100 for i in range(101)]
_TOLERANCE = 1e-6
# Who scores the negatives of pseudo_train is left out because the paper's text and its code, which mean one method,
# differ in it. Sources and curriculum are compared as weights.
_NOT_COMPARED: dict[str, Any] = {
    "method": True,
    "epochs": True,
    "plateau": True,
    "lr": True,
    "lr_end": True,
    "pseudo_negatives": True,
    "sources": True,
    "curriculum": True,
    "random_graph": {"labels_per_relation"},
}


@dataclass(frozen=True)
class Method:
    """How one model of a profile is distilled.

    Attributes:
        teacher: The teacher's shape; `student` that of the model.
        weights: By label source its share of the loss at every hundredth of the epochs.
        settings: What else of `distill` acts, by key or table, and what true labels are told from.
    """

    teacher: dict[str, Any]
    student: dict[str, Any]
    weights: dict[str, list[float]]
    settings: dict[str, Any]

    def repeats(self, other: Method) -> bool:
        """Whether the two are one method."""
        if (self.teacher, self.student, self.settings) != (other.teacher, other.student, other.settings):
            return False
        return self.weights.keys() == other.weights.keys() and all(
            abs(ours - theirs) < _TOLERANCE
            for source, course in self.weights.items()
            for ours, theirs in zip(course, other.weights[source], strict=True)
        )


def method_of(profile: Profile, model: str = STUDENT) -> Method:
    """The method of a profile's student, or of another of its distilled models.

    Raises:
        KeyError: The profile has no table for this model.
    """
    shape: Shape = profile.student
    distill = profile.distill
    if model != STUDENT:
        further = profile.models[model]
        shape, distill = further, further.distill
    settings = distill.model_dump(exclude=_NOT_COMPARED, serialize_as_any=True)
    for name, source in TABLES_OF_SOURCES.items():
        if source not in distill.sources:
            del settings[name]
    for key, table in distill.structure.items():
        if not table.takes_part:
            del settings[key]
    settings["negatives"] = profile.negatives.model_dump()
    shares = [distill.curriculum.weights(distill.sources, fraction) for fraction in _FRACTIONS]
    weights: dict[str, list[float]] = {source: [share[source] for share in shares] for source in distill.sources}
    return Method(_size(profile.teacher), _size(shape), weights, settings)


def _size(shape: Shape) -> dict[str, Any]:
    return {key: getattr(shape, key) for key in Shape.model_fields}
