"""Orders to a running trainer: files in `control/` and signals, acknowledged by events.

Most are read between epochs. To end at once (`abort`, or a second signal) waits for nothing: a thread looks for it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Control, RunFinished
from flykd_console.runs.files import remove_own_leftovers
from flykd_console.runs.log import EventWriter
from flykd_console.runs.more_epochs import MoreEpochs, take_more_epochs

_POLL_SECONDS = 0.1
_ABORT_SECONDS = 0.25
_ABORTED = 130
# Obeyed between epochs; what lies there when the run ends has come too late. A stop is meant for the next run, too.
_BETWEEN_EPOCHS = ("checkpoint", "evaluate", "extend", "pause")
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# What does not need training to go on.
_WHILE_PAUSED = ("checkpoint", "evaluate")


class StopRequestedError(Exception):
    """Training is to end now, after a checkpoint."""


class StopSignals:
    """Signals as an order to stop: SIGINT, SIGTERM, SIGHUP, and SIGUSR1, which clusters send before a time limit.

    A second one ends the process at once. The exit code says what stopped a run: 130 an order, 128 + n signal n.

    Args:
        seconds: Order a stop by itself after so many seconds; None: never.

    Attributes:
        asked: A stop was ordered, by a signal or by a file, and stays ordered.
        number: The signal that ordered it; 0: none did.
        force: What the second signal does; by default it ends the process without a word.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._ordered = False
        self.number = 0
        self.force: Callable[[], None] | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take the signals for the time being."""
        before = {number: signal.signal(number, self._on_signal) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        return self._ordered or self.late

    @asked.setter
    def asked(self, ordered: bool) -> None:
        self._ordered = ordered

    @property
    def late(self) -> bool:
        """Whether the time that the run was given is over."""
        return self._deadline is not None and time.monotonic() > self._deadline

    @property
    def code(self) -> int:
        """The exit code of a run that was stopped."""
        return 128 + (self.number or signal.SIGINT)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self.number = number
        elif number == signal.SIGUSR1:
            pass  # a reminder; it forces nothing
        elif self.force is not None:
            self.force()
        else:
            os._exit(_ABORTED)


class Orders:
    """Reads a run's orders; `stop` also comes by signal.

    Args:
        directory: The run.
        events: Its log.
        stop: The process' signals.
        began: When the run began, by the clock that leaves out the time between its starts (Unix seconds).

    Attributes:
        place: Seed and stage in training, which a run that is ended at once names.
    """

    def __init__(
        self, directory: RunDirectory, events: EventWriter, stop: StopSignals | None = None, began: float | None = None
    ) -> None:
        self._directory = directory
        self._events = events
        self._last_poll = 0.0
        self._stop = stop or StopSignals()
        self._began = time.time() if began is None else began
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        self.place: tuple[int, str] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """From here to the end the run can be ended at once."""
        self._stop.force = self.abort
        self._watcher = threading.Thread(target=self._watch, name="orders", daemon=True)
        self._watcher.start()
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Before the run's last word: nothing more is obeyed, and orders that came too late are refused."""
        self._stop.force = None
        self._over.set()
        if self._watcher is not None:
            self._watcher.join()
        for order in _BETWEEN_EPOCHS:
            if self._given(order):
                self._directory.withdraw(order)
                self._events.write(Control(action=order, state="refused"))  # type: ignore[arg-type]

    def _watch(self) -> None:
        while not self._over.wait(_ABORT_SECONDS):
            if self._given("abort"):
                self.abort()

    def abort(self) -> None:
        """Say so and end the process at once, whatever it is doing; the last checkpoint stays as it is."""
        seed, stage = self.place or (None, None)
        try:
            with suppress(OSError):
                self._directory.withdraw("abort")
            self._events.write_last(
                Control(action="abort", state="stopping", seed=seed, stage=stage),
                RunFinished(outcome="stopped", seconds=time.time() - self._began, saved=False),
            )
            remove_own_leftovers(self._directory.path)
        finally:
            os._exit(_ABORTED)

    def poll(self, now: bool = False) -> set[str]:
        """Orders to carry out now; a stop stays until obeyed, and `extend` is left for `take_more_epochs`.

        `now`: look even where the last look was a moment ago.
        """
        time_now = time.monotonic()
        if not now and not self._stop.asked and time_now - self._last_poll < _POLL_SECONDS:
            return set()
        self._last_poll = time_now
        orders = {order for order in ("checkpoint", "evaluate", "extend", "stop") if self._given(order)}
        for order in orders - {"extend"}:
            self._directory.withdraw(order)
        self._stop.asked = self._stop.asked or "stop" in orders
        if self._stop.asked:
            return orders | {"stop"}
        return orders | {"pause"} if self._given("pause") else orders

    def acknowledge(self, action: str, state: str, seed: int, stage: str, epochs: int | None = None) -> None:
        """Write the `control` event that lets a screen claim the action."""
        self._events.write(Control(action=action, state=state, seed=seed, stage=stage, epochs=epochs))  # type: ignore[arg-type]

    def take_more_epochs(self) -> MoreEpochs | None:
        """The order to add epochs, taken away; None where it is no number of epochs."""
        return take_more_epochs(self._directory)

    def _given(self, order: str) -> bool:
        return self._directory.order_file(order).exists()

    def hold(self, seed: int, stage: str, obey: Callable[[set[str]], None] | None = None) -> None:
        """Wait here while the run is paused.

        Args:
            seed: The seed in training.
            stage: Its stage.
            obey: Carries out and acknowledges what needs no training: `checkpoint` and `evaluate`; None: they wait.
        """
        self.acknowledge("pause", "paused", seed, stage)
        while self._given("pause") and not self._given("stop") and not self._stop.asked:
            orders = {order for order in _WHILE_PAUSED if self._given(order)} if obey is not None else set()
            for order in orders:
                self._directory.withdraw(order)
            if orders and obey is not None:
                obey(orders)
            time.sleep(_POLL_SECONDS)
        self._directory.withdraw("pause")
        self.acknowledge("resume", "running", seed, stage)
