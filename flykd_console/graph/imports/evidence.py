"""Columns of time and evidence: their types, and what an edge that several rows tell of says in the end.

Years are whole numbers, scores fractions, everything else text. Of rows that tell the same edge one is kept: the least
year, the largest score, and the distinct texts joined by `|`.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

_YEARS = ("publication_year", "year", "approval_year", "first_seen")
_SCORES = ("score", "confidence", "confidence_score", "weight")
_DATE = r"^\s*(\d{4})(?:\D|$)"


def typed(column: str) -> pl.Expr:
    """A column of edges under the type that evidence of its name has."""
    text = pl.col(column).cast(pl.String)
    if column in _YEARS:
        return text.str.extract(_DATE).cast(pl.Int32, strict=False).alias(column)
    if column in _SCORES:
        return text.cast(pl.Float64, strict=False).alias(column)
    filled = pl.when(text.str.strip_chars() != "").then(text)
    return filled.cast(pl.Categorical(pl.Categories.random())).alias(column)


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
