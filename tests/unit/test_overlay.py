"""Means of several runs over each other: over seeds that went the whole way, as far as all of them reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flykd_console.dashboard.charts import View
from flykd_console.dashboard.overlay import (
    SIGNS,
    OverlaidRun,
    Overlay,
    labels_of,
    mean_of,
    rows,
    smoothed,
    stages_in_mean,
    style_of,
)
from flykd_console.dashboard.palette import DARK_LOOK, LIGHT_LOOK
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.state.series import Series
from tests.support.event_log import LogSpec, write_run


def series(*points: tuple[float, float]) -> Series:
    made = Series()
    for x, y in points:
        made.append(x, y)
    return made


def test_mean_reaches_as_far_as_the_shortest_curve() -> None:
    x, mean, deviation = mean_of([series((1, 1.0), (2, 2.0), (3, 3.0)), series((1, 3.0), (2, 4.0))])
    np.testing.assert_allclose(x, [1, 2])
    np.testing.assert_allclose(mean, [2, 3])
    np.testing.assert_allclose(deviation, [np.sqrt(2), np.sqrt(2)])


def test_mean_reads_between_the_points_of_a_thinned_curve() -> None:
    x, mean, _ = mean_of([series((0, 0.0), (4, 4.0)), series((0, 0.0), (2, 0.0), (4, 0.0))])
    np.testing.assert_allclose(x, [0, 2, 4])
    np.testing.assert_allclose(mean, [0, 1, 2])


def test_one_curve_has_no_deviation_and_none_has_no_points() -> None:
    _, mean, deviation = mean_of([series((1, 5.0))])
    assert mean.tolist() == [5.0]
    assert np.isnan(deviation).all()
    assert len(mean_of([Series()])[0]) == 0


def read(run: RunDirectory) -> OverlaidRun:
    overlaid = OverlaidRun(run, "run")
    while overlaid.read(1.0):
        pass
    return overlaid


def test_seed_in_work_joins_no_mean_of_finished_ones(tmp_path: Path) -> None:
    run = read(write_run(tmp_path, LogSpec(state="running", epochs=60, seeds=(45, 46, 47))))
    assert [stage.seed for stage in stages_in_mean(run.state, "student")] == [45]
    assert [stage.seed for stage in stages_in_mean(run.state, "teacher")] == [45, 46]


def test_charts_hold_one_curve_a_run_with_sign_and_colour_of_its_own(tmp_path: Path) -> None:
    runs = [read(write_run(tmp_path, LogSpec(state="finished", epochs=60, seeds=(45, 46)), f"r{i}")) for i in range(3)]
    overlay = Overlay(runs)
    for spec in (overlay.validation(View(), DARK_LOOK), overlay.losses(View(smoothing=0.9), DARK_LOOK)):
        assert len(spec.curves) == 3
        assert len({(curve.colour, curve.marker) for curve in spec.curves}) == 3
        assert len({curve.marker for curve in spec.curves}) == 3
        assert all("(2)" in curve.name for curve in spec.curves)
    losses = overlay.losses(View(smoothing=0.9), DARK_LOOK).curves[0]
    assert losses.raw is not None
    assert np.abs(np.diff(losses.y, 2)).mean() < np.abs(np.diff(losses.raw, 2)).mean()


def test_focused_run_is_drawn_last_and_the_others_fade(tmp_path: Path) -> None:
    runs = [read(write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45,)), f"r{i}")) for i in range(2)]
    spec = Overlay(runs, focus=0).validation(View(), DARK_LOOK)
    assert [curve.faded for curve in spec.curves] == [True, False]
    assert spec.curves[-1].marker == style_of(0, True).sign


def test_next_model_goes_round(tmp_path: Path) -> None:
    overlay = Overlay([read(write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45,))))])
    seen = []
    for _ in range(3):
        overlay.next_model()
        seen.append(overlay.model)
        assert overlay.validation(View(), DARK_LOOK).curves
    assert seen == ["teacher", "baseline", "student"]


def test_band_needs_two_seeds(tmp_path: Path) -> None:
    one = Overlay([read(write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45,)), "one"))])
    two = Overlay([read(write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45, 46)), "two"))])
    assert one.validation(View(band=True), DARK_LOOK).note == "needs two seeds"
    assert two.validation(View(band=True), DARK_LOOK).band is not None


def test_table_tells_scores_and_state(tmp_path: Path) -> None:
    finished = read(write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45, 46)), "a"))
    running = read(write_run(tmp_path, LogSpec(state="running", epochs=40, seeds=(45, 46)), "b"))
    first, second = rows(Overlay([finished, running]))
    assert (first.seeds, first.state) == ("2/2", "finished")
    assert "±" in first.scores["student"]
    assert first.gain.startswith("+")
    assert second.state.startswith("46 student")


def test_run_that_has_vanished_is_told(tmp_path: Path) -> None:
    gone = OverlaidRun(RunDirectory(tmp_path / "gone"), "gone")
    assert not gone.read(0.1)
    overlay = Overlay([gone])
    assert rows(overlay)[0].state == "gone"
    assert "None of these runs" in overlay.validation(View(), DARK_LOOK).empty


def test_run_colours_are_not_those_of_seeds() -> None:
    for dark, look in ((True, DARK_LOOK), (False, LIGHT_LOOK)):
        colours = {style_of(i, dark).colour for i in range(8)}
        assert len(colours) == 8
        assert not colours & set(look.curves)


def test_sixteen_runs_have_signs_or_colours_of_their_own() -> None:
    assert len({style_of(i, True) for i in range(16)}) == 16
    assert len(set(SIGNS)) == len(SIGNS)


def test_labels_leave_the_date_out_where_names_differ() -> None:
    runs = [RunDirectory(Path(f"runs/{name}-20260101-00000{i}")) for i, name in enumerate(("a", "b", "b"))]
    assert labels_of(runs) == ["a", "b-20260101-000001", "b-20260101-000002"]


def test_a_value_that_is_not_finite_is_a_gap_and_nothing_more() -> None:
    out = smoothed(np.array([1.0, np.nan, 1.0, 1.0]), 0.9)
    assert np.isnan(out).tolist() == [False, True, False, False]
    np.testing.assert_allclose(out[2:], 1.0)


@pytest.mark.parametrize("weight", [0.9, 0.98])
def test_smoothing_of_a_constant_is_that_constant(weight: float) -> None:
    np.testing.assert_allclose(smoothed(np.full(50, 3.0), weight), 3.0)
