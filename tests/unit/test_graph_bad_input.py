"""Graph files that cannot be read: each gets one line with the file, the place and the remedy."""

from __future__ import annotations

import gzip
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from tests.support.graph_files import HEADER, Row, both_ways, write_rows

ROWS: list[Row] = both_ways([("indication", "drug", f"DB{i}", "disease", str(1000 + i)) for i in range(3000)])


def refusal(path: Path) -> str:
    """The one line that a user is shown."""
    with pytest.raises(UserError) as caught:
        read_kg(path)
    error = caught.value
    assert str(path) in error.where
    assert "\n" not in str(error)
    assert error.hint or "Permission" in error.title
    return str(error)


def text_of(tmp_path: Path, rows: list[Row] = ROWS) -> str:
    return write_rows(tmp_path / "sound.csv", rows).read_text("utf-8")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such graph file" in refusal(tmp_path / "kg.csv")


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)
    (tmp_path / "kg.csv").mkdir()
    assert "is a directory" in refusal(tmp_path / "kg.csv")


def test_a_spreadsheet(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "kg.xlsx", "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    assert "is a spreadsheet. Save it as CSV" in refusal(tmp_path / "kg.xlsx")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "kg.csv", ROWS[:2])
    path.chmod(0)
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("name", ["kg.csv", "kg.csv.gz", "kg.tsv", "kg.parquet"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "is empty" in refusal(tmp_path / name)


def test_a_gzip_file_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "kg.csv.gz").write_bytes(gzip.compress(b""))
    assert "holds no data" in refusal(tmp_path / "kg.csv.gz")


def test_a_header_without_rows(tmp_path: Path) -> None:
    assert "has a header but no rows" in refusal(write_rows(tmp_path / "kg.csv", []))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv"
    path.write_text("relation,x_id,x_type,x_name,y_id,tail_type\nr,1,a,n,2,b\n")
    line = refusal(path)
    assert "lacks the column y_type" in line
    assert "Found relation, x_id" in line


@pytest.mark.parametrize("column", ["relation", "x_id", "x_type", "y_id", "y_type"])
@pytest.mark.parametrize("value", ["", "   ", '""'])
def test_an_empty_field_is_told_with_line_and_column(tmp_path: Path, column: str, value: str) -> None:
    lines = text_of(tmp_path, ROWS[:50]).split("\n")
    for place in (30, 40):
        fields = lines[place].split(",")
        fields[HEADER.index(column)] = value
        lines[place] = ",".join(fields)
    path = tmp_path / "kg.csv"
    path.write_text("\n".join(lines))
    assert f"line 31 has no {column}" in refusal(path)


def test_the_line_number_counts_line_ends_inside_names(tmp_path: Path) -> None:
    lines = text_of(tmp_path, ROWS[:20]).split("\n")
    lines[5] = lines[5].replace("name of DB4", '"name\nof\nDB4"')
    lines[10] = lines[10].replace("DB9,drug", ",drug", 1)
    path = tmp_path / "kg.csv"
    path.write_text("\n".join(lines))
    assert "line 13 has no x_id" in refusal(path)


def test_an_empty_field_in_a_gzip_file(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv.gz"
    path.write_bytes(gzip.compress(text_of(tmp_path).replace("DB7,drug", ",drug", 1).encode()))
    assert "line 9 has no x_id" in refusal(path)


@pytest.mark.parametrize("value", [None, "", " "])
def test_an_empty_field_in_parquet_is_told_with_its_row(tmp_path: Path, value: str | None) -> None:
    text_of(tmp_path, ROWS[:10])
    table = pl.read_csv(tmp_path / "sound.csv", infer_schema=False).with_row_index()
    table = table.with_columns(y_id=pl.when(pl.col("index") == 4).then(pl.lit(value, pl.String)).otherwise("y_id"))
    table.write_parquet(tmp_path / "kg.parquet")
    assert "row 5 has no y_id" in refusal(tmp_path / "kg.parquet")


def test_a_row_with_too_few_fields(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv"
    path.write_text(text_of(tmp_path, ROWS[:5]) + "indication,indication,0,DB1\n")
    assert "line 7 has 4 fields where the header has 12" in refusal(path)


def test_an_unquoted_comma_is_not_taken_for_a_column(tmp_path: Path) -> None:
    """Such a row would move every later field by one: it must not pass."""
    path = tmp_path / "kg.csv"
    path.write_text(text_of(tmp_path).replace("name of DB1234", "name, of DB1234", 1))
    assert "line 1236 has 13 fields where the header has 12" in refusal(path)


def test_an_unquoted_comma_with_the_needed_columns_only(tmp_path: Path) -> None:
    text_of(tmp_path)
    table = pl.read_csv(tmp_path / "sound.csv", infer_schema=False)
    table.select("relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name").write_csv(tmp_path / "kg.csv")
    path = tmp_path / "kg.csv"
    path.write_text(path.read_text().replace("name of DB1234", "name, of DB1234", 1))
    assert "line 1236 has 8 fields where the header has 7" in refusal(path)


@pytest.mark.parametrize("place", [1, 1500, 6000], ids=["first row", "middle", "last row"])
def test_a_quotation_mark_that_is_not_closed(tmp_path: Path, place: int) -> None:
    lines = text_of(tmp_path).rstrip("\n").split("\n")
    lines[place] = lines[place].replace("name of", '"name of', 1)
    path = tmp_path / "kg.csv"
    path.write_text("\n".join(lines) + "\n")
    line = refusal(path)
    assert "mark" in line
    assert f"line {place + 1}" in line


@pytest.mark.parametrize("kept", [20, 5000, -4], ids=["head", "middle", "trailer"])
def test_a_gzip_file_that_breaks_off(tmp_path: Path, kept: int) -> None:
    whole = gzip.compress(text_of(tmp_path).encode())
    path = tmp_path / "kg.csv.gz"
    path.write_bytes(whole[:kept])
    line = refusal(path)
    assert "the gzip file breaks off before its end" in line
    assert "copy it again" in line


@pytest.mark.parametrize("place", [-6, 3000], ids=["checksum", "data"])
def test_a_damaged_gzip_file(tmp_path: Path, place: int) -> None:
    data = bytearray(gzip.compress(text_of(tmp_path).encode()))
    for byte in range(place, place + 3):
        data[byte] ^= 0xFF
    path = tmp_path / "kg.csv.gz"
    path.write_bytes(data)
    assert "the gzip file is damaged" in refusal(path)


def test_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "kg.csv"
    path.write_bytes(text_of(tmp_path).replace("name of DB99,", "Ménière,", 1).encode("latin-1"))
    line = refusal(path)
    assert "line 101 is not UTF-8 text" in line


@pytest.mark.parametrize("name", ["kg.csv", "kg.csv.gz", "kg.tsv", "kg.parquet"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: random.Random(1).randbytes(40_000),
        lambda: b"\0" * 40_000,
        lambda: "relation,x_id\n".encode("utf-16") * 50,
        lambda: b"<!DOCTYPE html><html><body>Service unavailable</body></html>",
        lambda: b"\x1f\x8b\x08garbage",
        lambda: b"\n\n\n",
        lambda: b"\x7fELF" + bytes(range(256)) * 20,
    ],
    ids=["random", "zeros", "utf-16", "html", "gzip magic", "line ends", "binary"],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(make())
    assert refusal(path).isprintable()


def test_zeros_after_the_header(tmp_path: Path) -> None:
    """What a crash leaves at the end of a file on some file systems."""
    path = tmp_path / "kg.csv"
    path.write_bytes(text_of(tmp_path).encode()[:-2000] + b"\0" * 2000)
    assert refusal(path).isprintable()


def test_parquet_that_breaks_off(tmp_path: Path) -> None:
    text_of(tmp_path)
    path = tmp_path / "kg.parquet"
    pl.read_csv(tmp_path / "sound.csv", infer_schema=False).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "is not a readable Parquet file" in refusal(path)


def test_parquet_with_fractions_for_ids(tmp_path: Path) -> None:
    text_of(tmp_path)
    table = pl.read_csv(tmp_path / "sound.csv", infer_schema=False).with_columns(pl.lit(1000.0).alias("y_id"))
    table.write_parquet(tmp_path / "kg.parquet")
    assert "y_id holds fractions" in refusal(tmp_path / "kg.parquet")


def test_parquet_with_lists_for_names(tmp_path: Path) -> None:
    text_of(tmp_path)
    table = pl.read_csv(tmp_path / "sound.csv", infer_schema=False).with_columns(pl.concat_list("x_name"))
    table.write_parquet(tmp_path / "kg.parquet")
    assert "x_name holds List" in refusal(tmp_path / "kg.parquet")
