"""A graph for GraphStorm: what its documentation demands of gconstruct's JSON, and that no edge is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flykd_console.cli.app import main
from flykd_console.errors import UserError
from flykd_console.graph.formats.graphstorm import write_graphstorm
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from tests.support.small_graph import small_graph

TARGETS, FRACTIONS = ["contraindication", "indication"], (0.8, 0.1, 0.1)


def checked(config: dict[str, Any]) -> None:
    """What the documentation of `gconstruct-v0.1` says is required, and of which type."""
    assert set(config) == {"version", "nodes", "edges"}
    assert config["version"] == "gconstruct-v0.1"
    types = [node["node_type"] for node in config["nodes"]]
    assert len(set(types)) == len(types)
    for entry in [*config["nodes"], *config["edges"]]:
        assert entry["format"] == {"name": "parquet"}
        assert all(Path(file).is_absolute() and Path(file).is_file() for file in entry["files"])
    for node in config["nodes"]:
        assert set(node) == {"node_type", "format", "files", "node_id_col"}
    for edge in config["edges"]:
        assert {"source_id_col", "dest_id_col", "relation", "format", "files"} == set(edge) - {"labels"}
        head, relation, tail = edge["relation"]
        assert head in types
        assert tail in types
        assert relation
        for label in edge.get("labels", []):
            assert label["task_type"] == "link_prediction"
            assert sum(label["split_pct"]) == pytest.approx(1.0)


def test_the_tables_give_the_graph_back(tmp_path: Path) -> None:
    graph = small_graph()
    folder = tmp_path / "storm"
    assert write_graphstorm(graph, folder, TARGETS, FRACTIONS) == graph.edge_count
    config = json.loads((folder / "config.json").read_text())
    checked(config)
    names = json.loads((folder / "names.json").read_text())
    assert names["fingerprint"] == graph.fingerprint
    for node in config["nodes"]:
        table = pl.read_parquet(node["files"])
        kept = graph.nodes[names["node_types"][node["node_type"]]]
        assert table["node_id"].equals(kept["id"])
        assert table["name"].equals(kept["name"])
    for edge in config["edges"]:
        head, relation, tail = edge["relation"]
        types = names["node_types"]
        key = EdgeType(types[head], names["relations"][relation], types[tail])
        rows = pl.read_parquet(edge["files"])
        heads, tails = graph.edges[key]
        assert rows["source_id"].to_list() == graph.nodes[key.head]["id"].gather(heads).to_list()
        assert rows["dest_id"].to_list() == graph.nodes[key.tail]["id"].gather(tails).to_list()
        assert ("labels" in edge) == (key.relation in TARGETS)
    assert len(config["edges"]) == len(graph.edges)


def test_names_that_would_be_one_file_stay_apart(tmp_path: Path) -> None:
    graph = small_graph()
    nodes = {"a/b": graph.nodes["drug"], "a b": graph.nodes["disease"]}
    pairs = next(pairs for edge_type, pairs in graph.edges.items() if edge_type.relation == "indication")
    write_graphstorm(KnowledgeGraph(nodes, {EdgeType("a/b", "x", "a b"): pairs}), tmp_path / "s", ["x"], FRACTIONS)
    config = json.loads((tmp_path / "s" / "config.json").read_text())
    checked(config)
    assert [node["node_type"] for node in config["nodes"]] == ["a_b", "a_b_2"]


def test_bad_orders_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no relation 'cures'"):
        write_graphstorm(small_graph(), tmp_path / "s", ["cures"], FRACTIONS)
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="is there already"):
        write_graphstorm(small_graph(), tmp_path / "there", TARGETS, FRACTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_command_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["graph", "export", "embedded", "--to", "graphstorm", "--out", str(tmp_path / "storm")])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "graphstorm.gconstruct.construct_graph" in out
    checked(json.loads((tmp_path / "storm" / "config.json").read_text()))
    with pytest.raises(SystemExit) as left:
        main(["graph", "export", "embedded", "--to", "neo4j", "--out", str(tmp_path / "x")])
    assert left.value.code == 2
