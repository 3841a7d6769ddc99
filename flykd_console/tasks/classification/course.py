"""The weights of a cohort's losses over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flykd_console.distill.cohort.lessons import LABELS, PEERS

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort

TEACHER, HIDDEN, STRUCTURE, ENTROPY = "teacher", "hidden", "structure", "entropy"
# What losses are called, whole and in five letters.
WORDS = {
    LABELS: ("labels", "label"),
    PEERS: ("peers", "peers"),
    TEACHER: ("teacher's answers", "teach"),
    HIDDEN: ("hidden rows", "hid"),
    STRUCTURE: ("local structure", "struc"),
    ENTROPY: ("entropy", "entr"),
}


class Course:
    """`[cohort.curriculum]` with the weights of `[cohort.mutual]` and `[cohort.distill]`: `distill/cohort/lessons`."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort

    def weights(self, epoch: float) -> dict[str, float]:
        """By loss its weight at an epoch, counted from 0; those that are 0 throughout are left out."""
        cohort, lessons = self._cohort, self._cohort.distill
        fraction = epoch / max(1, cohort.epochs)
        found = {LABELS: (1.0 - lessons.alpha) * _at(cohort.curriculum.labels, fraction)}
        fixed = {
            TEACHER: lessons.alpha,
            HIDDEN: lessons.hidden_weight,
            STRUCTURE: lessons.structure_weight,
            ENTROPY: cohort.mutual.entropy,
        }
        if cohort.mutual.weight > 0.0:
            found[PEERS] = cohort.mutual.weight * _at(cohort.curriculum.peers, fraction)
        return found | {name: weight for name, weight in fixed.items() if weight > 0.0}

    def schedule(self, points: int = 200, until: int = 0) -> dict[str, list[tuple[float, float]]]:
        """The whole course as (epoch, weight) by loss."""
        epochs = max(until, self._cohort.epochs)
        places = [epochs * i / points for i in range(points + 1)]
        found: dict[str, list[tuple[float, float]]] = {}
        for place in places:
            for name, weight in self.weights(place).items():
                found.setdefault(name, []).append((place, weight))
        return found


def _at(points: Sequence[tuple[float, float]], fraction: float) -> float:
    """Linear between break points, constant outside them."""
    following = next((i for i, (start, _) in enumerate(points) if fraction < start), len(points))
    if following in (0, len(points)):
        return points[max(0, following - 1)][1]
    (f0, w0), (f1, w1) = points[following - 1], points[following]
    return w0 + (w1 - w0) * (fraction - f0) / (f1 - f0)
