"""The list of runs: read in the background, filtered, sorted, marked; opening, overlaying, comparing; batches."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.screens.comparison import ComparisonScreen
from flykd_console.dashboard.screens.difference import DifferenceScreen
from flykd_console.dashboard.screens.full import ScreenHelp
from flykd_console.dashboard.screens.overlay import OverlayChart, OverlayScreen
from flykd_console.dashboard.screens.runs import RunsScreen
from flykd_console.runs import events as ev
from flykd_console.runs.batch import write_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held
from tests.dashboard.conftest import app_on, append, settle
from tests.support.event_log import LogSpec, write_run
from tests.support.finished_run import RunSpec, make_finished_run

NORMAL = (120, 36)


async def rest(pilot: Pilot[None]) -> None:
    """Until what runs in the background has been drawn."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await rest(pilot)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DashboardApp:
    """On one of four runs: two of the same data, one that failed, one that was stopped."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    small = {"heads": 12, "tails": 20, "known_per_part": (20, 6, 10), "probe": 8}
    shown = make_finished_run(root, RunSpec(name="alpha-20260101-000000", **small))  # type: ignore[arg-type]
    make_finished_run(root, RunSpec(name="beta-20260101-000001", **small))  # type: ignore[arg-type]
    beta = root / "beta-20260101-000001" / "profile.toml"
    beta.write_text(beta.read_text() + "\n[distill]\nepochs = 7\n")
    write_run(root, LogSpec(name="gamma", state="failed", epochs=40, seeds=(45, 46), method="lsp"), "gamma")
    write_run(root, LogSpec(name="delta", state="stopped", epochs=40, seeds=(45,)), "delta")
    return app_on(shown, alive=False)


def names(screen: RunsScreen) -> list[str]:
    return [path.name for path in screen._rows]


async def opened(pilot: Pilot[None]) -> RunsScreen:
    await settle(pilot)
    await press(pilot, "o")
    screen = pilot.app.screen
    assert isinstance(screen, RunsScreen)
    return screen


async def test_every_run_is_listed_and_the_cursor_is_on_the_shown_one(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert set(names(screen)) == {"alpha-20260101-000000", "beta-20260101-000001", "gamma", "delta"}
        assert screen.current is not None
        assert screen.current.directory.path == app.directory.path


async def test_typing_filters_and_escape_takes_it_back(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, "slash", *"lsp fail")
        assert names(screen) == ["gamma"]
        await press(pilot, "enter")
        assert isinstance(screen.focused, DataTable)
        assert names(screen) == ["gamma"]
        await press(pilot, "escape")
        assert len(names(screen)) == 4
        assert app.screen is screen
        await press(pilot, "escape")
        assert app.screen is app.main


async def test_filter_that_matches_nothing_says_so(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, "slash", *"zzz")
        assert names(screen) == []
        assert "No run matches" in str(screen.query_one("#runs-detail").render())


async def test_sorting_goes_through_the_columns_and_turns(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, "s")
        assert names(screen) == sorted(names(screen), key=str.casefold)
        await press(pilot, "S")
        assert names(screen) == sorted(names(screen), key=str.casefold, reverse=True)


async def test_opening_shows_the_other_run(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, "slash", *"gamma", "enter")
        assert names(screen) == ["gamma"]
        await press(pilot, "enter")
        assert app.screen is app.main
        assert app.directory.name == "gamma"
        assert app.phase is Phase.FAILED
        assert "CUDA out of memory" in str(app.main.query_one("#banner").render())


async def test_marks_are_counted_kept_and_taken_away(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.table.move_cursor(row=0)
        await press(pilot, "space", "space")
        assert len(screen.marked) == 2
        assert "2 marked" in str(screen.query_one("#full-title").render())
        await press(pilot, "u")
        assert screen.marked == []


async def mark_finished(pilot: Pilot[None], screen: RunsScreen) -> None:
    screen.marked = [path for path in screen._rows if path.name.startswith(("alpha", "beta"))]
    screen.show_runs()
    await rest(pilot)


async def test_overlay_shows_a_curve_a_run_and_their_scores(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        screen.marked = [path for path in screen._rows if path.name in ("gamma", "delta")]
        await press(pilot, "o")
        overlay = app.screen
        assert isinstance(overlay, OverlayScreen)
        chart = overlay.query_one("#overlay-losses", OverlayChart)
        assert chart.spec is not None
        assert len(chart.spec.curves) == 2
        assert overlay.table.row_count == 2
        await press(pilot, "m")
        assert overlay.overlay.model == "teacher"
        log_y = overlay.chart.log_y
        await press(pilot, "l", "g", "z", "b")
        assert overlay.chart.log_y is not log_y
        assert overlay.chart.smoothing == 0.9
        assert overlay.chart.zoom is not None
        assert overlay.chart.band
        await press(pilot, "0", "i", "left", "right")
        assert overlay.chart.cursor is not None
        await press(pilot, "tab", "tab")
        assert overlay.table.has_focus
        assert overlay.overlay.focus == 0
        await press(pilot, "down")
        assert overlay.overlay.focus == 1
        await press(pilot, "d")
        assert isinstance(app.screen, DifferenceScreen)
        await press(pilot, "escape", "escape")
        assert app.screen is screen


async def test_overlay_opens_at_once_when_several_runs_are_watched(app: DashboardApp) -> None:
    app.overlaid = [app.directory, RunDirectory(app.directory.path.parent / "gamma")]
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        await rest(pilot)
        assert isinstance(app.screen, OverlayScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)
        assert {path.name for path in app.screen.marked} == {"alpha-20260101-000000", "gamma"}


async def test_differences_want_two_runs_and_show_the_keys_that_differ(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await press(pilot, "d")
        assert app.screen is screen
        await mark_finished(pilot, screen)
        await press(pilot, "d")
        assert isinstance(app.screen, DifferenceScreen)
        table = app.screen.query_one(DataTable)
        keys = [str(table.get_row_at(row)[0]) for row in range(table.row_count)]
        assert keys == ["distill.epochs"]
        assert sorted(str(cell) for cell in table.get_row_at(0)[1:]) == ["2000", "7"]


async def test_comparison_shows_gains_and_says_what_cannot_be_compared(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        await mark_finished(pilot, screen)
        await press(pilot, "c")
        assert isinstance(app.screen, ComparisonScreen)
        assert app.screen.comparison is not None
        assert app.screen.problem == ""
        assert sum(len(block.runs) for block in app.screen.comparison.blocks) == 2
        await press(pilot, "escape")
        screen.marked = [path for path in screen._rows if path.name == "gamma"]
        await press(pilot, "c")
        assert isinstance(app.screen, ComparisonScreen)
        assert "no results yet" in app.screen.problem
        assert "no results yet" in str(app.screen.query_one("#comparison-tables").render())


async def test_results_lead_to_the_comparison_of_this_run(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await press(pilot, "r", "c")
        assert isinstance(app.screen, ComparisonScreen)
        assert app.screen.comparison is not None
        assert [row.model for row in app.screen.comparison.blocks[0].rows] == ["teacher", "baseline", "student"]


async def test_help_names_every_key_and_the_palette_its_actions(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        titles = [command.title for command in app.get_system_commands(screen)]  # type: ignore[arg-type]
        assert any("overlay" in title.lower() or "over each other" in title for title in titles)
        await press(pilot, "question_mark")
        assert isinstance(app.screen, ScreenHelp)
        await press(pilot, "escape")
        assert app.screen is screen


async def test_keys_meant_for_training_do_not_reach_through(app: DashboardApp) -> None:
    async with app.run_test(size=NORMAL) as pilot:
        await opened(pilot)
        await press(pilot, "p")
        assert not app.directory.order_file("pause").exists()


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (200, 60), (59, 17)])
async def test_every_size_is_drawn(app: DashboardApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        tiny = size[0] < 60
        assert screen.has_class("tiny") is tiny
        assert screen.query_one(Input).display is not tiny or tiny
        if not tiny:
            assert screen.table.virtual_size.width <= size[0]


async def test_hundreds_of_runs_come_in_batches(app: DashboardApp) -> None:
    root = app.directory.path.parent
    for number in range(150):
        folder = root / f"many-{number:03d}"
        folder.mkdir()
        (folder / "profile.toml").write_text("")
    async with app.run_test(size=NORMAL) as pilot:
        screen = await opened(pilot)
        assert len(names(screen)) == 154
        assert "154 runs" in str(screen.query_one("#full-title").render())


def batch(tmp_path: Path) -> list[RunDirectory]:
    first = write_run(tmp_path / "runs", LogSpec(name="first", state="running", epochs=40, seeds=(45,)), "first")
    second = RunDirectory(tmp_path / "runs" / "second")
    second.path.mkdir()
    second.profile.write_text('[distill]\nmethod = "basic-kd"\n')
    write_queue([first, second])
    return [first, second]


def begin(run: RunDirectory, root: Path) -> None:
    """The trainer has come to this run of the batch."""
    made = write_run(root / "made", LogSpec(name="second", state="running", epochs=40, seeds=(45,)), run.name)
    run.events.write_bytes(made.events.read_bytes())


async def test_batch_is_followed_from_one_run_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = batch(tmp_path)
    app = app_on(first, alive=True)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        app.poll()
        assert "1/2 first" in str(app.main.query_one("#header").render())
        append(first, ev.RunFinished(outcome="finished", seconds=3.0))
        await settle(pilot)
        app.poll()
        assert app.directory.name == "first"
        begin(second, tmp_path)
        app.poll()
        await settle(pilot)
        assert app.directory.name == "second"
        assert "2/2 second" in str(app.main.query_one("#header").render())
        assert app.phase is Phase.RUNNING


async def test_batch_is_not_followed_away_from_a_run_opened_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = batch(tmp_path)
    append(first, ev.RunFinished(outcome="finished", seconds=3.0))
    begin(second, tmp_path)
    app = app_on(first, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        app.poll()
        app.poll()
        assert app.directory.name == "first"


async def test_batch_is_not_followed_from_a_run_laid_over_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = batch(tmp_path)
    other = write_run(tmp_path / "runs", LogSpec(name="other", state="finished", epochs=40, seeds=(45,)), "other")
    app = app_on(first, alive=True)
    app.overlaid = [first, other]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        app.poll()
        append(first, ev.RunFinished(outcome="finished", seconds=3.0))
        begin(second, tmp_path)
        await settle(pilot)
        app.poll()
        assert app.directory.name == "first"
        assert not app._notifications
        await press(pilot, "escape", "escape")
        assert app.screen is app.main
        assert app.directory.name == "first"


async def test_q_leaves_the_program_where_it_began_with_runs_over_each_other(app: DashboardApp) -> None:
    app.overlaid = [app.directory, RunDirectory(app.directory.path.parent / "gamma")]
    async with app.run_test(size=NORMAL) as pilot:
        await pilot.pause()
        await rest(pilot)
        assert isinstance(app.screen, OverlayScreen)
        await pilot.press("q")
        await pilot.pause()
        assert app._exit


async def test_a_finished_run_is_never_taken_for_one_seen_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = batch(tmp_path)
    append(first, ev.RunFinished(outcome="finished", seconds=3.0))
    begin(second, tmp_path)
    app = app_on(first, alive=False)
    async with app.run_test(size=NORMAL):
        # The first frame is drawn before the log is read.
        app.poll()
        app.poll()
        assert app.directory.name == "first"
        assert not app.saw_training


async def test_run_whose_turn_has_not_come_is_waiting_and_not_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = batch(tmp_path)
    app = app_on(second, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.WAITING
        assert "waiting" in str(app.main.query_one("#header").render())
        assert "Nobody trains this batch now: first has died." in str(app.main.query_one("#banner").render())
        assert "flykd-console run --resume first" in str(app.main.query_one("#banner").render())
        assert "ETA" not in str(app.main.query_one("#progress").render())
        with held(first):
            app.draw()
            assert "Its turn comes after first." in str(app.main.query_one("#banner").render())
