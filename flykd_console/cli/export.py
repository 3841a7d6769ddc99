"""`flykd-console export`: write and verify a run's bundle, show each check as it passes, say what to try next."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flykd_console.cli.checked import shown_path, tell_check
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.bundle import Bundle
    from flykd_console.runs.directory import RunDirectory


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
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="The mean of all seeds' models instead of one seed's.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Default: the run's student, of classes the best member.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="How embeddings are stored; what lists lose by fewer bits is measured."),
    ] = "float32",
    max_loss: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="POINTS",
            help="Refuse tables that lose more points of AP than this; default: 0.5.",
            show_default=False,
        ),
    ] = None,
    profiles: Annotated[
        bool | None,
        typer.Option(
            "--profiles/--no-profiles",
            help="Write what score --profile needs, the graph's edges at drugs and diseases; default: if there.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The bundle's folder; default: export/ in the run.", show_default=False),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="REPO", help="Upload the bundle to this Hugging Face repository.", show_default=False),
    ] = None,
) -> None:
    """Write and verify the bundle: embeddings in HDF5, scoring head in ONNX. No flag means both.

    Every file is read back and checked against what training left in the run before it gets its name; a failed check
    leaves nothing behind and exits with 1. An older bundle is replaced only by a verified one.

    One seed is exported: the one whose model is best on validation pairs, never on the test. --ensemble averages the
    logits of all finished seeds instead; it is as many times as wide, and no test can be made of it.

    Of a run that tells classes: every member's encoder in ONNX, and what each says of every node or graph in HDF5. The
    best member by validation answers; --model names another one, or ensemble, the mean of the members.

    - flykd-console export
    - flykd-console export flykd-2026 --seed 46 --out bundle
    - flykd-console export deploy --ensemble --dtype int8
    - flykd-console export gml-node --model ensemble
    """
    from exporters.agreement import ParityError
    from exporters.bundle import MAX_LOSS, export_run
    from flykd_console.cli.console import PlainConsole
    from flykd_console.runs.find import find_run

    if ensemble and seed is not None:
        raise UserError("--seed names one seed, --ensemble averages all", "flykd-console export", "Leave one out.")
    if push is not None:
        from exporters.hub import check_repository

        check_repository(push)
    console = PlainConsole(soft_wrap=True)
    directory = find_run(run, finished=True)
    if directory.tells_classes:
        others = {"--dtype": dtype != "float32", "--max-loss": max_loss is not None, "--profiles": profiles is not None}
        _export_classes(directory, seed, ensemble, model, others, out, onnx or not hdf5, push)
        return
    try:
        bundle = export_run(
            directory,
            seed=seed,
            ensemble=ensemble,
            out=out,
            onnx=onnx or not hdf5,
            model=model,
            dtype=dtype,
            max_loss=MAX_LOSS if max_loss is None else max_loss,
            profiles=profiles,
            on_start=lambda name, seeds, why: _say(console, f"{directory.name}: {name} of {_seeds(seeds)} ({why})"),
            on_check=lambda check: tell_check(console, check),
        )
    except ParityError as error:
        print(f"The export failed its check of {error}. Nothing was written.", file=sys.stderr)
        raise typer.Exit(1) from None
    _report(console, bundle)
    if push is not None:
        from exporters.hub import push_bundle

        _say(console, f"Pushed: {push_bundle(bundle.path, push)}")


def _export_classes(
    directory: RunDirectory,
    seed: int | None,
    ensemble: bool,
    model: str | None,
    others: Mapping[str, bool],
    out: Path | None,
    onnx: bool,
    push: str | None,
) -> None:
    """A run that tells classes; `others`: options of bundles that rank, and whether each was given."""
    from flykd_console.cli.export_classes import export

    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise UserError(
            f"{wrong[0]} is of bundles that rank, and this run tells classes", "flykd-console export", "Leave it out."
        )
    bundle = export(directory, seed=seed, ensemble=ensemble, model=model, out=out, onnx=onnx)
    if push is not None:
        from exporters.hub import push_bundle

        print(f"Pushed: {push_bundle(bundle.path, push)}")


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _report(console: Console, bundle: Bundle) -> None:
    """The files with their sizes, and a command that works on them."""
    place = shown_path(bundle.path)
    _say(console, f"{'Replaced' if bundle.replaced else 'Wrote'} {place}")
    for name, size in bundle.files.items():
        _say(console, f"  {name:<20} {_size(size):>10}")
    if loss := bundle.manifest.loss:
        known = f"AP {100 * loss['ap_float32']:.2f} before, {100 * loss['ap']:.2f} after; " if loss["ap"] else ""
        _say(
            console,
            f"By {bundle.manifest.dtype}: {known}Kendall's tau {loss['kendall_tau']:.4f}, "
            f"{100 * loss['top_20_overlap']:.1f} % of the first 20 kept ({loss['lists']} lists)",
        )
    for relation, numbers in bundle.manifest.calibration.items():
        if problem := numbers.get("problem"):
            _say(console, f"No probabilities of {relation}: {problem}.")
    if missing := bundle.manifest.missing:
        files = " and ".join(missing.values())
        run = bundle.manifest.run
        _say(console, f"The run left no {files}: score shows no {_lost(missing)}. flykd-console run --resume {run}")
    command = _next(bundle, place)
    if command:
        _say(console, f"Try it: {command}")


def _lost(missing: Mapping[str, str]) -> str:
    words = {"neighbours": "ranks by neighbours", "through": "--through", "profiles": "--profile"}
    return " and ".join(words[what] for what in missing)


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


def _say(console: Console, text: str) -> None:
    console.print(text)


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
