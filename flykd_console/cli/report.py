"""`flykd-console report`: one self-contained HTML file of one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Names, their beginnings, or paths.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Default: report.html in the run, or here for several.", show_default=False
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Compare every model with this run's student as well.")
    ] = None,
    only: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV of disease (tail) ids: test pairs of these alone.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Runs on other graphs or splits: in sections of their own.")
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, metavar="N", help="Of the bootstrap.")] = 2000,
) -> None:
    """Write one HTML file: result, gains, curves, precision and recall, calibration, provenance.

    It needs no network and no other file, follows light and dark, and prints.
    """
    from flykd_console.cli.compare import check_writable, compared, write_whole
    from flykd_console.runs.directory import find_run

    if out is None:
        out = find_run(runs[0]).path / "report.html" if len(runs) == 1 else Path("report.html")
    check_writable(out)
    comparison, loaded, restriction = compared(runs, against, only, anyway, resamples)
    from flykd_console.report.page import page

    text = page(comparison, loaded, anyway, restriction)
    write_whole(out, text)
    typer.echo(f"Wrote {out} ({len(text.encode()) / 1e6:.1f} MB). Open it in any browser.")
