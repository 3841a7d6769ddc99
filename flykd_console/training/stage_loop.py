"""What happens between two epochs of a stage, so that the training loop stays a plain loop.

A loop iterates over `epochs()` and ends each turn with `end_epoch(...)`. In between the epoch is recorded, orders are
obeyed, models are evaluated and a checkpoint is written where due, and where validation or a spent learning rate ends
the stage early it ends. A stage may train several models; each is evaluated and selected by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flykd_console.runs.events import Checkpoint, Evaluation, Log
from flykd_console.runs.log import EventWriter
from flykd_console.runs.more_epochs import MoreEpochs
from flykd_console.runs.results import Scores
from flykd_console.runs.stage import Stage
from flykd_console.tasks.base import Trainable
from flykd_console.training.adaptive_threads import FixedThreads
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.orders import Orders, StopRequestedError
from flykd_console.training.recorder import Recorder, TrainingDivergedError
from flykd_console.training.selection import Selection
from flykd_console.words import metric_words

# On a GPU the learning rate decides at fixed epochs alone, so that a look in between changes nothing.
_DEVICE_BLOCK = 50


@dataclass(frozen=True)
class Cadence:
    """How often what happens, in epochs, and when a stage ends early.

    Attributes:
        stop_below: A learning rate below this ends the stage; 0: never.
    """

    validate_every: int
    log_every: int
    checkpoint_every: int
    stop_below: float = 0.0


@dataclass
class Watched:
    """A model of a stage as the loop sees it.

    Attributes:
        model: None: what others say together, which is evaluated after them.
        evaluate: Scores it on the validation part; None: nothing is evaluated (pretraining).
        selection: Which epoch's weights stay, and whether to stop early; None: the last one's.
    """

    model: Trainable | None
    evaluate: Callable[[], Scores] | None = None
    selection: Selection | None = None

    @property
    def exhausted(self) -> bool:
        """Whether validation says that nothing better is to come."""
        return self.selection is not None and self.selection.exhausted


class StageLoop:
    """Drives the epochs of one stage of one seed.

    Args:
        planned: Epochs (pretraining: optimiser steps) that the profile asks for.
        headline: The metric by which epochs are selected.
        tell_extended: Told how many epochs were just added, of how many now.
        threads: Sets how many threads each epoch has.

    Attributes:
        total: Epochs of the stage; more than planned where some were added by hand.
        done: Epochs behind the stage; below `total` at the end where it ended early.
    """

    def __init__(
        self,
        seed: int,
        stage: Stage,
        planned: int,
        models: Mapping[str, Watched],
        cadence: Cadence,
        headline: str,
        events: EventWriter,
        orders: Orders,
        checkpointer: Checkpointer,
        tell_extended: Callable[[StageLoop, int], None] = lambda loop, added: None,
        threads: FixedThreads | None = None,
    ) -> None:
        self.seed, self.stage, self.planned, self.models = seed, stage, planned, models
        self.checkpointer = checkpointer
        self._cadence, self._headline, self._events, self._orders = cadence, headline, events, orders
        self._tell_extended = tell_extended
        self.total = max(planned, checkpointer.epochs)
        self.first_epoch = self.done = checkpointer.epoch
        self._spent = False
        self._threads = threads if threads is not None else FixedThreads()
        self._threads.begin_stage(seed, stage, self.done)
        self.recorder = Recorder(
            events,
            seed,
            stage,
            self.total,
            cadence.log_every,
            cadence.stop_below,
            checkpointer.seconds,
            lambda: checkpointer.last_good,
        )
        orders.place = (seed, stage.name)

    def epochs(self) -> Iterator[int]:
        """Epochs to go, counted from 0; fewer where validation or a spent learning rate ends the stage early."""
        self.recorder.start_clock()
        epoch = self.first_epoch
        while epoch < self.total and not self._exhausted:  # epochs may be added on the way
            self._threads.begin_epoch()
            yield epoch
            epoch += 1
        self.recorder.flush()
        self._settle()

    def end_epoch(
        self, epoch: int, losses: Mapping[str, Tensor], lr: float | Tensor, weights: Mapping[str, float] | None = None
    ) -> None:
        """End an epoch, counted from 0.

        Raises:
            StopRequestedError: A stop was ordered; the state is on disk.
            TrainingDivergedError: A loss, or a weight that is to be evaluated or saved, is not finite.
        """
        done = epoch + 1
        self._threads.end_epoch(done)
        self.recorder.add(done, losses, lr, weights)
        orders = self._orders.poll(now=done == self.total)
        self.done = done
        if "pause" in orders:
            orders = (orders | self._pause()) - {"pause"}
        if _rate_decides(done, losses):
            self.recorder.flush()
            self._spent = self.recorder.spent
        answers = Answers(orders)
        if "extend" in orders and not self._extend():
            answers.refuse("extend")

        ends = done == self.total or self._spent
        if self._is_validated(done, ends):
            self._evaluate(selecting=True)
        elif "evaluate" in orders and self._can_evaluate:
            self._evaluate(selecting=False)
        ends = ends or self._exhausted
        saves = self._is_saved(done, answers) and not ends
        if saves:
            self._save()

        self._refuse_impossible(answers, ends)
        self._answer(answers)
        if "stop" in orders and not ends:
            raise StopRequestedError
        if orders or saves or self._is_validated(done, ends):
            self.recorder.start_clock()

    # What is due.

    def _is_validated(self, done: int, ends: bool) -> bool:
        """Whether the profile asks for a validation after this epoch."""
        return self._can_evaluate and (ends or done % self._cadence.validate_every == 0)

    def _is_saved(self, done: int, answers: Answers) -> bool:
        """Whether the profile or an order asks for a checkpoint after this epoch."""
        # Added epochs are checkpointed at once, so that a resume knows of them.
        ordered = answers.obeyed & {"checkpoint", "stop", "extend"}
        return bool(ordered) or done % self._cadence.checkpoint_every == 0

    @property
    def _can_evaluate(self) -> bool:
        return any(watched.evaluate is not None for watched in self.models.values())

    @property
    def _exhausted(self) -> bool:
        """Whether the stage ends early: its learning rate is spent, or validation brings no model anything better."""
        selected = [watched for watched in self.models.values() if watched.selection is not None]
        return self._spent or (bool(selected) and all(watched.exhausted for watched in selected))

    # What is carried out.

    def _evaluate(self, selecting: bool) -> None:
        """Score every model on the validation part; only a scheduled look counts for selecting an epoch."""
        self.recorder.flush()
        self.check_weights()
        for name, watched in self.models.items():
            if watched.evaluate is None:
                continue
            scores = watched.evaluate()
            self._events.write(
                evaluation_event(self.seed, self.stage.name, name, self.done, "validation", scores, self._headline)
            )
            value = scores.value(self._headline)
            if selecting and watched.selection is not None and value is not None and watched.model is not None:
                watched.selection.look(self.done, value, dict(watched.model.named_parameters()))

    def _save(self) -> None:
        self.recorder.flush()
        self.check_weights()
        self.checkpointer.save(self.done, self.total, self.recorder.seconds)
        file = self.checkpointer.path.name
        self._events.write(Checkpoint(seed=self.seed, stage=self.stage.name, epoch=self.done, file=file))

    def _pause(self) -> set[str]:
        """Wait while the run is paused; what is done is told first, and the wait is no epoch's time."""
        self.recorder.flush()
        self._orders.hold(self.seed, self.stage.name, self._obey_paused)
        self.recorder.start_clock()
        return self._orders.poll()

    def _obey_paused(self, orders: set[str]) -> None:
        """Save and score the models as they stand, and stay paused."""
        answers = Answers(orders, state="paused")
        self._refuse_impossible(answers, ends=self.done == self.total or self.recorder.spent)
        if "evaluate" in answers.obeyed:
            self._evaluate(selecting=False)
        if "checkpoint" in answers.obeyed:
            self._save()
        self._answer(answers)

    def _extend(self) -> bool:
        """Add the epochs that were ordered for this stage; False, and a line of the log, where that cannot be."""
        order = self._orders.take_more_epochs()
        why = self._why_not_extended(order)
        if order is None or why:
            self.tell(f"no epochs added: {why}", "warning")
            return False
        self.total += order.epochs
        self.recorder.epochs = self.total
        self.tell(f"{order.epochs} epochs added to {self.stage} by hand: {self.total}, {self.planned} planned")
        self._tell_extended(self, order.epochs)
        return True

    def _why_not_extended(self, order: MoreEpochs | None) -> str:
        if order is None:
            return "the order names no number of epochs"
        if not order.is_meant_for(self.seed, self.stage.name):
            return f"{order.stage} of seed {order.seed} is over"
        if self.stage.pretrains:
            return "pretraining keeps its length"
        if self._exhausted:
            return f"{self.stage} ends early, since {self._why_exhausted}"
        return ""

    @property
    def _why_exhausted(self) -> str:
        if self._spent:
            return f"its learning rate fell below {self._cadence.stop_below:g}"
        return "validation brings nothing better"

    def _refuse_impossible(self, answers: Answers, ends: bool) -> None:
        """Refuse the orders that cannot be carried out here, each with a line of the log."""
        if "evaluate" in answers.orders and not self._can_evaluate:
            self.tell("there is nothing to evaluate while pretraining", "warning")
            answers.refuse("evaluate")
        if "checkpoint" in answers.orders and ends:
            self.tell(f"no checkpoint: {self.stage} ends here, and its weights are kept")
            answers.refuse("checkpoint")

    def _answer(self, answers: Answers) -> None:
        for order in sorted(answers.orders):
            extended = order == "extend" and order in answers.obeyed
            epochs = self.total if extended else None
            self._orders.acknowledge(order, answers.state_of(order), self.seed, self.stage.name, epochs)

    # The end.

    def _settle(self) -> None:
        """After the last epoch: put back the weights of the best one where they are to stay, and say so."""
        self.check_weights()
        early = self.done < self.total
        if self._spent and early:
            self.tell(f"{self.stage} ended early at epoch {self.done}: {self._why_exhausted}")
        for name, watched in self.models.items():
            selection = watched.selection
            if selection is None or not selection.best_epoch:
                continue
            score = f"{metric_words(self._headline)} {100 * selection.best_score:.2f}"
            best = f"epoch {selection.best_epoch}, validation {score}"
            if selection.exhausted and early:
                self.tell(f"{name} ended early at epoch {self.done}: nothing better since {best}")
            if selection.keeps_best and watched.model is not None:
                selection.restore(watched.model)
                self.tell(f"{name} keeps the weights of {best}")

    @property
    def added_epochs(self) -> int:
        """How many of the epochs behind the stage were not planned."""
        return max(0, self.done - self.planned)

    def kept_epoch(self, model: str) -> int | None:
        """The epoch whose weights stay, counted from 1; None: the last one's."""
        selection = self.models[model].selection
        if selection is None or not selection.keeps_best:
            return None
        return selection.best_epoch or None

    def check_weights(self) -> None:
        """A finite loss can have a gradient that is not: such weights are neither saved nor kept.

        Raises:
            TrainingDivergedError: A weight is not finite.
        """
        for watched in self.models.values():
            if watched.model is None:
                continue
            for name, parameter in watched.model.named_parameters():
                if not bool(torch.isfinite(parameter).all()):
                    raise TrainingDivergedError(
                        f"seed {self.seed}, {self.stage}: the weights {name!r} are not finite after epoch {self.done};"
                        f" {self.checkpointer.last_good}"
                    )

    # What is said.

    def tell(self, message: str, level: str = "info") -> None:
        """A line of the run's log that names the seed."""
        self.log(f"Seed {self.seed}: {message}", level)

    def log(self, message: str, level: str = "info") -> None:
        """A line of the run's log."""
        self._events.write(Log(level=level, message=message, seed=self.seed, stage=self.stage.name))


@dataclass
class Answers:
    """Orders of one moment, and which of them cannot be carried out.

    Attributes:
        state: What the run is in afterwards: running or paused.
    """

    orders: set[str]
    state: str = "running"
    _refused: set[str] = field(default_factory=set)

    def refuse(self, order: str) -> None:
        """It cannot be carried out here."""
        self._refused.add(order)

    @property
    def obeyed(self) -> set[str]:
        """The orders that are carried out."""
        return self.orders - self._refused

    def state_of(self, order: str) -> str:
        """What the acknowledgement of an order says."""
        if order in self._refused:
            return "refused"
        return "stopping" if order == "stop" else self.state


def _rate_decides(done: int, losses: Mapping[str, Tensor]) -> bool:
    """Whether losses and learning rate are read back after this epoch, so that a low rate may end the stage."""
    on_device = next(iter(losses.values())).device.type != "cpu"
    return not on_device or done % _DEVICE_BLOCK == 0


def evaluation_event(
    seed: int, stage: str, model: str, epoch: int, split: str, scores: Scores, headline: str
) -> Evaluation:
    """The event of a part's scores."""
    return Evaluation(
        seed=seed,
        stage=stage,
        model=model,
        epoch=epoch,
        split=split,
        headline=headline,
        metrics=dict(scores.metrics),
        macro_auprc=scores.macro_auprc,
        macro_auroc=scores.macro_auroc,
        relations=scores.relations,
    )
