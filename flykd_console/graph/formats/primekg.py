"""PrimeKG's `kg.csv` and whatever has its columns: TxGNN's split files, and what `graph import` and `graph make` write.

Both ends of an edge stand in its row with type and name. TxGNN's own split files (`train.csv`, `valid.csv`,
`test.csv`: `x_type, x_id, relation, y_type, y_id, x_idx, y_idx`) have no names.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.graph.formats import kg_faults
from flykd_console.graph.formats.base import Format, Parts
from flykd_console.graph.formats.kg import COLUMNS, NEEDED
from flykd_console.graph.tables.table import Table

_OWN = {*COLUMNS, "x_index", "y_index", "x_idx", "y_idx", "display_relation", "x_source", "y_source", ""}
_MARK = "\x1f"  # between type and id: in kg form an id names a node only together with its type


def sniff(tables: Sequence[Table]) -> list[Table]:
    """Tables with both ends' ids and types."""
    return [table for table in tables if set(NEEDED) <= set(table.columns)]


def rows(tables: Sequence[Table]) -> pl.LazyFrame:
    """Rows in kg form; several tables one after the other.

    Raises:
        UserError: A column is not of a kind that can be read, or a line is damaged.
    """
    for table in tables:
        kg_faults.check_columns(table, NEEDED)
    scans = [table.scan() for table in tables]
    return scans[0] if len(scans) == 1 else pl.concat([_as_text(scan) for scan in scans], how="diagonal")


def further(columns: Sequence[str]) -> list[str]:
    """Which columns are not PrimeKG's own: they carry evidence or time."""
    return [column for column in columns if column not in _OWN]


def read(tables: Sequence[Table]) -> Parts:
    """Edges whose keys are type and id together, and the nodes that they join."""
    table = rows(tables)
    columns = table.collect_schema().names()
    text = _as_text(table)
    ends = []
    for end in "xy":
        name = pl.col(f"{end}_name") if f"{end}_name" in columns else pl.lit(None, pl.String)
        key = pl.concat_str(f"{end}_type", f"{end}_id", separator=_MARK)
        ends.append(text.select(key=key, id=f"{end}_id", type=f"{end}_type", name=name).unique())
    nodes = pl.concat(ends).group_by("key", "id", "type").agg(pl.col("name").min()).sort("key")
    edges = text.select(
        pl.concat_str("x_type", "x_id", separator=_MARK).alias("x_key"),
        "relation",
        pl.concat_str("y_type", "y_id", separator=_MARK).alias("y_key"),
        *(["display_relation"] if "display_relation" in columns else []),
        *further(columns),
    )
    return Parts(edges, nodes.collect(engine="streaming"))


def _as_text(table: pl.LazyFrame) -> pl.LazyFrame:
    return table.select(pl.all().cast(pl.String))


FORMAT = Format("primekg", "PrimeKG's kg.csv, or TxGNN's split files", (COLUMNS, NEEDED), sniff, read)
