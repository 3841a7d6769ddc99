"""Finetuning: teacher and baseline on the supervised loss alone (FlyKD section 4).

for each epoch: encode -> logits of training edges and fresh negatives -> L_og -> Adam -> late plateau
"""

from __future__ import annotations

import torch

from flykd_console import profile
from flykd_console.distill.objectives import Negatives, Original, losses
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.training.schedule import LatePlateau
from flykd_console.training.session import StageSession
from flykd_console.training.task import Task


def finetune(task: Task, model: HeteroRGCN, settings: profile.Finetune, session: StageSession) -> None:
    """Train a pretrained model on the target relations over the full graph; `select` says which epoch stays."""
    encode = task.training_encoder(model)
    draw = task.generator(f"{session.stage}/negatives")
    sources = {"original": Original(task.space, Negatives(task.space, draw, task.profile.split.filter_negatives))}
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.lr, fused=True)
    plateau = LatePlateau(optimizer, settings.plateau, settings.epochs)
    session.optimizer, session.generators = optimizer, {"negatives": draw}
    session.scalars, session.load_scalars = plateau.state, plateau.load_state
    session.resume()

    for epoch in session.epochs():
        loss = losses(task.space, encode(model), sources, {"original": 1.0}, epoch)
        optimizer.zero_grad(set_to_none=True)
        loss["total"].backward()
        lr = optimizer.param_groups[0]["lr"]
        optimizer.step()
        plateau.step(epoch, loss["total"])
        session.record(epoch, loss, lr=lr)
