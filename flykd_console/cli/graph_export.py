"""`flykd-console graph export`: a graph in the form of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError
from flykd_console.words import grouped

FORMS = ("graphstorm",)


def export(
    source: Annotated[
        str, typer.Argument(metavar="GRAPH", help="embedded, synthetic, primekg or a path to a graph file.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    to: Annotated[str, typer.Option(metavar="FORM", help="graphstorm: gconstruct's JSON and Parquet.")] = "graphstorm",
    targets: Annotated[
        str, typer.Option(metavar="NAMES", help="Relations to be learnt, with commas between them.")
    ] = "contraindication,indication",
    scale: Annotated[float, typer.Option(help="Size of the synthetic graph; 1.0 is PrimeKG.")] = 0.1,
) -> None:
    """Write a graph for GraphStorm, whose engine trains on graphs beyond one machine."""
    import sys

    from flykd_console.graph.formats.graphstorm import CONFIG, write_graphstorm
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.sections import Graph, Split

    if to not in FORMS:
        raise UserError(f"there is no form {to!r}", "--to", f"There is {', '.join(FORMS)}.")
    graph = load_graph(Graph(source=source, scale=scale), lambda line: print(line, file=sys.stderr))
    names = [name.strip() for name in targets.split(",") if name.strip()]
    edges = write_graphstorm(graph, out, names, Split().fractions)
    say(f"{out}: {grouped(graph.node_count)} nodes, {grouped(edges)} edges, each once")
    say(
        f"Next: python -m graphstorm.gconstruct.construct_graph --conf-file {out / CONFIG} --output-dir DIR "
        "--graph-name kg --num-parts 4 --add-reverse-edges"
    )
