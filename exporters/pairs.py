"""A CSV file of pairs for the scorer: columns head, tail and maybe relation; each bad row is named by its line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import CHECK_PATH, UserError

if TYPE_CHECKING:
    from exporters.answers import ScoredPair
    from exporters.scorer import Scorer

_SHOWN = 5


@dataclass(frozen=True)
class Row:
    """A row of the file: its line, the two names or ids, and its relation where the file has that column."""

    line: int
    head: str
    tail: str
    relation: str | None


def score_file(
    scorer: Scorer, path: Path, relation: str | None = None, skipped: list[str] | None = None
) -> list[ScoredPair]:
    """Score every row of a CSV file, in its order; without a relation, each row once per relation of the bundle.

    Args:
        skipped: Hears of each row that names no node or relation of the bundle, which is left out then; None: such
            rows are refused.

    Raises:
        UserError: The file cannot be read, lacks a column, or has rows that name no node or relation of the bundle.
    """
    asked: list[tuple[int, int, str]] = []
    wrong: list[tuple[int, str]] = []
    for row in read_rows(scorer, path):
        try:
            if row.relation:
                names: tuple[str, ...] = (scorer.relation(row.relation),)
            else:
                names = scorer.relations if relation is None else (scorer.relation(relation),)
            # Near names cost a search through all of them: only for the rows that are shown.
            head, tail = scorer.heads.find(row.head), scorer.tails.find(row.tail)
        except UserError as error:
            if skipped is not None:
                skipped.append(f"line {row.line}: {error.title}")
                continue
            hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
            wrong.append((row.line, error.title + hint))
            if len(wrong) > _SHOWN:
                break
            continue
        asked += [(head, tail, name) for name in names]
    if wrong:
        shown = "; ".join(f"line {line}: {what}" for line, what in wrong[:_SHOWN])
        more = "; and more" if len(wrong) > _SHOWN else ""
        raise UserError(f"rows cannot be scored: {shown}{more}", str(path), "Mend these rows, then try again.")
    # One call per relation; the answers go back to the order of the file.
    answers: dict[int, ScoredPair] = {}
    for name in scorer.relations:
        places = [place for place, (_, _, other) in enumerate(asked) if other == name]
        pairs = [(asked[place][0], asked[place][1]) for place in places]
        answers.update(zip(places, scorer.score_pairs(pairs, name), strict=True))
    return [answers[place] for place in range(len(asked))]


def read_rows(scorer: Scorer, path: Path) -> list[Row]:
    """The rows of the file. Columns are `head` and `tail`, or `drug` and `disease`, or the bundle's node types.

    Raises:
        UserError: The file cannot be read, is no UTF-8 CSV, is empty, lacks a column, or a row lacks a value.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().casefold() for name in next(reader, [])]
            columns = _columns(scorer, header, path)
            rows = []
            for values in reader:
                if not any(value.strip() for value in values):
                    continue
                # A short row reads as empty values.
                padded = [*values, *[""] * len(header)]
                head, tail = (padded[columns[side]].strip() for side in ("head", "tail"))
                if not head or not tail:
                    raise UserError(f"line {reader.line_num} has an empty head or tail", str(path), "Fill it in.")
                relation = padded[columns["relation"]].strip() if "relation" in columns else ""
                rows.append(Row(reader.line_num, head, tail, relation or None))
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror})", str(path), CHECK_PATH) from None
    except UnicodeDecodeError:
        raise UserError("is not text in UTF-8", str(path), "Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} is no CSV ({error})", str(path), "Mend the line.") from None
    if not rows:
        raise UserError("holds no rows", str(path), "Give a header and one pair a line.")
    return rows


def _columns(scorer: Scorer, header: list[str], path: Path) -> dict[str, int]:
    """Place of the head's, the tail's and, where there is one, the relation's column."""
    columns: dict[str, int] = {}
    names = {"head": "head", "tail": "tail", "relation": "relation"}
    for kind in ("drug", "disease"):
        names[kind] = scorer.side_of(kind)
    names[scorer.manifest.head_type.casefold()] = "head"
    names[scorer.manifest.tail_type.casefold()] = "tail"
    for place, name in enumerate(header):
        side = names.get(name)
        if side:
            if side in columns:
                raise UserError(f"has two columns for the {side}", str(path), f"Columns: {', '.join(header)}.")
            columns[side] = place
    missing = [side for side in ("head", "tail") if side not in columns]
    if missing:
        found = f"It has: {', '.join(header)}." if any(header) else "Its first line is empty."
        raise UserError(f"lacks the column {' and '.join(missing)}", str(path), found)
    return columns
