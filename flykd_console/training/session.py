"""One stage in progress: its events, its checkpoints and its orders, so that the training loops stay plain loops.

A loop iterates over `session.epochs()` and ends each turn with `session.record(...)`. In between the session writes the
epoch's event, evaluates and checkpoints when due, obeys orders, and stops a run whose loss is no longer a number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Checkpoint, Epoch, Evaluation, Log
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import Scores
from flykd_console.training import checkpoint
from flykd_console.training.control import ControlDesk, StopRequestedError

# On a GPU losses stay on the device and are read back in blocks, so that epochs need not wait for each other.
_DEVICE_BLOCK = 50


class TrainingDivergedError(Exception):
    """A loss became NaN or infinite; the message names the epoch, the loss and the last good checkpoint."""


class Resumable(Protocol):
    """Anything besides model and optimiser that a checkpoint must hold."""

    def state(self) -> dict[str, Tensor]:
        """Tensors to keep."""
        ...

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` returned."""
        ...


@dataclass
class _Pending:
    epoch: int
    losses: dict[str, Tensor]
    weights: dict[str, float] | None
    lr: float


@dataclass
class StageSession:
    """State and services of one stage of one seed.

    Attributes:
        epochs_total: Epochs (pretraining: optimiser steps) of the stage.
        evaluate: Scores the model on the validation part; None leaves evaluation out.
        key: What the stage depends on; a state of another key is not resumed.
    """

    directory: RunDirectory
    events: EventWriter
    control: ControlDesk
    seed: int
    stage: str
    epochs_total: int
    model: HeteroRGCN
    key: str
    evaluate: Callable[[], Scores] | None = None
    validate_every: int = 20
    log_every: int = 1
    checkpoint_every: int = 200
    optimizer: torch.optim.Optimizer | None = None
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    resumables: list[Resumable] = field(default_factory=list)
    scalars: Callable[[], dict[str, float]] = dict
    load_scalars: Callable[[dict[str, float]], None] = lambda state: None
    first_epoch: int = 0
    seconds: float = 0.0
    _pending: list[_Pending] = field(default_factory=list)
    _since: float = 0.0
    _checkpointed: int = 0

    def __post_init__(self) -> None:
        metadata = checkpoint.load_metadata(self.directory.state(self.seed, self.stage))
        if metadata is not None and metadata.get("key") == self.key:
            self.first_epoch = self._checkpointed = metadata["epoch"]
            self.seconds = metadata["seconds"]

    def resume(self) -> None:
        """Go on from the stage's saved state where there is one; call once model and optimiser stand."""
        if self.first_epoch == 0:
            return
        assert self.optimizer is not None
        tensors, metadata = checkpoint.load_tensors(self.directory.state(self.seed, self.stage))
        self.model.load_tensors(tensors)
        checkpoint.load_optimizer(self.optimizer, tensors, metadata["lr"])
        if metadata["device"] == self._device:
            for name, generator in self.generators.items():
                generator.set_state(tensors[f"generator/{name}"])
        else:
            was, now = metadata["device"], self._device
            self.log(f"begun on {was} and resumed on {now}, whose random numbers differ: draws begin anew", "warning")
        for resumable in self.resumables:
            resumable.load_state(tensors)
        self.load_scalars(metadata["scalars"])

    def epochs(self) -> Iterator[int]:
        """Epochs to go, counted from 0."""
        self._since = time.perf_counter()
        yield from range(self.first_epoch, self.epochs_total)
        self._flush()

    def record(
        self, epoch: int, losses: Mapping[str, Tensor], lr: float, weights: Mapping[str, float] | None = None
    ) -> None:
        """End an epoch, counted from 0.

        Raises:
            StopRequestedError: A stop was ordered; the state is on disk.
            TrainingDivergedError: A loss is not finite.
        """
        done = epoch + 1
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._pending.append(_Pending(done, detached, dict(weights) if weights else None, lr))
        orders = self.control.poll()
        if "pause" in orders:
            # What is done is told first, and the wait is no epoch's time.
            self._flush()
            self.control.hold(self.seed, self.stage)
            self._since = time.perf_counter()
            orders = (orders | self.control.poll()) - {"pause"}
        last = done == self.epochs_total
        evaluate = self.evaluate is not None and (done % self.validate_every == 0 or last or "evaluate" in orders)
        save = not last and (done % self.checkpoint_every == 0 or orders & {"checkpoint", "stop"})
        on_device = next(iter(detached.values())).device.type != "cpu"
        if evaluate or save or last or not on_device or len(self._pending) >= _DEVICE_BLOCK:
            self._flush()
        if evaluate:
            self.evaluate_now(done)
        if save:
            self.save_state(done)
        if "evaluate" in orders and self.evaluate is None:
            self.log("there is nothing to evaluate while pretraining", "warning")
        for order in sorted(orders):
            self.control.acknowledge(order, "stopping" if order == "stop" else "running", self.seed, self.stage)
        if "stop" in orders and not last:
            raise StopRequestedError
        if evaluate or save or orders:
            self._since = time.perf_counter()

    def evaluate_now(self, epoch: int) -> None:
        """Score the validation part and write the event."""
        assert self.evaluate is not None
        self.events.write(evaluation_event(self.seed, self.stage, epoch, "validation", self.evaluate()))

    def save_state(self, epoch: int) -> None:
        """Write the stage's resumable state; `epoch` epochs are done."""
        assert self.optimizer is not None
        tensors = self.model.tensors() | checkpoint.optimizer_tensors(self.optimizer)
        tensors |= {f"generator/{name}": g.get_state() for name, g in self.generators.items()}
        for resumable in self.resumables:
            tensors |= resumable.state()
        path = self.directory.state(self.seed, self.stage)
        metadata = {
            "key": self.key,
            "device": self._device,
            "epoch": epoch,
            "lr": self.optimizer.param_groups[0]["lr"],
            "scalars": self.scalars(),
            "seconds": self.seconds,
        }
        checkpoint.save_tensors(path, tensors, metadata)
        self._checkpointed = epoch
        self.events.write(Checkpoint(seed=self.seed, stage=self.stage, epoch=epoch, file=path.name))

    @property
    def _device(self) -> str:
        return self.model.relation.device.type

    def log(self, message: str, level: str = "info") -> None:
        """A line of the run's log."""
        self.events.write(Log(level=level, message=message, seed=self.seed, stage=self.stage))

    def _flush(self) -> None:
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        values = [{name: float(loss) for name, loss in entry.losses.items()} for entry in pending]
        now = time.perf_counter()
        seconds = (now - self._since) / len(pending)
        self._since = now
        self.seconds += seconds * len(pending)
        for entry, losses in zip(pending, values, strict=True):
            bad = [name for name, value in losses.items() if not math.isfinite(value)]
            if entry.epoch % self.log_every == 0 or entry.epoch == self.epochs_total or bad:
                self.events.write(
                    Epoch(
                        seed=self.seed,
                        stage=self.stage,
                        epoch=entry.epoch,
                        epochs=self.epochs_total,
                        losses=dict(losses),
                        weights=entry.weights,
                        lr=entry.lr,
                        seconds=seconds,
                    )
                )
            if bad:
                kept = (
                    f"the state of epoch {self._checkpointed} is kept"
                    if self._checkpointed
                    else "no state was saved yet"
                )
                raise TrainingDivergedError(
                    f"seed {self.seed}, {self.stage}: the loss {bad[0]!r} is {losses[bad[0]]} at epoch {entry.epoch};"
                    f" {kept}"
                )


def evaluation_event(seed: int, stage: str, epoch: int, split: str, scores: Scores) -> Evaluation:
    """The event of a part's scores."""
    assert scores.macro_auprc is not None
    assert scores.macro_auroc is not None
    return Evaluation(
        seed=seed,
        stage=stage,
        epoch=epoch,
        split=split,
        macro_auprc=scores.macro_auprc,
        macro_auroc=scores.macro_auroc,
        relations=scores.relations,
    )
