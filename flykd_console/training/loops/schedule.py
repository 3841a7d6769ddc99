"""The learning rate: reduced when the training loss stands still, in the last epochs only (FlyKD, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

if TYPE_CHECKING:
    from flykd_console.profile.distill import Plateau


class Schedule(Protocol):
    """Changes an optimiser's learning rate by the training loss."""

    def watches(self, epoch: int) -> bool:
        """Whether `step` does anything after this epoch, counted from 0."""
        ...

    def step(self, epoch: int, loss: Tensor) -> None:
        """After an epoch, counted from 0."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        ...


def late_plateau(optimizer: torch.optim.Optimizer, settings: Plateau, epochs: int) -> Schedule:
    """The schedule of a stage; where the learning rate is a tensor it is kept on the device."""
    on_device = isinstance(optimizer.param_groups[0]["lr"], Tensor)
    return (DevicePlateau if on_device else LatePlateau)(optimizer, settings, epochs)


class LatePlateau:
    """ReduceLROnPlateau on the training loss that watches the last `last_epochs` epochs: none, some or all of them."""

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Plateau, epochs: int) -> None:
        self._first = epochs - settings.last_epochs
        self._plateau = ReduceLROnPlateau(optimizer, factor=settings.factor, patience=settings.patience)

    def watches(self, epoch: int) -> bool:
        """Whether `step` does anything after this epoch, counted from 0."""
        return epoch >= self._first

    def step(self, epoch: int, loss: Tensor) -> None:
        """After an epoch, counted from 0; reads the loss back only while it watches."""
        if self.watches(epoch):
            self._plateau.step(loss.item())

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        numbers = {key: value for key, value in self._plateau.state_dict().items() if isinstance(value, int | float)}
        return {
            key: torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)
            for key, value in numbers.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self._plateau.load_state_dict({key: value.item() for key, value in state.items()})


class StraightFall:
    """The rate falls in a straight line from a first to a last one over the planned epochs, and then stays."""

    def __init__(self, optimizer: torch.optim.Optimizer, first: float, last: float, epochs: int) -> None:
        # Loading an optimiser's state puts other groups in place of its own.
        self._optimizer = optimizer
        self._first, self._last, self._epochs = first, last, epochs

    def watches(self, epoch: int) -> bool:
        """Every epoch."""
        return True

    def step(self, epoch: int, loss: Tensor) -> None:
        """Set the rate of the epoch after this one, counted from 0."""
        behind = min(1.0, (epoch + 1) / max(1, self._epochs - 1))
        rate = self._first + (self._last - self._first) * behind
        group = self._optimizer.param_groups[0]
        current = group["lr"]
        if isinstance(current, Tensor):
            current.fill_(rate)
        else:
            group["lr"] = rate

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: the rate follows from the epoch, and the optimiser keeps it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing."""


class DevicePlateau:
    """LatePlateau for a learning rate that is a tensor: no loss is read back, so that epochs need not wait.

    The rules are ReduceLROnPlateau's: an epoch is better by a relative 1e-4, `patience` worse ones in a row are borne,
    and a step below 1e-8 is not taken.
    """

    _THRESHOLD = 1e-4
    _SMALLEST_STEP = 1e-8

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Plateau, epochs: int) -> None:
        self._first = epochs - settings.last_epochs
        self._factor, self._patience = settings.factor, settings.patience
        self._optimizer = optimizer
        device = self._rate.device
        self._best = torch.full((), math.inf, device=device)
        self._worse = torch.zeros((), device=device)

    @property
    def _rate(self) -> Tensor:
        # Loading an optimiser's state puts another tensor in its place.
        rate: Tensor = self._optimizer.param_groups[0]["lr"]
        return rate

    def watches(self, epoch: int) -> bool:
        """Whether `step` does anything after this epoch, counted from 0."""
        return epoch >= self._first

    @torch.no_grad()
    def step(self, epoch: int, loss: Tensor) -> None:
        """After an epoch, counted from 0."""
        if not self.watches(epoch):
            return
        better = loss < self._best * (1 - self._THRESHOLD)
        self._best.copy_(torch.where(better, loss, self._best))
        self._worse.copy_(torch.where(better, 0.0, self._worse + 1))
        reduce = self._worse > self._patience
        rate = self._rate
        lower = rate * self._factor
        rate.copy_(torch.where(reduce & (rate - lower > self._SMALLEST_STEP), lower, rate))
        self._worse.copy_(torch.where(reduce, 0.0, self._worse))

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"best": self._best.double(), "num_bad_epochs": self._worse.double()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned, or a LatePlateau's."""
        self._best.fill_(state["best"].item())
        self._worse.fill_(state["num_bad_epochs"].item())
