"""Every graph format: what is written reads back as the same graph; what is no graph is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.formats.kg_write import write_kg
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from tests.support.small_graph import small_graph

Reader = Callable[[Path], KnowledgeGraph]
Writer = Callable[[KnowledgeGraph, Path], object]

# By name: reader, writer, and the endings that it goes by.
FORMATS: dict[str, tuple[Reader, Writer, tuple[str, ...]]] = {
    "kg": (read_kg, write_kg, ("csv", "csv.gz", "parquet")),
}
CASES = [(name, ending) for name, (_, _, endings) in FORMATS.items() for ending in endings]


def _edges(graph: KnowledgeGraph) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Every edge as a pair of ids."""
    found = {}
    for edge_type, (heads, tails) in graph.edges.items():
        head_ids, tail_ids = graph.nodes[edge_type.head]["id"], graph.nodes[edge_type.tail]["id"]
        pairs = zip(head_ids.gather(heads).to_list(), tail_ids.gather(tails).to_list(), strict=True)
        # An edge between equal types has no direction.
        if edge_type.head == edge_type.tail:
            found[tuple(edge_type)] = {tuple(sorted(pair)) for pair in pairs}
        else:
            found[tuple(edge_type)] = {tuple(pair) for pair in pairs}
    return found


@pytest.mark.parametrize(("name", "ending"), CASES)
def test_what_is_written_reads_back(name: str, ending: str, tmp_path: Path) -> None:
    read, write, _ = FORMATS[name]
    graph, path = small_graph(), tmp_path / f"graph.{ending}"
    write(graph, path)
    again = read(path)
    assert _edges(again) == _edges(graph)
    assert read(path).fingerprint == again.fingerprint


@pytest.mark.parametrize(("name", "ending"), CASES)
@pytest.mark.parametrize("content", [b"", b"nothing,of,the,kind\n1,2,3,4\n", b"\x00\xff\x00"])
def test_what_is_no_graph_is_refused_in_one_line(name: str, ending: str, content: bytes, tmp_path: Path) -> None:
    read, _, _ = FORMATS[name]
    path = tmp_path / f"graph.{ending}"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_not_there_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        FORMATS[name][0](tmp_path / f"absent.{FORMATS[name][2][0]}")
