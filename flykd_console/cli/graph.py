"""`flykd-console graph`: look at a graph, make one; fetching and importing are files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli import graph_fetch, graph_import
from flykd_console.cli.graph_export import export
from flykd_console.cli.graph_output import consoles, progress_bar
from flykd_console.plain_text import shown_json
from flykd_console.words import counted, grouped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from flykd_console.graph.imports.columns import EvidenceColumn
    from flykd_console.graph.summary import GraphSummary

_RELATIONS = 3  # named beside a column of evidence

app = typer.Typer(help="Get, import, inspect and make knowledge graphs.", no_args_is_help=True)
app.command("export")(export)
app.command("fetch")(graph_fetch.command)
app.command("import")(graph_import.command)


@app.command()
def info(
    source: Annotated[
        str, typer.Argument(help="embedded, synthetic, primekg, or a file, archive or folder that holds a graph.")
    ] = "embedded",
    scale: Annotated[float, typer.Option(help="Size of the synthetic graph; 1.0 is PrimeKG.")] = 0.1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Use and fill the graph cache.")] = True,
) -> None:
    """Show a graph's node types, relations, degrees and how its labels hang together."""
    from flykd_console.graph.load import load_evidence, load_graph
    from flykd_console.graph.sources.synthetic.generate import primekg_size
    from flykd_console.graph.summary import summarise
    from flykd_console.profile.sections import Graph

    if source == "synthetic":
        primekg_size(scale)  # refuses a scale out of range in plain words
        settings = Graph(source=source, scale=scale)
    else:
        settings = Graph(source=source or ".")
    out, err = consoles()
    graph = load_graph(settings, err.print, use_cache=cache)
    summary = summarise(graph, evidence=load_evidence(settings, graph))
    if as_json:
        import json

        import msgspec

        print(shown_json(json.dumps(msgspec.to_builtins(summary), indent=2, ensure_ascii=False)))
    else:
        _show(out, summary)


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .csv.gz or .parquet.")],
    scale: Annotated[float, typer.Option(help="Size; 1.0 is PrimeKG with 8.1 million rows.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    embedded: Annotated[bool, typer.Option("--embedded", help="Write the graph that ships with the package.")] = False,
    years: Annotated[bool, typer.Option("--years", help="Add a column year, invented, to try splits by time.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Generate a PrimeKG-shaped graph and write it as a kg.csv table."""
    from rich.progress import TaskProgressColumn, TimeElapsedColumn

    from flykd_console.graph.formats.kg_write import check_target, write_kg
    from flykd_console.graph.sources.embedded import SIZE
    from flykd_console.graph.sources.synthetic.generate import generate, primekg_size
    from flykd_console.graph.sources.synthetic.years import dated

    check_target(out, force)
    size = SIZE if embedded else primekg_size(scale)
    stdout, err = consoles()
    with progress_bar(err, TaskProgressColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("Generating", total=sum(size.edges.values()))

        def begin(relation: str, done: list[str] = []) -> None:  # noqa: B006 - remembers the relation before
            progress.update(
                task, description=f"Generating {relation}", advance=sum(size.edges[name] for name in done[-1:])
            )
            done.append(relation)

        graph = generate(size, seed, progress=begin)
        if years:
            graph = dated(graph)
        progress.remove_task(task)
        writing = progress.add_task(f"Writing {out.name}", total=2 * graph.edge_count)
        rows = write_kg(graph, out, lambda count: progress.update(writing, advance=count))
    line = f"{out}: {grouped(rows)} rows, {grouped(graph.node_count)} nodes, {out.stat().st_size / 1e6:.1f} MB"
    stdout.print(line, soft_wrap=True)


def _show(console: Console, summary: GraphSummary) -> None:
    from rich.text import Text

    console.print(
        Text(f"{summary.source}: {grouped(summary.nodes)} nodes, {grouped(summary.edges)} edges"), style="bold"
    )
    console.print(Text(f"fingerprint {summary.fingerprint}"), style="dim", soft_wrap=True)
    nodes = _table(
        console, "Node types and degrees", ("type", "most connected"), "nodes", "isolated", "mean", "largest"
    )
    for node in summary.node_types:
        degrees = f"{node.mean_degree:.1f}", grouped(node.max_degree)
        nodes.add_row(Text(node.type), Text(node.most_connected), grouped(node.nodes), grouped(node.isolated), *degrees)
    # The means are left out where they would squeeze the names.
    means = ("per head", "per tail") if console.width >= 100 else ()
    relations = _table(
        console, "Relations, each edge once", ("relation", "head → tail"), "edges", "heads", "tails", *means
    )
    for row in summary.relations:
        cells = [
            grouped(row.edges),
            grouped(row.heads),
            grouped(row.tails),
            f"{row.mean_out:.1f}",
            f"{row.mean_in:.1f}",
        ]
        relations.add_row(
            Text(row.relation), Text(f"{row.head_type} → {row.tail_type}"), *cells[: len(relations.columns) - 2]
        )
    console.print(nodes, relations)
    if summary.evidence:
        console.print(_evidence(console, summary.evidence))
    for label in summary.labels:
        several = f", {grouped(label.in_several)} of them in several" if label.in_several else ""
        parts = f"{grouped(label.components)} connected component{'' if label.components == 1 else 's'}"
        line = (
            f"{', '.join(label.relations)}: {grouped(label.pairs)} pairs{several}, of {grouped(label.heads)} "
            f"{label.head_type} and {grouped(label.tails)} {label.tail_type} nodes; {parts}, the largest with "
            f"{grouped(label.largest)} nodes."
        )
        console.print(Text(line))
    for twins in summary.twins:
        shown = "; ".join(" and ".join(map(repr, ids)) for ids in twins.examples)
        more = "; and more" if twins.groups > len(twins.examples) else ""
        console.print(
            Text(
                f"Suspicious: {grouped(twins.groups)} times several {twins.type} nodes look like one under different "
                f"spellings of its id: {shown}{more}. What one of them is joined to, the other does not know."
            ),
            style="yellow",
        )


def _evidence(console: Console, columns: list[EvidenceColumn]) -> Table:
    """Which columns there are for `graph.where` and `graph.time_column`."""
    from rich.text import Text

    from flykd_console.graph.imports.columns import in_few_words
    from flykd_console.graph.summary import LABELS

    table = _table(console, "Columns of time and evidence", ("column", "holds"), "missing %")
    table.add_column("of the rows with", overflow="fold")
    for one in columns:
        shares = sorted(one.relations.items(), key=lambda item: (item[0] not in LABELS, -item[1], item[0]))
        shown = ", ".join(f"{relation} {share:.0%}" for relation, share in shares[:_RELATIONS])
        more = f" and {counted(len(shares) - _RELATIONS, 'relation')}" if len(shares) > _RELATIONS else ""
        table.add_row(Text(one.name), Text(in_few_words(one)), f"{100 * one.missing:.1f}", Text(shown + more))
    return table


def _table(console: Console, title: str, texts: tuple[str, str], *numbers: str) -> Table:
    """On a narrow terminal the second column goes on below, between words; nothing is cut off."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(texts[0], no_wrap=True)
    table.add_column(texts[1], overflow="fold", max_width=44)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True, min_width=9 if console.width >= 100 else 5)
    return table
