"""Scorers without training as bundles: the scores of the run, from tables; a loss is measured and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from exporters import heuristic_run
from exporters.bundle import export_run
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import find_run
from tests.unit.test_cli_app import call

EXPORTED = ("popularity", "neighbours")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of scorers without training alone, on the embedded graph."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert call("run", "heuristics", "--graph", "embedded", "--seeds", "45") == 0
        found = find_run(None, finished=True)
    return RunDirectory(found.path.absolute())


@pytest.mark.parametrize("name", EXPORTED)
def test_a_bundle_scores_the_test_pairs_as_the_run_did(
    run: RunDirectory, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heuristic_run, "RANKS", (10_000,))
    bundle = export_run(run, model=name, out=tmp_path / "bundle")
    assert bundle.manifest.model == name
    assert bundle.manifest.loss == {}
    stored = pl.read_parquet(run.test_scores(45))
    with Scorer(bundle.path) as scorer:
        for relation in scorer.relations:
            part = stored.filter(pl.col("relation") == relation)
            rows = (
                scorer.heads.rows_of_ids(part["head_id"].to_list()),
                scorer.tails.rows_of_ids(part["tail_id"].to_list()),
            )
            logits, _ = scorer.score(*rows, relation)
            np.testing.assert_allclose(logits, part[name].to_numpy(), rtol=1e-5, atol=1e-6)


def test_popularity_ranks_as_its_column_says_and_keeps_drugs_without_pairs(run: RunDirectory, tmp_path: Path) -> None:
    with Scorer(export_run(run, model="popularity", out=tmp_path / "bundle").path) as scorer:
        ranking = scorer.rank_heads(0, "indication", 10_000)
        assert len(ranking) == len(scorer.heads)
        logits = [line.logit for line in ranking]
        assert logits == sorted(logits, reverse=True)
        for line in ranking:
            shared = logits.index(line.logit) + 1
            assert line.popularity_rank == (shared if line.logit else None)


def test_neighbours_rank_as_their_column_says(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heuristic_run, "RANKS", (10_000,))
    with Scorer(export_run(run, model="neighbours", out=tmp_path / "bundle").path) as scorer:
        ranking = scorer.rank_heads(3, "indication", 10_000)
        ranked = [line.neighbours_rank for line in ranking if line.neighbours_rank]
        assert ranked
        assert ranked == sorted(ranked)


def test_a_table_of_low_rank_says_what_it_loses(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heuristic_run, "RANKS", (2, 8))
    bundle = export_run(run, model="neighbours", out=tmp_path / "bundle", max_loss=100.0)
    loss = bundle.manifest.loss
    assert loss["factorised"] == "the first 2 singular vectors of each relation"
    assert 0.0 < loss["top_20_overlap"] <= 1.0
    assert loss["kendall_tau"] < 1.0
    assert loss["ap"] != loss["ap_float32"]
    assert "2 singular vectors" in (bundle.path / "README.md").read_text()
    again = export_run(run, model="neighbours", out=tmp_path / "again", max_loss=100.0)
    assert (again.path / "embeddings.h5").read_bytes() == (bundle.path / "embeddings.h5").read_bytes()


def test_a_loss_beyond_what_is_allowed_is_refused_and_nothing_is_left(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heuristic_run, "RANKS", (1, 2))
    with pytest.raises(UserError, match=r"a table of rank 2 loses .* points of AP, more than 0"):
        export_run(run, model="neighbours", out=tmp_path / "bundle", max_loss=0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("random", "draws a number"),
        ("shared_neighbours", "counts in the graph"),
        ("disease_popularity", "counts edges of all relations"),
    ],
)
def test_what_has_no_table_is_refused_with_the_reason(run: RunDirectory, tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UserError, match=f"{name} cannot be exported: .*{why}.*popularity, neighbours"):
        export_run(run, model=name, out=tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_not_averaged_and_must_be_there(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trains nothing that could be averaged"):
        export_run(run, model="popularity", out=tmp_path / "bundle", ensemble=True)
    with pytest.raises(UserError, match="seed 46 has no finished popularity"):
        export_run(run, model="popularity", out=tmp_path / "bundle", seed=46)


def test_a_quarter_of_the_bits_is_measured_too(run: RunDirectory, tmp_path: Path) -> None:
    bundle = export_run(run, model="popularity", out=tmp_path / "bundle", dtype="int8", max_loss=100.0)
    assert bundle.manifest.dtype == "int8"
    assert bundle.manifest.loss["top_20_overlap"] > 0.5
