"""Other runs: the list of them, showing another one, the next one of a batch, and exploring a trained student."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence, Set
from pathlib import Path

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.health import OrderClock, Phase, Turn
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.runs.batch import batch_of, has_begun, read_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import NewerSchemaError
from flykd_console.runs.state.feed import LiveSource
from flykd_console.runs.state.progress import SteadyProgress
from flykd_console.runs.state.run import RunState
from flykd_console.runs.status import in_training, status_of

_LEFT_OFF = {"stopped": "been stopped", "died": "died"}


class RunActions(FollowingApp):
    """Keys that lead to other runs and into a run's student; and going on to the next run of a batch."""

    overlaid: Sequence[RunDirectory] = ()
    """Runs to lay over each other as soon as the program is up."""
    opened_alone = True
    """The user asked for the shown run itself, not to have it laid over others."""
    saw_training = False
    """The shown run was opened alone, and in training while this program looked: only then is a batch followed."""
    _process: subprocess.Popen[bytes] | None = None
    _trained_here: Set[Path] = frozenset()

    def on_mount(self) -> None:
        # Textual calls each class's own handler: with a call of the one above everything there would be done twice.
        self._process = self.worker
        self._trained_here = {run.path for run in batch_of(self.directory)}
        self.opened_alone = not self.overlaid
        if self.overlaid:
            self.call_after_refresh(self._open_overlay)

    def _open_overlay(self) -> None:
        self.action_runs()
        from flykd_console.dashboard.screens.overlay import OverlayScreen

        self.push_screen(OverlayScreen(self.overlaid, follow=self._poll_seconds is not None, first=True))

    def action_runs(self) -> None:
        from flykd_console.dashboard.screens.runs import RunsScreen

        follow = self._poll_seconds is not None
        screen = RunsScreen(self.directory.path.parent, self.directory, follow, marked=self.overlaid)
        self.push_screen(screen, self._run_chosen)

    def _run_chosen(self, chosen: RunDirectory | None) -> None:
        if chosen is None:
            return
        self.opened_alone = True
        if chosen.path != self.directory.path:
            self.saw_training = False
            self.show_run(chosen)

    def show_run(self, directory: RunDirectory) -> None:
        """Follow another run from now on."""
        # One process trains a whole batch; about any other run it says nothing.
        self.worker = self._process if directory.path in self._trained_here else None
        self.directory = directory
        self.state = RunState()
        self.source = LiveSource(directory, self._clock)
        self.phase = Phase.STARTING
        self.interrupts = 0
        self._seen_controls = {}
        self._order_clock = OrderClock()
        self._progress = SteadyProgress()
        self._loading = self._stale = True
        for chart in self.main.query(ChartPanel):
            chart.reset()
        if self._poll_seconds is None:
            self.catch_up()
        else:
            self.poll()
            self.draw()

    # Batches.

    def poll(self) -> None:
        super().poll()
        watched = self.opened_alone and self.phase.obeys and not self._loading
        self.saw_training = self.saw_training or watched
        self.move_on()

    def move_on(self) -> None:
        """Show the next run of the batch once it has begun, if the shown one was watched to its end."""
        over = self.phase in (Phase.FINISHED, Phase.STOPPED, Phase.FAILED)
        queue = read_queue(self.directory) if over and self.saw_training and not self.source.replaying else None
        if queue is None:
            return
        later = set(queue.runs[queue.position + 1 :])
        following = next((run for run in batch_of(self.directory) if run.name in later and has_begun(run)), None)
        if following is not None:
            self.notify(f"{self.directory.name} {self.phase.value}; now {following.name}", timeout=8)
            self.show_run(following)

    def batch_words(self) -> str:
        """`2/13` for the second run of a batch of thirteen; empty without a batch."""
        queue = read_queue(self.directory)
        return f"{queue.position + 1}/{len(queue.runs)}" if queue is not None and len(queue.runs) > 1 else ""

    def turn(self) -> Turn | None:
        queue = read_queue(self.directory)
        if queue is None:
            return None
        batch = batch_of(self.directory)
        training = next((run.name for run in batch if in_training(run)), "")
        before = set(queue.runs[: queue.position])
        left = [(run.name, state_of(run)) for run in batch if not training and run.name in before]
        broken_off = next(((name, _LEFT_OFF[state]) for name, state in left if state in _LEFT_OFF), ("", ""))
        return Turn(training, *broken_off)

    def settled_phase(self, phase: Phase) -> Phase:
        """A run of a batch whose turn has not come is waiting: nobody trains it, and nothing is wrong."""
        if phase in (Phase.STARTING, Phase.DIED) and not has_begun(self.directory) and self.batch_words():
            return Phase.WAITING
        return phase

    def _mistake(self) -> bool:
        # The other runs of a batch go on; there is something to look at.
        return super()._mistake() and not self.batch_words()

    # A trained student.

    def action_explore(self) -> None:
        from flykd_console.dashboard.screens.explore import ExploreScreen
        from flykd_console.explore.exploration import explorable_seeds

        if self.directory.tells_classes:
            self._explore_classes()
            return
        seeds = explorable_seeds(self.directory)
        if not seeds:
            self.notify("There is no student yet: it can be explored once its seed is done", timeout=4)
            return
        self.push_screen(ExploreScreen(self.directory, seeds))

    def _explore_classes(self) -> None:
        from flykd_console.dashboard.screens.explore_classes import ClassExploreScreen
        from flykd_console.explore.classes import explorable_class_seeds

        seeds = explorable_class_seeds(self.directory)
        if not seeds:
            self.notify("No seed of it can be explored: it left no rows of its samples", timeout=4)
            return
        self.push_screen(ClassExploreScreen(self.directory, seeds))


def state_of(run: RunDirectory) -> str:
    """A run's state, or `unreadable`."""
    try:
        return status_of(run).state
    except (NewerSchemaError, OSError):
        return "unreadable"
