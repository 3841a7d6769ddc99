"""The `flykd-console` command: its subcommands by name, and what happens when one of them fails.

A subcommand's module is imported when it is called, so that `--help` stays quick and one that cannot be imported leaves
the others working. Exit codes: 0 done, 1 the run failed, 2 the user can mend it, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
import typer.core
import typer.main

from flykd_console.cli.standard_output import NAME as OUTPUT
from flykd_console.cli.standard_output import abandon, named_output
from flykd_console.errors import UserError
from flykd_console.mishaps import disk_words, is_memory, ran_out
from flykd_console.plain_text import plain

_SETTINGS = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """One subcommand: its module below `flykd_console.cli`, and its line in `--help`."""

    module: str
    panel: str
    summary: str


_TRAIN, _USE, _LOOK = "Train and watch", "Use a trained student", "Look around"
_COMPARE = "Compare and report"
ENTRIES = {
    "run": Entry("run", _TRAIN, "Train teacher, baseline and student over the seeds of a profile."),
    "watch": Entry("watch", _TRAIN, "Open the dashboard on a running or finished run."),
    "runs": Entry("runs", _TRAIN, "List runs, show one, give it orders, or remove it."),
    "select": Entry("select", _TRAIN, "Train candidates, measure quality, latency and size, and pick one."),
    "export": Entry("export", _USE, "Write and verify the bundle: embeddings in HDF5, scoring head in ONNX."),
    "score": Entry("score", _USE, "Rank drugs for a disease, or diseases for a drug, from a bundle."),
    "serve": Entry("serve", _USE, "Serve bundles over HTTP, with a page to ask them."),
    "verify": Entry("verify", _USE, "Say whether everything of a run or a bundle is what it claims to be."),
    "diff": Entry("diff", _USE, "Say which ranks moved between two bundles."),
    "refresh": Entry("refresh", _USE, "Train a bundle's model again on a newer graph, and say what moved."),
    "compare": Entry("compare", _COMPARE, "Compare runs: the paper's tables, and what each gain is worth."),
    "report": Entry("report", _COMPARE, "Write one HTML file: curves, tables, gains, calibration, provenance."),
    "profiles": Entry("profiles", _LOOK, "List, show, copy and check profiles."),
    "graph": Entry("graph", _LOOK, "Fetch, import, inspect and make knowledge graphs."),
    "doctor": Entry("doctor", _LOOK, "Say what this machine can do, and what is missing."),
}


class _LazyGroup(typer.core.TyperGroup):
    """Lists every subcommand from `ENTRIES`, and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in ENTRIES.items():
            self.commands[name] = typer.core.TyperCommand(
                name=name, help=entry.summary, rich_help_panel=entry.panel, callback=None
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, (load_command(name) if name in ENTRIES else command), rest


def load_command(name: str) -> Any:
    """Import a subcommand's module and build its command (a module has `app`, a Typer group, or `command`, a function).

    Raises:
        UserError: The module, or something that it needs, cannot be imported.
    """
    entry = ENTRIES[name]
    try:
        module = importlib.import_module(f"flykd_console.cli.{entry.module}")
    except ImportError as error:
        hint = "See what is missing: flykd-console doctor"
        raise UserError(f"cannot start: {error}", f"flykd-console {name}", hint) from error
    if hasattr(module, "app"):
        command: Any = typer.main.get_group(module.app)
    else:
        single = typer.Typer(add_completion=False, context_settings=_SETTINGS, rich_markup_mode="markdown")
        single.command(name)(module.command)
        command = typer.main.get_command(single)
    command.name = name
    command.context_settings = {**_SETTINGS, **command.context_settings}
    return command


def _version(asked: bool) -> None:
    if asked:
        from flykd_console import __version__

        typer.echo(f"flykd-console {__version__}")
        raise typer.Exit


app = typer.Typer(cls=_LazyGroup, context_settings=_SETTINGS, rich_markup_mode="markdown")


@app.callback(
    invoke_without_command=True,
    epilog="Start here: `flykd-console run flykd` (minutes on a laptop, no data needed)",
)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train, watch and ship distilled graph networks for drug repurposing."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the interpreter with its exit code."""
    from flykd_console.cli.memory_limit import supervised

    given = list(sys.argv[1:] if arguments is None else arguments)
    with named_output():
        code = supervised(lambda: _told(given))
    sys.exit(code)


def _told(arguments: list[str]) -> int:
    """Run a command; what keeps it from writing, or from memory, is a line and an exit code."""
    from flykd_console.cli.memory_limit import LINE

    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`): leave quietly.
        abandon()
        return 141
    except Exception as error:
        if getattr(error, "filename", None) == OUTPUT:
            abandon()
        words = disk_words(error)
        if words is not None:
            title, remedy = words
            place = getattr(error, "filename", None)
            return _complain(str(UserError(title, str(place or ""), f"{remedy}, then call it again.")), 2)
        if ran_out(error):
            return _complain(LINE, 2)
        raise
    return code


def _run(arguments: list[str]) -> int:
    from typer.exceptions import Abort, TyperException

    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="flykd-console", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except UserError as error:
        if is_memory(error):
            raise
        return _complain(str(error), 2)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "flykd-console"
        if not error.format_message():  # a group called without a command has printed its help
            return 0
        message = " ".join(error.format_message().split()).removesuffix(".").replace("?.", "?")
        end = "" if message.endswith("?") else "."
        return _complain(f"{path}: {message}{end} See: {path} --help", error.exit_code)
    except (KeyboardInterrupt, Abort):
        return _complain("Interrupted.", 130)


def _complain(line: str, code: int) -> int:
    sys.stdout.flush()
    print(plain(line), file=sys.stderr)
    return code
