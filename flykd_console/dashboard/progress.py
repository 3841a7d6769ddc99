"""How far the whole run is and how long it will still take, from seconds measured by kind of stage.

A kind that this session has trained is believed first, then what an earlier session measured, then the nearest kind.
Stages that were reused cost nothing; where every stage of a kind was reused so far the coming ones are expected to be.
"""

from __future__ import annotations

from dataclasses import dataclass

from flykd_console.dashboard.state import DashboardState, StageState, Status

_ENOUGH_EPOCHS = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """The run as a whole.

    Attributes:
        fraction: Done, 0 to 1, by expected time.
        remaining: Seconds to go, None while the cost of some stage ahead cannot even be guessed.
        rough: Some kind of stage still ahead was never measured; its cost is a guess by the nearest kind.
    """

    fraction: float
    remaining: float | None
    rough: bool


def progress(state: DashboardState) -> Progress:
    """Progress and remaining time over all seeds and stages."""
    ahead = [stage for stage in state.stages.values() if not stage.over]
    if state.stages and not ahead:
        return Progress(1.0, 0.0, False)
    remaining, spent, rough, known = 0.0, 0.0, False, True
    for stage in state.stages.values():
        if stage.status is not Status.REUSED:
            spent += stage.wall
    for stage in ahead:
        cost, guessed = _cost_ahead(state, stage)
        if cost is None:
            known = False
            break
        rough = rough or guessed
        remaining += cost
    if not known:
        done = sum(stage.fraction for stage in state.stages.values())
        return Progress(done / max(1, len(state.stages)), None, True)
    total = spent + remaining
    return Progress(spent / total if total > 0 else 0.0, remaining, rough)


def _cost_ahead(state: DashboardState, stage: StageState) -> tuple[float | None, bool]:
    """Seconds that a stage still needs, and whether they are a guess."""
    left = max(0, stage.epochs - stage.epoch)
    whole = _whole(state, stage.stage)
    if stage.epoch == 0 and whole is not None:
        return whole, False
    per_epoch = _per_epoch(state, stage.stage)
    if per_epoch is not None:
        return per_epoch * left, False
    if _always_reused(state, stage.stage):
        return 0.0, False
    if stage.stage.startswith("pretrain-"):
        # What an "epoch" of pretraining is differs from a step of it: only a whole sibling stage says something.
        siblings = [_whole(state, kind) for kind in ("pretrain-teacher", "pretrain-student")]
        known = [seconds for seconds in siblings if seconds is not None]
        return (known[0] if known else None), True
    nearest = {
        "teacher": ("baseline", "student"),
        "baseline": ("teacher", "student"),
        "student": ("baseline", "teacher"),
    }
    for kind in nearest.get(stage.stage, ()):
        per_epoch = _per_epoch(state, kind)
        if per_epoch is not None:
            return per_epoch * left, True
    return None, True


def _per_epoch(state: DashboardState, kind: str) -> float | None:
    for costs in (state.costs, state.earlier_costs):
        cost = costs.get(kind)
        if cost is not None and cost.epochs >= _ENOUGH_EPOCHS and cost.seconds > 0:
            return cost.seconds / cost.epochs
    return None


def _whole(state: DashboardState, kind: str) -> float | None:
    for costs in (state.costs, state.earlier_costs):
        cost = costs.get(kind)
        if cost is not None and cost.whole:
            return sum(cost.whole) / len(cost.whole)
    return None


def _always_reused(state: DashboardState, kind: str) -> bool:
    over = [stage for stage in state.stages.values() if stage.stage == kind and stage.over]
    return bool(over) and all(stage.status is Status.REUSED for stage in over)
