"""`flykd-console report`: one self-contained HTML file of one run or several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Names, their beginnings, or paths; default: the newest finished run.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Default: report.html in the run's folder; for several, in the folder of runs.",
            show_default=False,
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

    It needs no network and no other file, follows light and dark, and prints. Of runs that tell classes: each model
    against its fair rival, curves by member, agreement, calibration, confusion.
    """
    from flykd_console.cli.compare import check_writable, compared, write_whole
    from flykd_console.compare.samples import tells_classes
    from flykd_console.runs.find import find_run

    first = find_run(runs[0]) if runs else find_run(None, finished=True)
    runs = runs or [str(first.path)]
    if out is None:
        out = (first.path if len(runs) == 1 else first.path.parent) / "report.html"
    check_writable(out)
    directories = [find_run(name) for name in runs]
    if tells_classes(directories):
        if against is not None or only is not None or anyway:
            raise UserError(
                "--against, --only and --anyway are of pairs, and these runs tell classes",
                "flykd-console report",
                "Leave them out.",
            )
        from flykd_console.compare.samples import compare_classes
        from flykd_console.report.classes import page_of_classes

        text = page_of_classes(compare_classes(directories, resamples=resamples), directories)
        write_whole(out, text)
        say(f"Wrote {out} ({len(text.encode()) / 1e6:.1f} MB). Open it in any browser.")
        return
    comparison, loaded, restriction = compared(runs, against, only, anyway, resamples)
    from flykd_console.report.page import page

    text = page(comparison, loaded, anyway, restriction)
    write_whole(out, text)
    say(f"Wrote {out} ({len(text.encode()) / 1e6:.1f} MB). Open it in any browser.")
