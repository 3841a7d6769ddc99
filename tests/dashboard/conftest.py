"""Apps on fabricated runs: no clock, no worker, no polling; `settle` reads the log and draws."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.palette import DARK
from flykd_console.dashboard.user_keys import UserKeys
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Event
from flykd_console.runs.log import EventWriter
from tests.support.event_log import START, LogSpec, write_run

AppMaker = Callable[..., DashboardApp]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppMaker:
    """An app on a fabricated run in `runs/` below the current folder; a worker lives where the state says so."""
    monkeypatch.chdir(tmp_path)

    def make(
        state: str = "running",
        *,
        alive: bool | None = None,
        theme: str = DARK,
        keys: UserKeys | None = None,
        **spec: object,
    ) -> DashboardApp:
        settings: dict[str, object] = {"epochs": 200, "seeds": (45, 46, 47), **spec}
        run = write_run(tmp_path / "runs", LogSpec(state=state, **settings))  # type: ignore[arg-type]
        lives = state in ("running", "paused", "starting", "reading") if alive is None else alive
        return app_on(run, alive=lives, theme=theme, keys=keys)

    return make


def app_on(run: RunDirectory, *, alive: bool, theme: str = DARK, keys: UserKeys | None = None) -> DashboardApp:
    """An app that only reads when told. Where no worker lives, the log has been silent for an hour."""
    if run.events.exists():
        os.utime(run.events, (START, START))
    return DashboardApp(
        run,
        poll_seconds=None,
        alive=lambda: alive,
        theme=theme,
        keys=keys,
        clock=lambda: START + (0.0 if alive else 3600.0),
    )


async def settle(pilot: Pilot[None]) -> None:
    """Read the whole log, and draw until the layout stands still."""
    app = pilot.app
    assert isinstance(app, DashboardApp)
    app.catch_up()
    await pilot.pause()
    app.draw()
    await pilot.pause()


def append(run: RunDirectory, *events: Event) -> None:
    """What the trainer would write next."""
    writer = EventWriter(run.events)
    writer.write(*events)
    writer.close()
