"""`flykd-console diff`: what changed between two bundles, on the nodes that both have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from exporters.diff import BundleDiff

_SHOWN = 10


def command(
    first: Annotated[Path, typer.Argument(metavar="BUNDLE_A", help="The bundle before.")],
    second: Annotated[Path, typer.Argument(metavar="BUNDLE_B", help="The bundle after.")],
    top: Annotated[int, typer.Option(metavar="N", help="How many first entries of a ranking are looked at.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Write .md, .html or .json; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Say which ranks moved between two bundles: new and lost entries per disease, and how alike the rankings are.

    * `flykd-console diff runs/OLD/export runs/NEW/export --out diff.html`
    """
    check_forms(out or [])
    show(first, second, top, json=json, out=out or [])


def show(first: Path, second: Path, top: int, *, json: bool, out: list[Path]) -> None:
    """Compare two bundles, write what is asked for and print the rest.

    Raises:
        UserError: They cannot be compared, or a file cannot be written.
    """
    from exporters.diff import diff_bundles

    deliver(diff_bundles(first, second, top=top, progress=_progress), json=json, out=out)


def deliver(diff: BundleDiff, *, json: bool, out: list[Path]) -> None:
    """Write a difference to files by their endings, and print it.

    Raises:
        UserError: A file cannot be written.
    """
    from exporters.diff_text import to_html, to_json, to_markdown
    from flykd_console.cli.compare import write_whole

    writers = {".md": to_markdown, ".html": to_html, ".json": to_json}
    for path in out:
        write_whole(path, writers[path.suffix.lower()](diff))
    if json:
        say(to_json(diff), end="")
        return
    _print(diff)
    for path in out:
        say(f"Wrote {path}.")


def check_forms(out: list[Path]) -> None:
    """Say that a file cannot be written before the work, not after it.

    Raises:
        UserError: Its ending is none of the three, or it cannot be written there.
    """
    from flykd_console.cli.compare import check_writable

    for path in out:
        if path.suffix.lower() not in (".md", ".html", ".json"):
            raise UserError(
                f"unknown form {path.suffix or 'without a suffix'}", str(path), "Name it .md, .html or .json."
            )
        check_writable(path)


def _print(diff: BundleDiff) -> None:
    from rich.text import Text

    from exporters.diff_text import changed, moved, number, opening, told
    from flykd_console.cli.titled import plain_table, table_console

    console = table_console()
    for line in opening(diff):
        console.print(Text(line))
    for relation in diff.relations:
        console.print()
        console.print(Text(relation.relation, style="bold"))
        console.print(Text(told(relation, diff)))
        tails = changed(relation)[:_SHOWN]
        if not tails:
            continue
        table = plain_table()
        for heading in (diff.tail_type, "correlation", "new", "lost"):
            table.add_column(heading, overflow="fold")
        for tail in tails:
            new, lost = ("\n".join(map(moved, some)) for some in (tail.new, tail.lost))
            table.add_row(Text(tail.tail_name), number(tail.correlation), Text(new), Text(lost))
        console.print(table)


def _progress(relation: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{relation}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
