"""How far the whole run is and how long it will still take, from seconds measured by kind of stage.

The stage in training goes on at its present pace, and what is ahead takes as much longer as the machine is slower.
A kind that this session has trained is believed first, then what an earlier session measured. The cost of a kind that
was never seen follows from the nearest kind that was, by the relative costs below; the time to go is then called rough.
Stages that were reused cost nothing; where every stage of a kind was reused so far the coming ones are expected to be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from flykd_console.runs.stage import Phase
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.stage import OPENING_EPOCHS, Cost, StageState, Status

_ENOUGH_EPOCHS = 4
# Measured on graphs of 4 500 to 62 000 nodes: an epoch's seconds grow with the dimension about as d^1.65; a step of
# pretraining, which scores every node type, takes about three times a finetuning epoch; distilling adds a sixth.
_DIM_POWER = 1.65
_RELATIVE = {Phase.PRETRAIN: 3.0, Phase.FINETUNE: 1.0, Phase.DISTILL: 1.16}
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """The run as a whole.

    Attributes:
        fraction: Done, 0 to 1, by the expected cost of its epochs; epochs that a resume trains again count as done.
        remaining: Seconds to go, None before the first few epochs.
        rough: Some kind of stage still ahead was never measured; its cost is derived from another kind's.
    """

    fraction: float
    remaining: float | None
    rough: bool


def progress(state: RunState) -> Progress:
    """Progress and remaining time over all seeds and stages."""
    if not state.stages:
        return Progress(0.0, None, False)  # nothing is planned yet
    ahead = [stage for stage in state.stages.values() if not stage.over]
    if not ahead:
        return Progress(1.0, 0.0, False)
    remaining, rough, known = 0.0, False, True
    for stage in ahead:
        cost, guessed = _cost_ahead(state, stage)
        if cost is None:
            known = False
            break
        rough = rough or guessed
        remaining += cost
    return Progress(_fraction(state), remaining if known else None, rough or not known)


class SteadyProgress:
    """Progress whose bar never steps back while better estimates of the costs come in.

    Only more work, such as epochs that were added, lets it begin anew.
    """

    def __init__(self) -> None:
        self._furthest = 0.0
        self._planned = 0

    def __call__(self, state: RunState) -> Progress:
        planned = sum(stage.epochs for stage in state.stages.values())
        now = progress(state)
        self._furthest = now.fraction if planned > self._planned else max(self._furthest, now.fraction)
        self._planned = planned
        return replace(now, fraction=self._furthest)


def _fraction(state: RunState) -> float:
    """The share of the epochs that are done, each weighed by what it costs or is expected to cost."""
    done = total = 0.0
    for stage in state.stages.values():
        if stage.status is Status.REUSED or _always_reused(state, stage.stage):
            continue
        weight = _per_epoch(state, stage.stage)
        if weight is None:
            weight = _derived(state, stage.stage)
        if weight is None:
            weight = _relative(state, stage.stage)
        total += weight * stage.epochs
        done += weight * (stage.epochs if stage.over else min(stage.epochs, max(stage.epoch, stage.furthest)))
    return min(1.0, done / total) if total > 0 else 0.0


def _cost_ahead(state: RunState, stage: StageState) -> tuple[float | None, bool]:
    """Seconds that a stage still needs, and whether they are a guess."""
    left = max(0, stage.epochs - stage.epoch)
    if state.current == (stage.seed, stage.stage) and stage.status is Status.RUNNING:
        present = _present(state, stage)
        if present is not None:
            return present * left, False
    slow, whole = state.machine.slow, _whole(state, stage)
    if stage.epoch == 0 and whole is not None:
        return whole * slow, False
    guessed = False
    per_epoch = _per_epoch(state, stage.stage)
    if per_epoch is None and _always_reused(state, stage.stage):
        return 0.0, False
    if per_epoch is None:
        per_epoch, guessed = _derived(state, stage.stage), True
    if per_epoch is None:
        return None, True
    setup = _setup(state, stage.stage) if stage.epoch == 0 else 0.0
    return (per_epoch * left + setup) * slow, guessed


def _present(state: RunState, stage: StageState) -> float | None:
    """Seconds an epoch of the stage in training at present, evaluations shared out; None before the first few.

    Evaluations keep their share of the time: what slows epochs down slows them down, too.
    """
    cost = _measured(state, stage.stage)
    now = state.seconds_an_epoch
    if cost is None or now is None:
        return None
    own = state.costs.get(stage.stage)
    if own is not None and own.opens and own.opening:
        # The first epochs of a stage are slower than those to come.
        now = min(now, own.usual() * state.machine.slow)
    return now * cost.overhead


def _measured(state: RunState, kind: str) -> Cost | None:
    """The newest measurement of a kind that rests on more than a moment."""
    found = [costs[kind] for costs in (state.costs, state.earlier_costs) if kind in costs]
    solid = [cost for cost in found if cost.epochs >= _ENOUGH_EPOCHS and cost.seconds > 0]
    return next((cost for cost in solid if cost.seconds >= _LEAST_SECONDS), solid[0] if solid else None)


def _rate(cost: Cost) -> float:
    """Seconds an epoch, evaluations shared out among them."""
    return cost.usual() if cost.epochs < OPENING_EPOCHS and cost.opening else cost.seconds / cost.epochs


def _per_epoch(state: RunState, kind: str) -> float | None:
    cost = _measured(state, kind)
    return _rate(cost) if cost is not None else None


def _setup(state: RunState, kind: str) -> float:
    cost = _measured(state, kind)
    return cost.setup / cost.stages if cost is not None and cost.stages else 0.0


def _derived(state: RunState, kind: str) -> float | None:
    """Seconds an epoch of a kind that was not measured, from one that was: of its family if possible, at its width."""
    kinds = dict.fromkeys([*state.costs, *state.earlier_costs])
    known = [(other, cost) for other in kinds if other != kind and (cost := _measured(state, other)) is not None]
    if not known:
        return None
    pretraining = _phase(state, kind) is Phase.PRETRAIN

    def nearness(pair: tuple[str, Cost]) -> tuple[bool, float]:
        other, cost = pair
        return (_phase(state, other) is Phase.PRETRAIN) is pretraining, cost.seconds

    other, cost = max(known, key=nearness)
    return _rate(cost) * _relative(state, kind) / _relative(state, other)


def _example(state: RunState, kind: str) -> StageState | None:
    """A stage of a kind, in whichever seed."""
    return next((stage for stage in state.stages.values() if stage.stage == kind), None)


def _phase(state: RunState, kind: str) -> Phase:
    stage = _example(state, kind)
    return stage.phase if stage is not None else Phase.FINETUNE


def _relative(state: RunState, kind: str) -> float:
    """What an epoch of a kind costs, in epochs of finetuning a model of dimension 1."""
    stage = _example(state, kind)
    dims = [state.dim(model) for model in stage.models] if stage is not None else []
    width = float(next((dim for dim in dims if dim), 1))
    return _RELATIVE[_phase(state, kind)] * math.pow(width, _DIM_POWER)


def _whole(state: RunState, stage: StageState) -> float | None:
    """Mean seconds of whole stages of the same kind and length."""
    for costs in (state.costs, state.earlier_costs):
        cost = costs.get(stage.stage)
        if cost is not None and cost.whole and _same_length(state, stage):
            return sum(cost.whole) / len(cost.whole)
    return None


def _same_length(state: RunState, stage: StageState) -> bool:
    """Whether the stages of this kind that are over had as many epochs as this one has."""
    over = [s.epochs for s in state.stages.values() if s.stage == stage.stage and s.status is Status.DONE]
    return not over or over[-1] == stage.epochs


def _always_reused(state: RunState, kind: str) -> bool:
    over = [stage for stage in state.stages.values() if stage.stage == kind and stage.over]
    return bool(over) and all(stage.status is Status.REUSED for stage in over)
