"""`flykd-console runs`: what was trained here, how far it is, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flykd_console.cli.console import say
from flykd_console.cli.orders import COMMANDS, RunName
from flykd_console.errors import UserError
from flykd_console.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

    from flykd_console.runs.directory import RunDirectory

app = typer.Typer(rich_markup_mode="markdown")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_COLOURS = {
    "running": "green",
    "starting": "green",
    "paused": "yellow",
    "stopping": "yellow",
    "failed": "red",
    "died": "red",
}


@app.callback(invoke_without_command=True)
def listing(context: typer.Context, json: _Json = False) -> None:
    """List runs, newest first; or show one, give it orders, or remove it.

    Runs live in `runs/` below the current folder, or where the environment variable `FLYKD_RUNS` says.
    """
    if context.invoked_subcommand is not None:
        return
    from flykd_console.cli.titled import table_console
    from flykd_console.runs.find import list_runs, runs_root

    facts = [_facts(directory) for directory in _in_order_of_training(list_runs())]
    if json:
        _print_json(facts)
        return
    if not facts:
        say(f"There is no run in {runs_root()}/ yet. Train one: flykd-console run flykd")
        return
    console = table_console()
    console.print(_table(facts, wide=console.width >= 110))


@app.command()
def show(run: RunName = None, json: _Json = False) -> None:
    """Show how far a run is and what it measured."""
    from flykd_console.runs.find import find_run

    directory = find_run(run)
    facts = _facts(directory)
    if json:
        _print_json(facts)
        return
    from flykd_console.cli.robustness_tables import robustness_table
    from flykd_console.cli.tables import classes_table, ranking_table, relations_table, results_table
    from flykd_console.cli.titled import table_console
    from flykd_console.runs.results import read_results

    console = table_console()
    console.print(_details(facts))
    if directory.results.is_file():
        results = read_results(directory.results)
        of_classes = (classes_table(results), robustness_table(results))
        for table in (results_table(results), *of_classes, relations_table(results), ranking_table(results)):
            if table is not None:
                console.print()
                console.print(table)


for _name, _order in COMMANDS.items():
    app.command(_name)(_order)


@app.command()
def rm(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name, its beginning, or path.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a run with everything it wrote: weights, scores, events, bundle."""
    import shutil
    import sys

    from flykd_console.runs.find import find_run
    from flykd_console.runs.status import in_training
    from flykd_console.words import size

    directory = find_run(run)
    if in_training(directory):
        raise UserError(
            "this run is being trained", directory.name, f"Stop it first: flykd-console runs stop {directory.name}"
        )
    if not (directory.events.exists() or directory.lock.exists() or directory.queue.exists()):
        raise UserError(
            "this folder has a profile.toml but is no run", str(directory.path), "Remove it by hand if you mean it."
        )
    foreign = _foreign(directory)
    if foreign:
        raise UserError(
            f"this folder holds {foreign!r}, which no run wrote",
            str(directory.path),
            "Remove it by hand if you mean it.",
        )
    if directory.path.is_symlink():
        raise UserError("this is a link; remove the link or what it points to", str(directory.path))
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nobody is there to ask", f"runs rm {directory.name}", "Add --yes to remove it unasked.")
        if not typer.confirm(plain(f"Remove {directory.path} ({size(_bytes_in(directory))})?")):
            say("Nothing was removed.")
            return
    try:
        shutil.rmtree(directory.path)
    except OSError as error:
        raise UserError(
            f"cannot be removed ({error.strerror})", str(error.filename or directory.path), "Check who may write there."
        ) from None
    say(f"Removed {directory.name}.")


def _foreign(directory: RunDirectory) -> str:
    """What a folder elsewhere holds that is no run's; below the runs' own root everything belongs to its run."""
    import re

    from flykd_console.runs.find import runs_root

    if directory.path.parent.resolve() == runs_root().resolve():
        return ""
    known = {
        "profile.toml", "environment.json", "events.jsonl", "results.json", "nodes.parquet", "worker.log",
        "worker.lock", "queue.json", "export", "control",
    }  # fmt: skip
    names = sorted(path.name for path in directory.path.iterdir())
    return next((name for name in names if name not in known and not re.fullmatch(r"seed-\d+|\..*\.tmp", name)), "")


def _facts(directory: RunDirectory) -> dict[str, Any]:
    """One run as plain data: what `--json` prints and the table shows. The score is a fraction, the gain in points."""
    from flykd_console.runs.events import NewerSchemaError
    from flykd_console.runs.overview import outcome_of
    from flykd_console.runs.results import read_results
    from flykd_console.runs.status import status_of

    facts: dict[str, Any] = {"name": directory.name, "path": str(directory.path), "bytes": _bytes_in(directory)}
    try:
        status = status_of(directory)
    except NewerSchemaError as error:
        return {**facts, "state": "unreadable", "error": f"written by a newer program ({error.versions})"}
    started = status.started
    facts |= {
        "state": status.state,
        "method": started.method if started else None,
        "graph": started.graph.source if started else None,
        "seeds": started.seeds if started else [],
        "seeds_done": len(started.seeds) if started and status.state == "finished" else 0,
        "seed": status.seed,
        "stage": status.stage,
        "epoch": status.epoch,
        "epochs": status.epochs,
        "progress": round(status.progress, 4),
        "started": started.t if started else None,
        "updated": status.updated,
        "error": status.error or None,
    }
    try:
        results = read_results(directory.results) if directory.results.is_file() else None
    except UserError as error:
        return {**facts, "error": str(error)}
    outcome = outcome_of(results) if results is not None else None
    if outcome is not None:
        facts["seeds_done"] = max(facts["seeds_done"], outcome.seeds)
    facts |= {
        "model": outcome.model if outcome else None,
        "metric": outcome.metric if outcome else None,
        "score": outcome.mean if outcome else None,
        "gain_points": outcome.gain if outcome else None,
        "gain_over": (outcome.over or None) if outcome else None,
    }
    facts["exported"] = directory.export.is_dir()
    return facts


def _table(runs: list[dict[str, Any]], wide: bool) -> Table:
    import time
    from pathlib import PurePath

    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flykd_console.cli.text import age
    from flykd_console.words import metric_words, per_cent, signed, size

    metrics = list(dict.fromkeys(metric_words(run["metric"]) for run in runs if run.get("metric")))
    # Scores of several metrics are told apart by a column, those of one by its name above them.
    told_apart = ["metric"] if len(metrics) > 1 else []
    scored = metrics[0] if len(metrics) == 1 else "score"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("run", style="bold", overflow="fold")
    table.add_column("state", no_wrap=True)
    if wide:
        table.add_column("method", no_wrap=True)
        table.add_column("graph", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    for heading in told_apart:
        table.add_column(heading, no_wrap=True)
    table.add_column(scored, justify="right", no_wrap=True)
    table.add_column("gain", justify="right", no_wrap=True)
    table.add_column("over", no_wrap=True)
    for heading in ("age", *(["size"] if wide else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        seeds = run.get("seeds") or []
        cells: list[Text | str] = [Text(run["name"]), Text(_state_words(run), style=_COLOURS.get(run["state"], ""))]
        if wide:
            graph = run.get("graph") or ""
            cells += [Text(run.get("method") or ""), Text(PurePath(graph).name)]
        cells.append(f"{run.get('seeds_done', 0)}/{len(seeds)}" if seeds else "")
        if told_apart:
            cells.append(metric_words(run["metric"]) if run.get("metric") else "")
        cells += [
            per_cent(run.get("score")),
            signed(run.get("gain_points")),
            Text(run.get("gain_over") or ""),
            age(time.time() - run["updated"]) if run.get("updated") else "",
        ]
        table.add_row(*cells, *([size(run["bytes"])] if wide else []))
    return table


def _details(run: dict[str, Any]) -> Table:
    import time

    from rich.table import Table
    from rich.text import Text

    from flykd_console.cli.text import age
    from flykd_console.words import size

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("run", Text(run["name"], "bold"))
    table.add_row("state", run["state"] + (f", {run['error']}" if run.get("error") else ""))
    if run.get("seeds"):
        table.add_row("method", f"{run['method']} on {run['graph']}")
        table.add_row("seeds", ", ".join(map(str, run["seeds"])))
    if run.get("stage"):
        place = f"seed {run['seed']}, {run['stage']}, epoch {run['epoch']} of {run['epochs']}"
        table.add_row("progress", f"{_share_done(run)}  ({place})")
    if run.get("updated"):
        table.add_row("last word", f"{age(time.time() - run['updated'])} ago")
    table.add_row("folder", f"{run['path']}  ({size(run['bytes'])})")
    return table


def _state_words(run: dict[str, Any]) -> str:
    """`finished`, or how far a run is: `stopped 64 %`."""
    known = run["state"] != "finished" and "progress" in run
    return f"{run['state']} {_share_done(run)}" if known else run["state"]


def _share_done(run: dict[str, Any]) -> str:
    """Only what is finished is done to 100 %."""
    share = 100 * run.get("progress", 0)
    return f"{share if run['state'] == 'finished' else min(share, 99):.0f} %"


def _in_order_of_training(runs: list[RunDirectory]) -> list[RunDirectory]:
    """Newest first, but those that wait in a batch as they will be trained, at the place of the first of them."""
    from flykd_console.runs.batch import has_begun, read_queue

    queues = {run.name: queue for run in runs if not has_begun(run) and (queue := read_queue(run)) is not None}
    waiting: dict[tuple[str, ...], list[RunDirectory]] = {}
    for run in runs:
        if run.name in queues:
            waiting.setdefault(tuple(queues[run.name].runs), []).append(run)
    found: list[RunDirectory] = []
    for run in runs:
        batch = waiting.pop(tuple(queues[run.name].runs), []) if run.name in queues else [run]
        found += sorted(batch, key=lambda one: queues[one.name].position) if run.name in queues else batch
    return found


def _bytes_in(directory: RunDirectory) -> int:
    return sum(file.stat().st_size for file in directory.path.rglob("*") if file.is_file() and not file.is_symlink())


def _print_json(value: Any) -> None:
    import json

    from flykd_console.plain_text import shown_json

    print(shown_json(json.dumps(value, indent=2, ensure_ascii=False)))
