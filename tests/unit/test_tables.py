"""Tables as they come: packed, written by other systems, with letters that look like quoting, or broken off."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.tables.table import opened, opened_one
from tests.support.graph_files import Row, both_ways, write_rows

ROWS: list[Row] = both_ways([("indication", "drug", f"DB{i}", "disease", str(1000 + i)) for i in range(40)])


def _text(tmp_path: Path, name: str = "sound.csv") -> str:
    return write_rows(tmp_path / name, ROWS).read_text("utf-8")


def _rows(path: Path) -> list[tuple[str, ...]]:
    with opened_one(path) as table:
        return table.collect().rows()


def _collect(path: Path) -> None:
    with opened(path) as tables:
        for table in tables:
            table.collect()


def _refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        _collect(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _zstd(content: bytes, tmp_path: Path) -> bytes:
    with pa.CompressedOutputStream(str(tmp_path / "packed.zst"), "zstd") as stream:
        stream.write(content)
    return (tmp_path / "packed.zst").read_bytes()


PACKED: dict[str, Callable[[bytes, Path], bytes]] = {
    "gzip": lambda content, _: gzip.compress(content),
    "gzip in two members": lambda content, _: gzip.compress(content[:500]) + gzip.compress(content[500:]),
    "gzip padded with zeros": lambda content, _: gzip.compress(content) + b"\0" * 1024,
    "bzip2": lambda content, _: bz2.compress(content),
    "zstd": _zstd,
    "zip": lambda content, _: _zip({"folder/kg.csv": content}),
    "tar": lambda content, _: _tar({"kg.csv": content}),
    "tar.gz": lambda content, _: gzip.compress(_tar({"kg.csv": content})),
    "gzip in a zip": lambda content, _: _zip({"kg.csv.gz": gzip.compress(content)}),
}


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_table_is_the_table_under_any_name(tmp_path: Path, packing: str) -> None:
    content = _text(tmp_path).encode()
    path = tmp_path / "kg.csv"
    path.write_bytes(PACKED[packing](content, tmp_path))
    assert read_kg(path).fingerprint == read_kg(tmp_path / "sound.csv").fingerprint


@pytest.mark.parametrize("packing", ["gzip", "bzip2", "zstd", "zip", "tar", "tar.gz"])
def test_a_packed_table_that_breaks_off_is_refused(tmp_path: Path, packing: str) -> None:
    content = PACKED[packing](_text(tmp_path).encode() * 20, tmp_path)
    path = tmp_path / "kg"
    path.write_bytes(content[: len(content) // 2])
    assert "breaks off" in _refusal(path)


@pytest.mark.parametrize("inner", ["zip", "tar"])
@pytest.mark.parametrize("outer", ["zip", "tar"])
def test_an_archive_in_an_archive_is_refused(tmp_path: Path, outer: str, inner: str) -> None:
    path = tmp_path / "kg"
    path.write_bytes(PACKED[outer](PACKED[inner](b"a,b\n1,2\n", tmp_path), tmp_path))
    assert "is an archive within an archive" in _refusal(path)


def test_what_is_packed_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv.gz.gz"
    path.write_bytes(gzip.compress(gzip.compress(b"a,b\n1,2\n")))
    assert "is packed twice" in _refusal(path)


@pytest.mark.parametrize("name", ["../kg.csv", "/etc/kg.csv", "a/../../kg.csv", "..\\kg.csv", "C:\\kg.csv"])
@pytest.mark.parametrize("pack", [_zip, _tar])
def test_a_path_that_leads_outside_is_refused(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], name: str
) -> None:
    path = tmp_path / "kg.zip"
    path.write_bytes(pack({"fine.csv": b"a,b\n1,2\n", name: b"a,b\n1,2\n"}))
    assert "leads outside" in _refusal(path)


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "kg.tar", "w") as archive:
        entry = tarfile.TarInfo("kg.csv")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    assert "is a link" in _refusal(tmp_path / "kg.tar")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_unicode_of_other_systems_is_read(tmp_path: Path, encoding: str) -> None:
    text = _text(tmp_path).replace("name of DB7,", "Ménière 7,")
    (tmp_path / "sound.csv").write_text(text, "utf-8")
    (tmp_path / "kg.csv").write_bytes(text.encode(encoding))
    assert _rows(tmp_path / "kg.csv") == _rows(tmp_path / "sound.csv")


def test_utf_16_that_breaks_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_bytes("a,b\n1,2\n".encode("utf-16")[:-1])
    assert "UTF-16 text that is damaged or breaks off" in _refusal(tmp_path / "kg.csv")


def test_mixed_encodings_are_refused_with_the_line(tmp_path: Path) -> None:
    text = _text(tmp_path).replace("name of DB7,", "Ménière,", 1)
    begin, end = text.split("name of DB20,", 1)
    (tmp_path / "kg.csv").write_bytes(begin.encode() + "Sjögren,".encode("latin-1") + end.encode())
    assert "line 22 is not UTF-8 text" in _refusal(tmp_path / "kg.csv")


@pytest.mark.parametrize("line_end", ["\r", "\r\n"])
def test_line_ends_of_other_systems_are_read(tmp_path: Path, line_end: str) -> None:
    text = _text(tmp_path)
    (tmp_path / "kg.csv").write_bytes(text.replace("\n", line_end).encode())
    assert _rows(tmp_path / "kg.csv") == _rows(tmp_path / "sound.csv")


@pytest.mark.parametrize("separator", ["\t", ";", "|"])
@pytest.mark.parametrize("name", ["kg.csv", "kg.tsv", "kg.txt", "kg"])
def test_the_separator_follows_from_the_header(tmp_path: Path, separator: str, name: str) -> None:
    text = _text(tmp_path)
    (tmp_path / name).write_text(text.replace(",", separator))
    assert _rows(tmp_path / name) == _rows(tmp_path / "sound.csv")


@pytest.mark.parametrize("kept", range(1, 12))
def test_a_download_that_broke_off_between_any_two_columns_is_refused(tmp_path: Path, kept: int) -> None:
    lines = _text(tmp_path).rstrip("\n").split("\n")
    lines[-1] = ",".join(lines[-1].split(",")[:kept])
    (tmp_path / "kg.csv").write_text("\n".join(lines))
    noun = "field" if kept == 1 else "fields"
    assert f"line 81 has {kept} {noun} where the header has 12" in _refusal(tmp_path / "kg.csv")


@pytest.mark.parametrize("name", ['5"-nucleotidase', '"alpha" chain', 'a "b" c', '12" and 5"', 'lone "'])
def test_a_quotation_mark_inside_a_name_of_a_tab_separated_table_is_a_letter(tmp_path: Path, name: str) -> None:
    text = _text(tmp_path, "sound.tsv").replace("name of DB7\t", f"{name}\t")
    (tmp_path / "kg.tsv").write_text(text)
    names = {row[5] for row in _rows(tmp_path / "kg.tsv")}
    assert name in names
    assert len(_rows(tmp_path / "kg.tsv")) == 80


def test_marks_that_pair_up_across_lines_swallow_no_row(tmp_path: Path) -> None:
    """Read with quoting, the three rows from the first mark to the second would be one sound row."""
    (tmp_path / "kg.tsv").write_text('id\tname\tkind\n1\t"a\tx\n2\tb\tx\n3\tc"\tx\n4\td\tx\n')
    assert _rows(tmp_path / "kg.tsv") == [("1", '"a', "x"), ("2", "b", "x"), ("3", 'c"', "x"), ("4", "d", "x")]
    (tmp_path / "kg.csv").write_text('id,name,kind\n1,"a,x\n2,b,x\n3,c",x\n4,d,x\n')
    assert "a quotation mark is opened on line 2" in _refusal(tmp_path / "kg.csv")


def test_letters_and_quoting_in_one_comma_separated_table(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text('id,name,kind\n1,5"-nucleotidase,x\n2,"acid, ""fuming""",x\n3,"two\nlines",x\n')
    assert [row[1] for row in _rows(tmp_path / "kg.csv")] == ['5"-nucleotidase', 'acid, "fuming"', "two\nlines"]


def test_a_mark_that_is_not_doubled_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "kg.csv").write_text('id,name,kind\n1,a,x\n2,"acid, "fuming" one",x\n3,c,x\n')
    assert "line 3" in _refusal(tmp_path / "kg.csv")


def test_zero_bytes_within_a_table_are_refused(tmp_path: Path) -> None:
    text = _text(tmp_path).encode()
    (tmp_path / "kg.csv").write_bytes(text[:900] + b"\0" * 40 + text[940:])
    assert "zero bytes" in _refusal(tmp_path / "kg.csv")


def test_names_are_not_compulsory(tmp_path: Path) -> None:
    _text(tmp_path)
    table = pl.read_csv(tmp_path / "sound.csv", infer_schema=False)
    table.select("x_type", "x_id", "relation", "y_type", "y_id").write_csv(tmp_path / "kg.csv")
    graph = read_kg(tmp_path / "kg.csv")
    assert graph.nodes["drug"]["name"].to_list() == graph.nodes["drug"]["id"].to_list()
    assert graph.edge_count == 40


def test_hidden_files_and_empty_ones_are_no_members(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, content in {"part-0.csv": "a,b\n1,2\n", "_SUCCESS": "", ".part.crc": "x", "empty": ""}.items():
        (folder / name).write_text(content)
    with opened(folder) as tables:
        assert [table.member.name for table in tables] == ["part-0.csv"]


def test_nothing_unpacked_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = tmp_path / "kg.csv.gz"
    path.write_bytes(gzip.compress(_text(tmp_path).encode()))
    read_kg(path)
    path.write_bytes(gzip.compress(b"relation,x_id\n1\n"))
    _refusal(path)
    assert list(scratch.iterdir()) == []
