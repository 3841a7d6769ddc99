"""`flykd-console profiles`: the shipped profiles, and whether one of your own is sound."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError

app = typer.Typer(help="List, show, copy and check profiles.", no_args_is_help=True, rich_markup_mode="markdown")

# What the folders of shipped profiles hold.
_GROUPS = {
    "embedded": "Every row of the paper's tables at laptop size, on the graph that comes with the program",
    "primekg": "Every row of the paper's tables on PrimeKG, as the paper's text says",
    "primekg/reference": "The same rows as the paper's published code does them",
}

_Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="A file, or the name of a shipped profile.")]
_Settings = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Replace a key; may be repeated.")
]


@app.command("list")
def listing() -> None:
    """List the profiles that come with the program, by folder."""
    from rich.table import Table

    from flykd_console.cli.console import PlainConsole
    from flykd_console.profile.files import shipped_profiles

    groups: dict[str, list[str]] = {}
    for name in shipped_profiles():
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    console = PlainConsole()
    if not console.is_terminal:
        console.width = 160  # a pipe has no width; nothing is cut off for it
        console.begin_capture()
    width = max(len(name) for name in shipped_profiles())
    for group in sorted(groups):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        table.add_column(style="bold", no_wrap=True, min_width=width)
        table.add_column(overflow="fold")
        for name in sorted(groups[group]):
            table.add_row(name, _first_comment(shipped_profiles()[name]))
        if group:
            console.print(f"\n{_GROUPS.get(group, group)}")
        console.print(table)
    if not console.is_terminal:
        say("\n".join(line.rstrip() for line in console.end_capture().splitlines()))


@app.command()
def show(profile: _Profile, settings: _Settings = None) -> None:
    """Print a profile resolved: every key with its value, defaults written out, keys without a value as comments."""
    from flykd_console.profile.load import dump_profile, load_profile

    say(dump_profile(load_profile(profile, settings or []), unset=True), end="")


@app.command()
def keys(
    section: Annotated[
        str | None, typer.Argument(metavar="SECTION", help="One table and those inside it, such as distill.curriculum.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown tables.")] = False,
) -> None:
    """Print every key of a profile: its default, what it may be, what it is for."""
    from flykd_console.profile import keys as profile_keys

    about = profile_keys.sections()
    found = profile_keys.keys()
    wanted = [
        name for name in about if section is None or name == section or name.startswith((f"{section}.", f"{section}["))
    ]
    if not wanted:
        # A key is as good as its table.
        wanted = [key.section for key in found if key.path == section]
    if not wanted:
        full_names = {name.rpartition(".")[2]: name for name in about} | {name: name for name in about}
        near = difflib.get_close_matches(section or "", full_names, n=1)
        hint = f"Did you mean {full_names[near[0]]}?" if near else f"The tables are: {', '.join(about)}"
        raise UserError("there is no such table", section or "", hint)
    if markdown:
        say(profile_keys.as_markdown(wanted), end="")
        return
    from flykd_console.cli.console import PlainConsole
    from flykd_console.cli.tables import keys_table

    console = PlainConsole()
    for name in wanted:
        rows = [key for key in found if key.section == name]
        if rows:
            console.print(f"[{name}]", style="bold", markup=False, end="  ")
            console.print(about[name])
            console.print(keys_table(rows))
            console.print()


@app.command()
def copy(
    profile: _Profile,
    destination: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes, such as my.toml.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Copy a profile with its comments, to make one of your own from it."""
    from flykd_console.profile.files import find_profile, moved_text
    from flykd_console.runs.files import replace_file

    source = find_profile(profile)
    if destination.is_dir():
        destination = destination / source.name
    if destination.exists() and not force:
        raise UserError("there is a file of this name", str(destination), "Choose another, or add --force.")
    try:
        replace_file(destination, moved_text(source).encode())
    except OSError as error:
        raise UserError(
            f"the copy cannot be written ({error.strerror})", str(destination), "Choose another place."
        ) from None
    say(f"Wrote {destination}. Check it after editing: flykd-console profiles check {destination}")


@app.command()
def check(profile: _Profile, settings: _Settings = None) -> None:
    """Say whether a profile is sound and the graph and files that it names are there, without training."""
    from flykd_console.cli.prepare import check_files
    from flykd_console.profile.load import load_profile
    from flykd_console.profile.models import trains_nothing
    from flykd_console.runs.model_shape import model_shape, model_width

    loaded = load_profile(profile, settings or [])
    check_files(loaded, profile)
    teacher, student = loaded.teacher, loaded.student
    seeds = ", ".join(map(str, loaded.run.seeds))
    if trains_nothing(loaded):
        scorers = ", ".join(loaded.evaluation.heuristics)
        say(f"{profile} is sound: trains nothing on {loaded.graph.source}, seeds {seeds}, measures {scorers}.")
        return
    if loaded.classifies or loaded.mutual.takes_part:
        listed = loaded.cohort.members if loaded.classifies else loaded.mutual.members
        epochs = loaded.cohort.epochs if loaded.classifies else loaded.distill.epochs
        members = ", ".join(f"{name} ({model_shape(one.dim, one.layers, one.kind)})" for name, one in listed.items())
        say(
            f"{profile} is sound: {loaded.method} on {loaded.source}, seeds {seeds}, {epochs} epochs, "
            f"members {members}."
        )
        return
    say(
        f"{profile} is sound: {loaded.distill.method} on {loaded.graph.source}, seeds {seeds}, "
        f"{loaded.finetune.epochs} + {loaded.distill.epochs} epochs, "
        f"{model_width(teacher.dim, teacher.layers, teacher.kind)} and "
        f"{model_shape(student.dim, student.layers, student.kind)}."
    )
    if _says_nothing(profile) and not settings:
        say("It sets no key: every one is at its default, which is the paper's.", err=True)


def _says_nothing(profile: str) -> bool:
    from flykd_console.profile.files import read_layers

    return not any(layer.data for layer in read_layers(profile))


def _first_comment(path: Path) -> str:
    first = path.read_text().partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
