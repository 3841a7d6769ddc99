"""A teacher and a student of different depth, layer kind and width, from profile to scores of the exported bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from exporters.bundle import export_run
from exporters.manifest import CARD
from exporters.scorer import Scorer
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from tests.support.loops import at, stop
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile

SHAPES: dict[str, dict[str, Any]] = {
    "teacher": {"dim": 12, "layers": 3, "kind": "rgat"},
    "student": {"dim": 8, "layers": 1},
}


def _trained(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    directory = make_run(root, tiny_profile(small_kg(root.parent), **(SHAPES | sections)))
    assert worker.main([str(directory.path), "--fresh"]) == 0
    return directory


def _tensors(directory: RunDirectory, stage: str) -> dict[str, torch.Tensor]:
    return load_file(directory.weights(45, stage))


def test_a_deep_attending_teacher_trains_a_shallow_student_and_both_are_recorded(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    teacher, student = _tensors(directory, "teacher"), _tensors(directory, "student")
    assert {name for name in teacher if name.endswith("query")} == {f"layer{n}.query" for n in (1, 2, 3)}
    assert {name.partition(".")[0] for name in student if name.startswith("layer")} == {"layer1"}

    results = read_results(directory.results).seeds["45"]
    shapes = {model: (results[model].layers, results[model].layer_kind, results[model].dim) for model in MODELS}
    assert shapes == {"teacher": (3, "rgat", 12), "baseline": (1, "rgcn", 8), "student": (1, "rgcn", 8)}
    started = {e.stage: (e.layers, e.layer_kind) for e in events_of(directory) if isinstance(e, ev.StageStarted)}
    assert started["pretrain-teacher"] == started["teacher"] == (3, "rgat")
    assert started["student"] == (1, "rgcn")
    losses = [e.losses["total"] for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "teacher"]
    assert losses[-1] is not None
    assert losses[0] is not None
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("stage", "after"), [("pretrain-teacher", 1), ("teacher", 5), ("student", 7)])
def test_a_stopped_run_of_other_depths_resumes_bit_for_bit(
    stage: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _trained(tmp_path / "whole")
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path), **SHAPES))
    with monkeypatch.context() as patched:
        at(patched, stage, after, stop)
        assert worker.main([str(directory.path)]) == 130
    assert directory.state(45, stage).is_file()
    assert worker.main([str(directory.path)]) == 0
    for model in MODELS:
        expected, found = _tensors(whole, model), _tensors(directory, model)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_oracle_ends_with_the_same_scores(tmp_path: Path) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "teacher": {"dim": 12, "layers": 2, "kind": "rgat"},
        "student": {"dim": 8, "layers": 3},
    }
    segments = _trained(tmp_path / "runs", **shapes)
    dgl = _trained(tmp_path / "runs", engine={"propagation": "dgl", "threads": 1}, **shapes)
    a, b = (read_results(d.results).seeds["45"] for d in (segments, dgl))
    for model in MODELS:
        assert a[model].test.macro_auprc == pytest.approx(b[model].test.macro_auprc, abs=1e-3)


def test_stages_are_lent_between_runs_of_equal_depth_and_kind_only(tmp_path: Path) -> None:
    _trained(tmp_path / "runs")
    for changed, reused in (
        ({}, {"teacher", "baseline"}),
        ({"teacher": {"dim": 12, "layers": 3}}, {"baseline"}),
        ({"teacher": {"dim": 12, "layers": 2, "kind": "rgat"}}, {"baseline"}),
        ({"student": {"dim": 8, "layers": 1, "kind": "rgat"}}, {"teacher"}),
    ):
        directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path), **(SHAPES | changed)))
        assert worker.main([str(directory.path)]) == 0
        lent = {e.stage for e in events_of(directory) if isinstance(e, ev.StageFinished) and e.reused_from}
        assert lent & {"teacher", "baseline"} == reused


@pytest.mark.parametrize("model", ["teacher", "student"])
def test_a_model_of_another_shape_is_exported_and_scores_as_the_run_did(model: str, tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    bundle = export_run(directory, model=model, out=tmp_path / "bundle")
    _, _, text = (bundle.path / CARD).read_text().partition("\n# ")
    title, _, card = text.partition("\n")
    assert title.endswith({"teacher": "12 dimensions, 3 rgat layers", "student": "8 dimensions, 1 rgcn layer"}[model])
    assert {"teacher": "network (R-GAT)", "student": "network (R-GCN)"}[model] in card
    scores = pl.read_parquet(directory.test_scores(45)).filter(pl.col("relation") == "indication")
    with Scorer(bundle.path) as scorer:
        pairs = scorer.score_pairs(list(scores.select("head_id", "tail_id").iter_rows()), "indication")
    np.testing.assert_allclose([pair.logit for pair in pairs], scores[model].to_numpy(), atol=1e-5)
    assert json.loads((bundle.path / "manifest.json").read_text())["dim"] == SHAPES[model]["dim"]
