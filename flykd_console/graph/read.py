"""Any knowledge graph that is recognised: to rows in kg form with a report, and to a graph in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from flykd_console.graph.cache import content_hash
from flykd_console.graph.formats import kg, primekg
from flykd_console.graph.imports import maps
from flykd_console.graph.imports.report import Imported, Report, SourceFile
from flykd_console.graph.imports.rows import assemble
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.recognise import recognise
from flykd_console.graph.tables.table import explained, opened
from flykd_console.graph.tables.unpack import check_readable, files_in, is_packed
from flykd_console.graph.where import kept_by
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
            notes=list(parts.notes),
            ignored=list(found.ignored),
            evidence=rows.evidence,
            targets=[name for name in chosen.targets if name in kept],
            pooling=[name for name in chosen.pooling if name in kept],
        ),
    )


def check_source(path: Path) -> None:
    """Refuse at once what is no graph, as far as first lines tell; what is packed is looked into when it is read.

    Raises:
        UserError: It is missing, unreadable, or in no known layout.
    """
    check_readable(path)
    if any(is_packed(file) for file in files_in(path)):
        return
    with opened(path) as tables, explained(str(path)):
        recognise(tables, str(path))


def read_graph(path: Path, source: str, where: Iterable[Condition] = ()) -> KnowledgeGraph:
    """The graph in a file, archive or folder; with the report of its import where it is not in kg form.

    Args:
        path: Where it is.
        source: Its name for people.
        where: Conditions on the columns of evidence.

    Raises:
        UserError: As `import_graph`; rows are lost beyond `MAX_DROPPED`; or a condition names no column.
    """
    conditions = list(where)
    check_readable(path)
    with opened(path) as tables, explained(str(path)):
        found = recognise(tables, str(path))
        if found.format is primekg.FORMAT:
            rows = kept_by(conditions, primekg.rows(found.tables), str(path))
            encoded = kg.encode(rows, found.tables[0])
            return kg.graph_of(encoded, source, found.tables[0] if len(found.tables) == 1 else None)
    imported = import_graph([path])
    imported.report.check(MAX_DROPPED)
    table = kept_by(conditions, imported.table.lazy(), str(path)).collect()
    return replace(kg.graph_of(table.select(kg.COLUMNS), source), imported=imported.report.plain())
