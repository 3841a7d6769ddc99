"""Importing: maps, what is dropped and why, evidence, conditions on it, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from flykd_console.cli.graph import app
from flykd_console.errors import UserError
from flykd_console.graph.imports.maps import Map, read_map, shipped
from flykd_console.graph.imports.report import Imported, beside
from flykd_console.graph.load import load_graph
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.read import import_graph, read_graph
from flykd_console.profile.conditions import Condition
from flykd_console.profile.sections import Graph
from tests.contracts.graph_samples import DISEASE, DRUG, GENE, SAMPLES
from tests.support.graph_files import both_ways, write_rows

RUNNER = CliRunner()
_NODES = [("d1", "SmallMolecule", "one"), ("d2", "SmallMolecule", ""), ("s1", "Disease", "ill"), ("g1", "Gene", "gen")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))


def kgx(folder: Path, edges: list[tuple[Any, ...]], columns: tuple[str, ...] = (), nodes: Any = _NODES) -> Path:
    """A KGX graph of the nodes above; `edges` are (subject, predicate, object, *further)."""
    folder.mkdir(exist_ok=True)
    pl.DataFrame(nodes, ["id", "category", "name"], orient="row").write_csv(folder / "n.tsv", separator="\t")
    names = ["subject", "predicate", "object", *columns]
    pl.DataFrame(edges, names, orient="row").write_csv(folder / "e.tsv", separator="\t")
    return folder


def imported(folder: Path, names: Map | None = None) -> Imported:
    return import_graph([folder], names)


def triples_of(found: Imported) -> list[tuple[str, ...]]:
    return found.table.select("x_id", "relation", "y_id").cast(pl.String).rows()


def map_of(tmp_path: Path, text: str) -> Map:
    (tmp_path / "map.toml").write_text(text)
    return read_map(tmp_path / "map.toml")


def test_every_shipped_map_is_sound() -> None:
    for name in ("optimuskg", "kgx", "hetionet", "drkg"):
        found = shipped(name)
        assert found.licence
        assert set(found.targets) <= set(found.relations.values())


def test_the_shipped_map_gives_primekgs_names(tmp_path: Path) -> None:
    SAMPLES["kgx"](tmp_path)
    report = imported(tmp_path).report
    assert report.targets == ["indication"]
    assert {(r.head, r.relation, r.tail) for r in report.relations} == {
        ("drug", "indication", "disease"),
        ("gene/protein", "disease_protein", "disease"),
    }
    assert report.map == "shipped"


def test_what_is_dropped_is_counted_by_its_first_reason(tmp_path: Path) -> None:
    edges = [
        ("d1", "treats", "s1"),
        ("d1", "treats", "s1"),
        ("d1", "treats", "nobody"),
        ("g1", "affects", "g1"),
        ("d2", "treats", "s1"),
        ("d2", "", "s1"),
    ]
    report = imported(kgx(tmp_path / "g", edges)).report
    assert (report.read, report.kept) == (6, 2)
    assert report.dropped == {
        "an end that is no node": 1, "no relation": 1, "joins a node with itself": 1, "duplicate": 1,
    }  # fmt: skip
    assert report.lost == 3
    assert (report.names_missing, report.without_edge) == (1, 1)


def test_a_silent_loss_is_refused_and_what_the_map_leaves_out_is_none(tmp_path: Path) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1"), ("d1", "treats", "nobody"), ("g1", "affects", "s1")])
    with pytest.raises(UserError, match=r"1 of 3 rows \(33.33 %\) would be lost \(an end that is no node: 1\)"):
        imported(folder).report.check(0.01)
    imported(folder).report.check(0.5)
    with pytest.raises(UserError, match="would be lost"):
        read_graph(folder, "")
    report = imported(folder, map_of(tmp_path, 'drop = ["affects"]')).report
    assert report.dropped["left out by the map"] == 1
    assert report.lost == 1


def test_a_name_between_several_pairs_of_types_is_told_apart(tmp_path: Path) -> None:
    edges = [("d1", "affects", "s1"), ("g1", "affects", "s1"), ("s1", "affects", "g1"), ("d1", "binds", "g1")]
    report = imported(kgx(tmp_path / "g", edges), Map()).report
    assert {(r.head, r.relation, r.tail) for r in report.relations} == {
        ("SmallMolecule", "SmallMolecule_Disease/affects", "Disease"),
        ("Disease", "Disease_Gene/affects", "Gene"),
        ("Gene", "Disease_Gene/affects", "Disease"),
        ("SmallMolecule", "binds", "Gene"),
    }


def test_a_map_names_types_and_relations_and_leaves_out(tmp_path: Path) -> None:
    edges = [("d1", "affects", "s1"), ("g1", "affects", "s1"), ("d1", "binds", "g1")]
    text = """
    drop = ["binds"]
    targets = ["helps"]
    [types]
    SmallMolecule = "drug"
    [relations]
    "drug|affects|Disease" = "helps"
    "Gene|affects|Disease" = "marks"
    """
    found = imported(kgx(tmp_path / "g", edges), map_of(tmp_path, text))
    assert triples_of(found) == [("d1", "helps", "s1"), ("g1", "marks", "s1")]
    assert found.report.targets == ["helps"]
    assert found.report.nodes == {"Disease": 1, "Gene": 1, "drug": 1}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[types]\nSmallMolecul = "drug"', r"no 'SmallMolecul'\. It has SmallMolecule"),
        ('[relations]\ntreat = "x"', r"relations: the source has no 'treat'\. It has treats"),
        ('drop = ["nothing"]', "drop: the source has no 'nothing'"),
        ('targets = ["indication"]', "targets: the source has no 'indication'"),
        ("drop = 3", "is not a map: Expected `array`"),
        ('colour = "red"', "is not a map"),
        ("drop = [", "is not TOML"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, match: str) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1")])
    with pytest.raises(UserError, match=match) as caught:
        imported(folder, map_of(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "map.toml" in str(caught.value)


def test_an_id_of_two_types_is_refused(tmp_path: Path) -> None:
    nodes = [*_NODES, ("d1", "Disease", "other")]
    with pytest.raises(
        UserError, match="1 id stands for nodes of different types, first 'd1': SmallMolecule and Disease"
    ):
        imported(kgx(tmp_path / "g", [("d1", "treats", "s1")], nodes=nodes))


def test_nodes_of_several_classes_get_the_rarest_and_it_is_said(tmp_path: Path) -> None:
    nodes = [
        ("d1", "biolink:Drug|biolink:ChemicalEntity|biolink:NamedThing", "one"),
        ("d2", "biolink:ChemicalEntity|biolink:NamedThing", "two"),
        ("s1", "biolink:Disease\x1fbiolink:NamedThing", "ill"),
    ]
    report = imported(kgx(tmp_path / "g", [("d1", "treats", "s1"), ("d2", "treats", "s1")], nodes=nodes), Map()).report
    assert report.nodes == {"ChemicalEntity": 1, "Disease": 1, "Drug": 1}
    assert report.collapsed == {"Drug of Drug|ChemicalEntity": 1}


def test_types_come_from_the_nodes_where_the_edges_label_is_wrong(tmp_path: Path) -> None:
    """OptimusKG, issue 184: a row labelled DRG-DIS whose end is a biological process."""
    SAMPLES["optimuskg"](tmp_path)
    nodes, edges = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("nodes", "edges"))
    wrong = {"id": "GO_0990001", "label": "BPO", "properties": "{}"}
    pl.concat([nodes, pl.DataFrame(wrong)]).write_parquet(tmp_path / "nodes.parquet")
    extra = edges.head(1).with_columns(to=pl.lit("GO_0990001"))
    pl.concat([edges, extra]).write_parquet(tmp_path / "edges.parquet")
    found = {(r.head, r.relation, r.tail) for r in imported(tmp_path).report.relations}
    assert ("drug", "indication", "disease") in found
    assert ("drug", "INDICATION", "biological_process") in found


def test_evidence_survives_and_repeated_edges_agree(tmp_path: Path) -> None:
    edges = [
        ("d1", "treats", "s1", "2015", "prediction", 0.3),
        ("d1", "treats", "s1", "2010-05-01", "knowledge_assertion", 0.9),
        ("d1", "treats", "s1", "", "prediction", None),
        ("d2", "treats", "s1", "2019", "", 0.1),
    ]
    folder = kgx(tmp_path / "g", edges, ("publication_year", "knowledge_level", "score"))
    found = imported(folder)
    kept = found.table.select("publication_year", pl.col("knowledge_level").cast(pl.String), "score").rows()
    assert kept == [(2010, "prediction|knowledge_assertion", 0.9), (2019, None, 0.1)]
    year, level, score = found.report.evidence
    assert (year.name, year.kind, year.least, year.largest, year.missing) == (
        "publication_year",
        "date",
        "2010",
        "2019",
        0,
    )
    assert (level.name, level.kind, level.filled, level.missing) == ("knowledge_level", "text", 1, 0.5)
    assert level.examples == ["prediction|knowledge_assertion"]
    assert (score.name, score.kind, score.least, score.largest) == ("score", "number", "0.1", "0.9")
    assert year.relations == {"indication": 1.0}


def test_of_several_years_the_earliest_counts_and_what_is_no_year_is_told(tmp_path: Path) -> None:
    edges = [("d1", "treats", "s1", "2019|2013"), ("d2", "treats", "s1", "unknown"), ("g1", "affects", "s1", "2001")]
    found = imported(kgx(tmp_path / "g", edges, ("publication_year",)))
    assert found.table["publication_year"].to_list() == [2013, None, 2001]
    assert "1 row kept without their publication_year, which is no year, first 'unknown'" in found.report.notes


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (["publication_year <= 2012"], {"d1"}),
        (["publication_year <= 2012 or missing"], {"d1", "d3"}),
        (["publication_year > 2012"], {"d2"}),
        (["knowledge_level = prediction"], {"d1", "d2"}),
        (["knowledge_level != prediction or missing"], {"d3"}),
        (["knowledge_level = prediction", "publication_year > 2012"], {"d2"}),
        (["affects: publication_year <= 1900"], {"d1", "d2", "d3"}),
    ],
)
def test_where_filters_any_form_of_the_same_graph(tmp_path: Path, conditions: list[str], left: set[str]) -> None:
    edges = [
        ("d1", "treats", "s1", "2010", "prediction|knowledge_assertion"),
        ("d2", "treats", "s1", "2019", "prediction"),
        ("d3", "treats", "s1", "", ""),
        ("g1", "affects", "s1", "1850", "prediction"),
    ]
    nodes = [*_NODES, ("d3", "SmallMolecule", "three")]
    folder = kgx(tmp_path / "g", edges, ("publication_year", "knowledge_level"), nodes)
    result = RUNNER.invoke(app, ["import", str(folder), "--to", str(tmp_path / "kg.parquet")])
    assert result.exit_code == 0, result.output
    for path in (folder, tmp_path / "kg.parquet"):
        graph = load_graph(Graph(source=str(path), where=conditions))
        assert set(graph.ids("drug")) == left
        assert load_graph(Graph(source=str(path))).edge_count == 4
        assert set(load_graph(Graph(source=str(path), where=conditions)).ids("drug")) == left


@pytest.mark.parametrize("text", ["", "year", "year <=", "year <= soon", "<= 3", "year ~ 3"])
def test_what_is_no_condition_is_refused_with_the_profile(text: str) -> None:
    with pytest.raises(ValueError, match=r"condition|number"):
        Graph(where=[text])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("publication_yaer <= 3", r"no column 'publication_yaer'.*has publication_year"),
        ("treat: publication_year <= 3", r"no relation 'treat'.*It has indication"),
        ("publication_year > 9999", r"no row of .* is left"),
    ],
)
def test_a_condition_that_fits_nothing_is_refused(tmp_path: Path, text: str, match: str) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1", "2010")], ("publication_year",))
    with pytest.raises(UserError, match=match):
        read_graph(folder, "", [Condition.parse(text)])


def test_a_graph_without_evidence_cannot_be_filtered() -> None:
    with pytest.raises(UserError, match="embedded graph has no columns of evidence"):
        load_graph(Graph(where=["year <= 3"]))


def test_the_command_writes_table_and_report_and_says_what_to_run(tmp_path: Path) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1"), ("g1", "affects", "s1")])
    target = tmp_path / "kg.parquet"
    result = RUNNER.invoke(app, ["import", str(folder), "--to", str(target)])
    assert result.exit_code == 0, result.output
    assert "2 rows read, 2 kept (100.00 %)" in result.output
    assert f"flykd-console run best --graph {target} --set 'graph.targets=[\"indication\"]'" in result.output
    report = json.loads(beside(target).read_text())
    assert report["layout"] == "kgx"
    assert len(report["table_sha256"]) == 64
    graph = load_graph(Graph(source=str(target)))
    assert graph.imported == report
    target.write_bytes(target.read_bytes() + b" ")
    assert beside(target).exists()


def test_the_report_is_in_the_provenance_of_a_run_however_the_graph_came(tmp_path: Path) -> None:
    from flykd_console.training.environment import describe

    folder = kgx(tmp_path / "g", [("d1", "treats", "s1"), ("g1", "affects", "s1")])
    RUNNER.invoke(app, ["import", str(folder), "--to", str(tmp_path / "kg.parquet")])
    for path in (folder, tmp_path / "kg.parquet", folder, tmp_path / "kg.parquet"):  # each again from the cache
        graph = orient_targets(load_graph(Graph(source=str(path))), ["indication"], [])
        facts = {"source": graph.source, "fingerprint": "", "nodes": 0, "edges": 0, "imported": graph.imported}
        told = describe(facts, "cpu", "", 1)["graph"]["imported"]
        assert (told["layout"], told["kept"], len(told["sources"])) == ("kgx", 2, 2)


def test_a_report_of_another_table_is_not_believed(tmp_path: Path) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1")])
    RUNNER.invoke(app, ["import", str(folder), "--to", str(tmp_path / "kg.csv")])
    write_rows(tmp_path / "kg.csv", both_ways([("indication", "drug", "DB1", "disease", "1")]))
    assert load_graph(Graph(source=str(tmp_path / "kg.csv"))).imported is None


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1")])
    result = RUNNER.invoke(app, ["import", str(folder), "--dry-run", "--json", "--to", str(tmp_path / "kg.parquet")])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["kept"] == 1
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "cache") == ["g"]


@pytest.mark.parametrize("arguments", [["--to", "kg.parquet"], ["--to", "kg.csv.gz", "--max-dropped", "0.2"]])
def test_what_is_refused_leaves_nothing(tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kgx(tmp_path / "g", [("d1", "treats", "s1"), ("d1", "treats", "nobody")])
    monkeypatch.chdir(tmp_path)
    result = RUNNER.invoke(app, ["import", str(folder), *arguments])
    assert isinstance(result.exception, UserError)
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "cache") == ["g"]


def test_without_a_target_nothing_is_read(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["import", str(tmp_path / "nowhere")])
    assert "nothing says where to" in str(result.exception)


def test_an_unknown_layout_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text("subject,predicate,target_node\n1,2,3\n")
    with pytest.raises(UserError, match=r"lacks the column object of KGX.*Found subject, predicate, target_node"):
        read_graph(tmp_path / "kg.csv", "")
    (tmp_path / "kg.csv").write_text("colour,size\n1,2\n")
    with pytest.raises(
        UserError, match=r"is in no known layout: its columns are colour, size\. Known layouts: BioCypher"
    ):
        read_graph(tmp_path / "kg.csv", "")


def test_triples_without_types_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kg.tsv").write_text("head\trelation\ttail\na\ttreats\tb\n")
    with pytest.raises(UserError, match="nothing tells the types of the nodes"):
        read_graph(tmp_path / "kg.tsv", "")


def test_several_sources_are_one_graph(tmp_path: Path) -> None:
    for name, end in (("one", GENE), ("two", DRUG)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.tsv").write_text(f"drug:{end}\ttreats\tdisease:{DISEASE}\n")
    found = import_graph([tmp_path / "one", tmp_path / "two" / "t.tsv"])
    assert found.report.kept == 2
    assert len(found.report.sources) == 2


def test_of_two_files_of_pairs_one_tells_types_and_the_other_names(tmp_path: Path) -> None:
    """BioPathNet's folder."""
    lines = {
        "train1.txt": "d1\ttreats\ts1\ng1\tcauses\ts1\n",
        "test.txt": "d2\ttreats\ts1\n",
        "entity_names.txt": "d1\tvelorin\nd2\tcorvex\ns1\tquill fever\ng1\tQLL1\n",
        "entity_types.txt": "d1\t0\nd2\t0\ns1\t1\ng1\t2\n",
    }
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    found = imported(tmp_path)
    assert found.report.nodes == {"0": 2, "1": 1, "2": 1}
    rows = found.table.select("x_name", "relation", "y_name").cast(pl.String).rows()
    assert set(rows) == {("velorin", "treats", "quill fever"), ("corvex", "treats", "quill fever"),
                         ("QLL1", "causes", "quill fever")}  # fmt: skip
    assert found.report.names_missing == 0


@pytest.mark.parametrize("parts", [False, True])
def test_ids_of_different_spaces_may_be_alike(tmp_path: Path, parts: bool) -> None:
    """neo4j-admin's files, headers in the first line or in files of their own."""
    tables = {
        "Drug": ":ID(Drug),name:string,:LABEL\n1,velorin,Drug\n",
        "Disease": ":ID(Disease),name:string,:LABEL\n1,quill fever,Disease\n",
        "Treats": ":START_ID(Drug),:END_ID(Disease),:TYPE,year:int\n1,1,treats,2010\n",
    }
    for name, text in tables.items():
        header, rows = text.split("\n", 1)
        if parts:
            (tmp_path / f"{name}-header.csv").write_text(header + "\n")
            (tmp_path / f"{name}-part000.csv").write_text(rows)
        else:
            (tmp_path / f"{name}.csv").write_text(text)
    found = imported(tmp_path)
    kept = found.table.select("x_id", "x_type", "x_name", "y_id", "y_type", "y_name").cast(pl.String).rows()
    assert kept == [("1", "drug", "velorin", "1", "disease", "quill fever")]
    assert parts or found.table["year"].to_list() == [2010]


def test_scores_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    rows = [f"indication,D{n},drug,a,M1,disease,b,{score}" for n, score in enumerate(("0.5", '"0,562"', "56.2%", ""))]
    path = tmp_path / "kg.csv"
    path.write_text("\n".join(["relation,x_id,x_type,x_name,y_id,y_type,y_name,score", *rows]) + "\n")
    found = import_graph([path], None)
    assert "2 rows kept without their score, which is no number, first '0,562'" in found.report.notes
    assert found.table["score"].to_list() == [0.5, None, None, None]
