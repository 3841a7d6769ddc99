"""`flykd-console export`: write and verify a run's bundle, show each check as it passes, say what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.bundle import Bundle
    from exporters.parity import Check


def command(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run's name, its beginning, or its folder; default: the newest finished run.", show_default=False
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write the ONNX heads, and the tables that they need.")] = False,
    hdf5: Annotated[bool, typer.Option("--hdf5", help="Write the HDF5 tables; alone: without the ONNX heads.")] = False,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="The seed to export; default: the best on validation data.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model of the run; default: its student.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The bundle's folder; default: export/ in the run.", show_default=False),
    ] = None,
) -> None:
    """Write and verify the bundle: embeddings in HDF5, scoring head in ONNX. No flag means both.

    Every file is read back and checked against what training left in the run before it gets its name; a failed check
    leaves nothing behind and exits with 1. An older bundle is replaced only by a verified one.

    - flykd-console export
    - flykd-console export flykd-2026 --seed 46 --out bundle
    """
    from exporters.agreement import ParityError
    from exporters.bundle import export_run
    from flykd_console.cli.console import PlainConsole, say
    from flykd_console.runs.find import find_run

    console = PlainConsole(soft_wrap=True)
    directory = find_run(run, finished=True)
    try:
        bundle = export_run(
            directory,
            seed=seed,
            out=out,
            onnx=onnx or not hdf5,
            model=model,
            on_start=lambda name, chosen, why: console.print(f"{directory.name}: {name} of seed {chosen} ({why})"),
            on_check=lambda check: _tell_check(console, check),
        )
    except ParityError as error:
        say(f"The export failed its check of {error}. Nothing was written.", err=True)
        raise typer.Exit(1) from None
    _report(console, bundle)


def _report(console: Console, bundle: Bundle) -> None:
    """The files with their sizes, and a command that works on them."""
    place = shown_path(bundle.path)
    console.print(f"{'Replaced' if bundle.replaced else 'Wrote'} {place}")
    for name, size in bundle.files.items():
        console.print(f"  {name:<20} {_size(size):>10}")
    command = _next(bundle, place)
    if command:
        console.print(f"Try it: {command}")


def _next(bundle: Bundle, place: str) -> str:
    import shlex

    from exporters.manifest import SCORING_HEAD

    if SCORING_HEAD not in bundle.files:
        return ""
    relation, name = bundle.example
    option = "--disease" if bundle.manifest.tail_type == "disease" else "--tail"
    words = ["flykd-console", "score", place, f"{option}={name}" if name.startswith("-") else option]
    words += [] if name.startswith("-") else [name]
    if len(bundle.manifest.relations) > 1:
        words += ["--relation", relation]
    return shlex.join([*words, "--top", "20"])


def shown_path(path: Path) -> str:
    """A path from the current folder where it lies below it, else in full."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _tell_check(console: Console, check: Check) -> None:
    from rich.text import Text

    console.print(Text.assemble("  ", ("✓", "green"), f" {check.name:<14} {check.detail}"))


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
