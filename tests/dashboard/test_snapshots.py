"""Pictures of every screen; `pytest --snapshot-update` accepts a change after somebody has looked at it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from flykd_console.dashboard.palette import DARK, LIGHT
from tests.dashboard.conftest import AppMaker, settle

SIZES = ((60, 20), (80, 24), (120, 36), (200, 60))


def keys(*names: str) -> Any:
    """Settle, then press keys."""

    async def before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for name in names:
            await pilot.press(name)
            await pilot.pause()

    return before


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_main_screen_of_a_running_run(snap_compare: Any, make_app: AppMaker, size: tuple[int, int], theme: str) -> None:
    app = make_app("running", theme=theme, gpu=True, device="cuda:0", device_name="NVIDIA H200")
    assert snap_compare(app, terminal_size=size, run_before=keys())


@pytest.mark.parametrize("state", ["finished", "failed", "stopped", "died", "paused", "reading"])
def test_main_screen_in_every_state(snap_compare: Any, make_app: AppMaker, state: str) -> None:
    assert snap_compare(make_app(state), terminal_size=(120, 36), run_before=keys())


@pytest.mark.parametrize("tab", ["2", "3"])
def test_narrow_tabs(snap_compare: Any, make_app: AppMaker, tab: str) -> None:
    assert snap_compare(make_app("running"), terminal_size=(80, 24), run_before=keys(tab))


@pytest.mark.parametrize("tab", ["1", "2", "3"])
def test_tabs_of_a_wide_but_low_terminal(snap_compare: Any, make_app: AppMaker, tab: str) -> None:
    assert snap_compare(make_app("running"), terminal_size=(140, 22), run_before=keys(tab))


@pytest.mark.parametrize(
    ("name", "pressed"),
    [
        ("help", ("question_mark",)),
        ("confirm-stop", ("s",)),
        ("results", ("r",)),
        ("full-losses", ("enter",)),
        ("zoomed-with-reading-line", ("z", "z", "i", "left", "left")),
        ("band-of-the-teacher", ("m", "m", "b")),
        ("log-filter", ("slash", "4", "6")),
        ("seeds-focused", ("tab", "tab", "tab", "down")),
    ],
)
def test_other_screens(snap_compare: Any, make_app: AppMaker, name: str, pressed: tuple[str, ...]) -> None:
    assert snap_compare(make_app("running"), terminal_size=(120, 36), run_before=keys(*pressed))


def test_results_of_a_finished_run(snap_compare: Any, make_app: AppMaker) -> None:
    assert snap_compare(make_app("finished", theme=LIGHT), terminal_size=(120, 36), run_before=keys("r"))


def test_too_small(snap_compare: Any, make_app: AppMaker) -> None:
    assert snap_compare(make_app("running"), terminal_size=(59, 18), run_before=keys())
