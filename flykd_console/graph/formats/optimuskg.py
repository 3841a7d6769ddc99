"""OptimusKG, PrimeKG's successor: `nodes.parquet` (`id, label, properties`) and `edges.parquet` (`from, to, label,
relation, undirected, properties`), or one file a type with `properties` as columns of their own.

Types are taken from the nodes: the edges' own label has been wrong for some rows. Only the name is taken out of
`properties`, which is JSON text or a struct. Source: doi:10.7910/DVN/IYNGEV.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.graph.formats.base import Format, Parts, evidence_in, its_tables
from flykd_console.graph.tables.table import Table

NODES = ("id", "label", "properties")
EDGES = ("from", "to", "label", "relation")
_NAMES = ("name", "symbol", "title")


def _is_nodes(table: Table) -> bool:
    return set(NODES) <= set(table.columns) and "from" not in table.columns


def _is_edges(table: Table) -> bool:
    return set(EDGES) <= set(table.columns)


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Its node and edge tables."""
    return [table for table in tables if _is_nodes(table) or _is_edges(table)]


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where nodes or edges are missing."""
    nodes = its_tables(tables, _is_nodes, "node", NODES)
    edges = its_tables(tables, _is_edges, "edge", EDGES)
    edges, notes = _one_release(edges)
    rows = pl.concat([_edges(table) for table in edges], how="diagonal")
    named = pl.concat([_nodes(table) for table in nodes]).unique(maintain_order=True)
    return Parts(rows, named.collect(engine="streaming"), notes=notes)


def _one_release(edges: list[Table]) -> tuple[list[Table], tuple[str, ...]]:
    """The release holds the same edges whole, as the largest connected component, and by type: the whole is taken."""
    text = [table for table in edges if not table.schema.get("properties", pl.String).is_nested()]
    if len(text) == len(edges):
        components = [table for table in edges if "largest_connected" in table.member.name]
        whole = [table for table in edges if table not in components]
        if components and whole:
            return whole, (f"left out, since the whole graph is there: {', '.join(t.member.name for t in components)}",)
        return edges, ()
    if not text:
        return edges, ()
    return text, ("files by type are left out, since the whole graph is there",)


def _nodes(table: Table) -> pl.LazyFrame:
    rows = table.scan()
    kind = rows.collect_schema()["properties"]
    if isinstance(kind, pl.Struct):
        fields = [entry.name for entry in kind.fields]
        values = [pl.col("properties").struct.field(name).cast(pl.String) for name in _NAMES if name in fields]
    else:
        values = [pl.col("properties").str.json_path_match(f"$.{name}") for name in _NAMES]
    name = pl.coalesce(values) if values else pl.lit(None, pl.String)
    return rows.select(key=pl.col("id").cast(pl.String), id=pl.col("id").cast(pl.String), type="label", name=name)


def _edges(table: Table) -> pl.LazyFrame:
    rows = table.scan()
    kept = evidence_in(rows.collect_schema().names())
    return rows.select(*kept, x_key="from", relation="relation", y_key="to")


FORMAT = Format("optimuskg", "OptimusKG's nodes and edges", (NODES, EDGES), sniff, read, map="optimuskg")
