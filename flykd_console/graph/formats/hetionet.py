"""Hetionet: `nodes.tsv` (`id, name, kind`) with `edges.sif` (`source, metaedge, target`), or its one JSON document.

Keys are `Gene::3149`; a metaedge is an abbreviation such as CtD, compound treats disease, and the JSON's kinds are
abbreviated alike. Source: github.com/hetio/hetionet.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats.base import Format, Parts, texts, typed_nodes
from flykd_console.graph.tables.table import Table

NODES = ("id", "name", "kind")
EDGES = ("source", "metaedge", "target")
_JSON = {"nodes", "edges", "metaedge_tuples", "kind_to_abbrev"}


class _Node(msgspec.Struct):
    kind: str
    identifier: str | int
    name: str = ""


class _Edge(msgspec.Struct):
    source_id: tuple[str, str | int]
    target_id: tuple[str, str | int]
    kind: str
    direction: str = "both"


class _Document(msgspec.Struct):
    kind_to_abbrev: dict[str, str]
    nodes: list[_Node]
    edges: list[_Edge]


def _is_nodes(table: Table) -> bool:
    return table.kind != "json" and set(NODES) <= set(table.columns)


def _is_edges(table: Table) -> bool:
    return table.kind != "json" and set(EDGES) <= set(table.columns)


def _is_document(table: Table) -> bool:
    # Hetionet's nodes stand before its edges, which the head of the file does not reach.
    return table.kind == "json" and {"kind_to_abbrev", "nodes"} <= set(table.columns)


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Its two tables, or its document."""
    return [table for table in tables if _is_nodes(table) or _is_edges(table) or _is_document(table)]


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where edges are missing, or the JSON is damaged or of another shape."""
    documents = [table for table in tables if _is_document(table)]
    if documents:
        return _from_document(documents[0])
    edges = [texts(table).select("metaedge", "source", "target") for table in tables if _is_edges(table)]
    if not edges:
        hint = f"Name the edge table, too: the one with {', '.join(EDGES)}."
        raise UserError("a node table without its edge table", tables[0].where, hint)
    rows = pl.concat(edges).select(x_key="source", relation="metaedge", y_key="target")
    named = [texts(table).select(NODES) for table in tables if _is_nodes(table)]
    if not named:
        return Parts(rows, typed_nodes(rows, "::"), notes=("there is no table of nodes: nodes are named by their ids",))
    plain = pl.col("id").str.splitn("::", 2).struct.field("field_1").fill_null(pl.col("id"))
    nodes = pl.concat(named).select("name", key="id", id=plain, type="kind")
    return Parts(rows, nodes.collect(engine="streaming"))


def _from_document(table: Table) -> Parts:
    try:
        document = msgspec.json.decode(table.member.file.read_bytes(), type=_Document)
    except msgspec.MsgspecError as error:
        hint = f"Download or copy it again. The reader said: {error}"
        raise UserError("is not Hetionet's JSON", table.where, hint) from error
    short = document.kind_to_abbrev
    nodes = [(f"{n.kind}::{n.identifier}", str(n.identifier), n.kind, n.name or None) for n in document.nodes]
    edges = []
    for edge in document.edges:
        (head, head_id), (tail, tail_id) = edge.source_id, edge.target_id
        arrow = ">" if edge.direction == "forward" else ""
        relation = f"{short.get(head, head)}{short.get(edge.kind, edge.kind)}{arrow}{short.get(tail, tail)}"
        edges.append((f"{head}::{head_id}", relation, f"{tail}::{tail_id}"))
    columns = ["key", "id", "type", "name"]
    return Parts(
        pl.LazyFrame(edges, ["x_key", "relation", "y_key"], orient="row"),
        pl.DataFrame(nodes, dict.fromkeys(columns, pl.String), orient="row"),
    )


FORMAT = Format("hetionet", "Hetionet's nodes and edges", (NODES, EDGES), sniff, read, map="hetionet")
