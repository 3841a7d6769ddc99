"""Rows in kg form, the columns of PrimeKG's `kg.csv`, to a graph; every format is turned into such rows.

Needed are `relation, x_id, x_type, y_id, y_type`; `x_name, y_name` are read where they are, and any others are ignored.
Rows are streamed into integer codes by polars, so that memory stays far below the file's size, and everything after
that is arithmetic on columns.

One direction of every edge is kept, as PrimeKG's users do: edge types are grouped by relation and unordered pair of
node types, and the group's first row gives the direction. A row of the other direction is the mirror image of a kept
one and is dropped, or flipped and kept where its mirror image is missing. A relation between equal types keeps one
edge per unordered pair.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.graph.formats import kg_faults
from flykd_console.graph.keys import distinct
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
from flykd_console.graph.tables.table import Table, opened_one

NEEDED = ("relation", "x_id", "x_type", "y_id", "y_type")
COLUMNS = ("relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name")
_DATE = "\0date"  # what no column of a file is called


def read_kg(path: Path) -> KnowledgeGraph:
    """Read a knowledge graph from one file in kg form.

    Args:
        path: CSV, TSV or Parquet, plain or packed.

    Returns:
        The graph, as `graph_of` gives it.

    Raises:
        UserError: The file is missing, unreadable, damaged, empty or not of this form; names the file and, where it
            can, the line.
    """
    with opened_one(path) as table:
        kg_faults.check_columns(table, NEEDED)
        return graph_of(encode(table.scan(), table), str(path), table)


def encode(rows: pl.LazyFrame, table: Table, kept: tuple[str, ...] = ()) -> pl.DataFrame:
    """Rows as categories that share one set of codes; rows without any value are left out.

    Args:
        rows: Has the columns `NEEDED`, as text or anything that reads as text.
        table: What they stand in, for messages.
        kept: Further columns that are kept as they are.

    Returns:
        The columns `COLUMNS` (a name that is not there is null) and `kept`.

    Raises:
        UserError: They cannot be read.
    """
    try:
        schema = rows.collect_schema()
        found = [column for column in COLUMNS if column in schema]
        kinds = {schema[column] for column in found}
        coded = len(kinds) == 1 and isinstance(next(iter(kinds)), pl.Categorical)
        category = next(iter(kinds)) if coded else pl.Categorical(pl.Categories.random())
        # Categories that share their codes already are not written out and coded anew.
        columns = pl.col(found) if coded else pl.col(found).cast(pl.String).cast(category)
        filled = rows.select(columns, pl.col(kept)).filter(~pl.all_horizontal(pl.col(found).is_null()))
        absent = [pl.lit(None, category).alias(column) for column in COLUMNS if column not in schema]
        return filled.with_columns(absent).select(*COLUMNS, *kept).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise table.explain(error) from error


def graph_of(
    rows: pl.DataFrame, source: str, table: Table | None = None, dates: NDArray[np.int32] | None = None
) -> KnowledgeGraph:
    """Encoded rows as a graph.

    Args:
        rows: As `encode` gives them.
        source: The graph's name for people.
        table: What they stand in, to name the line of a fault.
        dates: Each row's (`dates`), int32 [rows]. An edge has the earliest of all its rows, of either direction.

    Returns:
        The graph. Nodes of a type stand in ascending order of their ids, edges of a type in ascending order of (head,
        tail): neither depends on the order of the rows. A node without a name is named by its id; of several names
        the first in the alphabet is taken.

    Raises:
        UserError: There are no rows, or one lacks an id, a type or the relation.
    """
    if rows.is_empty():
        raise UserError("has a header but no rows", source, "It should hold one row per edge.")
    nodes = _nodes(rows)
    if kg_faults.is_blank(nodes["id"]).any() or kg_faults.is_blank(nodes["type"]).any() or _blank_relation(rows):
        raise kg_faults.blank_field(table, source, NEEDED)
    dated = [] if dates is None else [pl.Series(_DATE, dates)]
    groups = (
        rows.select(COLUMNS)
        .drop("x_name", "y_name")
        .with_columns(dated)
        .partition_by(["relation", "x_type", "y_type"], maintain_order=True, include_key=False, as_dict=True)
    )
    del rows
    tables, places = _node_tables(nodes)
    edges, dates_of_edges = _edges(groups, tables, places)
    return KnowledgeGraph(tables, edges, source, dates=None if dates is None else dates_of_edges)


def _nodes(rows: pl.DataFrame) -> pl.DataFrame:
    """Every (type, id) once with its name: strings `type, id, name` and the id's `code`, sorted by type and id."""
    ends = [rows.lazy().select(type=f"{end}_type", id=f"{end}_id", name=f"{end}_name").unique() for end in "xy"]
    named = (
        pl.concat(ends)
        .unique()
        .with_columns(code=pl.col("id").to_physical())
        .with_columns(pl.col("type", "id", "name").cast(pl.String))
    )
    name = pl.when(pl.col("name").str.strip_chars() != "").then("name").min()
    nodes = named.group_by("type", "id", "code").agg(name).with_columns(pl.col("name").fill_null(pl.col("id")))
    return nodes.sort("type", "id").collect()


def _blank_relation(rows: pl.DataFrame) -> bool:
    return kg_faults.is_blank(rows["relation"].unique().cast(pl.String)).any()


def _node_tables(nodes: pl.DataFrame) -> tuple[dict[str, pl.DataFrame], dict[str, NDArray[np.int64]]]:
    """Per type its table `id, name`, and per id code the node's index (int64; meaningless for codes of other types)."""
    tables, places = {}, {}
    for (node_type,), table in nodes.partition_by("type", maintain_order=True, as_dict=True).items():
        code = table["code"].to_numpy()
        place = np.zeros(int(code.max()) + 1, np.int64)
        place[code] = np.arange(table.height)
        tables[str(node_type)], places[str(node_type)] = table.select("id", "name").rechunk(), place
    return tables, places


def _edges(
    groups: dict[tuple[object, ...], pl.DataFrame],
    tables: dict[str, pl.DataFrame],
    places: dict[str, NDArray[np.int64]],
) -> tuple[dict[EdgeType, Pairs], dict[EdgeType, NDArray[np.int32]]]:
    """One direction of every edge, and its date where rows have one.

    Args:
        groups: The rows by (relation, x type, y type), first seen first.
    """
    edges: dict[EdgeType, Pairs] = {}
    dates: dict[EdgeType, NDArray[np.int32]] = {}
    for names, group in groups.items():
        relation, head, tail = map(str, names)
        opposite = EdgeType(tail, relation, head)
        if head != tail and opposite in edges:
            continue  # already merged with the direction that came first
        n_tails = tables[tail].height
        told = [_keys(group, "x_id", "y_id", places[head], places[tail], n_tails, unordered=head == tail)]
        rows = [group]
        if head == tail:
            keys = distinct(told[0])
        else:
            keys = np.sort(told[0])
            mirrored = groups.get((names[0], names[2], names[1]))
            if mirrored is not None:
                rows.append(mirrored)
                told.append(_keys(mirrored, "y_id", "x_id", places[head], places[tail], n_tails, unordered=False))
                flipped = np.sort(told[1])
                if not np.array_equal(keys, flipped):
                    keys = np.sort(np.concatenate([keys, flipped[~np.isin(flipped, keys)]]))
        edge_type = EdgeType(head, relation, tail)
        edges[edge_type] = (keys // n_tails, keys % n_tails)
        if _DATE in group.columns:
            dates[edge_type] = _earliest(keys, np.concatenate(told), np.concatenate([one[_DATE] for one in rows]))
    return dict(sorted(edges.items())), dates


def _earliest(keys: NDArray[np.int64], told: NDArray[np.int64], dates: NDArray[np.int32]) -> NDArray[np.int32]:
    """The earliest date that is told of each key, int32 [keys]; `dates` are those of the keys `told`."""
    order = np.argsort(told, kind="stable")
    ordered = told[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    least = np.minimum.reduceat(dates[order], first)
    found: NDArray[np.int32] = least[np.searchsorted(ordered[first], keys)]
    return found


def _keys(
    group: pl.DataFrame,
    head_column: str,
    tail_column: str,
    head_place: NDArray[np.int64],
    tail_place: NDArray[np.int64],
    n_tails: int,
    *,
    unordered: bool,
) -> NDArray[np.int64]:
    """Each row's edge as one number, head · n_tails + tail; the smaller index first if the order does not matter."""
    heads = head_place[group[head_column].to_physical().to_numpy()]
    tails = tail_place[group[tail_column].to_physical().to_numpy()]
    if unordered:
        heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
    keys: NDArray[np.int64] = heads * n_tails + tails
    return keys
