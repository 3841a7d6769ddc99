"""Any knowledge graph that is recognised: to rows in kg form with a report, and to a graph in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.cache import content_hash
from flykd_console.graph.formats import kg, primekg
from flykd_console.graph.formats.base import as_text, bare, evidence_in
from flykd_console.graph.imports import maps
from flykd_console.graph.imports.columns import EvidenceColumn, described
from flykd_console.graph.imports.report import Imported, Report, SourceFile
from flykd_console.graph.imports.rows import assemble
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.recognise import recognise
from flykd_console.graph.tables.table import explained, opened
from flykd_console.graph.tables.unpack import check_readable, files_in, is_packed
from flykd_console.graph.time_column import KEY, dates_of
from flykd_console.graph.where import check_column, kept_by
from flykd_console.profile.conditions import Condition

MAX_DROPPED = 0.01


def import_graph(sources: Sequence[Path], names: maps.Map | None = None) -> Imported:
    """Recognise and read one graph.

    Args:
        sources: Files, archives and folders that together hold it.
        names: A map; None: the one that is shipped for the format.

    Raises:
        UserError: Something cannot be read, is of no or of several layouts, or the map does not fit.
    """
    where = ", ".join(map(str, sources))
    for source in sources:
        check_readable(source)
    hashed = [SourceFile(str(f), f.stat().st_size, content_hash(f)) for s in sources for f in files_in(s)]
    with opened(*sources) as tables, explained(where):
        found = recognise(tables, where)
        chosen = maps.shipped(found.format.map) if names is None else names
        parts = found.format.read(found.tables)
        rows = assemble(parts, chosen, where)
    shipped = "shipped" if found.format.map else ""
    kept = {one.relation for one in rows.relations if one.rows}
    return Imported(
        rows.table,
        Report(
            layout=found.format.name,
            map=chosen.file or shipped,
            licence=chosen.licence,
            sources=hashed,
            read=rows.read,
            kept=rows.table.height,
            dropped=rows.dropped,
            by_map=rows.by_map,
            nodes=rows.nodes,
            relations=rows.relations,
            names_missing=rows.names_missing,
            without_edge=rows.without_edge,
            collapsed={f"{taken} of {listed}": count for (taken, listed), count in parts.collapsed.items()},
            notes=[*parts.notes, *rows.notes],
            ignored=list(found.ignored),
            evidence=rows.evidence,
            targets=[name for name in chosen.targets if name in kept],
            pooling=[name for name in chosen.pooling if name in kept],
        ),
    )


def evidence_of(path: Path, graph: KnowledgeGraph) -> list[EvidenceColumn]:
    """What the columns of time and evidence of a source hold.

    Args:
        path: Where it is.
        graph: What was read from there: an import has told it.

    Raises:
        UserError: It cannot be read.
    """
    if graph.imported is not None:
        return msgspec.convert(graph.imported["evidence"], list[EvidenceColumn])
    with opened(path) as tables, explained(str(path)):
        found = recognise(tables, str(path))
        columns = {name for table in found.tables for name in table.columns}
        if not primekg.further(sorted(columns)):
            return []
        rows = primekg.rows(found.tables)
        schema = rows.collect_schema()
        told = primekg.further(schema.names())
        return described(rows.select("relation", *(as_text(name, schema[name]) for name in told)), told)


def check_source(path: Path, where: Iterable[Condition] = (), time_column: str | None = None) -> None:
    """Refuse at once what is no graph, as far as first lines tell; what is packed is looked into when it is read.

    Args:
        path: Where it is.
        where, time_column: As for `read_graph`: their columns must be there.

    Raises:
        UserError: It is missing, unreadable, in no known layout, or lacks a column.
    """
    check_readable(path)
    if any(is_packed(file) for file in files_in(path)):
        return
    with opened(path) as tables, explained(str(path)):
        found = recognise(tables, str(path))
        known = sorted({bare(name) for table in found.tables for name in table.columns})
        told = primekg.further(known) if found.format is primekg.FORMAT else evidence_in(known)
        for condition in where:
            check_column(condition.column, [*told, *kg.COLUMNS], str(path), "graph.where")
        if time_column is not None:
            check_column(time_column, told, str(path), KEY)


def read_graph(
    path: Path, source: str, where: Iterable[Condition] = (), time_column: str | None = None
) -> KnowledgeGraph:
    """The graph in a file, archive or folder; with the report of its import where it is not in kg form.

    Args:
        path: Where it is.
        source: Its name for people.
        where: Conditions on the columns of evidence.
        time_column: The one that says since when an edge is known; None: dates are not read.

    Raises:
        UserError: As `import_graph`; rows are lost beyond `MAX_DROPPED`; a condition or `time_column` names no column;
            or a date cannot be read.
    """
    conditions = list(where)
    check_readable(path)
    with opened(path) as tables, explained(str(path)):
        found = recognise(tables, str(path))
        if found.format is primekg.FORMAT:
            rows = kept_by(conditions, primekg.rows(found.tables), str(path))
            one = found.tables[0] if len(found.tables) == 1 else None
            if time_column is None:
                return kg.graph_of(kg.encode(rows, found.tables[0]), source, one)
            dated = _with_time(rows, time_column, str(path))
            encoded = kg.encode(dated, found.tables[0], kept=(time_column,))
            return kg.graph_of(encoded, source, one, dates_of(encoded[time_column], str(path), one))
    imported = import_graph([path])
    imported.report.check(MAX_DROPPED)
    table = kept_by(conditions, imported.table.lazy(), str(path)).collect()
    dates = None
    if time_column is not None:
        check_column(time_column, table.columns, str(path), KEY)
        dates = dates_of(table[time_column], str(path))
    return replace(kg.graph_of(table.select(kg.COLUMNS), source, dates=dates), imported=imported.report.plain())


def _with_time(rows: pl.LazyFrame, column: str, where: str) -> pl.LazyFrame:
    """Rows in kg form whose column of time is of categories: few dates stand in many rows.

    Raises:
        UserError: There is no such column beside those of the form.
    """
    schema = rows.collect_schema()
    check_column(column, [*kg.NEEDED, *primekg.further(schema.names())], where, KEY)
    if column in kg.NEEDED:
        raise UserError(f"{column} tells no time", KEY, "Name the column of years or dates.")
    return rows.with_columns(as_text(column, schema[column]).cast(pl.Categorical(pl.Categories.random())))
