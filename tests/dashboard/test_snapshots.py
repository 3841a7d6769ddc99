"""Pictures of every screen at every size in both themes; `pytest --snapshot-update` takes what somebody has looked at.

A size and a theme go through all screens in one run of the app: starting it is what takes time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.arrangement import arrange
from flykd_console.dashboard.palette import DARK, LIGHT
from tests.dashboard.conftest import AppMaker, settle
from tests.support.compact_svg import compact
from tests.support.event_log import LogSpec, write_run

SIZES = ((60, 20), (80, 24), (120, 36), (200, 60))
Look = Callable[[Pilot[None], str], None]


class CompactSvg(SingleFileSnapshotExtension):
    """One SVG a picture."""

    _file_extension = "svg"
    file_extension = "svg"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def look(snapshot: Any) -> Look:
    """Compares what is on the screen with the picture of that name."""
    pictures = snapshot.use_extension(CompactSvg)

    def compare(pilot: Pilot[None], name: str) -> None:
        pilot.app.clear_notifications()
        assert compact(pilot.app.export_screenshot()) == pictures(name=name)

    return compare


async def press(pilot: Pilot[None], keys: str) -> None:
    """Press keys, and wait for what they have started."""
    for key in keys.split():
        await pilot.press(key)
        await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


# name: keys that lead there; the keys that lead back.
SCREENS = {
    "reading-line": ("i left left left", "escape"),
    "one-curve-zoomed": ("f z", "0"),
    "full-losses": ("enter", "enter"),
    "rates": ("a", "a"),
    "band": ("m m b", "b m m"),
    "seeds-sorted": ("n n n down", ""),
    "log-filter": ("slash 4 6", "escape"),
    "help": ("question_mark", "escape"),
    "stop": ("s", "n"),
    "results": ("r", "escape"),
    "runs": ("o space", "escape"),
    "overlay": ("o space up space o", "escape escape"),
    "differences": ("o space up space d", "escape escape"),
}


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen(look: Look, make_app: AppMaker, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    app = make_app("running", theme=theme, gpu=True, device="cuda:0", device_name="NVIDIA H200")
    for name, state, method in (("lsp", "finished", "flykd-lsp"), ("basic", "failed", "basic-kd")):
        spec = LogSpec(name=name, state=state, method=method, epochs=200, seeds=(45, 46))
        write_run(tmp_path / "runs", spec, folder=f"{name}-20260921-101500")
    different = []
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for tab in range(len(arrange(*size, "losses", False).tabs) or 1):
            await press(pilot, str(tab + 1))
            different += [] if same(look, pilot, f"main-{tab + 1}") else [f"main-{tab + 1}"]
        await press(pilot, "1")
        app.main.focus_panel("losses")
        for name, (there, back) in SCREENS.items():
            app.main.focus_panel({"band": "validation", "seeds-sorted": "seeds"}.get(name, "losses"))
            await pilot.pause()
            await press(pilot, there)
            different += [] if same(look, pilot, name) else [name]
            await press(pilot, back)
            assert app.screen is app.main, name
            app.main.seeds.sort_by_column(None)
    assert different == []


def same(look: Look, pilot: Pilot[None], name: str) -> bool:
    """Whether a picture is as it was; one difference must not hide the next."""
    try:
        look(pilot, name)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("state", ["finished", "failed", "stopped", "died", "paused", "reading", "starting"])
async def test_main_screen_in_every_state(look: Look, make_app: AppMaker, state: str) -> None:
    app = make_app(state)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        look(pilot, state)


async def test_tabs_of_a_wide_but_low_terminal(look: Look, make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=(140, 22)) as pilot:
        await settle(pilot)
        for tab in "123":
            await press(pilot, tab)
            look(pilot, tab)


async def test_results_and_export_of_a_finished_run(look: Look, make_app: AppMaker) -> None:
    app = make_app("finished", theme=LIGHT)
    lines = "\\n".join(("✔ names", "✔ shapes", "✔ values in batches of 1, 7 and 4096", "✔ test AUPRC"))
    app.export_command = [sys.executable, "-c", f"print('{lines}')"]
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        look(pilot, "results")
        await press(pilot, "escape e")
        look(pilot, "export")


async def test_without_colours(look: Look, make_app: AppMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app("running")
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        look(pilot, "main")


async def test_structure_losses_keep_apart(look: Look, make_app: AppMaker) -> None:
    app = make_app("running", structure=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        look(pilot, "losses")


async def test_too_small(look: Look, make_app: AppMaker) -> None:
    app = make_app("running")
    assert isinstance(app, DashboardApp)
    async with app.run_test(size=(59, 18)) as pilot:
        await settle(pilot)
        look(pilot, "too-small")
