"""From what was typed to run directories: everything that can be checked without the graph is, before any is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.profile.load import Override
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory


def prepare(profiles: list[str], overrides: list[str | Override]) -> list[RunDirectory]:
    """Check everything that can be checked without the graph, then make the run directories, all or none."""
    import shutil

    from flykd_console.profile.load import load_profile
    from flykd_console.runs.batch import write_queue
    from flykd_console.runs.find import create_run

    loaded = [load_profile(profile, overrides) for profile in profiles]
    for file, profile in zip(profiles, loaded, strict=True):
        check_files(profile, file)
    _refuse_equal_names(profiles, loaded)
    batch: list[RunDirectory] = []
    try:
        for profile in loaded:
            directory = create_run(profile.run.name)
            batch.append(directory)
            write_profile(directory, profile)
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


def check_files(profile: Profile, file: str) -> None:
    """Refuse a profile that names a graph or a file which is not there.

    Raises:
        UserError: Says which, and by which key.
    """
    from flykd_console.profile.paths import files_of
    from flykd_console.profile.sections import graph_hint

    if profile.source == "primekg" and not profile.classifies:
        from flykd_console.graph.sources.primekg import stored

        stored("kg")
    for key, path in files_of(profile).items():
        if key == "graph.source" and Path(path).exists():
            from flykd_console.graph.read import check_source
            from flykd_console.profile.conditions import Condition

            conditions = [Condition.parse(text) for text in profile.graph.where]
            check_source(Path(path), conditions, profile.graph.time_column)
            continue
        if Path(path).is_file():
            continue
        kind = "graph file" if key == "graph.source" else "file"
        what = "is a folder; name the file inside it" if Path(path).is_dir() else f"there is no such {kind}"
        raise UserError(what, f"{file}, {key} = {path}", graph_hint(Path(path)) if key == "graph.source" else "")


def write_profile(directory: RunDirectory, profile: Profile) -> None:
    """Leave a run's resolved profile in its directory."""
    from flykd_console.profile.load import dump_profile
    from flykd_console.runs.files import replace_file

    note = f"# Every setting of the run {directory.name}. Train it again: flykd-console run {directory.profile}"
    replace_file(directory.profile, f"{note}\n\n{dump_profile(profile)}".encode())


def is_plan(settings: list[str], jobs: str | None, shard: str | None, engine: str | None) -> bool:
    """Whether there are several runs of one profile to be made."""
    from flykd_console.plans.sweep import is_sweep

    return bool(jobs or shard or engine) or is_sweep(settings)
