"""How a text table is to be read, and that every line of it has the fields of the first: no row is lost in silence.

A quotation mark is quoting where every line that has one is well-formed by itself (RFC 4180); it is a letter, as in
`5"-nucleotidase`, where every line has its fields without quoting. Where lines of both kinds or quoted line ends stand
together, the csv module reads the table, and a copy is written in which quoting is as polars wants it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.tables.plain import COPY_AGAIN, holds
from flykd_console.graph.tables.uniform import uniform
from flykd_console.words import counted


@dataclass(frozen=True)
class Form:
    """Between fields `separator`, around them `quote` (None: quotation marks are letters), in `file`."""

    file: Path
    separator: str
    quote: str | None


def judge(file: Path, where: str, separator: str, quote: str, fields: int, place: Callable[[], Path]) -> Form:
    """Look at every line.

    Args:
        file: UTF-8 text with line feeds.
        where: What it is called in messages.
        separator: Between fields, one ASCII character.
        quote: The quotation mark, one ASCII character.
        fields: How many the first line has.
        place: Gives a path for a copy.

    Raises:
        UserError: Names the first line that has other fields, is not UTF-8, or opens a quotation that is not closed.
    """
    plainly = uniform(file, separator, quote, fields) if fields > 1 else None
    if plainly is not None:
        return Form(file, separator, quote if plainly == "quoted" else None)
    return judge_by_line(file, where, separator, quote, fields, place)


def judge_by_line(file: Path, where: str, separator: str, quote: str, fields: int, place: Callable[[], Path]) -> Form:
    """The same without the quick look of `uniform`, which it is held against."""
    if holds(file, b"\0"):
        raise UserError("holds zero bytes: it is no text, or was not written whole", where, COPY_AGAIN)
    if fields == 1:
        return Form(file, separator, None)
    quoted = holds(file, quote.encode())
    # polars takes the carriage return of Windows' line ends away. One pass over the lines answers everything.
    line, number = pl.col("line"), pl.col("number")
    plain = line.str.count_matches(separator, literal=True) + 1
    other = plain != fields
    # What is asked of few lines is asked of those alone: the others are null there.
    blank = pl.when(other).then(line).str.strip_chars() == ""
    marked = line.str.contains(quote, literal=True) if quoted else pl.lit(False)
    asked = {"ragged": other & ~blank & ~marked}
    if quoted:
        rest = pl.when(marked).then(line)
        inside = rest.str.replace_all(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}", "")
        count = inside.str.count_matches(separator, literal=True) + 1
        opened = rest.str.contains(f"(?:^|{_escaped(separator)}){quote}")
        asked["unsound"] = ~rest.str.contains(_sound(separator, quote)) | (count != fields)
        asked["no letters"] = marked & (other if separator == "\t" else other | opened)
    lines = pl.scan_lines(file, name="line", row_index_name="number", glob=False)
    try:
        found = lines.select(number.filter(which).min().alias(name) for name, which in asked.items())
        first = found.collect(engine="streaming").row(0, named=True)
        if not quoted:
            _refuse(lines, plain, first["ragged"], where, fields)
            return Form(file, separator, None)
    except pl.exceptions.PolarsError as error:
        raise _not_text(file, where, error) from error
    if first["ragged"] is None and first["unsound"] is None:
        return Form(file, separator, quote)
    if first["ragged"] is None and first["no letters"] is None:
        return Form(file, separator, None)
    copy = place()
    _rewritten(file, where, separator, quote, fields, copy)
    return Form(copy, separator, quote)


def _sound(separator: str, quote: str) -> str:
    """Fields that are quoted as a whole, or have no mark in them."""
    field = f"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}{_escaped(separator)}]*)"
    return f"^{field}(?:{_escaped(separator)}{field})*$"


def _escaped(separator: str) -> str:
    return "\\" + separator if separator in "|" else separator


def _refuse(lines: pl.LazyFrame, count: pl.Expr, number: int | None, where: str, expected: int) -> None:
    """Name a line, counted from 0, and its fields; None: there is nothing to refuse."""
    if number is not None:
        found = lines.filter(pl.col("number") == number).select(count).collect(engine="streaming")
        raise _other_fields(where, number + 1, int(found.item()), expected)


def _other_fields(where: str, line: int, found: int, expected: int) -> UserError:
    if found < expected:
        hint = "If it is the last line, the file was not written whole: download or copy it again."
    else:
        hint = "Names that hold the separator must stand in quotation marks, and each mark must be closed."
    return UserError(f"line {line} has {counted(found, 'field')} where the header has {expected}", where, hint)


def _not_text(file: Path, where: str, error: Exception) -> UserError:
    with file.open("rb") as opened:
        for number, line in enumerate(opened, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return UserError(
                    f"line {number} is not UTF-8 text", where, "Save the table as UTF-8, or copy it again."
                )
    return UserError(f"cannot be read: {str(error).splitlines()[0][:160]}", where, COPY_AGAIN)


def _rewritten(file: Path, where: str, separator: str, quote: str, fields: int, target: Path) -> None:
    """Read with the csv module, checking every row; written with quoting by RFC 4180."""
    with file.open(encoding="utf-8-sig", newline="") as text, target.open("w", encoding="utf-8", newline="") as copy:
        writer = csv.writer(copy, delimiter=separator, quotechar=quote, lineterminator="\n")
        try:
            for number, row in _rows(text, where, separator, quote):
                if _swallows(row, separator, fields):
                    title = f"a quotation mark is opened on line {number} and not closed"
                    raise UserError(title, where, "Close it there, or double it if it is part of a name.")
                if len(row) != fields:
                    raise _other_fields(where, number, len(row), fields)
                writer.writerow(row)
        except UnicodeDecodeError as error:
            raise _not_text(file, where, error) from error


def _swallows(row: list[str], separator: str, fields: int) -> bool:
    """Whether a field holds whole lines of the table: a mark that was meant as a letter ran on to the next one."""
    for field in row:
        inner = field.split("\n")[1:-1]
        if any(line.count(separator) >= fields - 1 for line in inner):
            return True
        if len(row) != fields and "\n" in field and separator in field:
            return True
    return False


def _rows(text: Iterator[str], where: str, separator: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty with the number of the line on which it begins."""
    csv.field_size_limit(1 << 30)  # an open quotation mark swallows the rest of the file
    reader = csv.reader(text, delimiter=separator, quotechar=quote, strict=True)
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        if "end of data" in str(error):
            title = f"a quotation mark is opened on line {begin} and not closed"
            raise UserError(title, where, "Close it there, or double it if it is part of a name.") from error
        title = f"line {begin} cannot be read: {error}"
        raise UserError(title, where, "A quotation mark inside a quoted name must be doubled.") from error
