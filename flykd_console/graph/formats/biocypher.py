"""BioCypher's output for neo4j-admin import: `Drug-header.csv` beside `Drug-part000.csv`, one pair a class.

The header stands in a file of its own: `:ID;name;:LABEL`, `:START_ID;source;:END_ID;:TYPE`. BioCypher separates by `;`
and quotes by `'`; both are told from the header and the first rows. Labels list the ancestors. Source:
github.com/biocypher/biocypher, output/write/graph/_neo4j.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats.base import Format, Parts, bare, texts
from flykd_console.graph.formats.categories import labelled
from flykd_console.graph.tables.table import Table

NODES = (":ID", ":LABEL")
EDGES = (":START_ID", ":END_ID", ":TYPE")
_PAIRED = re.compile(r"^(?P<stem>.+?)[-_](?:header|part[-_]?\d+)$")


def _is_header(table: Table) -> bool:
    names = {bare(column) for column in table.columns if ":" in column}
    alone = not table.second or not any(table.second)
    return alone and ({"id", "category"} <= names or {"subject", "predicate", "object"} <= names)


def _stem(table: Table) -> str:
    path = PurePosixPath(table.member.name)
    found = _PAIRED.match(path.name.split(".")[0])
    return str(path.with_name(found["stem"])) if found else str(path)


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Headers that stand alone, and the parts that bear their name."""
    stems = {_stem(table) for table in tables if table.kind == "text" and _is_header(table)}
    return [table for table in tables if table.kind == "text" and _stem(table) in stems]


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where a header has no part, or nodes or edges are missing."""
    nodes: list[pl.LazyFrame] = []
    edges: list[pl.LazyFrame] = []
    for header, part in _pairs(tables):
        quote = "'" if part.first and part.first[0].startswith("'") else '"'
        same = part.read_as(header.separator, quote)
        if len(same.first) != len(header.first):
            title = f"has {len(same.first)} fields where {header.member.name} has {len(header.first)}"
            raise UserError(title, part.where, "Export the graph again.")
        rows = texts(same, header.columns)
        names = rows.collect_schema().names()
        (nodes if "category" in names else edges).append(rows)
    if not nodes or not edges:
        missing = "nodes" if not nodes else "relationships"
        raise UserError(f"there are no {missing}", tables[0].where, "Name the whole folder.")
    if all("name" not in rows.collect_schema() for rows in nodes):
        nodes = [rows.with_columns(name=pl.lit(None, pl.String)) for rows in nodes]
    return labelled(nodes, edges)


def _pairs(tables: Sequence[Table]) -> Iterator[tuple[Table, Table]]:
    headers = {_stem(table): table for table in tables if _is_header(table)}
    for stem, header in headers.items():
        found = [table for table in tables if _stem(table) == stem and table is not header]
        if not found:
            raise UserError("a header without its rows", header.where, "The part file of the same name is missing.")
        for part in found:
            yield header, part


FORMAT = Format("biocypher", "BioCypher's or neo4j-admin's files", (NODES, EDGES), sniff, read, map="kgx")
