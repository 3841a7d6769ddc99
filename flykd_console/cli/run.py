"""`flykd-console run`: make run directories, start training in a process of its own, and follow it to its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flykd_console.profile.load import Override
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory

_WHAT, _HOW, _AGAIN = "What is trained", "How it is shown", "Going on"
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
            help="Replace any key of the profile; may be repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Seeds to train, such as 45,46 or 45-49.", rich_help_panel=_WHAT)
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(
            metavar="GRAPH",
            help="embedded, synthetic, primekg (fetched before), or a kg.csv, .csv.gz, .tsv or .parquet.",
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
    * `flykd-console run --resume flykd-20261120-211500`
    """
    if resume is not None:
        given = {"PROFILE": profiles, "--set": settings, "--seeds": seeds, "--graph": graph, "--device": device}
        _refuse({**given, "--name": name})
        batch = _resumable(resume)
        if len(batch) > 1:
            say(f"After {batch[0].name} come the runs that wait: {_names(batch[1:])}.", err=json)
    else:
        if not profiles:
            raise UserError("no profile given", "flykd-console run", "For example: flykd-console run flykd")
        batch = _prepare(profiles, list(_overrides(settings or [], seeds, graph, device, name)))

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
    settings: list[str], seeds: str | None, graph: str | None, device: str | None, name: str | None
) -> Iterator[str | Override]:
    """`--set` first, then the options of their own, which say the same in fewer letters."""
    from flykd_console.profile.load import Override

    yield from settings
    if seeds is not None:
        yield Override("run.seeds", parse_seeds(seeds), f"--seeds {seeds}")
    for key, value, option in (
        ("graph.source", graph, "graph"),
        ("run.device", device, "device"),
        ("run.name", name, "name"),
    ):
        if value is not None:
            yield Override(key, value, f"--{option} {value}")


def _prepare(profiles: list[str], overrides: list[str | Override]) -> list[RunDirectory]:
    """Check everything that can be checked without the graph, then make the run directories, all or none."""
    import shutil

    from flykd_console.profile.load import dump_profile, load_profile
    from flykd_console.runs.batch import write_queue
    from flykd_console.runs.files import replace_file
    from flykd_console.runs.find import create_run

    loaded = [load_profile(profile, overrides) for profile in profiles]
    for file, profile in zip(profiles, loaded, strict=True):
        _check_files(profile, file)
    _refuse_equal_names(profiles, loaded)
    batch: list[RunDirectory] = []
    try:
        for profile in loaded:
            directory = create_run(profile.run.name)
            batch.append(directory)
            note = f"# Every setting of the run {directory.name}. Train it again: flykd-console run {directory.profile}"
            replace_file(directory.profile, f"{note}\n\n{dump_profile(profile)}".encode())
        if len(batch) > 1:
            write_queue(batch)
    except BaseException:
        for directory in batch:
            shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return batch


def _refuse_equal_names(files: list[str], profiles: list[Profile]) -> None:
    """Runs of a batch are told apart by their names."""
    taken: dict[str, str] = {}
    for file, profile in zip(files, profiles, strict=True):
        other = taken.get(profile.run.name)
        taken[profile.run.name] = file
        if other == file:
            raise UserError("comes twice", file, "Train it again in a run of its own.")
        if other is not None:
            raise UserError(
                f"{other} and {file} name their runs alike, {profile.run.name!r}",
                "flykd-console run",
                "Give each a run.name of its own, and leave --name out.",
            )


def _check_files(profile: Profile, file: str) -> None:
    """Whether the files that a profile names are there."""
    from flykd_console.profile.paths import files_of
    from flykd_console.profile.sections import graph_hint

    for key, path in files_of(profile).items():
        if Path(path).is_file():
            continue
        kind = "graph file" if key == "graph.source" else "file"
        what = "is a folder; name the file inside it" if Path(path).is_dir() else f"there is no such {kind}"
        raise UserError(what, f"{file}, {key} = {path}", graph_hint(Path(path)) if key == "graph.source" else "")


def _is_complete(directory: RunDirectory) -> bool:
    """Whether a finished run has its results, and beside every seed's scores what its rankings say of each tail.

    Runs of earlier versions left no rankings; resumed, they measure what they trained and train nothing.
    """
    from flykd_console.runs.results import read_results

    try:
        seeds = read_results(directory.results).seeds
    except UserError:
        return False
    places = [(int(seed), part) for seed in seeds for part in ("validation", "test")]
    return all(directory.ranking(*place).is_file() for place in places if directory.scores(*place).is_file())


def _resumable(name: str) -> list[RunDirectory]:
    """The run to go on with, and after it the runs of its batch that wait and that nobody trains."""
    from flykd_console.runs.batch import batch_of, waiting_after
    from flykd_console.runs.directory import ORDERS
    from flykd_console.runs.find import find_run
    from flykd_console.runs.status import in_training, status_of

    directory = find_run(name)
    if in_training(directory):
        raise UserError(
            "this run is being trained already", directory.name, f"Watch it: flykd-console watch {directory.name}"
        )
    if status_of(directory).state == "finished" and _is_complete(directory):
        raise UserError("this run is finished", directory.name, f"Look at it: flykd-console runs show {directory.name}")
    others = any(in_training(run) for run in batch_of(directory))
    batch = [directory, *([] if others else waiting_after(directory))]
    for run in batch:
        for order in ORDERS:  # what was ordered of the process that is gone
            run.withdraw(order)
    return batch


def _names(runs: list[RunDirectory]) -> str:
    return ", ".join(run.name for run in runs)
