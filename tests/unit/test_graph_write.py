"""Writing a graph and reading it back."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats import kg_write
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.sources.synthetic.generate import generate, primekg_size
from tests.support.graph_files import HEADER


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return generate(primekg_size(0.01), seed=5)


@pytest.mark.parametrize("ending", kg_write.ENDINGS)
def test_reading_back_gives_the_same_graph(
    tmp_path: Path, graph: KnowledgeGraph, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kg_write, "CHUNK", 1000)
    seen: list[int] = []
    path = tmp_path / f"kg{ending}"
    rows = kg_write.write_kg(graph, path, seen.append)
    again = read_kg(path)
    assert rows == sum(seen) == 2 * graph.edge_count
    assert again.fingerprint == graph.fingerprint
    assert all(again.nodes[name].equals(graph.nodes[name]) for name in graph.nodes)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", kg_write.ENDINGS)
def test_a_graph_without_edges_is_a_table_without_rows(tmp_path: Path, ending: str) -> None:
    assert kg_write.write_kg(KnowledgeGraph({}, {}), tmp_path / f"kg{ending}") == 0
    with pytest.raises(UserError, match="has a header but no rows"):
        read_kg(tmp_path / f"kg{ending}")


def test_the_twelve_columns_and_the_node_numbers_of_primekg(tmp_path: Path, graph: KnowledgeGraph) -> None:
    kg_write.write_kg(graph, tmp_path / "kg.csv")
    table = pl.read_csv(tmp_path / "kg.csv", schema_overrides={"x_id": pl.String, "y_id": pl.String})
    assert table.columns == HEADER
    nodes = table.select("x_index", "x_type", "x_id").unique()
    assert nodes.height == nodes["x_index"].n_unique() == graph.node_count
    assert nodes["x_index"].max() == graph.node_count - 1
    assert set(table.filter(pl.col("relation") == "protein_protein")["display_relation"]) == {"ppi"}
    assert table["x_source"].null_count() == 0


def test_equal_graphs_give_equal_bytes(tmp_path: Path, graph: KnowledgeGraph) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        kg_write.write_kg(graph, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, graph: KnowledgeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kg.csv"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("flykd_console.graph.whole_file.os.replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        kg_write.write_kg(graph, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kg.csv"]


def test_targets_that_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").touch()
    for name, said in {"kg.xlsx": "should end in", "none/kg.csv": "no such folder", "kg.csv": "--force"}.items():
        with pytest.raises(UserError, match=said):
            kg_write.check_target(tmp_path / name, force=False)
    kg_write.check_target(tmp_path / "kg.csv", force=True)
