"""PrimeKG's and TxGNN's graph in two tables: nodes by number, and edges between numbers.

`nodes.csv`: `node_index, node_id, node_type, node_name, node_source`; `edges.csv`: `relation, display_relation,
x_index, y_index`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats.base import Format, Parts, texts
from flykd_console.graph.tables.table import Table

NODES = ("node_index", "node_id", "node_type")
EDGES = ("relation", "x_index", "y_index")


def _is_nodes(table: Table) -> bool:
    return set(NODES) <= set(table.columns)


def _is_edges(table: Table) -> bool:
    return set(EDGES) <= set(table.columns) and "x_id" not in table.columns


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Tables of numbered nodes, and of edges between numbers."""
    return [table for table in tables if _is_nodes(table) or _is_edges(table)]


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where one of the two tables is missing."""
    nodes, edges = ([texts(t) for t in tables if is_one(t)] for is_one in (_is_nodes, _is_edges))
    if not nodes or not edges:
        missing, columns = ("nodes", NODES) if not nodes else ("edges", EDGES)
        raise UserError(
            f"the table of {missing} is missing", tables[0].where, f"Add the one with {', '.join(columns)}."
        )
    node_rows = pl.concat(nodes, how="diagonal")
    name = pl.col("node_name") if "node_name" in node_rows.collect_schema() else pl.lit(None, pl.String)
    named = node_rows.select(key="node_index", id="node_id", type="node_type", name=name)
    edge_rows = pl.concat(edges, how="diagonal")
    display = ["display_relation"] if "display_relation" in edge_rows.collect_schema() else []
    return Parts(
        edge_rows.select("relation", *display, x_key="x_index", y_key="y_index"), named.collect(engine="streaming")
    )


FORMAT = Format("primekg-tables", "PrimeKG's nodes.csv and edges.csv", (NODES, EDGES), sniff, read)
