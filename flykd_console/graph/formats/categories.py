"""Nodes with labels: Biolink classes and Neo4j's labels list a node's ancestors with it; one of them is its type."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.graph.formats.base import SPACE, Parts, evidence_in

_ROOTS = ("NamedThing", "Entity", "Thing")  # say nothing


def labelled(nodes: Sequence[pl.LazyFrame], edges: Sequence[pl.LazyFrame]) -> Parts:
    """From rows with the names `id, category, name` and `subject, predicate, object`."""
    node_rows = pl.concat(nodes, how="diagonal")
    columns = node_rows.collect_schema().names()
    name = pl.col("name") if "name" in columns else pl.lit(None, pl.String)
    table, collapsed = one_type(node_rows.select("id", "category", name=name).collect(engine="streaming"))
    edge_rows = pl.concat(edges, how="diagonal")
    kept = evidence_in(edge_rows.collect_schema().names())
    relation = pl.col("predicate").str.strip_prefix("biolink:")
    rows = edge_rows.select(*kept, x_key="subject", relation=relation, y_key="object")
    plain = pl.col("id").str.replace(f"^[^{SPACE}]*{SPACE}", "")
    return Parts(rows, table.select("type", "name", id=plain, key="id"), collapsed=collapsed)


def one_type(nodes: pl.DataFrame) -> tuple[pl.DataFrame, dict[tuple[str, str], int]]:
    """Nodes with one type each: the only one listed, else the rarest of the table among them, the first of equals.

    Args:
        nodes: Has `category`, a list joined by `|`, `;` or the unit separator, with or without `biolink:`.

    Returns:
        The nodes with `type`, null where none is listed; and how many nodes had which several, by (taken, listed).
    """
    lists = nodes["category"].unique().drop_nulls().to_list()
    listed = {text: _classes(text) for text in lists}
    counts = dict(nodes["category"].drop_nulls().value_counts().iter_rows())
    frequency: dict[str, int] = {}
    for text, classes in listed.items():
        for name in classes:
            frequency[name] = frequency.get(name, 0) + counts[text]
    taken = {text: min(classes, key=frequency.__getitem__, default=None) for text, classes in listed.items()}
    collapsed: dict[tuple[str, str], int] = {}
    for text, classes in listed.items():
        if len(classes) > 1:
            key = (str(taken[text]), "|".join(classes))
            collapsed[key] = collapsed.get(key, 0) + counts[text]
    one = pl.col("category").replace_strict(list(taken), list(taken.values()), default=None, return_dtype=pl.String)
    return nodes.with_columns(type=one), collapsed


def _classes(text: str) -> list[str]:
    for mark in (";", "\x1f", "\u01c2"):
        text = text.replace(mark, "|")
    names = list(dict.fromkeys(name.strip().removeprefix("biolink:") for name in text.split("|") if name.strip()))
    telling = [name for name in names if name not in _ROOTS]
    return telling or names
