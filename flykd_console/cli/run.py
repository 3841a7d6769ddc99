"""`flykd-console run`: make run directories, start training in a process of its own, and follow it to its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flykd_console.profile.load import Override
    from flykd_console.runs.directory import RunDirectory

_WHAT, _HOW, _AGAIN = "What is trained", "How it is shown", "Going on"
_MANY = "Many runs"
_MOST_SEEDS = 1000


def command(
    profiles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROFILE]...",
            help="A profile (TOML), or the name of a shipped one, such as flykd; several are trained in order.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Replace any key of the profile; may be repeated. KEY=A,B,C trains every combination.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEEDS",
            help="Seeds to train, such as 45,46 or 45-49; with --resume: seeds to add to the run.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(
            metavar="GRAPH",
            help="embedded, synthetic, primekg (fetched before), or a kg.csv, .csv.gz, .tsv or .parquet.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Of profiles that classify: embedded, or a file such as cora.npz.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:1.", rich_help_panel=_WHAT)
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run; the time is added.", rich_help_panel=_WHAT)
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on with a stopped or broken-off run, and with those that wait for it; takes no profile.",
            rich_help_panel=_AGAIN,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Train every stage, also where an equal one could be reused.", rich_help_panel=_AGAIN
        ),
    ] = False,
    jobs: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Train so many runs side by side, a seed each, on one thread each.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Train every N-th of these runs, from the I-th: Slurm arrays.", rich_help_panel=_MANY
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="local|ray", help="Where they are trained: here, or on a Ray cluster.", rich_help_panel=_MANY
        ),
    ] = None,
    max_hours: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="H",
            help="Stop with a checkpoint after so many hours, as before a cluster's time limit.",
            rich_help_panel=_HOW,
            show_default=False,
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Plain lines instead of the dashboard.", rich_help_panel=_HOW)
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Stream the events as JSON lines; implies --headless.", rich_help_panel=_HOW)
    ] = False,
) -> None:
    """Train teacher, baseline and student over the seeds of a profile, or of several one after another.

    On a terminal the dashboard opens at once; closing it does not stop training. Without a terminal, or with
    `--headless`, the same run prints plain lines: Ctrl-C then stops it with a checkpoint, a second one ends it at once.
    SIGTERM, SIGHUP and SIGUSR1 stop it with a checkpoint, too. A stopped run exits with 130, or 128 + n for signal n.

    * `flykd-console run flykd`
    * `flykd-console run my.toml --seeds 45-47 --set distill.epochs=500`
    * `flykd-console run profiles/embedded/*.toml` (what they have in common is trained once)
    * `flykd-console run flykd --set student.dim=16,32,80` (a run each, and a table; given again it goes on)
    * `flykd-console run mutual/gml-node --data cora.npz` (classes of nodes: members that teach each other)
    * `flykd-console run --resume flykd-20261120-211500`
    * `flykd-console run --resume flykd-20261120-211500 --seeds 50-54` (these seeds alone are trained)
    """
    from flykd_console.cli.prepare import is_plan, prepare
    from flykd_console.cli.resume import resumable

    if resume is not None:
        given = {"PROFILE": profiles, "--set": settings, "--graph": graph, "--data": data}
        _refuse({**given, "--device": device, "--name": name, "--jobs": jobs, "--shard": shard, "--engine": engine})
        batch = resumable(resume, parse_seeds(seeds) if seeds is not None else [])
        if len(batch) > 1:
            say(f"After {batch[0].name} come the runs that wait: {_names(batch[1:])}.", err=json)
    else:
        if not profiles:
            raise UserError("no profile given", "flykd-console run", "For example: flykd-console run flykd")
        if is_plan(settings or [], jobs, shard, engine):
            from flykd_console.cli.plan import carry_out_plan, make_plan

            options = list(_overrides([], seeds, graph, data, device, name))
            plan = make_plan(profiles, settings or [], options, a_seed_each=bool(jobs or shard or engine))
            code = carry_out_plan(plan, jobs, shard, engine or "local", fresh=fresh, headless=headless, json=json)
            raise typer.Exit(code)
        batch = prepare(profiles, list(_overrides(settings or [], seeds, graph, data, device, name)))

    from flykd_console.cli.training import train

    how = {"fresh": fresh, "headless": headless or json, "json": json}
    raise typer.Exit(train(batch, new=resume is None, max_hours=max_hours, **how))


def parse_seeds(text: str) -> list[int]:
    """`45,46`, `45-49` or both, as a list in the order given.

    Raises:
        UserError: A part is no whole number or range, a range runs backwards, or a seed comes twice.
    """
    where, hint = f"--seeds {text}", "Give seeds as 45,46 or 45-49."
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise UserError(f"{part.strip()!r} is not a seed" if part.strip() else "a seed is missing", where, hint)
        low, high = int(first), int(last or first)
        if high < low:
            raise UserError(f"the range {part.strip()} runs backwards", where, hint)
        if high - low >= _MOST_SEEDS:
            raise UserError(f"the range {part.strip()} has more than {_MOST_SEEDS} seeds", where, hint)
        seeds.extend(range(low, high + 1))
    for seed in seeds:
        if seeds.count(seed) > 1:
            raise UserError(f"seed {seed} is named twice", where, hint)
    return seeds


def _refuse(given: dict[str, object]) -> None:
    named = [option for option, value in given.items() if value]
    if named:
        raise UserError(
            f"a resumed run keeps its own profile, so {' and '.join(named)} cannot be given",
            "--resume",
            "Start a new run instead: equal stages are reused.",
        )


def _overrides(
    settings: list[str],
    seeds: str | None,
    graph: str | None,
    data: str | None,
    device: str | None,
    name: str | None,
) -> Iterator[str | Override]:
    """`--set` first, then the options of their own, which say the same in fewer letters."""
    from flykd_console.profile.load import Override

    yield from settings
    if seeds is not None:
        yield Override("run.seeds", parse_seeds(seeds), f"--seeds {seeds}")
    for key, value, option in (
        ("graph.source", graph, "graph"),
        ("data.source", data, "data"),
        ("run.device", device, "device"),
        ("run.name", name, "name"),
    ):
        if value is not None:
            yield Override(key, value, f"--{option} {value}")


def _names(runs: list[RunDirectory]) -> str:
    return ", ".join(run.name for run in runs)
