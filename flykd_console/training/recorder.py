"""Epochs on their way into the event log: losses are read back, timed, and checked to be numbers.

On a GPU losses stay on the device and are read back in blocks, so that epochs need not wait for each other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from flykd_console.errors import DivergedError
from flykd_console.runs.events import Epoch
from flykd_console.runs.log import EventWriter
from flykd_console.runs.stage import Stage


class TrainingDivergedError(DivergedError):
    """A loss or a weight became NaN or infinite; the message names it, the epoch and the last good checkpoint."""


@dataclass
class _Pending:
    epoch: int
    losses: dict[str, Tensor]
    weights: dict[str, float] | None
    lr: float | Tensor


class Recorder:
    """Writes the epochs of one stage.

    Args:
        last_good: Which checkpoint a run that goes astray can go back to, in words.

    Attributes:
        seconds: Of all epochs that were told, evaluations left out.
        rate: Learning rate of the last epoch that was told.
        epochs: Epochs of the stage; grows where some are added by hand.
    """

    def __init__(
        self,
        events: EventWriter,
        seed: int,
        stage: Stage,
        epochs: int,
        log_every: int,
        stop_below: float,
        seconds: float,
        last_good: Callable[[], str],
    ) -> None:
        self._events, self._seed, self._stage = events, seed, stage
        self._log_every, self._stop_below, self._last_good = log_every, stop_below, last_good
        self.epochs, self.seconds = epochs, seconds
        self.rate = math.inf
        self._pending: list[_Pending] = []
        self._since = 0.0

    def start_clock(self) -> None:
        """From here on time belongs to the next epochs."""
        self._since = time.perf_counter()

    def add(
        self, epoch: int, losses: Mapping[str, Tensor], lr: float | Tensor, weights: Mapping[str, float] | None
    ) -> None:
        """Take an epoch, counted from 1; it is told by the next `flush`."""
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._pending.append(_Pending(epoch, detached, dict(weights) if weights else None, lr))

    @property
    def spent(self) -> bool:
        """Whether the learning rate has fallen below what the profile calls worth training with."""
        return self.rate < self._stop_below

    def flush(self) -> None:
        """Tell the epochs that were taken.

        Raises:
            TrainingDivergedError: A loss is not finite.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        values = [{name: float(loss) for name, loss in entry.losses.items()} for entry in pending]
        now = time.perf_counter()
        seconds = (now - self._since) / len(pending)
        self._since = now
        self.seconds += seconds * len(pending)
        self.rate = float(pending[-1].lr)
        for entry, losses in zip(pending, values, strict=True):
            bad = [name for name, value in losses.items() if not math.isfinite(value)]
            ends_here = entry.epoch == self.epochs or (entry is pending[-1] and self.spent)
            if entry.epoch % self._log_every == 0 or ends_here or bad:
                self._tell(entry, losses, seconds)
            if bad:
                raise TrainingDivergedError(
                    f"seed {self._seed}, {self._stage}: the loss {bad[0]!r} is {losses[bad[0]]} at epoch {entry.epoch};"
                    f" {self._last_good()}"
                )

    def _tell(self, entry: _Pending, losses: Mapping[str, float], seconds: float) -> None:
        self._events.write(
            Epoch(
                seed=self._seed,
                stage=self._stage.name,
                epoch=entry.epoch,
                epochs=self.epochs,
                losses=dict(losses),
                weights=entry.weights,
                lr=float(entry.lr),
                seconds=seconds,
            )
        )
