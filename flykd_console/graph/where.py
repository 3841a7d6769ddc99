"""`graph.where`: which rows of a graph are read, by their columns of time and evidence.

A condition is `[RELATION:] COLUMN OPERATOR VALUE [or missing]`, such as `publication_year <= 2015 or missing` or
`indication: knowledge_level = knowledge_assertion`. Operators are `= != < <= > >=`; the last four compare numbers. A
text of several values joined by `|` equals each of them, and a number equals another spelling of it. A row without a
value is left out unless `or missing` stands there; rows of other relations than the one named are not asked. Several
conditions hold together.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

from flykd_console.errors import UserError
from flykd_console.profile.conditions import Condition

# A number, or the year of an ISO date; after it the end, or a further value.
_FURTHER = r"\s*(?:[|;].*)?$"
_NUMBER = r"^\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)" + _FURTHER
_ISO_DATE = r"^\s*(\d{4})-\d{1,2}(?:-\d{1,2})?(?:[T ][^|;]*)?" + _FURTHER
_MISSING = ["", "-", "na", "n/a", "nan", "none", "null", "unknown"]


def keeps(condition: Condition) -> pl.Expr:
    """Whether a row stays."""
    text = pl.col(condition.column).cast(pl.String)
    if condition.operator in ("=", "!="):
        equal = text.str.split("|").list.contains(condition.value)
        if _is_number(condition.value):
            # 2010.0, as a spreadsheet leaves it, is 2010.
            equal |= (_number(text) == float(condition.value)).fill_null(False)
        holds = equal if condition.operator == "=" else ~equal
    else:
        number = _number(text)
        limit = float(condition.value)
        holds = {
            "<": number < limit,
            "<=": number <= limit,
            ">": number > limit,
            ">=": number >= limit,
        }[condition.operator]
    holds = holds.fill_null(condition.missing)
    if not condition.relation:
        return holds
    return holds | (pl.col("relation").cast(pl.String) != condition.relation)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: pl.Expr) -> pl.Expr:
    """What a text says as a number: itself, the year of an ISO date, or the first of several; else null."""
    found = pl.coalesce(text.str.extract(_NUMBER), text.str.extract(_ISO_DATE))
    return found.cast(pl.Float64, strict=False)


def _refuse_other_texts(condition: Condition, rows: pl.LazyFrame, source: str) -> None:
    """Refuse a comparison of numbers with texts that are none: `5/24/2014`, `56.2%`, `0,562`, `high`.

    Raises:
        UserError: Names the first one.
    """
    text = pl.col(condition.column).cast(pl.String)
    wrong = text.is_not_null() & ~text.str.strip_chars().str.to_lowercase().is_in(_MISSING) & _number(text).is_null()
    if condition.relation:
        wrong &= pl.col("relation").cast(pl.String) == condition.relation
    found = rows.filter(wrong).select(text.alias("text")).head(1).collect(engine="streaming")
    if not found.is_empty():
        raise UserError(
            f"{condition.column!r} of {source} holds {found['text'][0]!r}, which is no number, year or ISO date",
            "graph.where",
            f"{condition.operator} compares numbers: mend the column, or take = or !=.",
        )


def check_column(column: str, columns: Sequence[str], source: str, key: str) -> None:
    """Refuse a column that is not there.

    Args:
        column: What `key` of the profile names.
        columns: All that the rows have.

    Raises:
        UserError: Names near ones, or all columns of evidence.
    """
    if column in columns:
        return
    own = ("x_id", "x_type", "x_name", "x_source", "y_id", "y_type", "y_name", "y_source", "relation")
    known = [name for name in columns if name not in own]
    near = difflib.get_close_matches(column, known, n=3) or known[:8]
    hint = f"The graph has {', '.join(near)}." if near else "The graph has no columns of evidence."
    raise UserError(f"there is no column {column!r} in {source}", key, hint)


def kept_by(conditions: Sequence[Condition], rows: pl.LazyFrame, source: str) -> pl.LazyFrame:
    """The rows for which every condition holds.

    Raises:
        UserError: A column or relation is not there, or no row is left.
    """
    if not conditions:
        return rows
    columns = rows.collect_schema().names()
    for condition in conditions:
        check_column(condition.column, columns, source, "graph.where")
    named = [condition.relation for condition in conditions if condition.relation]
    if named:
        relations = rows.select(pl.col("relation").unique()).collect(engine="streaming")["relation"].cast(pl.String)
        absent = sorted(set(named) - set(relations.to_list()))
        if absent:
            near = (
                difflib.get_close_matches(absent[0], relations.drop_nulls().to_list(), n=3) or relations.to_list()[:8]
            )
            raise UserError(
                f"there is no relation {absent[0]!r} in {source}", "graph.where", f"It has {', '.join(near)}."
            )
    for condition in conditions:
        if condition.operator not in ("=", "!="):
            _refuse_other_texts(condition, rows, source)
    kept = rows.filter(pl.all_horizontal(keeps(condition) for condition in conditions))
    if kept.head(1).collect(engine="streaming").is_empty():
        raise UserError(f"no row of {source} is left", "graph.where", "Widen the conditions.")
    return kept
