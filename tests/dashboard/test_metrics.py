"""The two charts of validation: the run's metric and AP, each with scorers without training as levels."""

from __future__ import annotations

import csv
import io

import pytest

from flykd_console.dashboard.picture import values_csv
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.dashboard.widgets.seeds import SeedsPanel
from tests.dashboard.conftest import AppMaker, settle

HEURISTICS = ("neighbours", "popularity", "random")


def text_of(chart: ChartPanel) -> str:
    width, height = chart.size
    return "\n".join("".join(words for words, _ in row) for row in chart.rows(width, height, True))


@pytest.mark.parametrize(("size", "tab"), [((60, 20), "3"), ((80, 24), "2"), ((120, 36), ""), ((200, 60), "")])
async def test_both_are_beside_each_other_at_every_size(make_app: AppMaker, size: tuple[int, int], tab: str) -> None:
    app = make_app("running", heuristics=HEURISTICS)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in tab:
            await pilot.press(key)
        await settle(pilot)
        first, second = app.main.metrics
        assert (first.display, second.display) == (True, True)
        assert first.region.y == second.region.y
        assert first.region.right == second.region.x
        assert second.region.right <= size[0]
        assert abs(first.region.width - second.region.width) <= 1
        assert "AUPRC BY SEED" in str(first.border_title)
        assert "AP BY SEED" in str(second.border_title)
        for chart in (first, second):
            assert "neighb" in text_of(chart)
            # In a narrow chart its name and a curve may take the whole line.
            assert "╌" in text_of(chart) or chart.size.width < 40


async def test_levels_are_of_the_metric_and_of_the_seed_that_is_brought_out(make_app: AppMaker) -> None:
    app = make_app("running", heuristics=HEURISTICS, seeds=(45, 46), stop_at=(1, "student", 60), epochs=100)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        levels = [dict(chart.spec.levels) for chart in app.main.metrics if chart.spec]
        assert levels[0] == pytest.approx({"neighbours": 78.5, "popularity": 50.5, "random": 50.5})
        assert levels[1] == pytest.approx({"neighbours": 45.5, "popularity": 15.5, "random": 3.5})
        app.main.focus_panel("seeds")
        await settle(pilot)
        assert app.main.query_one(SeedsPanel).seed == 45
        assert [dict(chart.spec.levels)["neighbours"] for chart in app.main.metrics if chart.spec] == pytest.approx(
            [78.0, 45.0]
        )


async def test_where_ap_is_the_headline_it_stays_in_the_second_chart(make_app: AppMaker) -> None:
    app = make_app("running", headline="macro_ap")
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        titles = [str(chart.border_title) for chart in app.main.metrics]
        assert ["VALIDATION AUPRC" in titles[0], "VALIDATION AP" in titles[1]] == [True, True]
        first, second = (chart.spec for chart in app.main.metrics)
        assert first is not None
        assert second is not None
        assert first.curves[0].y[-1] > 60.0 > second.curves[0].y[-1]


async def test_scorers_without_training_are_no_models_to_look_at(make_app: AppMaker) -> None:
    app = make_app("running", heuristics=HEURISTICS)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        seen = []
        for _ in range(4):
            await pilot.press("m")
            seen.append([chart.model for chart in app.main.metrics])
        assert seen == [[name, name] for name in ("teacher", "baseline", "student", None)]


async def test_saved_values_hold_the_levels(make_app: AppMaker) -> None:
    app = make_app("running", heuristics=("popularity",), seeds=(45,), stop_at=(0, "student", 60), epochs=100)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        spec = app.main.metrics[1].spec
        assert spec is not None
        rows = [row for row in csv.DictReader(io.StringIO(values_csv(spec))) if row["curve"] == "popularity"]
        assert [float(row["value"]) for row in rows] == pytest.approx([15.0, 15.0])
        assert [float(row["epoch"]) for row in rows] == [spec.x_low, spec.x_high]
