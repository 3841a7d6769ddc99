"""What is wrong with rows in kg form, in one line with the place; for when reading failed, so it may take time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.tables.table import Table


def check_columns(table: Table, needed: Iterable[str]) -> None:
    """Refuse a table that lacks columns, or (Parquet) holds ids as fractions.

    Raises:
        UserError: Names the missing columns.
    """
    needed = tuple(needed)
    missing = [column for column in needed if column not in table.columns]
    if missing:
        found = ", ".join(table.columns[:12])
        hint = f"A graph table needs {', '.join(needed)}."
        if found.isprintable() and len(found) < 200:
            hint += f" Found {found}."
        raise UserError(f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}", table.where, hint)
    for column, kind in table.schema.items():
        if column in ("x_id", "y_id") and kind.is_float():
            raise UserError(f"the column {column} holds fractions, not ids", table.where, "Store ids as text.")
        if column in (*needed, "x_name", "y_name") and (kind.is_nested() or kind == pl.Binary):
            raise UserError(f"the column {column} holds {kind}, not text", table.where, "Store it as text.")


def is_blank(values: pl.Series) -> pl.Series:
    """Where a string is missing, empty or white space."""
    return values.is_null() | (values.str.strip_chars() == "").fill_null(True)


def blank_field(table: Table | None, source: str, needed: tuple[str, ...]) -> UserError:
    """The error for a row without an id, type or relation: its line (Parquet: its row) and column."""
    hint = "Every row needs a relation, and an id and a type for both nodes."
    if table is not None and table.kind == "parquet":
        rows = table.scan().select(pl.col(needed).cast(pl.String)).with_row_index("row", offset=1)
        first = rows.filter(pl.any_horizontal(pl.col(needed).fill_null("").str.strip_chars() == "")).head(1).collect()
        column = next(c for c in needed if not (first[c][0] or "").strip())
        return UserError(f"row {first['row'][0]} has no {column}", table.where, hint)
    for number, fields in _rows(table) if table is not None else ():
        for column in needed:
            if table is not None and not fields[table.columns.index(column)].strip():
                return UserError(f"line {number} has no {column}", table.where, hint)
    return UserError("a row lacks a relation, id or type", source, hint)


def line_of(table: Table, column: str, text: str) -> str:
    """The first line (Parquet: row) whose field of a column is a text, as `line 7`; empty where there is none."""
    if table.kind == "parquet":
        rows = table.scan(row_index_name="row").filter(pl.col(column).cast(pl.String) == text).head(1).collect()
        return f"row {rows['row'][0] + 1}" if rows.height else ""
    place = table.columns.index(column)
    return next((f"line {number}" for number, fields in _rows(table) if fields[place] == text), "")


def _rows(table: Table) -> Iterator[tuple[int, list[str]]]:
    """Each row below the header that has a value, with the number of the line on which it begins."""
    csv.field_size_limit(1 << 30)
    form = table.form
    with form.file.open(encoding="utf-8-sig", newline="") as text:
        # A mark that cannot occur (zero bytes are refused) quotes nothing.
        reader = csv.reader(text, delimiter=form.separator, quotechar=form.quote or "\0")
        next(reader)
        begin = reader.line_num + 1
        for fields in reader:
            if any(field.strip() for field in fields):
                yield begin, fields
            begin = reader.line_num + 1
