"""KGX: Biolink nodes and edges in two tables, as ROBOKOP, RTX-KG2, Monarch, SPOKE and Every Cure publish them.

Nodes have `id, category` and mostly `name`; edges `subject, predicate, object` and evidence. TSV, CSV, Parquet or JSON
lines; lists are separated by `|`, older ones by the unit separator. Headers may carry neo4j-admin's suffixes
(`id:ID`, `category:LABEL`, `subject:START_ID`). Source: github.com/biolink/kgx, docs/kgx_format.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats import biocypher
from flykd_console.graph.formats.base import Format, Parts, bare, evidence_in, its_tables, texts
from flykd_console.graph.formats.categories import labelled
from flykd_console.graph.tables.table import Table

NODES = ("id", "category")
EDGES = ("subject", "predicate", "object")


def _names(table: Table) -> set[str]:
    return {bare(column) for column in table.columns}


def _is_nodes(table: Table) -> bool:
    return set(NODES) <= _names(table) and "subject" not in _names(table)


def _is_edges(table: Table) -> bool:
    return set(EDGES) <= _names(table)


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Node and edge tables with KGX's names."""
    others = {id(table) for table in biocypher.sniff(tables)}  # their headers, in files of their own, look alike
    kinds = ("text", "parquet", "json lines")
    readable = [table for table in tables if table.kind in kinds and id(table) not in others]
    return [table for table in readable if _is_nodes(table) or _is_edges(table)]


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where the node or the edge table is missing, or a line of JSON is damaged."""
    nodes = its_tables(tables, _is_nodes, "node", NODES)
    edges = its_tables(tables, _is_edges, "edge", EDGES)
    return labelled([_rows(table) for table in nodes], [_rows(table) for table in edges])


def _rows(table: Table) -> pl.LazyFrame:
    if table.kind != "json lines":
        return texts(table)
    wanted = [name for name in table.columns if name in ("id", "category", "name", *EDGES, *evidence_in(table.columns))]
    first = "id" if _is_nodes(table) else "subject"
    lines = pl.scan_lines(table.member.file, name="line", row_index_name="number", glob=False)
    lines = lines.filter(pl.col("line").str.strip_chars() != "")
    damaged = lines.filter(pl.col("line").str.json_path_match(f"$.{first}").is_null()).head(1)
    try:
        found = damaged.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise table.explain(error) from error
    if found.height:
        hint = "Every line is a JSON object; download or copy the file again."
        raise UserError(f"line {found['number'][0] + 1} is no object with {first!r}", table.where, hint)
    # A list comes as its JSON text: ["biolink:Drug","biolink:NamedThing"].
    values = {name: pl.col("line").str.json_path_match(f"$.{name}") for name in wanted}
    lists = {
        name: pl.when(value.str.starts_with("["))
        .then(value.str.strip_chars('[]"').str.replace_all(r'"\s*,\s*"', "|"))
        .otherwise(value)
        for name, value in values.items()
    }
    return lines.select(**lists)


FORMAT = Format("kgx", "KGX nodes and edges", (NODES, EDGES), sniff, read, map="kgx")
