"""A profile's `[graph]` section to the graph it names: embedded, synthetic, the PrimeKG that was fetched, or a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import CHECK_PATH, UserError

if TYPE_CHECKING:
    from flykd_console.graph.imports.columns import EvidenceColumn
    from flykd_console.graph.knowledge_graph import KnowledgeGraph
    from flykd_console.profile.sections import Graph

SYNTHETIC_SEED = 0
_READING = ("read.py", "recognise.py", "where.py", "time_column.py")


def _silent(_: str) -> None:
    return None


def load_graph(settings: Graph, log: Callable[[str], None] = _silent, use_cache: bool = True) -> KnowledgeGraph:
    """Load the graph that a profile names.

    Args:
        settings: The profile's `[graph]`; `source` is `embedded`, `synthetic` (of size `scale`), `primekg` or a path.
        log: Told in single lines what takes time and what went wrong with the cache.
        use_cache: Keep what was read or generated for the next time, and use what was kept.

    Raises:
        UserError: The source is not there or cannot be read as a graph.
    """
    if settings.where and settings.source in ("embedded", "synthetic"):
        hint = "Leave graph.where empty, or name a graph that has such columns."
        raise UserError(f"the {settings.source} graph has no columns of evidence", "graph.where", hint)
    if settings.source == "embedded":
        from flykd_console.graph.sources.embedded import embedded_graph

        return _made(embedded_graph(), settings)
    if settings.source == "synthetic":
        return _made(_synthetic(settings.scale, log, use_cache), settings)
    if settings.source == "primekg":
        from flykd_console.graph.sources.primekg import stored

        return _file(stored("kg"), settings, log, use_cache)
    return _file(Path(settings.source).expanduser(), settings, log, use_cache)


def _made(graph: KnowledgeGraph, settings: Graph) -> KnowledgeGraph:
    """A graph that is generated, with the years of its edges where they are asked for."""
    from flykd_console.graph.sources.synthetic import years

    if settings.time_column is None:
        return graph
    if settings.time_column != years.COLUMN:
        title = f"there is no column {settings.time_column!r} in the {settings.source} graph"
        raise UserError(title, "graph.time_column", f"It has {years.COLUMN}.")
    return years.dated(graph)


def load_evidence(settings: Graph, graph: KnowledgeGraph) -> list[EvidenceColumn]:
    """What the columns of time and evidence hold that come with a graph.

    Args:
        settings: As for `load_graph`.
        graph: What that gave.

    Raises:
        UserError: The source cannot be read.
    """
    from flykd_console.graph.imports.columns import of_years
    from flykd_console.graph.read import evidence_of
    from flykd_console.graph.sources.primekg import stored
    from flykd_console.graph.sources.synthetic import years

    if settings.source in ("embedded", "synthetic"):
        return [of_years(years.dated(graph), years.COLUMN)]
    return evidence_of(stored("kg") if settings.source == "primekg" else Path(settings.source).expanduser(), graph)


def _synthetic(scale: float, log: Callable[[str], None], use_cache: bool) -> KnowledgeGraph:
    from flykd_console.graph import cache
    from flykd_console.graph.formats import primekg_shape
    from flykd_console.graph.sources.synthetic import generate, modules, naming

    size = generate.primekg_size(scale)

    def make() -> KnowledgeGraph:
        log(f"Generating a synthetic graph of scale {scale:g}.")
        return generate.generate(size, SYNTHETIC_SEED)

    if not use_cache:
        return make()
    makers = (str(maker.__file__) for maker in (modules, naming, primekg_shape, generate))
    key = cache.made_key(f"synthetic-{scale:g}-{SYNTHETIC_SEED}", *makers)
    return cache.cached(key, "synthetic", make, log)


def _file(path: Path, settings: Graph, log: Callable[[str], None], use_cache: bool) -> KnowledgeGraph:
    from dataclasses import replace

    from flykd_console.graph import cache, read
    from flykd_console.graph.imports.report import of_table
    from flykd_console.graph.tables.unpack import check_readable, files_in
    from flykd_console.profile.conditions import Condition

    source, time_column = settings.source, settings.time_column
    asked = [*settings.where, *([f"\0{time_column}"] if time_column else [])]

    def make() -> KnowledgeGraph:
        log(f"Reading {path}.")
        return read.read_graph(path, source, [Condition.parse(text) for text in settings.where], time_column)

    check_readable(path)
    try:
        files = files_in(path)
        if use_cache:
            key = cache.source_key(path, files, asked, *_readers())
            graph = cache.cached(key, source, make, log)
        else:
            graph = make()
        report = of_table(path, cache.content_hash) if path.is_file() else None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", str(path), CHECK_PATH) from error
    if report is None:
        return graph
    told = replace(graph, imported=report)
    told.__dict__["fingerprint"] = graph.fingerprint  # where cached_property keeps it; ids and edges are the same
    return told


def _readers() -> list[str]:
    """The files that decide what is read: a changed one makes what was kept before useless."""
    here = Path(__file__).parent
    folders = [file for name in ("formats", "imports", "tables") for file in sorted((here / name).rglob("*.*"))]
    code = [file for file in folders if file.suffix in (".py", ".toml")]
    return [str(file) for file in (*code, *(here / name for name in _READING))]
