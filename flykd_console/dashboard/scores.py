"""A model's score as tables show it, and what a seed is doing, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flykd_console.dashboard.stage_words import subject
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
    return "begun" if any(stage.over for stage in mine) else "queued"
