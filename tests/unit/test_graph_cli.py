"""`flykd-console graph info` and `graph make`."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from flykd_console.cli.graph import app
from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.sources.embedded import embedded_graph
from flykd_console.graph.summary import summarise
from tests.support.graph_files import Row, both_ways, write_rows


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLYKD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_info_counts_degrees_and_components(tmp_path: Path) -> None:
    rows: list[Row] = both_ways(
        [
            ("indication", "drug", "D1", "disease", "1"),
            ("contraindication", "drug", "D1", "disease", "1"),
            ("indication", "drug", "D2", "disease", "1"),
            ("indication", "drug", "D3", "disease", "2"),
            ("disease_disease", "disease", "3", "disease", "2"),
        ]
    )
    summary = summarise(read_kg(write_rows(tmp_path / "kg.csv", rows)))
    diseases = next(node for node in summary.node_types if node.type == "disease")
    assert (diseases.nodes, diseases.isolated, diseases.max_degree) == (3, 0, 3)
    assert (diseases.most_connected, diseases.mean_degree) == ("name of 1", 2.0)
    indication = next(row for row in summary.relations if row.relation == "indication")
    assert (indication.edges, indication.heads, indication.tails, indication.max_in) == (3, 3, 2, 2)
    (labels,) = summary.labels
    assert labels.relations == ["contraindication", "indication"]
    assert (labels.pairs, labels.in_several, labels.heads, labels.tails) == (3, 1, 3, 2)
    assert (labels.components, labels.largest) == (2, 3)


def test_info_shows_every_type_and_relation() -> None:
    result = run("info")
    assert "embedded: 4\u202f500 nodes, 66\u202f250 edges" in result.stdout
    for text in ("gene/protein", "biological_process", "off-label use", "anatomy_protein_present", "drug → disease"):
        assert text in result.stdout


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_info_never_cuts_a_number(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    line = next(line for line in run("info").stdout.splitlines() if line.strip().startswith("protein_protein"))
    assert "7\u202f500" in line
    assert len(line) <= columns


@pytest.mark.parametrize("columns", [80, 120])
def test_info_cuts_no_name(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run("info").stdout
    assert "…" not in shown
    words = {word for node in summarise(embedded_graph()).node_types for word in node.most_connected.split()}
    assert [word for word in words if word not in shown] == []


def test_info_as_json() -> None:
    found = json.loads(run("info", "--json").stdout)
    graph = embedded_graph()
    assert found["fingerprint"] == graph.fingerprint
    assert (found["nodes"], found["edges"]) == (graph.node_count, graph.edge_count)
    assert len(found["relations"]) == 30


def test_info_on_a_graph_without_drug_disease_labels(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "kg.csv", [("likes", "person", "[red]a[/red]", "person", "b")])
    result = run("info", str(path))
    assert "likes" in result.stdout
    assert "component" not in result.stdout


def test_info_names_nodes_whose_ids_look_like_one(tmp_path: Path) -> None:
    rows: list[Row] = both_ways(
        [
            ("indication", "drug", "D1", "disease", "1035"),
            ("disease_disease", "disease", "1035.0", "disease", "7.0"),
            ("disease_disease", "disease", "MONDO:0000007", "disease", "8"),
        ]
    )
    path = str(write_rows(tmp_path / "kg.csv", rows))
    said = " ".join(run("info", path).stdout.split())
    assert "Suspicious: 2 times several disease nodes look like one under different spellings of its id" in said
    assert "'1035' and '1035.0'; '7.0' and 'MONDO:0000007'." in said
    (twins,) = json.loads(run("info", path, "--json").stdout)["twins"]
    assert twins == {"type": "disease", "groups": 2, "examples": [["1035", "1035.0"], ["7.0", "MONDO:0000007"]]}
    assert "Suspicious" not in run("info").stdout


def test_info_on_what_is_not_there() -> None:
    for arguments in (["info", "nowhere.csv"], ["info", "primekg"], ["info", "synthetic", "--scale", "100"]):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, UserError), arguments


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_make_writes_a_graph_that_reads_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"kg{ending}"
    result = run("make", str(path), "--embedded")
    assert "132\u202f500 rows" in result.stdout
    assert read_kg(path).fingerprint == embedded_graph().fingerprint


def test_make_takes_scale_and_seed(tmp_path: Path) -> None:
    for name, seed in (("a.parquet", "1"), ("b.parquet", "1"), ("c.parquet", "2")):
        run("make", str(tmp_path / name), "--scale", "0.01", "--seed", seed)
    first, second, third = (read_kg(tmp_path / name).fingerprint for name in ("a.parquet", "b.parquet", "c.parquet"))
    assert first == second != third


def test_make_refuses_to_overwrite_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv"
    path.write_text("precious")
    refused = CliRunner().invoke(app, ["make", str(path), "--scale", "0.01"])
    assert isinstance(refused.exception, UserError)
    assert path.read_text() == "precious"
    run("make", str(path), "--scale", "0.01", "--force")
    assert read_kg(path).edge_count > 10_000


def test_info_lists_columns_of_evidence_with_their_range_and_whose_rows_lack_them(tmp_path: Path) -> None:
    rows = both_ways([("indication", "drug", "d0", "disease", "s0"), ("causes", "gene", "g0", "disease", "s0")])
    table = pl.read_csv(write_rows(tmp_path / "plain.csv", rows), infer_schema=False)
    years = pl.Series("year", ["2012", None, "2009", None])
    level = pl.Series("knowledge_level", ["prediction", "assertion", "prediction", ""])
    path = tmp_path / "kg.csv"
    table.with_columns(years, level, seen=pl.lit("2012-05-01"), score=pl.lit("0.5")).write_csv(path)
    found = run("info", str(path), "--json", "--no-cache")
    assert found.exit_code == 0, found.output
    told = {one["name"]: one for one in json.loads(found.stdout)["evidence"]}
    assert list(told) == ["year", "knowledge_level", "seen", "score"]
    assert (told["year"]["kind"], told["year"]["least"], told["year"]["largest"]) == ("date", "2009", "2012")
    assert told["year"]["relations"] == {"indication": 1.0}
    assert (told["year"]["rows"], told["year"]["filled"]) == (4, 2)
    assert (told["knowledge_level"]["kind"], told["knowledge_level"]["examples"]) == (
        "text",
        ["prediction", "assertion"],
    )
    assert (told["seen"]["kind"], told["seen"]["least"]) == ("date", "2012-05-01")
    assert told["score"]["kind"] == "number"
    shown = run("info", str(path), "--no-cache")
    assert "Columns of time and evidence" in shown.output
    assert "2009 to 2012" in shown.output
    assert "indication 100%" in shown.output
    plain = run("info", str(tmp_path / "plain.csv"), "--no-cache")
    assert "Columns of time" not in plain.output
