"""`flykd-console compare`: which runs may be compared, what the tables say, and the forms that they are printed in."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from flykd_console.cli.comparison import GridTable, print_comparison
from flykd_console.compare.compare import compare
from flykd_console.compare.describe import made_with
from flykd_console.compare.figures import Block, Comparison
from flykd_console.compare.grid import Grid, pieces
from flykd_console.compare.grids import grids
from flykd_console.compare.loading import load_runs, read_ids
from flykd_console.compare.population import Restriction
from flykd_console.errors import UserError
from flykd_console.profile.rooms import structure_losses
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RunFinished, StageStarted
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import RankingScores, read_results, write_results
from tests.support.comparable_runs import comparable_run, edit_environment, put_scores, rescore, take_rival
from tests.unit.test_cli_app import call

BASIC = 'sources = ["original", "pseudo_train"]\n[distill.curriculum]\nshape = "none"\n'


def compared(*runs: RunDirectory, **options: Any) -> Comparison:
    return compare(load_runs(runs), resamples=200, **options)


def only_block(*runs: RunDirectory, **options: Any) -> Block:
    (block,) = compared(*runs, **options).blocks
    return block


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    comparable_run(root, "flykd-1", "flykd", student=1.5)
    comparable_run(root, "basic-1", "basic-kd", student=0.5, distill=BASIC)
    return root


@pytest.fixture
def two(made: Path, runs: Path) -> list[RunDirectory]:
    shutil.copytree(made, runs)
    return [RunDirectory(runs / "flykd-1"), RunDirectory(runs / "basic-1")]


def test_shared_teacher_and_baseline_come_once_and_students_apart(two: list[RunDirectory]) -> None:
    block = only_block(*two)
    assert [row.label for row in block.rows] == ["teacher 12", "baseline 8", "flykd", "basic-kd"]
    assert block.rows[0].runs == ["flykd-1", "basic-1"]


def test_a_model_measured_with_another_number_of_threads_is_the_same_but_for_rounding(
    two: list[RunDirectory],
) -> None:
    def moved(seed: int, by: float) -> None:
        logits = pl.read_parquet(two[1].test_scores(seed))["teacher"].to_numpy()
        rescore(two[1], seed, "teacher", lambda labels: logits * np.float32(1.0 + by))

    for seed in (45, 46, 47):
        moved(seed, 2e-7)
    assert only_block(*two).rows[0].runs == ["flykd-1", "basic-1"]
    moved(45, 1e-3)
    assert only_block(*two).rows[0].runs == ["flykd-1"]


def test_scores_and_gains_are_those_of_the_results_files(two: list[RunDirectory]) -> None:
    block = only_block(*two)
    for row in block.rows:
        run = next(run for run in two if run.name == row.runs[0])
        results = read_results(run.results)
        for seed, score in row.seeds.items():
            stored = results.seeds[str(seed)][row.model].test
            assert score.macro_auprc == pytest.approx(stored.macro_auprc)
        if row.model == "student":
            assert row.gain is not None
            summary = results.summary["student"]
            assert summary.gain_points is not None
            assert summary.gain_percent is not None
            assert row.gain.points.mean == pytest.approx(summary.gain_points.mean)
            assert row.gain.points.std == pytest.approx(summary.gain_points.std)
            assert row.gain.percent.mean == pytest.approx(summary.gain_percent.mean)


def test_a_better_student_has_intervals_above_zero(two: list[RunDirectory]) -> None:
    gain = next(row.gain for row in only_block(*two).rows if row.label == "flykd")
    assert gain is not None
    assert gain.over_pairs.low > 0
    for one in gain.seeds.values():
        assert one.over_pairs.low < one.points < one.over_pairs.high
        assert one.over_tails.low < one.points < one.over_tails.high
    assert gain.over_seeds is not None
    assert gain.over_seeds.low < gain.points.mean < gain.over_seeds.high
    assert gain.sign_flip_p == pytest.approx(2 / 8)


def test_a_student_stands_beside_another(two: list[RunDirectory]) -> None:
    loaded = load_runs(two)
    (block,) = compare(loaded, resamples=200, against=loaded[1]).blocks
    rows = {row.label: row for row in block.rows}
    rival = rows["flykd"].rival
    assert rival is not None
    assert rows["basic-kd"].rival is None
    ours, theirs = rows["flykd"].seeds, rows["basic-kd"].seeds
    for seed, one in rival.seeds.items():
        assert one.points == pytest.approx(100 * (ours[seed].macro_auprc - theirs[seed].macro_auprc))


def test_the_papers_figures_stand_beside_runs_of_the_same_composition(two: list[RunDirectory]) -> None:
    rows = {row.label: row for row in only_block(*two).rows}
    assert rows["flykd"].gain is not None
    assert rows["flykd"].gain.paper == (1.16, 0.36)
    assert rows["basic-kd"].gain is not None
    assert rows["basic-kd"].gain.paper == (-0.62, 0.59)
    assert rows["baseline 8"].paper is None  # the paper's is 80 wide


def test_a_baseline_of_its_own_is_named_by_its_run_and_is_what_its_student_is_held_against(
    two: list[RunDirectory],
) -> None:
    rescore(two[1], 45, "baseline", lambda label: label + np.random.default_rng(0).normal(size=len(label)))
    block = only_block(*two)
    labels = [row.label for row in block.rows]
    assert labels == ["teacher 12", "baseline 8 of flykd", "baseline 8 of basic-kd", "flykd", "basic-kd"]
    gains = [row.gain.over for row in block.rows if row.model == "student" and row.gain]
    assert gains == ["baseline 8 of flykd", "baseline 8 of basic-kd"]


def test_runs_of_one_method_are_told_apart(runs: Path) -> None:
    pair = [comparable_run(runs, "flykd-1"), comparable_run(runs, "flykd-2")]
    assert [row.label for row in only_block(*pair).rows][2:] == ["flykd-1", "flykd-2"]


def test_a_run_is_read_whose_folder_has_the_signs_of_a_pattern(runs: Path) -> None:
    run = comparable_run(runs, "flykd-1")
    odd = RunDirectory(run.path.rename(runs / "first[ab]*"))
    assert [row.model for row in only_block(odd).rows] == ["teacher", "baseline", "student"]


def test_settings_in_which_runs_differ_are_told(two: list[RunDirectory]) -> None:
    for run, epochs in zip(two, (400, 2000), strict=True):
        with run.profile.open("a") as file:
            file.write(f"\n[finetune.plateau]\nlast_epochs = {epochs}\n")
    block = only_block(*two)
    assert [run.differs for run in block.runs] == [
        {"finetune.plateau.last_epochs": 400},
        {"finetune.plateau.last_epochs": 2000},
    ]
    assert any("not trained alike in: finetune.plateau.last_epochs" in note for note in block.notes)


def test_a_students_own_schedule_and_a_lower_precision_are_differences(runs: Path) -> None:
    own = "plateau = { factor = 0.8, patience = 10, last_epochs = 0 }"
    pair = [comparable_run(runs, "a-1", "a"), comparable_run(runs, "b-1", "b", distill=own)]
    for run, precision in zip(pair, ("float32", "bf16"), strict=True):
        with run.profile.open("a") as file:
            file.write("\n[finetune]\nplateau = { factor = 0.8, patience = 10, last_epochs = 400 }\n")
            file.write(f'\n[engine]\nprecision = "{precision}"\n')
    assert [run.differs for run in only_block(*pair).runs] == [
        {"distill.plateau.last_epochs": 400, "engine.precision": "float32"},
        {"distill.plateau.last_epochs": 0, "engine.precision": "bf16"},
    ]


def test_students_trained_for_other_numbers_of_epochs_are_told_and_what_makes_the_method_is_not(runs: Path) -> None:
    pair = [
        comparable_run(runs, "flykd-1", "flykd", distill="epochs = 600\n"),
        comparable_run(runs, "basic-1", "basic-kd", distill="epochs = 80\ntemperature = 2.0\n" + BASIC),
    ]
    block = only_block(*pair)
    assert [run.differs for run in block.runs] == [{"distill.epochs": 600}, {"distill.epochs": 80}]
    assert "The runs are not trained alike in: distill.epochs." in block.notes


def test_how_a_student_would_be_trained_is_no_difference_of_a_run_without_one(runs: Path) -> None:
    pair = [
        comparable_run(runs, "none-1", "none", distill="epochs = 0\n"),
        comparable_run(runs, "flykd-1", "flykd", distill="epochs = 600\n"),
    ]
    results = read_results(pair[0].results)
    seeds = {seed: {m: r for m, r in models.items() if m != "student"} for seed, models in results.seeds.items()}
    write_results(pair[0], msgspec.structs.replace(results, seeds=seeds))
    assert [run.differs for run in only_block(*pair).runs] == [{}, {}]


def test_students_of_one_name_are_told_apart_by_what_they_are_made_of(runs: Path) -> None:
    pair = [
        comparable_run(runs, "flykd-1", "flykd"),
        comparable_run(runs, "flykd-2", "flykd", distill="temperature = 2.0\nrandom_graph = { min_logit = 1.5 }\n"),
    ]
    block = only_block(*pair)
    low, temperature = "distill.random_graph.min_logit", "distill.temperature"
    assert [run.made_with for run in block.runs] == [{temperature: 1.0, low: None}, {temperature: 2.0, low: 1.5}]
    assert f"flykd-1 is made with: {temperature} = 1.0, {low} = not set." in block.notes
    assert f"flykd-2 is made with: {temperature} = 2.0, {low} = 1.5." in block.notes


@pytest.mark.parametrize("name", sorted(structure_losses()))
def test_the_table_of_a_loss_counts_where_a_run_has_a_weight(name: str) -> None:
    fields = structure_losses()[name].settings.model_fields
    weight = next(key for key in fields if key.endswith("weight"))
    off, on = {f"distill.{name}.{weight}": 0.0}, {f"distill.{name}.{weight}": 1.0}
    key = f"distill.{name}.other"

    def told(*settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
        made = [SimpleNamespace(name=str(i), settings=s, distills=True) for i, s in enumerate(settings)]
        for run in made:
            run.results = SimpleNamespace(method="flykd")
        return made_with(made)  # type: ignore[arg-type]

    assert told(off | {key: 1}, off | {key: 2}) == {}
    assert told(on | {key: 1}, on | {key: 2}) == {"0": {key: 1}, "1": {key: 2}}


def test_the_table_of_a_source_counts_where_a_run_has_the_source(runs: Path) -> None:
    lists = 'sources = ["original", "pseudo_lists"]\n'
    pair = [
        comparable_run(runs, "flykd-1", "flykd"),
        comparable_run(runs, "flykd-2", "flykd", distill="lists = { sharpness = 2.0 }\n"),
        comparable_run(runs, "flykd-3", "flykd", distill=f"{lists}lists = {{ sharpness = 3.0 }}\n"),
    ]
    assert [run.made_with for run in only_block(*pair[:2]).runs] == [{}, {}]
    assert [run.made_with["distill.lists.sharpness"] for run in only_block(*pair).runs] == [8.0, 2.0, 3.0]


def test_what_all_but_one_share_is_told_of_that_one_alone(runs: Path) -> None:
    usual = [comparable_run(runs, f"flykd-{i}", f"flykd-{i}", distill="epochs = 600\n") for i in range(3)]
    odd = comparable_run(runs, "odd-1", "odd", distill="epochs = 80\n")
    assert [run.differs for run in only_block(*usual, odd).runs] == [{}, {}, {}, {"distill.epochs": 80}]


def test_seeds_that_a_stopped_run_lacks_are_told(runs: Path) -> None:
    run = comparable_run(runs, "flykd-1", seeds=(45, 46))
    text = run.profile.read_text()
    run.profile.write_text(text.replace("[45, 46]", "[45, 46, 47, 48]"))
    log = EventWriter(run.events)
    log.write(StageStarted(seed=47, stage="teacher", epochs=9, dim=12, parameters=1))
    log.write(RunFinished(outcome="stopped", seconds=1.0))
    log.close()
    (note,) = [note for note in only_block(run).notes if "not finished" in note]
    assert note == "flykd-1: stopped in seed 47, number 3 of 4; seeds 47 and 48 not finished, left out."


@pytest.mark.parametrize("name", ["c.html", "c.txt", "c"])
def test_a_file_of_an_unknown_form_is_refused(
    two: list[RunDirectory], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "flykd-1", "--out", str(tmp_path / name)) == 2
    assert "Name it .md, .csv or .json; for HTML: flykd-console report" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_epochs_that_were_added_by_hand_are_told(two: list[RunDirectory]) -> None:
    results = read_results(two[1].results)
    seeds = {seed: dict(models) for seed, models in results.seeds.items()}
    for seed in ("45", "47"):
        seeds[seed]["student"] = msgspec.structs.replace(seeds[seed]["student"], added_epochs=500)
    write_results(two[1], msgspec.structs.replace(results, seeds=seeds))
    told = f"{two[1].name}: the student was given 500 epochs by hand beyond its profile's in seeds 45 and 47."
    assert [note for note in only_block(*two).notes if "by hand" in note] == [told]


def test_seeds_that_not_all_have_are_left_out_and_named(runs: Path) -> None:
    block = only_block(
        comparable_run(runs, "a-1", "a", seeds=(45, 46, 47)), comparable_run(runs, "b-1", "b", seeds=(46, 47, 48))
    )
    assert block.seeds == [46, 47]
    assert any("a-1 has also seed 45" in note for note in block.notes)
    assert any("b-1 has also seed 48" in note for note in block.notes)


def test_one_seed_has_no_deviation_and_says_so(runs: Path) -> None:
    block = only_block(comparable_run(runs, "a-1", seeds=(45,)))
    gain = block.rows[-1].gain
    assert gain is not None
    assert gain.points.std is None
    assert gain.over_seeds is None
    assert gain.sign_flip_p is None
    assert any(note.startswith("One seed (45)") for note in block.notes)


def test_a_run_without_a_student_lends_its_baseline(two: list[RunDirectory]) -> None:
    run = two[1]
    results = read_results(run.results)
    seeds = {s: {m: r for m, r in models.items() if m != "student"} for s, models in results.seeds.items()}
    write_results(run, msgspec.structs.replace(results, seeds=seeds))
    for seed in (45, 46, 47):
        pl.read_parquet(run.test_scores(seed)).drop("student").write_parquet(run.test_scores(seed))
    block = only_block(*two)
    assert [row.label for row in block.rows] == ["teacher 12", "baseline 8", "flykd"]


def test_results_that_disagree_with_their_scores_are_told(two: list[RunDirectory]) -> None:
    results = read_results(two[0].results)
    models = dict(results.seeds["45"])
    test = msgspec.structs.replace(models["student"].test, macro_auprc=0.123)
    models["student"] = msgspec.structs.replace(models["student"], test=test)
    write_results(two[0], msgspec.structs.replace(results, seeds={**results.seeds, "45": models}))
    assert any("results.json gives the student 0.123000" in note for note in only_block(*two).notes)


# Runs that must not be compared


def other_graph(run: RunDirectory) -> None:
    results = read_results(run.results)
    graph = msgspec.structs.replace(results.graph, fingerprint="0123" * 16)
    write_results(run, msgspec.structs.replace(results, graph=graph))


def other_split(run: RunDirectory) -> None:
    edit_environment(run, splits={"45": "f" * 64})


def other_negatives(run: RunDirectory) -> None:
    frame = pl.read_parquet(run.test_scores(46))
    first = pl.int_range(pl.len()) == pl.col("label").arg_min()
    put_scores(run, 46, frame.with_columns(tail_id=pl.when(first).then(pl.lit("T9999")).otherwise("tail_id")))


REASONS = [
    (other_graph, "different graphs (embedded, 9f8c9f8c… and embedded, 01230123…)"),
    (other_split, "different splits (seed 45, 00000000… and ffffffff…)"),
    (other_negatives, "different test pairs (seed 46: 240 and 240, 239 in common"),
]


@pytest.mark.parametrize(("change", "reason"), REASONS)
def test_runs_that_are_not_comparable_are_refused_with_the_reason(
    two: list[RunDirectory], change: Any, reason: str
) -> None:
    change(two[1])
    with pytest.raises(UserError) as refused:
        compared(*two)
    assert reason in str(refused.value)
    assert "--anyway" in str(refused.value)


@pytest.mark.parametrize(("change", "reason"), REASONS)
def test_they_can_be_seen_in_separate_blocks(two: list[RunDirectory], change: Any, reason: str) -> None:
    change(two[1])
    blocks = compared(*two, anyway=True).blocks
    assert [[run.name for run in block.runs] for block in blocks] == [["flykd-1"], ["basic-1"]]


def test_runs_without_a_common_seed_are_refused_where_their_settings_differ(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparable_run(runs, "a-1", seeds=(45,))
    comparable_run(runs, "b-1", seeds=(46,), distill=BASIC)
    assert call("compare", "a-1", "b-1") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no seed in common (45 and 46), and the settings differ (distill.sources: [" in said


def test_the_order_of_the_stored_pairs_does_not_matter(two: list[RunDirectory]) -> None:
    expected = only_block(*two)
    for seed in (45, 46, 47):
        pl.read_parquet(two[1].test_scores(seed)).sample(fraction=1, shuffle=True, seed=1).write_parquet(
            two[1].test_scores(seed)
        )
    assert only_block(*two).rows[-1].gain == expected.rows[-1].gain


# Restricting to some tails


def test_only_some_tails_are_tested(two: list[RunDirectory], tmp_path: Path) -> None:
    ids = frozenset(f"T{i:04d}" for i in range(30))
    block = only_block(*two, only=Restriction("exact.csv", ids))
    assert block.notes[0].startswith("Only test pairs of tails in exact.csv: ")
    frame = pl.read_parquet(two[0].test_scores(45)).filter(pl.col("tail_id").is_in(list(ids)))
    counts = {r: (p["label"].sum(), (p["label"] == 0).sum()) for (r,), p in frame.group_by("relation")}
    assert block.pairs[45] == counts
    assert block.pairs[45] != only_block(*two).pairs[45]


def test_a_restriction_that_leaves_nothing_is_refused(two: list[RunDirectory]) -> None:
    with pytest.raises(UserError, match=r"few\.csv: none of its 1 ids is a disease of the test pairs of seed 45"):
        compared(*two, only=Restriction("few.csv", frozenset({"nowhere"})))
    frame = pl.read_parquet(two[0].test_scores(45))
    false = set(frame["tail_id"]) - set(frame.filter(pl.col("label") == 1)["tail_id"])
    assert false
    with pytest.raises(UserError, match=r"no positive test pair of the ids in few\.csv in seed 45"):
        compared(*two, only=Restriction("few.csv", frozenset(false)))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a\nb\n", {"a", "b"}),
        ("id\na\nb\n", {"a", "b"}),
        ("name,node_id,status\nx,11786_5324,exact\ny,1000,exact\n", {"11786_5324", "1000"}),
        ("tail_id\n 7 \n\n8\n", {"7", "8"}),
    ],
)
def test_ids_are_read_from_a_column(tmp_path: Path, text: str, ids: set[str]) -> None:
    file = tmp_path / "ids.csv"
    file.write_text(text)
    assert read_ids(file) == ids


@pytest.mark.parametrize(
    ("text", "message"), [("", "cannot be read|holds no id"), ("id\n", "no id"), ("x,y\n1,2\n", "several columns")]
)
def test_a_file_without_ids_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "ids.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_ids(file)


# The command


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_narrow_terminal_cuts_no_figure(
    two: list[RunDirectory], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in two:
        _validated(run)
    block = compare(load_runs(two, part), resamples=200, against=load_runs(two[1:], part)[0]).blocks[0]
    console = Console(width=80, color_system=None)
    for grid in grids(block):
        console.print(GridTable(grid))
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 80
        words = [word for row in grid.rows[:4] for cell in row[1:] for word in cell.split()]
        if grid.title != "Runs":
            assert [word for word in words if word not in shown] == []


def test_ids_that_no_pair_has_are_named(two: list[RunDirectory]) -> None:
    tails = set(pl.read_parquet(two[0].test_scores(45))["tail_id"].unique())
    block = only_block(*two, only=Restriction("mine.csv", frozenset({*tails, "typo1", "typo2"})))
    assert f"2 of {len(tails) + 2} ids in mine.csv are in no test pair: typo1, typo2." in block.notes[0]


def test_the_terminal_gets_tables_without_escape_codes(
    two: list[RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "flykd-1", "basic-1", "--resamples", "200", "--against", "basic-1") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    for words in (
        "Test AUPRC, per cent",
        "baseline 8",
        "What the gain over the same seed's baseline is worth",
        "Against basic-kd",
        "FlyKD (Table 2)",
    ):
        assert words in out


def test_columns_without_room_go_below_and_no_interval_is_broken() -> None:
    cells = ["+1.00", "[−12.34, +56.78]", "[−12.34, +56.78]", "10.00 ± 2.00"]
    headings = ["model", "gain", "test pairs", "test diseases", "mean ± std"]
    grid = Grid(title="t", headings=headings, rows=[["shared neighbours", *cells]], caption="c", emphasised=(1, 4))
    assert pieces(grid, 100) == [grid]
    first, second = pieces(grid, 50)
    assert (first.headings, second.headings) == (headings[:4], ["model", "mean ± std"])
    assert (first.caption, second.caption) == ("", "c")
    assert (first.emphasised, second.emphasised) == ((1,), (1,))
    assert second.title == "t (continued)"
    assert [row[0] for row in second.rows] == ["shared neighbours"]
    for width in (30, 50, 70, 100):
        out = io.StringIO()
        Console(file=out, width=width).print(GridTable(grid))
        assert max(map(len, out.getvalue().splitlines())) <= width
        for cell in cells:
            assert cell in out.getvalue()


def test_captions_are_as_wide_as_the_screen_and_not_as_their_table() -> None:
    grid = Grid(
        title="A title that is wider than its table", headings=["model", "x"], rows=[["a", "1"]], caption="w " * 60
    )
    out = io.StringIO()
    Console(file=out, width=80).print(GridTable(grid))
    first, *_ = lines = out.getvalue().splitlines()
    assert first.rstrip() == grid.title
    assert len(lines) == 6


def test_tables_of_gains_over_several_rivals_name_each(two: list[RunDirectory]) -> None:
    take_rival(two[1], "student", "teacher")
    of_gains = [grid for grid in grids(only_block(*two)) if "ain over" in grid.title]
    assert [grid.title for grid in of_gains] == [
        "Gain over the same seed's baseline or teacher 12, points",
        "Mean gain over the same seed's baseline or teacher 12",
        "What the gain over the same seed's baseline or teacher 12 is worth, points",
    ]
    for grid in of_gains:
        named = [row[0] for row in grid.rows]
        assert named == ["teacher 12\nover baseline 8", "flykd\nover baseline 8", "basic-kd\nover teacher 12"]


def test_tables_of_gains_over_one_rival_name_it_in_their_titles_alone(two: list[RunDirectory]) -> None:
    of_gains = [grid for grid in grids(only_block(*two)) if "ain over" in grid.title]
    assert len(of_gains) == 3
    for grid in of_gains:
        assert "the same seed's baseline" in grid.title
        assert [row[0] for row in grid.rows] == ["teacher 12", "flykd", "basic-kd"]


def test_tables_fit_a_hundred_columns(two: list[RunDirectory]) -> None:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    print_comparison(console, compared(*two))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in re.sub(r"\w{8}…", "", text)
    assert re.search(r"flykd +\+\d+\.\d\d +\[", text)


def test_markdown_has_every_table(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "flykd-1", "basic-1", "--resamples", "200", "--markdown") == 0
    out = capsys.readouterr().out
    tables = re.findall(r"^\| (.*) \|\n\| --- \|", out, re.MULTILINE)
    assert len(tables) == 6
    for line in out.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    assert "| flykd |" in out


def test_csv_is_long_and_unrounded(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "flykd-1", "basic-1", "--resamples", "200", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    stored = read_results(two[0].results).seeds["45"]["student"].test.macro_auprc
    (found,) = [
        row for row in rows
        if (row["model"], row["figure"], row["relation"], row["seed"]) == ("flykd", "auprc", "macro", "45")
    ]  # fmt: skip
    assert float(found["value"]) == pytest.approx(stored, abs=1e-12)
    assert {row["figure"] for row in rows} >= {"gain points, test pairs", "gain points, seeds", "gain per cent"}
    units = {row["figure"]: row["unit"] for row in rows}
    points = {f"gain points, {over}" for over in ("test pairs", "test tails", "seeds", "seeds uncorrected")}
    assert {figure for figure, unit in units.items() if unit == "points"} <= points
    assert {figure for figure, unit in units.items() if unit == "fraction"} <= {
        "auprc",
        "paper auprc",
        "recall_at_10",
        "recall_at_50",
        "recall_at_100",
        "ap",
        "mrr",
    }
    assert units["gain per cent"] == "per cent"
    assert units.get("paper gain", "points or per cent") == "points or per cent"


def test_json_gives_the_records(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "flykd-1", "basic-1", "--resamples", "200", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    assert [row["label"] for row in found["blocks"][0]["rows"]][-2:] == ["flykd", "basic-kd"]


@pytest.mark.parametrize(
    ("name", "begins"), [("table.md", "## embedded"), ("table.csv", "block,model"), ("table.json", "{")]
)
def test_a_file_gets_the_form_that_its_name_says(
    two: list[RunDirectory], tmp_path: Path, name: str, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "flykd-1", "--resamples", "200", "--out", str(tmp_path / name)) == 0
    assert (tmp_path / name).read_text().startswith(begins)
    assert capsys.readouterr().out == f"Wrote {tmp_path / name}.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flykd-1", "flykd-1"], "flykd-1: this run is given twice."),
        (["nowhere"], "there is no run 'nowhere'."),
        (["flykd-1", "--out", "."], ".: is a folder, not a file"),
        (["flykd-1", "--out", "no/such/folder.md"], "no/such: there is no such folder."),
        (["flykd-1", "--json", "--csv"], "one form at a time"),
        (["flykd-1", "--only", "missing.csv"], "Check the path; a CSV of ids is wanted."),
        (["flykd-1", "--resamples", "1"], "--resamples"),
    ],
)
def test_bad_input_is_one_line(
    two: list[RunDirectory], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", *arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_run_without_results_is_refused(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    two[0].results.unlink()
    assert call("compare", "flykd-1") == 2
    assert capsys.readouterr().err.startswith("flykd-1: this run has no results yet.")


@pytest.mark.parametrize("text", ["= broken", "[distill]\nepochs = 'many'\n", "[distill]\nunheard = 1\n"])
def test_a_damaged_profile_is_refused(two: list[RunDirectory], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    two[0].profile.write_text(text)
    assert call("compare", "flykd-1") == 2
    err = capsys.readouterr().err
    assert err.startswith(str(two[0].profile))
    assert err.endswith("The file was changed after training; take the run's own, or train again.\n")
    assert err.count("\n") == 1


def test_a_damaged_scores_file_is_refused(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    two[0].test_scores(45).write_bytes(b"PAR1 no more")
    assert call("compare", "flykd-1") == 2
    err = capsys.readouterr().err
    assert "test-scores.parquet: cannot be read" in err
    assert err.count("\n") == 1


def _validated(run: RunDirectory, change: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame) -> None:
    """Give a run a validation part of its own: what `change` makes of the test part."""
    for seed in (45, 46, 47):
        tested = pl.read_parquet(run.test_scores(seed))
        put_scores(run, seed, change(tested))
        run.test_scores(seed).rename(run.scores(seed, "validation"))
        results = read_results(run.results)
        models = {
            name: msgspec.structs.replace(model, validation=model.test)
            for name, model in results.seeds[str(seed)].items()
        }
        write_results(run, msgspec.structs.replace(results, seeds={**results.seeds, str(seed): models}))
        put_scores(run, seed, tested)


def test_validation_pairs_are_compared_where_asked_for_and_called_so(
    two: list[RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    before = only_block(*two)
    for run in two:
        _validated(run, lambda frame: frame.with_columns(-pl.col("student")))
    chosen = compare(load_runs(two, "validation"), resamples=200).blocks[0]
    assert only_block(*two) == before
    for tested, validated in zip(before.rows[2:], chosen.rows[2:], strict=True):
        assert validated.auprc.mean < 0.5 < tested.auprc.mean
        assert (validated.paper, validated.gain and validated.gain.paper) == (None, None)
    assert chosen.part == "validation"
    assert call("compare", *(str(run.path) for run in two), "--validation", "--markdown") == 0
    out = capsys.readouterr().out
    assert "### Validation AUPRC, per cent" in out
    assert "mean ± std | paper" not in out
    assert "per cent | paper" not in out
    assert "| model | gain | validation pairs | validation diseases | seeds | p |" in out
    assert "validation pairs a seed" in out
    assert "test" not in out.lower().replace("what it is worth, the test says", "").replace("been tested", "").replace(
        "sign-flip test", ""
    )


def test_rankings_of_validation_pairs_are_those_of_the_results(two: list[RunDirectory]) -> None:
    ranking = RankingScores(
        recall_at_10=0.1, recall_at_50=0.2, recall_at_100=0.3, ap=0.1, mrr=0.2, tails=5, candidates=9
    )
    for run in two:
        _validated(run)
        results = read_results(run.results)
        seeds = {
            seed: {
                name: msgspec.structs.replace(
                    model, validation=msgspec.structs.replace(model.validation, ranking={"indication": ranking})
                )
                for name, model in models.items()
            }
            for seed, models in results.seeds.items()
        }
        write_results(run, msgspec.structs.replace(results, seeds=seeds))
    block = compare(load_runs(two, "validation"), resamples=200).blocks[0]
    for row in block.rows:
        assert row.ranking["indication"]["recall_at_10"].mean == pytest.approx(0.1)
