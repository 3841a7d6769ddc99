"""Orders to the trainer: pause, stop, checkpoint, evaluate, interrupt. The screen claims nothing before the log."""

from __future__ import annotations

import os
import signal

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.source import ReplaySource


class OrderActions(FollowingApp):
    """Keys that the trainer obeys."""

    def _can_order(self, what: str) -> bool:
        if self.phase.obeys:
            return True
        why = "this is a replay" if self.phase is Phase.REPLAY else f"the run is {self.phase.value}"
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

    def action_checkpoint(self) -> None:
        if self._can_order("save") and self._order("checkpoint"):
            self.notify("Checkpoint ordered", timeout=2)

    def action_evaluate_or_export(self) -> None:
        if self.phase is Phase.FINISHED:
            from flykd_console.dashboard.screens.export import ExportScreen

            self.push_screen(ExportScreen(self.directory, self.export_command))
        elif self._can_order("evaluate") and self._order("evaluate"):
            self.notify("Evaluation ordered", timeout=2)

    export_command: list[str] | None = None

    def action_interrupt(self) -> None:
        """First: stop with a checkpoint. Again: SIGTERM. Where nobody trains: leave."""
        if not self.phase.obeys:
            self.exit()
            return
        self.interrupts += 1
        if self.interrupts == 1:
            if self._order("stop"):
                self.notify("Stopping with a checkpoint. Ctrl-C again forces the worker to end.", severity="warning")
            return
        if self._force():
            self.notify("The worker was told to end (SIGTERM)", severity="warning")
        else:
            self.notify("The worker does not run on this machine: it can only be asked to stop", severity="warning")

    def _force(self) -> bool:
        """SIGTERM to the worker, if it is known to be alive on this machine."""
        if self.worker is not None:
            if self.worker.poll() is None:
                self.worker.terminate()
                return True
            return False
        pid = self.state.started.pid if self.state.started is not None else 0
        if pid <= 1 or not self.directory.is_running():
            return False
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            return False
        return True
