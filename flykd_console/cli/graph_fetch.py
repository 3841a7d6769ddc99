"""`flykd-console graph fetch`: a published graph from where it is published; its terms are shown before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.graph_output import consoles, progress_bar
from flykd_console.words import grouped

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.graph.sources.download import Downloaded

_PRIMEKG_TERMS = "CC0 1.0 on Dataverse; sources have terms of their own"


def command(
    dataset: Annotated[str, typer.Argument(help="primekg, optimuskg, hetionet or drkg.")] = "primekg",
    what: Annotated[str, typer.Option(help="Of PrimeKG: kg, txgnn-kg (the copy TxGNN uses), nodes or edges.")] = "kg",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder to keep it in (default: the per-user data folder).")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Another server with the same paths, such as a mirror.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch it again though it is there.")] = False,
) -> None:
    """Fetch a published graph; a broken download goes on where it stopped."""
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from flykd_console.errors import UserError
    from flykd_console.graph.sources import primekg, published

    names = ("primekg", *published.DATA_SETS)
    if dataset not in names:
        raise UserError(f"there is no data set {dataset!r} to fetch", "graph fetch", f"Choose from {', '.join(names)}.")
    out, err = consoles()
    _show_terms(err, dataset, what, base_url)
    with progress_bar(err, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(dataset, total=None)

        def report(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        found: list[Downloaded | Path]
        if dataset == "primekg":
            address = base_url or primekg.BASE_URL
            found = [primekg.fetch(what, directory, address, force=force, report=report, log=progress.console.print)]
        else:
            found = published.fetch(
                dataset,
                directory,
                base_url,
                force=force,
                begin=lambda name: progress.update(task, description=name, completed=0, total=None),
                report=report,
                log=progress.console.print,
            )
    for result in found:
        _tell(out, result)
    if dataset != "primekg":
        place = directory or published.folder(dataset)
        out.print(f"Next: flykd-console graph import {place} --to {dataset}.parquet", soft_wrap=True)
    elif what in ("kg", "txgnn-kg") and not isinstance(found[0], Path):
        graph = "primekg" if directory is None else str(found[0].path)
        out.print(f"Next: flykd-console graph info {graph}", soft_wrap=True)


def _show_terms(console: Console, dataset: str, what: str, base_url: str | None) -> None:
    """What is fetched, from where, under which terms."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flykd_console.graph.sources import primekg, published

    if dataset == "primekg":
        files = [primekg.FILES[what].name] if what in primekg.FILES else []
        origin, page, terms = primekg.BASE_URL, "doi:10.7910/DVN/IXA7BM", _PRIMEKG_TERMS
    else:
        one = published.DATA_SETS[dataset]
        files, origin, page, terms = [file.name for file in one.files], one.base_url, one.page, one.terms
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (("files", ", ".join(files)), ("from", base_url or origin), ("about", page), ("terms", terms)):
        table.add_row(Text(name), Text(value))
    if files:
        console.print(table)


def _tell(out: Console, result: Downloaded | Path) -> None:
    if isinstance(result, Path):
        out.print(f"{result} is there already; --force fetches it again.", soft_wrap=True)
        return
    check = f"verified by {result.verified_by}" if result.verified_by else "the server gave none to check it against"
    resumed = f", resumed at {grouped(result.resumed_from)}" if result.resumed_from else ""
    out.print(f"{result.path}: {grouped(result.size)} bytes{resumed}", soft_wrap=True)
    out.print(f"{result.checksum.algorithm.upper()} {result.checksum.value} ({check})", soft_wrap=True)
