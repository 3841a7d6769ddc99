"""The dashboard as a Textual program: follows a run's event log, draws the folded state, passes orders to the trainer.

The process only reads the run directory, writes orders into `control/`, and never imports torch. The log is read in
time-boxed batches between frames, and drawn at most once a second unless a key asks for more: training is not to feel
it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from flykd_console.dashboard.actions.looking import ChartActions
from flykd_console.dashboard.actions.moving import MoveActions
from flykd_console.dashboard.actions.orders import OrderActions
from flykd_console.dashboard.actions.runs import RunActions
from flykd_console.dashboard.following import DashboardOutcome
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.keymap import ACTIONS, bindings
from flykd_console.dashboard.plain_lines import PlainLines
from flykd_console.dashboard.screens.full import FullScreen
from flykd_console.dashboard.user_keys import read_user_keys
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import trains_nothing
from flykd_console.runs.state.feed import ReplaySource

__all__ = ["DashboardApp", "DashboardOutcome", "run_dashboard"]


class DashboardApp(RunActions, OrderActions, ChartActions, MoveActions):
    """The program: what it follows is in `following`, what its keys do in `actions`; arguments as `FollowingApp`."""

    CSS_PATH = "dashboard.tcss"
    TITLE = "flykd-console"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(),
        *(Binding(str(n), f"tab({n - 1})", show=False) for n in range(1, 7)),
    ]

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), PlainLines()]

    def labels(self) -> dict[str, str]:
        """What the footer says for each action that applies now."""
        labels = {action.id: action.label for action in ACTIONS if action.label}
        for hidden in self._not_now():
            labels.pop(hidden, None)
        if self.phase in (Phase.PAUSED, Phase.PAUSING):
            labels["pause"] = "continue"
        if self.phase is Phase.REPLAY and isinstance(self.source, ReplaySource):
            labels["pause"] = "go on" if self.source.paused else "hold"
        if not self.phase.obeys:
            labels["detach"] = "quit"
        if self.main.full:
            labels["full"] = "all panels"
        return labels

    @property
    def _exports(self) -> bool:
        """Whether the run has ended with a model that a bundle can be made of."""
        return self.phase is Phase.FINISHED and not trains_nothing(self.state.models)

    def _not_now(self) -> set[str]:
        gone = set()
        if not self.phase.obeys:
            gone |= {"pause", "stop", "checkpoint", "abort", "extend", "evaluate"}
        if not self._exports:
            gone.add("export")
        if self.growing is None:
            gone.add("extend")
        if self.phase is Phase.REPLAY and not self.source.over:
            gone.discard("pause")
        return gone

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        if isinstance(screen, FullScreen):
            yield from screen.commands()
            return
        labels = self.labels()
        for action in self.user_keys.actions():
            if action.palette and (not action.label or action.id in labels):
                run = getattr(self, f"action_{action.id}")
                key = f" ({action.shown})" if action.shown else ""
                yield SystemCommand(f"{action.help}{key}", f"{action.group} · {action.id}", run)


def run_dashboard(
    directory: RunDirectory,
    *,
    worker: subprocess.Popen[bytes] | None = None,
    replay: float | None = None,
    overlaid: Sequence[RunDirectory] = (),
) -> DashboardOutcome:
    """Show a run until the user leaves. Saying how to come back is the caller's: the terminal is theirs again then.

    Args:
        directory: The run.
        worker: Its training process, where the caller started it.
        replay: Replay a finished run at so many times its speed.
        overlaid: Runs to lay over each other as soon as the program is up.

    Returns:
        How it was left: detached while training went on, or what the run had come to.
    """
    app = DashboardApp(directory, worker=worker, replay=replay, keys=read_user_keys())
    app.overlaid = overlaid
    app.run()
    return app.outcome
