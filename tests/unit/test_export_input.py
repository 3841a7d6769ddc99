"""A run that cannot be exported says so in one line that names the place, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from exporters.bundle import export_run
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

Change = Callable[[RunDirectory], object]


def edit_table(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


def edit_tensors(run: RunDirectory, change: Callable[[dict[str, NDArray[Any]], dict[str, str]], object]) -> None:
    path = run.embeddings(45, "student")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


CASES: dict[str, tuple[Change, str]] = {
    "no results": (lambda r: r.results.unlink(), "no finished seed yet .*run --resume"),
    "broken results": (lambda r: r.results.write_text("{"), "results.json: the file is damaged"),
    "no student": (lambda r: r.embeddings(45, "student").unlink(), "no seed of this run has a finished student"),
    "no nodes": (lambda r: r.nodes.unlink(), "nodes.parquet: the file is missing"),
    "no labels": (lambda r: r.labels(45).unlink(), "labels.parquet: the file is missing"),
    "no scores": (lambda r: r.test_scores(45).unlink(), "test-scores.parquet: the file is missing"),
    "no profile": (lambda r: r.profile.unlink(), "profile.toml: the file is missing"),
    "broken profile": (lambda r: r.profile.write_text("= 3"), "profile.toml: is not valid TOML"),
    "broken environment": (lambda r: r.environment.write_text("[1]"), "environment.json: is not a JSON object"),
    "cut nodes": (lambda r: cut(r.nodes), "nodes.parquet: the table cannot be read"),
    "cut embeddings": (
        lambda r: cut(r.embeddings(45, "student")),
        "student.embeddings.safetensors: the embeddings cannot",
    ),
    "no column": (
        lambda r: edit_table(r.test_scores(45), lambda t: t.drop("student", "label")),
        "test-scores.parquet: the table lacks the column label, student",
    ),
    "no nodes of a type": (
        lambda r: edit_table(r.nodes, lambda t: t.filter(pl.col("type") == "drug")),
        "nodes.parquet: holds no nodes of type 'disease'",
    ),
    "a gap in the indices": (
        lambda r: edit_table(r.nodes, lambda t: t.with_columns(pl.col("index") + 1)),
        "the indices of 'drug' are not 0 to 29",
    ),
    "a repeated id": (
        lambda r: edit_table(r.nodes, lambda t: t.with_columns(id=pl.lit("H1"))),
        "ids of 'drug' are empty or repeated",
    ),
    "a node too few": (
        lambda r: edit_table(r.nodes, lambda t: t.filter(pl.col("id") != "H0029")),
        "connections.parquet, drug: names a node beyond the 29 that there are",
    ),
    "an unknown id": (
        lambda r: edit_table(r.labels(45), lambda t: t.with_columns(tail_id=pl.lit("T9999"))),
        "labels.parquet: the tail 'T9999' is not in nodes.parquet",
    ),
    "a strange part": (
        lambda r: edit_table(r.labels(45), lambda t: t.with_columns(part=pl.lit("holdout"))),
        "'holdout' is none of train, validation, test",
    ),
    "no negatives": (
        lambda r: edit_table(r.test_scores(45), lambda t: t.filter(pl.col("label") == 1)),
        "'contraindication' has no positive or no negative test pairs",
    ),
    "a NUL in a name": (
        lambda r: edit_table(r.nodes, lambda t: t.with_columns(name=pl.lit("a\0b"))),
        "the name of drug number 0 holds a NUL",
    ),
    "no tensor": (
        lambda r: edit_tensors(r, lambda t, _: t.pop("relation/indication")),
        "the tensor 'relation/indication' is missing",
    ),
    "a tensor of another width": (
        lambda r: edit_tensors(r, lambda t, _: t.update({"relation/indication": np.zeros(9, dtype=np.float32)})),
        r"relation/indication is float32 \[9\] where the node tables ask for float32 \[8\]",
    ),
    "a tensor of another type": (
        lambda r: edit_tensors(r, lambda t, _: t.update({"head.embedding": t["head.embedding"].astype(np.float16)})),
        "head.embedding is float16",
    ),
    "no metadata": (lambda r: edit_tensors(r, lambda _, m: m.pop("relations")), "lacks usable metadata"),
    "a newer form": (
        lambda r: edit_tensors(r, lambda _, m: m.update(schema="2")),
        "is of schema 2, this program reads 1",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_cannot_be_exported_says_why(case: str, tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    change, says = CASES[case]
    change(run)
    with pytest.raises(UserError, match=says) as caught:
        export_run(run)
    assert "\n" not in str(caught.value)
    assert not run.export.exists()
    assert not list(run.path.glob(".export*"))


def test_a_run_without_environment_or_validation_figures_still_exports(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45, 46), probe=8))
    run.environment.unlink()
    results = json.loads(run.results.read_text())
    for models in results["seeds"].values():
        models["student"]["validation"] = {}
    run.results.write_text(json.dumps(results))
    manifest = export_run(run).manifest
    assert manifest.seeds == [45]
    assert "no validation figures" in manifest.seed_choice
    assert manifest.split_sha256 == ""


def test_a_graph_file_is_named_without_its_folder(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    results = json.loads(run.results.read_text())
    results["graph"]["source"] = "/home/someone/data/kg.csv.gz"
    run.results.write_text(json.dumps(results))
    made = export_run(run)
    assert made.manifest.graph["source"] == "kg.csv.gz"
    assert not [path.name for path in made.path.iterdir() if b"someone" in path.read_bytes()]
    assert "The graph is made up" not in (made.path / "README.md").read_text()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written there"):
        export_run(run, out=tmp_path / "file" / "bundle")
