"""Writing a graph in kg form, all twelve columns of PrimeKG's, every edge in both directions, in bounded memory."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.dates import UNDATED
from flykd_console.errors import UserError
from flykd_console.graph.formats.primekg_shape import NODE_TYPES, RELATIONS
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
from flykd_console.graph.whole_file import whole_file

COLUMNS = (
    "relation", "display_relation", "x_index", "x_id", "x_type", "x_name", "x_source", "y_index", "y_id", "y_type",
    "y_name", "y_source",
)  # fmt: skip
YEAR = "year"  # a further column, where the graph has dates
ENDINGS = (".csv", ".csv.gz", ".parquet")
CHUNK = 400_000  # rows held at once


def check_target(path: Path, force: bool) -> None:
    """Refuse a target before any work is done.

    Raises:
        UserError: Its ending is unknown, its folder is not there, or it exists and `force` is off.
    """
    if not path.name.lower().endswith(ENDINGS):
        raise UserError(
            "is not a name that a graph can be written to", str(path), f"It should end in {', '.join(ENDINGS)}."
        )
    if path.is_dir():
        raise UserError("is a directory", str(path), f"Name a file in it, such as {path / 'kg.csv.gz'}.")
    if not path.parent.is_dir():
        raise UserError("there is no such folder", str(path.parent), "Make it first, or choose another.")
    if path.exists() and not force:
        raise UserError("is there already", str(path), "Choose another name, or replace it with --force.")


def write_kg(graph: KnowledgeGraph, path: Path, progress: Callable[[int], None] = lambda rows: None) -> int:
    """Write the graph so that reading the file gives an equal graph.

    Args:
        graph: Nodes without an edge are not written, as the form has no place for them; of its dates the years are.
        path: Ends in one of `ENDINGS`; replaced when everything is written.
        progress: Told the number of rows of each chunk after it is written.

    Returns:
        Rows written, two per edge.

    Raises:
        UserError: The file cannot be written.
    """
    first = _first_index(graph)
    rows = 0
    try:
        with whole_file(path) as temporary, _writer(temporary, path.name.lower(), columns_of(graph)) as write:
            for edge_type, pairs in graph.edges.items():
                for chunk in _chunks(graph, edge_type, pairs, first):
                    write(chunk)
                    rows += chunk.height
                    progress(chunk.height)
    except OSError as error:
        raise UserError(
            f"cannot be written: {error.strerror or error}", str(path), "Make room or choose another folder."
        ) from error
    return rows


def columns_of(graph: KnowledgeGraph) -> tuple[str, ...]:
    """The columns that are written of a graph."""
    return COLUMNS if graph.dates is None else (*COLUMNS, YEAR)


def _first_index(graph: KnowledgeGraph) -> dict[str, int]:
    """PrimeKG numbers nodes through all types: the number of each type's first node."""
    starts = np.cumsum([0, *(table.height for table in graph.nodes.values())])
    return {name: int(start) for name, start in zip(graph.nodes, starts, strict=False)}


def _chunks(graph: KnowledgeGraph, edge_type: EdgeType, pairs: Pairs, first: dict[str, int]) -> Iterator[pl.DataFrame]:
    """The canonical direction first: a reader takes the direction of a relation's first row."""
    known = RELATIONS.get(edge_type.relation)
    names = [
        pl.lit(edge_type.relation).alias("relation"),
        pl.lit(known.display if known else edge_type.relation).alias("display_relation"),
    ]
    heads, tails = pairs
    for x_type, y_type, x, y in (
        (edge_type.head, edge_type.tail, heads, tails),
        (edge_type.tail, edge_type.head, tails, heads),
    ):
        for start in range(0, len(x), CHUNK):
            ends = [
                _end(graph, node_type, index[start : start + CHUNK], first[node_type], end)
                for node_type, index, end in ((x_type, x, "x"), (y_type, y, "y"))
            ]
            chunk = pl.concat(ends, how="horizontal").with_columns(names)
            if graph.dates is not None:
                chunk = chunk.with_columns(_years(graph.dates[edge_type][start : start + CHUNK]))
            yield chunk.select(columns_of(graph))


def _years(dates: NDArray[np.int32]) -> pl.Series:
    years = pl.Series(YEAR, dates // 10_000)
    return years.set(pl.Series(dates == UNDATED), None)


def _end(graph: KnowledgeGraph, node_type: str, index: NDArray[np.int64], first: int, end: str) -> pl.DataFrame:
    nodes = graph.nodes[node_type][index]
    source = NODE_TYPES[node_type].source if node_type in NODE_TYPES else ""
    return nodes.select(
        pl.Series(f"{end}_index", index + first),
        pl.col("id").alias(f"{end}_id"),
        pl.lit(node_type).alias(f"{end}_type"),
        pl.col("name").alias(f"{end}_name"),
        pl.lit(source).alias(f"{end}_source"),
    )


@contextmanager
def _writer(path: Path, name: str, columns: tuple[str, ...]) -> Iterator[Callable[[pl.DataFrame], object]]:
    """Takes chunks of `columns`, and writes them in the form that the name asks for."""
    if name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = {"x_index": pa.int64(), "y_index": pa.int64(), YEAR: pa.int32()}
        kinds = [numbers.get(column, pa.large_string()) for column in columns]
        with pq.ParquetWriter(path, pa.schema(zip(columns, kinds, strict=True)), compression="zstd") as writer:
            yield lambda chunk: writer.write_table(chunk.to_arrow(compat_level=pl.CompatLevel.oldest()))
        return
    with ExitStack() as open_files:
        file: IO[bytes] | gzip.GzipFile = open_files.enter_context(path.open("wb"))
        if name.endswith(".gz"):
            # No name and no time inside, so that equal graphs give equal bytes.
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=4, mtime=0)
            file = open_files.enter_context(packed)
        file.write(f"{','.join(columns)}\n".encode())
        yield lambda chunk: file.write(chunk.write_csv(include_header=False).encode())
