"""Every action of the registry, pressed as a user presses it."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from flykd_console.dashboard.app import DashboardApp, DashboardOutcome
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.keymap import ACTIONS
from flykd_console.dashboard.palette import DARK, LIGHT
from flykd_console.dashboard.screens.confirm import ConfirmScreen
from flykd_console.dashboard.screens.export import ExportScreen
from flykd_console.dashboard.screens.help import HelpScreen, help_text
from flykd_console.dashboard.screens.results import ResultsScreen
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.dashboard.widgets.log import LogPanel, LogView
from flykd_console.dashboard.widgets.seeds import SeedsPanel
from flykd_console.runs import events as ev
from flykd_console.runs.lock import held
from tests.dashboard.conftest import AppMaker, append, settle

NORMAL = (120, 36)


def chart(app: DashboardApp, name: str) -> ChartPanel:
    return app.main.query_one(f"#{name}", ChartPanel)


def footer_text(app: DashboardApp) -> str:
    return str(app.main.query_one("#footer").render())


def header_text(app: DashboardApp) -> str:
    return str(app.main.query_one("#header").render())


def banner_text(app: DashboardApp) -> str:
    banner = app.main.query_one("#banner")
    return str(banner.render()) if banner.display else ""


def notes(app: DashboardApp) -> str:
    return " | ".join(note.message for note in app._notifications)


async def test_pause_is_claimed_only_once_the_trainer_says_so(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("p")
        assert app.directory.order_file("pause").exists()
        assert app.phase is Phase.PAUSING
        assert "pausing…" in header_text(app)
        append(app.directory, ev.Control(action="pause", state="paused"))
        await settle(pilot)
        assert app.phase is Phase.PAUSED
        assert "continue" in footer_text(app)


async def test_continue_withdraws_the_order_and_waits_for_the_trainer(make_app: AppMaker) -> None:
    app = make_app("paused")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.PAUSED
        await pilot.press("p")
        assert not app.directory.order_file("pause").exists()
        assert app.phase is Phase.CONTINUING
        append(app.directory, ev.Control(action="resume", state="running"))
        await settle(pilot)
        assert app.phase is Phase.RUNNING


async def test_stop_asks_and_no_means_no(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("s")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("n")
        assert app.screen is app.main
        assert not app.directory.order_file("stop").exists()


@pytest.mark.parametrize("answer", ["y", "enter"])
async def test_stop_orders_after_yes(make_app: AppMaker, answer: str) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("s", answer)
        assert app.directory.order_file("stop").exists()
        assert app.phase is Phase.STOPPING
        append(app.directory, ev.RunFinished(outcome="stopped", seconds=12.0))
        app.directory.withdraw("stop")
        await settle(pilot)
        assert app.phase is Phase.STOPPED
        assert f"flykd-console run --resume {app.directory.name}" in banner_text(app)
        assert app.outcome is DashboardOutcome.STOPPED


async def test_checkpoint_is_ordered_and_acknowledged(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("c")
        assert app.directory.order_file("checkpoint").exists()
        assert "Checkpoint written" not in notes(app)
        append(app.directory, ev.Control(action="checkpoint", state="running"))
        await settle(pilot)
        assert "Checkpoint written" in notes(app)


async def test_evaluate_is_ordered_while_training(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("e")
        assert app.directory.order_file("evaluate").exists()


@pytest.mark.parametrize(("code", "said"), [(0, "Exported and verified"), (2, "Not exported")])
async def test_export_runs_the_command_and_shows_its_lines(make_app: AppMaker, code: int, said: str) -> None:
    app = make_app("finished")
    app.export_command = [sys.executable, "-c", f"print('names: ok'); raise SystemExit({code})"]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert "export" in footer_text(app)
        await pilot.press("E")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, ExportScreen)
        assert said in str(app.screen.query_one("#export-state").render())
        assert "names: ok" in "".join(str(line.text) for line in app.screen.query_one("#export-log").lines)  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert app.screen is app.main


async def test_an_older_bundle_is_replaced_only_when_that_is_wanted(make_app: AppMaker) -> None:
    app = make_app("finished")
    app.export_command = [sys.executable, "-c", "print('names: ok')"]
    app.directory.export.mkdir()
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("E")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is app.main
        await pilot.press("E")
        await pilot.pause()
        await pilot.press("y")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, ExportScreen)


async def test_a_finished_run_is_not_evaluated(make_app: AppMaker) -> None:
    app = make_app("finished")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("e")
        await pilot.pause()
        assert app.screen is app.main
        assert "Nothing to evaluate" in notes(app)


async def test_a_run_in_training_is_not_exported(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("E")
        await pilot.pause()
        assert app.screen is app.main
        assert "Nothing to export: the run has not finished" in notes(app)


async def test_orders_to_a_run_that_is_over_are_refused_in_words(make_app: AppMaker) -> None:
    app = make_app("stopped")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        for key in ("p", "s", "c", "e"):
            await pilot.press(key)
        assert app.screen is app.main
        assert not any(
            app.directory.order_file(order).exists() for order in ("pause", "stop", "checkpoint", "evaluate")
        )
        assert "the run is stopped" in notes(app)
        assert "pause" not in footer_text(app)


@pytest.mark.parametrize(("state", "said"), [("died", "the run has died"), ("failed", "the run has failed")])
async def test_why_an_order_is_refused_is_said_in_good_words(make_app: AppMaker, state: str, said: str) -> None:
    app = make_app(state)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("p")
        assert f"Nothing to pause: {said}" in notes(app)


@pytest.mark.parametrize(
    ("state", "there", "gone"), [("running", "s stop & save", "quit"), ("finished", "q quit", "Training")]
)
async def test_too_small_a_terminal_names_the_keys_that_work(
    make_app: AppMaker, state: str, there: str, gone: str
) -> None:
    app = make_app(state)
    async with app.run_test(size=(50, 15)) as pilot:
        await settle(pilot)
        said = str(app.main.query_one("#tiny").render())
        assert there in said
        assert gone not in said


async def test_an_exported_run_tells_how_to_score_with_it(make_app: AppMaker) -> None:
    app = make_app("finished")
    append(app.directory, ev.ExportFinished(seeds=[45], bundle=str(app.directory.export)))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        first, command = banner_text(app).splitlines()
        assert first.strip() == "✔ Exported. Score with it:"
        assert "--disease NAME --relation indication" in command


async def test_log_and_smoothing_change_the_focused_chart_alone(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses, weights = chart(app, "losses"), chart(app, "weights")
        assert losses.log_y
        await pilot.press("l")
        assert not losses.log_y
        assert not weights.log_y
        assert losses.smoothing == 0.9
        seen = []
        for _ in range(3):
            await pilot.press("g")
            seen.append(losses.smoothing)
        assert seen == [0.98, 0.0, 0.9]


async def test_zoom_pan_and_reset(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        whole = (losses.spec.x_low, losses.spec.x_high) if losses.spec else None
        await pilot.press("right")
        assert losses.zoom is None
        await pilot.press("z", "z")
        assert losses.zoom is not None
        low, high = losses.zoom
        assert high - low == pytest.approx(50)
        await pilot.press("left")
        assert losses.zoom[0] == pytest.approx(low - 12.5)
        for _ in range(20):
            await pilot.press("left")
        assert losses.zoom[0] == 0.0
        await pilot.press("0")
        await pilot.pause()
        assert losses.zoom is None
        assert losses.spec is not None
        assert (losses.spec.x_low, losses.spec.x_high) == whole


async def test_keys_pressed_faster_than_the_screen_is_drawn_all_count(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        # As keys come that lie in the queue together: nothing is drawn in between.
        app.action_zoom()
        app.action_zoom()
        assert losses.zoom is not None
        low, high = losses.zoom
        assert high - low == pytest.approx(50)
        for _ in range(4):
            app.action_pan_left()
        assert losses.zoom == pytest.approx((low - 4 * 12.5, high - 4 * 12.5))
        app.action_inspect()
        assert losses.cursor is not None
        assert losses.zoom[0] <= losses.cursor <= losses.zoom[1]
        await pilot.pause()
        assert losses.spec is not None
        assert (losses.spec.x_low, losses.spec.x_high) == losses.zoom


async def test_legend_of_the_weights_follows_training(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(1, "student", 10))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        before = legend_on_screen(app, "weights")
        losses: dict[str, float | None] = {"original": 0.3, "pseudo_train": 0.3, "pseudo_random": 0.3, "total": 0.3}
        append(
            app.directory,
            ev.Epoch(seed=46, stage="student", epoch=150, epochs=200, losses=losses, lr=1e-3, seconds=0.02),
        )
        await settle(pilot)
        after = legend_on_screen(app, "weights")
        assert "orig" in before
        assert "orig" in after
        assert before != after
        assert after.strip() == "".join(text for text, _ in chart(app, "weights")._rows[0]).strip()  # type: ignore[index]


def legend_on_screen(app: DashboardApp, name: str) -> str:
    """The first row of a chart as it stands on the screen, whatever the chart would draw."""
    content = chart(app, name).content_region
    strip = app.screen._compositor.render_strips()[content.y]
    return strip.crop(content.x, content.right).text


async def test_reading_line_moves_and_says_values(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        await pilot.press("i")
        assert losses.cursor == 120
        await pilot.press("left")
        assert losses.cursor is not None
        assert losses.cursor < 120
        legend = "".join(text for text, _ in losses.rows(100, 20, True)[0])
        assert legend.startswith(f"{losses.cursor:.0f}:")
        assert "original 0.3" in legend
        await pilot.press("escape")
        assert losses.cursor is None


async def test_mouse_reads_zooms_and_leaves(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        await pilot.hover("#losses", offset=(30, 8))
        assert losses.cursor is not None
        await pilot.hover("#header")
        assert losses.cursor is None
        await pilot.click("#weights")
        assert app.main.focused_panel == "weights"


async def test_model_goes_round_and_band_is_mean_and_deviation(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        auprc = chart(app, "validation")
        titles = []
        for _ in range(4):
            await pilot.press("m")
            titles.append(str(auprc.border_title))
        assert ["teacher" in titles[0], "baseline" in titles[1], "student" in titles[2]] == [True] * 3
        assert auprc.model is None
        assert auprc.spec is not None
        assert auprc.spec.band is not None
        assert "± std" in str(auprc.border_title)
        assert (chart(app, "ranking").band, chart(app, "ranking").model) == (True, None)
        await pilot.press("b")
        await pilot.pause()
        assert auprc.spec.band is None
        assert "± std" not in str(auprc.border_title)
        assert chart(app, "ranking").band is False


async def test_tab_goes_through_all_panels_and_back(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        seen = []
        for _ in range(7):
            await pilot.press("tab")
            seen.append(app.main.focused_panel)
        assert seen == ["resources", "validation", "ranking", "seeds", "log", "weights", "losses"]
        await pilot.press("shift+tab")
        assert app.main.focused_panel == "weights"


async def test_tab_reaches_panels_behind_other_tabs(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert not app.main.query_one("#seeds").display
        await pilot.press("tab")
        assert app.main.query_one("#validation").display
        assert not app.main.query_one("#losses").display
        await pilot.press("3")
        assert app.main.focused_panel == "log"
        assert isinstance(app.focused, LogView)
        await pilot.click("#tabs", offset=(4, 0))
        assert app.main.query_one("#losses").display


@pytest.mark.parametrize("panel", ["losses", "seeds", "log"])
async def test_enter_fills_the_screen_and_escape_returns(make_app: AppMaker, panel: str) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        app.main.focus_panel(panel)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        widget = app.main.query_one(f"#{panel}")
        assert widget.size.width > 110
        assert [p.id for p in app.main.query(".panel") if p.display] == [panel]
        await pilot.press("escape")
        await pilot.pause()
        assert widget.size.width < 80


async def test_full_screen_goes_through_every_panel(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        seen = set()
        for _ in range(9):
            await pilot.press("tab")
            seen |= {p.id for p in app.main.query(".panel") if p.display}
        assert seen == {"weights", "losses", "rate", "speed", "resources", "validation", "ranking", "seeds", "log"}


async def test_filter_narrows_the_log_and_escape_clears_it(make_app: AppMaker) -> None:
    app = make_app("running", extra_log=(("warning", "the GPU is hot"),))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        append(app.directory, ev.Log(level="warning", message="the disk is nearly full"))
        await settle(pilot)
        view = app.main.query_one(LogView)
        everything = view.matched
        await pilot.press("slash", *"!warning")
        await pilot.pause()
        assert view.matched == 2
        await pilot.press("space", *"disk")
        await pilot.pause()
        assert view.matched == 1
        assert "1 of" in str(app.main.query_one(LogPanel).border_title)
        await pilot.press("enter")
        assert isinstance(app.focused, LogView)
        assert view.matched == 1
        await pilot.press("escape")
        await pilot.pause()
        assert view.matched == everything


async def test_keys_typed_into_the_filter_give_no_orders(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("slash", "p", "c", "e", "q")
        await pilot.pause()
        assert app.is_running
        assert not app.directory.order_file("pause").exists()


async def test_theme_switches_and_every_panel_follows(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.theme == DARK
        await pilot.press("t")
        await pilot.pause()
        assert app.theme == LIGHT
        assert chart(app, "losses")._drawn_for is not None
        assert chart(app, "losses")._drawn_for[2] is False  # type: ignore[index]


async def test_saved_chart_is_a_picture_with_its_values(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("x")
        await app.workers.wait_for_complete()
        folder, name = app.directory.path / "charts", "losses-seed-46-student"
        svg = (folder / f"{name}.svg").read_text()
        assert "<svg" in svg
        assert "pseudo on train" in svg
        assert not any(0x2800 <= ord(sign) < 0x2900 for sign in svg)
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        said = notes(app).replace("\n", "")
        assert said.startswith("Saved ")
        assert f"{name}.svg, .png and .csv" in said
        rows = list(csv.DictReader((folder / f"{name}.csv").open()))
        assert {row["curve"] for row in rows} == {"original", "pseudo on train", "pseudo on random", "total"}
        assert len(rows) == 4 * 120
        assert float(rows[0]["value"]) > 0


async def test_saving_is_said_at_once_and_each_view_has_a_file_of_its_own(
    make_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def save(chart: ChartPanel, path: Path, run: str, dark: bool) -> None:
        said.append(path.name)

    monkeypatch.setattr("flykd_console.dashboard.picture.save_chart", save)
    app = make_app("running")
    monkeypatch.setattr(app, "notify", lambda words, **_: said.append(words))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("x", "l", "z", "x")
        app.main.focus_panel("validation")
        await pilot.press("m", "x")
        await app.workers.wait_for_complete()
    names = ["losses-seed-46-student", "losses-seed-46-student-linear-epochs-60-160", "validation-teacher-mean"]
    assert said[1::3] == names
    assert said[0::3] == [f"Saving {name}…" for name in names]
    assert all(words.startswith("Saved ") for words in said[2::3])


async def test_help_names_every_action(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = str(help_text(*{action.group for action in ACTIONS}))
        assert all(action.help in text and action.shown in text for action in ACTIONS)
        await pilot.press("escape")
        assert app.screen is app.main


async def test_palette_offers_the_same_actions(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert titles == [f"{a.help} ({a.shown})" for a in ACTIONS if a.palette and a.id != "export"]
        await pilot.press("ctrl+p")
        await pilot.press(*"light")
        await pilot.pause()


def test_every_action_has_its_method_and_no_key_serves_two() -> None:
    assert all(hasattr(DashboardApp, f"action_{action.id}") for action in ACTIONS)
    keys = [key for action in ACTIONS for key in action.keys.split(",")]
    assert len(keys) == len(set(keys))


async def test_results_show_every_model_and_the_next_command(make_app: AppMaker) -> None:
    app = make_app("finished")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("r")
        assert isinstance(app.screen, ResultsScreen)
        table: Any = app.screen.query_one("#results-table")
        assert table.row_count == 9
        assert "flykd-console export" in str(app.screen.query_one("#results-next").render())


async def test_quit_detaches_and_leaves_the_run_alone(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("q")
    assert app.outcome is DashboardOutcome.DETACHED
    assert not list((app.directory.path / "control").iterdir())


@pytest.mark.parametrize(("state", "outcome"), [("finished", "finished"), ("failed", "failed"), ("stopped", "stopped")])
async def test_outcome_says_what_became_of_the_run(make_app: AppMaker, state: str, outcome: str) -> None:
    app = make_app(state)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("q")
    assert app.outcome == outcome


class OwnWorker:
    """A training process that this program has started, as far as the dashboard asks it."""

    def __init__(self) -> None:
        self.killed = 0

    def poll(self) -> int | None:
        return -9 if self.killed else None

    def kill(self) -> None:
        self.killed += 1


async def test_first_interrupt_orders_a_stop_the_second_an_end_at_once_and_the_third_kills(make_app: AppMaker) -> None:
    app, worker = make_app("running"), OwnWorker()
    app.worker = worker  # type: ignore[assignment]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+c")
        assert app.directory.order_file("stop").exists()
        assert not app.directory.order_file("abort").exists()
        await pilot.press("ctrl+c")
        assert app.directory.order_file("abort").exists()
        assert worker.killed == 0
        await pilot.press("ctrl+c")
        assert worker.killed == 1
        assert app.is_running


@pytest.mark.parametrize("host", ["", "elsewhere"])
async def test_interrupt_only_leaves_a_run_that_somebody_else_trains(make_app: AppMaker, host: str) -> None:
    app = make_app("running", pid=os.getppid())
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.state.started is not None
        app.state.started = msgspec.structs.replace(app.state.started, host=host)
        with held(app.directory):
            await pilot.press("ctrl+c")
    assert app.outcome is DashboardOutcome.DETACHED
    assert not list((app.directory.path / "control").iterdir())


async def test_toast_of_an_ordered_stop_goes_when_the_run_has_stopped(make_app: AppMaker) -> None:
    app = make_app("running")
    app.worker = OwnWorker()  # type: ignore[assignment]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+c")
        assert "A stop with a checkpoint is ordered" in notes(app)
        append(app.directory, ev.RunFinished(outcome="stopped", seconds=12.0))
        await settle(pilot)
        assert app.phase is Phase.STOPPED
        assert "is ordered" not in notes(app)


async def test_row_under_the_cursor_brings_out_its_curve(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        app.main.focus_panel("seeds")
        await pilot.pause()
        await pilot.press("down")
        await pilot.pause()
        auprc = chart(app, "validation")
        assert app.main.query_one(SeedsPanel).seed == 46
        assert auprc.spec is not None
        assert {curve.name: curve.faded for curve in auprc.spec.curves} == {"45": True, "46": False, "mean": False}


async def test_an_empty_chart_cannot_be_saved_and_says_so(make_app: AppMaker) -> None:
    app = make_app("starting")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("x")
        await app.workers.wait_for_complete()
        assert "nothing to save" in notes(app)
        assert not (app.directory.path / "charts").exists()


async def test_resizing_goes_through_every_arrangement(make_app: AppMaker) -> None:
    app = make_app("running")

    async def shown(pilot: Pilot[None], width: int, height: int) -> set[str | None]:
        await pilot.resize_terminal(width, height)
        await pilot.pause()
        return {p.id for p in app.main.query(".panel") if p.display}

    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert len(await shown(pilot, 200, 60)) == 9
        assert len(await shown(pilot, 120, 36)) == 7
        assert await shown(pilot, 80, 24) == {"weights", "losses"}
        assert await shown(pilot, 60, 18) == {"losses"}
        assert await shown(pilot, 50, 10) == set()
        assert app.main.query_one("#tiny").display
        assert len(await shown(pilot, 120, 36)) == 7


def test_picture_program_writes_an_svg(make_app: AppMaker, tmp_path: Path) -> None:
    import asyncio

    from flykd_console.dashboard.screenshot import take

    app = make_app("finished")
    svg = asyncio.run(take(app.directory, 100, 30, light=True))
    assert svg.startswith("<svg")
    assert "SEEDS" in svg


async def test_reading_line_is_the_same_epoch_on_every_chart(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("i", "left", "left")
        await pilot.pause()
        epoch = chart(app, "losses").cursor
        assert epoch is not None
        for name, head in (("weights", f"{epoch:.0f}:"), ("validation", f"{epoch:.0f}, eval 100:")):
            assert chart(app, name).cursor == epoch
            legend = "".join(text for text, _ in chart(app, name).rows(90, 20, True)[0])
            assert legend.startswith(head)
        await pilot.press("escape")
        await pilot.pause()
        assert [chart(app, name).cursor for name in ("losses", "weights", "validation")] == [None, None, None]


async def test_one_curve_is_brought_out_and_the_others_dimmed(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        seen = []
        for _ in range(5):
            await pilot.press("f")
            await pilot.pause()
            assert losses.spec is not None
            seen.append([curve.name for curve in losses.spec.curves if not curve.faded])
        assert seen[:4] == [["original"], ["pseudo on train"], ["pseudo on random"], ["total"]]
        assert len(seen[4]) == 4


async def test_zooming_out_undoes_zooming_in(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        losses = chart(app, "losses")
        await pilot.press("z", "z", "Z")
        assert losses.zoom is not None
        assert losses.zoom[1] - losses.zoom[0] == pytest.approx(100)
        await pilot.press("Z")
        assert losses.zoom is None


async def test_outliers_are_cut_off_said_and_shown_on_demand(make_app: AppMaker) -> None:
    app = make_app("running", stop_at=(1, "student", 120))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        for epoch in range(121, 131):
            value = 900.0 if epoch == 125 else None if epoch in (127, 128) else 0.3
            append(
                app.directory,
                ev.Epoch(
                    seed=46, stage="student", epoch=epoch, epochs=200, losses={"total": value}, lr=1e-3, seconds=0.02
                ),
            )
        await settle(pilot)
        losses = chart(app, "losses")
        await pilot.press("g", "g")
        rows = losses.rows(90, 20, True)
        text = "\n".join("".join(part for part, _ in row) for row in rows)
        assert "▴ 1 above" in text
        assert "× 2 not finite" in text
        await pilot.press("y")
        assert "above" not in "".join(part for row in losses.rows(90, 20, True) for part, _ in row)


@pytest.mark.parametrize("size", [(100, 30), (120, 36), (200, 60)])
async def test_no_title_is_cut_off_however_a_chart_is_looked_at(make_app: AppMaker, size: tuple[int, int]) -> None:
    app = make_app("running")
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("a", "b")
        for panel in app.main.query(ChartPanel):
            if panel.display:
                app.main.focus_panel(panel.id or "")
                await pilot.press("l", "z", "f")
        await settle(pilot)
        screen = [strip.text for strip in app.screen._compositor.render_strips()]
        tops = [screen[panel.region.y] for panel in app.main.query(ChartPanel) if panel.display]
        assert not any("…" in top for top in tops)
        assert all("zoom" in top for top in tops)


async def test_rates_take_the_place_of_weights_and_give_it_back(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        await pilot.press("a")
        await pilot.pause()
        shown = {p.id for p in app.main.query(".panel") if p.display}
        assert {"rate", "speed", "losses"} < shown
        assert "weights" not in shown
        speed = chart(app, "speed")
        assert speed.spec is not None
        assert speed.spec.curves[0].raw is not None
        assert app.main.focused_panel == "speed"
        await pilot.press("a")
        await pilot.pause()
        assert {p.id for p in app.main.query(".panel") if p.display} == shown - {"rate", "speed"} | {"weights"}
        await pilot.resize_terminal(80, 24)
        await pilot.press("a")
        await pilot.pause()
        assert {p.id for p in app.main.query(".panel") if p.display} == {"rate", "speed"}
        await pilot.resize_terminal(200, 60)
        await pilot.press("a")
        assert "already" in notes(app)


def seeds_shown(app: DashboardApp) -> list[str]:
    table = app.main.query_one(SeedsPanel)
    return [str(table.get_row_at(i)[0]).strip() for i in range(table.row_count)]


async def test_table_sorts_by_key_and_by_click_and_keeps_the_row(make_app: AppMaker) -> None:
    app = make_app("finished")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        table = app.main.query_one(SeedsPanel)
        app.main.focus_panel("seeds")
        await pilot.press("down")
        assert table.seed == 46
        await pilot.press("n", "n")
        await pilot.pause()
        assert table.sort_key == ("model", "teacher")
        assert seeds_shown(app) == ["45", "47", "46", "mean", "std"]
        assert table.seed == 46
        await pilot.press("N")
        await pilot.pause()
        assert seeds_shown(app) == ["46", "47", "45", "mean", "std"]
        await pilot.click("#seeds", offset=(3, 1))
        await pilot.pause()
        assert table.sort_key == ("seed", "")
        assert seeds_shown(app) == ["45", "46", "47", "mean", "std"]
        await pilot.click("#seeds", offset=(3, 1))
        await pilot.pause()
        assert seeds_shown(app) == ["47", "46", "45", "mean", "std"]


async def test_every_row_has_its_curve(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        table = app.main.query_one(SeedsPanel)
        curves = [str(table.get_cell(seed, "spark")).strip() for seed in ("45", "46", "47")]
        assert all(any(0x2800 < ord(sign) < 0x2900 for sign in curve) for curve in curves[:2])
        assert len(curves[0]) > len(curves[1])
        assert curves[2] == ""


async def test_log_shows_a_level_and_what_is_worse(make_app: AppMaker) -> None:
    app = make_app("running", extra_log=(("warning", "the GPU is hot"), ("error", "the GPU burns")))
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        view, panel = app.main.query_one(LogView), app.main.query_one(LogPanel)
        everything, seen = view.matched, []
        for _ in range(3):
            await pilot.press("v")
            await pilot.pause()
            seen.append((view.matched, str(panel.border_title)))
        assert [count for count, _ in seen] == [2, 1, everything]
        assert "warnings and errors only" in seen[0][1]
        assert "errors only" in seen[1][1]


@pytest.mark.parametrize(("sign", "shown"), [("√", "✔"), ("✗", "✘")])
def test_checks_of_the_export_keep_their_columns_when_they_wrap(sign: str, shown: str) -> None:
    from io import StringIO

    from rich.console import Console

    from flykd_console.dashboard.screens.export import check_line

    console = Console(file=StringIO(), width=50)
    console.print(check_line(f"  {sign} graphs         inputs and outputs of scoring_head.onnx and ranking_head.onnx"))
    file = console.file
    assert isinstance(file, StringIO)
    first, second = file.getvalue().splitlines()[:2]
    assert first.startswith(f"{shown} graphs ")
    assert second.startswith(" " * first.index("inputs"))
