"""Networks with everything that the paper's have not, from profile to scores of the exported bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from exporters.bundle import export_run
from exporters.scorer import Scorer
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from tests.support.loops import at, stop
from tests.support.tiny_run import MODELS, make_run, small_kg, tiny_profile

EVERYTHING = {
    "biases": "both",
    "popularity": 0.5,
    "aggregation": "log",
    "self_loop": True,
    "inputs": "learnt",
    "degrees": True,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "teacher": {"dim": 14} | EVERYTHING,
    "student": {"dim": 12} | EVERYTHING,
    "negatives": {
        "replace": "both",
        "ratio": 3,
        "candidates": "linked",
        "distribution": "degree",
        "loss": "self_adversarial",
    },
    "graph": {"pooling": {"all_relations": True, "weights": "rarity", "neighbours": 20}},
}


def _run(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    settings = SETTINGS | sections
    graph = {"source": str(small_kg(root.parent))} | settings["graph"]
    return make_run(root, tiny_profile(small_kg(root.parent), **(settings | {"graph": graph})))


def _trained(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    directory = _run(root, **sections)
    assert worker.main([str(directory.path), "--fresh"]) == 0
    return directory


@pytest.mark.parametrize(("stage", "after"), [("pretrain-student", 1), ("baseline", 5), ("student", 7)])
def test_a_stopped_run_resumes_bit_for_bit(
    stage: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _trained(tmp_path / "whole")
    directory = _run(tmp_path / "runs")
    with monkeypatch.context() as patched:
        at(patched, stage, after, stop)
        assert worker.main([str(directory.path)]) == 130
    assert directory.state(45, stage).is_file()
    assert worker.main([str(directory.path)]) == 0
    for model in MODELS:
        expected, found = (load_file(run.weights(45, model)) for run in (whole, directory))
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("model", MODELS)
def test_a_bundle_scores_as_the_run_did(model: str, tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    bundle = export_run(directory, model=model, out=tmp_path / "bundle")
    with Scorer(bundle.path) as scorer:
        for relation in ("indication", "contraindication"):
            scores = pl.read_parquet(directory.test_scores(45)).filter(pl.col("relation") == relation)
            pairs = scorer.score_pairs(list(scores.select("head_id", "tail_id").iter_rows()), relation)
            np.testing.assert_allclose([pair.logit for pair in pairs], scores[model].to_numpy(), atol=1e-5)
    tensors = load_file(directory.weights(45, model))
    assert tensors["biases.head"].std() > 0
    assert tensors["biases.tail"].any()


def test_the_oracle_ends_with_the_same_scores(tmp_path: Path) -> None:
    segments = _trained(tmp_path / "runs")
    dgl = _trained(tmp_path / "runs", engine={"propagation": "dgl", "threads": 1})
    a, b = (read_results(directory.results).seeds["45"] for directory in (segments, dgl))
    for model in MODELS:
        assert a[model].test.macro_auprc == pytest.approx(b[model].test.macro_auprc, abs=2e-3)


@pytest.mark.parametrize(
    "negatives",
    [
        {"loss": "softmax", "replace": "head", "ratio": 4, "temperature": 0.5},
        {"loss": "margin", "replace": "both", "ratio": 2},
        {"replace": "both", "candidates": "linked"},
    ],
)
def test_every_loss_falls_from_profile_to_results(negatives: dict[str, Any], tmp_path: Path) -> None:
    epochs = {"epochs": 30, "lr": 0.01, "validate_every": 10, "plateau": {"last_epochs": 4}}
    directory = _trained(tmp_path / "runs", negatives=negatives, finetune=epochs, run={"models": ["baseline"]})
    losses = pl.read_ndjson(directory.events, infer_schema_length=None).filter(
        (pl.col("stage") == "baseline") & pl.col("losses").is_not_null()
    )["losses"]
    totals = [row["total"] for row in losses]
    assert len(totals) == 30
    assert totals[-1] < 0.9 * totals[0]
    assert set(read_results(directory.results).seeds["45"]) == {"baseline"}
