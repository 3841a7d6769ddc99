"""Tables in files: what their first lines say, and their rows as text columns, read by polars.

A table is delimited text with or without a header, JSON (one object a line, or one document), or Parquet. Its form
follows from its content. Rows are scanned lazily; text is judged line by line before the first row is handed out.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.tables.judge import Form, judge
from flykd_console.graph.tables.plain import COPY_AGAIN
from flykd_console.graph.tables.unpack import Member, unpacked

Kind = Literal["text", "parquet", "json lines", "json", "other"]
_HEAD = 1 << 18
_SEPARATORS = ("\t", ",", ";", "|")
_SAMPLE = 200  # lines of JSON looked at


@dataclass(frozen=True, eq=False)
class Table:
    """One file's table.

    Attributes:
        member: Where it is.
        kind: What it is written as; `other`: no table.
        first: The first line's fields (text), the columns (Parquet), or the keys of the first objects (JSON).
        second: The second line's fields, where there is one.
        separator: Between fields of text.
        quote: The mark that quotes fields of text.
        schema: Types of the columns (Parquet).
    """

    member: Member
    kind: Kind
    first: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    separator: str = ""
    quote: str = '"'
    schema: pl.Schema = field(default_factory=pl.Schema)

    @property
    def where(self) -> str:
        """What it is called in messages."""
        return self.member.where

    @property
    def columns(self) -> tuple[str, ...]:
        """`first` without white space around the names: what a layout is recognised by."""
        return tuple(name.strip() for name in self.first)

    def read_as(self, separator: str, quote: str) -> Table:
        """The same lines under another form, as a header in a file of its own tells it."""
        with self.member.file.open("rb") as opened:
            head = opened.read(_HEAD)
        first, second = _first_lines(head, separator, quote)
        return replace(self, first=first, second=second, separator=separator, quote=quote)

    @cached_property
    def form(self) -> Form:
        """How text is read, after every line was looked at.

        Raises:
            UserError: Names the line that does not belong.
        """
        where, fields = self.member.where, len(self.first)
        return judge(self.member.file, where, self.separator, self.quote, fields, self.member.copy_name)

    def scan(self, header: Sequence[str] | None = None, row_index_name: str | None = None) -> pl.LazyFrame:
        """The rows; text and JSON as strings, Parquet in its own types.

        Args:
            header: Names of the columns where the first line is a row; None: the first line has them.
            row_index_name: A column to add that counts rows from 0; None: none.

        Raises:
            UserError: A line is damaged; names it.
        """
        if self.kind == "parquet":
            return pl.scan_parquet(self.member.file, row_index_name=row_index_name, glob=False)
        if self.kind == "json lines":
            return self._scan_objects(row_index_name)
        if self.kind == "json":
            raise UserError(
                "is one JSON document, not a table", self.where, "Give its rows as JSON lines, CSV, TSV or Parquet."
            )
        form = self.form
        names = self.columns if header is None else tuple(header)
        # Naming all columns makes polars read them all: only where the names in the file will not do.
        renamed = list(names) if header is not None or names != self.first else None
        return pl.scan_csv(
            form.file,
            separator=form.separator,
            quote_char=form.quote,
            has_header=header is None,
            new_columns=renamed,
            infer_schema=False,
            row_index_name=row_index_name,
            glob=False,
        )

    def _scan_objects(self, row_index_name: str | None) -> pl.LazyFrame:
        """The keys of a JSON-lines file's first object as text columns; null where a line lacks one.

        Raises:
            UserError: A line is no object; names it.
        """
        numbered = self.lines(number="number")
        text = pl.col("line").str.strip_chars()
        torn = numbered.filter(~(text.str.starts_with("{") & text.str.ends_with("}"))).head(1).collect()
        if not torn.is_empty():
            raise UserError(f"line {torn['number'][0] + 1} is no JSON object", self.where, COPY_AGAIN)
        values = [pl.col("line").str.json_path_match(_json_path(name)).alias(name) for name in self.columns]
        rows = numbered.select(values)
        return rows if row_index_name is None else rows.with_row_index(row_index_name)

    def collect(self) -> pl.DataFrame:
        """All rows.

        Raises:
            UserError: They cannot be read.
        """
        try:
            return self.scan().collect()
        except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
            raise self.explain(error) from error

    def lines(self, number: str | None = None) -> pl.LazyFrame:
        """The lines of JSON lines as column `line`, and as `number` which each is, from 0; empty ones left out."""
        lines = pl.scan_lines(self.member.file, name="line", row_index_name=number, glob=False)
        return lines.filter(pl.col("line").str.strip_chars() != "")

    def explain(self, error: Exception) -> UserError:
        """What a reader's own error means, in one line."""
        said = _first_line(error)
        if self.kind == "parquet":
            return UserError("is not a readable Parquet file", self.where, f"{COPY_AGAIN} The reader said: {said}")
        return UserError("is not a table that can be read", self.where, f"{COPY_AGAIN} The reader said: {said}")


def _json_path(name: str) -> str:
    return f"$.{name}" if name.isidentifier() else f"$[{json.dumps(name)}]"


@contextmanager
def explained(where: str) -> Iterator[None]:
    """What a reader says of damage that only shows while rows are read, as one line.

    Raises:
        UserError: In place of the reader's own errors.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError) as error:
        raise UserError("cannot be read", where, f"{COPY_AGAIN} The reader said: {_first_line(error)}") from error


@contextmanager
def opened(*sources: Path) -> Iterator[list[Table]]:
    """Every file of the sources as a table; unpacked files are gone afterwards.

    Raises:
        UserError: As `unpacked`, or a Parquet file is damaged.
    """
    with unpacked(sources) as members:
        yield [look(member) for member in members]


@contextmanager
def opened_one(path: Path) -> Iterator[Table]:
    """The one table in a file.

    Raises:
        UserError: As `opened`; or it is a folder, an archive of several files, or no table.
    """
    if path.is_dir():
        raise UserError("is a directory, not a table", str(path), "Name the file in it.")
    with opened(path) as tables:
        if len(tables) != 1:
            raise UserError(f"holds {len(tables)} files", str(path), "Name one table.")
        if tables[0].kind not in ("text", "parquet"):
            raise UserError("is not a table", str(path), "Tables are CSV, TSV or Parquet.")
        yield tables[0]


def look(member: Member) -> Table:
    """A file's form by its first bytes.

    Raises:
        UserError: It begins like Parquet and cannot be read.
    """
    with member.file.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PAR1"):
        table = Table(member, "parquet")
        try:
            schema = pl.scan_parquet(member.file, glob=False).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise table.explain(error) from error
        return replace(table, first=tuple(schema), schema=schema)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        return _json(member, text)
    if not text or b"\0" in text or text.startswith((b"<", b"%PDF", b"\x7fELF")):
        return Table(member, "other")
    separator = _separator(head)
    first, second = _first_lines(head, separator, '"')
    return Table(member, "text", first, second, separator)


def _json(member: Member, head: bytes) -> Table:
    keys: dict[str, None] = {}
    lines = head.splitlines()
    # The last line of a head may be cut off.
    whole = lines[:-1] if len(head) >= _HEAD - 8 else lines
    for line in whole[:_SAMPLE]:
        try:
            found: Any = json.loads(line) if line.strip() else {}
        except ValueError:
            if keys:
                # Objects before it say that lines are objects: this one is damaged, which whoever reads them tells.
                break
            return Table(member, "json", tuple(_outer_keys(head)))
        if isinstance(found, dict):
            keys |= dict.fromkeys(found)
    if len(whole) == 1 and isinstance(json.loads(whole[0]), dict) and _is_document(json.loads(whole[0])):
        return Table(member, "json", tuple(keys))
    return Table(member, "json lines" if whole else "json", tuple(keys) or tuple(_outer_keys(head)))


def _is_document(found: dict[str, Any]) -> bool:
    """A single object that holds lists of objects is a document, not a line."""
    return any(isinstance(value, list) and value and isinstance(value[0], dict) for value in found.values())


def _outer_keys(head: bytes) -> list[str]:
    """The keys of a JSON document's outer object, as far as its head shows them."""
    keys, depth, place, text = [], 0, 0, head.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    while place < len(text):
        letter = text[place]
        if letter == '"':
            try:
                word, end = decoder.raw_decode(text, place)
            except ValueError:
                break
            if depth == 1 and text[end : end + 4].lstrip().startswith(":"):
                keys.append(str(word))
            place = end
            continue
        depth += (letter in "{[") - (letter in "}]")
        place += 1
    return keys


def _separator(head: bytes) -> str:
    """The character that stands between the first line's fields."""
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    if "\t" in line:
        return "\t"
    outside = "".join(line.split('"')[::2])
    return max(_SEPARATORS[1:], key=outside.count)


def _first_lines(head: bytes, separator: str, quote: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line.replace("\r", "") for line in text.split("\n")[:2]]
    rows = [tuple(next(csv.reader([line], delimiter=separator, quotechar=quote), ())) for line in lines]
    return rows[0], rows[1] if len(rows) > 1 else ()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
