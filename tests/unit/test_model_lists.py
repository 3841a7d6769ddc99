"""Runs of other models than teacher, baseline and student: what is shown, what is left out, and that it is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from flykd_console.dashboard import charts
from flykd_console.dashboard.charts import View
from flykd_console.dashboard.overlay import OverlaidRun, Overlay, rows
from flykd_console.dashboard.palette import DARK_LOOK
from flykd_console.dashboard.run_table import columns as run_columns
from flykd_console.dashboard.run_table import progress_words
from flykd_console.dashboard.scores import levels
from flykd_console.dashboard.screens.overlay import _heads
from flykd_console.dashboard.screens.results import fitting_columns, result_rows, summary_text
from flykd_console.dashboard.seed_columns import columns, left_out
from flykd_console.dashboard.stage_words import short_words, stage_words
from flykd_console.dashboard.table import ColumnKey, gain_sentence, gaining, mean_gains, seed_rows, sorted_rows
from flykd_console.runs.events import Evaluation, RunStarted
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.overview import Outcome, overview_of
from flykd_console.runs.state.run import RunState
from tests.support.event_log import FOUR_STUDENTS, LogSpec, events, write_run

WITHOUT_BASELINE = {"chosen": ("teacher", "student")}
WITHOUT_TEACHER = {"chosen": ("baseline", "student"), "distill": {"sources": ["original"]}}
FOUR = {"models": FOUR_STUDENTS}
TEACHERS_ALONE = {"chosen": ("teacher",), "distill": {"epochs": 0}}


def folded(**settings: object) -> RunState:
    spec = LogSpec(**{"epochs": 60, "seeds": (45, 46), **settings})  # type: ignore[arg-type]
    return RunState().fold(events(spec))


def keys(state: RunState, width: int) -> list[str]:
    return [str(column.key) for column in columns(state, width)]


def model_keys(state: RunState) -> list[str]:
    return [key for key in keys(state, 300) if key.startswith("model")]


# Which models.


def test_a_run_without_a_baseline_has_no_gain() -> None:
    state = folded(state="finished", **WITHOUT_BASELINE)
    assert model_keys(state) == ["model teacher", "model student"]
    assert not [key for key in keys(state, 300) if key.startswith(("points", "percent"))]
    assert gaining(state) == []
    assert mean_gains(state) == {}
    assert all(row.gains == {} for row in seed_rows(state))
    assert gain_sentence(state) == "flykd: AUPRC 76.57 ± 4.74."
    assert "gain" not in str(summary_text(state))
    found = result_rows(state, state.relations)
    assert {len(row) for row in found} == {len(("seed", "model", "macro", *state.relations, "epochs", "time"))}
    assert [row[:2] for row in found] == [
        ["45", "teacher"], ["", "flykd"], ["46", "teacher"], ["", "flykd"],
    ]  # fmt: skip


def test_a_run_without_a_teacher_says_what_its_curriculum_comes_after() -> None:
    state = folded(stop_at=(0, "baseline", 30), **WITHOUT_TEACHER)
    assert model_keys(state) == ["model baseline", "model student"]
    assert "points student" in keys(state, 100)
    empty = charts.weights(state, View(), DARK_LOOK).empty
    assert empty == "The curriculum begins with the student, after the baseline"
    assert charts.shown_model(state, View()) == "baseline"


def test_a_run_of_teachers_alone_is_about_its_last_model() -> None:
    state = folded(state="finished", **TEACHERS_ALONE)
    assert state.about is not None
    assert state.about.name == "teacher"
    assert charts.weights(state, View(), DARK_LOOK).empty == "This run has no curriculum"
    assert charts.shown_model(state, View()) == "teacher"
    assert gain_sentence(state).startswith("teacher: AUPRC 77.00")


def test_a_mean_of_teachers_is_no_model_that_is_trained() -> None:
    state = folded(state="finished", distill={"teachers": 3})
    assert "teacher-mean" in [entry.name for entry in state.models]
    assert model_keys(state) == [
        f"model {name}" for name in ("teacher", "teacher-2", "teacher-3", "baseline", "student")
    ]


# Four students in a table.


@pytest.mark.parametrize("width", range(40, 180, 7))
def test_columns_fit_at_any_width_and_the_rest_is_named(width: int) -> None:
    state = folded(state="finished", **FOUR)
    layout = columns(state, width)
    numbers = [column for column in layout if not column.words]
    taken = sum(column.width + 1 for column in numbers) + sum(column.width for column in layout if column.words)
    assert taken <= width
    shown = {str(column.key) for column in layout}
    assert {"seed", "model student", "model baseline", "points student", "state"} <= shown
    said = left_out(state, layout)
    for entry in state.trained:
        assert (f"model {entry.name}" in shown) != (entry.label in said.partition("gain of")[0])


def test_the_first_students_gain_comes_first_and_stays_longest() -> None:
    state = folded(state="finished", **FOUR)
    gains = [key for key in keys(state, 300) if key.startswith(("points", "percent"))]
    assert gains == ["points student", "percent student", "points tiny", "points labels-only", "points deep"]
    narrow = columns(state, 62)
    assert [str(c.key) for c in narrow if c.key.kind == "points"] == ["points student"]
    assert left_out(state, columns(state, 300)) == ""
    assert left_out(state, narrow) == "not shown: deep; gain of tiny, labels-only"


def test_a_first_student_that_is_not_first_of_the_list_has_its_gain_first() -> None:
    models = {"second": {"role": "baseline"}, "other": {"dim": 16}}
    state = folded(state="finished", models=models)
    assert [entry.name for entry in gaining(state)] == ["student", "other"]


def test_rows_are_sorted_by_any_models_score_and_gain() -> None:
    state = folded(state="finished", seeds=(45, 46, 47), **FOUR)
    found = seed_rows(state)
    assert [row.seed for row in sorted_rows(found, ColumnKey("model", "deep"), True)] == [45, 47, 46]
    assert [row.seed for row in sorted_rows(found, ColumnKey("points", "tiny"), True)] == [45, 46, 47]
    assert [row.seed for row in sorted_rows(found, ColumnKey("relation", "indication"), False)] == [46, 47, 45]


def test_results_list_every_student_with_its_own_gain() -> None:
    state = folded(state="finished", **FOUR)
    found = result_rows(state, state.relations)
    assert [row[1] for row in found[:6]] == ["teacher", "baseline", "flykd", "tiny", "labels-only", "deep"]
    gained = [row[5] for row in found[:6]]
    assert gained[:2] == ["", ""]
    assert gained[2:] == ["+1.29", "+0.69", "+0.49", "+0.29"]
    said = str(summary_text(state))
    gains = said.partition("gain over the seed's baseline\n")[2].splitlines()
    assert [line.split()[0] for line in gains] == ["flykd", "tiny", "labels-only", "deep"]
    assert gains[0].split()[1:] == ["+1.27", "±", "0.03", "points", "+1.69", "±", "0.07", "%"]


HEURISTICS = ("disease_popularity", "neighbours", "popularity", "random", "shared_neighbours")


def test_heuristics_have_whole_heads_and_give_way_to_what_is_trained() -> None:
    state = folded(state="finished", heuristics=HEURISTICS)
    heads = {column.key.name: (column.head, column.below) for column in columns(state, 200)}
    assert heads["disease_popularity"] == ("disease", "popularity")
    assert heads["shared_neighbours"] == ("shared", "neighbours")
    for width in range(40, 200):
        shown = [column for column in columns(state, width) if column.key.kind == "model"]
        names = [column.key.name for column in shown]
        assert {"baseline", "student"} <= set(names)
        assert "…" not in "".join(column.head for column in shown if column.key.name in HEURISTICS)
        if set(names) & set(HEURISTICS):
            assert names[:3] == ["teacher", "baseline", "student"]
    assert left_out(state, columns(state, 66)).startswith("not shown: disease popularity, neighbours, popularity, ran")


def test_the_strongest_heuristic_gives_way_last() -> None:
    state = folded(state="finished", heuristics=HEURISTICS)
    reached = {label.replace(" ", "_"): value for label, value in levels(state, state.headline).items()}
    assert max(reached, key=lambda name: reached[name]) == "neighbours"
    counts = set()
    for width in range(66, 200):
        shown = {column.key.name for column in columns(state, width)} & set(HEURISTICS)
        gone = set(HEURISTICS) - shown
        counts.add(len(shown))
        if shown and gone:
            assert min(reached[name] for name in shown) >= max(reached[name] for name in gone)
    assert counts >= {0, 1, 2, len(HEURISTICS)}


def test_the_heuristic_that_gains_are_over_stays() -> None:
    state = folded(state="finished", heuristics=HEURISTICS, chosen=("teacher", "student"))
    for width in (60, 66, 80):
        shown = {column.key.name: column.head for column in columns(state, width)}
        assert shown["neighbours"] == "neighbours"


@pytest.mark.parametrize("width", [50, 68, 102])
@pytest.mark.parametrize("spec", [{}, FOUR, {"heuristics": ("disease_popularity",)}, {"reuse": ("teacher",)}])
def test_results_fit_their_window_and_keep_scores_and_gains(width: int, spec: dict[str, object]) -> None:
    state = folded(state="finished", **spec)
    found = fitting_columns(state, "macro", width)
    assert sum(column.width for column in found) <= width
    heads = [column.head for column in found]
    assert {"seed", "model", "macro", "gain"} <= set(heads)
    everything = ["seed", "model", "macro", "contra", "indic", "gain", "gain %", "epochs", "time"]
    assert heads == [head for head in everything if head in heads]
    if width == 68:
        assert "epochs" in heads
    if width == 102:
        assert heads == everything
    assert len({len(column.cells) for column in found}) == 1


def test_results_of_a_run_without_a_tested_model_are_empty_columns() -> None:
    found = fitting_columns(folded(state="starting"), "macro", 68)
    assert [column.cells for column in found] == [[]] * len(found)


# Charts and words.


def test_every_model_of_the_list_has_its_chart() -> None:
    state = folded(state="finished", **FOUR)
    assert charts.shown_model(state, View()) == "student"
    for entry in state.trained:
        view = View(model=entry.name)
        assert charts.shown_model(state, view) == entry.name
        assert len(charts.validation(state, view, DARK_LOOK).curves) == 2
    assert charts.shown_model(state, View(model="of another run")) == "student"


def test_a_loss_keeps_its_colour_in_every_stage_of_a_run() -> None:
    state = folded(state="finished", structure=True, seeds=(45,), models={"labels-only": FOUR_STUDENTS["labels-only"]})
    stages = [state.stages[45, name] for name in ("teacher", "student", "labels-only")]
    colours: dict[str, set[str]] = {}
    for stage in stages:
        for curve in charts.losses(state, View(), DARK_LOOK, stage).curves:
            colours.setdefault(curve.name, set()).add(curve.colour)
    assert set(colours) == {
        "loss", "total", "original", "pseudo on train", "pseudo on random", "LSP", "hidden layers", "anchor rank",
        "anchor distribution",
    }  # fmt: skip
    assert all(len(found) == 1 for found in colours.values())
    assert len({colour for name, found in colours.items() if name != "loss" for colour in found}) == 8


def test_stages_are_told_by_what_they_do_with_whom() -> None:
    state = folded(state="finished", seeds=(45,), **FOUR)
    said = {name: stage_words(state, stage) for (_, name), stage in state.stages.items()}
    assert said == {
        "pretrain-teacher": "teacher, pretraining", "teacher": "teacher, finetuning",
        "pretrain-student": "student, pretraining", "baseline": "baseline, finetuning",
        "student": "student, distilling", "pretrain-tiny": "tiny, pretraining", "tiny": "tiny, distilling",
        "labels-only": "labels-only, distilling", "pretrain-deep": "deep, pretraining", "deep": "deep, distilling",
    }  # fmt: skip
    assert short_words(state, state.stages[45, "pretrain-tiny"]) == "pretraining tiny"
    assert short_words(state, state.stages[45, "tiny"]) == "tiny"


# Another metric.


def test_the_runs_own_metric_is_what_is_shown() -> None:
    state = folded(state="finished", headline="macro_mrr")
    assert seed_rows(state)[0].scores["student"].value == pytest.approx(0.4 * 0.7993)
    assert gain_sentence(state).startswith("flykd: MRR 30.63 ± 1.90, +0.51 ± 0.01 points over the baseline.")
    spec = charts.validation(state, View(), DARK_LOOK)
    assert max(curve.y.max() for curve in spec.curves) < 35
    row = result_rows(state, state.relations)[2]
    assert row[2:5] == ["31.97", "81.73", "78.13"]
    assert row[5] == "+0.52"


# Runs beside each other.


def read(tmp_path: Path, folder: str, **settings: object) -> OverlaidRun:
    spec = LogSpec(**{"epochs": 40, "seeds": (45, 46), "state": "finished", **settings})  # type: ignore[arg-type]
    run = OverlaidRun(write_run(tmp_path, spec, folder), folder)
    while run.read(1.0):
        pass
    return run


def test_runs_of_different_models_lie_over_each_other(tmp_path: Path) -> None:
    overlay = Overlay([read(tmp_path, "a", **WITHOUT_BASELINE), read(tmp_path, "b", **FOUR)])
    assert overlay.models == ["teacher", "student", "baseline", "tiny", "labels-only", "deep"]
    assert overlay.model == "student"
    seen = {}
    for _ in overlay.models:
        overlay.next_model()
        seen[overlay.model] = len(overlay.validation(View(), DARK_LOOK).curves)
    assert seen == {"baseline": 1, "tiny": 1, "labels-only": 1, "deep": 1, "teacher": 2, "student": 2}
    first, second = rows(overlay)
    assert set(first.scores) == {"teacher", "student"}
    assert first.gain == ""
    assert second.gain.startswith("+")
    assert "deep" in second.scores
    for width in (80, 120, 200):
        heads = _heads(overlay, width)
        assert "student" in [head.name for head in heads]
        assert sum(head.width + 2 for head in heads) + 4 + 12 <= width
    assert overlay.metric == "AUPRC"


def test_runs_of_different_metrics_say_so(tmp_path: Path) -> None:
    overlay = Overlay([read(tmp_path, "a"), read(tmp_path, "b", headline="macro_mrr")])
    assert overlay.metric == "AUPRC or MRR"


def test_the_list_of_runs_names_the_phase_and_the_metric(tmp_path: Path) -> None:
    spec = LogSpec(epochs=40, seeds=(45,), headline="macro_mrr", stop_at=(0, "pretrain-student", 10))
    line = overview_of(write_run(tmp_path, spec))
    assert progress_words(line).startswith("45 pretrain ")
    outcome = Outcome("flykd", "macro_mrr", 1, mean=0.5)
    lines = [line, replace(line, outcome=outcome)]
    assert next(column for column in run_columns(120, lines) if column.key == "mean").head == "MRR"


def test_the_lists_that_teach_are_a_level_and_no_curve_of_their_own() -> None:
    lists = ModelEntry(name="teacher-lists", role=Role.ENSEMBLE, label="teacher lists")
    told = list(events(LogSpec(epochs=60, seeds=(45, 46), heuristics=("neighbours",))))
    first = told[0]
    assert isinstance(first, RunStarted)
    told[0] = msgspec.structs.replace(first, models=[lists, *first.models])
    for seed, ap in ((45, 0.5), (46, 0.6)):
        metrics: dict[str, float | None] = {"macro_auprc": 0.8, "macro_ap": ap}
        measured = Evaluation(
            seed=seed, stage="teacher-lists", model="teacher-lists", epoch=0, split="validation", metrics=metrics
        )
        told.insert(2, measured)
    state = RunState().fold(told)
    assert levels(state, "macro_ap")["teacher lists"] == pytest.approx(0.55)
    assert levels(state, "macro_ap", 46)["teacher lists"] == pytest.approx(0.6)
    assert "neighbours" in levels(state, "macro_ap")
    drawn = charts.ranking(state, View(), DARK_LOOK)
    assert dict(drawn.levels)["teacher lists"] == pytest.approx(55.0)
    assert charts.shown_model(state, View(model="teacher-lists")) != "teacher-lists"
