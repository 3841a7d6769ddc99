"""Orders to the trainer: pause, stop, checkpoint, evaluate, more epochs. The screen claims nothing before the log."""

from __future__ import annotations

import time

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.health import Phase, near
from flykd_console.runs.models import trains_nothing
from flykd_console.runs.more_epochs import MOST_EPOCHS, MoreEpochs, order_more_epochs
from flykd_console.runs.state.feed import ReplaySource
from flykd_console.runs.state.run import StageState
from flykd_console.words import grouped

_WHY_NOT = {
    Phase.FAILED: "the run has failed", Phase.DIED: "the run has died", Phase.WAITING: "the run waits for its turn",
    Phase.UNREADABLE: "the run cannot be read",
}  # fmt: skip


class OrderActions(FollowingApp):
    """Keys that the trainer obeys."""

    def _can_order(self, what: str) -> bool:
        # What was read since the bars were drawn counts: a key answers to what the screen shows.
        self._draw_bars()
        if self.phase.obeys:
            return True
        why = (
            "this is a replay" if self.source.replaying else _WHY_NOT.get(self.phase, f"the run is {self.phase.value}")
        )
        self.notify(f"Nothing to {what}: {why}", severity="warning", timeout=4)
        return False

    def _order(self, order: str, withdraw: bool = False) -> bool:
        try:
            (self.directory.withdraw if withdraw else self.directory.order)(order)
        except OSError as error:
            self.notify(f"The order could not be given: {error.strerror}", severity="error")
            return False
        self.draw()
        return True

    def action_pause(self) -> None:
        if isinstance(self.source, ReplaySource):
            self.source.paused = not self.source.paused
            self.draw()
        elif self._can_order("pause"):
            self._order("pause", withdraw=self.phase in (Phase.PAUSED, Phase.PAUSING))

    def action_stop(self) -> None:
        if self._can_order("stop"):
            from flykd_console.dashboard.screens.confirm import ConfirmScreen

            detail = f"A checkpoint is written first. Go on later: flykd-console run --resume {self.directory.name}"
            self.push_screen(ConfirmScreen("Stop training?", detail, "Stop and save"), self._stop_answered)

    def _stop_answered(self, yes: bool | None) -> None:
        if yes:
            self._order("stop")

    def action_abort(self) -> None:
        if not self._can_order("stop"):
            return
        from flykd_console.dashboard.screens.confirm import ConfirmScreen

        detail = f"{self._unsaved()} To keep everything, stop with a checkpoint instead."
        screen = ConfirmScreen("Stop at once, without a checkpoint?", detail, "Stop at once")
        self.push_screen(screen, self._abort_again)

    def _abort_again(self, yes: bool | None) -> None:
        if not yes or not self._can_order("stop"):
            return
        from flykd_console.dashboard.screens.confirm import ConfirmScreen

        detail = f"{self._unsaved()} Go on later from there: flykd-console run --resume {self.directory.name}"
        screen = ConfirmScreen("Really? Training ends this moment.", detail, "Stop at once", careful=True)
        self.push_screen(screen, self._abort_answered)

    def _abort_answered(self, yes: bool | None) -> None:
        if yes and self._can_order("stop"):
            self._order("abort")

    def _unsaved(self) -> str:
        """What an end at once would lose."""
        stage = self.state.stage
        if stage is None or stage.over:
            return "Nothing that was trained is lost."
        saved = min(stage.checkpoint_epoch or 0, stage.epoch)
        what = f"Seed {stage.seed}'s {stage.stage}"
        if not saved:
            return f"{what} has no checkpoint yet: all its {grouped(stage.epoch)} epochs are lost."
        return f"{what} goes back to epoch {grouped(saved)}: {grouped(stage.epoch - saved)} epochs are lost."

    @property
    def growing(self) -> StageState | None:
        """The stage in training, where epochs can be added to it."""
        stage = self.state.stage
        return stage if stage is not None and not stage.over and not stage.pretrains else None

    def action_extend(self) -> None:
        if not self._can_order("add epochs to"):
            return
        stage = self.growing
        if stage is None:
            said = "Epochs can be added to finetuning and distilling, while they are in training"
            self.notify(said, severity="warning", timeout=5)
            return
        from flykd_console.dashboard.screens.number import NumberScreen

        seed, name = stage.seed, stage.stage
        weights = "The loss weights stay as they end in the plan. " if stage.schedule else ""
        detail = (
            f"Epoch {grouped(stage.epoch)} of {grouped(stage.epochs)}. {weights}The plateau watches on to the new end. "
            "The results say how long was trained, and no other run takes this stage over."
        )
        if self.orders.extend:
            detail += " An order to add epochs waits already: this one takes its place."

        def answered(epochs: int | None) -> None:
            if epochs is not None and self._can_order("add epochs to"):
                self._extend(MoreEpochs(epochs=epochs, seed=seed, stage=name))

        question = f"How many more epochs for the {name} of seed {seed}?"
        self.push_screen(NumberScreen(question, detail, "Add", MOST_EPOCHS), answered)

    def _extend(self, order: MoreEpochs) -> None:
        try:
            order_more_epochs(self.directory, order)
        except OSError as error:
            self.notify(f"The order could not be given: {error.strerror}", severity="error")
            return
        self.draw()
        then = "; done when training goes on" if self.phase is Phase.PAUSED else ""
        self.notify(f"{grouped(order.epochs)} more epochs ordered{then}", timeout=2)

    def action_checkpoint(self) -> None:
        if self._can_order("save") and self._order("checkpoint"):
            self.notify("Checkpoint ordered", timeout=2)

    def action_evaluate(self) -> None:
        if self._can_order("evaluate") and self._order("evaluate"):
            self.notify("Evaluation ordered", timeout=2)

    def action_export(self) -> None:
        """Write the bundle of a finished run; asks where an older one would be replaced."""
        if self.phase is not Phase.FINISHED or trains_nothing(self.state.models):
            why = "nothing was trained" if self.phase is Phase.FINISHED else "the run has not finished"
            self.notify(f"Nothing to export: {why}", severity="warning", timeout=4)
            return
        if not self.directory.export.is_dir():
            self._export(True)
            return
        from flykd_console.dashboard.screens.confirm import ConfirmScreen

        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.directory.export.stat().st_mtime))
        detail = f"{near(self.directory.export)}, of {written}, is replaced once the new one is verified."
        question = ConfirmScreen("Replace the bundle of this run?", detail, "Replace", careful=True, no="Keep it")
        self.push_screen(question, self._export)

    def _export(self, wanted: bool | None) -> None:
        if not wanted:
            return
        from flykd_console.dashboard.screens.export import ExportScreen

        self.push_screen(ExportScreen(self.directory, self.export_command))

    export_command: list[str] | None = None

    def action_interrupt(self) -> None:
        """Leave what somebody else trains; of our own worker: stop with a checkpoint, at once, kill what is deaf."""
        if not self.phase.obeys or self.worker is None:
            self.exit()
            return
        self.interrupts += 1
        if self.interrupts == 1:
            if self._order("stop"):
                said = "A stop with a checkpoint is ordered. Ctrl-C again: stop at once."
                self.say_until_it_ends(said, severity="warning")
        elif self.interrupts == 2:
            if self._order("abort"):
                said = "A stop at once is ordered. Ctrl-C again kills the trainer."
                self.say_until_it_ends(said, severity="warning")
        elif self.worker.poll() is None:
            self.worker.kill()
            self.notify("The trainer was killed (SIGKILL)", severity="warning")
