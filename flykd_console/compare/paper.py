"""The paper's figures, and which of its rows a run repeats: told by the run's settings, never by its name.

A row of Tables 2, 3 and A.2 is a composition: label sources, their weights over the epochs, a recipe of the
random graph, a structure loss. Two curricula are the same where their normalised weights agree at every
hundredth of the epochs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

import msgspec

GRID = [i / 100 for i in range(101)]
Points = tuple[tuple[float, float], ...]


class CurriculumOf(msgspec.Struct, frozen=True):
    """As the profile's `distill.curriculum`; the defaults are the profile's."""

    shape: str = "linear"
    original: Points = ((0.2, 1.0), (0.4, 0.05))
    pseudo_train: Points = ((0.2, 0.0), (0.4, 1.0))
    pseudo_random: Points = ((0.4, 0.0), (0.6, 1.0))


class RandomGraphOf(msgspec.Struct, frozen=True):
    """As `distill.labels.random_graph`; how many labels are drawn is a matter of size and not compared."""

    sampler: str = "pairs"
    degree_power: float = 1.0
    refresh_every: int = 1
    min_logit: float | None = None
    unseen: float = 0.0


class LocalStructureOf(msgspec.Struct, frozen=True):
    """As `distill.matching.local_structure`."""

    weight: float = 0.0
    layers: tuple[int, ...] = (2,)
    kernel: str = "rbf"
    sigma: tuple[float, ...] = (3.0,)
    neighbourhood: str = "partial"


class _Hidden(msgspec.Struct, frozen=True):
    weight: float = 0.0


class _Anchor(msgspec.Struct, frozen=True):
    rank_weight: float = 0.0
    distribution_weight: float = 0.0


class Composition(msgspec.Struct, frozen=True):
    """What a student learns from, as the profile's `distill` says it."""

    epochs: int = 2000
    teachers: int = 1
    temperature: float = 1.0
    sources: tuple[str, ...] = ("original", "pseudo_train", "pseudo_random")
    curriculum: CurriculumOf = CurriculumOf()
    random_graph: RandomGraphOf = RandomGraphOf()
    lsp: LocalStructureOf = LocalStructureOf()
    hidden: _Hidden = _Hidden()
    anchor: _Anchor = _Anchor()


class _Model(msgspec.Struct, frozen=True):
    dim: int = 0
    layers: int = 2
    kind: str = "rgcn"


class _Profile(msgspec.Struct, frozen=True):
    teacher: _Model = _Model(dim=130)
    student: _Model = _Model(dim=80)
    distill: Composition = Composition()


class PaperModel(msgspec.Struct, frozen=True):
    """A row of Table 1: AUPRC in per cent, one for each of the paper's seeds."""

    model: str
    name: str
    table: str
    dim: int
    auprc: list[float]
    mean: float
    std: float


class PaperMethod(msgspec.Struct, frozen=True):
    """A row of Tables 2, 3 or A.2: its gain (mean, deviation) and what it is made of."""

    name: str
    table: str
    gain: tuple[float, float]
    sources: tuple[str, ...]
    curriculum: CurriculumOf = CurriculumOf()
    random_graph: RandomGraphOf = RandomGraphOf()
    lsp: LocalStructureOf = LocalStructureOf()


class Paper(msgspec.Struct, frozen=True):
    """Everything that the paper's tables say."""

    seeds: list[int]
    model: list[PaperModel]
    method: list[PaperMethod]


@cache
def paper() -> Paper:
    """The paper's figures, from `paper.toml`."""
    data = resources.files(__package__).joinpath("paper.toml").read_bytes()
    return msgspec.toml.decode(data, type=Paper)


def model_row(model: str, dim: int) -> PaperModel | None:
    """The row of Table 1 of a teacher or baseline of this width."""
    return next((row for row in paper().model if (row.model, row.dim) == (model, dim)), None)


def method_row(profile: dict[str, Any]) -> PaperMethod | None:
    """The row that a profile's composition repeats; None where it is none of them.

    Raises:
        msgspec.ValidationError: A setting has a type that no profile has.
    """
    run = msgspec.convert(profile, _Profile)
    sizes = {row.model: row.dim for row in paper().model}
    usual = (run.teacher, run.student) == (_Model(dim=sizes["teacher"]), _Model(dim=sizes["baseline"]))
    distill = run.distill
    extra = distill.hidden != _Hidden() or distill.anchor != _Anchor()
    if not usual or extra or (distill.teachers, distill.temperature) != (1, 1.0):
        return None
    return next((row for row in paper().method if _repeats(distill, row)), None)


def weights(curriculum: CurriculumOf, sources: Iterable[str]) -> dict[str, list[float]]:
    """Normalised weight of each source at `GRID`'s fractions of the epochs."""
    raw = {source: [_weight(curriculum, source, fraction) for fraction in GRID] for source in sources}
    totals = [sum(column) or 1.0 for column in zip(*raw.values(), strict=True)]
    return {source: [w / total for w, total in zip(values, totals, strict=True)] for source, values in raw.items()}


def _repeats(run: Composition, row: PaperMethod) -> bool:
    if set(run.sources) != set(row.sources):
        return False
    if "pseudo_random" in run.sources and run.random_graph != row.random_graph:
        return False
    if run.lsp.weight != row.lsp.weight or (run.lsp.weight and run.lsp != row.lsp):
        return False
    ours, theirs = weights(run.curriculum, row.sources), weights(row.curriculum, row.sources)
    return all(abs(a - b) < 1e-6 for s in row.sources for a, b in zip(ours[s], theirs[s], strict=True))


def _weight(curriculum: CurriculumOf, source: str, fraction: float) -> float:
    """As `Curriculum.weight` of the profile: linear between break points, a step at them, or the last one alone."""
    points: Points = getattr(curriculum, source)
    if curriculum.shape == "none":
        return points[-1][1]
    following = bisect_right([start for start, _ in points], fraction)
    if curriculum.shape == "stepwise":
        return points[min(following, len(points) - 1)][1]
    if following in (0, len(points)):
        return points[max(0, following - 1)][1]
    (f0, w0), (f1, w1) = points[following - 1], points[following]
    return w0 + (w1 - w0) * (fraction - f0) / (f1 - f0)
