"""What is wrong with a file in kg form, in one line with the place; for when reading failed, so it may take time."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import polars as pl

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.profile.sections import graph_hint

COPY_AGAIN = "Download or copy it again."


def check_file(path: Path, formats: Mapping[str, str]) -> str:
    """The column separator of a readable file of a known form ('' for Parquet).

    Raises:
        UserError: It is not there, a directory, unreadable, of an unknown form or empty.
    """
    if path.is_dir():
        raise UserError(
            "is a directory, not a graph file", str(path), f"Name the file in it, such as {path / 'kg.csv'}."
        )
    if not path.exists():
        raise UserError("there is no such graph file", str(path), graph_hint(path))
    ending = next((e for e in sorted(formats, key=len, reverse=True) if path.name.lower().endswith(e)), None)
    if ending is None:
        raise UserError("is not a known kind of graph file", str(path), f"Its name should end in {', '.join(formats)}.")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UserError("cannot be read", str(path), "Check its permissions.")
    if path.stat().st_size == 0:
        raise UserError("is empty", str(path), COPY_AGAIN)
    if formats[ending] and not ending.endswith(".gz"):
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            # What a crash of the machine leaves of a file that was being written.
            if file.read(1) == b"\0":
                raise UserError("ends in zero bytes: it was not written whole", str(path), COPY_AGAIN)
    return formats[ending]


def check_columns(path: Path, schema: pl.Schema, needed: Iterable[str], separator: str) -> None:
    """Refuse a table that lacks columns, or (Parquet) holds ids as fractions.

    Raises:
        UserError: Names the missing columns.
    """
    missing = [column for column in needed if column not in schema]
    if missing:
        found = ", ".join(list(schema)[:12])
        hint = f"A graph table needs {', '.join(needed)}."
        if len(schema) == 1 and separator == "," and "\t" in found:
            hint = "Its columns are separated by tabs: name it .tsv."
        elif len(schema) == 1 and separator == "\t" and "," in found:
            hint = "Its columns are separated by commas: name it .csv."
        elif found.isprintable() and len(found) < 200:
            hint += f" Found {found}."
        raise UserError(f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}", str(path), hint)
    for column in ("x_id", "y_id"):
        if schema[column].is_float():
            raise UserError(f"the column {column} holds fractions, not ids", str(path), "Store ids as text.")
    for column in needed:
        if schema[column].is_nested() or schema[column] == pl.Binary:
            raise UserError(f"the column {column} holds {schema[column]}, not text", str(path), "Store it as text.")


def is_blank(values: pl.Series) -> pl.Series:
    """Where a string is missing, empty or white space."""
    return values.is_null() | (values.str.strip_chars() == "").fill_null(True)


def blank_field(path: Path, separator: str, needed: tuple[str, ...]) -> UserError:
    """The error for a row without an id, type or relation: its line (Parquet: its row) and column."""
    hint = "Every row needs a relation, and an id and a type for both nodes."
    if not separator:
        rows = pl.scan_parquet(path, glob=False).select(pl.col(needed).cast(pl.String)).with_row_index("row", offset=1)
        first = rows.filter(pl.any_horizontal(pl.col(needed).fill_null("").str.strip_chars() == "")).head(1).collect()
        column = next(c for c in needed if not (first[c][0] or "").strip())
        return UserError(f"row {first['row'][0]} has no {column}", str(path), hint)
    header, lines = _rows(path, separator)
    for number, fields in lines:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            return _ragged(path, number, fields, len(header))
        for column in needed:
            if not fields[header.index(column)].strip():
                return UserError(f"line {number} has no {column}", str(path), hint)
    return UserError("a row lacks a relation, id or type", str(path), hint)


def explain(path: Path, separator: str, error: Exception) -> UserError:
    """Turn what the reader said into one line, looking for the damaged line where the reader does not name it."""
    if isinstance(error, pl.exceptions.NoDataError):
        return UserError("holds no data", str(path), COPY_AGAIN)
    if not separator:
        return UserError(
            "is not a readable Parquet file", str(path), f"{COPY_AGAIN} The reader said: {_first_line(error)}"
        )
    damage = _gzip_damage(path) or _bad_encoding(path)
    if damage is not None:
        return damage
    if isinstance(error, OSError) and error.errno is not None:
        return UserError(f"cannot be read: {error.strerror}", str(path), CHECK_PATH)
    header, lines = _rows(path, separator)
    for number, fields in lines:
        if len(fields) != len(header):
            return _ragged(path, number, fields, len(header))
    hint = f"Look for a quotation mark that is not closed. The reader said: {_first_line(error)}"
    return UserError("is not a table that can be read", str(path), hint)


def _ragged(path: Path, line: int, fields: list[str], expected: int) -> UserError:
    if any(field.count("\n") > 1 for field in fields):
        return UserError(f"a quotation mark is opened on line {line} and not closed", str(path), "Close it there.")
    hint = "Names that hold the separator must stand in quotation marks, and each mark must be closed."
    return UserError(f"line {line} has {len(fields)} fields where the header has {expected}", str(path), hint)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def _gzip_damage(path: Path) -> UserError | None:
    import zlib

    try:
        with _open(path) as file:
            while file.read(1 << 22):
                pass
    except EOFError:
        return UserError("the gzip file breaks off before its end", str(path), COPY_AGAIN)
    except (gzip.BadGzipFile, zlib.error):
        return UserError("the gzip file is damaged", str(path), COPY_AGAIN)
    return None


def _bad_encoding(path: Path) -> UserError | None:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return UserError(
                    f"line {number} is not UTF-8 text", str(path), "Save the table as UTF-8, or copy it again."
                )
    return None


def _rows(path: Path, separator: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and each further row with the number of the line on which it begins."""
    csv.field_size_limit(1 << 30)  # an open quotation mark swallows the rest of the file

    def lines() -> Iterator[str]:
        with _open(path) as file:
            yield from (line.decode("utf-8").removeprefix("\ufeff") for line in file)

    reader = csv.reader(lines(), delimiter=separator)
    header = next(reader)

    def rows() -> Iterator[tuple[int, list[str]]]:
        begin = reader.line_num + 1
        try:
            for fields in reader:
                if fields:
                    yield begin, fields
                begin = reader.line_num + 1
        except csv.Error as fault:
            raise UserError(f"line {begin} cannot be read: {fault}", str(path), COPY_AGAIN) from fault

    return header, rows()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
