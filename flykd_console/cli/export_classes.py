"""`flykd-console export` of a run that tells classes: who answers and why, each check, what to try next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from exporters.classes.bundle import ClassBundle
    from exporters.classes.trained import Choice
    from flykd_console.runs.directory import RunDirectory


def export(
    directory: RunDirectory, *, seed: int | None, ensemble: bool, model: str | None, out: Path | None, onnx: bool
) -> ClassBundle:
    """Write and verify the bundle, telling of it.

    Raises:
        UserError: See `exporters.classes.bundle`; or options of other bundles were given.
        typer.Exit: A check failed.
    """
    from exporters.agreement import ParityError
    from exporters.classes.bundle import export_classes
    from flykd_console.cli.checked import tell_check
    from flykd_console.cli.console import PlainConsole

    if ensemble:
        raise UserError(
            "--ensemble averages seeds, and of a run that tells classes each seed is exported by itself",
            "flykd-console export",
            "The mean of one seed's members is --model ensemble.",
        )
    console = PlainConsole(soft_wrap=True)

    def started(choice: Choice) -> None:
        console.print(f"{directory.name}: seed {choice.seed} ({choice.seed_why})")
        console.print(f"  {choice.model} answers ({choice.model_why})")

    try:
        bundle = export_classes(
            directory,
            seed=seed,
            model=model,
            out=out,
            onnx=onnx,
            on_start=started,
            on_check=lambda check: tell_check(console, check),
        )
    except ParityError as error:
        print(f"The export failed its check of {error}. Nothing was written.", file=sys.stderr)
        raise typer.Exit(1) from None
    _report(bundle)
    return bundle


def _report(bundle: ClassBundle) -> None:
    import shlex

    from rich.filesize import decimal

    from flykd_console.cli.checked import shown_path
    from flykd_console.cli.console import PlainConsole

    console, place = PlainConsole(soft_wrap=True), shown_path(bundle.path)
    console.print(f"{'Replaced' if bundle.replaced else 'Wrote'} {place}")
    width = max(map(len, bundle.files))
    for name, size in bundle.files.items():
        console.print(f"  {name:<{width}} {decimal(size):>10}")
    console.print(f"Try it: {shlex.join(['flykd-console', 'score', place, '--samples', '0,1,2'])}")
