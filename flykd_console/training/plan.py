"""The stages that a run will go through, known before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from flykd_console.profile.schema import Profile
from flykd_console.runs.events import PlannedStage


def teacher_stages(profile: Profile) -> list[str]:
    """The teachers of a seed: `teacher`, and where several are averaged `teacher-2`, `teacher-3`, ..."""
    return ["teacher", *(f"teacher-{number}" for number in range(2, profile.distill.teachers + 1))]


def stage_epochs(profile: Profile, pretrain_steps: int) -> dict[str, int]:
    """Epochs of every stage of a seed, in order; stages of no epochs are left out."""
    epochs: dict[str, int] = {}
    for teacher in teacher_stages(profile):
        epochs |= {f"pretrain-{teacher}": pretrain_steps, teacher: profile.finetune.epochs}
    epochs |= {
        "pretrain-student": pretrain_steps,
        "baseline": profile.finetune.epochs,
        "student": profile.distill.epochs,
    }
    return {stage: count for stage, count in epochs.items() if count > 0}


def planned_stages(profile: Profile, pretrain_steps: Mapping[int, int]) -> list[PlannedStage]:
    """Every stage of every seed, in order; `pretrain_steps` by seed."""
    return [
        PlannedStage(seed=seed, stage=stage, epochs=epochs)
        for seed in profile.run.seeds
        for stage, epochs in stage_epochs(profile, pretrain_steps[seed]).items()
    ]
