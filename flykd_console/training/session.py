"""One stage in progress: its events, its checkpoints and its orders, so that the training loops stay plain loops.

A loop iterates over `session.epochs()` and ends each turn with `session.record(...)`. In between the session writes the
epoch's event, evaluates and checkpoints when due, obeys orders, follows which epoch is the best where the profile asks
for it, and stops a run whose loss is no longer a number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from flykd_console.errors import DivergedError
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.model.tensor_files import load_metadata, load_tensors, save_tensors
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Checkpoint, Epoch, Evaluation, Log
from flykd_console.runs.log import EventWriter
from flykd_console.runs.more_epochs import can_be_extended, take_more_epochs
from flykd_console.runs.results import Scores
from flykd_console.training.checkpoint import load_optimizer, optimizer_tensors
from flykd_console.training.orders import ControlDesk, StopRequestedError
from flykd_console.training.selection import Selection

# On a GPU losses stay on the device and are read back in blocks, so that epochs need not wait for each other.
_DEVICE_BLOCK = 50


class TrainingDivergedError(DivergedError):
    """A loss or a weight became NaN or infinite; the message names it, the epoch and the last good checkpoint."""


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
    lr: float | Tensor


@dataclass
class StageSession:
    """State and services of one stage of one seed.

    Attributes:
        epochs_total: Epochs (pretraining: optimiser steps) of the stage; grows where some are added by hand.
        planned: Epochs that the profile asks for.
        evaluate: Scores the model on the validation part; None leaves evaluation out.
        key: What the stage depends on; a state of another key is not resumed.
        selection: Which epoch's weights stay, and whether to stop early; None: the last one's (pretraining).
        stop_below: A learning rate below this ends the stage; 0: never.
        done: Epochs behind the stage; below `epochs_total` at the end where it ended early.
        tell_extended: Told how many epochs were just added.
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
    selection: Selection | None = None
    validate_every: int = 20
    log_every: int = 1
    checkpoint_every: int = 200
    stop_below: float = 0.0
    optimizer: torch.optim.Optimizer | None = None
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    resumables: list[Resumable] = field(default_factory=list)
    scalars: Callable[[], dict[str, float]] = dict
    load_scalars: Callable[[dict[str, float]], None] = lambda state: None
    tell_extended: Callable[[int], None] = lambda added: None
    planned: int = field(init=False)
    first_epoch: int = 0
    done: int = 0
    seconds: float = 0.0
    _pending: list[_Pending] = field(default_factory=list)
    _since: float = 0.0
    _checkpointed: int = 0
    _rate: float = math.inf  # learning rate of the last epoch that was told
    _spent: bool = False  # it is below `stop_below`

    def __post_init__(self) -> None:
        self.planned = self.epochs_total
        self.control.place = (self.seed, self.stage)
        metadata = load_metadata(self.directory.state(self.seed, self.stage))
        if metadata is not None and metadata.get("key") == self.key:
            self.epochs_total = max(self.planned, metadata.get("epochs", 0))
            self.first_epoch = self.done = self._checkpointed = metadata["epoch"]
            self.seconds = metadata["seconds"]

    def resume(self) -> None:
        """Go on from the stage's saved state where there is one; call once model and optimiser stand."""
        if self.first_epoch == 0:
            return
        assert self.optimizer is not None
        tensors, metadata = load_tensors(self.directory.state(self.seed, self.stage))
        self.model.load_tensors(tensors)
        load_optimizer(self.optimizer, tensors, metadata["lr"])
        if metadata["device"] == self._device:
            for name, generator in self.generators.items():
                generator.set_state(tensors[f"generator/{name}"])
        else:
            was, now = metadata["device"], self._device
            self.log(f"begun on {was} and resumed on {now}, whose random numbers differ: draws begin anew", "warning")
        for resumable in self._kept_things():
            resumable.load_state(tensors)
        self.load_scalars(metadata["scalars"])

    def epochs(self) -> Iterator[int]:
        """Epochs to go, counted from 0; fewer where validation or a spent learning rate ends the stage early."""
        self._since = time.perf_counter()
        epoch = self.first_epoch
        while epoch < self.epochs_total and not self._exhausted:  # epochs may be added on the way
            yield epoch
            epoch += 1
        self._flush()
        self._settle()

    def record(
        self, epoch: int, losses: Mapping[str, Tensor], lr: float | Tensor, weights: Mapping[str, float] | None = None
    ) -> None:
        """End an epoch, counted from 0.

        Raises:
            StopRequestedError: A stop was ordered; the state is on disk.
            TrainingDivergedError: A loss, or a weight that is to be evaluated or saved, is not finite.
        """
        done = epoch + 1
        detached = {name: loss.detach() for name, loss in losses.items()}
        self._pending.append(_Pending(done, detached, dict(weights) if weights else None, lr))
        orders = self.control.poll(now=done == self.epochs_total)
        self.done = done
        if "pause" in orders:
            # What is done is told first, and the wait is no epoch's time.
            self._flush()
            self.control.hold(self.seed, self.stage, self._obey_paused)
            self._since = time.perf_counter()
            orders = (orders | self.control.poll()) - {"pause"}
        on_device = next(iter(detached.values())).device.type != "cpu"
        # On a GPU the rate decides at fixed epochs alone, so that a look in between changes nothing.
        rate_decides = not on_device or done % _DEVICE_BLOCK == 0
        if rate_decides:
            self._flush()
            self._spent = self._rate < self.stop_below
        refused = set() if "extend" not in orders or self._extend() else {"extend"}
        last = done == self.epochs_total
        scheduled = self.evaluate is not None and (done % self.validate_every == 0 or last)
        evaluate = scheduled or (self.evaluate is not None and "evaluate" in orders)
        # Added epochs are checkpointed at once, so that a resume knows of them.
        save = done % self.checkpoint_every == 0 or orders & {"checkpoint", "stop", "extend"} - refused
        if evaluate or save or last:
            self._flush()
        if self._spent and not last:
            last = True
            scheduled = evaluate = self.evaluate is not None
        if evaluate:
            self._check_weights(done)
            scores = self.evaluate_now(done)
            if scheduled and self.selection is not None and scores.macro_auprc is not None:
                self.selection.look(done, scores.macro_auprc, dict(self.model.named_parameters()))
        last = last or self._exhausted
        if save and not last:
            self.save_state(done)
        refused |= self._refused(orders, last)
        for order in sorted(orders):
            state = "refused" if order in refused else "stopping" if order == "stop" else "running"
            epochs = self.epochs_total if order == "extend" and order not in refused else None
            self.control.acknowledge(order, state, self.seed, self.stage, epochs)
        if "stop" in orders and not last:
            raise StopRequestedError
        if evaluate or save or orders:
            self._since = time.perf_counter()

    def _refused(self, orders: set[str], last: bool) -> set[str]:
        """The orders that cannot be carried out here, each with a line of the log. `last`: the stage ends here."""
        refused = set()
        if "evaluate" in orders and self.evaluate is None:
            self._tell("there is nothing to evaluate while pretraining", "warning")
            refused.add("evaluate")
        if "checkpoint" in orders and last:
            self._tell(f"no checkpoint: {self.stage} ends here, and its weights are kept")
            refused.add("checkpoint")
        return refused

    def _obey_paused(self, orders: set[str]) -> None:
        """Save and score the model as it stands, and stay paused."""
        refused = self._refused(orders, self.done == self.epochs_total or self._rate < self.stop_below)
        if "evaluate" in orders - refused:
            self._check_weights(self.done)
            self.evaluate_now(self.done)
        if "checkpoint" in orders - refused:
            self.save_state(self.done)
        for order in sorted(orders):
            self.control.acknowledge(order, "refused" if order in refused else "paused", self.seed, self.stage)

    def _tell(self, message: str, level: str = "info") -> None:
        """A line of the run's log that names the seed."""
        self.log(f"Seed {self.seed}: {message}", level)

    def _extend(self) -> bool:
        """Add the epochs that were ordered for this stage; False, and a line of the log, where that cannot be."""
        order = take_more_epochs(self.directory)
        why = ""
        if order is None:
            why = "the order names no number of epochs"
        elif not order.is_meant_for(self.seed, self.stage):
            why = f"{order.stage} of seed {order.seed} is over"
        elif not can_be_extended(self.stage):
            why = "pretraining keeps its length"
        elif self._exhausted:
            why = f"{self.stage} ends early, since {self._why_exhausted}"
        if order is None or why:
            self._tell(f"no epochs added: {why}", "warning")
            return False
        self.epochs_total += order.epochs
        self._tell(f"{order.epochs} epochs added to {self.stage} by hand: {self.epochs_total}, {self.planned} planned")
        self.tell_extended(order.epochs)
        return True

    @property
    def added_epochs(self) -> int:
        """How many of the epochs behind the stage were not planned."""
        return max(0, self.done - self.planned)

    @property
    def kept_epoch(self) -> int | None:
        """The epoch whose weights stay, counted from 1; None: the last one's."""
        return (self.selection.best_epoch or None) if self.selection is not None and self.selection.keeps_best else None

    @property
    def _exhausted(self) -> bool:
        return self._spent or (self.selection is not None and self.selection.exhausted)

    @property
    def _why_exhausted(self) -> str:
        if self._spent:
            return f"its learning rate fell below {self.stop_below:g}"
        return "validation brings nothing better"

    def _kept_things(self) -> list[Resumable]:
        return [*self.resumables, self.selection] if self.selection is not None else self.resumables

    def _settle(self) -> None:
        """After the last epoch: put back the weights of the best one where they are to stay, and say so."""
        self._check_weights(self.done)
        if self._spent and self.done < self.epochs_total:
            self._tell(f"{self.stage} ended early at epoch {self.done}: {self._why_exhausted}")
        if self.selection is None or not self.selection.best_epoch:
            return
        best = f"epoch {self.selection.best_epoch}, validation AUPRC {100 * self.selection.best_auprc:.2f}"
        if self.selection.exhausted and self.done < self.epochs_total:
            self._tell(f"{self.stage} ended early at epoch {self.done}: nothing better since {best}")
        if self.selection.keeps_best:
            self.selection.restore(self.model)
            self._tell(f"{self.stage} keeps the weights of {best}")

    def evaluate_now(self, epoch: int) -> Scores:
        """Score the validation part and write the event."""
        assert self.evaluate is not None
        scores = self.evaluate()
        self.events.write(evaluation_event(self.seed, self.stage, epoch, "validation", scores))
        return scores

    def _check_weights(self, epoch: int) -> None:
        """A finite loss can have a gradient that is not: such weights are neither saved nor kept.

        Raises:
            TrainingDivergedError: A weight is not finite.
        """
        for name, parameter in self.model.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise TrainingDivergedError(
                    f"seed {self.seed}, {self.stage}: the weights {name!r} are not finite after epoch {epoch};"
                    f" {self._last_good()}"
                )

    def _last_good(self) -> str:
        if not self._checkpointed:
            return "no checkpoint was saved yet"
        path = self.directory.state(self.seed, self.stage)
        return f"the last good checkpoint is that of epoch {self._checkpointed}, {path.parent.name}/{path.name}"

    def save_state(self, epoch: int) -> None:
        """Write the stage's resumable state; `epoch` epochs are done.

        Raises:
            TrainingDivergedError: A weight is not finite; the state of before stays.
        """
        assert self.optimizer is not None
        self._check_weights(epoch)
        tensors = self.model.tensors() | optimizer_tensors(self.optimizer)
        tensors |= {f"generator/{name}": g.get_state() for name, g in self.generators.items()}
        for resumable in self._kept_things():
            tensors |= resumable.state()
        path = self.directory.state(self.seed, self.stage)
        metadata = {
            "key": self.key,
            "device": self._device,
            "epoch": epoch,
            "epochs": self.epochs_total,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "scalars": self.scalars(),
            "seconds": self.seconds,
        }
        save_tensors(path, tensors, metadata)
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
        self._rate = float(pending[-1].lr)
        for entry, losses in zip(pending, values, strict=True):
            bad = [name for name, value in losses.items() if not math.isfinite(value)]
            spent = entry is pending[-1] and self._rate < self.stop_below
            if entry.epoch % self.log_every == 0 or entry.epoch == self.epochs_total or bad or spent:
                self.events.write(
                    Epoch(
                        seed=self.seed,
                        stage=self.stage,
                        epoch=entry.epoch,
                        epochs=self.epochs_total,
                        losses=dict(losses),
                        weights=entry.weights,
                        lr=float(entry.lr),
                        seconds=seconds,
                    )
                )
            if bad:
                raise TrainingDivergedError(
                    f"seed {self.seed}, {self.stage}: the loss {bad[0]!r} is {losses[bad[0]]} at epoch {entry.epoch};"
                    f" {self._last_good()}"
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
