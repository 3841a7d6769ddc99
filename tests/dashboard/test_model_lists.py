"""Screens of runs that have other models than teacher, baseline and student, or another metric."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import DataTable

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.dashboard.widgets.seeds import SeedsPanel
from tests.dashboard.conftest import AppMaker, settle
from tests.support.event_log import FOUR_STUDENTS, LogSpec, write_run

NAMES = ["teacher", "baseline", "student", "tiny", "labels-only", "deep"]


def validation(app: DashboardApp) -> ChartPanel:
    return app.main.query_one("#validation", ChartPanel)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 36), (160, 45), (200, 60)])
async def test_four_students_are_shown_or_said_to_be_left_out(make_app: AppMaker, size: tuple[int, int]) -> None:
    app = make_app("running", models=FOUR_STUDENTS)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.main.focus_panel("seeds")
        await settle(pilot)
        table = app.main.query_one(SeedsPanel)
        shown = {str(key.value) for key in table.columns}
        said = str(table.border_subtitle)
        assert "model student" in shown
        for name in NAMES:
            assert f"model {name}" in shown or name in said


async def test_the_key_goes_through_every_model_of_the_list(make_app: AppMaker) -> None:
    app = make_app("running", models=FOUR_STUDENTS)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        seen = []
        for _ in NAMES:
            await pilot.press("m")
            seen.append(validation(app).model)
        assert seen == NAMES
        await pilot.press("m")
        assert validation(app).model is None


async def test_a_model_that_the_next_run_lacks_is_forgotten(make_app: AppMaker, tmp_path: Path) -> None:
    app = make_app("running", models=FOUR_STUDENTS)
    other = write_run(tmp_path / "runs", LogSpec(epochs=40, seeds=(45,), state="finished"), "other-20260921-101500")
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press(*("m" * len(NAMES)))
        assert validation(app).model == "deep"
        app.show_run(other)
        await settle(pilot)
        assert "student" in str(validation(app).border_title)
        await pilot.press("m")
        assert validation(app).model == "teacher"


async def test_results_list_every_student(make_app: AppMaker) -> None:
    app = make_app("finished", models=FOUR_STUDENTS, seeds=(45,))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press("r")
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        labels = [str(table.get_row_at(place)[1]) for place in range(table.row_count)]
        assert labels == ["teacher", "baseline", "flykd", "tiny", "labels-only", "deep"]


@pytest.mark.parametrize("size", [(60, 20), (120, 36)])
async def test_a_run_without_a_baseline_is_shown_without_gains(make_app: AppMaker, size: tuple[int, int]) -> None:
    app = make_app("finished", chosen=("teacher", "student"))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.main.focus_panel("seeds")
        await settle(pilot)
        table = app.main.query_one(SeedsPanel)
        assert not [key for key in table.columns if str(key.value).startswith(("points", "percent"))]
        assert str(table.border_subtitle or "") == ""
        await pilot.press("r")
        await pilot.pause()
        assert "gain" not in str(app.screen.query_one("#results-summary").render())
        heads = [str(column.label) for column in app.screen.query_one(DataTable).columns.values()]
        times = ["time"] if size[0] > 60 else []
        assert heads == ["seed", "model", "macro", "contra", "indic", "epochs", *times]


async def test_a_run_without_a_teacher_is_shown(make_app: AppMaker) -> None:
    app = make_app("running", chosen=("baseline", "student"), distill={"sources": ["original"]})
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        picture = app.export_screenshot()
        assert "teacher" not in picture
        await pilot.press("m")
        assert validation(app).model == "baseline"


async def test_another_metric_has_its_name_everywhere(make_app: AppMaker) -> None:
    app = make_app("finished", headline="macro_mrr")
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert str(validation(app).border_title).startswith("MRR BY SEED")
        assert validation(app).plain_title.startswith("Validation MRR by seed")
        title = str(app.main.query_one(SeedsPanel).border_title)
        assert "test MRR, %, by relation AUPRC" in title
        await pilot.press("r")
        await pilot.pause()
        assert "test MRR, %; by relation AUPRC" in str(app.screen.query_one("#results").border_title)
        await pilot.press("escape")
        await pilot.resize_terminal(60, 20)
        await settle(pilot)
        assert " MRR " in str(app.main.query_one("#tabs").render())


async def test_whose_schedule_is_told_where_several_students_have_one(make_app: AppMaker) -> None:
    app = make_app("running", models=FOUR_STUDENTS, stop_at=(0, "tiny", 50))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "tiny" in str(app.main.query_one("#weights", ChartPanel).border_title)
    app = make_app("running", stop_at=(0, "student", 50), name="one")
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "student" not in str(app.main.query_one("#weights", ChartPanel).border_title)
