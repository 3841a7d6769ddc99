"""`score --pairs --evaluate` and `compare --pairs`: a list with outcomes against a bundle's and runs' models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from exporters.bundle import export_run
from exporters.scorer import Scorer
from flykd_console.profile.sections import HEURISTICS
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.worker import main as train
from tests.support.small_graph import kin_graph, write_kg_csv
from tests.unit.test_cli_app import call

PROFILE = """
[run]
name = "{name}"
seeds = {seeds}
models = ["baseline"]
[graph]
source = "{source}"
[student]
dim = 8
[pretrain]
epochs = 0
[finetune]
epochs = 4
validate_every = 4
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("listed")
    source = write_kg_csv(kin_graph(), root / "kg.csv")
    for name, seeds in (("one", "[45, 46]"), ("job", "[47]")):
        directory = RunDirectory(root / name)
        directory.path.mkdir()
        directory.profile.write_text(PROFILE.format(name=name, seeds=seeds, source=source))
        assert train([str(directory.path)]) == 0
    export_run(RunDirectory(root / "one"), seed=45)
    return root


@pytest.fixture
def listed(made: Path, tmp_path: Path) -> Path:
    """Sixty indications and as many other pairs, some of them named in other spellings, one not in the graph."""
    run = RunDirectory(made / "one")
    labels = pl.read_parquet(run.labels(45)).filter(pl.col("relation") == "indication")
    true = set(zip(labels["head_id"], labels["tail_id"], strict=True))
    rng = np.random.default_rng(0)
    rows = ["drug_id\tdisease_id\toutcome"]
    for number, (head, tail) in enumerate(sorted(true)):
        rows.append(f"{head.lower()}\t{tail}\t{'approved' if number % 5 else 'in trial'}")
    false = {(f"DR{h:04d}", f"DI{t:04d}") for h, t in rng.integers(0, (40, 60), size=(90, 2))} - true
    rows += [f"{head}\t{tail}\tfailed" for head, tail in sorted(false)]
    rows += ["DR0000\tMONDO:9999999\tfailed", rows[1]]
    path = tmp_path / "trials.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_bundle_is_held_against_a_list(made: Path, listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(made / "one" / "export")
    arguments = ("score", bundle, "--pairs", str(listed), "--evaluate", "--relation", "drug|indication|disease")
    assert call(*arguments, "--json") == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert (table["relation"], [one["model"] for one in table["models"]]) == (
        "indication",
        ["baseline", "popularity", "neighbours"],
    )
    notes = " ".join(table["notes"])
    assert "1 row left out that name a node which is not there, first 'MONDO:9999999'." in notes
    assert "1 row left out that repeat a pair." in notes
    assert "pairs left out that indication is trained on" in notes
    rows = [line.split("\t") for line in listed.read_text().splitlines()[1:-2]]
    with Scorer(bundle) as scorer:
        known = set(map(tuple, scorer.training_pairs("indication").tolist()))
        asked = [
            (scorer.heads.find(head), scorer.tails.find(tail), outcome)
            for head, tail, outcome in rows
            if outcome != "in trial" and scorer.heads.known(head) is not None and scorer.tails.known(tail) is not None
        ]
        asked = [one for one in asked if one[:2] not in known]
        asked = [
            one
            for one in asked
            if one[0] not in scorer.unembedded("head", "indication")
            and one[1] not in scorer.unembedded("tail", "indication")
        ]
        logits, _ = scorer.score([one[0] for one in asked], [one[1] for one in asked], "indication")
    expected = roc_auc_score([one[2] == "approved" for one in asked], logits)
    auroc = table["models"][0]["auroc"]
    assert auroc["value"] == pytest.approx(expected, abs=1e-6)
    assert auroc["low"] <= auroc["value"] <= auroc["high"]
    assert call(*arguments) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Within the list" in out
    for outcome in ("Positive", "In trial", "Negative"):
        assert f"{outcome} pairs against all others" in out


def test_runs_are_held_against_a_list_with_their_heuristics_and_seeds(
    made: Path, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(made / "one"), str(made / "job")]
    arguments = ("compare", *names, "--pairs", str(listed), "--relation", "indication", "--resamples", "100")
    assert call(*arguments, "--json") == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert (table["of"], table["seeds"]) == ("one and 1 more", [45, 46, 47])
    assert [one["model"] for one in table["models"]] == ["baseline", *HEURISTICS]
    assert call(*arguments) == 0
    assert "one and 1 more, seeds 45, 46, 47: indication" in capsys.readouterr().out


def test_rows_of_other_relations_are_counted_and_left_out(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"DR{n:04d},DI{n:04d},1,indication" for n in range(30)] + ["DR0001,DI0002,1,cures"]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["drug,disease,outcome,relation", *rows]) + "\n")
    for arguments in (
        ("score", str(made / "one" / "export"), "--pairs", str(path), "--evaluate"),
        ("compare", str(made / "one"), "--pairs", str(path), "--resamples", "100"),
    ):
        assert call(*arguments, "--json") == 0
        (table,) = json.loads(capsys.readouterr().out)
        assert table["relation"] == "indication"
        assert "1 row left out of another relation, first 'cures'." in table["notes"]


def test_where_the_graph_is_gone_popularity_stays(
    made: Path, listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(made / "one", moved)
    text = (moved / "profile.toml").read_text().replace("kg.csv", "gone.csv")
    (moved / "profile.toml").write_text(text)
    assert call("compare", str(moved), "--pairs", str(listed), "--resamples", "100", "--json") == 0
    tables = json.loads(capsys.readouterr().out)
    assert {table["relation"] for table in tables} == {"contraindication", "indication"}
    for table in tables:
        assert [one["model"] for one in table["models"]] == ["baseline", "popularity"]
        assert "Of heuristics only popularity is shown" in " ".join(table["notes"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drug,disease\nDR0001,DI0001\n", "has no column of outcomes"),
        ("drug,disease,outcome\nDR0001,DI0001,maybe\n", "line 2 has the outcome 'maybe'"),
        ("drug,disease,outcome\nX,DI0001,1\n", "no pair of it can be asked"),
        ("drug,disease,outcome\nDR0001,DI0001,1\nDR0001,DI0001,0\n", "line 3 gives DR0001 with DI0001 another outcome"),
    ],
)
def test_lists_that_cannot_be_asked_are_refused(
    made: Path, tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    for arguments in (
        ("score", str(made / "one" / "export"), "--pairs", str(path), "--evaluate"),
        ("compare", str(made / "one"), "--pairs", str(path)),
    ):
        assert call(*arguments) == 2
        assert says in " ".join(capsys.readouterr().err.split())


def test_options_that_do_not_go_together_are_refused(made: Path, listed: Path) -> None:
    run = str(made / "one")
    assert call("score", str(made / "one" / "export"), "--evaluate", "--disease", "DI0001") == 2
    assert call("compare", run, "--pairs", str(listed), "--csv") == 2
    assert call("compare", run, "--relation", "indication") == 2
    assert call("compare", run, "--pairs", str(listed), "--relation", "cures") == 2
