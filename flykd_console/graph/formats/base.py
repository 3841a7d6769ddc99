"""What a graph format is: how its tables are recognised, and how they become edges and nodes under common names.

A file of this folder that has `FORMAT` is a format (`find.py`); `recognise.py` asks each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.tables.table import Table

# Columns of edges that say when something became known, how and by whom: they survive, under these names.
EVIDENCE = (
    "publication_year", "year", "date", "publication_date", "approval_year", "first_seen",
    "knowledge_level", "agent_type", "primary_knowledge_source", "source", "knowledge_source", "evidence",
    "score", "confidence", "confidence_score", "weight",
    "subject_aspect_qualifier", "object_aspect_qualifier", "object_direction_qualifier",
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """What a format reads.

    Attributes:
        edges: Text columns `x_key, relation, y_key`, and any of evidence; `directed` rows as they stand in the source.
        nodes: Text columns `key` (as edges have it), `id`, `type`, `name` (null: none).
        notes: What a reader should know, a sentence without a full stop each.
        collapsed: How many nodes had several types, and which one was taken: by (type taken, all types).
    """

    edges: pl.LazyFrame
    nodes: pl.DataFrame
    notes: tuple[str, ...] = ()
    collapsed: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes:
        name: In messages, reports and maps.
        words: What it is, for people.
        columns: Of each of its tables, to name the nearest layout of one that is unknown.
        sniff: Which of some tables are its own.
        read: Its own tables to edges and nodes; raises UserError.
        map: The shipped map (`graph/imports/maps/NAME.toml`) that goes with it; empty: none.
    """

    name: str
    words: str
    columns: tuple[tuple[str, ...], ...]
    sniff: Callable[[Sequence[Table]], list[Table]]
    read: Callable[[Sequence[Table]], Parts]
    map: str = ""


_SUFFIX = re.compile(r"^([^:]*):([A-Za-z_]+)(?:\(([^)]*)\))?(?:\[\])?$")
SPACE = "\x1e"  # between an id space and an id
_NEO4J = {"ID": "id", "LABEL": "category", "START_ID": "subject", "END_ID": "object", "TYPE": "predicate"}


def bare(column: str) -> str:
    """A column's name without neo4j-admin's suffix: `subject:START_ID`, `:LABEL`, `synonyms:string[]`."""
    found = _SUFFIX.match(column.strip())
    if found is None:
        return column.strip()
    name, kind, _ = found.groups()
    return _NEO4J.get(kind, name or kind)


def _id_space(column: str) -> str:
    """The space within which ids of a column stand, as `:START_ID(Drug)` names it; empty: that of all."""
    found = _SUFFIX.match(column.strip())
    return found[3] or "" if found is not None and found[2] in ("ID", "START_ID", "END_ID") else ""


def texts(table: Table, header: Sequence[str] | None = None) -> pl.LazyFrame:
    """A table's rows with bare names and text columns; lists joined by `|`, ids after the name of their space."""
    rows = table.scan(header)
    schema = rows.collect_schema()
    names: dict[str, str] = {}
    for column in schema:
        if bare(column) not in names.values():
            names[column] = bare(column)
    columns = []
    for column, name in names.items():
        text = as_text(column, schema[column])
        space = _id_space(column)
        columns.append((pl.lit(f"{space}{SPACE}") + text if space else text).alias(name))
    return rows.select(columns)


def as_text(column: str, kind: pl.DataType) -> pl.Expr:
    """A column as text; lists joined by `|`."""
    if isinstance(kind, pl.List):
        return pl.col(column).cast(pl.List(pl.String)).list.join("|")
    return pl.col(column) if kind == pl.String or kind.is_nested() else pl.col(column).cast(pl.String)


def its_tables(
    tables: Sequence[Table], is_one: Callable[[Table], bool], name: str, columns: Sequence[str]
) -> list[Table]:
    """The node or the edge tables of a layout that keeps them apart, and that is known by either.

    Args:
        name: `node` or `edge`; `columns`: that such a table has.

    Raises:
        UserError: There is none of them.
    """
    found = [table for table in tables if is_one(table)]
    if not found:
        other = "edge" if name == "node" else "node"
        hint = f"Name the {name} table, too: the one with {', '.join(columns)}."
        raise UserError(f"an {other} table without its {name} table", tables[0].where, hint)
    return found


def evidence_in(columns: Sequence[str]) -> list[str]:
    """Which columns carry evidence or time."""
    return [column for column in columns if column in EVIDENCE]


def typed_nodes(edges: pl.LazyFrame, mark: str) -> pl.DataFrame:
    """Nodes of edges whose keys are `type<mark>id`: `key, id, type, name`; a key without the mark has no type."""
    keys = pl.concat([edges.select(key=end).unique() for end in ("x_key", "y_key")]).unique()
    parts = pl.col("key").str.splitn(mark, 2)
    named = keys.with_columns(type=parts.struct.field("field_0"), id=parts.struct.field("field_1"))
    return (
        named.with_columns(
            type=pl.when(pl.col("id").is_not_null()).then("type"),
            id=pl.col("id").fill_null(pl.col("key")),
            name=pl.lit(None, pl.String),
        )
        .select("key", "id", "type", "name")
        .sort("key")
        .collect(engine="streaming")
    )
