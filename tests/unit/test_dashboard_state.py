"""The dashboard without a screen: folding events, progress, curves, charts, words and arrangements."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flykd_console.dashboard import charts
from flykd_console.dashboard.arrangement import PANELS, arrange, ring
from flykd_console.dashboard.canvas import EMPTY, Axis, Canvas, decimate, linear_ticks, log_ticks, tick_words
from flykd_console.dashboard.charts import View
from flykd_console.dashboard.drawing import ChartSpec, Curve, draw
from flykd_console.dashboard.health import Phase
from flykd_console.dashboard.palette import DARK_LOOK, LIGHT_LOOK
from flykd_console.dashboard.scores import model_score, seed_words
from flykd_console.dashboard.table import gain_sentence, seed_rows, summary
from flykd_console.dashboard.widgets.bars import progress_line
from flykd_console.runs import events as ev
from flykd_console.runs.log import EventFollower
from flykd_console.runs.state.progress import SteadyProgress, progress
from flykd_console.runs.state.run import LOG_LINES, RunState, Status
from flykd_console.runs.state.series import LIMIT, Series, Smoothed
from flykd_console.words import grouped, per_cent, rate, signed, size, span
from tests.support.event_log import LogSpec, events, hours_of_events, write_run


def folded(**settings: object) -> RunState:
    spec = LogSpec(**{"epochs": 200, "seeds": (45, 46), **settings})  # type: ignore[arg-type]
    return RunState().fold(events(spec))


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


# The fold.


def test_running_run_is_where_its_last_epoch_was() -> None:
    state = folded(stop_at=(1, "student", 120))
    assert state.current == (46, "student")
    assert state.stage is not None
    assert (state.stage.epoch, state.stage.epochs, state.stage.status) == (120, 200, Status.RUNNING)
    assert set(state.stage.losses) == {"original", "pseudo_train", "pseudo_random", "total"}
    assert len(state.stage.losses["total"]) == 120
    assert list(state.stage.validation.x) == [20, 40, 60, 80, 100, 120]
    assert state.its_per_second == pytest.approx(1 / 0.025, rel=0.05)
    assert seed_words(state, 45) == "done"
    assert seed_words(state, 46) == "student 60 %"


def test_finished_run_has_test_scores_of_every_model() -> None:
    state = folded(state="finished")
    assert state.finished
    assert all(stage.over for stage in state.stages.values())
    score = model_score(state, 45, "student")
    assert score is not None
    assert score.on_test
    assert score.value == pytest.approx(0.7993)


def test_validation_stands_in_until_the_test_and_gains_compare_like_with_like() -> None:
    state = folded(stop_at=(0, "student", 100))
    row = seed_rows(state)[0]
    assert row.scores["baseline"].on_test
    assert not row.scores["student"].on_test
    won = row.gains["student"]
    assert not won.on_test
    student, baseline = (state.stages[45, model].validation for model in ("student", "baseline"))
    # The baseline is finished: what it had at the student's epoch is what the student is held against.
    assert student.x[-1] < baseline.x[-1]
    same = baseline.at(student.x[-1])
    assert same is not None
    assert same != baseline.last
    assert won.gain.points == pytest.approx(100 * (student.last - same))


def test_a_rival_that_was_not_measured_at_the_epoch_gives_no_gain() -> None:
    state = folded(stop_at=(0, "student", 100))
    baseline = state.stages[45, "baseline"].validation
    baseline.cut_after(0.0)
    assert "student" not in seed_rows(state)[0].gains


def test_seeds_with_heuristics_come_to_an_end_like_others() -> None:
    heuristics = ("neighbours", "random")
    state = folded(state="finished", epochs=40, heuristics=heuristics)
    assert {seed_words(state, seed) for seed in state.seeds} == {"done"}
    assert progress(state).remaining == 0.0
    everything = ("pretrain-teacher", "pretrain-student", "teacher", "baseline", "student")
    reused = folded(state="finished", epochs=40, heuristics=heuristics, reuse=everything)
    assert {seed_words(reused, seed) for seed in reused.seeds} == {"reused"}
    going = folded(state="running", epochs=40, heuristics=heuristics, stop_at=(1, "teacher", 20))
    assert [seed_words(going, seed) for seed in going.seeds] == ["done", "teacher 50 %"]


def test_a_seed_whose_heuristics_alone_are_measured_has_begun() -> None:
    begun = []
    for event in events(LogSpec(state="finished", epochs=4, heuristics=("random",))):
        begun.append(event)
        if isinstance(event, ev.Evaluation):
            break
    assert seed_words(RunState().fold(begun), 45) == "begun"


def test_means_come_from_test_scores_alone() -> None:
    state = folded(state="finished")
    spread = summary(state)["student"].gain_points
    assert spread is not None
    assert spread.mean == pytest.approx(((79.93 - 78.64) + (73.22 - 71.97)) / 2)
    assert "+1.27 ± 0.03 points" in gain_sentence(state)


def test_resume_forgets_the_epochs_that_are_trained_again() -> None:
    state = folded(stop_at=(0, "student", 150))
    started, stage = state.started, state.stage
    assert started is not None
    assert stage is not None
    state.apply(
        ev.RunStarted(**{name: getattr(started, name) for name in started.__struct_fields__} | {"resumed": True})
    )
    assert stage.status is Status.INTERRUPTED
    state.apply(ev.StageStarted(seed=45, stage="student", epochs=200, first_epoch=100, dim=80, parameters=1))
    assert stage.epoch == 100
    assert stage.losses["total"].x[-1] == 100
    assert stage.validation.x[-1] == 100
    state.apply(ev.Epoch(seed=45, stage="student", epoch=101, epochs=200, losses={"total": 0.5}, lr=1e-3, seconds=0.02))
    assert list(stage.losses["total"].x[-2:]) == [100, 101]
    assert state.resumes == 1


def test_loss_that_is_not_finite_is_a_gap() -> None:
    state = folded(not_finite=(50,), stop_at=(0, "student", 60))
    assert state.stage is not None
    series = state.stage.losses["total"]
    assert math.isnan(series.y[49])
    assert math.isfinite(series.y[50])


def test_pauses_cost_nothing() -> None:
    state = folded(stop_at=(0, "teacher", 100))
    assert state.last_t is not None
    t, before = state.last_t, state.stages[45, "teacher"].wall
    state.apply(ev.Control(t=t + 0.1, action="pause", state="paused"))
    assert state.control == "paused"
    state.apply(ev.Control(t=t + 5_000, action="resume", state="running"))
    state.apply(
        ev.Epoch(t=t + 5_000.2, seed=45, stage="teacher", epoch=101, epochs=200, losses={}, lr=1.0, seconds=0.2)
    )
    assert state.stages[45, "teacher"].wall == pytest.approx(before + 0.3, abs=1e-6)


def test_user_names_and_unknown_stages_do_not_break_the_fold() -> None:
    state = RunState()
    state.apply(
        ev.Evaluation(seed=1, stage="other", epoch=1, split="odd", macro_auprc=0.5, macro_auroc=0.5, relations={})
    )
    state.apply(ev.Log(level="shout", message="two\nlines \x1b[31mred\x1b[0m"))
    assert [(line.level, line.message) for line in state.log] == [("info", "two"), ("info", "lines red")]
    assert state.seeds == [1]


def test_fold_of_a_log_file_equals_fold_of_its_events(tmp_path: Path) -> None:
    spec = LogSpec(epochs=100, seeds=(45,), state="finished")
    run = write_run(tmp_path, spec)
    follower, state = EventFollower(run.events), RunState()
    while batch := follower.read():
        state.fold(batch)
    direct = RunState().fold(events(spec))
    assert state.version == direct.version
    assert state.stages[45, "student"].losses["total"].y == direct.stages[45, "student"].losses["total"].y


# Progress.


def true_remaining(**settings: object) -> tuple[float, RunState]:
    """What is left by a log's own clock, and the state where the log was cut."""
    cut, whole = folded(**settings), folded(**{**settings, "state": "finished"})
    assert whole.last_t is not None
    assert cut.last_t is not None
    return whole.last_t - cut.last_t, cut


@pytest.mark.parametrize("stop_at", [(0, "student", 100), (1, "teacher", 20), (1, "student", 190)])
def test_eta_agrees_with_what_the_run_then_takes(stop_at: tuple[int, str, int]) -> None:
    left, state = true_remaining(stop_at=stop_at, seeds=(45, 46, 47), epochs=400)
    now = progress(state)
    assert not now.rough
    assert now.remaining == pytest.approx(left, rel=0.05)


def test_eta_is_unknown_first_then_rough_then_measured() -> None:
    assert progress(folded(state="starting")).remaining is None
    assert progress(folded(stop_at=(0, "pretrain-teacher", 1))).remaining is None
    assert progress(folded(stop_at=(0, "teacher", 50))).rough
    assert progress(folded(stop_at=(0, "baseline", 50))).rough
    assert not progress(folded(stop_at=(0, "student", 50))).rough


@pytest.mark.parametrize("stop_at", [(0, "pretrain-teacher", 20), (0, "teacher", 100), (0, "baseline", 20)])
def test_eta_of_stages_never_seen_follows_from_those_that_were(stop_at: tuple[int, str, int]) -> None:
    left, state = true_remaining(stop_at=stop_at, seeds=(45, 46, 47), epochs=400)
    now = progress(state)
    assert now.rough
    assert now.remaining is not None
    assert left / 3 < now.remaining < 3 * left


def slow_start(first: float, setup: float) -> RunState:
    """A run whose first stage set up for long and whose first epochs were slow."""
    state = folded(stop_at=(0, "teacher", 0), seeds=(45,))
    assert state.last_t is not None
    t = state.last_t + setup
    for epoch in range(1, 21):
        seconds = first if epoch <= 2 else 0.1
        t += seconds
        state.apply(
            ev.Epoch(t=t, seed=45, stage="teacher", epoch=epoch, epochs=200, losses={}, lr=1e-3, seconds=seconds)
        )
    return state


def test_setting_up_and_slow_first_epochs_are_not_multiplied_by_the_epochs() -> None:
    quick, slow = progress(slow_start(0.1, 0.0)).remaining, progress(slow_start(4.0, 30.0)).remaining
    assert quick is not None
    assert slow == pytest.approx(quick, rel=0.05)


def test_bar_does_not_step_back_when_a_resume_trains_epochs_again() -> None:
    _, state = true_remaining(stop_at=(1, "baseline", 150))
    steady = SteadyProgress()
    before = steady(state).fraction
    assert state.started is not None
    fields = {name: getattr(state.started, name) for name in state.started.__struct_fields__}
    state.apply(ev.RunStarted(**fields | {"resumed": True}))
    state.apply(ev.StageStarted(seed=46, stage="baseline", epochs=200, first_epoch=100, dim=80, parameters=1))
    assert progress(state).fraction == pytest.approx(before, abs=1e-6)
    assert steady(state).fraction >= before
    line = str(progress_line(state, steady(state), Phase.RUNNING, 120))
    assert "┅" in line
    assert "50 %" in line


def test_added_epochs_are_more_work_and_the_bar_says_so() -> None:
    state, steady = folded(stop_at=(0, "student", 180), seeds=(45,)), SteadyProgress()
    before = steady(state).fraction
    state.stages[45, "student"].epochs = 4_000
    assert steady(state).fraction < before


def test_eta_after_a_resume_knows_what_earlier_sessions_measured() -> None:
    left, state = true_remaining(stop_at=(1, "baseline", 100), seeds=(45, 46, 47))
    started = state.started
    assert started is not None
    assert state.last_t is not None
    later = state.last_t + 86_400
    fields = {name: getattr(started, name) for name in started.__struct_fields__}
    state.apply(ev.RunStarted(**fields | {"resumed": True, "t": later}))
    state.apply(
        ev.StageStarted(t=later + 1, seed=46, stage="baseline", epochs=200, first_epoch=100, dim=80, parameters=1)
    )
    assert progress(state).remaining == pytest.approx(left, rel=0.1)


def test_reused_stages_cost_nothing() -> None:
    left, state = true_remaining(reuse=("pretrain-teacher", "teacher"), stop_at=(0, "student", 100))
    now = progress(state)
    assert now.remaining == pytest.approx(left, rel=0.07)
    assert state.stages[45, "teacher"].status is Status.REUSED


def test_finished_run_has_nothing_to_go() -> None:
    now = progress(folded(state="finished"))
    assert (now.fraction, now.remaining) == (1.0, 0.0)


# Series.


def test_long_series_stays_bounded_and_keeps_its_extremes() -> None:
    series = Series()
    for i in range(100_000):
        series.append(i, 1000.0 if i == 33_333 else -1000.0 if i == 66_666 else math.sin(i))
    assert len(series) <= LIMIT
    assert (min(series.y), max(series.y)) == (-1000.0, 1000.0)
    assert list(series.x) == sorted(series.x)
    assert series.x[-1] == 99_999


def test_gap_survives_thinning() -> None:
    series = Series()
    for i in range(LIMIT + 1):
        series.append(i, math.nan if i == 100 else float(i))
    assert any(math.isnan(y) for y in series.y)
    assert len(series) < LIMIT


def test_smoothing_grows_with_the_series_as_if_computed_at_once() -> None:
    series = Series()
    grown = Smoothed(series, 0.9)
    for i in range(50):
        series.append(i, None if i == 20 else float(i % 7))
        assert len(grown.y) == i + 1
    at_once = Smoothed(series, 0.9).y
    assert np.allclose(np.array(grown.y), np.array(at_once), equal_nan=True)
    assert math.isnan(at_once[20])
    assert at_once[0] == 0.0
    series.cut_after(10)
    assert len(grown.y) == 11


# Drawing.


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=3000), st.integers(1, 80))
def test_decimation_is_bounded_and_keeps_extremes(values: list[float], columns: int) -> None:
    y = np.array(values)
    x = np.arange(len(y), dtype=np.float64)
    out_x, out_y = decimate(x, y, 0.0, float(max(1, len(y) - 1)), columns)
    assert len(out_x) == len(out_y) <= 2 * columns + 4
    assert np.all(np.diff(out_x) >= 0)
    if np.isfinite(y).any():
        assert np.nanmin(out_y) == np.nanmin(y)
        assert np.nanmax(out_y) == np.nanmax(y)


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5), st.integers(2, 8))
def test_linear_ticks_are_few_and_inside(low: float, width: float, count: int) -> None:
    ticks = linear_ticks(low, low + width, count)
    assert len(ticks) <= count + 1
    assert all(low - 1e-6 * width <= t <= low + width * (1 + 1e-6) for t in ticks)
    assert len(set(tick_words(ticks))) == len(ticks)


@pytest.mark.parametrize("ticks", [linear_ticks, log_ticks])
@pytest.mark.parametrize("size", [1e-26, 1e-12, 1e-3, 1.0, 1e9])
def test_ticks_of_any_magnitude_are_apart_and_inside(ticks: Callable[..., list[float]], size: float) -> None:
    found = ticks(2.07 * size, 2.15 * size, 3)
    assert len(set(found)) == len(found) >= 2
    assert all(2.07 * size <= tick <= 2.15 * size for tick in found)


def test_log_ticks_are_round_above_and_below_one() -> None:
    assert log_ticks(1e-3, 10.0, 6) == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert tick_words(log_ticks(0.25, 0.72, 5)) == ["0.3", "0.4", "0.5", "0.6", "0.7"]


def test_log_axis_places_values_below_one_and_leaves_zero_out() -> None:
    position = Axis(0.01, 1.0, log=True).position(floats(0.01, 0.1, 1.0, 0.0, -1.0))
    assert position[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert np.isnan(position[3:]).all()


def test_gap_breaks_the_line_and_a_lone_point_is_a_dot() -> None:
    canvas = Canvas(10, 3)
    canvas.line(floats(0.0, 0.2, 0.5, 0.8, 1.0), floats(0.5, math.nan, 0.5, math.nan, 0.5), 0)
    assert canvas.dots.sum() == 3
    canvas.line(floats(0.0, 1.0), floats(0.5, 0.5), 1)
    assert canvas.dots.any(axis=0).all()


def test_curve_out_of_sight_draws_nothing_and_breaks_nothing() -> None:
    canvas = Canvas(10, 3)
    canvas.line(floats(0.0, 1.0), floats(50.0, 1e300), 0)
    assert (canvas.owner == EMPTY).all()


def drawn(spec: ChartSpec, width: int = 60, height: int = 14) -> list[str]:
    rows = draw(spec, width, height, DARK_LOOK)
    text = ["".join(part for part, _ in row) for row in rows]
    assert len(text) == height
    assert all(len(line) == width for line in text)
    return text


@given(
    st.integers(0, 70), st.integers(0, 30),
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=40), st.booleans(),
)  # fmt: skip
@example(20, 3, [2.106445509181905e-26], True)
def test_any_values_at_any_size_fill_exactly_the_size(width: int, height: int, values: list[float], log: bool) -> None:
    y = np.array(values, dtype=np.float64)
    y[~np.isfinite(y)] = np.nan
    curve = Curve("a", "a", np.arange(len(y), dtype=np.float64), y, "#56b4e9")
    spec = ChartSpec(curves=(curve,), x_high=40.0, log_y=log, empty="nothing here", cursor=3.0, now=5.0, clip=True)
    drawn(spec, width, height)


def test_curves_are_told_apart_without_colour() -> None:
    state = folded(state="finished", seeds=(45, 46, 47))
    text = drawn(charts.validation(state, View(), DARK_LOOK))
    body = "\n".join(text[1:])
    assert all(str(seed) in body for seed in (45, 46, 47))


def test_outliers_are_cut_off_and_marked() -> None:
    x = np.arange(200, dtype=np.float64)
    y = 0.5 + 0.01 * np.sin(x)
    y[50] = 100.0
    curve = Curve("loss", "loss", x, y, "#56b4e9")
    assert "▴" in "".join(drawn(ChartSpec(curves=(curve,), x_high=200.0, clip=True)))
    assert "▴" not in "".join(drawn(ChartSpec(curves=(curve,), x_high=200.0)))


def test_weights_show_the_whole_schedule_before_and_after_now() -> None:
    state = folded(stop_at=(0, "student", 100))
    spec = charts.weights(state, View(), DARK_LOOK)
    assert (spec.x_high, spec.now) == (200.0, 100.0)
    assert [len(curve.x) for curve in spec.curves] == [101, 101, 101]
    assert any("now" in line for line in drawn(spec))


def test_weights_say_when_the_curriculum_begins() -> None:
    spec = charts.weights(folded(stop_at=(0, "teacher", 50)), View(), DARK_LOOK)
    assert "begins with the student" in " ".join(drawn(spec))
    earlier = charts.weights(folded(stop_at=(1, "teacher", 50)), View(), DARK_LOOK)
    assert earlier.curves
    assert earlier.now is None


def test_teacher_has_one_loss_curve_and_the_student_four() -> None:
    one = charts.losses(folded(stop_at=(0, "teacher", 50)), View(), DARK_LOOK)
    four = charts.losses(folded(stop_at=(0, "student", 50)), View(smoothing=0.9), DARK_LOOK)
    assert [curve.name for curve in one.curves] == ["loss"]
    assert [curve.label for curve in four.curves] == ["orig", "train", "rand", "total"]
    assert all(curve.raw is not None for curve in four.curves)


def test_band_needs_two_seeds_and_is_mean_and_sample_deviation() -> None:
    state = folded(state="finished")
    spec = charts.validation(state, View(band=True), DARK_LOOK)
    assert spec.band is not None
    x, low, high = spec.band
    values = [100 * state.stages[seed, "student"].validation.y[0] for seed in (45, 46)]
    assert x[0] == 20
    assert (low[0] + high[0]) / 2 == pytest.approx(np.mean(values))
    assert (high[0] - low[0]) / 2 == pytest.approx(np.std(values, ddof=1))
    assert charts.validation(folded(seeds=(45,), state="finished"), View(band=True), DARK_LOOK).band is None


@pytest.mark.parametrize("look", [DARK_LOOK, LIGHT_LOOK])
def test_curve_colours_stand_out_from_the_background(look: object) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a: str, b: str) -> float:
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert isinstance(look, type(DARK_LOOK))
    assert len(set(look.curves)) == len(look.curves)
    assert min(contrast(colour, look.background) for colour in (*look.curves, look.muted, look.accent)) >= 4.5


# Words and arrangements.


def test_numbers_read_well() -> None:
    assert grouped(1204) == "1\u202f204"
    assert (per_cent(0.78636), per_cent(None), per_cent(math.nan)) == ("78.64", "–", "–")
    assert (signed(1.16), signed(-0.62)) == ("+1.16", "−0.62")
    assert [span(s) for s in (7, 190, 3_900, 180_000)] == ["7 s", "3 m 10 s", "1 h 05 m", "2 d 2 h"]
    assert [rate(r) for r in (412.3, 41.26, 4.126, 0.25)] == ["412 it/s", "41.3 it/s", "4.13 it/s", "4 s/it"]
    assert [size(s) for s in (3 * 2**20, 1.5 * 2**30, 141 * 2**30)] == ["3 MiB", "1.50 GiB", "141 GiB"]


@given(st.integers(1, 300), st.integers(1, 100), st.sampled_from(PANELS), st.booleans())
def test_focused_panel_is_on_the_screen_wherever_it_fits(width: int, height: int, focus: str, full: bool) -> None:
    plan = arrange(width, height, focus, full)
    if width < 60 or height < 18:
        assert plan.mode == "tiny"
    elif full:
        assert plan.visible == (focus,)
    elif focus in ring(width, height):
        assert focus in plan.visible


@given(st.integers(60, 300), st.integers(18, 100))
def test_every_panel_that_matters_can_be_reached(width: int, height: int) -> None:
    assert set(ring(width, height)) >= set(PANELS) - {"rate", "speed"}


def test_hours_of_following_do_not_grow_the_state_without_bound() -> None:
    def points(state: RunState) -> list[int]:
        series = [*state.resource_series.values()]
        for stage in state.stages.values():
            series += [*stage.losses.values(), *stage.weights.values(), stage.lr, stage.rate, stage.validation]
        return [len(one) for one in series]

    state = RunState().fold(hours_of_events(8.0, epochs_per_second=1.0))
    assert state.version > 50_000
    assert max(points(state)) <= LIMIT
    assert len(state.log) <= LOG_LINES
    student = state.get(45, "student")
    assert student is not None
    x = student.losses["total"].x
    assert x[0] < 0.01 * student.epoch
    assert x[-1] == student.epoch == 8 * 3600
