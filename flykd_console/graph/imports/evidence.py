"""Columns of time and evidence: their types, and what an edge that several rows tell of says in the end.

Years are whole numbers, scores fractions, everything else text. Of rows that tell the same edge one is kept: the least
year, the largest score, and the distinct texts joined by `|`.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.words import counted

_YEARS = ("publication_year", "year", "approval_year", "first_seen")
_SCORES = ("score", "confidence", "confidence_score", "weight")
_YEAR = re.compile(r"\s*(\d{4})(?:\D|$)")


def typed(column: str) -> pl.Expr:
    """A column of edges under the type that evidence of its name has; years are texts still (`with_years`)."""
    text = pl.col(column).cast(pl.String)
    if column in _SCORES:
        return text.cast(pl.Float64, strict=False).alias(column)
    filled = pl.when(text.str.strip_chars() != "").then(text)
    return filled.cast(pl.Categorical(pl.Categories.random())).alias(column)


def with_years(edges: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Columns of years as whole numbers, the least where a field tells several; and notes of what could not be read."""
    notes = []
    for column in _YEARS:
        if column not in edges.columns:
            continue
        texts = edges[column].unique().drop_nulls()
        years = [_earliest(text) for text in texts.cast(pl.String).to_list()]
        known = pl.DataFrame({"text": texts, "number": pl.Series(years, dtype=pl.Int32)})
        told = edges.select(text=column).join(known, on="text", how="left", maintain_order="left")
        found = told["number"]
        strange = found.is_null() & edges[column].is_not_null()
        if count := int(strange.sum()):
            first = edges[column].filter(strange).cast(pl.String)[0]
            notes.append(f"{counted(count, 'row')} kept without their {column}, which is no year, first {first!r}")
        edges = edges.with_columns(found.alias(column))
    return edges, tuple(notes)


def notes_on_scores(edges: pl.LazyFrame) -> tuple[str, ...]:
    """Which texts of columns of scores are no numbers, such as `0,562` or `56.2%`, and so are not kept."""
    notes = []
    for column in edges.collect_schema().names():
        if column not in _SCORES:
            continue
        text = pl.col(column).cast(pl.String)
        strange = (text.str.strip_chars() != "") & text.cast(pl.Float64, strict=False).is_null()
        found = edges.filter(strange).select(pl.len(), text.first().alias("text")).collect(engine="streaming")
        if count := int(found["len"][0]):
            first = found["text"][0]
            notes.append(f"{counted(count, 'row')} kept without their {column}, which is no number, first {first!r}")
    return tuple(notes)


def _earliest(text: str) -> int | None:
    years = [int(found[1]) for part in text.split("|") if (found := _YEAR.match(part))]
    return min(years, default=None)


def merged(edges: pl.DataFrame, group: NDArray[np.int64], n_nodes: int) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Each (head, relation, tail) once, where its first row stood.

    Args:
        edges: `x, y`, `relation` and evidence.
        group: Each row's relation between types, int64 [n].
        n_nodes: How many nodes there are.
    """
    size = np.int64(max(n_nodes, 1))
    key = (group * size + edges["x"].cast(pl.Int64).to_numpy()) * size + edges["y"].cast(pl.Int64).to_numpy()
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    again = np.zeros(len(key), dtype=bool)
    again[order[1:][same]] = True
    evidence = [column for column in edges.columns if column not in ("x", "y", "relation")]
    if not again.any():
        return edges, group
    if evidence:
        involved = again.copy()
        involved[order[:-1][same]] = True
        edges = _joined(edges, key, involved, again, evidence)
    else:
        edges = edges.filter(~again)
    return edges, group[~again]


def _joined(
    edges: pl.DataFrame,
    key: NDArray[np.int64],
    involved: NDArray[np.bool_],
    again: NDArray[np.bool_],
    evidence: list[str],
) -> pl.DataFrame:
    rows = edges.filter(involved).select(evidence).with_columns(key=pl.Series(key[involved]))
    told = rows.group_by("key").agg(_agreed(column, edges.schema[column]) for column in evidence)
    kept = edges.filter(~again).with_columns(key=pl.Series(key[~again]))
    kept = kept.join(told, on="key", how="left", suffix="_told", maintain_order="left")
    better = [pl.coalesce(pl.col(f"{column}_told"), pl.col(column).cast(told.schema[column])) for column in evidence]
    return kept.with_columns(
        better_one.alias(column) for column, better_one in zip(evidence, better, strict=True)
    ).select(edges.columns)


def _agreed(column: str, kind: pl.DataType) -> pl.Expr:
    if kind == pl.Int32:
        return pl.col(column).min()
    if kind == pl.Float64:
        return pl.col(column).max()
    texts = pl.col(column).cast(pl.String).drop_nulls().unique(maintain_order=True)
    return pl.when(texts.len() > 0).then(texts.str.join("|")).alias(column)
