"""The learning rate: reduced when the training loss stands still, in the last epochs only (FlyKD, section 4)."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from flykd_console import profile


class LatePlateau:
    """ReduceLROnPlateau on the training loss that watches the last `last_epochs` epochs: none, some or all of them."""

    def __init__(self, optimizer: torch.optim.Optimizer, settings: profile.Plateau, epochs: int) -> None:
        self._first = epochs - settings.last_epochs
        self._plateau = ReduceLROnPlateau(optimizer, factor=settings.factor, patience=settings.patience)

    def step(self, epoch: int, loss: torch.Tensor) -> None:
        """After an epoch, counted from 0; reads the loss back from the device only while it watches."""
        if epoch >= self._first:
            self._plateau.step(loss.item())

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps, JSON-ready."""
        return {key: value for key, value in self._plateau.state_dict().items() if isinstance(value, int | float)}

    def load_state(self, state: dict[str, float]) -> None:
        """Take over what `state` returned."""
        self._plateau.load_state_dict(state)
