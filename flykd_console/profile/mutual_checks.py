"""What no single key of `[mutual]` can tell: settings that contradict each other, or could never act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flykd_console.profile.cohort_models import ALONE, TAKEN
from flykd_console.profile.rooms import heuristics
from flykd_console.runs.directory import KEY_COLUMNS

if TYPE_CHECKING:
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.mutual import StudentCohort
    from flykd_console.profile.sections import Finetune, Graph

# Names that stages and other models of a run have.
_TAKEN = (*TAKEN, "baseline", "student", "none")
# Label sources that peers can stand behind.
SOURCES = ("original", "pseudo_train", "pseudo_random", "pseudo_lists")


def check(mutual: StudentCohort, distill: Distill, finetune: Finetune, graph: Graph, others: bool) -> None:
    """Refuse a cohort of students that does not fit its other tables.

    Args:
        others: Whether the profile names models besides, or chooses among its models.

    Raises:
        ValueError: The first contradiction, beginning with the key.
    """
    if not mutual.takes_part:
        if mutual != type(mutual)():
            raise ValueError("mutual.members is empty, so that [mutual] says nothing: add tables [mutual.members.NAME]")
        return
    _check_members(mutual)
    if others:
        raise ValueError("[models] and run.models say nothing beside mutual.members: name models there alone")
    _check_sources(distill)
    _check_target(mutual, distill)
    _check_weighting(mutual, distill, graph.targets)
    _check_rates(distill)
    _check_rivals(mutual, distill, finetune)


def _check_members(mutual: StudentCohort) -> None:
    if len(mutual.members) < 2:
        raise ValueError("mutual.members needs at least two: one alone has nobody to learn from")
    for name, member in mutual.members.items():
        # A model's name is part of file names, and that of a column.
        reserved = name in (*_TAKEN, *KEY_COLUMNS, *heuristics())
        if reserved or name.startswith((ALONE, "pretrain", "teacher")):
            raise ValueError(f"mutual.members.{name}: the name is taken; choose another one")
        if member.kind == "table":
            raise ValueError(f"mutual.members.{name}.kind = 'table' learns nothing from labels alone: name a network's")


def _check_sources(distill: Distill) -> None:
    if distill.teachers != 1:
        raise ValueError("distill.teachers says nothing beside mutual.members: they have no teacher")
    for source in distill.sources:
        if source not in SOURCES:
            raise ValueError(f"distill.sources: members of [mutual] cannot learn {source}, but {', '.join(SOURCES)}")
    if not set(distill.sources) - {"original"}:
        raise ValueError("distill.sources names true labels alone, but members of [mutual] learn from each other too")
    if distill.epochs == 0:
        raise ValueError("distill.epochs = 0 leaves the members of [mutual] untrained")
    if distill.pseudo_negatives == "teacher":
        raise ValueError("distill.pseudo_negatives = 'teacher': members of [mutual] have none; student or none")
    if distill.random_graph.min_logit is not None:
        raise ValueError("distill.random_graph.min_logit is of a teacher that stands still: leave it out of [mutual]")
    for key in distill.structure_weights:
        raise ValueError(f"distill.{key} compares with a teacher, which members of [mutual] have not: leave it out")


def _check_target(mutual: StudentCohort, distill: Distill) -> None:
    if mutual.target != "gate":
        return
    if "pseudo_train" not in distill.sources or distill.pseudo_negatives == "none":
        raise ValueError(
            "mutual.target = 'gate' learns by training pairs and their negatives: add pseudo_train to distill.sources, "
            "and pseudo_negatives = 'student'"
        )


def _check_weighting(mutual: StudentCohort, distill: Distill, targets: list[str]) -> None:
    kind = mutual.logit_weighting.kind
    if kind == "none":
        return
    if kind == "sample":
        raise ValueError("mutual.logit_weighting.kind = 'sample' is of classes: relations are weighed by 'pooled'")
    if mutual.target != "peers":
        raise ValueError("mutual.logit_weighting weighs what peers say: set mutual.target = 'peers'")
    if mutual.logit_weighting.gradient != "learner":
        raise ValueError("mutual.logit_weighting.gradient = 'both' is of classes: leave it at 'learner'")
    if len(targets) < 2:
        raise ValueError("mutual.logit_weighting weighs relations against each other: name two of graph.targets")
    blocks = "pseudo_random" in distill.sources and distill.random_graph.sampler != "pairs"
    if blocks or "pseudo_lists" in distill.sources or "pseudo_train" not in distill.sources:
        raise ValueError(
            "mutual.logit_weighting weighs listed pairs: distill.sources with pseudo_train and without pseudo_lists, "
            "and distill.random_graph.sampler = 'pairs'"
        )


def _check_rates(distill: Distill) -> None:
    """A member and its rival alone have the same rate."""
    for key in ("lr", "lr_end", "plateau"):
        if getattr(distill, key) is not None:
            raise ValueError(
                f"distill.{key} says nothing beside mutual.members, who are trained as their rivals: set it in finetune"
            )


def _check_rivals(mutual: StudentCohort, distill: Distill, finetune: Finetune) -> None:
    if mutual.alone and finetune.epochs != distill.epochs:
        raise ValueError(
            f"finetune.epochs = {finetune.epochs} and distill.epochs = {distill.epochs}: a member and its rival alone "
            "are trained alike, so set both to the same"
        )
