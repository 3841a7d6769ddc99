"""Which runs `run --resume` goes on with, and seeds that are added to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.runs.directory import RunDirectory


def resumable(name: str, seeds: list[int]) -> list[RunDirectory]:
    """The run to go on with, given `seeds` more, and after it the runs of its batch that wait for it."""
    from flykd_console.runs.batch import batch_of, waiting_after
    from flykd_console.runs.directory import ORDERS
    from flykd_console.runs.find import find_run
    from flykd_console.runs.status import in_training, status_of

    directory = find_run(name)
    if in_training(directory):
        raise UserError(
            "this run is being trained already", directory.name, f"Watch it: flykd-console watch {directory.name}"
        )
    if seeds:
        _add_seeds(directory, seeds)
    elif status_of(directory).state == "finished" and _is_complete(directory):
        raise UserError(
            "this run is finished",
            directory.name,
            f"Look at it: flykd-console runs show {directory.name}; add seeds to it: --seeds 50-54",
        )
    others = any(in_training(run) for run in batch_of(directory))
    batch = [directory, *([] if others else waiting_after(directory))]
    for run in batch:
        for order in ORDERS:  # what was ordered of the process that is gone
            run.withdraw(order)
    return batch


def _add_seeds(directory: RunDirectory, seeds: list[int]) -> None:
    """Put seeds behind those of a run's profile.

    Raises:
        UserError: The run has one of them already.
    """
    from flykd_console.cli.prepare import write_profile
    from flykd_console.profile.load import Override, load_profile
    from flykd_console.runs.more_seeds import write_added

    profile = load_profile(directory.profile)
    for seed in seeds:
        if seed in profile.run.seeds:
            raise UserError(
                f"the run has seed {seed} already",
                f"--resume {directory.name} --seeds",
                f"Its seeds are {', '.join(map(str, profile.run.seeds))}; name others.",
            )
    added = Override("run.seeds", [*profile.run.seeds, *seeds], "--seeds")
    grown = load_profile(directory.profile, [added])
    write_added(directory, seeds)
    write_profile(directory, grown)


def _is_complete(directory: RunDirectory) -> bool:
    """Whether a finished run has its results, and beside every seed's scores its rankings, neighbours and profiles.

    Runs of earlier versions left none; resumed, they measure what they trained and train nothing.
    """
    from flykd_console.runs.results import read_results

    try:
        seeds = read_results(directory.results).seeds
    except UserError:
        return False
    places = [(int(seed), part) for seed in seeds for part in ("validation", "test")]
    wanted = [directory.ranking(*place) for place in places if directory.scores(*place).is_file()]
    for seed in map(int, seeds):
        if directory.scores(seed, "test").is_file():
            wanted += [directory.neighbours(seed), directory.profiles(seed)]
    return all(path.is_file() for path in wanted)
