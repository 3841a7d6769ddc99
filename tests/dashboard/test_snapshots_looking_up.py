"""Pictures of the screens that need a trained student: exploring it, its comparison, and stopping at once."""

from __future__ import annotations

import pytest

from flykd_console.dashboard.palette import DARK, LIGHT
from flykd_console.runs.directory import RunDirectory
from tests.dashboard.conftest import AppMaker, app_on, settle
from tests.dashboard.test_explore_screen import run as run  # the fixture: a finished run on a graph file
from tests.dashboard.test_snapshots import SIZES, Look, press, same
from tests.dashboard.test_snapshots import look as look

LOOKED_UP = {"explore-begin": "d", "explore-ranked": "d enter down", "comparison": "r c"}


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_that_looks_up(look: Look, run: RunDirectory, size: tuple[int, int], theme: str) -> None:
    different = []
    for name, there in LOOKED_UP.items():
        app = app_on(run, alive=False, theme=theme)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, there)
            different += [] if same(look, pilot, name) else [name]
    assert different == []


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_stopping_at_once_and_adding_epochs(
    look: Look, make_app: AppMaker, size: tuple[int, int], theme: str
) -> None:
    app = make_app("running", theme=theme)
    different = []
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for name, there, back in (("stop-at-once", "S", "n"), ("add-epochs", "plus", "escape")):
            await press(pilot, there)
            different += [] if same(look, pilot, name) else [name]
            await press(pilot, back)
    assert different == []
