"""The dashboard as a Textual program: follows a run's event log, draws the folded state, passes orders to the trainer.

The process only reads the run directory, writes orders into `control/`, and never imports torch. The log is read in
time-boxed batches between frames; panels are drawn once a second and bars twice, unless a key asks for more: training
is not to feel it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer

from flykd_console.dashboard.health import DEAD_AFTER, KNOWN_DEAD_AFTER, Orders, Phase, notice, pending_orders, phase_of
from flykd_console.dashboard.keymap import ACTIONS, bindings
from flykd_console.dashboard.palette import DARK, LIGHT, THEMES
from flykd_console.dashboard.progress import progress
from flykd_console.dashboard.screens.main import MainScreen
from flykd_console.dashboard.source import LiveSource, ReplaySource
from flykd_console.dashboard.state import MODELS, DashboardState
from flykd_console.dashboard.widgets.log import LogPanel
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RunFailed

POLL_SECONDS = 0.2
READ_SECONDS = 0.05
PANEL_SECONDS = 1.0
REPLAY_SECONDS = 0.2
BAR_SECONDS = 0.5


class DashboardOutcome(StrEnum):
    """How the dashboard was left."""

    DETACHED = "detached"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


class DashboardApp(App[None]):
    """The program.

    Args:
        directory: The run.
        worker: The training process, where this process started it; only asked whether it lives, never waited for.
        replay: Replay the log at so many times its speed instead of following it.
        alive: Says whether a worker trains; by default its lock and its process are asked.
        clock: Unix seconds, for silence.
        poll_seconds: Between two looks at the log; None: only when `catch_up` is called.
        theme: Name of the first theme.
    """

    CSS_PATH = "dashboard.tcss"
    TITLE = "flykd-console"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(),
        *(Binding(str(n), f"tab({n - 1})", show=False) for n in range(1, 7)),
    ]

    def __init__(
        self,
        directory: RunDirectory,
        *,
        worker: subprocess.Popen[bytes] | None = None,
        replay: float | None = None,
        alive: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.time,
        poll_seconds: float | None = POLL_SECONDS,
        theme: str | None = None,
    ) -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme or os.environ.get("FLYKD_THEME", DARK)
        self.directory = directory
        self.state = DashboardState()
        self.source = LiveSource(directory, clock) if replay is None else ReplaySource(directory.events, replay)
        self.main = MainScreen()
        self.phase = Phase.STARTING
        self.orders = Orders()
        self.outcome = DashboardOutcome.DETACHED
        self._worker = worker
        self._alive = alive or self._is_alive
        self._poll_seconds = poll_seconds
        self._timer: Timer | None = None
        self._stale = True
        self._loading = True
        self._reading_on = False
        self._panels_at = self._bars_at = 0.0
        self._seen_controls: dict[str, int] = {}
        self._interrupts = 0

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def on_mount(self) -> None:
        self._draw_bars()
        if self._poll_seconds is not None:
            # The empty frame first, the log after it.
            self.call_after_refresh(self._begin)
        if not self.is_headless:
            self._catch_signals()

    def _begin(self) -> None:
        self._timer = self.set_interval(self._poll_seconds or POLL_SECONDS, self.poll)
        self.poll()

    def _catch_signals(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.action_interrupt)
        loop.add_signal_handler(signal.SIGTERM, self.exit)
        loop.add_signal_handler(signal.SIGHUP, self.exit)

    def _is_alive(self) -> bool:
        if self._worker is not None:
            return self._worker.poll() is None
        return self.directory.is_running()

    # Reading and drawing.

    def poll(self) -> None:
        """Read what is new for a moment, and draw if it is time."""
        events = self.source.read(READ_SECONDS)
        if events:
            self.state.fold(events)
            self._stale = True
        caught_up = self.source.behind == 0
        now = time.monotonic()
        if now - self._bars_at >= BAR_SECONDS:
            self._draw_bars()
        wait = REPLAY_SECONDS if self.source.replaying else PANEL_SECONDS
        if self._stale and (now - self._panels_at >= wait or (caught_up and self._loading)):
            self._draw_panels()
        self._loading = self._loading and not caught_up
        if not caught_up and not self._reading_on:
            # A long log is read without waiting for the next turn of the clock, but keys come in between.
            self._reading_on = True
            self.set_timer(0.001, self._read_on)

    def _read_on(self) -> None:
        self._reading_on = False
        self.poll()

    def catch_up(self) -> None:
        """Read everything that is there, and draw it; for pictures and tests."""
        while events := self.source.read(READ_SECONDS):
            self.state.fold(events)
        self.draw()

    def draw(self) -> None:
        """Draw everything now."""
        self._draw_bars()
        self._draw_panels()

    def _draw_bars(self) -> None:
        self._bars_at = time.monotonic()
        if not self.main.is_mounted:
            return
        if not self.source.replaying:
            self.orders = pending_orders(self.directory)
        self.phase = phase_of(
            self.state,
            self.source,
            self.orders,
            self._alive(),
            # A process of ours that has ended is dead at once; its last words may still be on their way.
            DEAD_AFTER if self._worker is None else KNOWN_DEAD_AFTER,
        )
        self._acknowledge()
        gain = ""
        if self.phase is Phase.FINISHED:
            from flykd_console.dashboard.table import gain_sentence

            gain = gain_sentence(self.state)
        if self._worker is not None and self.phase is Phase.FAILED and self._mistake():
            # Nothing to look at: the caller says it in one line.
            self.exit()
        told = notice(self.phase, self.state, self.source, self.directory, gain)
        self.main.show_bars(self.state, self.phase, progress(self.state), told, self.labels(), self.directory.name)

    def _mistake(self) -> bool:
        """The run failed of a mistake of the user's before anything was trained."""
        ended = self.state.ended
        return isinstance(ended, RunFailed) and not ended.traceback and self.state.current is None

    def _draw_panels(self) -> None:
        self._panels_at = time.monotonic()
        self._stale = False
        if self.main.is_mounted:
            self.main.show_panels(self.state)

    def _acknowledge(self) -> None:
        """Say what the trainer has done since the last look; the past of a log that was just opened is no news."""
        counts = dict(self.state.control_count)
        if self.source.behind == 0:
            # Pausing and stopping show in the header; these two would leave no trace there.
            said = {"checkpoint": "Checkpoint written", "evaluate": "Evaluated"}
            for action, words in said.items():
                if self._seen_controls and counts.get(action, 0) > self._seen_controls.get(action, 0):
                    self.notify(words, timeout=4)
            self._seen_controls = counts | {"": 1}
        ended = self.phase in (Phase.FINISHED, Phase.STOPPED, Phase.FAILED)
        self.outcome = DashboardOutcome(self.phase.value) if ended else DashboardOutcome.DETACHED

    def labels(self) -> dict[str, str]:
        """What the footer says for each action that applies now."""
        labels = {action.id: action.label for action in ACTIONS if action.label}
        for hidden in self._not_now():
            labels.pop(hidden, None)
        if self.phase in (Phase.PAUSED, Phase.PAUSING):
            labels["pause"] = "continue"
        if self.phase is Phase.REPLAY and isinstance(self.source, ReplaySource):
            labels["pause"] = "go on" if self.source.paused else "hold"
        if self.phase is Phase.FINISHED:
            labels["evaluate_or_export"] = "export"
        if not self.phase.obeys:
            labels["detach"] = "quit"
        if self.main.full:
            labels["full"] = "all panels"
        return labels

    def _not_now(self) -> set[str]:
        gone = set()
        if not self.phase.obeys:
            gone |= {"pause", "stop", "checkpoint"}
            if self.phase is not Phase.FINISHED:
                gone.add("evaluate_or_export")
        if self.phase is Phase.REPLAY:
            gone.discard("pause")
        return gone

    # Orders.

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
        self._interrupts += 1
        if self._interrupts == 1:
            if self._order("stop"):
                self.notify("Stopping with a checkpoint. Ctrl-C again forces the worker to end.", severity="warning")
            return
        if self._force():
            self.notify("The worker was told to end (SIGTERM)", severity="warning")
        else:
            self.notify("The worker does not run on this machine: it can only be asked to stop", severity="warning")

    def _force(self) -> bool:
        """SIGTERM to the worker, if it is known to be alive on this machine."""
        if self._worker is not None:
            if self._worker.poll() is None:
                self._worker.terminate()
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

    # Looking.

    def _chart_action(self, what: str) -> None:
        chart = self.main.chart
        if chart is None:
            self.notify("Focus a chart first (tab)", timeout=3)
            return
        match what:
            case "log":
                chart.toggle_log()
            case "smooth":
                chart.next_smoothing()
            case "zoom":
                chart.zoom_by(0.5)
            case "reset":
                chart.reset()
            case "inspect":
                chart.toggle_cursor()
            case "left":
                chart.move(-1)
            case "right":
                chart.move(1)

    def action_log_y(self) -> None:
        self._chart_action("log")

    def action_smooth(self) -> None:
        self._chart_action("smooth")

    def action_zoom(self) -> None:
        self._chart_action("zoom")

    def action_zoom_reset(self) -> None:
        self._chart_action("reset")

    def action_inspect(self) -> None:
        self._chart_action("inspect")

    def action_pan_left(self) -> None:
        self._chart_action("left")

    def action_pan_right(self) -> None:
        self._chart_action("right")

    def action_model(self) -> None:
        from flykd_console.dashboard.widgets.chart import ChartPanel

        chart = self.main.query_one("#auprc", ChartPanel)
        order = (None, *MODELS)
        chart.model = order[(order.index(chart.model) + 1) % len(order)]
        chart.redraw()

    def action_band(self) -> None:
        from flykd_console.dashboard.widgets.chart import ChartPanel

        chart = self.main.query_one("#auprc", ChartPanel)
        chart.band = not chart.band
        chart.redraw()

    def action_save_chart(self) -> None:
        chart = self.main.chart
        if chart is None:
            self.notify("Focus a chart first (tab)", timeout=3)
            return
        from flykd_console.dashboard.picture import save_chart

        try:
            path = save_chart(chart, self.directory, self.current_theme.dark)
        except OSError as error:
            self.notify(f"The chart could not be saved: {error.strerror}", severity="error")
            return
        self.notify(f"{path} and its values beside it" if path is not None else "There is nothing to save yet")

    # Moving around.

    def action_next_panel(self) -> None:
        self._step(1)

    def action_previous_panel(self) -> None:
        self._step(-1)

    def _step(self, direction: int) -> None:
        if self.screen is not self.main:
            self.screen.focus_next() if direction > 0 else self.screen.focus_previous()
            return
        self.main.step_focus(direction)
        self.draw()

    def action_tab(self, tab: int) -> None:
        self.main.choose_tab(tab)
        self.draw()

    def action_full(self) -> None:
        self.main.toggle_full()
        self.draw()

    async def action_back(self) -> None:
        log = self.main.query_one(LogPanel)
        chart = self.main.chart
        if log.filtering:
            log.close_filter(clear=True)
        elif chart is not None and chart.cursor is not None:
            chart.toggle_cursor()
        elif self.main.full:
            self.action_full()

    def action_filter(self) -> None:
        if self.main.focused_panel != "log":
            self.main.focus_panel("log")
            self.draw()
        self.main.query_one(LogPanel).open_filter()

    def action_results(self) -> None:
        from flykd_console.dashboard.screens.results import ResultsScreen

        self.push_screen(ResultsScreen(self.state, self.phase, self.directory.name))

    def action_help(self) -> None:
        from flykd_console.dashboard.screens.help import HelpScreen

        self.push_screen(HelpScreen())

    def action_theme(self) -> None:
        self.theme = LIGHT if self.current_theme.dark else DARK
        self.draw()

    def action_detach(self) -> None:
        self.exit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        labels = self.labels()
        for action in ACTIONS:
            if action.palette and (not action.label or action.id in labels):
                run = getattr(self, f"action_{action.id}")
                yield SystemCommand(f"{action.help} ({action.shown})", action.group, run)


def run_dashboard(
    directory: RunDirectory, *, worker: subprocess.Popen[bytes] | None = None, replay: float | None = None
) -> DashboardOutcome:
    """Show a run until the user leaves. Saying how to come back is the caller's: the terminal is theirs again then.

    Args:
        directory: The run.
        worker: Its training process, where the caller started it.
        replay: Replay a finished run at so many times its speed.

    Returns:
        How it was left: detached while training went on, or what the run had come to.
    """
    app = DashboardApp(directory, worker=worker, replay=replay)
    app.run()
    return app.outcome
