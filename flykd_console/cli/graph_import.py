"""`flykd-console graph import`: a graph in any known layout to one table, with a report of what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.graph_output import consoles
from flykd_console.words import counted, grouped, per_cent

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.graph.imports.report import Report


def command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="Files, archives or folders that together hold one graph.")
    ],
    to: Annotated[Path | None, typer.Option(help="Table to write: .parquet, .csv or .csv.gz.")] = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Names for types and relations (TOML) in place of the shipped map.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    max_dropped: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the rows that may be lost without the map asking for it.")
    ] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a table that is there.")] = False,
) -> None:
    """Recognise a graph (PrimeKG, OptimusKG, KGX, BioCypher, Hetionet, DRKG, triples) and write it as one table."""
    from flykd_console.errors import UserError
    from flykd_console.graph.formats.kg_write import check_target
    from flykd_console.graph.imports.maps import read_map
    from flykd_console.graph.imports.write import write
    from flykd_console.graph.read import import_graph

    if to is None and not dry_run:
        raise UserError("nothing says where to", "graph import", "Give --to kg.parquet, or --dry-run.")
    if to is not None:
        check_target(to, force or dry_run)
    names = read_map(map_file) if map_file is not None else None
    imported = import_graph(sources, names)
    report = imported.report
    if dry_run:
        _tell(report, as_json)
        report.check(max_dropped)
        return
    report.check(max_dropped)
    assert to is not None
    report = write(imported, to)
    _tell(report, as_json)
    if not as_json:
        consoles()[0].print(f"{to}: {counted(report.kept, 'row')}, {to.stat().st_size / 1e6:.1f} MB", soft_wrap=True)
        _next(consoles()[0], report, to)


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(report.as_json().decode())
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flykd_console.graph.imports.columns import in_few_words

    console = consoles()[0]
    console.print(f"Layout: {report.layout}; map: {report.map or 'none'}; licence: {report.licence or 'not told'}")
    nodes = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    nodes.add_column("type")
    nodes.add_column("nodes", justify="right")
    for name, count in report.nodes.items():
        nodes.add_row(Text(name), grouped(count))
    relations = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("in the source", "relation", "head → tail"):
        relations.add_column(name, overflow="fold")
    relations.add_column("rows", justify="right")
    for one in report.relations:
        rows = "left out" if one.dropped else grouped(one.rows)
        relations.add_row(Text(one.source), Text(one.relation), Text(f"{one.head} → {one.tail}"), rows)
    console.print(nodes, relations)
    console.print(f"{counted(report.read, 'row')} read, {grouped(report.kept)} kept ({_share(report)}).")
    for why, count in report.dropped.items():
        console.print(f"  left out, {why}: {grouped(count)}")
    if report.names_missing:
        console.print(f"{counted(report.names_missing, 'node')} without a name: named by their ids.")
    if report.without_edge:
        console.print(f"{counted(report.without_edge, 'node')} without an edge: not in the table.")
    for taken, count in report.collapsed.items():
        console.print(Text(f"{counted(count, 'node')} of several types: {taken}"))
    for note in report.notes:
        console.print(Text(f"{note[:1].upper()}{note[1:]}."))
    if report.ignored:
        console.print(Text(f"No use for {', '.join(report.ignored[:8])}{' ...' if len(report.ignored) > 8 else ''}."))
    if report.evidence:
        told = "; ".join(f"{one.name} ({in_few_words(one)})" for one in report.evidence)
        console.print(Text(f"Columns for graph.where and graph.time_column: {told}."))


def _share(report: Report) -> str:
    return f"{per_cent(report.kept / report.read)} %"


def _next(console: Console, report: Report, to: Path) -> None:
    """The command that trains on it, with the relations that the map names."""
    import shlex

    settings = []
    if report.targets:
        settings.append(f"graph.targets={list(report.targets)}".replace("'", '"'))
    if report.pooling:
        settings.append(f"graph.pooling.relations={list(report.pooling)}".replace("'", '"'))
    words = ["flykd-console", "run", "best", "--graph", str(to)]
    for setting in settings:
        words += ["--set", setting]
    console.print(f"Next: {shlex.join(words)}", soft_wrap=True)
