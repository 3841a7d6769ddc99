"""What every graph format has to do: know its own, and nobody else's; give the graph, packed or not; refuse halves."""

from __future__ import annotations

import random
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats.find import formats
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.imports.write import write
from flykd_console.graph.read import import_graph, read_graph
from flykd_console.graph.recognise import recognise
from flykd_console.graph.tables.table import opened
from tests.contracts.graph_samples import DISEASE, DRUG, GENE, NEEDS_BOTH, SAMPLES, VARIANTS, WITHOUT_NAMES

CASES = {name: (name, writer, name not in WITHOUT_NAMES) for name, writer in SAMPLES.items()} | VARIANTS


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, bool]:
    """A format's name, a folder with the graph in it, and whether its nodes have names."""
    name, writer, named = CASES[request.param]
    folder = tmp_path / "sample"
    folder.mkdir()
    writer(folder)
    return name, folder, named


def test_every_format_has_a_sample() -> None:
    assert set(formats()) == set(SAMPLES)


def test_a_sample_is_recognised_as_its_format_and_no_other(case: tuple[str, Path, bool]) -> None:
    name, folder, _ = case
    with opened(folder) as tables:
        assert [other for other, one in formats().items() if one.sniff(tables)] == [name]
        found = recognise(tables, str(folder))
        assert len(found.tables) == len(tables)
        assert found.ignored == ()


def test_the_graph_is_there_with_its_names(case: tuple[str, Path, bool]) -> None:
    _, folder, named = case
    graph = read_graph(folder, "here")
    assert graph.source == "here"
    pairs = set()
    for edge_type, (heads, tails) in graph.edges.items():
        ends = graph.nodes[edge_type.head]["id"][heads].to_list(), graph.nodes[edge_type.tail]["id"][tails].to_list()
        pairs |= {frozenset(pair) for pair in zip(*ends, strict=True)}
    assert pairs == {frozenset({DRUG, DISEASE}), frozenset({GENE, DISEASE})}
    names = {name for table in graph.nodes.values() for name in table["name"].to_list()}
    assert names == ({"velorin", "quill fever", "QLL1"} if named else {DRUG, DISEASE, GENE})


@pytest.mark.parametrize("packing", ["zip", "tar.gz"])
def test_an_archive_of_the_files_is_the_graph(case: tuple[str, Path, bool], packing: str) -> None:
    _, folder, _ = case
    path = folder.parent / "anything"
    if packing == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"deep/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder, "deep")
    assert read_graph(path, "").fingerprint == read_graph(folder, "").fingerprint


def test_what_stands_beside_is_no_hindrance_and_named(case: tuple[str, Path, bool]) -> None:
    _, folder, _ = case
    (folder / "README.md").write_text("# About\n\nWords.\n")
    (folder / "LICENSE").write_text("Some terms\nand more of them, with a comma\n")
    assert set(import_graph([folder]).report.ignored) == {"README.md", "LICENSE"}


def test_an_import_reads_back_as_the_same_graph(case: tuple[str, Path, bool]) -> None:
    _, folder, _ = case
    graph = read_graph(folder, "")
    for ending in ("parquet", "csv", "csv.gz"):
        path = folder.parent / f"kg.{ending}"
        report = write(import_graph([folder]), path)
        assert read_kg(path).fingerprint == graph.fingerprint
        assert (report.read, report.kept, report.dropped) == (2, 2, {})
        assert len(report.sources) == len(list(folder.iterdir()))


@pytest.mark.parametrize("name", NEEDS_BOTH)
@pytest.mark.parametrize("left_out", [0, 1])
def test_half_of_a_graph_is_refused_and_the_other_half_named(tmp_path: Path, name: str, left_out: int) -> None:
    SAMPLES[name](tmp_path)
    (tmp_path / NEEDS_BOTH[name][left_out]).unlink()
    with pytest.raises(UserError) as caught:
        read_graph(tmp_path, "")
    assert "\n" not in str(caught.value)
    assert ("nod" if left_out == 0 else "edge") in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "optimuskg"])
def test_a_last_line_without_its_fields_is_refused(tmp_path: Path, name: str) -> None:
    SAMPLES[name](tmp_path)
    broken = max(
        (file for file in tmp_path.iterdir() if "header" not in file.name), key=lambda file: file.stat().st_size
    )
    text = broken.read_text().rstrip("\n")
    mark = "\t" if "\t" in text else ";" if ";" in text else ","
    broken.write_text(text[: text.rindex(mark)])
    with pytest.raises(UserError, match=r"has \d+ fields? where"):
        read_graph(tmp_path, "")


def test_two_layouts_at_once_are_refused(tmp_path: Path) -> None:
    for name in ("primekg", "drkg"):
        (tmp_path / name).mkdir()
        SAMPLES[name](tmp_path / name)
    with pytest.raises(UserError, match="holds tables of several layouts"):
        read_graph(tmp_path, "")


# BioCypher's parts bear their header's name; OptimusKG's files repeat each other.
@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("biocypher", "optimuskg")])
def test_parts_of_a_table_are_one_table(tmp_path: Path, name: str) -> None:
    """As Spark leaves them: any table may come in parts of the same columns."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    SAMPLES[name](whole)
    shutil.copytree(whole, parts)
    for file in list(parts.iterdir()):
        header, *rows = file.read_text().splitlines(keepends=True)
        if name == "drkg":
            header, rows = "", [header, *rows]
        file.unlink()
        for number, row in enumerate(rows):
            (parts / f"{file.stem}-part-{number}").write_text(header + row)
    (parts / "_SUCCESS").touch()
    assert read_graph(parts, "").fingerprint == read_graph(whole, "").fingerprint


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_done_to_a_file_it_is_read_or_refused_in_one_line(case: tuple[str, Path, bool], seed: int) -> None:
    _, folder, _ = case
    chance = random.Random(seed)
    file = chance.choice(sorted(folder.iterdir()))
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content))
    damage = chance.choice(["cut", "change", "insert", "remove"])
    if damage == "cut":
        content = content[:place]
    elif damage == "change":
        content[place] = chance.randrange(256)
    elif damage == "insert":
        content[place:place] = chance.choice([b'"', b"\t", b",", b"\n", b"\r", b"\0", b"'", b"{", b"\xff"])
    else:
        del content[place : place + chance.randrange(1, 20)]
    file.write_bytes(bytes(content))
    said = _refusal_or_nothing(folder)
    assert "\n" not in said


def _refusal_or_nothing(folder: Path) -> str:
    """What a user is told; empty where the graph is read. Any other error than a refusal is a fault."""
    try:
        read_graph(folder, "")
    except UserError as error:
        return str(error)
    return ""
