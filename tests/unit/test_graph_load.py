"""From `[graph] source` to a graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.graph.load import load_graph
from flykd_console.profile.sections import Graph
from tests.support.graph_files import Row, both_ways, write_rows

ROWS: list[Row] = both_ways([("indication", "drug", "DB1", "disease", "1000")])


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLYKD_DATA", str(tmp_path / "data"))


def test_the_embedded_graph_is_the_default() -> None:
    graph = load_graph(Graph())
    assert graph.source == "embedded"
    assert [e.relation for e in graph.targets(["contraindication", "indication"])] == ["contraindication", "indication"]


def test_a_path_is_named_as_the_profile_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "kg.csv.gz", ROWS)
    monkeypatch.chdir(tmp_path)
    assert load_graph(Graph(source="kg.csv.gz")).source == "kg.csv.gz"


def test_a_home_directory_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "kg.csv", ROWS)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_graph(Graph(source="~/kg.csv")).edge_count == 1


def test_primekg_that_was_not_fetched_names_the_command() -> None:
    with pytest.raises(UserError) as caught:
        load_graph(Graph(source="primekg"))
    assert caught.value.hint == "Run: flykd-console graph fetch primekg"


@pytest.mark.parametrize("name", ["kg.csv", "txgnn-kg.csv"])
def test_primekg_is_what_a_fetch_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "data" / "primekg").mkdir(parents=True)
    write_rows(tmp_path / "data" / "primekg" / name, ROWS)
    graph = load_graph(Graph(source="primekg"))
    assert (graph.source, graph.edge_count) == ("primekg", 1)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_path_that_is_not_there(use_cache: bool) -> None:
    with pytest.raises(UserError, match="there is no such graph file"):
        load_graph(Graph(source="nowhere/kg.csv"), use_cache=use_cache)


def test_a_broken_file_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is in no known layout"):
        load_graph(Graph(source=str(tmp_path / "kg.csv")))
    assert list((tmp_path / "cache").rglob("*.npz")) == []
