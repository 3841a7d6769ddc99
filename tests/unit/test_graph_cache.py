"""The graph cache: faster, never different, and never in the way."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from flykd_console.graph import cache
from flykd_console.graph.formats import kg
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.profile.sections import Graph
from tests.support.graph_files import Row, both_ways, write_rows

ROWS: list[Row] = both_ways(
    [("indication", "drug", f"DB{i}", "disease", f"{i % 5}") for i in range(40)]
    + [("ppi", "gene/protein", str(i), "gene/protein", str(i + 1)) for i in range(10)]
)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own; returns where its entries are."""
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return aged(write_rows(tmp_path / "kg.csv", ROWS))


def aged(path: Path) -> Path:
    """Give a file an age at which its time of change can be trusted."""
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def load(path: Path) -> tuple[KnowledgeGraph, list[str]]:
    lines: list[str] = []
    return load_graph(Graph(source=str(path)), lines.append), lines


def the_entry(directory: Path) -> Path:
    (entry,) = directory.glob("*.npz")
    return entry


def same(first: KnowledgeGraph, second: KnowledgeGraph) -> bool:
    return (
        list(first.nodes) == list(second.nodes)
        and all(first.nodes[name].equals(second.nodes[name]) for name in first.nodes)
        and list(first.edges) == list(second.edges)
        and all(np.array_equal(first.edges[e], second.edges[e]) for e in first.edges)
        and all(second.edges[e][0].dtype == np.int64 for e in second.edges)
    )


def test_the_second_time_the_file_is_not_parsed_and_the_graph_is_equal(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, said = load(file)
    assert said == [f"Reading {file}."]
    monkeypatch.setattr(kg, "read_kg", lambda path: pytest.fail("the file was parsed again"))
    second, said = load(file)
    assert said == []
    assert same(first, second)
    assert second.source == str(file)


def test_the_fingerprint_is_remembered_and_right(file: Path) -> None:
    first, _ = load(file)
    second, _ = load(file)
    assert "fingerprint" in second.__dict__
    assert second.fingerprint == first.fingerprint == kg.read_kg(file).fingerprint


def test_without_the_cache_nothing_is_written(file: Path, directory: Path) -> None:
    load_graph(Graph(source=str(file)), use_cache=False)
    assert not directory.exists()


def test_a_changed_file_is_read_again_even_at_the_same_size(file: Path) -> None:
    load(file)
    file.write_text(file.read_text().replace("DB7,", "DC7,"))
    graph, said = load(file)
    assert said == [f"Reading {file}."]
    assert "DC7" in graph.nodes["drug"]["id"].to_list()


def test_a_change_that_keeps_size_and_time_of_a_fresh_file_is_seen(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "kg.csv", ROWS)
    before = path.stat()
    load(path)
    path.write_text(path.read_text().replace("DB7,", "DC7,"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "DC7" in load(path)[0].nodes["drug"]["id"].to_list()


def test_the_same_content_under_another_name_is_not_parsed_again(file: Path, tmp_path: Path) -> None:
    load(file)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(file.read_bytes())
    graph, said = load(copy)
    assert said == []
    assert graph.source == str(copy)


def test_the_same_bytes_under_another_ending_are_the_same_graph(file: Path, tmp_path: Path) -> None:
    first, _ = load(file)
    other = tmp_path / "kg.tsv"
    other.write_bytes(file.read_bytes())
    second, said = load(other)
    assert said == []
    assert same(first, second)


def test_a_big_file_is_hashed_once(file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The time of the last change of the file's state cannot be set, so the clock is moved on.
    now = time.time()
    monkeypatch.setattr("flykd_console.graph.cache.time.time", lambda: now + 60)
    load(file)
    (memory,) = (directory / "known").glob("*.json")
    assert len(json.loads(memory.read_text())["sha256"]) == 64
    monkeypatch.setattr(
        "flykd_console.graph.cache.hashlib.file_digest", lambda *_: pytest.fail("the file was hashed again")
    )
    assert load(file)[1] == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"nonsense",
        lambda data: data[:-200] + b"\0" * 200,
        *(lambda data, place=place: flip(data, place) for place in (0.1, 0.35, 0.5, 0.7)),
    ],
    ids=["half", "empty", "nonsense", "zeros", "flip 10 %", "flip 35 %", "flip 50 %", "flip 70 %"],
)
def test_a_damaged_entry_is_made_anew_with_one_line(file: Path, directory: Path, damage: object) -> None:
    first, _ = load(file)
    entry = the_entry(directory)
    sound = entry.read_bytes()
    assert callable(damage)
    entry.write_bytes(damage(sound))
    second, said = load(file)
    assert same(first, second)
    if said:  # a flipped byte may fall between the members, where nothing depends on it
        assert len(said) == 2
        assert said[0].startswith("The cached graph is damaged")
        assert load(file)[1] == []


def flip(data: bytes, place: float) -> bytes:
    """A run of sixteen changed bytes."""
    start = int(place * len(data))
    return data[:start] + bytes(byte ^ 0xFF for byte in data[start : start + 16]) + data[start + 16 :]


def test_every_flipped_byte_of_an_edge_list_is_noticed(file: Path, directory: Path) -> None:
    """The checksum at work: a changed number inside the data never reaches a graph."""
    load(file)
    entry = the_entry(directory)
    data = entry.read_bytes()
    heads = np.load(entry)["edges.0"].tobytes()
    start = data.index(heads)
    for offset in (0, len(heads) // 2, len(heads) - 1):
        entry.write_bytes(data[: start + offset] + bytes([data[start + offset] ^ 1]) + data[start + offset + 1 :])
        assert load(file)[1][0].startswith("The cached graph is damaged")


def test_an_entry_of_another_version_is_made_anew(file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = load(file)
    monkeypatch.setattr(cache, "_code_hash", lambda *_: "fixed")
    load(file)
    monkeypatch.setattr(cache, "SCHEMA", cache.SCHEMA + 1)
    second, said = load(file)
    assert "another version" in said[0]
    assert same(first, second)


def test_a_new_release_of_the_reader_does_not_use_what_an_older_one_read(tmp_path: Path) -> None:
    code = tmp_path / "reader.py"
    code.write_text("one")
    before = cache.made_key("synthetic-1-0", str(code))
    code.write_text("two")
    assert cache.made_key("synthetic-1-0", str(code)) != before


def test_a_cache_that_cannot_be_made_does_not_break_the_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("FLYKD_CACHE", str(blocked))
    graph, said = load(file)
    assert graph.edge_count == 50
    assert said == [f"Reading {file}.", "The graph cache cannot be written (Not a directory); going on without it."]


def test_a_full_disk_does_not_break_the_run_and_leaves_nothing(
    file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("flykd_console.graph.cache.np.savez", full)
    graph, said = load(file)
    assert graph.edge_count == 50
    assert said[-1] == "The graph cache cannot be written (No space left on device); going on without it."
    assert [path for path in directory.iterdir() if path.is_file()] == []


def test_only_the_last_used_entries_are_kept(tmp_path: Path, directory: Path) -> None:
    paths = [aged(write_rows(tmp_path / f"kg{i}.csv", [("r", "a", str(i), "b", "1")])) for i in range(cache.KEPT + 3)]
    for path in paths:
        load(path)
    assert len(list(directory.glob("*.npz"))) == cache.KEPT
    assert load(paths[-1])[1] == []


def _load_fingerprint(path: str) -> str:
    return load_graph(Graph(source=path)).fingerprint


def test_two_processes_at_once(file: Path, directory: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(_load_fingerprint, [str(file)] * 6, chunksize=1)
    assert set(found) == {kg.read_kg(file).fingerprint}
    assert the_entry(directory).is_file()
    assert [path for path in directory.iterdir() if path.name.endswith(".part")] == []
    assert load(file)[1] == []


def test_synthetic_graphs_are_kept_by_their_scale() -> None:
    said: list[str] = []
    first = load_graph(Graph(source="synthetic", scale=0.02), said.append)
    again = load_graph(Graph(source="synthetic", scale=0.02), said.append)
    load_graph(Graph(source="synthetic", scale=0.03), said.append)
    assert said == ["Generating a synthetic graph of scale 0.02.", "Generating a synthetic graph of scale 0.03."]
    assert same(first, again)
