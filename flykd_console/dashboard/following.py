"""The part of the dashboard that follows a run: reads its log in time-boxed batches, draws the folded state.

While the user is at it, panels are drawn once a second and bars twice; left alone, every third and every second; a key
draws at once: training is not to feel that it is watched.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import time
from collections.abc import Callable
from enum import StrEnum

from textual.app import App
from textual.events import Event, InputEvent
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.timer import Timer

from flykd_console.dashboard.health import (
    DEAD_AFTER,
    KNOWN_DEAD_AFTER,
    OrderClock,
    Orders,
    Phase,
    Turn,
    notice,
    pending_orders,
    phase_of,
)
from flykd_console.dashboard.palette import DARK, THEMES
from flykd_console.dashboard.screens.main import MainScreen
from flykd_console.dashboard.user_keys import UserKeys
from flykd_console.dashboard.widgets.bars import HeaderBar
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RunFailed
from flykd_console.runs.lock import SILENT_SECONDS, is_held, other_machine
from flykd_console.runs.state.feed import LiveSource, ReplaySource
from flykd_console.runs.state.progress import SteadyProgress
from flykd_console.runs.state.run import RunState
from flykd_console.words import grouped

POLL_SECONDS = 0.2
READ_SECONDS = 0.05
PANEL_SECONDS = 1.0
REPLAY_SECONDS = 0.2
BAR_SECONDS = 0.5
# Without a key or a movement of the mouse for so long, it is drawn as seldom as this.
ALONE_AFTER = 10.0
ALONE_PANEL_SECONDS = 3.0
ALONE_BAR_SECONDS = 1.0


class DashboardOutcome(StrEnum):
    """How the dashboard was left."""

    DETACHED = "detached"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


class FollowingApp(App[None]):
    """An app on one run, without keys.

    Args:
        directory: The run.
        worker: The training process, where this process started it; only asked whether it lives, never waited for.
        replay: Replay the log at so many times its speed instead of following it.
        alive: Says whether a worker trains; by default its lock and its process are asked.
        clock: Unix seconds, for silence.
        poll_seconds: Between two looks at the log; None: only when `catch_up` is called.
        theme: Name of the first theme.
        keys: The user's own keys.
    """

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
        keys: UserKeys | None = None,
    ) -> None:
        super().__init__()
        self.user_keys = keys or UserKeys()
        self.set_keymap(self.user_keys.textual())
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme or os.environ.get("FLYKD_THEME", DARK)
        self.directory = directory
        self._clock = clock
        self.state = RunState()
        self.source = LiveSource(directory, clock) if replay is None else ReplaySource(directory.events, replay)
        self.main = MainScreen()
        self.phase = Phase.STARTING
        self.orders = Orders()
        self._order_clock = OrderClock()
        self._progress = SteadyProgress()
        self.outcome = DashboardOutcome.DETACHED
        self.worker = worker
        self._alive = alive or self._is_alive
        self._poll_seconds = poll_seconds
        self._timer: Timer | None = None
        self._stale = True
        self._loading = True
        self._styled = False
        self._reading_on = False
        self._panels_at = self._bars_at = 0.0
        self._touched_at = time.monotonic()
        self._seen_controls: dict[str, int] = {}
        self.interrupts = 0
        self._said_until_end: list[str] = []

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._touched_at = time.monotonic()
        await super().on_event(event)

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def on_mount(self) -> None:
        self._draw_bars()
        if self.user_keys.problems:
            self.notify(self.user_keys.message, title="Keymap", severity="warning", timeout=15, markup=False)
        if self._poll_seconds is not None:
            # The empty frame first, the log after it.
            self.call_after_refresh(self._begin)
        if not self.is_headless:
            self._catch_signals()

    def refresh_css(self, animate: bool = True) -> None:
        if not self._styled:
            # At the start the variables of the theme are enough: the rules are parsed when the first widget needs them.
            self._styled = True
            self.stylesheet.set_variables(self.get_css_variables())
            return
        super().refresh_css(animate)

    def _begin(self) -> None:
        gc.enable()
        self._timer = self.set_interval(self._poll_seconds or POLL_SECONDS, self.poll)
        self.poll()

    def _catch_signals(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.action_interrupt)
        loop.add_signal_handler(signal.SIGTERM, self.exit)
        loop.add_signal_handler(signal.SIGHUP, self.exit)

    def _is_alive(self) -> bool:
        if self.worker is not None:
            return self.worker.poll() is None
        return is_held(self.directory)

    # Reading and drawing.

    def poll(self) -> None:
        """Read what is new for a moment, and draw if it is time."""
        events = self.source.read(READ_SECONDS)
        if events:
            self.state.fold(events)
            self._stale = True
        caught_up = self.source.behind == 0
        now = time.monotonic()
        alone = now - self._touched_at > ALONE_AFTER
        loaded = caught_up and self._loading
        if loaded:
            self._loading = False
        if loaded or now - self._bars_at >= (ALONE_BAR_SECONDS if alone else BAR_SECONDS):
            self._draw_bars()
        wait = ALONE_PANEL_SECONDS if alone else PANEL_SECONDS
        if self.source.replaying:
            wait = REPLAY_SECONDS
        # Half of a log contradicts itself, so nothing of it is shown.
        if self._stale and not self._half_read and (now - self._panels_at >= wait or loaded):
            self._draw_panels()
        if not caught_up and not self._reading_on:
            # A long log is read without waiting for the next turn of the clock, but keys come in between.
            self._reading_on = True
            self.set_timer(0.001, self._read_on)

    def _read_on(self) -> None:
        self._reading_on = False
        self.poll()

    @property
    def _half_read(self) -> bool:
        """Whether a log that was just opened has not been read to its end."""
        return self._loading and not self.source.replaying and self.state.started is not None

    def catch_up(self) -> None:
        """Read everything that is there, and draw it; for pictures and tests."""
        while events := self.source.read(READ_SECONDS):
            self.state.fold(events)
        self._loading = False
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
            self.orders = self._order_clock(pending_orders(self.directory), self.state.control, self._clock())
        alive = self._alive()
        elsewhere = "" if alive or self.worker is not None else other_machine(self.directory)
        # A process of ours that has ended is dead at once; its last words may still be on their way.
        dead_after = KNOWN_DEAD_AFTER if self.worker is not None else SILENT_SECONDS if elsewhere else DEAD_AFTER
        self.phase = phase_of(self.state, self.source, self.orders, alive, dead_after)
        self.phase = Phase.READING if self._half_read else self.settled_phase(self.phase)
        self._acknowledge()
        gain = ""
        if self.phase is Phase.FINISHED:
            from flykd_console.dashboard.table import gain_sentence

            gain = gain_sentence(self.state)
        if self.worker is not None and self.phase is Phase.FAILED and self._mistake():
            # Nothing to look at: the caller says it in one line.
            self.exit()
        turn = self.turn() if self.phase is Phase.WAITING else None
        told = notice(self.phase, self.state, self.source, self.directory, gain, self.orders, elsewhere, turn)
        self.main.query_one(HeaderBar).place = self.batch_words()
        self.main.query_one(HeaderBar).replay = self.source.words
        shown = RunState() if self._half_read else self.state
        run, actions = self._progress(shown), self.user_keys.actions()
        self.main.show_bars(shown, self.phase, run, told, self.labels(), self.directory.name, actions)

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
        refused = {f"{action} refused": count for action, count in self.state.refusals.items()}
        if self.source.behind == 0:
            # Pausing and stopping show in the header; these would leave no trace there.
            epochs = grouped(self.state.stage.epochs) if self.state.stage is not None else ""
            said = {"checkpoint": "Checkpoint written", "evaluate": "Evaluated", "extend": f"{epochs} epochs now"}
            said |= {key: f"Not obeyed: {key.removesuffix(' refused')}; the log says why" for key in refused}
            counts |= refused
            for action, words in said.items():
                if self._seen_controls and counts.get(action, 0) > self._seen_controls.get(action, 0):
                    self.notify(words, timeout=4)
            self._seen_controls = counts | {"": 1}
        ended = self.phase in (Phase.FINISHED, Phase.STOPPED, Phase.FAILED)
        self.outcome = DashboardOutcome(self.phase.value) if ended else DashboardOutcome.DETACHED
        if ended and self._said_until_end:
            self.take_back(*self._said_until_end)
            self._said_until_end.clear()

    def say_until_it_ends(self, words: str, severity: SeverityLevel = "information") -> None:
        """A toast that goes when the run has ended, if its time is not over before."""
        self._said_until_end.append(words)
        self.notify(words, severity=severity, timeout=6)

    def take_back(self, *words: str) -> None:
        """Take toasts away that are no longer true."""

        def remove() -> None:
            for note in [note for note in self._notifications if note.message in words]:
                self._unnotify(note)

        # One that was only just said is still on its way.
        self.call_later(remove)

    def settled_phase(self, phase: Phase) -> Phase:
        """The phase, with what other runs have to do with it."""
        return phase

    def turn(self) -> Turn | None:
        """What a waiting run waits for."""
        return None

    def batch_words(self) -> str:
        """The run's place in its batch; empty without one."""
        return ""

    def labels(self) -> dict[str, str]:
        """What the footer says for each action that applies now."""
        raise NotImplementedError

    def action_interrupt(self) -> None:
        """What Ctrl-C and SIGINT do."""
        raise NotImplementedError
