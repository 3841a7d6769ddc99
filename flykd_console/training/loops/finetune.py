"""Finetuning: teacher and baseline on the supervised loss alone (FlyKD section 4).

for each epoch: encode -> logits of training edges and fresh negatives -> L_og -> Adam -> late plateau (`EpochStep`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flykd_console.distill.labels.sources import Negatives, Original, losses
from flykd_console.training.loops.epoch_step import EpochStep, Weights, adam
from flykd_console.training.schedule import late_plateau

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.model.rgcn import HeteroRGCN
    from flykd_console.profile import schema
    from flykd_console.tasks.link_prediction.task import Task
    from flykd_console.training.session import StageSession


def finetune(task: Task, model: HeteroRGCN, settings: schema.Finetune, session: StageSession) -> None:
    """Train a pretrained model on the target relations over the full graph; `select` says which epoch stays."""
    encode = task.training_encoder(model)
    draw = task.generator(f"{session.stage}/negatives")
    sources = {"original": Original(task.space, Negatives(task.space, draw, task.profile.split.filter_negatives))}
    optimizer = adam(model.parameters(), settings.lr)
    plateau = late_plateau(optimizer, settings.plateau, settings.epochs)
    session.optimizer, session.generators = optimizer, {"negatives": draw}
    session.stop_below = settings.plateau.stop_below
    session.scalars, session.load_scalars = plateau.state, plateau.load_state
    session.resume()

    def loss_of(epoch: int, weights: Weights) -> dict[str, Tensor]:
        return losses(task.space, encode(model), sources, weights, epoch)

    replay = task.profile.engine.cuda_graphs
    step = EpochStep(loss_of, optimizer, plateau, [draw], record=replay, log=session.log)
    for epoch in session.epochs():
        loss, lr = step(epoch, {"original": 1.0})
        session.record(epoch, loss, lr=lr)
