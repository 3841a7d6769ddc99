"""`flykd-console compare`: the paper's tables over any runs, with the paper's figures and what each gain is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError
from flykd_console.plain_text import plain

if TYPE_CHECKING:
    from flykd_console.compare.figures import Comparison
    from flykd_console.compare.loading import LoadedRun
    from flykd_console.compare.population import Restriction
    from flykd_console.runs.directory import RunDirectory

_WHAT, _HOW = "What is compared", "How it is shown"


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Names, their beginnings, or paths.", show_default=False)
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Compare every model with this run's student as well.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    only: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV of disease (tail) ids: pairs of these alone.", rich_help_panel=_WHAT),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Instead: AUROC and enrichment of a list with outcomes (approved, failed, in trial, or 1 and 0).",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    relation: Annotated[
        str | None,
        typer.Option(metavar="RELATION", help="With --pairs; default: every relation.", rich_help_panel=_WHAT),
    ] = None,
    validation: Annotated[
        bool,
        typer.Option("--validation", help="On validation pairs: to choose by, unseen test.", rich_help_panel=_WHAT),
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Runs on other graphs or splits: in tables of their own.", rich_help_panel=_WHAT),
    ] = False,
    resamples: Annotated[
        int, typer.Option(min=100, max=100_000, metavar="N", help="Of the bootstrap.", rich_help_panel=_WHAT)
    ] = 2000,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown tables.", rich_help_panel=_HOW)] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV, one figure a row.", rich_help_panel=_HOW)] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON.", rich_help_panel=_HOW)] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file instead.", rich_help_panel=_HOW)
    ] = None,
) -> None:
    """Compare runs: AUPRC per seed, gains over the baseline or another rival, and what the gains are worth.

    Runs must share graph and splits; seeds that not all of them have are left out. Every model is scored on the same
    resampled test pairs, so that small differences can be told.
    """
    forms = [form for form, asked in ((".md", markdown), (".csv", csv), (".json", json)) if asked]
    if len(forms) > 1:
        raise UserError("one form at a time", "--markdown, --csv, --json", "Give one of the three.")
    if out is not None:
        check_writable(out)
        forms = forms or [_form_of(out)]
    part = "validation" if validation else "test"
    if _are_of_classes(runs):
        others = markdown or csv or anyway or bool(against or only or pairs or relation)
        _compare_classes(runs, part, resamples, json, out, others)
        return
    if pairs is not None:
        if only is not None or against is not None or set(forms) - {".json"}:
            raise UserError(
                "--pairs takes no --only and no --against, and prints tables or JSON", "flykd-console compare",
                "Leave the others out.",
            )  # fmt: skip
        _listed(runs, pairs, relation, resamples, part, bool(forms), out)
        return
    if relation is not None:
        raise UserError("--relation belongs to --pairs", "flykd-console compare", "Give --pairs FILE, or leave it out.")
    comparison, _, _ = compared(runs, against, only, anyway, resamples, part)
    if not forms:
        _print(comparison)
        return
    from flykd_console.report.text import markdown as to_markdown
    from flykd_console.report.text import to_csv, to_json

    writers = {".md": to_markdown, ".csv": to_csv, ".json": to_json}
    text = writers[forms[0]](comparison)
    if out is None:
        say(text, end="")
        return
    write_whole(out, text)
    say(f"Wrote {out}.")


def _listed(
    names: list[str], pairs: Path, relation: str | None, resamples: int, part: str, json: bool, out: Path | None
) -> None:
    """What the runs' models are worth on a list of pairs with outcomes."""
    from flykd_console.cli.listed import as_json, of_runs
    from flykd_console.cli.listed_tables import print_tables
    from flykd_console.cli.titled import table_console
    from flykd_console.compare.joined import joined
    from flykd_console.compare.loading import load_runs
    from flykd_console.runs.find import find_run

    tables = of_runs(joined(load_runs([find_run(name) for name in names], part)), pairs, relation, resamples)
    if not json:
        print_tables(table_console(), tables)
        return
    import json as form

    text = form.dumps(as_json(tables), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        say(text, end="")
        return
    write_whole(out, text)
    say(f"Wrote {out}.")


def _are_of_classes(names: list[str]) -> bool:
    from flykd_console.compare.samples import tells_classes
    from flykd_console.runs.find import find_run

    return tells_classes([find_run(name) for name in names])


def _compare_classes(names: list[str], part: str, resamples: int, json: bool, out: Path | None, others: bool) -> None:
    """Compare runs that tell classes, as a table or as JSON.

    Raises:
        UserError: Another option is given, or the runs cannot be compared.
    """
    import msgspec

    from flykd_console.cli.class_comparison import class_comparison_table
    from flykd_console.cli.robustness_tables import robustness_comparison_table
    from flykd_console.cli.titled import table_console
    from flykd_console.compare.samples import compare_classes
    from flykd_console.runs.find import find_run

    if others or (out is not None and _form_of(out) != ".json"):
        raise UserError(
            "these runs tell classes, and are compared as a table or as JSON", "flykd-console compare",
            "Give --json, --out FILE.json, --validation and --resamples alone.",
        )  # fmt: skip
    comparison = compare_classes([find_run(name) for name in names], part, resamples)
    text = msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode() + "\n"
    if out is not None:
        write_whole(out, text)
        typer.echo(f"Wrote {out}.")
    elif json:
        typer.echo(text, nl=False)
    else:
        table_console().print(class_comparison_table(comparison))
        changed = robustness_comparison_table(comparison)
        if changed is not None:
            table_console().print(changed)


def _form_of(out: Path) -> str:
    """The form that a file's name asks for.

    Raises:
        UserError: It is none of the three.
    """
    suffix = out.suffix.lower()
    if suffix not in (".md", ".csv", ".json"):
        raise UserError(
            f"unknown form {out.suffix or 'without a suffix'}",
            f"--out {out}",
            "Name it .md, .csv or .json; for HTML: flykd-console report RUN --out FILE.html",
        )
    return suffix


def _print(comparison: Comparison) -> None:
    from flykd_console.cli.comparison import print_comparison
    from flykd_console.cli.titled import table_console

    print_comparison(table_console(), comparison)


def compared(
    names: list[str], against: str | None, only: Path | None, anyway: bool, resamples: int, part: str = "test"
) -> tuple[Comparison, list[LoadedRun], Restriction | None]:
    """Find, read and compare runs as the options say: the comparison, the runs, and what `only` names.

    Raises:
        UserError: A run or a file is not there, or the runs cannot be compared.
    """
    from flykd_console.compare import compare as comparing
    from flykd_console.compare import population as tested
    from flykd_console.compare.joined import joined
    from flykd_console.compare.loading import load_runs, read_ids
    from flykd_console.runs.find import find_run

    directories = [find_run(name) for name in names]
    rival = find_run(against) if against is not None else None
    if rival is not None and rival.path.resolve() not in {directory.path.resolve() for directory in directories}:
        directories.append(rival)
    restriction = None if only is None else tested.Restriction(only.name, read_ids(only))
    loaded = joined(load_runs(directories, part))
    if restriction is not None:
        restriction = tested.spelt_as(loaded, restriction)
    chosen = next((run for run in loaded if rival and _lies_in(run, rival)), None)
    comparison = comparing.compare(loaded, anyway=anyway, only=restriction, against=chosen, resamples=resamples)
    return comparison, loaded, restriction


def _lies_in(run: LoadedRun, directory: RunDirectory) -> bool:
    return directory.path.resolve() in [one.path.resolve() for one in run.directories]


def check_writable(out: Path) -> None:
    """Say that a file cannot be written before minutes of work, not after them.

    Raises:
        UserError: It is a folder, or its folder is missing or not writable.
    """
    import os

    if out.is_dir():
        raise UserError("is a folder, not a file", str(out), "Give the name of a file in it.")
    if not out.absolute().parent.is_dir():
        raise UserError("there is no such folder", str(out.parent), "Make it first, or name another file.")
    if not os.access(out.absolute().parent, os.W_OK):
        raise UserError("the folder is not writable", str(out.parent), "Name another file with --out.")


def write_whole(out: Path, text: str) -> None:
    """Write a text file in one step, without control characters.

    Raises:
        UserError: It cannot be written.
    """
    from flykd_console.runs.files import replace_file

    try:
        replace_file(out, plain(text).encode())
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", str(out), "Choose another place with --out.") from None
