"""The training loop: one for pretraining, finetuning and distilling, which differ in what they minimise.

for each epoch: losses of the objective, weighed by its curriculum -> gradients -> optimiser -> learning rate
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

import torch

from flykd_console.training.checkpoint import parts_of
from flykd_console.training.loops.replay import Replay, adam
from flykd_console.training.loops.schedule import Schedule, StraightFall, late_plateau

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.profile.distill import Plateau
    from flykd_console.profile.sections import Pretrain
    from flykd_console.tasks.base import Objective, Trainable, Weights
    from flykd_console.training.stage_loop import StageLoop

# One loss, and all of it.
_LABELS_ALONE = {"original": 1.0}


def pretrain(objective: Objective, models: Mapping[str, Trainable], settings: Pretrain, loop: StageLoop) -> None:
    """Train models from scratch; an epoch of the loop is one optimiser step at a constant rate."""
    parameters = _parameters(objective, models)
    optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    _train(objective, models, optimizer, None, False, loop)


def train(
    objective: Objective,
    models: Mapping[str, Trainable],
    lr: float,
    plateau: Plateau,
    epochs: int,
    replay: bool,
    loop: StageLoop,
    lr_end: float | None = None,
) -> None:
    """Train pretrained models with Adam and a late plateau (FlyKD section 4).

    Args:
        lr_end: The rate falls to it in a straight line instead of by the plateau.
        epochs: That the profile plans, whose last ones the plateau watches.
        replay: Replay epochs as CUDA graphs where the models are on a GPU.
    """
    optimizer = adam(_parameters(objective, models), lr)
    if lr_end is None:
        schedule = late_plateau(optimizer, plateau, epochs)
    else:
        schedule = StraightFall(optimizer, lr, lr_end, epochs)
    _train(objective, models, optimizer, schedule, replay, loop)


def train_each(
    objective: Objective, models: Mapping[str, Trainable], rates: Mapping[str, tuple[float, float]], loop: StageLoop
) -> None:
    """Train models with Adam at constant rates of their own.

    Args:
        rates: By model its learning rate and L2 penalty; what is trained besides has the first one's rate, and none.
    """
    groups = [
        {"params": list(model.parameters()), "lr": rates[name][0], "weight_decay": rates[name][1]}
        for name, model in models.items()
    ]
    if objective.parameters:
        groups.append({"params": objective.parameters, "lr": next(iter(rates.values()))[0], "weight_decay": 0.0})
    optimizer = torch.optim.Adam(groups, fused=True)
    _train(objective, models, optimizer, None, False, loop)


def _parameters(objective: Objective, models: Mapping[str, Trainable]) -> list[torch.nn.Parameter]:
    """Every parameter of the models, and what is trained besides."""
    found = [parameter for model in models.values() for parameter in model.parameters()]
    return [*found, *objective.parameters]


def _train(
    objective: Objective,
    models: Mapping[str, Trainable],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None,
    replay: bool,
    loop: StageLoop,
) -> None:
    others = dict(objective.stateful)
    if schedule is not None:
        others["schedule"] = schedule
    for name, watched in loop.models.items():
        if watched.selection is not None:
            others[f"selection-{name}"] = watched.selection
    loop.checkpointer.keep(parts_of(models, optimizer, objective.generators, others))
    loop.checkpointer.resume(loop.log)

    def carry_out(epoch: int, weights: Weights) -> dict[str, Tensor]:
        steps = []
        for losses in objective.steps(epoch, weights):
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            optimizer.step()
            steps.append(losses)
        if len(steps) > 1:
            losses = objective.told(steps)
        if schedule is not None:
            schedule.step(epoch, losses["total"])
        return losses

    def variant(epoch: int) -> Hashable:
        watched = schedule is not None and schedule.watches(epoch)
        return watched, objective.variant(epoch)

    step = Replay(carry_out, optimizer, objective.generators.values(), variant, replay, loop.log)
    curriculum = objective.curriculum
    for epoch in loop.epochs():
        weights = curriculum.weights(epoch) if curriculum is not None else None
        losses, lr = step(epoch, weights or _LABELS_ALONE)
        loop.end_epoch(epoch, losses, lr, weights)
