"""Whole runs under splits that the paper does not use: without a test part, and with parts and negatives from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from exporters.bundle import export_run
from flykd_console.cli.app import app
from flykd_console.cli.tables import ranking_table, relations_table, results_table
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.split.make import split_graph
from flykd_console.profile import sections
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile
from tests.unit.test_split_files import write_pairs, write_parts

SHORT: dict[str, dict[str, Any]] = {
    "pretrain": {"epochs": 0},
    "finetune": {"epochs": 2, "validate_every": 1},
    "distill": {"epochs": 2, "random_graph": {"labels_per_relation": 50}},
}


def trained(root: Path, **split: Any) -> RunDirectory:
    directory = make_run(root, tiny_profile(small_kg(root.parent), split=split, **SHORT))
    assert worker.main([str(directory.path)]) == 0
    return directory


def logged(directory: RunDirectory) -> list[str]:
    return [event.message for event in events_of(directory) if isinstance(event, ev.Log)]


def printed(thing: Any) -> str:
    console = Console(width=160, record=True, file=None)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


def test_a_run_without_a_test_part_trains_shows_validation_and_exports(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", kind="full_graph")
    results = read_results(directory.results)
    for model in MODELS:
        result = results.seeds["45"][model]
        assert result.test.macro_auprc is None
        assert result.test.ranking is None
        assert result.validation.macro_auprc is not None
        assert set(result.validation.ranking or {}) == set(result.validation.relations)
    assert results.summary["student"].macro_auprc is None
    assert {e.split for e in events_of(directory) if isinstance(e, ev.Evaluation)} == {"validation"}
    assert "no test part: models are measured on validation alone" in logged(directory)

    shown = printed(results_table(results))
    assert "No test part: validation AUPRC in per cent." in " ".join(shown.split())
    assert f"{100 * (results.seeds['45']['student'].validation.macro_auprc or 0):.2f}" in shown
    assert relations_table(results) is None
    assert ranking_table(results) is None

    assert pl.read_parquet(directory.test_scores(45)).height == 0
    told: dict[str, str] = {}
    bundle = export_run(directory, on_check=lambda check: told.update({check.name: check.detail}))
    assert told["test AUPRC"] == "no test part, so no figure to compare"
    card = (bundle.path / "README.md").read_text()
    assert "The run has no test part: what this model is worth on unseen pairs was not measured." in card


def test_a_run_on_files_measures_every_model_on_the_stored_pairs(tmp_path: Path) -> None:
    graph = read_kg(small_kg(tmp_path))
    targets = graph.targets(["contraindication", "indication"])
    made = split_graph(graph, targets, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    paths["validation"] = paths["test"] = write_pairs(tmp_path, graph, made)
    directory = trained(tmp_path / "runs", kind="files", **paths)

    columns = ["relation", "head_id", "tail_id", "label"]
    given = pl.read_csv(paths["test"]).filter(pl.col("part") == "test").select(columns)
    stored = pl.read_parquet(directory.test_scores(45)).select(columns).cast({"label": pl.Int64})
    assert stored.sort(columns).equals(given.sort(columns))
    labels = pl.read_parquet(directory.labels(45))
    for target in targets:
        for part in ("train", "validation", "test"):
            count = labels.filter((pl.col("relation") == target.relation) & (pl.col("part") == part)).height
            assert count == len(made.part(part)[target][0])
    assert made.in_words.replace("complex_disease", "files") in logged(directory)


def test_ranking_is_stored_per_relation_and_shown(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", kind="disease", diseases=["disease 3", "disease 7", "disease 11"])
    results = read_results(directory.results)
    test = results.seeds["45"]["student"].test
    assert test.ranking is not None
    for relation, ranking in test.ranking.items():
        assert ranking.tails <= 3
        assert 0 < ranking.mrr <= 1
        assert ranking.recall_at_10 <= ranking.recall_at_50 <= ranking.recall_at_100 == 1.0  # of 40 drugs
        spread = results.summary["student"].ranking[relation]["ap"]
        assert spread.mean == pytest.approx(ranking.ap)
    table = ranking_table(results)
    assert table is not None
    shown = printed(table)
    assert "R@100" in shown
    assert f"{100 * next(iter(test.ranking.values())).ap:.2f}" in shown


def test_a_file_at_fault_ends_the_run_with_one_line_before_training(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("a,b\n1,2\n")
    parts = dict.fromkeys(("train", "validation", "test"), str(path))
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path), split={"kind": "files"} | parts))
    assert worker.main([str(directory.path)]) == 2
    last = events_of(directory)[-1]
    assert isinstance(last, ev.RunFailed)
    assert last.traceback == ""
    assert "has neither the columns x_type" in last.error


def test_a_run_without_the_tests_relatives_says_what_left_and_takes_no_model_over(tmp_path: Path) -> None:
    trained(tmp_path / "runs")
    directory = trained(tmp_path / "runs", hops=1)
    results = read_results(directory.results)
    left = results.left_out["45"]
    assert (left.hops, left.over) == (1, ["disease_disease"])
    assert 0 < left.tails <= sum(left.labels.values())
    assert {model.reused_from for model in results.seeds["45"].values()} == {None}
    assert read_results(trained(tmp_path / "runs", hops=1).results).seeds["45"]["baseline"].reused_from

    told = [line for line in logged(directory) if line.startswith("split.hops = 1 over disease_disease: ")]
    assert len(told) == 1
    assert f"{sum(left.labels.values())} labels of {left.tails} nodes" in told[0]
    facts = json.loads(directory.environment.read_text("utf-8"))["left_out"]
    assert facts == {"45": {"hops": 1, "over": left.over, "tails": left.tails, "labels": left.labels}}
    labels = pl.read_parquet(directory.labels(45))
    graph = read_kg(small_kg(tmp_path))
    edges = sum(len(graph.edges[e][0]) for e in graph.edges if e.relation in left.labels)
    assert labels.height == edges - sum(left.labels.values())

    target = directory.path / "report.html"
    assert CliRunner().invoke(app, ["report", str(directory.path), "--out", str(target)]).exit_code == 0
    assert f"{sum(left.labels.values())} labels of {left.tails} nodes within 1" in target.read_text("utf-8")


@pytest.mark.timeout(300)
def test_a_run_by_time_is_trained_gone_on_with_exported_and_compared(tmp_path: Path) -> None:
    graph = pl.read_csv(small_kg(tmp_path), infer_schema=False)
    # Both rows of an edge have one year.
    number = pl.concat_str(pl.min_horizontal("x_id", "y_id"), pl.max_horizontal("x_id", "y_id")).hash(seed=1)
    path = tmp_path / "dated.csv"
    graph.with_columns(year=pl.when(number % 11 != 0).then(2000 + number % 20)).write_csv(path)
    by_time = {"kind": "by_time", "train_until": "2010", "validate_until": "2014"}
    tables = SHORT | {"graph": {"time_column": "year"}, "evaluation": {"heuristics": ["popularity", "neighbours"]}}
    directory = make_run(tmp_path / "runs", tiny_profile(path, split=by_time, **tables))
    assert worker.main([str(directory.path)]) == 0
    said = " ".join(logged(directory))
    assert "edges up to 2010 train, later ones up to 2014 validate" in said
    assert "count as oldest: they have no date" in said
    labels = pl.read_parquet(directory.labels(45))
    years = graph.filter(pl.col("x_type") == "drug").select("relation", head_id="x_id", tail_id="y_id")
    assert labels.join(years, on=["relation", "head_id", "tail_id"], how="semi").height == labels.height
    # A second seed has the same parts, and the first is not trained again.
    resumed = CliRunner().invoke(app, ["run", "--resume", str(directory.path), "--seeds", "46", "--headless"])
    assert resumed.exit_code == 0, resumed.output
    assert pl.read_parquet(directory.labels(46)).equals(labels)
    bundle = export_run(directory)
    assert "by_time: trained on the edges up to a date" in (bundle.path / "README.md").read_text()
    pairs = tmp_path / "pairs.csv"
    labels.filter(pl.col("part") == "test").select("relation", "head_id", "tail_id").write_csv(pairs)
    scored = CliRunner().invoke(app, ["score", str(bundle.path), "--pairs", str(pairs)])
    assert scored.exit_code == 0, scored.output
    compared = CliRunner().invoke(app, ["compare", str(directory.path)])
    assert compared.exit_code == 0, compared.output
