"""Macro AP of rankings: what `compare` says of it tail by tail, against the baseline and against heuristics."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from flykd_console.compare.bootstrap import TailValues, macro_tail_resamples, percentile_interval
from flykd_console.compare.compare import compare
from flykd_console.compare.figures import Block, Interval, Row, TailGain
from flykd_console.compare.grids import grids
from flykd_console.compare.loading import load_runs
from flykd_console.compare.over_seeds import t_interval
from flykd_console.compare.population import Restriction
from flykd_console.errors import UserError
from flykd_console.report.text import to_csv
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import MatrixCut, MatrixScores, read_results, write_results
from tests.support.comparable_runs import add_heuristic, comparable_run, put_rankings
from tests.unit.test_cli_app import call

SEEDS = (45, 46, 47)
MEANS = {"teacher": 0.5, "baseline": 0.4, "student": 0.45, "neighbours": 0.3, "popularity": 0.6}


@pytest.fixture
def ranked(runs: Path) -> RunDirectory:
    run = comparable_run(runs, "flykd-1", seeds=SEEDS)
    add_heuristic(run, "neighbours")
    add_heuristic(run, "popularity")
    put_rankings(run, MEANS)
    return run


def block_of(*runs: RunDirectory, part: str = "test", **options: Any) -> Block:
    (block,) = compare(load_runs(runs, part), resamples=300, **options).blocks
    return block


def row_of(block: Block, model: str) -> Row:
    return next(row for row in block.rows if row.model == model)


def gain_of(block: Block, model: str = "student") -> TailGain:
    score = row_of(block, model).by_tail
    assert score is not None
    assert score.gain is not None
    return score.gain


# The bootstrap


def test_a_constant_difference_has_an_interval_of_no_width() -> None:
    tails = np.arange(6)
    easy = np.linspace(0.1, 0.5, 6)
    found = macro_tail_resamples({1: {"r": TailValues(tails, {"a": easy, "b": easy + 0.25})}}, ["a", "b"], 500, 3)[1]
    assert percentile_interval(found["b"] - found["a"]) == pytest.approx((0.25, 0.25))
    assert found["a"].std() > 0.01


def test_two_tails_have_the_resamples_that_can_be_counted() -> None:
    values = TailValues(np.array([4, 9]), {"a": np.array([0.0, 1.0])})
    drawn = macro_tail_resamples({1: {"r": values}}, ["a"], 8000, 0)[1]["a"]
    shares = [np.mean(drawn == value) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_a_tail_of_two_seeds_and_relations_is_drawn_once() -> None:
    values = {"a": np.array([0.0, 1.0])}
    tails = np.array([0, 1])
    turned = TailValues(tails[::-1], {"a": values["a"][::-1]})
    found = macro_tail_resamples({1: {"r": TailValues(tails, values), "s": turned}, 2: {"r": turned}}, ["a"], 400, 0)
    assert np.array_equal(found[1]["a"], found[2]["a"])


def test_a_resample_without_a_tail_of_a_relation_is_none() -> None:
    one, both = TailValues(np.array([0]), {"a": np.array([0.5])}), TailValues(np.array([0, 1]), {"a": np.ones(2)})
    drawn = macro_tail_resamples({1: {"r": one, "s": both}}, ["a"], 4000, 0)[1]["a"]
    assert np.isnan(drawn).mean() == pytest.approx(0.25, abs=0.03)
    assert np.nanmin(drawn) == np.nanmax(drawn) == 0.75


def test_the_bootstraps_deviation_is_the_textbooks() -> None:
    values = np.random.default_rng(2).uniform(size=80)
    drawn = macro_tail_resamples({1: {"r": TailValues(np.arange(80), {"a": values})}}, ["a"], 6000, 1)[1]["a"]
    assert drawn.std() == pytest.approx(values.std() / np.sqrt(80), rel=0.04)


# What is said


def test_scores_are_means_over_tails_then_relations_and_gains_follow(ranked: RunDirectory) -> None:
    block = block_of(ranked)
    row = row_of(block, "student")
    assert row.by_tail is not None
    points = []
    for seed in SEEDS:
        frame = pl.read_parquet(ranked.ranking(seed, "test"))
        means = {
            model: np.mean([part[model].cast(pl.Float64).mean() for _, part in frame.group_by("relation")])
            for model in ("student", "baseline")
        }
        assert row.by_tail.seeds[seed] == pytest.approx(means["student"])
        points.append(100 * (means["student"] - means["baseline"]))
    gain = gain_of(block)
    assert gain.over == "baseline 8"
    assert list(gain.seeds.values()) == pytest.approx(points)
    assert gain.over_tails is not None
    assert gain.over_tails.low < gain.points.mean < gain.over_tails.high
    assert gain.over_tails.low > 0
    assert block.overlap is not None
    ends = t_interval(list(gain.seeds.values()), test_to_train=block.overlap.test_to_train)
    assert ends is not None
    assert gain.over_seeds == Interval.of(ends)
    assert not [note for note in block.notes if "rankings" in note or "ranking.parquet" in note]


def test_a_student_stands_against_every_heuristic_of_its_run(ranked: RunDirectory) -> None:
    block = block_of(ranked)
    score = row_of(block, "student").by_tail
    assert score is not None
    assert [gain.over for gain in score.heuristics] == ["neighbours", "popularity"]
    assert [round(gain.points.mean / 5) for gain in score.heuristics] == [3, -3]
    against = next(grid for grid in grids(block) if "without training" in grid.title)
    assert against.headings == ["model", "neighbours", "popularity"]
    assert [row[0] for row in against.rows] == ["teacher 12", "baseline 8", "flykd"]
    assert against.rows[-1][1].startswith("+1")
    assert against.caption.endswith("flykd beats neighbours; falls behind popularity.")
    heuristic = row_of(block, "neighbours").by_tail
    assert heuristic is not None
    assert heuristic.heuristics == []


def test_only_some_tails_are_ranked(ranked: RunDirectory) -> None:
    ids = frozenset(f"T{i:04d}" for i in range(30))
    score = row_of(block_of(ranked, only=Restriction("some.csv", ids)), "student").by_tail
    frame = pl.read_parquet(ranked.ranking(45, "test")).filter(pl.col("tail_id").is_in(list(ids)))
    assert score is not None
    assert score.seeds[45] == pytest.approx(
        np.mean([part["student"].cast(pl.Float64).mean() for _, part in frame.group_by("relation")])
    )


def test_validation_has_rankings_of_its_own(ranked: RunDirectory) -> None:
    results = read_results(ranked.results)
    seeds = {
        seed: {name: msgspec.structs.replace(model, validation=model.test) for name, model in models.items()}
        for seed, models in results.seeds.items()
    }
    write_results(ranked, msgspec.structs.replace(results, seeds=seeds))
    for seed in SEEDS:
        ranked.scores(seed, "validation").write_bytes(ranked.test_scores(seed).read_bytes())
    assert row_of(block_of(ranked, part="validation"), "student").by_tail is None
    put_rankings(ranked, MEANS | {"student": 0.35}, part="validation")
    block = block_of(ranked, part="validation")
    assert gain_of(block).points.mean == pytest.approx(-5, abs=1.5)
    assert "Validation AP per disease, per cent" in [grid.title for grid in grids(block)]


def test_a_model_that_runs_share_is_read_where_rankings_are(ranked: RunDirectory, runs: Path) -> None:
    old = comparable_run(runs, "basic-1", "basic-kd", seeds=SEEDS)
    for first, second in ((old, ranked), (ranked, old)):
        block = block_of(first, second)
        assert row_of(block, "baseline").by_tail is not None
        by_label = {row.label: row.by_tail for row in block.rows}
        assert by_label["flykd"] is not None
        assert by_label["basic-kd"] is None


# What is missing or damaged


def test_an_old_run_is_compared_as_before_and_says_what_is_missing(runs: Path) -> None:
    run = comparable_run(runs, "flykd-1", seeds=SEEDS)
    block = block_of(run)
    assert all(row.by_tail is None for row in block.rows)
    (note,) = [note for note in block.notes if "ranking.parquet" in note]
    assert note == (
        "No test-ranking.parquet: flykd-1 (seeds: 45–47). AP per disease, its gains and intervals are left out there; "
        "resuming the run writes it (flykd-console run --resume RUN)."
    )
    assert not [grid.title for grid in grids(block) if " AP " in grid.title]


def test_results_that_disagree_with_their_rankings_are_told(ranked: RunDirectory) -> None:
    frame = pl.read_parquet(ranked.ranking(46, "test"))
    frame.with_columns(student=pl.col("student") * 0.5).write_parquet(ranked.ranking(46, "test"))
    (note,) = [note for note in block_of(ranked).notes if "its rankings" in note]
    assert note.startswith("flykd, seed 46: results.json gives an AP of 0.4")


def _nan(frame: pl.DataFrame) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return frame.with_columns(student=pl.when(first).then(float("nan")).otherwise("student").cast(pl.Float32))


DAMAGES: list[tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = [
    (_nan, "the student's average precisions are not all numbers between 0 and 1"),
    (lambda f: f.with_columns(student=pl.lit(None, pl.Float32)), "are not all numbers between 0 and 1"),
    (lambda f: f.with_columns(student=pl.col("student") + 1), "are not all numbers between 0 and 1"),
    (lambda f: f.with_columns(student=pl.lit("x")), "the column 'student' holds no numbers"),
    (lambda f: f.drop("student"), "has no column 'student'"),
    (lambda f: f.drop("true"), "has no column 'true'"),
    (lambda f: pl.concat([f, f.head(1)]), "names a disease of a relation twice"),
    (lambda f: f.filter(pl.col("relation") == f["relation"][0]), "has no disease of the relation"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_file_is_one_line(
    ranked: RunDirectory,
    damage: Callable[[pl.DataFrame], pl.DataFrame],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = ranked.ranking(46, "test")
    damage(pl.read_parquet(path)).write_parquet(path)
    assert call("compare", "flykd-1", "--resamples", "100") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "seed-46/test-ranking.parquet: " in err
    assert message in err


def test_runs_that_rank_other_tails_are_refused(ranked: RunDirectory, runs: Path) -> None:
    other = comparable_run(runs, "basic-1", "basic-kd", seeds=SEEDS)
    put_rankings(other, {"teacher": 0.5, "baseline": 0.4, "student": 0.45})
    block_of(ranked, other)
    frame = pl.read_parquet(other.ranking(46, "test"))
    frame.with_columns(true=pl.col("true") + 1).write_parquet(other.ranking(46, "test"))
    with pytest.raises(UserError, match="basic-1: ranks other tails than flykd-1, or with other true pairs"):
        block_of(ranked, other)


# The forms


def test_every_form_carries_it(ranked: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compare", "flykd-1", "--resamples", "200", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["blocks"][0]["rows"]
    student = next(row for row in rows if row["model"] == "student")
    gain = student["by_tail"]["gain"]
    assert {"over_tails", "over_seeds", "over_seeds_uncorrected"} <= set(gain)
    assert gain["over_seeds"]["margin"] == max(abs(gain["over_seeds"]["low"]), abs(gain["over_seeds"]["high"]))

    assert call("compare", "flykd-1", "--resamples", "200", "--csv") == 0
    found = {
        (r["model"], r["figure"], r["relation"], r["seed"]): r
        for r in csv.DictReader(io.StringIO(capsys.readouterr().out))
    }
    cell = found["flykd", "ap gain points, test tails", "over baseline 8", ""]
    assert float(cell["low"]) == pytest.approx(gain["over_tails"]["low"])
    assert cell["unit"] == "points"
    assert found["flykd", "ap by tail", "macro", "45"]["unit"] == "fraction"
    assert ("flykd", "ap over heuristic points, seeds", "over popularity", "") in found

    assert call("compare", "flykd-1", "--resamples", "200", "--markdown") == 0
    text = capsys.readouterr().out
    for title in ("Test AP per disease, per cent", "Gain in AP over", "AP against scorers without training"):
        assert f"### {title}" in text


def test_the_headline_has_one_table_where_it_is_ap(ranked: RunDirectory) -> None:
    write_results(ranked, msgspec.structs.replace(read_results(ranked.results), headline="macro_ap"))
    titles = [grid.title for grid in grids(block_of(ranked))]
    assert "Test AP, per cent" not in titles
    ranked.ranking(45, "test").unlink()
    assert next(iter(grids(block_of(ranked)))).title == "Test AP, per cent"


# The whole matrix


def put_matrix(directory: RunDirectory, model: str, commonality: Mapping[int, Mapping[int, float]]) -> None:
    """Give a model a matrix in every seed: recall 0.1, 0.2, ... in their order."""
    results = read_results(directory.results)
    seeds = dict(results.seeds)
    for place, seed in enumerate(map(int, results.seeds), start=1):
        cut = MatrixCut(
            recall=0.1 * place, ideal_recall=0.9, heads=3, tails=1234, head_entropy=0.25, tail_entropy=0.75,
            commonality=dict(commonality.get(seed, {})),
        )  # fmt: skip
        matrix = {r: MatrixScores(pairs=9999, true=40, heads=40, tails=60, at={1000: cut}) for r in ("indication",)}
        models = dict(seeds[str(seed)])
        models[model] = msgspec.structs.replace(
            models[model], test=msgspec.structs.replace(models[model].test, matrix=matrix)
        )
        seeds[str(seed)] = models
    write_results(directory, msgspec.structs.replace(results, seeds=seeds))


def test_the_whole_matrix_has_two_tables_a_relation(ranked: RunDirectory) -> None:
    put_matrix(ranked, "student", {46: {45: 0.5}, 47: {45: 0.3, 46: 0.1}})
    block = block_of(ranked)
    worth, variety = (grid for grid in grids(block) if "whole matrix" in grid.title)
    assert worth.headings == ["model", "n = 1\u202f000"]
    assert worth.rows == [["flykd", "20.00 ± 10.00\ncommon 30.0"], ["the best order", "90.00"]]
    assert variety.rows == [["flykd", "3 (0.25)\n1\u202f234 (0.75)"]]
    assert "drug" in variety.caption
    assert "disease" in variety.caption
    cut = row_of(block, "student").matrix["indication"][1000]
    assert (cut["recall"].mean, cut["commonality"].n) == (pytest.approx(0.2), 3)


def test_commonality_is_with_seeds_that_are_compared(ranked: RunDirectory, runs: Path) -> None:
    put_matrix(ranked, "student", {46: {45: 0.5}, 47: {45: 0.3, 46: 0.1}})
    block = block_of(ranked, comparable_run(runs, "other-1", "lsp", seeds=(45, 46)))
    cut = row_of(block, "student").matrix["indication"][1000]
    assert (cut["commonality"].mean, cut["commonality"].n, cut["recall"].n) == (0.5, 1, 2)


def test_a_matrix_is_for_other_programs_too_and_absent_where_tails_are_restricted(ranked: RunDirectory) -> None:
    assert not [grid for grid in grids(block_of(ranked)) if "whole matrix" in grid.title]
    put_matrix(ranked, "student", {46: {45: 0.5}})
    rows = list(csv.DictReader(io.StringIO(to_csv(compare(load_runs([ranked]), resamples=100)))))
    found = {row["figure"]: row for row in rows if row["figure"].startswith("matrix")}
    assert float(found["matrix recall at 1000"]["value"]) == pytest.approx(0.2)
    assert found["matrix recall at 1000"]["unit"] == "fraction"
    assert found["matrix heads at 1000"]["unit"] == "nodes"
    only = Restriction("ids.csv", frozenset(pl.read_parquet(ranked.labels(45))["tail_id"]))
    assert row_of(block_of(ranked, only=only), "student").matrix == {}
