"""Triples whose nodes say their type, `Compound::DB00001`: DRKG's `drkg.tsv`, three columns without a header.

Relations are `source::relation::head type:tail type` in DRKG, and stay as they are. It has no names. Source:
github.com/gnn4dr/DRKG.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from flykd_console.graph.formats.base import Format, Parts, typed_nodes
from flykd_console.graph.tables.table import Table

_TYPED = re.compile(r"^[^:\t]+::.+$")
_HEADER = ("x_key", "relation", "y_key")


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Three fields of which the outer ones are `type::id`, in the first line already."""
    return [
        table
        for table in tables
        if table.kind == "text"
        and len(table.first) == 3
        and _TYPED.match(table.first[0])
        and _TYPED.match(table.first[2])
    ]


def read(tables: Sequence[Table]) -> Parts:
    """Nodes are what the edges name."""
    edges = pl.concat([table.scan(_HEADER) for table in tables])
    return Parts(edges, typed_nodes(edges, "::"))


FORMAT = Format("drkg", "typed triples such as DRKG's", ((),), sniff, read, map="drkg")
