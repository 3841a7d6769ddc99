"""`verify` says of a sound run that all of it is as claimed, and names the first thing of a damaged one that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from exporters.bundle import export_run
from flykd_console.cli.app import main
from flykd_console.runs.directory import RunDirectory
from flykd_console.training import worker
from tests.support.finished_run import RunSpec, make_finished_run
from tests.support.tiny_run import make_run, small_kg, tiny_profile


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.fixture
def trained(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    run = make_run(runs, tiny_profile(small_kg(tmp_path)))
    assert worker.main([str(run.path)]) == 0
    export_run(run)
    return run


def test_a_trained_and_exported_run_is_what_it_claims(
    trained: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("verify", trained.name) == 0
    out = capsys.readouterr().out
    assert "✗" not in out
    for name in ("profile", "event log", "tensor files", "stored scores", "log and results", "bundle's scores"):
        assert f"✓ {name}" in out
    assert call("verify", str(trained.export)) == 0
    assert call("verify", str(trained.export), "--retrain", "45") == 2
    assert call("verify", trained.name, "--retrain", "46") == 2
    capsys.readouterr()
    assert call("verify", trained.name, "--retrain", "45") == 0
    assert "weights of 5 of 5 stages are the same bytes" in capsys.readouterr().out


def _results(run: RunDirectory) -> None:
    text = run.results.read_text()
    figure = json.loads(text)["seeds"]["45"]["student"]["test"]["relations"]["indication"]["auprc"]
    run.results.write_text(text.replace(str(figure), str(figure + 0.01)))


def _scores(run: RunDirectory) -> None:
    frame = pl.read_parquet(run.test_scores(45))
    frame.with_columns(pl.col("student").reverse()).write_parquet(run.test_scores(45))


def _summary(run: RunDirectory) -> None:
    text = json.loads(run.results.read_text())
    text["summary"]["student"]["macro_auprc"]["mean"] += 0.1
    run.results.write_text(json.dumps(text))


def _log(run: RunDirectory) -> None:
    run.events.write_bytes(run.events.read_bytes().replace(b'"kind":"evaluation"', b'"kind":"evaluatiom"'))


def _bundle(run: RunDirectory) -> None:
    path = run.export / "embeddings.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (_results, "stored scores"),
        (_scores, "stored scores"),
        (_summary, "results"),
        (_log, "event log"),
        (_bundle, "bundle's files"),
    ],
)
def test_what_was_changed_since_is_named(
    damage: Callable[[RunDirectory], None], name: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_finished_run(runs, RunSpec(seeds=(45,)))
    export_run(run)
    damage(run)
    assert call("verify", run.name) == 1
    assert f"✗ {name}" in capsys.readouterr().out


def test_scores_that_are_not_those_of_the_results_are_not_compared(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_finished_run(runs, RunSpec(seeds=(45,)))
    _results(run)
    assert call("compare", run.name) == 2
    assert "not those of results.json" in capsys.readouterr().err
