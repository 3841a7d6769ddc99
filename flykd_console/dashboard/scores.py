"""Scores as tables and charts show them, and what a seed is doing, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flykd_console.dashboard.stage_words import subject
from flykd_console.runs.models import UNTRAINED, trains_nothing
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.stage import Status


@dataclass(frozen=True, slots=True)
class ModelScore:
    """A model's score as the table shows it: on test once there, on validation until then (fractions).

    Attributes:
        value: The run's headline metric.
        relations: AUPRC by relation.
    """

    value: float
    relations: dict[str, float]
    on_test: bool


def model_score(state: RunState, seed: int, model: str) -> ModelScore | None:
    """The best-founded score of a model so far, None before its first evaluation."""
    stage = state.get(seed, model)
    if stage is None:
        return None
    evaluation = stage.evaluations.get("test") or stage.evaluations.get("validation")
    if evaluation is None or evaluation.score is None or not math.isfinite(evaluation.score):
        return None
    relations = {name: score.auprc for name, score in evaluation.relations.items()}
    return ModelScore(evaluation.score, relations, evaluation.split == "test")


def levels(state: RunState, metric: str, seed: int | None = None) -> dict[str, float]:
    """What each scorer without training reaches on validation, by its label: a fraction, the mean over seeds.

    Lists that a student learns are among them: what it is not to fall behind.

    Args:
        metric: By name.
        seed: One seed's alone, where it is known of that one.
    """
    found = {}
    for entry in state.models:
        if entry.role not in UNTRAINED:
            continue
        stages = [stage for (_, name), stage in state.stages.items() if name == entry.name]
        events = [stage.evaluations["validation"] for stage in stages if "validation" in stage.evaluations]
        values = {e.seed: value for e in events if (value := e.metrics.get(metric)) is not None}
        if values:
            mean = sum(values.values()) / len(values)
            found[entry.label] = mean if seed is None else values.get(seed, mean)
    return found


def seed_words(state: RunState, seed: int) -> str:
    """What a seed is doing, in one or two words."""
    mine = [stage for (s, _), stage in state.stages.items() if s == seed]
    stages = [stage for stage in mine if stage.status is not Status.MEASURED]
    if stages and all(stage.over for stage in stages):
        return "reused" if all(stage.status is Status.REUSED for stage in stages) else "done"
    for stage in stages:
        if stage.status is Status.RUNNING:
            return f"{subject(state, stage)} {100 * stage.fraction:.0f} %"
    if any(stage.status is Status.INTERRUPTED for stage in stages):
        return "stopped"
    if mine and not stages and trains_nothing(state.models):
        measured = {stage.stage for stage in mine}
        return "done" if measured >= {entry.name for entry in state.models} else "begun"
    return "begun" if any(stage.over for stage in mine) else "queued"
