"""Lists of pairs as people keep them: which column means what, and the outcome of a pair in words of several fields.

A list names two nodes a row, by ids or names, under the usual headings (`drug_id,disease_id`, `drug,disease`,
`head,tail`, `x_id,y_id`, `subject,object`), with a relation where it has one, and with an outcome: of trials
(`approved`, `failed`, `in trial`), a label (`1`, `0`), or a use (`off-label`). Comma, tab or semicolon, plain or gzip;
the standard library is enough.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flykd_console.errors import CHECK_PATH, UserError

Outcome = Literal["positive", "negative", "open"]
STANDARD_INPUT = Path("-")
_RELATION = ("relation", "predicate", "edge_type")
_OUTCOME = ("outcome", "label", "status", "result")
_WORDS: dict[Outcome, tuple[str, ...]] = {
    "positive": ("1", "1.0", "true", "yes", "approved", "positive", "success", "successful", "off-label", "off label",
                 "off-label use", "indication", "launched"),
    "negative": ("0", "0.0", "false", "no", "failed", "failure", "negative", "rejected", "withdrawn", "terminated"),
    "open": ("in trial", "in trials", "trial", "in_trial", "ongoing", "open", "recruiting", "unknown", "phase 1",
             "phase 2", "phase 3", "phase i", "phase ii", "phase iii"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns of a list.

    Attributes:
        head: Those that name the head, ids before names; a row takes the first that is filled in.
        tail: The same of the tail.
        relation: None where there is none; `outcome` likewise.
    """

    head: tuple[int, ...]
    tail: tuple[int, ...]
    relation: int | None
    outcome: int | None


@dataclass(frozen=True, slots=True)
class ListedPair:
    """A row: its line in the file, what it says of either end, its relation and its outcome where there are such."""

    line: int
    head: str
    tail: str
    relation: str | None
    outcome: Outcome | None


def outcome_of(text: str) -> Outcome | None:
    """An outcome by its word; None for a word that is none."""
    word = text.strip().casefold()
    return next((outcome for outcome, words in _WORDS.items() if word in words), None)


def columns_of(header: Sequence[str], head_type: str, tail_type: str, where: str) -> Columns:
    """Find the columns of a list by their headings.

    Raises:
        UserError: A side has no column, or two that say the same.
    """
    names = [name.strip().strip("\ufeff").casefold().replace(" ", "_").replace("-", "_") for name in header]
    head = _places(names, "head", head_type, "drug" if tail_type != "drug" else "disease", ("x", "subject"), where)
    tail = _places(names, "tail", tail_type, "disease" if head_type != "disease" else "drug", ("y", "object"), where)
    missing = [side for side, places in (("head", head), ("tail", tail)) if not places]
    if missing:
        found = f"It has: {', '.join(header)}." if any(names) else "Its first line is empty."
        raise UserError(f"lacks the column {' and '.join(missing)}", where, found)
    return Columns(head, tail, _first(names, _RELATION), _first(names, _OUTCOME))


def renamed(header: Sequence[str], head_type: str, tail_type: str, head: str, tail: str) -> dict[str, str]:
    """The columns of a table that name its ends by id, and the relation, under the names that are asked for.

    Nothing where one of the three is not there, or where two say the same.

    Args:
        head: What the column of heads is to be called; `tail` that of tails.
    """
    try:
        columns = columns_of(header, head_type, tail_type, "")
    except UserError:
        return {}
    if columns.relation is None:
        return {}
    return {header[columns.head[0]]: head, header[columns.tail[0]]: tail, header[columns.relation]: "relation"}


def _places(
    names: Sequence[str], side: str, node_type: str, kind: str, other: tuple[str, str], where: str
) -> tuple[int, ...]:
    """Places of a side's columns: ids, what may be either, names."""
    letter, role = other
    plain = {side, kind, node_type.casefold(), role}
    ways = (
        {f"{one}_id" for one in plain} | {f"{letter}_id"},
        plain,
        {f"{one}_name" for one in plain} | {f"{letter}_name"},
    )
    found = []
    for way in ways:
        here = [place for place, name in enumerate(names) if name in way]
        if len(here) > 1:
            raise UserError(f"has two columns for the {side}", where, f"Columns: {', '.join(names)}.")
        found += here
    return tuple(found)


def _first(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def name_of(path: Path) -> str:
    """What messages call the file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def read_list(path: Path, head_type: str, tail_type: str, outcomes: bool = False) -> list[ListedPair]:
    """Read a list of pairs.

    Args:
        path: A file, or `-` for standard input.
        head_type: The graph's word for heads; `tail_type` for tails.
        outcomes: Whether every outcome must be a known one; else a word that is none is no outcome.

    Raises:
        UserError: The file cannot be read, is no UTF-8 table, is empty, lacks a column, or a row lacks a value or an
            outcome.
    """
    return rows_of(text_of(path), head_type, tail_type, name_of(path), outcomes)


def rows_of(text: str, head_type: str, tail_type: str, where: str, outcomes: bool = False) -> list[ListedPair]:
    """As `read_list`, of a list whose text was read already (`text_of`)."""
    rows = list(_rows(text, head_type, tail_type, outcomes, where))
    if not rows:
        raise UserError("holds no rows", where, "Give a header and one pair a line.")
    return rows


def _rows(text: str, head_type: str, tail_type: str, outcomes: bool, where: str) -> Iterator[ListedPair]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter_of(text))
    try:
        header = next(reader, [])
        columns = columns_of(header, head_type, tail_type, where)
        for values in reader:
            if any(value.strip() for value in values):
                # A short row reads as empty values.
                yield _row([*values, *[""] * len(header)], columns, reader.line_num, outcomes, where)
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} is no CSV ({error})", where, "Mend the line.") from None


def _row(values: Sequence[str], columns: Columns, line: int, outcomes: bool, where: str) -> ListedPair:
    head, tail = (_filled(values, places) for places in (columns.head, columns.tail))
    if not head or not tail:
        raise UserError(f"line {line} has an empty head or tail", where, "Fill it in.")
    relation = values[columns.relation].strip() if columns.relation is not None else ""
    outcome = None
    if columns.outcome is not None:
        said = values[columns.outcome]
        outcome = outcome_of(said)
        if outcome is None and outcomes:
            raise UserError(f"line {line} has the outcome {said.strip()!r}", where, KNOWN_OUTCOMES)
    return ListedPair(line, head, tail, relation or None, outcome)


KNOWN_OUTCOMES = "Outcomes are approved, failed, in trial, off-label, or 1 and 0."


def _filled(values: Sequence[str], places: Sequence[int]) -> str:
    return next((text for place in places if (text := values[place].strip())), "")


def delimiter_of(text: str) -> str:
    """What stands between cells: tab or semicolon where the first line has one, else comma."""
    first = text.split("\n", 1)[0]
    return next((mark for mark in ("\t", ";") if mark in first), ",")


def text_of(path: Path) -> str:
    """The whole text of a list, plain or gzip, with `\n` alone between its lines.

    Raises:
        UserError: The file cannot be read, or is no UTF-8.
    """
    where = name_of(path)
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except EOFError:
        raise UserError("was not written whole: it ends within its gzip stream", where, "Get it again.") from None
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror or error})", where, CHECK_PATH) from None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UserError("is not text in UTF-8", where, "Save it as CSV in UTF-8.") from None
