"""Orders to a running trainer: files in `control/` and signals, read between epochs, acknowledged by an event."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Control
from flykd_console.runs.log import EventWriter

_POLL_SECONDS = 0.1


class StopRequestedError(Exception):
    """Training is to end now, after a checkpoint."""


class StopSignals:
    """SIGINT and SIGTERM as an order to stop; a second one ends the process at once.

    Attributes:
        asked: A stop was ordered, by a signal or by a file, and stays ordered.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take the signals for the time being."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(130)
        self.asked = True


class ControlDesk:
    """Reads a run's orders; `stop` also comes by signal."""

    def __init__(self, directory: RunDirectory, events: EventWriter, stop: StopSignals | None = None) -> None:
        self._directory = directory
        self._events = events
        self._last_poll = 0.0
        self._stop = stop or StopSignals()

    def poll(self) -> set[str]:
        """Orders to carry out now, of `pause`, `checkpoint`, `evaluate` and `stop`; a stop stays until obeyed."""
        now = time.monotonic()
        if not self._stop.asked and now - self._last_poll < _POLL_SECONDS:
            return set()
        self._last_poll = now
        orders = {order for order in ("checkpoint", "evaluate", "stop") if self._given(order)}
        for order in orders:
            self._directory.withdraw(order)
        self._stop.asked = self._stop.asked or "stop" in orders
        if self._stop.asked:
            return orders | {"stop"}
        return orders | {"pause"} if self._given("pause") else orders

    def acknowledge(self, action: str, state: str, seed: int, stage: str) -> None:
        """Write the `control` event that lets a screen claim the action."""
        self._events.write(Control(action=action, state=state, seed=seed, stage=stage))  # type: ignore[arg-type]

    def _given(self, order: str) -> bool:
        return self._directory.order_file(order).exists()

    def hold(self, seed: int, stage: str) -> None:
        """Wait here while the run is paused."""
        self.acknowledge("pause", "paused", seed, stage)
        while self._given("pause") and not self._given("stop") and not self._stop.asked:
            time.sleep(_POLL_SECONDS)
        self._directory.withdraw("pause")
        self.acknowledge("resume", "running", seed, stage)
