"""Descendants of a disease in the ontology that the graph was made from, and the roots of TxGNN's nine disease areas.

In memory an edge between equal types has no direction. PrimeKG's table still tells it: rows marked `parent-child` come
first as (parent, child) and are mirrored later, so the first row of each pair says which end is the parent. A table
that was sorted or drawn up otherwise does not tell it; that is noticed and refused.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.node_lookup import NodeLookup

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import KnowledgeGraph

# MONDO ids of the terms that answer to the roots of TxGNN's lists (which follow the Disease Ontology).
AREAS: dict[str, str] = {
    "adrenal_gland": "5495",  # adrenal gland disease
    "anemia": "2280",  # anemia
    "autoimmune": "7179",  # autoimmune disease
    "cardiovascular": "4995",  # cardiovascular disease
    "cell_proliferation": "5070",  # neoplasm
    "diabetes": "5015",  # diabetes mellitus
    "mental_health": "2025",  # psychiatric disorder
    "metabolic_disorder": "5066",  # metabolic disease
    "neurodegenerative": "5559",  # neurodegenerative disease
}
_ALIASES = {"neurodigenerative": "neurodegenerative"}  # so spelt in the published lists
_PARENT_CHILD = "parent-child"
# Merging diseases into groups closes a few small circles in an ontology; a wrong direction closes a great many.
_TOLERATED = 0.05
_A_LIST = "the path of a CSV of diseases, with their ids in a column node_id"


def ontology_area(graph: KnowledgeGraph, node_type: str, area: str) -> tuple[NDArray[np.int64], str]:
    """Indices of an area's root and of all its descendants, ascending, and the root's name.

    Args:
        area: One of `AREAS`, or the id or name of any node.

    Raises:
        UserError: No such area or node, or the graph does not tell parents from children.
    """
    from scipy.sparse.csgraph import breadth_first_order

    lookup = NodeLookup(graph.nodes[node_type])
    key = _ALIASES.get(area.lower().replace(" ", "_"), area.lower().replace(" ", "_"))
    root = lookup.by_id(AREAS[key]) if key in AREAS else None
    if key not in AREAS:
        found = lookup.find(area)
        if len(found) > 1:
            raise UserError(f"{len(found)} nodes of type {node_type!r} are named {area!r}", "split.area", "Give an id.")
        root = found[0] if found else None
    if root is None:
        what = f"the graph lacks its root term, MONDO:{int(AREAS[key]):07}" if key in AREAS else "no area or node"
        raise UserError(f"{area!r}: {what}", "split.area", f"Areas: {', '.join(AREAS)}. Or give split.area {_A_LIST}.")
    descendants = breadth_first_order(_ontology(graph, node_type), root, return_predecessors=False)
    return np.sort(descendants).astype(np.int64), graph.nodes[node_type]["name"][root]


def _ontology(graph: KnowledgeGraph, node_type: str) -> sp.csr_array:
    """Which nodes (rows) are parents of which (columns), int8 [N, N]."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    path = _file_of(graph)
    stat = path.stat()
    pairs, mirrored_later = _first_rows(str(path), stat.st_mtime_ns, stat.st_size, node_type)
    if pairs.is_empty():
        raise _directionless(graph, f"none of its rows between nodes of type {node_type!r} is marked {_PARENT_CHILD!r}")
    index = graph.nodes[node_type].with_row_index("row").select("id", pl.col("row").cast(pl.Int64))
    for side in ("parent", "child"):
        pairs = pairs.join(index.rename({"id": side, "row": f"{side}_row"}), on=side, how="inner")
    parents, children = pairs["parent_row"].to_numpy(), pairs["child_row"].to_numpy()
    if not mirrored_later:
        raise _directionless(graph, "its rows are sorted, so that mirror images stand among the others")
    size = graph.count(node_type)
    down = sp.csr_array((np.ones(len(parents), np.int8), (parents, children)), shape=(size, size))
    _, circle = connected_components(down, directed=True, connection="strong")
    if np.mean(circle[parents] == circle[children]) > _TOLERATED:
        raise _directionless(graph, "its rows run in circles")
    return down


def _file_of(graph: KnowledgeGraph) -> Path:
    if graph.source == "primekg":
        from flykd_console.graph.sources.primekg import stored

        return stored("kg")
    path = Path(graph.source)
    if not path.is_file():
        raise _directionless(graph, "it was not read from a table")
    return path


@functools.lru_cache(maxsize=2)
def _first_rows(path: str, modified: int, size: int, node_type: str) -> tuple[pl.DataFrame, bool]:
    """`parent, child` of every pair's first row, and whether these stand before all further rows of the pairs.

    The file's time and size only tell one state of it from another.
    """
    from flykd_console.graph.tables.table import opened_one

    with opened_one(Path(path)) as table:
        if "display_relation" not in table.columns:
            return pl.DataFrame(schema={"parent": pl.String, "child": pl.String}), True
        return _parents_of(table.scan(row_index_name="row"), node_type)


def _parents_of(table: pl.LazyFrame, node_type: str) -> tuple[pl.DataFrame, bool]:
    text = [pl.col(c).cast(pl.String) for c in ("display_relation", "x_type", "y_type", "x_id", "y_id")]
    rows = (
        table.select("row", *text)
        .filter(
            (pl.col("display_relation") == _PARENT_CHILD)
            & (pl.col("x_type") == node_type)
            & (pl.col("y_type") == node_type)
            & (pl.col("x_id") != pl.col("y_id"))
        )
        .select("row", parent="x_id", child="y_id")
        .collect(engine="streaming")
        .sort("row")
    )
    pair = (pl.min_horizontal("parent", "child").alias("a"), pl.max_horizontal("parent", "child").alias("b"))
    first = rows.with_columns(pair).unique(["a", "b"], keep="first", maintain_order=True)
    others = rows.join(first, on="row", how="anti")["row"]
    begin = others.quantile(_TOLERATED)
    late = (first["row"] > begin).mean() if begin is not None else 0.0
    return first.select("parent", "child"), float(late or 0.0) <= _TOLERATED  # type: ignore[arg-type]


def _directionless(graph: KnowledgeGraph, why: str) -> UserError:
    return UserError(
        f"areas cannot be built from the ontology of this graph ({graph.source}): {why}, so parents cannot be told "
        "from children",
        "split.area",
        f"Give {_A_LIST}.",
    )
