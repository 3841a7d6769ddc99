"""What columns of time and evidence hold: ranges of dates and numbers, the commonest texts, and whose rows lack any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from flykd_console.dates import UNDATED, in_words
from flykd_console.graph.knowledge_graph import KnowledgeGraph

Kind = Literal["date", "number", "text"]
# Years are told from other whole numbers by their size.
_FIRST, _LAST = 1800, 2100
_ISO = r"^\s*\d{4}[-/]\d"
# Of a text with more values than this the commonest tell nothing, and counting them costs.
_MOST = 10_000
_EXAMPLES = 3


class EvidenceColumn(msgspec.Struct, frozen=True):
    """One column.

    Attributes:
        rows: Rows of the table; `filled` of them have a value.
        least, largest: Of dates and numbers, as they are written; empty of texts.
        examples: The commonest texts, the most first; none where there are very many.
        relations: By relation the share of its rows that have a value, those without any left out.
    """

    name: str
    kind: Kind
    rows: int
    filled: int
    least: str
    largest: str
    examples: list[str]
    relations: dict[str, float]

    @property
    def missing(self) -> float:
        """The share of rows without a value."""
        return 1.0 - self.filled / max(self.rows, 1)


def described(rows: pl.LazyFrame, columns: Sequence[str]) -> list[EvidenceColumn]:
    """Look at columns, in one pass and one more for texts.

    Args:
        rows: Has `relation` and the columns; lists do not occur.
    """
    if not columns:
        return []
    relation = pl.col("relation").cast(pl.String)
    filled = [_filled(column).is_not_null().alias(column) for column in columns]
    by_relation = (
        rows.select(relation, *filled).group_by("relation").agg(pl.len().alias("\0rows"), pl.col(columns).sum())
    ).collect(engine="streaming")
    facts = rows.select(_facts(column) for column in columns).collect(engine="streaming").row(0, named=True)
    total = int(by_relation["\0rows"].sum())
    shares = by_relation.filter(pl.col("relation").is_not_null()).sort("relation")
    found = []
    for column in columns:
        told = {
            str(name): count / of for name, of, count in shares.select("relation", "\0rows", column).rows() if count
        }
        found.append(_column(rows, column, total, int(by_relation[column].sum()), facts[column], told))
    return found


def of_years(graph: KnowledgeGraph, name: str) -> EvidenceColumn:
    """The dates of a graph that is generated, as a column."""
    assert graph.dates is not None
    known = {edge_type: dates[dates != UNDATED] for edge_type, dates in graph.dates.items()}
    every = np.concatenate(list(known.values()))
    shares = {e.relation: len(dates) / len(graph.dates[e]) for e, dates in known.items() if len(dates)}
    least, largest = (in_words(int(number)) for number in (every.min(), every.max()))
    return EvidenceColumn(name, "date", graph.edge_count, len(every), least, largest, [], shares)


def _filled(column: str) -> pl.Expr:
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _facts(column: str) -> pl.Expr:
    text = _filled(column)
    number = text.cast(pl.Float64, strict=False)
    return pl.struct(
        numbers=number.count(),
        least=number.min(),
        largest=number.max(),
        whole=(number == number.round()).all(),
        dates=text.str.contains(_ISO).sum(),
        first=text.min(),
        last=text.max(),
        values=text.approx_n_unique(),
    ).alias(column)


def _column(
    rows: pl.LazyFrame, column: str, total: int, filled: int, facts: Mapping[str, float], relations: dict[str, float]
) -> EvidenceColumn:
    if filled and facts["dates"] == filled:
        return EvidenceColumn(column, "date", total, filled, str(facts["first"]), str(facts["last"]), [], relations)
    if filled and facts["numbers"] == filled:
        is_year = facts["whole"] and facts["least"] >= _FIRST and facts["largest"] <= _LAST
        least, largest = f"{facts['least']:.10g}", f"{facts['largest']:.10g}"
        return EvidenceColumn(column, "date" if is_year else "number", total, filled, least, largest, [], relations)
    examples: list[str] = []
    if filled and facts["values"] <= _MOST:
        text = _filled(column).alias("text")
        counts = rows.select(text).filter(pl.col("text").is_not_null()).group_by("text").agg(pl.len().alias("rows"))
        examples = counts.sort("rows", "text", descending=[True, False]).head(_EXAMPLES).collect()["text"].to_list()
    return EvidenceColumn(column, "text", total, filled, "", "", examples, relations)


def in_few_words(column: EvidenceColumn) -> str:
    """What a column holds: `2001 to 2022`, `0.1 to 0.98`, `manual_agent, not_provided, ...`."""
    if not column.filled:
        return "nothing"
    if column.kind != "text":
        return f"{column.least} to {column.largest}"
    return ", ".join(column.examples) or "texts"
