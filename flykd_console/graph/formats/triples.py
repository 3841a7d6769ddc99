"""Plain triples: `head, relation, tail` under any of their usual names, or three columns without a header.

The types come from columns `head_type, tail_type`, from a table of nodes (`id, type`, perhaps `name`), from a file of
two columns without a header (BioPathNet's `entity_types.txt`), or from keys such as `drug:DB1`. Of several files of two
columns the one whose second column says the fewest different things tells types, the others names.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats import biocypher, drkg, hetionet, kgx
from flykd_console.graph.formats.base import Format, Parts, evidence_in, texts, typed_nodes
from flykd_console.graph.tables.table import Table

EDGES = ("head", "relation", "tail")
NODES = ("id", "type")
_WORDS = {
    "x_key": ("head", "h", "head_id", "subject", "source", "source_id", "start_id", "from", "node1"),
    "relation": ("relation", "rel", "r", "relation_type", "predicate", "edge", "edge_type", "type", "relationship"),
    "y_key": ("tail", "t", "tail_id", "object", "target", "target_id", "end_id", "to", "node2"),
    "x_type": ("head_type", "subject_type", "source_type", "start_type", "subject_category"),
    "y_type": ("tail_type", "object_type", "target_type", "end_type", "object_category"),
}
_KINDS = ("type", "node_type", "kind", "label", "labels", "category", "entity_type")
_KEYS = ("id", "node_id", "node", "entity", "identifier")
_OTHERS = (biocypher, drkg, hetionet, kgx)


def _named(table: Table) -> dict[str, str]:
    """By our name the column that bears one of the words for it."""
    found: dict[str, str] = {}
    for name, words in _WORDS.items():
        column = next((c for word in words for c in table.columns if c.lower() == word), None)
        if column is not None and column not in found.values():
            found[name] = column
    return found


def _is_edges(table: Table) -> bool:
    return {"x_key", "relation", "y_key"} <= set(_named(table)) and not _is_bare(table)


def _is_bare(table: Table) -> bool:
    """Three fields without a header: in no first line does one word for an end stand beside a relation's."""
    words = {word for group in _WORDS.values() for word in group} | set(_KINDS) | set(_KEYS) | {"name"}
    no_header = not words & {field.strip().lower() for field in table.first}
    return table.kind == "text" and len(table.first) == 3 and no_header and len(table.second) in (0, 1, 3)


def _is_nodes(table: Table) -> bool:
    lower = {column.lower() for column in table.columns}
    return bool(lower & set(_KINDS) and lower & set(_KEYS)) and not _is_edges(table)


def _is_pairs(table: Table) -> bool:
    """Two columns without a header: ids and their types, or ids and their names."""
    return table.kind == "text" and len(table.first) == 2 and not _is_nodes(table)


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Tables of triples that no other format knows, with their tables of nodes."""
    others = {table for known in _OTHERS for table in known.sniff(tables)}
    mine = [t for t in tables if t not in others and t.kind in ("text", "parquet") and "x_id" not in t.columns]
    mine = [t for t in mine if "x_index" not in t.columns and not {"from", "label"} <= set(t.columns)]
    edges = [t for t in mine if _is_edges(t) or _is_bare(t)]
    return edges + [t for t in mine if t not in edges and (_is_nodes(t) or _is_pairs(t))] if edges else []


def read(tables: Sequence[Table]) -> Parts:
    """Raises UserError where nothing tells the types of nodes."""
    edges = [t for t in tables if _is_edges(t) or _is_bare(t)]
    rows = pl.concat([_edges(table) for table in edges], how="diagonal")
    pairs = [t for t in tables if t not in edges and _is_pairs(t)]
    nodes = [_nodes(t) for t in tables if t not in edges and t not in pairs]
    nodes += [_of_pairs(pairs)] if pairs else []
    columns = rows.collect_schema().names()
    if nodes:
        table = pl.concat(nodes).unique("key", maintain_order=True).collect(engine="streaming")
        return Parts(rows.drop("x_type", "y_type", strict=False), table)
    if {"x_type", "y_type"} <= set(columns):
        ends = [
            rows.select(key=f"{end}_key", id=f"{end}_key", type=f"{end}_type", name=pl.lit(None, pl.String)).unique()
            for end in "xy"
        ]
        return Parts(rows.drop("x_type", "y_type"), pl.concat(ends).unique().sort("key").collect(engine="streaming"))
    first = rows.head(1).collect()
    if first.height and ":" not in first["x_key"][0]:
        hint = "Add a table with the columns id, type; or columns head_type, tail_type."
        raise UserError("nothing tells the types of the nodes", edges[0].where, hint)
    note = "types are what stands before the first colon of an id"
    return Parts(rows, typed_nodes(rows, ":").with_columns(id="key"), notes=(note,))


def _edges(table: Table) -> pl.LazyFrame:
    if _is_bare(table):
        return table.scan(("x_key", "relation", "y_key"))
    named = _named(table)
    kept = [name for name in evidence_in(table.columns) if name not in named.values()]
    return texts(table).select(*kept, **{name: pl.col(column) for name, column in named.items()})


def _of_pairs(tables: Sequence[Table]) -> pl.LazyFrame:
    """Nodes of files of two columns without a header."""
    found = [table.scan(("key", "said")) for table in tables]
    said = pl.col("said")
    share, text = said.n_unique() / pl.len(), ~said.str.contains(r"^\d+$").all()
    different = [rows.select(share=share, text=text) for rows in found]
    # Of equally telling ones (a few rows) numbers are rather types than names.
    order = sorted(range(len(found)), key=lambda place: different[place].collect(engine="streaming").row(0))
    nodes = found[order[0]].select("key", id="key", type="said")
    if len(order) == 1:
        return nodes.with_columns(name=pl.lit(None, pl.String))
    names = pl.concat([found[place] for place in order[1:]]).unique("key", keep="first", maintain_order=True)
    return nodes.join(names.rename({"said": "name"}), on="key", how="left", maintain_order="left")


def _nodes(table: Table) -> pl.LazyFrame:
    rows = texts(table)
    lower = {name.lower(): name for name in rows.collect_schema().names()}
    key, kind = (next(lower[word] for word in words if word in lower) for words in (_KEYS, _KINDS))
    name = pl.col(lower["name"]) if "name" in lower else pl.lit(None, pl.String)
    return rows.select(key=key, id=key, type=kind, name=name)


FORMAT = Format("triples", "plain triples", (EDGES, NODES), sniff, read)
